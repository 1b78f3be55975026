/**
 * What Spillway costs, measured: `npm run bench`. docs/PERFORMANCE.md tells how, and what came out.
 *
 * Rules: a figure is one object in figures/, measured with what setting.mjs lends it, and gives
 * rows; a row with a target is met or missed, one without is information. Nothing here fails when a
 * target is missed: a time is no test.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ensureModules, ensurePackages } from '../../scripts/lib/machine.mjs';
import {
  Stop, bold, dim, green, red, runMain, say, secondsSince, yellow,
} from '../../scripts/lib/terminal.mjs';
import { buildModule, buildWorker, writeConfig } from '../../scripts/lib/wasm.mjs';
import { chunk } from './figures/chunk.mjs';
import { failover } from './figures/failover.mjs';
import { firstToken } from './figures/first_token.mjs';
import { memory } from './figures/memory.mjs';
import { request } from './figures/request.mjs';
import { size } from './figures/size.mjs';
import { start } from './figures/start.mjs';
import { splice, translate } from './figures/stream_cpu.mjs';
import {
  describeMachine, jiffies, kQuietLoad, kQuietShare, load, shareOfOthers,
} from './machine.mjs';
import { Setting, ensureNode24 } from './setting.mjs';

/**
 * @typedef {object} Figure
 * @property {string} name
 * @property {string} about
 * @property {(setting: Setting) => Promise<import('./measure.mjs').Row[]>} measure
 */

/** @type {Figure[]} */
const figures = [
  size, start, failover, firstToken, request, splice, translate, chunk, memory,
];

const kHeartbeatMs = 20_000;

const usage = `usage: npm run bench [-- OPTIONS]

Builds, measures for about five minutes and prints a table of figures and their targets.

  --only NAME[,NAME…]  some figures
  --quick              a quarter of the samples: to see that it runs, not to quote
  --json FILE          also writes all samples

Figures:
${figures.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`).join('\n')}`;

function options() {
  const { values } = (() => {
    try {
      return parseArgs({
        options: {
          only: { type: 'string' },
          quick: { type: 'boolean', default: false },
          json: { type: 'string' },
          help: { type: 'boolean', default: false },
        },
      });
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      throw new Stop(`${message.split('.', 1)[0]}; see npm run bench -- --help`);
    }
  })();
  const names = values.only?.split(',') ?? figures.map(({ name }) => name);
  const unknown = names.find((name) => !figures.some((figure) => figure.name === name));
  if (unknown !== undefined) throw new Stop(`unknown: ${unknown}; see npm run bench -- --help`);
  return { ...values, chosen: figures.filter(({ name }) => names.includes(name)) };
}

// --- progress -----------------------------------------------------------------------------------

let shown_ms = performance.now();

/** On stderr, so that what is printed is the table alone. @param {string} text */
function progress(text) {
  if (process.stderr.isTTY) {
    process.stderr.write(`\r\x1b[K  ${text}`);
  } else if (performance.now() - shown_ms > kHeartbeatMs) {
    process.stderr.write(`  ${text}\n`);
    shown_ms = performance.now();
  }
}

function clearProgress() {
  if (process.stderr.isTTY) process.stderr.write('\r\x1b[K');
}

// --- the table ----------------------------------------------------------------------------------

const columns = { label: 64, measured: 12, spread: 18, target: 10 };

/** @param {number} value */
const digits = (value) => value.toFixed(Math.abs(value) < 10 ? 2 : 1);

/**
 * @param {import('./measure.mjs').Row} row
 * @param {boolean} disturbed
 */
function line({ label, summary: { median, low, high, samples }, unit, target }, disturbed) {
  const cells = [
    `  ${label}`.padEnd(columns.label),
    `${digits(median)} ${unit}`.padStart(columns.measured),
    (samples.length > 1 ? `${digits(low)} … ${digits(high)}` : '').padStart(columns.spread),
    (target === undefined ? '' : `≤ ${target} ${unit}`).padStart(columns.target),
  ].join(' ');
  const mark = disturbed ? yellow(' ~') : '';
  if (target === undefined) return dim(cells) + mark;
  return `${cells}  ${median <= target ? green('met') : red('missed')}${mark}`;
}

const heading = [
  ''.padEnd(columns.label), 'median'.padStart(columns.measured),
  'middle half'.padStart(columns.spread), 'target'.padStart(columns.target),
].join(' ');

// --- all of it ----------------------------------------------------------------------------------

await runMain(async () => {
  const { help, chosen, quick, json } = options();
  if (help) {
    say(usage);
    return 0;
  }
  const begin = performance.now();
  const loadBefore = load();
  await ensurePackages('wasm');
  await ensureModules();
  writeConfig();
  const module = await buildModule('wasi');
  const bundle = await buildWorker();
  const node24 = await ensureNode24();

  const machine = { ...await describeMachine(node24), load: loadBefore };
  say(`${machine.cores} cores of ${machine.cpu}, ${machine.memory_gb} GB, Linux ${machine.kernel}`);
  say(`workerd ${machine.workerd}; Node ${machine.node_core} for the core, `
    + `${machine.node_clients} for clients and providers; load ${machine.load.toFixed(2)}`);
  if (machine.load > kQuietLoad) {
    say(yellow(`The machine was busy before: a load of ${machine.load.toFixed(2)}. Times below are`
      + ' longer than they should be.'));
  }
  if (quick) say(yellow('--quick: too few samples to quote'));
  say(`\n${bold(heading)}`);

  let current = '';
  const setting = new Setting({
    quick, module, bundle, node24, progress: (text) => progress(`${current}: ${text}`),
  });
  const results = [];
  let most = 0;
  try {
    for (const { name, about, measure } of chosen) {
      const before = jiffies();
      current = name;
      const rows = await measure(setting);
      const others = shareOfOthers(before, jiffies());
      clearProgress();
      say(bold(about));
      for (const row of rows) {
        // Bytes do not change because others are busy.
        const disturbed = row.unit !== 'KB' && others > kQuietShare;
        if (disturbed) most = Math.max(most, others);
        say(line(row, disturbed));
      }
      results.push(...rows.map(({ summary, ...row }) => ({
        figure: name, ...row, ...summary, others,
        met: row.target === undefined ? undefined : summary.median <= row.target,
      })));
    }
  } finally {
    clearProgress();
    await setting.stop();
  }

  const judged = results.filter(({ target }) => target !== undefined);
  const missed = judged.filter(({ met }) => !met).length;
  say(`\n${judged.length - missed} of ${judged.length} targets met, ${secondsSince(begin)}`
    + '; KB: 1000 bytes');
  if (most > 0) {
    say(yellow(`~  others took up to ${Math.round(most * 100)} % of the machine meanwhile`));
  }
  if (json !== undefined) {
    writeFileSync(json, `${JSON.stringify({ machine, quick, rows: results }, null, 2)}\n`);
  }
  return 0;
});
