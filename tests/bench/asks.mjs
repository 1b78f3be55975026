/**
 * What is asked of each Worker so that the same answer of the same simulated provider comes back.
 */

import { clientKey } from './workerd.mjs';

/** @typedef {import('./client.mjs').Ask} Ask */

/**
 * How the provider writes its answer.
 * @typedef {object} Answer
 * @property {number} tokens
 * @property {number} [interval_ms]  between two tokens; 0: as fast as they are taken
 * @property {number} [size]         bytes of an event
 */

const messages = [{ role: 'user', content: 'Tell me about the sea, in many words.' }];

/** The engine's name, which is also what its words begin with. */
const engine = 'sea';

/** Every event is a write of its own, and a chunk of HTTP. @param {Answer} answer */
function modelOf({ tokens, interval_ms = 0, size = 250 }) {
  return `${engine}?tokens=${tokens}&interval_ms=${interval_ms}&size=${size}&per_write=1`;
}

/** The first word of an answer, and the one that is in no answer but a whole one. */
export const firstWord = `${engine}-0`;
/** @param {Answer} answer */
export const lastWord = ({ tokens }) => `${engine}-${tokens - 1}`;

/**
 * Of Spillway, in OpenAI's dialect.
 * @param {'openai' | 'anthropic'} provider
 * @param {Answer} answer
 * @param {boolean} include_usage  false: the usage chunk must not reach the client
 * @returns {Ask}
 */
export function askSpillway(provider, answer, include_usage = true) {
  return {
    path: '/v1/chat/completions',
    key: clientKey,
    body: {
      model: `sim-${provider}:${modelOf(answer)}`, messages, stream: true, max_tokens: 8000,
      ...(include_usage ? { stream_options: { include_usage } } : {}),
    },
  };
}

/**
 * Of a yardstick, which passes it on as it is: the provider's own dialect.
 * @param {'openai' | 'anthropic'} provider
 * @param {Answer} answer
 * @returns {Ask}
 */
export function askYardstick(provider, answer) {
  const body = { model: modelOf(answer), messages, stream: true, max_tokens: 8000 };
  return provider === 'anthropic' ? { path: '/anthropic/v1/messages', body } : {
    path: '/openai/v1/chat/completions',
    body: { ...body, stream_options: { include_usage: true } },
  };
}
