/**
 * One sample of the core alone, in a process of its own: what chunks of 250 bytes take, in pieces
 * of fifty, in milliseconds. Two probes stand before the first piece, one between any two, and two
 * behind the last: so each piece has two before it and two behind, if not right there.
 *
 *   node chunks.mjs MODULE PROBE WAY CHUNKS
 */

import { readFileSync } from 'node:fs';
import { CoreHost, beginningFor, chunksFor, configuration, requestFor } from './core_host.mjs';
import { Probe } from './probe.mjs';

const SIZE = 250;
const PIECE = 50;

const [path, probePath, name, count] = process.argv.slice(2);
const way = /** @type {import('./core_host.mjs').Way} */ (name);
const chunks = chunksFor(way, SIZE);
const wrong = chunks.find((chunk) => chunk.length !== SIZE);
if (wrong) throw new Error(`a chunk has ${wrong.length} bytes`);

const host = new CoreHost(new WebAssembly.Module(readFileSync(path)));
host.configure(configuration);
let now = 1_763_800_000_000;
const exchange = host.open(now, requestFor(way));
for (const bytes of beginningFor(way)) host.chunk(now, exchange, bytes);

const probe = new Probe(probePath);
const pieces = [];
const probes = [probe.take(), probe.take()];
for (let left = Number(count); left > 0; left -= PIECE) {
  const begin = performance.now();
  for (let index = 0; index < PIECE; ++index) {
    now += 1;
    host.chunk(now, exchange, chunks[index % chunks.length]);
  }
  pieces.push(performance.now() - begin);
  probes.push(probe.take());
}
probes.push(probe.take());
if (!host.spliced && host.written < pieces.length * PIECE * 100) {
  throw new Error(`only ${host.written} bytes came out: ${host.lines.at(-1)}`);
}
process.stdout.write(JSON.stringify({ piece: PIECE, pieces, probes }));
