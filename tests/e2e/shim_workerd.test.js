/**
 * The shim in the real workerd, with a core of a few lines (tests/js/fake_core.c) and providers on
 * 127.0.0.1: what only workerd does. That is the native splice, the client's leaving as
 * `request.signal` tells it, and streams that belong to one request.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { compatibilityMembers } from '../../scripts/lib/compatibility.mjs';
import { Log, SSE, begin, buildFakeCore, order, provider } from '../js/harness.js';

/** @import { IncomingMessage } from 'node:http' */
/** @import { Call } from '../js/harness.js' */

const SHIM = fileURLToPath(new URL('../../js/', import.meta.url));

const WORKER = `
import module from 'fake.wasm';
import { createSpillway } from './spillway.js';
const spillway = createSpillway({ module });
export default { fetch: (request, env, ctx) => spillway.fetch(request, ctx) };
`;

const CONFIG = `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [
        (name = "worker.js", esModule = embed "worker.js"),
        (name = "fake.wasm", wasm = embed "fake.wasm"),
        (name = "spillway.js", esModule = embed "spillway.js"),
        (name = "core.js", esModule = embed "core.js"),
        (name = "upstream.js", esModule = embed "upstream.js"),
        (name = "answer.js", esModule = embed "answer.js"),
      ],
      ${compatibilityMembers()}
    )),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`;

const folder = mkdtempSync(join(tmpdir(), 'spillway-'));
const log = new Log();
let stop = () => {};
let port = 0;

before(async () => {
  cpSync(SHIM, folder, { recursive: true });
  writeFileSync(join(folder, 'fake.wasm'), buildFakeCore());
  writeFileSync(join(folder, 'worker.js'), WORKER);
  writeFileSync(join(folder, 'config.capnp'), CONFIG);
  const wrangler = createRequire(import.meta.url).resolve('wrangler/package.json');
  const binary = createRequire(wrangler)('workerd').default;
  const workerd = spawn(binary, ['serve', 'config.capnp', '--control-fd=3'], {
    cwd: folder, stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  });
  stop = () => workerd.kill();
  const [, stdout, stderr, control] = /** @type {import('node:stream').Readable[]} */ (
    /** @type {unknown} */ (workerd.stdio));
  for (const input of [stdout, stderr]) {
    createInterface({ input }).on('line', (line) => {
      if (line.startsWith('{"event"')) log.push(JSON.parse(line));
      else console.error(line);
    });
  }
  const [message] = await once(createInterface({ input: control }), 'line');
  ({ port } = JSON.parse(message));
});

after(() => {
  stop();
  rmSync(folder, { recursive: true });
});

/**
 * Asks the Worker; gives node:http's message, whose connection can be cut.
 * @param {string} mode
 * @param {string} url
 * @returns {Promise<IncomingMessage>}
 */
async function ask(mode, url) {
  const call = request({ port, host: '127.0.0.1', method: 'POST' });
  call.on('error', () => {});
  call.end(order(mode, url));
  const [message] = await once(call, 'response');
  return message;
}

/** @param {IncomingMessage} message */
const whole = async (message) => Buffer.concat(await message.toArray()).toString();
/** @param {IncomingMessage} message */
const next = async (message) => String((await once(message, 'data'))[0]);

for (const [mode, name, tail] of [['p', 'relay', ''], ['s', 'native splice', ': end\n\n']]) {
  describe(name, { timeout: 20_000 }, () => {
    test('events arrive as they are sent; the core sees all, then has the last word', async (t) => {
      const upstream = await provider(t, begin);
      const message = await ask(mode, upstream.url);
      const { reply } = await upstream.next();
      assert.equal(message.statusCode, 200);
      assert.equal(await next(message), 'data: one\n\n');
      const lags = [];
      for (let i = 10; i < 30; i++) {
        const sent = performance.now();
        reply.write(`data: ${i}\n\n`);
        assert.equal(await next(message), `data: ${i}\n\n`);
        lags.push(performance.now() - sent);
      }
      reply.end();
      assert.equal(await whole(message), tail);
      assert.equal((await log.find('end')).bytes, 11 + 20 * 10);
      // Far below the pause between two looks at the copy, far above what it takes.
      lags.sort((a, b) => a - b);
      assert.ok(lags[10] < 100, `${lags[10]} ms`);
      t.diagnostic(`lag, median: ${lags[10].toFixed(2)} ms`);
    });

    test('a large body arrives whole, at the client and at the core', async (t) => {
      const large = 'data: large\n\n'.repeat(100_000);
      const { url } = await provider(t, ({ reply }) => reply.writeHead(200, SSE).end(large));
      assert.equal(await whole(await ask(mode, url)), large + tail);
      assert.equal((await log.find('end')).bytes, large.length);
    });

    // workerd notices it at the next write; a silent stream to nobody ends at the core's deadline.
    test('a client that leaves closes the chat and the upstream connection', async (t) => {
      const upstream = await provider(t, async ({ reply }) => {
        reply.writeHead(200, SSE);
        for (; !reply.destroyed; await turn()) reply.write('data: more\n\n');
      });
      const message = await ask(mode, upstream.url);
      await next(message);
      await next(message);
      message.destroy();
      assert.equal(await (await upstream.next()).closed, false);
      await log.find('close');
    });

    test('an upstream that is cut is an error in the core, after all its bytes', async (t) => {
      const upstream = await provider(t, begin);
      const message = await ask(mode, upstream.url);
      const { reply } = await upstream.next();
      await next(message);
      reply.write('data: two\n\n');
      await next(message);
      reply.write('data: thr', () => reply.destroy());
      const rest = await whole(message);
      assert.match(rest, /^data: thrdata: \{"error":\{"code":"cut","message":"[^"]+"\}\}\n\n$/);
      assert.equal((await log.find('end')).bytes, 31);
    });

    test('a trap in another chat ends it with a clean error at its next event', async (t) => {
      const upstream = await provider(t, begin);
      const other = await ask(mode, upstream.url);
      const { reply } = await upstream.next();
      await next(other);
      const trapped = await ask('o', upstream.url);
      assert.equal(trapped.statusCode, 500);
      assert.equal(JSON.parse(await whole(trapped)).error.code, 'internal_error');
      assert.match((await log.find('trap')).message, /unreachable/);
      reply.write('data: two\n\n');
      assert.match(await whole(other), /data: \{"error":.*internal_error.*\n\n$/);
      assert.equal((await ask('h', upstream.url)).statusCode, 200, 'a fresh core');
      await log.find('end');
    });
  });
}

describe('gather', { timeout: 20_000 }, () => {
  /** What is answered when all has been seen. @param {IncomingMessage} message */
  const seen = async (message) => JSON.parse(await whole(message));

  /** Sends an event every few milliseconds while anybody listens. @param {Call} call */
  async function trickle({ reply }, events = Infinity) {
    for (let sent = 0; sent < events && !reply.destroyed; sent++) {
      reply.write('data: more\n\n');
      await new Promise((resolve) => { setTimeout(resolve, 2); });
    }
  }

  test('small pieces come to the core together, none is lost', async (t) => {
    const { url } = await provider(t, (call) => {
      begin(call);
      void trickle(call, 200).then(() => call.reply.end());
    });
    const { chunks, bytes } = await seen(await ask('g', url));
    assert.equal(bytes, 11 + 200 * 12);
    assert.ok(chunks < 50, `${chunks} steps`);
  });

  test('a large body comes whole, in large pieces', async (t) => {
    const large = 'data: large\n\n'.repeat(100_000);
    const { url } = await provider(t, ({ reply }) => reply.writeHead(200, SSE).end(large));
    const { chunks, bytes } = await seen(await ask('g', url));
    assert.equal(bytes, large.length);
    assert.ok(chunks < large.length / 4096, `${chunks} steps`);
  });

  test('what there is comes to the core while the rest is waited for', async (t) => {
    const upstream = await provider(t, (call) => {
      begin(call);
      void trickle(call);
    });
    const { chunks } = await seen(await ask('G', upstream.url));
    assert.equal(chunks, 4);
    assert.equal(await (await upstream.next()).closed, false, 'what does not end is let go');
  });

  test('an upstream that is cut is an error in the core, after all its bytes', async (t) => {
    const { url } = await provider(t, (call) => {
      begin(call);
      call.reply.write('data: thr', () => call.reply.destroy());
    });
    const message = await ask('g', url);
    assert.equal(message.statusCode, 502);
    assert.match(await whole(message), /"code":"cut"/);
    await log.next((line) => line.event === 'end' && line.bytes === 20);
  });

  test('a client that leaves meanwhile closes the chat and the upstream connection', async (t) => {
    const upstream = await provider(t, begin);
    const call = request({ port, host: '127.0.0.1', method: 'POST' });
    call.on('error', () => {});
    call.end(order('g', upstream.url));
    const asked = await upstream.next();
    await trickle(asked, 50);
    call.socket?.resetAndDestroy();
    assert.equal(await asked.closed, false);
    assert.equal((await log.find('close')).chunks, 1, 'it left before the first look');
  });

  test('a trap in another chat ends it at its next piece, and the upstream request', async (t) => {
    const upstream = await provider(t, begin);
    const answer = ask('g', upstream.url);
    const call = await upstream.next();
    assert.equal((await ask('o', upstream.url)).statusCode, 500);
    await log.find('trap');
    void trickle(call);
    const message = await answer;
    assert.equal(message.statusCode, 500);
    assert.equal(JSON.parse(await whole(message)).error.code, 'internal_error');
    assert.equal(await call.closed, false);
  });
});
