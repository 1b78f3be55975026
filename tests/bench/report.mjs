/**
 * The two tables, on a terminal and as they stand in docs/PERFORMANCE.md: figures beside their
 * targets, and contestants side by side.
 */

import { bold, dim, green, red, yellow } from '../../scripts/lib/terminal.mjs';
import { isMet } from './measure.mjs';

/**
 * @typedef {import('./measure.mjs').Row
 *   & { figure: string, about: string, disturbed: boolean }} Result
 * @typedef {import('./contestants.mjs').Contestant} Contestant
 */

/** @param {number} value */
const digits = (value) => value.toFixed(Math.abs(value) < 10 ? 2 : Math.abs(value) < 1000 ? 1 : 0);

/** @param {Result} row */
function cellsOf({ label, summary: { median, low, high, samples }, unit, target, at_least }) {
  return {
    label,
    measured: `${digits(median)} ${unit}`,
    spread: samples.length > 1 ? `${digits(low)} … ${digits(high)}` : '',
    target: target === undefined ? '' : `${at_least ? '≥' : '≤'} ${target} ${unit}`,
  };
}

const widths = { label: 76, measured: 12, spread: 18, target: 10 };

export const heading = [
  ''.padEnd(widths.label), 'median'.padStart(widths.measured),
  'middle half'.padStart(widths.spread), 'target'.padStart(widths.target),
].join(' ');

/** One line of the first table. @param {Result} row */
export function line(row) {
  const { label, measured, spread, target } = cellsOf(row);
  const cells = [
    `  ${label}`.padEnd(widths.label), measured.padStart(widths.measured),
    spread.padStart(widths.spread), target.padStart(widths.target),
  ].join(' ');
  const mark = row.disturbed ? yellow(' ~') : '';
  const met = isMet(row);
  if (met === undefined) return dim(cells) + mark;
  return `${cells}  ${met ? green('met') : red('missed')}${mark}`;
}

/**
 * The columns of the second table, in the halves that a terminal has room for.
 * @type {{ head: string, cells: string[] }[][]}
 */
const halves = [
  [
    { head: 'µs/event, full speed', cells: ['cpu-full'] },
    { head: '60 × 50/s', cells: ['cpu-pace'] },
    { head: '8 × 1000/s', cells: ['cpu-fast'] },
    { head: 'lag ms at 50/s, p50 / p99', cells: ['lag-pace-p50', 'lag-pace-p99'] },
    { head: 'at 1000/s', cells: ['lag-fast-p50', 'lag-fast-p99'] },
  ],
  [
    { head: 'first token +ms, p50 / p99', cells: ['first-p50', 'first-p99'] },
    { head: 'requests/s', cells: ['requests'] },
    { head: 'CPU ms each', cells: ['request-cpu'] },
    { head: 'idle MB', cells: ['resident-idle'] },
    {
      head: '+MB at 1 / 100 / 1000 streams',
      cells: ['resident-1', 'resident-100', 'resident-1000'],
    },
    { head: 'cold +ms', cells: ['cold'] },
  ],
];

/**
 * The second table as text: for each half its heads and, by contestant, its cells. Columns that
 * nothing was measured for are left out.
 * @param {Result[]} results @param {Contestant[]} contestants
 */
function matrix(results, contestants) {
  const measured = new Map(results.flatMap((row) =>
    (row.cell ? [[`${row.cell.contestant} ${row.cell.column}`, row]] : [])));
  return halves.map((half) => {
    const columns = half.filter(({ cells: [column] }) =>
      contestants.some(({ name }) => measured.has(`${name} ${column}`)));
    const rows = contestants.map(({ name, about }) => [about, ...columns.map(({ cells }) => {
      const found = cells.map((column) => measured.get(`${name} ${column}`));
      const texts = found.map((row) => (row ? digits(row.summary.median) : '–'));
      const text = found.some((row) => row) ? texts.join(' / ') : '–';
      return found.some((row) => row?.disturbed) ? `${text} ~` : text;
    })]);
    return [['', ...columns.map(({ head }) => head)], ...rows];
  }).filter(([heads]) => heads.length > 1);
}

/** @param {Result[]} results @param {Contestant[]} contestants @returns {string} */
export function contestantTable(results, contestants) {
  return matrix(results, contestants).map((rows) => {
    const widest = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
    return rows.map((row, index) => {
      const text = row.map((cell, column) => (column === 0 ? `  ${cell}`.padEnd(widest[0] + 2)
        : cell.padStart(widest[column]))).join('  ');
      return index === 0 ? bold(text) : text;
    }).join('\n');
  }).join('\n\n');
}

/** @param {string[]} cells */
const markdownLine = (cells) => `| ${cells.join(' | ')} |`;

/** Both tables in Markdown. @param {Result[]} results @param {Contestant[]} contestants */
export function markdown(results, contestants) {
  const lines = ['| figure | median | middle half | target | |', '|---|---|---|---|---|'];
  let about = '';
  for (const row of results) {
    if (row.cell) continue;
    if (row.about !== about) lines.push(markdownLine([`**${row.about}**`, '', '', '', '']));
    about = row.about;
    const { label, measured, spread, target } = cellsOf(row);
    const met = isMet(row);
    lines.push(markdownLine([
      label, measured, spread, target,
      [met === undefined ? '' : met ? 'met' : 'missed', row.disturbed ? '~' : ''].join(' ').trim(),
    ]));
  }
  for (const [heads, ...rows] of matrix(results, contestants)) {
    lines.push('', markdownLine(heads), markdownLine(heads.map(() => '---')).replaceAll(' ', ''));
    lines.push(...rows.map(markdownLine));
  }
  return `${lines.join('\n')}\n`;
}
