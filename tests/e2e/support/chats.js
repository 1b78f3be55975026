/**
 * What the tests ask for and how they look at the answers: engines of the simulator whose names no
 * other test uses, the `openai` client's stream gathered to its end, and the headers read.
 *
 * The names matter: the Worker remembers which engine failed, and tests run side by side.
 */

import assert from 'node:assert/strict';
import { startSimulator } from '../../../scripts/simulator/server.mjs';
import { numberedWords } from '../../../scripts/simulator/model.mjs';
import { Feed } from './feed.js';

/** @import OpenAI from 'openai' */
/** @import { ChatCompletion, ChatCompletionChunk } from 'openai/resources/chat/completions' */

export const DIALECTS = /** @type {const} */ (['openai', 'anthropic', 'gemini']);
/** @typedef {typeof DIALECTS[number]} Dialect */

/** The ways an answer is passed on, each with a dialect that leads to it. */
export const MODES = /** @type {const} */ ([
  { mode: 'splice', dialect: 'openai', include_usage: true },
  { mode: 'relay', dialect: 'openai', include_usage: false },
  { mode: 'translate', dialect: 'anthropic', include_usage: true },
  { mode: 'translate', dialect: 'gemini', include_usage: false },
]);

/** @typedef {import('../../../scripts/simulator/server.mjs').Simulator} Simulator */
/** @typedef {ReturnType<Simulator['log']>[number]} Exchange */

/**
 * The simulator, with the exchanges that are over.
 * @param {Parameters<typeof startSimulator>[0]} [options]
 */
export async function startUpstream(options) {
  /** @type {Feed<Exchange>} */
  const over = new Feed();
  const simulator = await startSimulator({ ...options, on_exchange: (entry) => over.push(entry) });
  return {
    ...simulator,
    over,
    /** All exchanges of an engine so far. @param {string} model */
    of: (model) => simulator.log().filter((entry) => entry.model === model),
  };
}

let serial = 0;

/**
 * An engine that no other test asks.
 * @param {Dialect} dialect
 * @param {string} [args]  of the simulator: `fault=cut&after=3`
 */
export function engineOf(dialect, args = '') {
  const name = `engine${++serial}`;
  const model = args === '' ? name : `${name}?${args}`;
  return { id: `sim-${dialect}:${model}`, model, name };
}

/** One that is healthy and says a text that only it can have said. @param {Dialect} dialect */
export function healthyOf(dialect, tokens = 8) {
  const engine = engineOf(dialect, `tokens=${tokens}`);
  return { ...engine, text: numberedWords(engine.name, tokens).join('') };
}

/** @param {string} content */
export const user = (content) => ({ role: 'user', content });

/**
 * @typedef {Record<string, any>} Body  fields that the client's types do not know, too
 * @typedef {AsyncIterable<ChatCompletionChunk> & { controller: AbortController }} Chunks
 * @typedef {ChatCompletionChunk.Choice.Delta & { reasoning_content?: string }} Delta
 */

/**
 * Asks without streaming.
 * @param {OpenAI} client @param {Body} body
 */
export async function ask(client, body) {
  const { data, response } = await client.chat.completions
    .create(/** @type {any} */ ({ messages: [user('Hello')], ...body })).withResponse();
  const completion = /** @type {ChatCompletion} */ (data);
  const [{ message, finish_reason: finish }] = completion.choices;
  return {
    completion, headers: response.headers, finish,
    text: message.content ?? '',
    reasoning: /** @type {any} */ (message).reasoning_content ?? '',
    calls: message.tool_calls ?? [],
    usage: completion.usage,
  };
}

/** Starts a stream. @param {OpenAI} client @param {Body} body @param {object} [options] */
export async function open(client, body, options) {
  const { data, response } = await client.chat.completions.create(
    /** @type {any} */ ({ messages: [user('Hello')], ...body, stream: true }), options,
  ).withResponse();
  const chunks = /** @type {Chunks} */ (/** @type {unknown} */ (data));
  return { chunks, headers: response.headers };
}

/**
 * Reads a stream to its end. What it breaks off with is in `error`, with all that came before.
 * @param {OpenAI} client @param {Body} body
 */
export async function stream(client, body) {
  const { chunks, headers } = await open(client, body);
  const answer = {
    headers, text: '', reasoning: '', deltas: 0,
    finish: /** @type {string | null} */ (null),
    usage: /** @type {OpenAI.CompletionUsage | null | undefined} */ (undefined),
    calls: /** @type {{ id: string, type: string,
      function: { name: string, arguments: string } }[]} */ ([]),
    chunks: /** @type {ChatCompletionChunk[]} */ ([]),
    error: /** @type {any} */ (undefined),
  };
  try {
    for await (const chunk of chunks) {
      answer.chunks.push(chunk);
      answer.usage = chunk.usage ?? answer.usage;
      // A provider of the client's own dialect may send what nobody knows; it passes as it is.
      const [choice] = chunk.choices ?? [];
      if (!choice) continue;
      assert.equal(answer.finish, null, 'nothing comes after the finish reason');
      const delta = /** @type {Delta} */ (choice.delta);
      answer.deltas += delta.content ? 1 : 0;
      answer.text += delta.content ?? '';
      answer.reasoning += delta.reasoning_content ?? '';
      for (const call of delta.tool_calls ?? []) {
        const known = answer.calls[call.index] ??= {
          id: '', type: 'function', function: { name: '', arguments: '' },
        };
        known.id += call.id ?? '';
        known.function.name += call.function?.name ?? '';
        known.function.arguments += call.function?.arguments ?? '';
      }
      answer.finish = choice.finish_reason ?? answer.finish;
    }
  } catch (error) {
    answer.error = error;
  }
  return answer;
}

/**
 * x-spillway-attempts: `a:b=rate_limited;12ms, c:d=ok`
 * @param {Headers} headers
 */
export function attemptsOf(headers) {
  const attempts = headers.get('x-spillway-attempts')?.split(', ') ?? [];
  return attempts.map((text) => {
    const [, engine, outcome] = /^(.*)=([a-z_]+)(?:;\d+ms)?$/.exec(text) ?? [text, '', text];
    return [decodeURIComponent(engine), outcome];
  });
}

/** @param {Headers} headers */
export const engineOfAnswer = (headers) =>
  decodeURIComponent(headers.get('x-spillway-engine') ?? '');
