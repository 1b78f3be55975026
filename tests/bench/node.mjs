/** Spillway in a Node process of its own, behind Node's HTTP server. */

import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../../scripts/lib/machine.mjs';
import { start } from '../../scripts/lib/process.mjs';
import { processFigures } from './measure.mjs';
import { clientKey } from './workerd.mjs';

/** @typedef {import('./workerd.mjs').Worker} Worker */

/** @param {string} node24 @param {object} config @returns {Promise<Worker>} */
export async function serveSpillwayOnNode(node24, config) {
  const child = start(node24, [join(root, 'tests/bench/node_server.mjs')], {
    env: {
      ...process.env, NODE_ENV: 'production',
      SPILLWAY_CONFIG: JSON.stringify(config), SPILLWAY_KEYS: clientKey,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const input = /** @type {import('node:stream').Readable} */ (child.stdout);
  const [port] = await once(createInterface({ input }), 'line');
  const pid = /** @type {number} */ (child.pid);
  return { port: Number(port), ...processFigures(pid), stop: () => void child.kill() };
}
