/** What a new isolate pays once. Each sample is the first start in a new process. */

import { inTurn, summarize, summarizeUndisturbed, undisturbed } from '../measure.mjs';

/** @typedef {{ compile: number, start: number, probes: number[] }} Sample */

/**
 * Of each sample, whether it was undisturbed by all its probes.
 * @param {Sample[]} samples
 */
function quietOf(samples) {
  const columns = samples[0].probes.map((_, place) =>
    undisturbed(samples.map(({ probes }) => probes[place])));
  return samples.map((_, index) => columns.every((column) => column[index]));
}

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
    const quiet = quietOf(core);
    const disturbed = quiet.filter((each) => !each).length;
    return [
      {
        label: 'instantiate + configure',
        summary: summarizeUndisturbed(times(core), quiet), unit: 'ms', target: 3,
      },
      {
        label: 'createSpillway(): the same, with the shim',
        summary: summarizeUndisturbed(times(shim), quietOf(shim)), unit: 'ms',
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
