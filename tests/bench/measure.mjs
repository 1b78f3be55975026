/**
 * What all measurements share: medians, spreads, and how busy the machine was.
 *
 * Rules: a figure is the median of its samples; its spread is the middle half of them. Samples of
 * things that are compared are taken in turn (A B A B …), so that whatever disturbs the machine
 * disturbs both.
 */

import { readFileSync, readdirSync } from 'node:fs';
import { loadavg } from 'node:os';

/** Above this the processes of a measurement wait for others' and its times are no good. */
export const kQuietLoad = 1.5;

/**
 * @typedef {object} Summary
 * @property {number} median
 * @property {number} low     a quarter of the samples is below
 * @property {number} high    a quarter is above
 * @property {number[]} samples
 */

/** @param {number[]} samples @returns {Summary} */
export function summarize(samples) {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (/** @type {number} */ share) => {
    const place = (sorted.length - 1) * share;
    const below = sorted[Math.floor(place)];
    return below + (sorted[Math.ceil(place)] - below) * (place % 1);
  };
  return { median: at(0.5), low: at(0.25), high: at(0.75), samples };
}

/**
 * Takes `count` samples of each, in turn. Gives the samples of each.
 * @template {string} Name
 * @param {number} count
 * @param {Record<Name, () => Promise<number>>} takers
 * @returns {Promise<Record<Name, number[]>>}
 */
export async function inTurn(count, takers) {
  const entries = /** @type {[Name, () => Promise<number>][]} */ (Object.entries(takers));
  /** @type {Map<Name, number[]>} */
  const samples = new Map(entries.map(([name]) => [name, []]));
  for (let round = 0; round < count; ++round) {
    for (const [name, take] of entries) samples.get(name)?.push(await take());
  }
  return /** @type {Record<Name, number[]>} */ (Object.fromEntries(samples));
}

/**
 * Processes that others have made ready, per core: our own at most one or two, asleep by now.
 */
export function load() {
  return loadavg()[0];
}

/**
 * CPU time of a process with all its threads, in microseconds.
 * @param {number} pid
 */
export function cpuMicroseconds(pid) {
  let nanoseconds = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      const text = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8');
      nanoseconds += Number(text.split(' ', 1)[0]);
    } catch {
      // A thread that has just ended.
    }
  }
  return nanoseconds / 1000;
}
