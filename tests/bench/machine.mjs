/**
 * The machine that is measured on: what it is, and what others took of it meanwhile.
 *
 * A time is only as good as the machine is quiet. So for every figure it is noted how much of all
 * cores went to processes that are not ours, or to other machines on the same host (steal).
 */

import { readFileSync, readdirSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, release, totalmem } from 'node:os';
import { createRequire } from 'node:module';
import { run } from '../../scripts/lib/process.mjs';
import { kUndisturbed, percentile } from './measure.mjs';

/** Above this share of the machine a figure is marked: its times are no good. */
export const kQuietShare = 0.1;
/** Above this load at the start there is a warning. */
export const kQuietLoad = 0.5;

/** The one-minute load, of others as long as nothing has been measured yet. */
export const load = () => loadavg()[0];

/** @param {string} node24 */
export async function describeMachine(node24) {
  const wrangler = createRequire(import.meta.url).resolve('wrangler/package.json');
  const { version } = createRequire(wrangler)('workerd');
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memory_gb: Math.round(totalmem() / 1e9),
    kernel: release(),
    load: load(),
    node_clients: process.version,
    node_core: (await run(node24, ['--version'])).output.trim(),
    workerd: /** @type {string} */ (version),
  };
}

/**
 * Jiffies since some beginning: those that went to others, and those of all cores together. Our own
 * are this process's, its ended children's and its living children's.
 */
export function jiffies() {
  const cores = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].trim().split(/ +/).slice(1, 9);
  const [user, nice, system, idle, wait, interrupt, soft, steal] = cores.map(Number);
  const busy = user + nice + system + interrupt + soft + steal;
  let own = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const { parent, spent, ofChildren } = timesOf(name);
    if (name === String(process.pid)) own += spent + ofChildren;
    else if (parent === process.pid) own += spent;
  }
  return { others: busy - own, all: busy + idle + wait };
}

/** @param {string} pid */
function timesOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Behind the name, which may have blanks and brackets in it.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ').map(Number);
    const [user, system, childUser, childSystem] = fields.slice(11, 15);
    return { parent: fields[1], spent: user + system, ofChildren: childUser + childSystem };
  } catch {
    return { parent: 0, spent: 0, ofChildren: 0 }; // it has just ended
  }
}

/**
 * The share of the machine that others took between two looks.
 * @param {ReturnType<typeof jiffies>} before @param {ReturnType<typeof jiffies>} after
 */
export function shareOfOthers(before, after) {
  const all = after.all - before.all;
  return all > 0 ? Math.max(0, after.others - before.others) / all : 0;
}

/** How long one look at the core lasts. */
const kLookMs = 250;

/** What the probe takes on a core that nobody else has a part of, as far as is known. */
let undisturbedMs = Infinity;

/**
 * The share of the time in which nobody else had a part of the core, by looking for a moment.
 * @param {import('./samples/probe.mjs').Probe} probe
 */
export function quietShare(probe) {
  const probes = [];
  for (const end = performance.now() + kLookMs; performance.now() < end;) probes.push(probe.take());
  // V8 optimizes the probe meanwhile: the later half is alike.
  const alike = probes.slice(probes.length / 2);
  undisturbedMs = Math.min(undisturbedMs, percentile(alike, 0.05));
  return alike.filter((ms) => ms <= kUndisturbed * undisturbedMs).length / alike.length;
}
