/**
 * Clients of a server on raw sockets: what they cost this process stays small and the same for
 * every server, and the time of a byte's arrival is the time the kernel gives it out.
 */

import { connect } from 'node:net';
import { Stop } from '../../scripts/lib/terminal.mjs';

/**
 * @typedef {object} Ask
 * @property {string} path
 * @property {object} body
 * @property {string} [key]
 * @property {Record<string, string>} [headers]
 */

/** @param {Ask} ask */
function requestBytes({ path, body, key, headers = {} }) {
  const text = JSON.stringify(body);
  return Buffer.from([
    `POST ${path} HTTP/1.1`, 'host: 127.0.0.1', 'connection: close',
    'content-type: application/json', 'anthropic-version: 2023-06-01',
    ...(key ? [`authorization: Bearer ${key}`] : []),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    `content-length: ${Buffer.byteLength(text)}`, '', text,
  ].join('\r\n'));
}

/** The last chunk of HTTP. Were it cut, the connection's end would do. @param {Buffer} piece */
const endsBody = (piece) =>
  piece.length >= kLastChunk.length && piece.subarray(-kLastChunk.length).equals(kLastChunk);
const kLastChunk = Buffer.from('0\r\n\r\n');

/** How long a response is in all, where its head says so. @param {Buffer} first  its first piece */
function bytesAnnounced(first) {
  const body = first.indexOf(kHeadEnd) + kHeadEnd.length;
  const [, length] = /^content-length: (\d+)/im.exec(first.toString('latin1', 0, body)) ?? [];
  return length === undefined ? Infinity : body + Number(length);
}
const kHeadEnd = '\r\n\r\n';

/** One request and its answer. */
export class Conversation {
  /** Milliseconds from the request to the first content; -1: there was none. */
  first_ms = -1;

  /**
   * @param {number} port
   * @param {Ask} ask
   * @param {string} content  what the first content has in it
   * @param {(piece: Buffer) => void} [look]  sees each piece as it arrives
   */
  constructor(port, ask, content, look) {
    /** @type {Buffer[]} */
    const pieces = [];
    let asked = 0;
    let missing = 0;
    let finish = () => {};
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
      asked = performance.now();
      socket.write(requestBytes(ask));
    });
    this.socket = socket;
    /** The whole answer. @type {Promise<string>} */
    this.answer = new Promise((resolve, reject) => {
      socket.once('error', reject);
      finish = () => {
        socket.end();
        resolve(Buffer.concat(pieces).toString());
      };
      socket.once('end', finish);
    });
    /** When the first content is there. @type {Promise<void>} */
    const begun = new Promise((resolve) => {
      socket.on('data', (piece) => {
        look?.(piece);
        pieces.push(piece);
        // Not everybody closes the connection then, as was asked for.
        missing = (pieces.length === 1 ? bytesAnnounced(piece) : missing) - piece.length;
        if (missing <= 0 || endsBody(piece)) finish();
        if (this.first_ms >= 0 || !piece.includes(content)) return;
        this.first_ms = performance.now() - asked;
        resolve();
      });
    });
    /** The first content, or an end without any. @type {Promise<unknown>} */
    this.begun = Promise.race([begun, this.answer]);
  }

  /** Leaves in the middle. */
  leave() {
    this.answer.catch(() => {});
    this.socket.destroy();
  }
}

/** Stops when an answer is not whole. @param {string} text @param {string} last */
export function expectWhole(text, last) {
  const end = text.slice(-2000);
  if (end.includes(last) && /data: \[DONE\]|event: message_stop/.test(end)) return;
  throw new Stop(`a stream broke off: ${text.slice(0, 1000)} … ${end}`);
}

/**
 * One of some streams that are open at once.
 * @typedef {object} Stream
 * @property {Ask} ask
 * @property {string} first  what the first content has in it
 * @property {string} last   what a whole answer has in it
 * @property {(piece: Buffer) => void} [look]
 */

/**
 * Opens all streams, each a moment after the one before, and reads them to their ends.
 * @param {number} port
 * @param {Stream[]} streams
 * @param {number} interval_ms  between two tokens; 0: as fast as it goes
 */
export async function converseAll(port, streams, interval_ms) {
  await Promise.all(streams.map(async ({ ask, first, last, look }, index) => {
    // Else all timers would strike together, and one wake-up would serve many streams.
    await new Promise((resolve) => {
      setTimeout(resolve, (index / streams.length) * interval_ms);
    });
    expectWhole(await new Conversation(port, ask, first, look).answer, last);
  }));
}
