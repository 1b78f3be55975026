/**
 * What an attacker, and whoever shares a worker with one, does: asks, on a bare socket where an
 * honest client's library would not, and looks at all that comes back.
 */

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { connect } from 'node:net';

/**
 * @typedef {object} Got
 * @property {number} status
 * @property {import('node:http').IncomingHttpHeaders} headers
 * @property {string} text
 * @property {any} json   undefined where the text is none
 * @property {string} id  of the request
 */

const agent = new Agent({ keepAlive: true, maxSockets: 64 });

/** A key that nobody can guess. @param {string} prefix */
export const secret = (prefix) => prefix + randomBytes(24).toString('base64url');

/** Ends the connections that are kept. */
export const hangUp = () => agent.destroy();

/**
 * One HTTP request, and the whole answer.
 * @param {string} url
 * @param {{ method?: string, headers?: Record<string, string | string[]>,
 *   body?: string | Buffer }} [options]
 * @returns {Promise<Got>}
 */
export async function send(url, { method = 'GET', headers = {}, body } = {}) {
  const call = request(url, { agent, method, headers });
  const answered = once(call, 'response');
  call.end(body);
  const [response] = await answered;
  const text = Buffer.concat(await response.toArray()).toString();
  let json;
  try {
    json = JSON.parse(text);
  } catch { /* it is none */ }
  const id = response.headers['x-request-id'];
  return { status: response.statusCode, headers: response.headers, text, json, id };
}

/** @param {string} content */
export const user = (content) => [{ role: 'user', content }];

/**
 * A client of a worker.
 * @param {string} url @param {string} key
 */
export function clientOf(url, key) {
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' };
  /** @param {string | Buffer} body @param {Record<string, string>} [more] */
  const post = (body, more) =>
    send(`${url}/v1/chat/completions`, { method: 'POST', headers: { ...headers, ...more }, body });
  return {
    key, post,
    /** @param {object} body */
    chat: (body) => post(JSON.stringify({ messages: user('Hello'), ...body })),
    /** @param {string} path */
    get: (path) => send(`${url}${path}`, { headers }),
  };
}
/** @typedef {ReturnType<typeof clientOf>} Client */

/** @param {Got} got */
export function assertServed(got) {
  assert.equal(got.status, 200, `another client got ${got.status}: ${got.text.slice(0, 300)}`);
}

/** x-spillway-attempts as pairs of engine and outcome. @param {Got} got */
export const attemptsOf = ({ headers }) =>
  String(headers['x-spillway-attempts'] ?? '').split(', ').filter(Boolean).map((text) => {
    const [, engine, outcome] = /^(.*)=([a-z_]+)/.exec(text) ?? [text, '', text];
    return [decodeURIComponent(engine), outcome];
  });

/**
 * Bytes on a bare socket.
 * @param {string} url
 */
export async function openSocket(url) {
  const { hostname, port } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => {});
  await once(socket, 'connect');
  let text = '';
  /** @type {(() => void)[]} */
  let looking = [];
  const look = () => {
    for (const again of looking.splice(0)) again();
  };
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
    look();
  });
  socket.on('close', look);
  return {
    socket,
    text: () => text,
    /** Resolves to the status line's number, 0 when the connection ends without one. */
    async status() {
      for (;;) {
        const status = /^HTTP\/1\.1 (\d+)/.exec(text)?.[1];
        if (status !== undefined) return Number(status);
        if (socket.destroyed) return 0;
        await new Promise((resolve) => { looking.push(() => resolve(undefined)); });
      }
    },
    /** All until the other side closes. */
    async rest() {
      while (!socket.destroyed && !socket.readableEnded) {
        await new Promise((resolve) => { looking.push(() => resolve(undefined)); });
      }
      return text;
    },
    /** Writes, and waits until the kernel has taken it; false when the other side has closed. */
    async write(/** @type {string | Buffer} */ bytes) {
      if (socket.destroyed || !socket.writable) return false;
      return new Promise((resolve) => {
        socket.write(bytes, (error) => resolve(!error));
      });
    },
    // A close alone is half of one to workerd, which goes on until something is written.
    end: () => socket.resetAndDestroy(),
  };
}

/**
 * The head of a POST of a chat.
 * @param {Record<string, string | number>} headers
 */
export const headOf = (headers) => [
  'POST /v1/chat/completions HTTP/1.1', 'host: worker', 'content-type: application/json',
  ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`), '', '',
].join('\r\n');

/**
 * Does `work` for each, so many at once.
 * @template Item, Result
 * @param {readonly Item[]} items @param {number} width
 * @param {(item: Item, index: number) => Promise<Result>} work
 */
export async function inParallel(items, width, work) {
  /** @type {Result[]} */
  const results = [];
  let next = 0;
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, async () => {
    for (let index = next++; index < items.length; index = next++) {
      results[index] = await work(items[index], index);
    }
  }));
  return results;
}

const EVENTUALLY_MS = 8000;

/**
 * Looks again until `look` gives something.
 * @template Result
 * @param {string} what  that is waited for
 * @param {() => Promise<Result | undefined | false>} look
 */
export async function eventually(what, look) {
  for (const begin = performance.now();;) {
    const found = await look();
    if (found) return found;
    assert.ok(performance.now() - begin < EVENTUALLY_MS, `in vain: ${what}`);
    await new Promise((resolve) => { setImmediate(resolve); }); // what it waits for may come
  }
}
