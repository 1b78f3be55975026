/**
 * What Spillway costs, measured: `npm run bench`. docs/PERFORMANCE.md tells how, and what came out.
 *
 * Rules: a figure is one object in figures/, measured with what setting.mjs lends it, and gives
 * rows; a row with a target is met or missed, one without is information. Nothing here fails when a
 * target is missed: a time is no test.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { ensureModules } from '../../scripts/lib/machine.mjs';
import { ensurePackages } from '../../scripts/lib/packages.mjs';
import {
  Stop, bold, runMain, say, secondsSince, yellow,
} from '../../scripts/lib/terminal.mjs';
import { buildModule, buildWorker, writeConfig } from '../../scripts/lib/wasm.mjs';
import { contestants, others } from './contestants.mjs';
import { answer } from './figures/answer.mjs';
import { capacity } from './figures/capacity.mjs';
import { chunk } from './figures/chunk.mjs';
import { cold } from './figures/cold.mjs';
import { compare } from './figures/compare.mjs';
import { failover } from './figures/failover.mjs';
import { firstToken } from './figures/first_token.mjs';
import { isolate } from './figures/isolate.mjs';
import { lag } from './figures/lag.mjs';
import { memory } from './figures/memory.mjs';
import { resident } from './figures/resident.mjs';
import { size } from './figures/size.mjs';
import { start } from './figures/start.mjs';
import {
  describeMachine, jiffies, kQuietLoad, kQuietShare, load, quietShare, shareOfOthers,
} from './machine.mjs';
import { isMet } from './measure.mjs';
import { describeOthers, ensureOthers } from './others.mjs';
import { contestantTable, heading, line, markdown } from './report.mjs';
import { Probe } from './samples/probe.mjs';
import { Setting, buildProbe, ensureNode24 } from './setting.mjs';

/**
 * @typedef {object} Figure
 * @property {string} name
 * @property {string} about
 * @property {(setting: Setting) => Promise<import('./measure.mjs').Row[]>} measure
 */

/** @type {Figure[]} */
const figures = [
  size, start, failover, firstToken, compare, lag, capacity, answer, resident,
  isolate, cold, chunk, memory,
];

/** @param {number} share */
const percent = (share) => Math.round(share * 100);

const kHeartbeatMs = 20_000;

const usage = `usage: npm run bench [-- OPTIONS]

Builds, measures for about a quarter of an hour and prints figures beside their targets, and a table
of contestants.

  --only NAME[,NAME…]  some figures
  --quick              a quarter of the samples: to see that it runs, not to quote
  --of NAME[,NAME…]    some contestants
  --json FILE          also writes all samples
  --markdown FILE      also writes both tables as docs/PERFORMANCE.md has them

Figures:
${figures.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`).join('\n')}

Contestants:
${contestants.map(({ name, about }) => `  ${name.padEnd(18)} ${about}`).join('\n')}`;

function options() {
  const { values } = (() => {
    try {
      return parseArgs({
        options: {
          only: { type: 'string' },
          quick: { type: 'boolean', default: false },
          of: { type: 'string' },
          json: { type: 'string' },
          markdown: { type: 'string' },
          help: { type: 'boolean', default: false },
        },
      });
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      throw new Stop(`${message.split('.', 1)[0]}; see npm run bench -- --help`);
    }
  })();
  return {
    ...values,
    chosen: pick(figures, values.only),
    compared: pick(contestants, values.of),
  };
}

/** @template {{ name: string }} T @param {T[]} all @param {string | undefined} names */
function pick(all, names) {
  const wanted = names?.split(',') ?? all.map(({ name }) => name);
  const unknown = wanted.find((name) => !all.some((each) => each.name === name));
  if (unknown !== undefined) throw new Stop(`unknown: ${unknown}; see npm run bench -- --help`);
  return all.filter(({ name }) => wanted.includes(name));
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

// --- all of it ----------------------------------------------------------------------------------

await runMain(async () => {
  const { help, chosen, compared, quick, json, markdown: document } = options();
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
  const probePath = await buildProbe();

  const lacking = compared.some(({ server }) => others.includes(server))
    ? await ensureOthers() : undefined;
  const present = lacking === undefined ? compared
    : compared.filter(({ server }) => !others.includes(server));

  const machine = { ...await describeMachine(node24), load: loadBefore };
  say(`${machine.cores} cores of ${machine.cpu}, ${machine.memory_gb} GB, Linux ${machine.kernel}`);
  say(`workerd ${machine.workerd}; Node ${machine.node_core} for the core, `
    + `${machine.node_clients} for clients and providers; load ${machine.load.toFixed(2)}`);
  say(lacking === undefined ? `compared with ${describeOthers()}`
    : yellow(`Left out, for they cannot be installed: ${describeOthers()} (${lacking})`));
  if (machine.load > kQuietLoad) {
    say(yellow(`The machine was busy before: a load of ${machine.load.toFixed(2)}. Times below are`
      + ' longer than they should be.'));
  }
  if (quick) say(yellow('--quick: too few samples to quote'));
  say(`\n${bold(heading)}`);

  let current = '';
  const setting = new Setting({
    quick, module, bundle, node24, probe: probePath, contestants: present,
    progress: (text) => progress(`${current}: ${text}`),
  });
  /** @type {(import('./report.mjs').Result & { others: number, quiet_share: number })[]} */
  const results = [];
  const probe = new Probe(probePath);
  const quietShares = [quietShare(probe)];
  try {
    for (const { name, about, measure } of chosen) {
      const before = jiffies();
      current = name;
      const rows = await measure(setting);
      const others = shareOfOthers(before, jiffies());
      const quiet_share = quietShare(probe);
      quietShares.push(quiet_share);
      clearProgress();
      say(bold(about));
      for (const row of rows) {
        // The sizes of files and of the module's memory do not change because others are busy.
        const disturbed = row.unit !== 'KB' && (row.others ?? others) > kQuietShare;
        const result = { others, ...row, figure: name, about, disturbed, quiet_share };
        results.push(result);
        if (!row.cell) say(line(result));
      }
    }
  } finally {
    clearProgress();
    await setting.stop();
  }

  const table = contestantTable(results, present);
  if (table !== '') say(`\n${table}`);
  const judged = results.map(isMet).filter((met) => met !== undefined);
  const met = judged.filter((each) => each).length;
  say(`\n${met} of ${judged.length} targets met, ${secondsSince(begin)}`
    + '; KB: 1000 bytes; between figures nobody else was on this core for '
    + `${percent(Math.min(...quietShares))} … ${percent(Math.max(...quietShares))} % of the time`);
  const most = Math.max(...results.map(({ others, disturbed }) => (disturbed ? others : 0)));
  if (most > 0) {
    say(yellow(`~  others took up to ${percent(most)} % of the machine meanwhile`));
  }
  if (json !== undefined) {
    const rows = results.map(({ summary, ...row }) =>
      ({ ...row, ...summary, met: isMet({ summary, ...row }) }));
    writeFileSync(json, `${JSON.stringify({ machine, quietShares, quick, rows }, null, 2)}\n`);
  }
  if (document !== undefined) writeFileSync(document, markdown(results, present));
  return 0;
});
