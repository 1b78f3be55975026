/**
 * What a request costs the workerd process that is not in its tokens: connection, head, config,
 * upstream request, log line. No target: `first-token` has one for what a client notices of it.
 */

import { askSpillway, askYardstick, firstWord, lastWord } from '../asks.mjs';
import { converseAll } from '../client.mjs';
import { inTurn, summarize } from '../measure.mjs';

const kRequests = 25;
const load = { streams: 4, tokens: 4, interval_ms: 0 };
const watched = { ...load, content: firstWord, last: lastWord(load) };

/** @type {import('../bench.mjs').Figure} */
export const request = {
  name: 'request',
  about: 'CPU per request with an answer of 4 tokens, workerd',
  async measure(setting) {
    const turns = setting.count(11);
    let left = 4 * (turns + 2);
    /** @param {import('../setting.mjs').WorkerName} name @param {import('../asks.mjs').Ask} ask */
    const taker = (name, ask) => async () => {
      setting.progress(`${left} runs left`);
      left -= 1;
      const worker = await setting.worker(name);
      const before = await worker.cpuAtRest();
      for (let done = 0; done < kRequests; ++done) {
        await converseAll(worker.port, ask, watched, () => {});
      }
      return (await worker.cpuAtRest() - before) / (kRequests * load.streams) / 1000;
    };
    const takers = {
      native: taker('native', askYardstick('openai', load)),
      loop: taker('loop', askYardstick('openai', load)),
      spliced: taker('spillway', askSpillway('openai', load)),
      translated: taker('spillway', askSpillway('anthropic', load)),
    };
    await inTurn(2, takers); // compiles what the later ones run
    const cpu = await inTurn(turns, takers);
    return [
      { label: 'native passthrough', unit: 'ms', summary: summarize(cpu.native) },
      { label: 'read() → write(), TransformStream', unit: 'ms', summary: summarize(cpu.loop) },
      { label: 'OpenAI → OpenAI, spliced', unit: 'ms', summary: summarize(cpu.spliced) },
      { label: 'Anthropic → OpenAI', unit: 'ms', summary: summarize(cpu.translated) },
    ];
  },
};
