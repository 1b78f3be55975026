/**
 * Who is compared: one row each. All ask the same simulated provider; clients see the same words.
 */

import { askOpenai, askPortkey, askSpillway, askYardstick } from './asks.mjs';

/** @typedef {import('./asks.mjs').Answer} Answer */
/** @typedef {import('./asks.mjs').Dialect} Dialect */

/**
 * @typedef {object} Contestant
 * @property {string} name
 * @property {string} about
 * @property {import('./setting.mjs').ServerName} server
 * @property {Dialect} provider  what the provider speaks
 * @property {(answer: Answer, upstream: string) => import('./client.mjs').Ask} ask
 */

/** @type {Contestant[]} */
export const contestants = [
  {
    name: 'native', about: 'native passthrough', server: 'native', provider: 'openai',
    ask: (answer) => askYardstick('openai', answer),
  },
  {
    name: 'tee', about: 'native tee() and pipeTo()', server: 'tee', provider: 'openai',
    ask: (answer) => askYardstick('openai', answer),
  },
  {
    name: 'loop', about: 'JavaScript: read() → write()', server: 'loop', provider: 'anthropic',
    ask: (answer) => askYardstick('anthropic', answer),
  },
  {
    name: 'pull', about: 'JavaScript: pull() → enqueue()', server: 'pull', provider: 'anthropic',
    ask: (answer) => askYardstick('anthropic', answer),
  },
  {
    name: 'javascript', about: 'JavaScript, Anthropic → OpenAI', server: 'translate',
    provider: 'anthropic', ask: askOpenai,
  },
  {
    name: 'spliced', about: 'Spillway, OpenAI → OpenAI, spliced', server: 'spillway',
    provider: 'openai', ask: (answer) => askSpillway('openai', answer),
  },
  {
    name: 'relayed', about: 'Spillway, OpenAI → OpenAI, relayed', server: 'spillway',
    provider: 'openai', ask: (answer) => askSpillway('openai', answer, false),
  },
  {
    name: 'translated', about: 'Spillway, Anthropic → OpenAI', server: 'spillway',
    provider: 'anthropic', ask: (answer) => askSpillway('anthropic', answer),
  },
  {
    name: 'gemini', about: 'Spillway, Gemini → OpenAI', server: 'spillway',
    provider: 'gemini', ask: (answer) => askSpillway('gemini', answer),
  },
  {
    name: 'portkey', about: 'Portkey, OpenAI → OpenAI', server: 'portkey', provider: 'openai',
    ask: (answer, upstream) => askPortkey('openai', answer, upstream),
  },
  {
    name: 'portkey-anthropic', about: 'Portkey, Anthropic → OpenAI', server: 'portkey',
    provider: 'anthropic', ask: (answer, upstream) => askPortkey('anthropic', answer, upstream),
  },
  {
    name: 'ai-sdk', about: 'AI SDK, OpenAI → UI messages', server: 'ai-sdk', provider: 'openai',
    ask: askOpenai,
  },
];

/** Those that are installed apart. @type {import('./setting.mjs').ServerName[]} */
export const others = ['portkey', 'ai-sdk'];
