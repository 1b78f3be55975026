/**
 * From before a process is started to the first byte of its first answer, over a workerd whose
 * Worker answers by itself. The provider is asked, warm and at once, by all but that one.
 */

import { Stop } from '../../../scripts/lib/terminal.mjs';
import { firstWord } from '../asks.mjs';
import { Conversation } from '../client.mjs';
import { compared, inTurn, summarize } from '../measure.mjs';

const answer = { tokens: 4 };

/** What has a target, by contestant. @type {Record<string, number>} */
const targets = { spliced: 10, translated: 10 };
/** Starting is the same for all ways through one server. */
const left_out = ['relayed', 'gemini', 'portkey-anthropic'];

/** @type {import('../bench.mjs').Figure} */
export const cold = {
  name: 'cold',
  about: 'A new process to the first byte of an answer, over an empty Worker',
  async measure(setting) {
    const { url } = await setting.upstream();
    const turns = setting.count(12);
    const started = setting.contestants.filter(({ name }) => !left_out.includes(name));
    let left = (turns + 1) * (started.length + 1);
    /**
     * @param {import('../setting.mjs').ServerName} server @param {import('../client.mjs').Ask} ask
     */
    const taker = (server, ask) => async () => {
      setting.progress(`${left} starts left`);
      left -= 1;
      const begin = performance.now();
      const { port, stop } = await setting.start(server);
      let first_ms = -1;
      const look = () => { if (first_ms < 0) first_ms = performance.now() - begin; };
      try {
        const text = await new Conversation(port, ask, firstWord(), look).answer;
        if (!text.startsWith('HTTP/1.1 200')) throw new Stop(`${server} refused: ${text}`);
        return first_ms;
      } finally {
        stop();
      }
    };
    const takers = {
      empty: taker('empty', { path: '/', body: {} }),
      ...Object.fromEntries(started.map(({ name, server, ask }) =>
        [name, taker(server, ask(answer, url))])),
    };
    await inTurn(1, takers); // brings the files into memory
    const times = /** @type {Record<string, number[]>} */ (await inTurn(turns, takers));

    /** @type {import('../measure.mjs').Row[]} */
    const rows = [];
    for (const { name, about } of started) {
      const added = compared(times[name], times.empty, (a, b) => a - b);
      rows.push({
        label: about, unit: 'ms', summary: added, cell: { contestant: name, column: 'cold' },
      });
      if (targets[name] === undefined) continue;
      rows.push({ label: about, unit: 'ms', target: targets[name], summary: added });
    }
    rows.push({ label: 'the empty Worker itself', unit: 'ms', summary: summarize(times.empty) });
    return rows;
  },
};
