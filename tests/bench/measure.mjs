/**
 * What all measurements share.
 *
 * Rules: a figure is the median of its samples; its spread is the middle half of them. Samples of
 * things that are compared are taken in turn, each round in another order (A B B A …), so that
 * whatever disturbs the machine disturbs both, and are compared turn by turn.
 */

import { readFileSync, readdirSync } from 'node:fs';

/**
 * @typedef {object} Summary
 * @property {number} median
 * @property {number} low     a quarter of the samples is below
 * @property {number} high    a quarter is above
 * @property {number[]} samples
 *
 * One line of the table. Without `target` it is information; with `cell` it stands in the table of
 * contestants instead.
 * @typedef {object} Row
 * @property {string} label
 * @property {Summary} summary
 * @property {string} unit
 * @property {number} [target]     not more than this
 * @property {boolean} [at_least]  not less than the target
 * @property {{ contestant: string, column: string }} [cell]
 * @property {number} [others]     what others took of the machine, where the figure knows it better
 */

/** @param {Row} row @returns {boolean | undefined} undefined: it has no target */
export function isMet({ summary: { median }, target, at_least }) {
  if (target === undefined) return undefined;
  return at_least ? median >= target : median <= target;
}

/** @param {number[]} sorted @param {number} share */
function quantile(sorted, share) {
  const place = (sorted.length - 1) * share;
  const below = sorted[Math.floor(place)];
  return below + (sorted[Math.ceil(place)] - below) * (place % 1);
}

/** @param {number[]} samples @param {number} share  0.99: what one in a hundred exceeds */
export const percentile = (samples, share) => quantile(samples.toSorted((a, b) => a - b), share);

/** @param {number[]} samples @returns {Summary} */
export function summarize(samples) {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (/** @type {number} */ share) => quantile(sorted, share);
  return { median: at(0.5), low: at(0.25), high: at(0.75), samples };
}

/** A probe that took up to so many times what the quickest take was undisturbed. */
export const kUndisturbed = 1.25;
/** The quickest: so many of them are quicker still, by chance. */
const kQuickest = 0.05;
/** Where fewer samples are undisturbed than so many of all, those least disturbed count. */
const kShareMin = 0.1;
const kSamplesMin = 3;

/**
 * How many times as long as the quickest each probe took (samples/probe.mjs). Where somebody else
 * always is on the core, none takes longer: there is nothing to tell the difference by.
 * @param {number[]} probes  that V8 had compiled in the same way
 */
export function disturbances(probes) {
  const quickest = percentile(probes, kQuickest);
  return probes.map((probe) => probe / quickest);
}

/**
 * How much each sample was disturbed, by the slowest of its probes.
 * @param {{ probes: number[] }[]} samples  each with as many, and each place with its own quickest
 */
export function disturbanceOf(samples) {
  const places = samples[0].probes.map((_, place) =>
    disturbances(samples.map(({ probes }) => probes[place])));
  return samples.map((_, index) => Math.max(...places.map((place) => place[index])));
}

/**
 * The summary of those samples that nobody disturbed, or of the least disturbed if those are few.
 * @param {number[]} samples @param {number[]} disturbance  of each sample: of its slowest probe
 */
export function summarizeUndisturbed(samples, disturbance) {
  const order = samples.map((_, index) => index)
    .sort((a, b) => disturbance[a] - disturbance[b]);
  const undisturbed = disturbance.filter((each) => each <= kUndisturbed).length;
  const kept = Math.max(undisturbed, kSamplesMin, Math.ceil(samples.length * kShareMin));
  return summarize(order.slice(0, kept).map((index) => samples[index]));
}

/**
 * What one thing takes longer than another, turn by turn: where neither was disturbed, and in all
 * turns; and in how many of them one was.
 * @typedef {{ times: number[], disturbance: number[] }} Judged
 * @param {Judged} own @param {Judged} other
 */
export function addedTo(own, other) {
  const added = own.times.map((time, turn) => time - other.times[turn]);
  const worst = own.disturbance.map((each, turn) => Math.max(each, other.disturbance[turn]));
  return {
    undisturbed: summarizeUndisturbed(added, worst),
    all: summarize(added),
    disturbed: worst.filter((each) => each > kUndisturbed).length,
  };
}

/**
 * The summary of what was measured in pieces: their medians and quarters, added up.
 * @param {Summary[]} pieces @returns {Summary}
 */
export function added(pieces) {
  const sum = (/** @type {(piece: Summary) => number} */ of) =>
    pieces.reduce((total, piece) => total + of(piece), 0);
  return {
    median: sum(({ median }) => median), low: sum(({ low }) => low), high: sum(({ high }) => high),
    samples: pieces.map(({ median }) => median),
  };
}

/**
 * Two lists of samples taken in turn, compared turn by turn.
 * @param {number[]} a @param {number[]} b @param {(a: number, b: number) => number} compare
 */
export const compared = (a, b, compare) =>
  summarize(a.map((sample, turn) => compare(sample, b[turn])));

/** The same things in another order, by chance. @template T @param {T[]} all */
function shuffled(all) {
  const rest = [...all];
  return all.map(() => rest.splice(Math.floor(Math.random() * rest.length), 1)[0]);
}

/**
 * Takes `count` samples of each, in turn; each round has an order of its own, for who comes after
 * whom matters: a process that has just answered still has its code in the caches. Gives the
 * samples of each.
 * @template {string} Name
 * @template Sample
 * @param {number} count
 * @param {Record<Name, () => Promise<Sample>>} takers
 * @returns {Promise<Record<Name, Sample[]>>}
 */
export async function inTurn(count, takers) {
  const entries = /** @type {[Name, () => Promise<Sample>][]} */ (Object.entries(takers));
  /** @type {Map<Name, Sample[]>} */
  const samples = new Map(entries.map(([name]) => [name, []]));
  for (let round = 0; round < count; ++round) {
    for (const [name, take] of shuffled(entries)) samples.get(name)?.push(await take());
  }
  return /** @type {Record<Name, Sample[]>} */ (Object.fromEntries(samples));
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

/** For so long a process has to use no CPU time to be at rest. */
const kRestMs = 20;
/** One that never rests (a timer of its own) is taken as it is. */
const kRestMsMax = 2000;

/** What is looked at of a process from outside. @param {number} pid */
export function processFigures(pid) {
  const cpu = () => cpuMicroseconds(pid);
  return {
    cpu,
    cpuAtRest: async () => {
      const begin = performance.now();
      for (let last = -1, now = cpu(); ; last = now, now = cpu()) {
        if (now === last || performance.now() - begin > kRestMsMax) return now;
        await new Promise((resolve) => { setTimeout(resolve, kRestMs); });
      }
    },
    resident: () => {
      const found = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
      return Number(found?.[1]) * 1024;
    },
  };
}
