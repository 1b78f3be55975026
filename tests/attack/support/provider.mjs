/**
 * The provider of the attacks: an HTTP server on 127.0.0.1 that says whatever an attack wants said.
 * Each attack has a folder of its own in the address, so that what it was asked is told apart.
 */

import { once } from 'node:events';
import { createServer } from 'node:http';

/**
 * @typedef {object} Asked  one request to a provider
 * @property {string} path     behind the attack's folder, as it came
 * @property {import('node:http').IncomingHttpHeaders} headers
 * @property {string} text     the body
 * @property {any} body        the same, read
 * @property {string} model    what it asks for, in whatever dialect
 * @property {string} key      the key it shows
 *
 * @typedef {object} Said
 * @property {number} [status]
 * @property {Record<string, string>} [headers]
 * @property {string} body
 *
 * Gives what is to be said, or says it by itself.
 * @typedef {(asked: Asked, reply: import('node:http').ServerResponse)
 *   => Said | void | Promise<Said | void>} Serve
 */

/** @param {import('node:http').IncomingHttpHeaders} headers */
const keyIn = (headers) => String(
  headers.authorization ?? headers['x-api-key'] ?? headers['x-goog-api-key'] ?? '',
).replace(/^Bearer /, '');

/** @param {string} path @param {any} body */
function modelIn(path, body) {
  const model = /\/models\/([^?]*):(?:streamG|g)enerateContent/.exec(path)?.[1];
  return model === undefined ? String(body?.model ?? '') : model;
}

/** @param {string} text */
function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @param {(attack: string) => Serve | undefined} serveOf */
export async function startProvider(serveOf) {
  /** @type {Map<string, Asked[]>} */
  const asked = new Map();
  const of = (/** @type {string} */ attack) => {
    const list = asked.get(attack) ?? [];
    asked.set(attack, list);
    return list;
  };
  const server = createServer(async (request, reply) => {
    reply.on('error', () => {});
    try {
      const text = Buffer.concat(await request.toArray()).toString();
      const [, attack, path] = /** @type {string[]} */ (/^\/([^/]*)(.*)$/.exec(request.url ?? ''));
      const body = read(text);
      const one = {
        path, headers: request.headers, text, body,
        model: modelIn(path, body), key: keyIn(request.headers),
      };
      // Whole bodies of many megabytes are not kept.
      of(attack).push(text.length < 100_000 ? one : { ...one, text: '', body: undefined });
      const said = await serveOf(attack)?.(one, reply);
      if (said === undefined) return;
      const { status = 200, headers = {}, body: bytes } = said;
      const type = status === 200 ? 'text/event-stream' : 'application/json';
      reply.writeHead(status, { 'content-type': type, ...headers });
      reply.end(bytes);
    } catch {
      reply.destroy();
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    /** What an attack's provider was asked so far. */
    of,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** @param {unknown} data */
const event = (data) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`;

/** One chunk of an OpenAI stream. @param {string} content @param {object} [more] */
export const chunk = (content, more) => event({
  id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm',
  choices: [{ index: 0, delta: { role: 'assistant', content }, finish_reason: null }],
  ...more,
});

const END = `${event({
  id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'm',
  choices: [{ index: 0, delta: {}, finish_reason: 'stop' }],
})}${event('[DONE]')}`;

/** A whole OpenAI stream. @param {string} content @param {object} [more] @returns {Said} */
export const says = (content, more) => ({ body: chunk(content, more) + END });

/** A whole stream of Anthropic's. @param {string} text @returns {Said} */
export const saysAnthropic = (text) => ({
  body: [
    { type: 'message_start', message: {
      id: 'm1', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null,
      usage: { input_tokens: 1, output_tokens: 1 },
    } },
    { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: { output_tokens: 1 } },
    { type: 'message_stop' },
  ].map((data) => `event: ${data.type}\n${event(data)}`).join(''),
});

/** A whole stream of Gemini's. @param {string} text @returns {Said} */
export const saysGemini = (text) => ({
  body: event({
    candidates: [{ content: { role: 'model', parts: [{ text }] }, finishReason: 'STOP', index: 0 }],
    usageMetadata: { promptTokenCount: 1, candidatesTokenCount: 1, totalTokenCount: 2 },
  }),
});

/**
 * A refusal in OpenAI's shape.
 * @param {number} status @param {string} message @param {object} [more]
 * @param {Record<string, string>} [headers]
 * @returns {Said}
 */
export const refuses = (status, message, more, headers) => ({
  status, headers,
  body: JSON.stringify({ error: { message, type: 'invalid_request_error', ...more } }),
});
