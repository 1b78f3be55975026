/**
 * What the shim's tests share: a core of a few lines, providers on 127.0.0.1, and a way to wait for
 * what happens instead of for time to pass.
 */

import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { toolEnvironment, tools } from '../../scripts/lib/tools.mjs';

const FLAGS = [
  ...'--target=wasm32 -O1 -nostdlib -mbulk-memory -Wl,--no-entry'.split(' '),
  '-fuse-ld=/usr/bin/wasm-ld-19',
];

/** Compiles fake_core.c with the compiler that builds the real core. */
export function buildFakeCore() {
  const source = fileURLToPath(new URL('fake_core.c', import.meta.url));
  const folder = mkdtempSync(join(tmpdir(), 'spillway-'));
  try {
    const wasm = join(folder, 'fake_core.wasm');
    execFileSync(tools.clang, [...FLAGS, '-o', wasm, source], {
      env: toolEnvironment(), stdio: 'inherit',
    });
    return new Uint8Array(readFileSync(wasm));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A request body for the fake core: what to do, and the head of the upstream request. */
export const order = (/** @type {string} */ mode, /** @type {string} */ url, headers = {}) =>
  mode + JSON.stringify({ method: 'POST', url, headers });

/** Things as they come: next() waits for the first that fits and takes it. @template Item */
export class Queue {
  /** @type {Item[]} */ items = [];
  #look = () => {};

  /** @param {Item} item */
  push(item) {
    this.items.push(item);
    this.#look();
  }

  /** @param {(item: Item) => boolean} fits */
  async next(fits = () => true) {
    for (;;) {
      const at = this.items.findIndex(fits);
      if (at >= 0) return this.items.splice(at, 1)[0];
      await new Promise((resolve) => (this.#look = () => resolve(null)));
    }
  }
}

/** The log events of a core. @typedef {{ event: string, [field: string]: any }} LogEvent */
export class Log extends /** @type {typeof Queue<LogEvent>} */ (Queue) {
  /** @param {string} event */
  find = (event) => this.next((line) => line.event === event);
}

export const SSE = { 'content-type': 'text/event-stream' };

/**
 * @typedef {object} Call  one request at a provider
 * @property {import('node:http').IncomingMessage} request
 * @property {import('node:http').ServerResponse} reply
 * @property {Promise<string>} body
 * @property {Promise<boolean>} closed  true when the reply was read to its end
 */

/**
 * A provider on this machine, until the test is over.
 * @param {{ after(work: () => void): void }} t
 * @param {(call: Call) => void} handle
 */
export async function provider(t, handle = () => {}) {
  /** @type {Queue<Call>} */
  const calls = new Queue();
  const server = createServer((request, reply) => {
    reply.on('error', () => {});
    const body = request.toArray().then((chunks) => Buffer.concat(chunks).toString());
    body.catch(() => {});
    const closed = once(reply, 'close').then(() => reply.writableFinished);
    const call = { request, reply, body, closed };
    calls.push(call);
    handle(call);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${port}`, next: () => calls.next() };
}

/** Begins an event stream. @param {Call} call */
export const begin = ({ reply }) => void reply.writeHead(200, SSE).write('data: one\n\n');
