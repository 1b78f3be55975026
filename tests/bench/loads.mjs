/**
 * Many streams through each contestant in turn, and what an event costs and how late it comes.
 *
 * CPU time of the server process, on all its threads, from rest to rest, less that of the same
 * streams with answers of a few tokens: so what a request costs once is not in it, and nobody gains
 * who reads ahead of the client. Every event comes in a write of its own, so that each is a read of
 * its own in the server, unless that has fallen behind. Lag is from before the provider hands an
 * event to the kernel to when the client has it, of every event of a run; each run gives its median
 * and its 99th percentile.
 */

import { Stop } from '../../scripts/lib/terminal.mjs';
import { firstWord, lastWord } from './asks.mjs';
import { converseAll } from './client.mjs';
import { jiffies, shareOfOthers } from './machine.mjs';
import { inTurn, percentile } from './measure.mjs';

/**
 * @typedef {object} Load
 * @property {string} name
 * @property {string} about
 * @property {number} streams
 * @property {number} tokens
 * @property {number} interval_ms
 * @property {number} turns
 *
 * CPU per event, or of all of them.
 * @typedef {{ cpu_us: number, lag_ms?: { p50: number, p99: number } }} Run
 *
 * @typedef {object} Measured
 * @property {Record<string, Run[]>} runs  by the name of the contestant
 * @property {number} others
 */

/** Measured in this order: the later ones find what the first has warmed up. @type {Load[]} */
export const loads = [
  {
    name: 'full', about: '8 streams at full speed',
    streams: 8, tokens: 2000, interval_ms: 0, turns: 5,
  },
  {
    name: 'pace', about: '60 streams × 50 tokens/s',
    streams: 60, tokens: 200, interval_ms: 20, turns: 3,
  },
  {
    name: 'fast', about: '8 streams × 1000 tokens/s',
    streams: 8, tokens: 2000, interval_ms: 1, turns: 3,
  },
];

/** When each word of a stream arrived. @param {string} word @param {number} tokens */
function arrivals(word, tokens) {
  const times = new Float64Array(tokens);
  // A number at the end of a piece may go on in the next one: that word is not counted.
  const pattern = new RegExp(`\\b${word}-(\\d+)(?=\\D)`, 'g');
  const look = (/** @type {Buffer} */ piece) => {
    const now = Number(process.hrtime.bigint());
    for (const [, n] of piece.toString('latin1').matchAll(pattern)) times[Number(n)] ||= now;
  };
  return { times, look };
}

/**
 * @param {Record<string, number[]>} written @param {Map<string, Float64Array>} arrived
 * @param {Load} load
 */
function lagOf(written, arrived, { streams, tokens }) {
  /** @type {number[]} */
  const lags = [];
  for (const [word, times] of arrived) {
    for (const [n, at] of (written[word] ?? []).entries()) {
      if (times[n] > 0) lags.push((times[n] - at) / 1e6);
    }
  }
  if (lags.length < streams * tokens * 0.9 && tokens > kFewTokens) {
    throw new Stop('too few words were seen to arrive');
  }
  return { p50: percentile(lags, 0.5), p99: percentile(lags, 0.99) };
}

/** In answers that have little but a beginning and an end. */
const kFewTokens = 4;

/**
 * @param {import('./setting.mjs').Setting} setting
 * @param {import('./contestants.mjs').Contestant} contestant @param {Load} load
 * @returns {Promise<Run>}
 */
async function run(setting, contestant, load) {
  const few = await converse(setting, contestant, { ...load, tokens: kFewTokens });
  const all = await converse(setting, contestant, load);
  const events = load.streams * (load.tokens - kFewTokens);
  return { cpu_us: (all.cpu_us - few.cpu_us) / events, lag_ms: all.lag_ms };
}

/**
 * All of the process's CPU time for it, from rest to rest.
 * @param {import('./setting.mjs').Setting} setting
 * @param {import('./contestants.mjs').Contestant} contestant @param {Load} load
 * @returns {Promise<Run>}
 */
async function converse(setting, { server, ask }, load) {
  const { streams, tokens, interval_ms } = load;
  const upstream = await setting.upstream();
  const { port, cpuAtRest } = await setting.server(server);
  /** @type {Map<string, Float64Array>} */
  const arrived = new Map();
  const all = Array.from({ length: streams }, (_, index) => {
    const answer = { tokens, interval_ms, word: `sea${index}` };
    const { times, look } = arrivals(answer.word, tokens);
    arrived.set(answer.word, times);
    return {
      ask: ask(answer, upstream.url), first: firstWord(answer), last: lastWord(answer),
      look: interval_ms > 0 ? look : undefined,
    };
  });
  const before = await cpuAtRest();
  if (interval_ms > 0) upstream.note();
  await converseAll(port, all, interval_ms);
  const cpu_us = await cpuAtRest() - before;
  if (interval_ms === 0) return { cpu_us };
  return { cpu_us, lag_ms: lagOf(await upstream.written(), arrived, load) };
}

/** @type {WeakMap<import('./setting.mjs').Setting, Map<string, Promise<Measured>>>} */
const known = new WeakMap();

/**
 * Once for all figures. @param {import('./setting.mjs').Setting} setting @param {Load} load
 * @returns {Promise<Measured>}
 */
export function measureLoad(setting, load) {
  const measured = known.get(setting) ?? new Map();
  known.set(setting, measured);
  if (!measured.has(load.name)) measured.set(load.name, take(setting, load));
  return measured.get(load.name);
}

/**
 * @param {import('./setting.mjs').Setting} setting @param {Load} load @returns {Promise<Measured>}
 */
async function take(setting, load) {
  const turns = setting.count(load.turns);
  const warmUps = load.interval_ms > 0 ? 0 : 1;
  let left = setting.contestants.length * (turns + warmUps);
  const takers = Object.fromEntries(setting.contestants.map((contestant) =>
    [contestant.name, () => {
      setting.progress(`${load.about}, ${contestant.name}: ${left} runs left`);
      left -= 1;
      return run(setting, contestant, load);
    }]));
  await inTurn(warmUps, takers); // compiles what the later ones run
  const before = jiffies();
  const runs = await inTurn(turns, takers);
  return { runs, others: shareOfOthers(before, jiffies()) };
}
