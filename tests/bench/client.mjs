/**
 * Clients of a Worker on raw sockets: what they cost this process stays small and the same for
 * every Worker, and the time of a byte's arrival is the time the kernel gives it out.
 */

import { once } from 'node:events';
import { connect } from 'node:net';
import { Stop } from '../../scripts/lib/terminal.mjs';

/**
 * @typedef {object} Ask
 * @property {string} path
 * @property {object} body
 * @property {string} [key]
 */

/** @param {Ask} ask */
function requestBytes({ path, body, key }) {
  const text = JSON.stringify(body);
  return Buffer.from([
    `POST ${path} HTTP/1.1`, 'host: 127.0.0.1', 'connection: close',
    'content-type: application/json', 'anthropic-version: 2023-06-01',
    ...(key ? [`authorization: Bearer ${key}`] : []),
    `content-length: ${Buffer.byteLength(text)}`, '', text,
  ].join('\r\n'));
}

/**
 * Asks, and reads the answer to its end.
 * @param {number} port
 * @param {Ask} ask
 * @param {(bytes: Buffer) => boolean} [found]  looks at each piece until it is content
 * @returns {Promise<{ text: () => string, first_ms: number }>}
 *   first_ms: from the request to the piece that was found
 */
export async function converse(port, ask, found = () => true) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  await once(socket, 'connect');
  /** @type {Buffer[]} */
  const pieces = [];
  let first_ms = -1;
  const asked = performance.now();
  socket.on('data', (piece) => {
    if (first_ms < 0 && found(piece)) first_ms = performance.now() - asked;
    pieces.push(piece);
  });
  socket.write(requestBytes(ask));
  await once(socket, 'end');
  socket.end();
  return { text: () => Buffer.concat(pieces).toString(), first_ms };
}

/**
 * So many streams at once, each begun a moment after the one before.
 * @typedef {object} Load
 * @property {number} streams
 * @property {number} interval_ms  between two tokens; 0: as fast as it goes
 * @property {string} last         what every whole answer has in it
 */

/**
 * @param {number} port
 * @param {Ask} ask
 * @param {Load} load
 */
export async function converseAll(port, ask, { streams, interval_ms, last }) {
  const answers = await Promise.all(Array.from({ length: streams }, async (_, index) => {
    // Else all timers would strike together, and one wake-up would serve many streams.
    await new Promise((resolve) => { setTimeout(resolve, (index / streams) * interval_ms); });
    return converse(port, ask);
  }));
  for (const answer of answers) {
    const text = answer.text();
    const end = text.slice(-2000);
    if (!end.includes(last) || !/data: \[DONE\]|event: message_stop/.test(end)) {
      throw new Stop(`a stream broke off: ${text.slice(0, 1000)} … ${end}`);
    }
  }
}
