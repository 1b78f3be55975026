/**
 * Spillway's shim: it lends the WebAssembly core `fetch`, streams and timers, and nothing else.
 *
 *   const spillway = createSpillway({ module, config, env: process.env });
 *   return spillway.fetch(request, ctx);                       // serve HTTP
 *   const { text } = await spillway.chat({ messages, route }); // or call it from code
 *   for await (const delta of text) process.stdout.write(delta);
 *
 * The core decides, the shim moves bytes: paths, keys, CORS, retries and wire formats are not known
 * here. The same files run in Node, Deno, Bun, workerd and Next's edge runtime; the entry of each
 * (node.js, workerd.js …) only brings `module` and `env`. How bytes move is told in core.js.
 */

import { Core, SpillwayConfigError } from './core.js';
import { SpillwayError, answerOf, errorOf } from './answer.js';
import { join } from './upstream.js';

export { SpillwayConfigError, SpillwayError };

/** A body that is too long is read to its end, and dropped, if that comes within this length. */
const DROPPED_BYTES_MAX = 64 * 1024 * 1024;
/** The core accepts more than that. */
const READ_AT_ONCE_BYTES_MAX = 1024 * 1024;

const encoder = new TextEncoder();

/** @import { LogLevel, Spillway, SpillwayOptions } from './spillway.d.ts' */

/**
 * Throws SpillwayConfigError when the core refuses the config.
 * @param {SpillwayOptions} options
 * @returns {Spillway}
 */
export function createSpillway(options) {
  const { module, log = print, local } = options;
  if (!module) throw new TypeError('createSpillway: `module` must be a WebAssembly.Module');
  const env = /** @type {Record<string, unknown>} */ (options.env ?? {});
  // Looked up per call: frameworks replace the global one after this file is loaded.
  const upstream = options.fetch ?? ((url, init) => globalThis.fetch(url, init));
  const configuration = configurationOf(options.config, env);
  const hashed = String(env.SPILLWAY_KEYS).includes('sha256:');

  /** @type {Core | undefined} */ let core;
  const live = () => (core && !core.broken ? core
    : (core = new Core(module, configuration, upstream, log)));
  live();

  return {
    async fetch(request, ctx) {
      const headers = Object.fromEntries(request.headers);
      let body;
      try {
        body = await readBody(request, live());
      } catch {
        return brokenOff();
      }
      const head = {
        method: request.method, url: request.url, headers,
        local: !!local?.(request), trusted: false,
        key_sha256: hashed ? await digestOf(headers) : undefined,
      };
      // A `fetch` of the caller's may give bodies that the runtime cannot pipe by itself.
      return live().open(head, body, !options.fetch, request, ctx);
    },

    async chat({ route, model = route, stream_options, signal, ...rest }, ctx) {
      signal?.throwIfAborted();
      const head = {
        method: 'POST', url: 'https://spillway.internal/v1/chat/completions',
        headers: { 'content-type': 'application/json' }, local: false, trusted: true,
      };
      const body = encoder.encode(JSON.stringify({
        ...rest, model, stream: true, stream_options: { ...stream_options, include_usage: true },
      }));
      // Not piped natively: the bytes are wanted in JavaScript anyway.
      const response = await live().open(head, body, false, { signal }, ctx);
      signal?.throwIfAborted();
      if (!response.ok) throw await errorOf(response);
      return answerOf(response);
    },
  };
}

/**
 * @param {SpillwayOptions['config']} config
 * @param {Record<string, unknown>} env
 */
function configurationOf(config, env) {
  const texts = [];
  for (const text of [config ?? []].flat()) {
    texts.push(typeof text === 'string' ? text : JSON.stringify(text));
  }
  /** @type {Record<string, string>} */
  const strings = {};
  // Of Workers' `env`, a Proxy, Object.keys() would ask for each property's descriptor too.
  for (const name of Reflect.ownKeys(env)) {
    const value = env[/** @type {string} */ (name)];
    if (typeof value === 'string') strings[/** @type {string} */ (name)] = value;
  }
  return encoder.encode(JSON.stringify({ config: texts, env: strings }));
}

/**
 * The whole body, or null when it is longer than the core accepts.
 * @param {Request} request
 * @param {Core} core
 */
async function readBody(request, core) {
  if (!request.body) return new Uint8Array();
  const announced = Number(request.headers.get('content-length')) || 0;
  // Of an honest length all is read at once: that is one turn of the runtime, not one a chunk.
  if (announced > 0 && announced <= READ_AT_ONCE_BYTES_MAX) {
    return new Uint8Array(await request.arrayBuffer());
  }
  return readChunks(request.body, core, announced);
}

/**
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @param {Core} core
 * @param {number} announced  0: no length was
 */
async function readChunks(body, core, announced) {
  const reader = body.getReader();
  const chunks = [];
  let length = 0;
  while (core.accepts(Math.max(length, announced))) {
    const { value, done } = await reader.read();
    if (done) return join(chunks);
    chunks.push(value);
    length += value.length;
  }
  // Many clients look for an answer only when they have sent all, and a server that cuts them off
  // meanwhile takes the refusal from them: what may end in time is read.
  chunks.length = 0;
  let left = announced > DROPPED_BYTES_MAX ? 0 : (announced || DROPPED_BYTES_MAX) - length;
  while (left > 0) {
    const { value, done } = await reader.read();
    left = done ? 0 : left - value.length;
  }
  reader.cancel().catch(() => {});
  return null;
}

function brokenOff() {
  const message = 'The request body broke off.';
  const error = { message, type: 'invalid_request_error', param: null, code: null };
  return Response.json({ error }, { status: 400 });
}

/**
 * SHA-256 of the client's key in hexadecimal digits, for a core that knows keys by their digests.
 * @param {Record<string, string>} headers
 */
async function digestOf(headers) {
  const bearer = /^bearer +(\S+)$/i.exec(headers.authorization ?? '')?.[1];
  const token = bearer ?? headers['x-api-key'] ?? headers['api-key'];
  if (!token) return undefined;
  const digest = await crypto.subtle.digest('SHA-256', encoder.encode(token));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** @param {LogLevel} level @param {string} line */
function print(level, line) {
  if (level === 'error') console.error(line);
  else if (level === 'warn') console.warn(line);
  else console.log(line);
}
