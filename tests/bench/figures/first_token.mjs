/**
 * What a client waits longer for the first token than through a Worker that passes everything on.
 * The provider answers at once; each request comes alone, on a connection of its own.
 */

import { Stop } from '../../../scripts/lib/terminal.mjs';
import { askSpillway, askYardstick, firstWord } from '../asks.mjs';
import { Conversation } from '../client.mjs';
import { compared, inTurn, summarize } from '../measure.mjs';

const answer = { tokens: 4, interval_ms: 1 };

/** @type {import('../bench.mjs').Figure} */
export const firstToken = {
  name: 'first-token',
  about: 'Added time to first token over native passthrough, workerd',
  async measure(setting) {
    const turns = setting.count(120);
    let left = turns * 4;
    /** @param {import('../setting.mjs').WorkerName} name @param {import('../asks.mjs').Ask} ask */
    const taker = (name, ask) => async () => {
      left -= 1;
      setting.progress(`${left} requests left`);
      const { port } = await setting.worker(name);
      const conversation = new Conversation(port, ask, firstWord);
      const text = await conversation.answer;
      if (conversation.first_ms < 0) throw new Stop(`${name} sent no content: ${text}`);
      return conversation.first_ms;
    };
    const takers = {
      nativeOpenai: taker('native', askYardstick('openai', answer)),
      spliced: taker('spillway', askSpillway('openai', answer)),
      nativeAnthropic: taker('native', askYardstick('anthropic', answer)),
      translated: taker('spillway', askSpillway('anthropic', answer)),
    };
    // The first requests compile what the later ones run.
    left += 4 * 10;
    await inTurn(10, takers);
    const times = await inTurn(turns, takers);
    const added = (/** @type {number} */ a, /** @type {number} */ b) => a - b;
    return [
      {
        label: 'OpenAI → OpenAI', unit: 'ms', target: 2,
        summary: compared(times.spliced, times.nativeOpenai, added),
      },
      {
        label: 'Anthropic → OpenAI', unit: 'ms', target: 2,
        summary: compared(times.translated, times.nativeAnthropic, added),
      },
      {
        label: 'time to first token through native passthrough', unit: 'ms',
        summary: summarize(times.nativeOpenai),
      },
    ];
  },
};
