/** What an open stream holds of the module's memory. */

import { summarize } from '../measure.mjs';

/** @type {[way: import('../samples/core_host.mjs').Way, about: string][]} */
const ways = [
  ['splice', 'spliced'],
  ['relay', 'relayed'],
  ['repair', 'repaired'],
  ['translate', 'translated'],
];

/** @type {import('../bench.mjs').Figure} */
export const memory = {
  name: 'memory',
  about: 'Memory held per open stream in wasm',
  async measure(setting) {
    const rows = [];
    for (const [way, about] of ways) {
      setting.progress(about);
      // Bytes are counted, nothing varies: one sample.
      const { listening, answering } = await setting.sample('memory.mjs', setting.module, way);
      rows.push({
        label: `${about}`, unit: 'KB', target: 16,
        summary: summarize([answering / 1000]),
      }, {
        label: `${about}, before it commits, beside the request body`, unit: 'KB',
        target: 16, summary: summarize([listening / 1000]),
      });
    }
    return rows;
  },
};
