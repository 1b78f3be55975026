/**
 * One sample of the core alone, in a process of its own: what a chunk of 250 bytes costs, in
 * microseconds, on the mean of the first thousand and on the median of later thousands.
 *
 *   node core_chunks.mjs MODULE WAY
 */

import { readFileSync } from 'node:fs';
import { CoreHost, beginningFor, chunksFor, configuration, requestFor } from './core_host.mjs';

const SIZE = 250;
const THOUSANDS = 200;

/**
 * The CPU time of this thread: the time on the clock, less what other processes took from it.
 * The kernel brings the count up to date every few milliseconds, and when a process asks for its
 * own usage.
 */
function clockMs() {
  process.cpuUsage();
  return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ', 1)[0]) / 1e6;
}

const [path, name] = process.argv.slice(2);
const way = /** @type {import('./core_host.mjs').Way} */ (name);
const chunks = chunksFor(way, SIZE);
const wrong = chunks.find((chunk) => chunk.length !== SIZE);
if (wrong) throw new Error(`a chunk has ${wrong.length} bytes`);

const host = new CoreHost(new WebAssembly.Module(readFileSync(path)));
host.configure(configuration);
let now = 1_763_800_000_000;
const exchange = host.open(now, requestFor(way));
for (const bytes of beginningFor(way)) host.chunk(now, exchange, bytes);

const thousands = [];
for (let thousand = 0; thousand < THOUSANDS; ++thousand) {
  const begin = clockMs();
  for (let index = 0; index < 1000; ++index) {
    now += 1;
    host.chunk(now, exchange, chunks[index % chunks.length]);
  }
  thousands.push(clockMs() - begin); // ms per thousand: µs each
}
if (!host.spliced && host.written < THOUSANDS * 1000 * 100) {
  throw new Error(`only ${host.written} bytes came out: ${host.lines.at(-1)}`);
}
const warm = thousands.slice(THOUSANDS / 2).sort((a, b) => a - b);
process.stdout.write(JSON.stringify({ first: thousands[0], warm: warm[warm.length >> 1] }));
