/**
 * The shim against a core of a few lines (fake_core.c) and real HTTP servers on 127.0.0.1: that
 * bytes, cancels, errors and traps go where the ABI says. What the real core answers is tested
 * elsewhere; the native splice needs workerd and is tested in tests/e2e.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import v8 from 'node:v8';
import vm from 'node:vm';
import { SpillwayConfigError, SpillwayError, createSpillway } from '../../js/spillway.js';
import { Log, SSE, begin, buildFakeCore, order, provider } from './harness.js';

/** @import { TestContext } from 'node:test' */
/** @import { SpillwayOptions } from '../../js/spillway.js' */
/** @import { Call } from './harness.js' */

const bytes = buildFakeCore();
const module = new WebAssembly.Module(bytes);
const encoder = new TextEncoder();

/** A spillway on the fake core, with its log of chats. @param {SpillwayOptions} options */
function fake(options = {}) {
  const log = new Log();
  const spillway = createSpillway({
    module,
    log(level, line) {
      const event = { level, ...JSON.parse(line) };
      if (event.event !== 'providers') log.push(event);
    },
    ...options,
  });
  return { ...spillway, log };
}

/** What a platform hands over; settled() says that nothing is left to do. */
function context() {
  /** @type {Promise<unknown>[]} */
  const work = [];
  return {
    /** @param {Promise<unknown>} promise */
    waitUntil(promise) {
      work.push(promise);
    },
    settled: () => Promise.all(work),
  };
}

/** @param {BodyInit} body @param {object} init */
const post = (body, init = {}) =>
  new Request('http://spillway.test/v1/chat/completions', { method: 'POST', body, ...init });

/** @param {Response} response */
function readerOf(response) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  return {
    /** The bytes of one read as text; null at the end. */
    async next() {
      const { value, done } = await reader.read();
      return done ? null : new TextDecoder().decode(value);
    },
    /** All that comes yet, as text. */
    async rest() {
      let text = '';
      for (let more; (more = await this.next()) !== null;) text += more;
      return text;
    },
    cancel: () => reader.cancel(),
  };
}

v8.setFlagsFromString('--expose-gc');
const gc = vm.runInNewContext('gc');
/** What nothing refers to any more goes, also what was looked at in this turn. */
async function collectGarbage() {
  await turn();
  gc();
}

/** One that stands still until it is told to go on. */
const clock = { apis: /** @type {const} */ (['Date', 'setTimeout']), now: 1_763_800_000_000 };

/** @param {Uint8Array<ArrayBuffer>[]} pieces */
const streamOf = (pieces) => new ReadableStream({
  start(controller) {
    for (const piece of pieces) controller.enqueue(piece);
    controller.close();
  },
});

describe('config and head', () => {
  const ask = new Request('http://spillway.test/');

  test('a refused config throws, naming the field and what was expected', () => {
    assert.throws(() => fake({ config: '{"REFUSE_ME":1}' }), (error) => {
      assert.ok(error instanceof SpillwayConfigError);
      assert.equal(error.path, 'providers.acme.base_url');
      assert.equal(error.message, 'providers.acme.base_url: expected an https address');
      return true;
    });
    assert.throws(() => createSpillway({}), /`module` must be a WebAssembly.Module/);
  });

  test('which providers are ready is told once by each instance, before all else', async () => {
    /** @type {string[]} */ const events = [];
    const log = (/** @type {string} */ _, /** @type {string} */ line) =>
      void events.push(JSON.parse(line).event);
    const spillway = createSpillway({ module, log });
    assert.deepEqual(events, ['providers']);
    assert.equal((await spillway.fetch(post('o'))).status, 500);
    assert.equal((await spillway.fetch(post('h'))).status, 200);
    assert.deepEqual(events, ['providers', 'trap', 'providers', 'end']);
  });

  test('configs keep their order; only strings of env count', async () => {
    const env = { A: 'a', B: 2, KV: {}, [Symbol('C')]: 'c', SPILLWAY_CONFIG: '{"z":1}' };
    const answer = await (await fake({ config: [{ x: 1 }, '{"y":1}'], env }).fetch(ask)).json();
    assert.deepEqual(answer.config, {
      config: ['{"x":1}', '{"y":1}'], env: { A: 'a', SPILLWAY_CONFIG: '{"z":1}' },
    });
  });

  test('the head holds the request; each request has a seed of its own', async () => {
    const spillway = fake({ local: (request) => request.headers.has('x-here') });
    const url = 'http://spillway.test/v1/models?a=b';
    const headers = { Authorization: 'Bearer abc', 'X-Here': '1', 'X-Name': 'é' };
    const first = await (await spillway.fetch(new Request(url, { headers }))).json();
    assert.deepEqual(first.head, {
      method: 'GET', url, local: true, trusted: false,
      headers: { authorization: 'Bearer abc', 'x-here': '1', 'x-name': 'é' },
    });
    const second = await (await spillway.fetch(ask)).json();
    assert.equal(second.head.local, false);
    assert.notEqual(first.seed, second.seed);
  });

  test('a module of another realm will do', async () => {
    const Module = vm.runInNewContext('WebAssembly.Module');
    const foreign = new Module(bytes);
    assert.ok(!(foreign instanceof WebAssembly.Module));
    assert.equal((await fake({ module: foreign }).fetch(ask)).status, 200);
  });
});

describe('request body', () => {
  const mebibyte = new Uint8Array(1 << 20).fill(104); // 'h': the most the fake core accepts
  const streamed = { duplex: 'half' };

  test('one that fits is read whole, in whatever pieces it comes', async () => {
    const pieces = ['h', 'el', 'lo'].map((piece) => encoder.encode(piece));
    assert.equal((await fake().fetch(post(streamOf(pieces), streamed))).status, 200);
    assert.equal((await fake().fetch(post(mebibyte))).status, 200);
    assert.equal((await fake().fetch(post('h'))).status, 200);
    const none = new Request('http://spillway.test/', { method: 'POST' });
    assert.equal((await fake().fetch(none)).status, 200);
  });

  test('one that is not asked for is not read', async () => {
    let pulls = 0;
    const body = new ReadableStream({ pull: () => void pulls++ }, { highWaterMark: 0 });
    const headers = { refuse: 'this' };
    assert.equal((await fake().fetch(post(body, { ...streamed, headers }))).status, 401);
    assert.equal(pulls, 0);
  });

  test('what the core drops it is given piece by piece, to the end', async () => {
    for (const headers of [{}, { 'content-length': String(20 << 20) }]) {
      let left = 20;
      const body = new ReadableStream({
        pull: (controller) => (left-- ? controller.enqueue(mebibyte) : controller.close()),
      }, { highWaterMark: 0 });
      assert.equal((await fake().fetch(post(body, { ...streamed, headers }))).status, 413);
      assert.ok(left <= 0, `${left} MB of it were not read`);
    }
  });

  test('one that does not come is waited for until the core has enough', async () => {
    let cancelled = false;
    const body = new ReadableStream({ cancel: () => void (cancelled = true) });
    const headers = { deadline: 'soon' };
    assert.equal((await fake().fetch(post(body, { ...streamed, headers }))).status, 408);
    assert.ok(cancelled, 'nobody reads it any more');
  });

  test('one that breaks off is answered with 400', async () => {
    const broken = new ReadableStream({ pull: (controller) => controller.error(new Error()) });
    assert.equal((await fake().fetch(post(broken, streamed))).status, 400);
  });

  test('a client that leaves while it sends is told to the core', async () => {
    const spillway = fake();
    const abort = new AbortController();
    const body = new ReadableStream({ pull: () => new Promise(() => {}) });
    const answer = spillway.fetch(post(body, { ...streamed, signal: abort.signal }));
    await new Promise((resolve) => { setTimeout(resolve); });
    abort.abort();
    assert.equal((await answer).status, 499);
    assert.equal((await spillway.log.find('close')).chunks, 0);
  });

  test('a trap in its first piece is an error, and the next request is served', async () => {
    const spillway = fake();
    assert.equal((await spillway.fetch(post('o'))).status, 500);
    assert.equal((await spillway.fetch(post('h'))).status, 200);
  });
});

describe('relay', () => {
  test('a chunk is one call into the core: the room for inputs is asked for once', async () => {
    const event = 'data: 0123456789\n\n';
    const pieces = Array.from({ length: 20 }, () => encoder.encode(event));
    const spillway = fake({ fetch: async () => new Response(streamOf(pieces)) });
    const ask = async () => {
      const answer = await spillway.fetch(post(order('p', 'http://upstream.test/')));
      assert.equal(await answer.text(), event.repeat(20));
      return spillway.log.find('end');
    };
    const first = await ask();
    assert.equal(first.chunks, 20);
    // For the configuration, and for all that came after it.
    assert.equal(first.rooms, 2);
    assert.equal((await ask()).rooms, 2);
  });

  test('bytes arrive as upstream sends them, one read each; it gets the body', async (t) => {
    const { url, next } = await provider(t, begin);
    const ctx = context();
    const spillway = fake();
    const response = await spillway.fetch(post(order('p', url, { 'x-key': 'k' })), ctx);
    const { request, reply, body } = await next();
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    assert.equal(request.method, 'POST');
    assert.equal(request.headers['x-key'], 'k');
    assert.equal(await body, 'hello');
    const reader = readerOf(response);
    assert.equal(await reader.next(), 'data: one\n\n', 'two writes, one read');
    reply.write('data: two\n\n');
    assert.equal(await reader.next(), 'data: two\n\n');
    reply.end();
    assert.equal(await reader.next(), null);
    await ctx.settled();
    assert.deepEqual(spillway.log.items.map((line) => [line.event, line.bytes]), [['end', 22]]);
  });

  test('there is no upstream read before the client asks', async (t) => {
    t.mock.timers.enable(clock);
    for (const mode of ['p', 's']) {
      let reads = 0;
      const body = new ReadableStream({
        pull: (controller) => controller.enqueue(encoder.encode(`data: ${++reads}\n\n`)),
      }, { highWaterMark: 0 });
      const spillway = fake({ fetch: async () => new Response(body) });
      const response = await spillway.fetch(post(order(mode, 'https://provider.test/')));
      const reader = readerOf(response);
      for (let asked = 1; asked <= 3; asked++) {
        for (let turns = 0; turns < 20; turns++) await turn();
        t.mock.timers.tick(8); // a later event does not wait for more
        assert.equal(reads, Math.max(1, asked - 1), mode);
        assert.equal(await reader.next(), `data: ${asked}\n\n`, mode);
      }
      await reader.cancel();
    }
  });

  test('what comes fast goes out together, what comes slowly at once', async (t) => {
    t.mock.timers.enable(clock);
    const upstream = new TransformStream();
    const writer = upstream.writable.getWriter();
    const send = async (/** @type {string[]} */ ...events) => {
      for (const event of events) void writer.write(encoder.encode(event));
      for (let turns = 0; turns < 20; turns++) await turn();
    };
    const spillway = fake({ fetch: async () => new Response(upstream.readable) });
    void send('1');
    const reader = readerOf(await spillway.fetch(post(order('p', 'https://provider.test/'))));
    assert.equal(await reader.next(), '1', 'the first does not wait');
    t.mock.timers.tick(5);
    let read = reader.next();
    await send('2', '3');
    t.mock.timers.tick(2);
    await send('4');
    t.mock.timers.tick(1);
    assert.equal(await read, '234');
    t.mock.timers.tick(8);
    read = reader.next();
    await send('5', '6');
    assert.equal(await read, '5', 'the pause was over');
    read = reader.rest();
    await send('7');
    void writer.close();
    assert.equal(await read, '67', 'nothing waits for the end');
  });

  test('the first token does not wait either where the response began without it', async (t) => {
    t.mock.timers.enable(clock);
    const upstream = new TransformStream();
    const spillway = fake({ fetch: async () => new Response(upstream.readable) });
    const response = await spillway.fetch(post(order('r', 'https://provider.test/')));
    const read = readerOf(response).next();
    void upstream.writable.getWriter().write(encoder.encode('1'));
    assert.equal(await read, '1'); // no clock has moved
  });

  test('a client may leave while something waits for more', async (t) => {
    t.mock.timers.enable(clock);
    const ctx = context();
    const spillway = fake({
      fetch: async (_url, init) => new Response(new ReadableStream({
        start(controller) {
          for (const event of ['1', '2']) controller.enqueue(encoder.encode(event));
          init.signal?.addEventListener('abort', () => controller.error(init.signal?.reason));
        },
      })),
    });
    const request = post(order('p', 'https://provider.test/'));
    const reader = readerOf(await spillway.fetch(request, ctx));
    assert.equal(await reader.next(), '1');
    const read = reader.next();
    for (let turns = 0; turns < 20; turns++) await turn();
    await reader.cancel();
    t.mock.timers.tick(8);
    assert.equal(await read, null, 'it is written to nobody');
    await ctx.settled();
    assert.deepEqual(spillway.log.items.map((line) => line.event), ['close']);
  });

  test('what waits for more has a limit: 16 KB', async (t) => {
    t.mock.timers.enable(clock);
    const event = encoder.encode('x'.repeat(1024));
    const body = new ReadableStream({ pull: (controller) => controller.enqueue(event) });
    const spillway = fake({ fetch: async () => new Response(body) });
    const reader = readerOf(await spillway.fetch(post(order('p', 'https://provider.test/'))));
    assert.equal((await reader.next())?.length, event.length);
    for (let writes = 0; writes < 3; writes++) {
      assert.equal((await reader.next())?.length, 16 * event.length);
    }
    await reader.cancel();
  });

  test('a client that leaves closes the chat and the upstream connection', async (t) => {
    const { url, next } = await provider(t, begin);
    const ctx = context();
    const spillway = fake();
    await (await spillway.fetch(post(order('p', url)), ctx)).body?.cancel();
    assert.equal(await (await next()).closed, false);
    await ctx.settled();
    assert.deepEqual(spillway.log.items.map((line) => line.event), ['close']);
  });

  test('so does its signal, before the response and after', async (t) => {
    for (const begun of [false, true]) {
      const { url, next } = await provider(t, begun ? begin : undefined);
      const ctx = context();
      const spillway = fake();
      const abort = new AbortController();
      const response = spillway.fetch(post(order('p', url), { signal: abort.signal }), ctx);
      const { closed } = await next();
      if (begun) await response;
      await collectGarbage(); // a signal that follows another one must not be lost with its request
      abort.abort();
      assert.equal(await closed, false);
      if (begun) await assert.rejects((await response).text(), { name: 'AbortError' });
      else assert.equal((await response).status, 499);
      await ctx.settled();
      assert.deepEqual(spillway.log.items.map((line) => line.event), ['close']);
    }
  });

  test('an upstream that is cut is an error in the core, with a reason', async (t) => {
    const { url } = await provider(t, ({ reply }) => {
      reply.writeHead(200, SSE).write('data: one\n\n', () => reply.destroy());
    });
    for (const mode of ['p', 's']) {
      const text = await (await fake().fetch(post(order(mode, url)))).text();
      assert.match(text, /^data: one\n\ndata: \{"error":.*"message":"terminated \(UND_ERR/);
    }
  });

  test('the reason of a failed fetch tells no address and no header', async () => {
    const dead = await provider({ after: (close) => close() }); // closed at once
    /** @param {string} url @param {object} headers @param {SpillwayOptions} [options] */
    const reason = async (url, headers, options) => {
      const response = await fake(options).fetch(post(order('p', url, headers)));
      assert.equal(response.status, 502);
      return JSON.parse((await response.text()).slice(6)).error.message;
    };
    assert.equal(await reason(`${dead.url}/?key=sesame`, {}), 'fetch failed (ECONNREFUSED)');
    const invalid = 'the address or a header of the request is not valid';
    assert.equal(await reason(dead.url, { authorization: 'Bearer sesame\n1' }), invalid);
    assert.equal(await reason('sesame', {}), invalid);
    const told = await reason('https://a.test/?sesame', { 'x-key': 'open' }, {
      async fetch(url, { headers }) {
        throw new Error(`no way to ${url} with ${new Headers(headers).get('x-key')}`);
      },
    });
    assert.equal(told, 'no way to (address) with (header)');
    // The word that the bound cuts goes whole; what ends at the bound stays.
    for (const [said, shown] of [
      [`${'a'.repeat(290)} sesame-open-up`, `${'a'.repeat(290)} `],
      [`${'a'.repeat(293)} sesame open up`, `${'a'.repeat(293)} sesame`],
      [`${'a'.repeat(300)} sesame`, 'a'.repeat(300)],
      ['a'.repeat(301), 'no reason was given'],
      ['', 'Error'],
      ['门'.repeat(301), '门'.repeat(300)],
      [`${'a'.repeat(299)}🚪`, 'a'.repeat(299)],
      [`${'a'.repeat(300)}`, 'a'.repeat(300)],
    ]) {
      const cut = await reason('https://a.test/', {}, { async fetch() { throw new Error(said); } });
      assert.equal(cut, shown);
    }
  });

  test('redirects are not followed', async (t) => {
    /** @type {unknown[]} */
    const paths = [];
    const { url } = await provider(t, ({ request, reply }) => {
      paths.push(request.url);
      reply.writeHead(307, { location: '/elsewhere' }).end();
    });
    assert.equal((await fake().fetch(post(order('p', url)))).status, 502);
    assert.deepEqual(paths, ['/']);
  });

  test('chunks larger than the core takes at once arrive whole', async () => {
    const large = encoder.encode('data: large\n\n'.repeat(250_000));
    const spillway = fake({ fetch: async () => new Response(large) });
    for (const [mode, tail] of [['p', ''], ['s', ': end\n\n']]) {
      const response = await spillway.fetch(post(order(mode, 'https://provider.test/')));
      const got = Buffer.from(await response.arrayBuffer());
      assert.ok(got.equals(Buffer.concat([large, Buffer.from(tail)])), mode);
    }
  });

  test('one instance serves many chats at once', async (t) => {
    const { url } = await provider(t, async ({ request, reply }) => {
      reply.writeHead(200, SSE);
      for (let i = 0; i < 5; i++) {
        await turn();
        reply.write(`data: ${request.headers['x-name']}.${i}\n\n`);
      }
      reply.end();
    });
    const spillway = fake();
    await Promise.all(Array.from({ length: 60 }, async (_, i) => {
      const mode = i % 2 ? 'p' : 's';
      const response = await spillway.fetch(post(order(mode, url, { 'x-name': `n${i}` })));
      const events = [0, 1, 2, 3, 4].map((n) => `data: n${i}.${n}\n\n`).join('');
      assert.equal(await response.text(), events + (mode === 's' ? ': end\n\n' : ''));
    }));
    assert.equal(spillway.log.items.filter((line) => line.event === 'end').length, 60);
  });
});

describe('splice without a native pipe', () => {
  test('bytes go as they are, the core sees each once and has the last word', async (t) => {
    const { url, next } = await provider(t, begin);
    const spillway = fake();
    const reader = readerOf(await spillway.fetch(post(order('s', url))));
    const { reply } = await next();
    assert.equal(await reader.next(), 'data: one\n\n');
    reply.write('data: two\n\n');
    assert.equal(await reader.next(), 'data: two\n\n');
    reply.end('data: three\n\n');
    assert.equal(await reader.rest(), 'data: three\n\n: end\n\n');
    const line = await spillway.log.find('end');
    assert.deepEqual([line.chunks, line.bytes], [3, 35]);
  });
});

describe('time', () => {
  test('a wake comes at its time, and says whether upstream is waited for', async () => {
    const begun = Date.now();
    const response = await fake().fetch(post('w'));
    assert.ok(Date.now() - begun >= 50);
    assert.equal(await response.text(), '1');
  });

  test('or for the client to take bytes', async (t) => {
    const { url } = await provider(t, begin);
    const spillway = fake();
    const reader = readerOf(await spillway.fetch(post(order('W', url))));
    assert.equal(await reader.next(), 'data: one\n\n');
    await spillway.log.find('gave_way'); // nothing is read meanwhile
    assert.equal(await reader.next(), 'gave way\n\n');
    await reader.cancel();
  });

  test('an upstream that ends after the last token keeps its connection', async (t) => {
    const { url, next } = await provider(t, begin);
    const ctx = context();
    const response = await fake().fetch(post(order('n', url)), ctx);
    assert.equal(await response.text(), 'data: one\n\n');
    const { reply, closed } = await next();
    reply.end('data: [DONE]\n\n');
    await ctx.settled();
    assert.equal(await closed, true, 'read to its end');
  });

  test('one that does not is aborted within a second', async (t) => {
    const { url, next } = await provider(t, begin);
    const ctx = context();
    assert.equal(await (await fake().fetch(post(order('n', url)), ctx)).text(), 'data: one\n\n');
    assert.equal(await (await next()).closed, false);
    await ctx.settled();
  });
});

describe('a trap', () => {
  test('before the response is a 500; the next request has a fresh core', async (t) => {
    const { url, next } = await provider(t, begin);
    const ctx = context();
    const spillway = fake();
    for (const mode of ['o', 'c']) {
      const response = await spillway.fetch(post(order(mode, url)), ctx);
      assert.equal(response.status, 500);
      assert.equal((await response.json()).error.code, 'internal_error');
      const trap = await spillway.log.find('trap');
      assert.equal(trap.level, 'error');
      assert.match(trap.message, /^RuntimeError: unreachable/);
      assert.equal((await spillway.fetch(post('h'))).status, 200);
    }
    assert.equal(await (await next()).closed, false);
    await ctx.settled();
  });

  test('after it is an error event, then the end', async (t) => {
    const { url, next } = await provider(t, begin);
    const ctx = context();
    const response = await fake().fetch(post(order('d', url)), ctx);
    const { reply, closed } = await next();
    reply.write('data: two\n\n');
    const [first, second, rest] = (await response.text()).split('\n\n');
    assert.equal(first, 'data: one');
    assert.equal(JSON.parse(second.slice(6)).error.code, 'internal_error');
    assert.equal(rest, '');
    assert.equal(await closed, false);
    await ctx.settled();
  });

  test('goes behind what waits for more', async (t) => {
    t.mock.timers.enable(clock);
    const upstream = new TransformStream();
    const writer = upstream.writable.getWriter();
    const send = async (/** @type {string} */ event) => {
      void writer.write(encoder.encode(event));
      for (let turns = 0; turns < 20; turns++) await turn();
    };
    const spillway = fake({
      fetch: async (url) => new Response(String(url).endsWith('/c') ? 'x' : upstream.readable),
    });
    void send('1');
    const reader = readerOf(await spillway.fetch(post(order('p', 'https://provider.test/p'))));
    assert.equal(await reader.next(), '1');
    const rest = reader.rest();
    await send('2');
    const other = await spillway.fetch(post(order('c', 'https://provider.test/c')));
    assert.equal(other.status, 500);
    await send('3');
    const text = await rest;
    assert.match(text, /^2data: \{"error":/, 'the core never saw 3');
  });

  test('in a JSON answer breaks it off', async (t) => {
    const { url, next } = await provider(t, begin);
    const response = await fake().fetch(post(order('j', url)));
    (await next()).reply.write('data: two\n\n');
    await assert.rejects(response.text(), /stopped unexpectedly/);
  });

  test('ends every other chat of the instance with a clean error too', async (t) => {
    const { url, next } = await provider(t, begin);
    const ctx = context();
    const spillway = fake();
    const reader = readerOf(await spillway.fetch(post(order('p', url)), ctx));
    assert.equal(await reader.next(), 'data: one\n\n');
    assert.equal((await spillway.fetch(post('o'), ctx)).status, 500);
    const last = reader.next();
    (await next()).reply.write('data: two\n\n');
    assert.match(await last ?? '', /^data: \{"error":.*internal_error/);
    assert.equal(await reader.next(), null);
    await ctx.settled();
  });
});

describe('chat()', () => {
  const event = (/** @type {string} */ content) =>
    `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content } }] })}\n\n`;
  const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
  const whole = [
    ': hello\n\n', event('Straße '), event('日本'),
    `data: ${JSON.stringify({ choices: [], usage })}\r\n\r\n`, 'data: [DONE]\n\n',
  ].join('');
  const messages = [{ role: 'user', content: 'hi' }];

  /** A spillway whose fake core relays the provider's answer. */
  const relay = async (/** @type {TestContext} */ t, /** @type {(_: Call) => void} */ handle) => {
    const { url, next } = await provider(t, handle);
    return { ...fake({ env: { FAKE_URL: url } }), next };
  };

  /** @template T @param {AsyncIterable<T>} iterable */
  const gather = async (iterable) => {
    /** @type {T[]} */
    const items = [];
    for await (const item of iterable) items.push(item);
    return items;
  };

  test('makes a trusted streaming request and gives text, engine, attempts, usage', async (t) => {
    const spillway = await relay(t, ({ reply }) => reply.writeHead(200, SSE).end(whole));
    const sent = async () => JSON.parse(await (await spillway.next()).body);
    const options = { messages, route: 'fast', temperature: 0, stream_options: { x: 1 } };
    const answer = await spillway.chat(options);
    assert.deepEqual(await sent(), {
      messages, model: 'fast', temperature: 0, stream: true,
      stream_options: { x: 1, include_usage: true },
    });
    assert.equal(answer.engine, 'fake:one two');
    assert.deepEqual(answer.attempts, [
      { engine: 'a:b', outcome: 'rate_limited', ms: 12 },
      { engine: 'fake:one two', outcome: 'ok', ms: 340 },
    ]);
    assert.deepEqual(await gather(answer.text), ['Straße ', '日本']);
    assert.deepEqual(await answer.usage, usage);
    await spillway.chat({ ...options, model: 'a:b', spillway: { strict: true } });
    const second = await sent();
    assert.equal(second.model, 'a:b');
    assert.deepEqual(second.spillway, { strict: true });
    await spillway.chat({ messages });
    assert.ok(!('model' in await sent()));
  });

  test('reads the same events however the bytes are cut', async () => {
    const raw = encoder.encode(whole);
    for (const length of [1, 2, 3, 5, 7, 11, 1000]) {
      /** @type {Uint8Array<ArrayBuffer>[]} */
      const pieces = [];
      for (let at = 0; at < raw.length; at += length) pieces.push(raw.slice(at, at + length));
      const answer = await fake({
        env: { FAKE_URL: 'https://provider.test/' },
        fetch: async () => new Response(streamOf(pieces)),
      }).chat({ messages });
      const events = await gather(answer.events);
      const deltas = events.map(({ choices: [choice] }) => choice?.delta.content);
      assert.deepEqual(deltas, ['Straße ', '日本', undefined]);
      assert.deepEqual(await answer.usage, usage);
    }
  });

  test('text and events are one stream', async (t) => {
    const spillway = await relay(t, ({ reply }) => reply.writeHead(200, SSE).end(whole));
    const answer = await spillway.chat({ messages });
    await gather(answer.text);
    await assert.rejects(gather(answer.events), /one stream/);
    await assert.rejects(gather(answer.text), /one stream/);
  });

  test('leaving the loop cancels upstream', async (t) => {
    const spillway = await relay(t, ({ reply }) => {
      reply.writeHead(200, SSE).write(event('a') + event('b'));
    });
    const ctx = context();
    const answer = await spillway.chat({ messages }, ctx);
    for await (const delta of answer.text) {
      assert.equal(delta, 'a');
      break;
    }
    assert.equal(await (await spillway.next()).closed, false);
    assert.equal(await answer.usage, null);
    await ctx.settled();
  });

  test('a refusal and a break are SpillwayErrors', async (t) => {
    const refused = await relay(t, ({ reply }) => reply.writeHead(503).end());
    await assert.rejects(refused.chat({ messages }), (error) => {
      assert.ok(error instanceof SpillwayError);
      const { status, code, message, attempts } = error;
      assert.deepEqual([status, code, message], [502, 'refused', 'upstream said no']);
      assert.equal(attempts.length, 2);
      return true;
    });
    const cut = await relay(t, ({ reply }) => {
      reply.writeHead(200, SSE).write(event('a'), () => reply.destroy());
    });
    const answer = await cut.chat({ messages });
    /** @type {string[]} */
    const deltas = [];
    await assert.rejects(async () => {
      for await (const delta of answer.text) deltas.push(delta);
    }, { name: 'SpillwayError', status: 502, code: 'cut' });
    assert.deepEqual(deltas, ['a']);
    await assert.rejects(answer.usage, { code: 'cut' });
  });

  test('a signal aborts it before the answer, within it, and before it began', async (t) => {
    const silent = await relay(t, () => {});
    const early = new AbortController();
    const answer = silent.chat({ messages, signal: early.signal });
    const { closed } = await silent.next();
    early.abort(new Error('changed my mind'));
    await assert.rejects(answer, /changed my mind/);
    assert.equal(await closed, false);
    await assert.rejects(silent.chat({ messages, signal: early.signal }), /changed my mind/);

    const late = new AbortController();
    const streaming = await relay(t, ({ reply }) => reply.writeHead(200, SSE).write(event('a')));
    const { text } = await streaming.chat({ messages, signal: late.signal });
    await assert.rejects(async () => {
      for await (const delta of text) late.abort(new Error(`enough of ${delta}`));
    }, /enough of a/);
  });
});
