/**
 * Short answers, 64 at a time: how many requests a second, and what one costs the server in all:
 * connection, head, config, upstream request, log line. Client and provider share the machine.
 */

import { firstWord, lastWord } from '../asks.mjs';
import { Conversation, expectWhole } from '../client.mjs';
import { inTurn, summarize } from '../measure.mjs';

const kAtOnce = 64;
const kRequests = 640;
const answer = { tokens: 4 };

/** @param {number} port @param {import('../client.mjs').Ask} ask @param {number} count */
async function ask(port, ask, count) {
  let left = count;
  const client = async () => {
    while (left > 0) {
      left -= 1;
      expectWhole(await new Conversation(port, ask, firstWord()).answer, lastWord(answer));
    }
  };
  await Promise.all(Array.from({ length: kAtOnce }, client));
}

/** @type {import('../bench.mjs').Figure} */
export const capacity = {
  name: 'capacity',
  about: `Answers of 4 tokens, ${kAtOnce} at a time`,
  async measure(setting) {
    const { url } = await setting.upstream();
    const turns = setting.count(5);
    let left = setting.contestants.length * (turns + 1);
    const takers = Object.fromEntries(setting.contestants.map(({ name, server, ...contestant }) =>
      [name, async () => {
        setting.progress(`${name}: ${left} runs left`);
        left -= 1;
        const { port, cpuAtRest } = await setting.server(server);
        const before = await cpuAtRest();
        const begin = performance.now();
        await ask(port, contestant.ask(answer, url), kRequests);
        const seconds = (performance.now() - begin) / 1000;
        return {
          rate: kRequests / seconds, cpu_ms: (await cpuAtRest() - before) / kRequests / 1000,
        };
      }]));
    await inTurn(1, takers); // compiles what the later ones run
    const runs = await inTurn(turns, takers);
    return setting.contestants.flatMap(({ name, about }) => [
      {
        label: `${about}, a second`, unit: '/s',
        summary: summarize(runs[name].map(({ rate }) => rate)),
        cell: { contestant: name, column: 'requests' },
      },
      {
        label: `${about}, CPU of one`, unit: 'ms',
        summary: summarize(runs[name].map(({ cpu_ms }) => cpu_ms)),
        cell: { contestant: name, column: 'request-cpu' },
      },
    ]);
  },
};
