/** What a new isolate pays once. Each sample is the first start in a new process. */

import { inTurn, summarize } from '../measure.mjs';

/** @type {import('../bench.mjs').Figure} */
export const start = {
  name: 'start',
  about: 'Start of an instance, Node 24, each in a new process',
  async measure(setting) {
    const count = setting.count(40);
    let left = 2 * count;
    /** @type {number[]} */
    const compile = [];
    const taker = (/** @type {string} */ way) => async () => {
      setting.progress(`${left--} starts left`);
      const sample = await setting.sample('start.mjs', setting.module, way);
      compile.push(sample.compile);
      return sample.start;
    };
    const { core, shim } = await inTurn(count, { core: taker('core'), shim: taker('shim') });
    return [
      { label: 'instantiate + configure', summary: summarize(core), unit: 'ms', target: 3 },
      { label: 'createSpillway(): the same, with the shim', summary: summarize(shim), unit: 'ms' },
      {
        label: 'compile (an edge runtime has done it before)',
        summary: summarize(compile), unit: 'ms',
      },
    ];
  },
};
