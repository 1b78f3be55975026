/**
 * From the last byte of an engine's failing answer to the head of the request to the next engine,
 * as the provider sees it: both ways over the socket are in it.
 */

import { Stop } from '../../../scripts/lib/terminal.mjs';
import { askSpillway, firstWord } from '../asks.mjs';
import { Conversation } from '../client.mjs';
import { summarize } from '../measure.mjs';

/** @type {import('../bench.mjs').Figure} */
export const failover = {
  name: 'failover',
  about: 'Failover, workerd',
  async measure(setting) {
    const upstream = await setting.upstream();
    const worker = await setting.server('spillway');
    const { key, path, body } = askSpillway('anthropic', { tokens: 3 });
    const samples = [];
    for (let left = setting.count(80); left > 0; --left) {
      setting.progress(`${left} failovers left`);
      // Another one each time: an engine that has just failed would not be asked.
      const chain = [`sim-openai:down${left}?fault=server`, /** @type {any} */ (body).model];
      const gap = upstream.gap();
      const ask = { key, path, body: { ...body, model: chain[0], spillway: { chain } } };
      const answer = await new Conversation(worker.port, ask, firstWord()).answer;
      if (!answer.includes('[DONE]')) throw new Stop(`no failover: ${answer}`);
      samples.push(await gap);
    }
    return [{
      label: 'failing response → next upstream request sent', unit: 'ms', target: 5,
      summary: summarize(samples),
    }];
  },
};
