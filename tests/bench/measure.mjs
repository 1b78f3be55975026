/**
 * What all measurements share.
 *
 * Rules: a figure is the median of its samples; its spread is the middle half of them. Samples of
 * things that are compared are taken in turn (A B A B …), so that whatever disturbs the machine
 * disturbs both, and are compared turn by turn.
 */

import { readFileSync, readdirSync } from 'node:fs';

/**
 * @typedef {object} Summary
 * @property {number} median
 * @property {number} low     a quarter of the samples is below
 * @property {number} high    a quarter is above
 * @property {number[]} samples
 *
 * One line of the table. Without `target` it is information.
 * @typedef {object} Row
 * @property {string} label
 * @property {Summary} summary
 * @property {string} unit
 * @property {number} [target]  not more than this
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
 * Two lists of samples taken in turn, compared turn by turn.
 * @param {number[]} a @param {number[]} b @param {(a: number, b: number) => number} compare
 */
export const compared = (a, b, compare) =>
  summarize(a.map((sample, turn) => compare(sample, b[turn])));

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
 * CPU time of a process with all its threads, in microseconds. The kernel brings the count of a
 * thread up to date when it stops running: look when the process has nothing to do.
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
