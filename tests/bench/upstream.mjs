/**
 * The simulated providers in a process of their own. Sends its address to the parent, then, for
 * every failing answer that a request to another path follows, how long that took: `{ gap_ms }`.
 *
 * The clock starts before the last byte of the failing answer is handed to the kernel and stops
 * when the head of the next request has been read, so the time is, if anything, too long.
 */

import { ServerResponse } from 'node:http';
import { subscribe } from 'node:diagnostics_channel';
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

const simulator = await startSimulator();
process.send?.({ url: simulator.url });
process.on('disconnect', () => process.exit());
