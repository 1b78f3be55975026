/** The core alone: what a chunk of 250 bytes costs when no stream is in the way. */

import { summarize } from '../measure.mjs';

/** @type {[way: import('../samples/core_host.mjs').Way, about: string][]} */
const ways = [
  ['translate', 'Anthropic → OpenAI'],
  ['repair', 'OpenAI → OpenAI, repaired'],
  ['relay', 'OpenAI → OpenAI, relayed'],
  ['splice', 'OpenAI → OpenAI, the copy of a spliced one'],
];

/** @type {import('../bench.mjs').Figure} */
export const chunk = {
  name: 'chunk',
  about: 'The core alone, per 250-byte chunk, Node 24',
  async measure(setting) {
    const rows = [];
    for (const [way, about] of ways) {
      const samples = [];
      for (let left = setting.count(9); left > 0; --left) {
        setting.progress(`${about}: ${left} left`);
        samples.push(await setting.sample('chunks.mjs', setting.module, way));
      }
      rows.push({
        label: `${about}: warm`, unit: 'µs', target: 1,
        summary: summarize(samples.map(({ warm }) => warm)),
      }, {
        label: `${about}: the first thousand`, unit: 'µs', target: 5,
        summary: summarize(samples.map(({ first }) => first)),
      });
    }
    return rows;
  },
};
