/**
 * The simulated providers in a process of their own. Sends its address to the parent, then
 *
 *  * for every failing answer that a request to another path follows, how long that took:
 *    `{ gap_ms }`. The clock starts before the last byte of the failing answer is handed to the
 *    kernel and stops when the head of the next request has been read, so the time is, if anything,
 *    too long;
 *  * between the messages 'note' and 'tell', when each numbered word was handed to the kernel, in
 *    nanoseconds of the clock that all processes share: `{ written: { word: [time …] } }`.
 */

import { ServerResponse } from 'node:http';
import { subscribe } from 'node:diagnostics_channel';
import { Exchange } from '../../scripts/simulator/script.mjs';
import { startSimulator } from '../../scripts/simulator/server.mjs';

let failed_at = -1;
let failed_path = '';
const { end } = ServerResponse.prototype;

ServerResponse.prototype.end = function endAndRemember(/** @type {any[]} */ ...rest) {
  if (this.statusCode >= 400) {
    failed_path = this.req.url ?? '';
    failed_at = performance.now();
  }
  return end.apply(this, /** @type {any} */ (rest));
};

subscribe('http.server.request.start', (message) => {
  if (failed_at < 0) return;
  const gap_ms = performance.now() - failed_at;
  failed_at = -1;
  const { request } = /** @type {{ request: import('node:http').IncomingMessage }} */ (message);
  if (request.url !== failed_path) process.send?.({ gap_ms });
});

let noting = false;
/** @type {Map<string, number[]>} */
const written = new Map();
/**
 * An answer's bytes are written many times.
 * @type {WeakMap<Buffer, { word: string, n: number }>}
 */
const numbers = new WeakMap();

/** @param {Buffer} bytes */
function numberOf(bytes) {
  const known = numbers.get(bytes);
  if (known) return known;
  const [, word = '', n = '-1'] = /"\s*(\w+)-(\d+)"/.exec(bytes.toString('latin1')) ?? [];
  const found = { word, n: Number(n) };
  numbers.set(bytes, found);
  return found;
}

const { writeChunk } = Exchange.prototype;

Exchange.prototype.writeChunk = function noteAndWrite(bytes) {
  if (noting) {
    const { word, n } = numberOf(bytes);
    let times = written.get(word);
    if (times === undefined) written.set(word, times = []);
    if (n >= 0) times[n] = Number(process.hrtime.bigint());
  }
  return writeChunk.call(this, bytes);
};

process.on('message', (message) => {
  noting = message === 'note';
  if (message === 'tell') process.send?.({ written: Object.fromEntries(written) });
  written.clear();
});

const simulator = await startSimulator();
process.send?.({ url: simulator.url });
process.on('disconnect', () => process.exit());
