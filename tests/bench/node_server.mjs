/**
 * Spillway in Node behind its HTTP server, with as little between the two as there can be. Prints
 * the port.
 *
 *   SPILLWAY_CONFIG=… SPILLWAY_KEYS=… node node_server.mjs
 */

import { createServer } from 'node:http';
import { createSpillway } from '../../js/node.js';

const spillway = createSpillway({ log: () => {} });

const server = createServer(async (request, reply) => {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  const response = await spillway.fetch(new Request(`http://127.0.0.1${request.url}`, {
    method: request.method,
    headers: /** @type {Record<string, string>} */ (request.headers),
    body: Buffer.concat(pieces),
  }));
  reply.writeHead(response.status, Object.fromEntries(response.headers));
  reply.end(Buffer.from(await response.arrayBuffer()));
});

server.listen(0, '127.0.0.1', () => {
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  process.stdout.write(`${port}\n`);
});
