/**
 * What an event costs the workerd process, on all its threads: Spillway against a Worker that does
 * less, in turn. It counts from when all streams have begun to when all have ended and the process
 * is at rest; what a request costs before its first token is in a figure of its own.
 *
 * Two loads: as fast as it goes, and as many streams as one isolate may have at a provider's pace.
 * Every event comes in a write of its own, so that each is a read of its own in the Worker.
 */

import { askSpillway, askYardstick, firstWord, lastWord } from '../asks.mjs';
import { converseAll } from '../client.mjs';
import { compared, inTurn, summarize } from '../measure.mjs';

/**
 * @typedef {object} Load
 * @property {string} about
 * @property {number} streams
 * @property {number} tokens
 * @property {number} interval_ms
 * @property {number} turns
 *
 * @typedef {object} Runner
 * @property {import('../setting.mjs').WorkerName} worker
 * @property {import('../asks.mjs').Ask} ask
 */

/**
 * The second one is measured in the processes that the first one has warmed up.
 * @type {Load[]}
 */
const loads = [
  { about: '8 streams at full speed', streams: 8, tokens: 2000, interval_ms: 0, turns: 9 },
  { about: '60 streams × 50 tokens/s', streams: 60, tokens: 200, interval_ms: 20, turns: 5 },
];

/**
 * The CPU time of one run, in microseconds per event.
 * @param {import('../setting.mjs').Setting} setting
 * @param {Runner} runner @param {Load} load
 */
async function cpuPerEvent(setting, { worker: name, ask }, load) {
  const worker = await setting.worker(name);
  const watched = { ...load, content: firstWord, last: lastWord(load) };
  const { share, seen: before } = await converseAll(worker.port, ask, watched, worker.cpu);
  return (await worker.cpuAtRest() - before) / (share * load.streams * load.tokens);
}

/**
 * @template {string} Name
 * @param {import('../setting.mjs').Setting} setting
 * @param {Load} load
 * @param {Record<Name, Runner>} runners
 */
async function measureLoad(setting, load, runners) {
  const turns = setting.count(load.turns);
  const warmUps = load.interval_ms > 0 ? 0 : 1;
  let left = Object.keys(runners).length * (turns + warmUps);
  const takers = /** @type {Record<Name, () => Promise<number>>} */ (Object.fromEntries(
    Object.entries(runners).map(([name, runner]) => [name, () => {
      setting.progress(`${load.about}, ${name}: ${left} runs left`);
      left -= 1;
      return cpuPerEvent(setting, /** @type {Runner} */ (runner), load);
    }])));
  await inTurn(warmUps, takers); // compiles what the later ones run
  return inTurn(turns, takers);
}

const over = (/** @type {number} */ a, /** @type {number} */ b) => a / b;

/** @type {import('../bench.mjs').Figure} */
export const splice = {
  name: 'splice',
  about: 'CPU per event, workerd, OpenAI → OpenAI',
  async measure(setting) {
    const rows = [];
    for (const load of loads) {
      const cpu = await measureLoad(setting, load, {
        native: { worker: 'native', ask: askYardstick('openai', load) },
        spliced: { worker: 'spillway', ask: askSpillway('openai', load) },
        relayed: { worker: 'spillway', ask: askSpillway('openai', load, false) },
      });
      rows.push(
        {
          label: `spliced over native, ${load.about}`, unit: '×',
          target: 1.6, summary: compared(cpu.spliced, cpu.native, over),
        },
        { label: '  native passthrough', unit: 'µs', summary: summarize(cpu.native) },
        { label: '  spliced', unit: 'µs', summary: summarize(cpu.spliced) },
        { label: '  relayed', unit: 'µs', summary: summarize(cpu.relayed) },
      );
    }
    return rows;
  },
};

/** @type {import('../bench.mjs').Figure} */
export const translate = {
  name: 'translate',
  about: 'CPU per event, workerd, Anthropic → OpenAI',
  async measure(setting) {
    const rows = [];
    for (const load of loads) {
      const ask = askYardstick('anthropic', load);
      const cpu = await measureLoad(setting, load, {
        loop: { worker: 'loop', ask },
        translated: { worker: 'spillway', ask: askSpillway('anthropic', load) },
        identity: { worker: 'identity', ask },
        pull: { worker: 'pull', ask },
      });
      rows.push(
        {
          label: `translated over a JS loop, ${load.about}`, unit: '×', target: 1.15,
          summary: compared(cpu.translated, cpu.loop, over),
        },
        { label: '  translated', unit: 'µs', summary: summarize(cpu.translated) },
        { label: '  read() → write(), TransformStream', unit: 'µs', summary: summarize(cpu.loop) },
        {
          label: '  read() → write(), IdentityTransformStream', unit: 'µs',
          summary: summarize(cpu.identity),
        },
        { label: '  pull() → enqueue()', unit: 'µs', summary: summarize(cpu.pull) },
      );
    }
    return rows;
  },
};
