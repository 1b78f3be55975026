/** What a new isolate pays once. Each sample is the first start in a new process. */

import { summarize } from '../measure.mjs';

/** @type {import('../bench.mjs').Figure} */
export const start = {
  name: 'start',
  about: 'Start of an instance, Node 24, each in a new process',
  async measure(setting) {
    const samples = [];
    for (let left = setting.count(40); left > 0; --left) {
      setting.progress(`${left} starts left`);
      samples.push(await setting.sample('start.mjs', setting.module));
    }
    return [
      {
        label: 'instantiate + configure',
        summary: summarize(samples.map((sample) => sample.start)), unit: 'ms', target: 3,
      },
      {
        label: 'compile (an edge runtime has done it before)',
        summary: summarize(samples.map((sample) => sample.compile)), unit: 'ms',
      },
    ];
  },
};
