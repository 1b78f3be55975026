/**
 * Spillway's shim: it lends the WebAssembly core `fetch`, streams and timers, and nothing else.
 *
 *   const spillway = createSpillway({ module, config, env: process.env });
 *   return spillway.fetch(request, ctx);                       // serve HTTP
 *   const { text } = await spillway.chat({ messages, route }); // or call it from code
 *   for await (const delta of text) process.stdout.write(delta);
 *
 * The core decides, the shim moves bytes: paths, keys, CORS, retries and wire formats are not known
 * here, and a request's body is read only when the core has seen its head and asks for it. The same
 * files run in Node, Deno, Bun, workerd and Next's edge runtime; the entry of each (node.js,
 * workerd.js …) only brings `module` and `env`. How bytes move is told in core.js.
 */

import { Core, SpillwayConfigError } from './core.js';
import { SpillwayError, answerOf, errorOf } from './answer.js';

export { SpillwayConfigError, SpillwayError };

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

  /** @type {Core | undefined} */ let core;
  const live = () => (core && !core.broken ? core
    : (core = new Core(module, configuration, upstream, log)));
  live();

  return {
    async fetch(request, ctx) {
      const head = {
        method: request.method, url: request.url, headers: Object.fromEntries(request.headers),
        local: !!local?.(request), trusted: false,
      };
      // A `fetch` of the caller's may give bodies that the runtime cannot pipe by itself.
      return live().open(head, request, !options.fetch, request, ctx);
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

/** @param {LogLevel} level @param {string} line */
function print(level, line) {
  if (level === 'error') console.error(line);
  else if (level === 'warn') console.warn(line);
  else console.log(line);
}
