/** What a new isolate pays once. Each sample is the first start in a new process. */

import {
  disturbanceOf, inTurn, kUndisturbed, summarize, summarizeUndisturbed,
} from '../measure.mjs';

/** @typedef {{ compile: number, start: number, probes: number[] }} Sample */

/** @type {import('../bench.mjs').Figure} */
export const start = {
  name: 'start',
  about: 'Start of an instance, Node 24, each in a new process',
  async measure(setting) {
    const count = setting.count(100);
    const probe = setting.probe;
    let left = 2 * count;
    const taker = (/** @type {string} */ way) => async () => {
      setting.progress(`${left--} starts left`);
      return /** @type {Sample} */ (await setting.sample('start.mjs', setting.module, probe, way));
    };
    const { core, shim } = await inTurn(count, { core: taker('core'), shim: taker('shim') });
    const times = (/** @type {Sample[]} */ samples) => samples.map(({ start }) => start);
    const disturbance = disturbanceOf(core);
    const disturbed = disturbance.filter((each) => each > kUndisturbed).length;
    return [
      {
        label: 'instantiate + configure',
        summary: summarizeUndisturbed(times(core), disturbance), unit: 'ms', target: 3,
      },
      {
        label: 'createSpillway(): the same, with the shim',
        summary: summarizeUndisturbed(times(shim), disturbanceOf(shim)), unit: 'ms',
      },
      {
        label: `instantiate + configure, with the ${disturbed} of ${count} that were disturbed`,
        summary: summarize(times(core)), unit: 'ms',
      },
      {
        label: 'compile (an edge runtime has done it before)',
        summary: summarize([...core, ...shim].map(({ compile }) => compile)), unit: 'ms',
      },
    ];
  },
};
