/** How much later than the provider wrote it a client has a token. See loads.mjs. */

import { loads, measureLoad } from '../loads.mjs';
import { summarize } from '../measure.mjs';

/** @type {import('../bench.mjs').Figure} */
export const lag = {
  name: 'lag',
  about: 'From the provider\'s write of a token to its arrival, all contestants',
  async measure(setting) {
    /** @type {import('../measure.mjs').Row[]} */
    const rows = [];
    for (const load of loads.filter(({ interval_ms }) => interval_ms > 0)) {
      const { runs, others } = await measureLoad(setting, load);
      for (const { name, about } of setting.contestants) {
        for (const share of /** @type {const} */ (['p50', 'p99'])) {
          rows.push({
            label: `${about}, ${load.about}, ${share}`, unit: 'ms', others,
            summary: summarize(runs[name].map(({ lag_ms }) => lag_ms?.[share] ?? NaN)),
            cell: { contestant: name, column: `lag-${load.name}-${share}` },
          });
        }
      }
    }
    return rows;
  },
};
