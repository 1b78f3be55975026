/**
 * What an answer costs whose client does not stream, 32 at a time: CPU of the server process, and
 * answers a second. Client and provider share the machine.
 *
 * The provider streams it, an event a write; who asks for a whole body gets one at once. The floor
 * of the first is a Worker that waits for response.text(), that of the second one native
 * passthrough.
 */

import { Stop } from '../../../scripts/lib/terminal.mjs';
import {
  askPortkey, askSpillway, askYardstick, lastWord, notStreamed, wholeUpstream,
} from '../asks.mjs';
import { Conversation } from '../client.mjs';
import { compared, inTurn, summarize } from '../measure.mjs';

/** @typedef {import('../asks.mjs').Answer} Answer */

const kAtOnce = 32;
const kTurns = 5;

/** @type {{ name: string, answer: Answer, requests: number }[]} */
const loads = [
  { name: '50 tokens', answer: { tokens: 50 }, requests: 640 },
  { name: '500 tokens', answer: { tokens: 500 }, requests: 128 },
  { name: '50 tokens at 50/s', answer: { tokens: 50, interval_ms: 20 }, requests: 160 },
];

/**
 * @type {{ name: string, about: string, server: import('../setting.mjs').ServerName,
 *   ask: (answer: Answer, upstream: string) => import('../client.mjs').Ask }[]}
 */
const asked = [
  {
    name: 'text', about: 'JavaScript: response.text() of a stream', server: 'text',
    ask: (answer) => askYardstick('openai', answer),
  },
  {
    name: 'native', about: 'native passthrough of a whole body', server: 'native',
    ask: (answer) => notStreamed(askYardstick('openai', answer)),
  },
  {
    name: 'stream', about: 'Spillway', server: 'spillway',
    ask: (answer) => notStreamed(askSpillway('openai', answer)),
  },
  {
    name: 'whole', about: 'Spillway, whole', server: 'spillway',
    ask: (answer) => wholeUpstream(askSpillway('openai', answer)),
  },
  {
    name: 'node-stream', about: 'Spillway on Node', server: 'spillway-node',
    ask: (answer) => notStreamed(askSpillway('openai', answer)),
  },
  {
    name: 'node-whole', about: 'Spillway on Node, whole', server: 'spillway-node',
    ask: (answer) => wholeUpstream(askSpillway('openai', answer)),
  },
  {
    name: 'portkey', about: 'Portkey on Node, whole', server: 'portkey',
    ask: (answer, upstream) => notStreamed(askPortkey('openai', answer, upstream)),
  },
];

/**
 * Whose CPU is divided by whose, and what the quotient may be, by load.
 * @type {{ label: string, over: [string, string], targets: Record<string, number> }[]}
 */
const quotients = [
  {
    label: 'Spillway over response.text()', over: ['stream', 'text'],
    targets: { '50 tokens': 1.3, '500 tokens': 1.3 },
  },
  {
    label: 'Spillway, whole, over native', over: ['whole', 'native'],
    targets: { '50 tokens': 3, '500 tokens': 3 },
  },
  {
    label: 'Spillway, whole, over Portkey', over: ['whole', 'portkey'],
    targets: { '50 tokens': 1, '500 tokens': 1 },
  },
  {
    label: 'Spillway on Node over Portkey', over: ['node-stream', 'portkey'],
    targets: { '50 tokens': 1 },
  },
  {
    label: 'Spillway on Node, whole, over Portkey', over: ['node-whole', 'portkey'],
    targets: {},
  },
];

/**
 * @param {number} port @param {import('../client.mjs').Ask} ask @param {string} last
 * @param {number} count
 */
async function converse(port, ask, last, count) {
  let left = count;
  const client = async () => {
    while (left > 0) {
      left -= 1;
      const text = await new Conversation(port, ask, last).answer;
      if (!text.startsWith('HTTP/1.1 200') || !text.includes(last)) {
        throw new Stop(`an answer is not whole: ${text.slice(0, 1000)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: kAtOnce }, client));
}

/**
 * @typedef {{ cpu_ms: number, rate: number }} Run
 * @param {import('../setting.mjs').Setting} setting @param {typeof loads[number]} load
 * @returns {Promise<Record<string, Run[]>>}
 */
async function take(setting, { name, answer, requests }) {
  const { url } = await setting.upstream();
  const present = asked.filter(({ server }) => server !== 'portkey'
    || setting.contestants.some((contestant) => contestant.server === server));
  const turns = setting.count(kTurns);
  let left = (turns + 1) * present.length;
  const takers = Object.fromEntries(present.map(({ name: who, server, ask }) => [who, async () => {
    setting.progress(`${name}, ${who}: ${left} runs left`);
    left -= 1;
    const { port, cpuAtRest } = await setting.server(server);
    const before = await cpuAtRest();
    const begin = performance.now();
    await converse(port, ask(answer, url), lastWord(answer), requests);
    const seconds = (performance.now() - begin) / 1000;
    return {
      cpu_ms: (await cpuAtRest() - before) / requests / 1000, rate: requests / seconds,
    };
  }]));
  await inTurn(1, takers); // compiles what the later ones run
  return inTurn(turns, takers);
}

/** @type {import('../bench.mjs').Figure} */
export const answer = {
  name: 'answer',
  about: `Answers to clients that do not stream, ${kAtOnce} at a time`,
  async measure(setting) {
    /** @type {import('../measure.mjs').Row[]} */
    const rows = [];
    for (const load of loads) {
      const runs = await take(setting, load);
      const cpu = (/** @type {string} */ who) => runs[who].map(({ cpu_ms }) => cpu_ms);
      for (const { label, over: [above, below], targets } of quotients) {
        if (!runs[above] || !runs[below]) continue;
        rows.push({
          label: `${label}, ${load.name}`, unit: '×', target: targets[load.name],
          summary: compared(cpu(above), cpu(below), (a, b) => a / b),
        });
      }
      for (const { name, about } of asked) {
        if (!runs[name]) continue;
        rows.push({ label: `${about}, ${load.name}`, unit: 'ms', summary: summarize(cpu(name)) });
        rows.push({
          label: `${about}, ${load.name}, a second`, unit: '/s',
          summary: summarize(runs[name].map(({ rate }) => rate)),
        });
      }
    }
    return rows;
  },
};
