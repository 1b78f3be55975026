/**
 * A new isolate in a workerd that runs: what a client waits for where a platform starts one. It
 * compiles for itself what it touches of the module: isolates of workerd share none of it.
 */

import { Stop } from '../../../scripts/lib/terminal.mjs';
import { askSpillway, askYardstick, firstWord } from '../asks.mjs';
import { Conversation } from '../client.mjs';
import { addedTo, disturbanceOf, inTurn, summarizeUndisturbed } from '../measure.mjs';

const answer = { tokens: 4 };

/** @type {import('../bench.mjs').Figure} */
export const isolate = {
  name: 'isolate',
  about: 'A new isolate to the first byte of an answer, over an empty Worker',
  async measure(setting) {
    const { port } = await setting.server('isolates');
    const cores = await setting.cores();
    const turns = setting.count(100);
    let left = 5 * (turns + 2);
    /** @param {string} worker @param {import('../client.mjs').Ask} ask */
    const taker = (worker, ask) => () => {
      setting.progress(`${left} isolates left`);
      left -= 1;
      return cores.around(async () => {
        const begin = performance.now();
        let first_ms = -1;
        const look = () => { if (first_ms < 0) first_ms = performance.now() - begin; };
        const request = { ...ask, headers: { 'x-worker': worker } };
        const text = await new Conversation(port, request, firstWord(), look).answer;
        if (!text.startsWith('HTTP/1.1 200')) throw new Stop(`${worker} refused: ${text}`);
        return { first_ms };
      });
    };
    const takers = {
      empty: taker('empty', { path: '/', body: {} }),
      flagged: taker('flagged', { path: '/', body: {} }),
      pull: taker('pull', askYardstick('openai', answer)),
      spliced: taker('spillway', askSpillway('openai', answer)),
      translated: taker('spillway', askSpillway('anthropic', answer)),
    };
    await inTurn(2, takers); // the first ones warm up the runtime itself
    const { empty, flagged, ...samples } = await inTurn(turns, takers);
    /** @param {typeof empty} taken */
    const judged = (taken) => ({
      times: taken.map(({ first_ms }) => first_ms), disturbance: disturbanceOf(taken),
    });
    // The same flags on both sides: what they spare a Worker is not Spillway's.
    const base = judged(flagged);
    const plainBase = judged(empty);
    /** @param {string} label @param {typeof empty} own @param {number} [target] */
    const rows = (label, own, target) => {
      const { undisturbed, all, disturbed } = addedTo(judged(own), base);
      return [
        { label, summary: undisturbed, unit: 'ms', target },
        {
          label: `${label}, with the ${disturbed} of ${turns} that were disturbed`,
          summary: all, unit: 'ms',
        },
      ];
    };
    return [
      ...rows('Spillway, OpenAI → OpenAI', samples.spliced, 10),
      ...rows('Spillway, Anthropic → OpenAI', samples.translated, 10),
      ...rows('JavaScript: pull() → enqueue()', samples.pull),
      {
        label: 'OpenAI → OpenAI, over an empty Worker without flags', unit: 'ms',
        summary: addedTo(judged(samples.spliced), plainBase).undisturbed,
      },
      {
        label: 'Anthropic → OpenAI, over that one', unit: 'ms',
        summary: addedTo(judged(samples.translated), plainBase).undisturbed,
      },
      {
        label: 'the empty Worker itself', unit: 'ms',
        summary: summarizeUndisturbed(base.times, base.disturbance),
      },
      {
        label: 'the one without flags', unit: 'ms',
        summary: summarizeUndisturbed(plainBase.times, plainBase.disturbance),
      },
    ];
  },
};
