/**
 * What a client waits longer for the first token than through a Worker that passes everything on.
 * The provider answers at once; each request comes alone, on a connection of its own.
 */

import { Stop } from '../../../scripts/lib/terminal.mjs';
import { askYardstick, firstWord } from '../asks.mjs';
import { Conversation } from '../client.mjs';
import {
  addedTo, disturbanceOf, inTurn, percentile, summarize, summarizeUndisturbed,
} from '../measure.mjs';

const answer = { tokens: 4, interval_ms: 1 };
const kWarmUps = 15;

/** What has a target, by contestant. @type {Record<string, number>} */
const targets = { spliced: 1, relayed: 1, translated: 1, gemini: 1 };

/** @type {import('../bench.mjs').Figure} */
export const firstToken = {
  name: 'first-token',
  about: 'Added time to first token over native passthrough',
  async measure(setting) {
    const { url } = await setting.upstream();
    const cores = await setting.cores();
    const turns = setting.count(600);
    // Each is compared with the same provider's answer passed on.
    const dialects = [...new Set(setting.contestants.map(({ provider }) => provider))];
    /** @type {[name: string, server: import('../setting.mjs').ServerName, Ask][]} */
    const asked = [
      ...dialects.map((dialect) => /** @type {[string, 'native', Ask]} */ (
        [`native ${dialect}`, 'native', askYardstick(dialect, answer)])),
      ...setting.contestants.filter(({ name }) => name !== 'native').map(({ name, server, ask }) =>
        /** @type {[string, typeof server, Ask]} */ ([name, server, ask(answer, url)])),
    ];
    let left = (turns + kWarmUps) * asked.length;
    const takers = Object.fromEntries(asked.map(([name, server, ask]) => [name, async () => {
      setting.progress(`${left} requests left`);
      left -= 1;
      const { port } = await setting.server(server);
      return cores.around(async () => {
        const conversation = new Conversation(port, ask, firstWord());
        const text = await conversation.answer;
        if (conversation.first_ms < 0) throw new Stop(`${name} sent no content: ${text}`);
        return { first_ms: conversation.first_ms };
      });
    }]));
    await inTurn(kWarmUps, takers); // compiles what the later ones run
    const samples = await inTurn(turns, takers);
    const disturbance = disturbanceOf(Object.values(samples).flat());
    const judged = Object.fromEntries(Object.entries(samples).map(([name, own], place) => [name, {
      times: own.map(({ first_ms }) => first_ms),
      disturbance: disturbance.slice(place * turns, (place + 1) * turns),
    }]));

    /** @type {import('../measure.mjs').Row[]} */
    const rows = [];
    for (const { name, about, provider } of setting.contestants) {
      const own = judged[name];
      const native = judged[`native ${provider}`];
      if (!own) continue;
      const { undisturbed, all, disturbed } = addedTo(own, native);
      rows.push(
        {
          label: `${about}, p50`, unit: 'ms', summary: undisturbed,
          cell: { contestant: name, column: 'first-p50' },
        },
        {
          // One bad moment of either is no difference of the two.
          label: `${about}, p99`, unit: 'ms',
          summary: summarize([percentile(own.times, 0.99) - percentile(native.times, 0.99)]),
          cell: { contestant: name, column: 'first-p99' },
        },
      );
      if (targets[name] === undefined) continue;
      rows.push(
        { label: about, unit: 'ms', target: targets[name], summary: undisturbed },
        {
          label: `${about}, with the ${disturbed} of ${turns} that were disturbed`, unit: 'ms',
          summary: all,
        },
      );
    }
    for (const dialect of dialects) {
      const { times, disturbance } = judged[`native ${dialect}`];
      rows.push({
        label: `through native passthrough, ${dialect}`, unit: 'ms',
        summary: summarizeUndisturbed(times, disturbance),
      });
    }
    return rows;
  },
};

/** @typedef {import('../client.mjs').Ask} Ask */
