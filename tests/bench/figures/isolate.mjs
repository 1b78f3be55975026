/**
 * A new isolate in a workerd that runs: what a client waits for where a platform starts one. It
 * compiles for itself what it touches of the module: isolates of workerd share none of it.
 */

import { Stop } from '../../../scripts/lib/terminal.mjs';
import { askSpillway, askYardstick, firstWord } from '../asks.mjs';
import { Conversation } from '../client.mjs';
import { compared, inTurn, summarize } from '../measure.mjs';

const answer = { tokens: 4 };

/** @type {import('../bench.mjs').Figure} */
export const isolate = {
  name: 'isolate',
  about: 'A new isolate to the first byte of an answer, over an empty Worker',
  async measure(setting) {
    const { port } = await setting.server('isolates');
    const turns = setting.count(40);
    let left = 4 * (turns + 2);
    /** @param {string} worker @param {import('../client.mjs').Ask} ask */
    const taker = (worker, ask) => async () => {
      setting.progress(`${left} isolates left`);
      left -= 1;
      const begin = performance.now();
      let first_ms = -1;
      const look = () => { if (first_ms < 0) first_ms = performance.now() - begin; };
      const request = { ...ask, headers: { 'x-worker': worker } };
      const text = await new Conversation(port, request, firstWord(), look).answer;
      if (!text.startsWith('HTTP/1.1 200')) throw new Stop(`${worker} refused: ${text}`);
      return first_ms;
    };
    const takers = {
      empty: taker('empty', { path: '/', body: {} }),
      pull: taker('pull', askYardstick('openai', answer)),
      spliced: taker('spillway', askSpillway('openai', answer)),
      translated: taker('spillway', askSpillway('anthropic', answer)),
    };
    await inTurn(2, takers); // the first ones warm up the runtime itself
    const { empty, ...times } = await inTurn(turns, takers);
    const over = (/** @type {number[]} */ own) => compared(own, empty, (a, b) => a - b);
    const target = 10;
    return [
      { label: 'Spillway, OpenAI → OpenAI', summary: over(times.spliced), unit: 'ms', target },
      {
        label: 'Spillway, Anthropic → OpenAI', summary: over(times.translated), unit: 'ms', target,
      },
      { label: 'JavaScript: pull() → enqueue()', summary: over(times.pull), unit: 'ms' },
      { label: 'the empty Worker itself', summary: summarize(empty), unit: 'ms' },
    ];
  },
};
