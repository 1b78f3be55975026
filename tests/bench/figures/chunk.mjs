/** The core alone: what a chunk of 250 bytes costs when no stream is in the way. */

import {
  added, disturbances, inTurn, kUndisturbed, summarizeUndisturbed,
} from '../measure.mjs';

/** @type {[way: import('../samples/core_host.mjs').Way, about: string][]} */
const ways = [
  ['translate', 'Anthropic → OpenAI'],
  ['repair', 'OpenAI → OpenAI, repaired'],
  ['relay', 'OpenAI → OpenAI, relayed'],
  ['splice', 'OpenAI → OpenAI, the copy of a spliced one'],
];

/** @typedef {{ piece: number, pieces: number[], probes: number[] }} Sample */

/** Chunks that begin a stream in a new instance: V8 compiles what they touch. */
const FIRST = 1000;
/** Chunks until V8 has optimized what is used, and as many again to measure. */
const WARM_UP = 40_000;

/** @typedef {Sample & { disturbance: number[] }} JudgedSample  of each piece */

/** Two before it and two behind: what lasts so long has hardly been interrupted in the middle. */
const PROBES_OF_A_PIECE = 4;

/**
 * Judges pieces by the probes around them; gives them from `begin` on.
 * @param {Record<string, Sample[]>} samples  by way: all have the same quickest probe
 * @param {number} [begin]
 */
function judged(samples, begin = 0) {
  const all = Object.values(samples).flat();
  const probes = all.map((sample) => sample.probes.slice(begin));
  const disturbance = disturbances(probes.flat());
  /** @type {Map<Sample, JudgedSample>} */
  const known = new Map();
  let at = 0;
  for (const sample of all) {
    const pieces = sample.pieces.slice(begin);
    const begun = at;
    at += sample.probes.length - begin;
    known.set(sample, {
      ...sample,
      pieces,
      disturbance: pieces.map((_, index) => Math.max(
        ...disturbance.slice(begun + index, begun + index + PROBES_OF_A_PIECE))),
    });
  }
  return (/** @type {string} */ way) =>
    samples[way].map((sample) => /** @type {JudgedSample} */ (known.get(sample)));
}

/** Each piece by itself, for what they touch first is compiled. @param {JudgedSample[]} samples */
function firstOf(samples) {
  return added(samples[0].pieces.map((_, index) => summarizeUndisturbed(
    // Milliseconds for all pieces of a thousand together are microseconds for each.
    samples.map(({ pieces }) => pieces[index]),
    samples.map(({ disturbance }) => disturbance[index]))));
}

/** All pieces alike. @param {JudgedSample[]} samples */
function warmOf(samples) {
  const times = samples.flatMap(({ piece, pieces }) => pieces.map((ms) => ms * 1000 / piece));
  const disturbance = samples.flatMap((sample) => sample.disturbance);
  const undisturbed = disturbance.filter((each) => each <= kUndisturbed).length;
  return {
    summary: summarizeUndisturbed(times, disturbance),
    percent: Math.round(undisturbed / times.length * 100),
  };
}

/** @type {import('../bench.mjs').Figure} */
export const chunk = {
  name: 'chunk',
  about: 'The core alone, per 250-byte chunk, Node 24',
  async measure(setting) {
    /** @param {number} count @param {number} chunks @returns {Promise<Record<string, Sample[]>>} */
    const take = (count, chunks) => {
      let left = count * ways.length;
      return inTurn(count, Object.fromEntries(ways.map(([way]) => [way, () => {
        setting.progress(`${chunks} chunks: ${left--} left`);
        return setting.sample('chunks.mjs', setting.module, setting.probe, way, String(chunks));
      }])));
    };
    const firstFor = judged(await take(setting.count(120), FIRST));
    const warm = await take(setting.count(12), 2 * WARM_UP);
    const warmFor = judged(warm, warm[ways[0][0]][0].pieces.length / 2);
    return ways.flatMap(([way, about]) => {
      const { summary, percent } = warmOf(warmFor(way));
      return [
        { label: `${about}: warm (${percent} % undisturbed)`, unit: 'µs', target: 1, summary },
        {
          label: `${about}: the first thousand`, unit: 'µs', target: 5,
          summary: firstOf(firstFor(way)),
        },
      ];
    });
  },
};
