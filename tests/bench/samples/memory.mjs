/**
 * What an open stream holds of the module's memory: many are opened in one instance, and its growth
 * is divided by their number. In bytes, beside the request body for as long as it is kept.
 *
 *   node memory.mjs MODULE WAY
 *
 * The memory grows in pages of 64 KB and never shrinks, so the first streams, which pay for what is
 * there once, do not count, and what a step takes and gives back counts once for all streams.
 */

import { readFileSync } from 'node:fs';
import { CoreHost, beginningFor, chunksFor, configuration, requestFor } from './core_host.mjs';

const STREAMS = 2000;
const FIRST = 100;
const TOKENS = 50;
/** A conversation of some turns. */
const BODY_BYTES = 20_000;

const [path, name] = process.argv.slice(2);
const way = /** @type {import('./core_host.mjs').Way} */ (name);
const module = new WebAssembly.Module(readFileSync(path));
const now = 1_763_800_000_000;

const request = requestFor(way);
request.messages[1].content = 'The sea. '.repeat(BODY_BYTES / 9);
const body = Buffer.byteLength(JSON.stringify(request));
const beginning = beginningFor(way);
const chunks = chunksFor(way, 250);
const half = chunks[0].subarray(0, 125);

/** @param {(host: CoreHost) => number} open  one more stream */
function growth(open) {
  const host = new CoreHost(module);
  host.configure(configuration);
  const exchanges = [];
  let before = 0;
  for (let stream = 0; stream < FIRST + STREAMS; ++stream) {
    if (stream === FIRST) before = host.wasm.memory.buffer.byteLength;
    exchanges.push(open(host));
  }
  if (host.ended) throw new Error(`a stream ended: ${host.lines.at(-1)}`);
  return (host.wasm.memory.buffer.byteLength - before) / STREAMS;
}

/** Before any content: the next engine may still be asked, so the request is kept. */
function listen(/** @type {CoreHost} */ host) {
  const exchange = host.open(now, request);
  for (const bytes of beginning) host.chunk(now, exchange, bytes);
  if (host.responded !== 0) throw new Error('it has begun to answer');
  return exchange;
}

/** In the middle of the answer, with half an event at hand. */
function answer(/** @type {CoreHost} */ host) {
  host.responded = 0;
  const exchange = listen(host);
  for (let token = 0; token < TOKENS; ++token) {
    host.chunk(now, exchange, chunks[token % chunks.length]);
  }
  host.chunk(now, exchange, half);
  if (host.responded !== 1) throw new Error(`it has not begun to answer: ${host.lines.at(-1)}`);
  return exchange;
}

process.stdout.write(JSON.stringify({
  listening: growth(listen) - body, answering: growth(answer),
}));
