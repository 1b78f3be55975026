/**
 * What is asked of each contestant so that the same answer of the same simulated provider comes
 * back.
 */

import { clientKey } from './workerd.mjs';

/** @typedef {import('./client.mjs').Ask} Ask */
/** @typedef {'openai' | 'anthropic' | 'gemini'} Dialect */

/**
 * How the provider writes its answer.
 * @typedef {object} Answer
 * @property {number} tokens
 * @property {number} [interval_ms]  between two tokens; 0: as fast as they are taken
 * @property {number} [size]         bytes of an event
 * @property {string} [word]         what each word begins with, and the engine's name
 */

const content = 'Tell me about the sea, in many words.';
const messages = [{ role: 'user', content }];
const max_tokens = 8000;
const usual = { stream: true, max_tokens, stream_options: { include_usage: true } };

/** Every event is a write of its own, and a chunk of HTTP. @param {Answer} answer */
function modelOf({ tokens, interval_ms = 0, size = 250, word = 'sea' }) {
  return `${word}?tokens=${tokens}&interval_ms=${interval_ms}&size=${size}&per_write=1`;
}

/** The first word of an answer. @param {Pick<Answer, 'word'>} answer */
export const firstWord = ({ word = 'sea' } = {}) => `${word}-0`;
/** The word that is in no answer but a whole one. @param {Answer} answer */
export const lastWord = ({ tokens, word = 'sea' }) => `${word}-${tokens - 1}`;

/**
 * Of Spillway, in OpenAI's dialect.
 * @param {Dialect} provider
 * @param {Answer} answer
 * @param {boolean} include_usage  false: the usage chunk must not reach the client
 * @returns {Ask}
 */
export function askSpillway(provider, answer, include_usage = true) {
  const { stream_options, ...rest } = usual;
  return {
    path: '/v1/chat/completions',
    key: clientKey,
    body: {
      model: `sim-${provider}:${modelOf(answer)}`, messages, ...rest,
      ...(include_usage ? { stream_options } : {}),
    },
  };
}

/** The same for a client that does not stream. @param {Ask} ask @returns {Ask} */
export function notStreamed({ body, ...ask }) {
  const { stream, stream_options, ...rest } = /** @type {Record<string, unknown>} */ (body);
  return { ...ask, body: rest };
}

/** Of Spillway: from a whole body of the provider's. @param {Ask} ask @returns {Ask} */
export function wholeUpstream(ask) {
  const { body, ...rest } = notStreamed(ask);
  return { ...rest, body: { ...body, spillway: { upstream: 'whole' } } };
}

/**
 * Of a yardstick, which passes it on as it is: the provider's own dialect.
 * @param {Dialect} provider
 * @param {Answer} answer
 * @returns {Ask}
 */
export function askYardstick(provider, answer) {
  const model = modelOf(answer);
  switch (provider) {
    case 'openai': return {
      path: '/openai/v1/chat/completions', body: { model, messages, ...usual },
    };
    case 'anthropic': return {
      path: '/anthropic/v1/messages', body: { model, messages, stream: true, max_tokens },
    };
    case 'gemini': return {
      path: `/gemini/v1beta/models/${encodeURIComponent(model)}:streamGenerateContent?alt=sse`,
      body: {
        contents: [{ role: 'user', parts: [{ text: content }] }],
        generationConfig: { maxOutputTokens: max_tokens },
      },
    };
  }
}

/** Of whoever takes OpenAI's request. @param {Answer} answer @returns {Ask} */
export const askOpenai = (answer) =>
  ({ path: '/v1/chat/completions', body: { model: modelOf(answer), messages, ...usual } });

/**
 * Of Portkey's gateway, which is told with each request where to ask.
 * @param {'openai' | 'anthropic'} provider @param {Answer} answer @param {string} upstream
 * @returns {Ask}
 */
export const askPortkey = (provider, answer, upstream) => ({
  ...askOpenai(answer),
  key: 'test-key',
  headers: {
    'x-portkey-provider': provider, 'x-portkey-custom-host': `${upstream}/${provider}/v1`,
  },
});
