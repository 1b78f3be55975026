/**
 * Clients of a Worker on raw sockets: what they cost this process stays small and the same for
 * every Worker, and the time of a byte's arrival is the time the kernel gives it out.
 */

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

/** One request and its answer. */
export class Conversation {
  received_bytes = 0;
  /** Milliseconds from the request to the first content; -1: there was none. */
  first_ms = -1;

  /**
   * @param {number} port
   * @param {Ask} ask
   * @param {string} content  what the first content has in it
   */
  constructor(port, ask, content) {
    /** @type {Buffer[]} */
    const pieces = [];
    let asked = 0;
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
      asked = performance.now();
      socket.write(requestBytes(ask));
    });
    /** The whole answer. @type {Promise<string>} */
    this.answer = new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('end', () => {
        socket.end();
        resolve(Buffer.concat(pieces).toString());
      });
    });
    /** When the first content is there. @type {Promise<void>} */
    const begun = new Promise((resolve) => {
      socket.on('data', (piece) => {
        pieces.push(piece);
        this.received_bytes += piece.length;
        if (this.first_ms >= 0 || !piece.includes(content)) return;
        this.first_ms = performance.now() - asked;
        resolve();
      });
    });
    /** The first content, or an end without any. @type {Promise<unknown>} */
    this.begun = Promise.race([begun, this.answer]);
  }
}

/**
 * So many streams at once, each begun a moment after the one before.
 * @typedef {object} Load
 * @property {number} streams
 * @property {number} interval_ms  between two tokens; 0: as fast as it goes
 * @property {string} content      what the first content has in it
 * @property {string} last         what every whole answer has in it
 */

/**
 * Opens all streams and reads them to their ends. `look` is called when all have begun; gives what
 * it saw, and the share of all bytes that came after that.
 * @template Seen
 * @param {number} port
 * @param {Ask} ask
 * @param {Load} load
 * @param {() => Seen} look
 */
export async function converseAll(port, ask, { streams, interval_ms, content, last }, look) {
  const conversations = await Promise.all(Array.from({ length: streams }, async (_, index) => {
    // Else all timers would strike together, and one wake-up would serve many streams.
    await new Promise((resolve) => { setTimeout(resolve, (index / streams) * interval_ms); });
    return new Conversation(port, ask, content);
  }));
  const received = () => conversations.reduce((sum, each) => sum + each.received_bytes, 0);
  await Promise.all(conversations.map(({ begun }) => begun));
  const seen = look();
  const bytes = received();
  for (const { answer } of conversations) {
    const text = await answer;
    const end = text.slice(-2000);
    if (!end.includes(last) || !/data: \[DONE\]|event: message_stop/.test(end)) {
      throw new Stop(`a stream broke off: ${text.slice(0, 1000)} … ${end}`);
    }
  }
  return { seen, share: 1 - bytes / received() };
}
