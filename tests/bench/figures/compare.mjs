/** What an event costs the server: each contestant at three loads. See loads.mjs. */

import { loads, measureLoad } from '../loads.mjs';
import { compared, summarize } from '../measure.mjs';

/**
 * Which are divided by which, and what the quotient should be, by load.
 * @type {{ label: string, over: [string, string], at_least?: boolean,
 *   targets: Record<string, number> }[]}
 */
const quotients = [
  { label: 'spliced over native', over: ['spliced', 'native'], targets: { full: 1.4, pace: 1.6 } },
  {
    label: 'Anthropic → OpenAI over read() → write()', over: ['translated', 'loop'],
    targets: { pace: 1.1, fast: 1 },
  },
  {
    label: 'Portkey over spliced', over: ['portkey', 'spliced'], at_least: true,
    targets: { full: 4, pace: 2.3 },
  },
  {
    label: 'AI SDK over spliced', over: ['ai-sdk', 'spliced'], at_least: true,
    targets: { full: 4, pace: 2.3 },
  },
  {
    label: 'Anthropic → OpenAI, JavaScript over Spillway', over: ['javascript', 'translated'],
    targets: {},
  },
];

/** @type {import('../bench.mjs').Figure} */
export const compare = {
  name: 'compare',
  about: 'CPU per event, all contestants',
  async measure(setting) {
    /** @type {import('../measure.mjs').Row[]} */
    const rows = [];
    for (const load of loads) {
      const { runs, others } = await measureLoad(setting, load);
      const cpu = Object.fromEntries(Object.entries(runs).map(([name, all]) =>
        [name, all.map(({ cpu_us }) => cpu_us)]));
      for (const { name, about } of setting.contestants) {
        rows.push({
          label: `${about}, ${load.about}`, unit: 'µs', summary: summarize(cpu[name]), others,
          cell: { contestant: name, column: `cpu-${load.name}` },
        });
      }
      for (const { label, over: [above, below], at_least, targets } of quotients) {
        if (!cpu[above] || !cpu[below]) continue;
        rows.push({
          label: `${label}, ${load.about}`, unit: '×', target: targets[load.name], at_least,
          summary: compared(cpu[above], cpu[below], (a, b) => a / b), others,
        });
      }
    }
    return rows;
  },
};
