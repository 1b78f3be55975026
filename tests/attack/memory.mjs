/**
 * Memory: strangers with large bodies, clients with large names, providers with endless answers.
 * What is measured is the worker's own resident set, and the memory of its module.
 */

import assert from 'node:assert/strict';
import {
  assertServed, eventually, headOf, inParallel, openSocket, user,
} from './support/attacker.mjs';
import { chunk, refuses, says } from './support/provider.mjs';

/** @import { Attack } from './support/field.mjs' */

const MiB = 2 ** 20;
/** Of RSS: the heap of a young isolate moves by this much. */
const GROWTH_BYTES_MAX = 32 * MiB;
/** What an isolate of Cloudflare's has in all. */
const ISOLATE_BYTES = 128 * MiB;

// --- strangers ----------------------------------------------------------------------------------

const STRANGERS = 30;
const STRANGER_BYTES = 15 * MiB;

/** @type {Attack} */
const keyless = {
  name: 'keyless-bodies',
  gains: 'anybody without a key fills the worker\'s memory with bodies, or holds its connections',
  setup: (at) => ({
    providers: {
      strangers: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' },
    },
  }),
  serve: () => says('Hello'),
  async run({ as, url, worker }) {
    assertServed(await as('alice').chat({ model: 'strangers:m' }));
    const before = worker.rss_bytes();
    let peak = before;
    const piece = Buffer.alloc(256 * 1024, 0x20);
    const strangers = Array.from({ length: STRANGERS });
    const sockets = await inParallel(strangers, STRANGERS, async (_, at) => {
      const socket = await openSocket(url);
      /** @type {Record<string, string>} */
      const key = at % 3 === 0 ? {} : { authorization: `Bearer wrong-${at}` };
      await socket.write(headOf({ ...key, 'content-length': STRANGER_BYTES }));
      await socket.write(' ');
      // Half of them send no more than this byte: the answer does not wait for the rest.
      const status = await socket.status();
      assert.equal(status, 401, socket.text());
      return socket;
    });
    const [waiting, sending] = [0, 1].map((half) => sockets.filter((_, at) => at % 2 === half));
    const served = inParallel(Array.from({ length: 20 }), 4, async () => {
      assertServed(await as('alice').chat({ model: 'strangers:m' }));
    });
    await Promise.all(sending.map(async (socket) => {
      for (let sent = 0; sent < STRANGER_BYTES && await socket.write(piece); sent += piece.length) {
        peak = Math.max(peak, worker.rss_bytes());
      }
    }));
    await served;
    peak = Math.max(peak, worker.rss_bytes());
    for (const socket of [...waiting, ...sending]) socket.end();
    assert.ok(peak - before < GROWTH_BYTES_MAX,
      `the worker grew by ${((peak - before) / MiB).toFixed(1)} MB`);
    return `${STRANGERS} of them, ${STRANGER_BYTES / MiB} MB each: 401 before the body, another `
      + `client is served, ${((peak - before) / MiB).toFixed(1)} MB more memory`;
  },
};

// --- answers ------------------------------------------------------------------------------------

/** More than anything that is kept; nobody sends for ever here. */
const SENT_BYTES_MAX = 96 * MiB;
const FILL = 'x'.repeat(64 * 1024);

/**
 * What an answer begins with, and what it goes on with for ever.
 * @type {Record<string, { status?: number, type?: string, begin: string, more: string }>}
 */
const ENDLESS = {
  refusal: { status: 400, type: 'application/json', begin: '{"error":{"message":"', more: FILL },
  page: { status: 502, type: 'text/html', begin: '<title>', more: FILL },
  event: { begin: 'data: {"choices":[{"delta":{"content":"', more: FILL },
  lines: { begin: '', more: 'data: \n'.repeat(8000) },
  roles: {
    begin: '',
    more: `data: ${JSON.stringify({ choices: [{ index: 0, delta: { role: 'assistant' } }] })}\n\n`
      .repeat(400),
  },
  calls: {
    begin: '',
    more: Array.from({ length: 300 }, (_, index) => `data: ${JSON.stringify({ choices: [{
      index: 0, delta: { tool_calls: [{ index, id: `c${index}`, type: 'function',
        function: { name: 'f', arguments: '' } }] },
    }] })}\n\n`).join(''),
  },
  arguments: {
    begin: '',
    more: `data: ${JSON.stringify({ choices: [{ index: 0, delta: { tool_calls: [{
      index: 0, id: 'c', type: 'function', function: { name: 'f', arguments: FILL },
    }] } }] })}\n\n`,
  },
  text: { begin: '', more: chunk(FILL) },
};

/** @type {Attack} */
const endlessAnswers = {
  name: 'endless-answers',
  gains: 'a provider fills the worker\'s memory with a refusal, an event or an answer without end',
  setup: (at) => ({
    providers: {
      endless: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' },
    },
  }),
  async serve({ model }, reply) {
    const { status = 200, type = 'text/event-stream', begin, more } = ENDLESS[model];
    reply.writeHead(status, { 'content-type': type });
    reply.write(begin);
    /** @type {() => void} */
    let go = () => {};
    reply.on('drain', () => go()).on('close', () => go());
    for (let sent = 0; sent < SENT_BYTES_MAX && !reply.destroyed; sent += more.length) {
      if (!reply.write(more)) await new Promise((resolve) => { go = () => resolve(undefined); });
    }
    reply.end();
  },
  async run({ as, worker }) {
    for (const model of Object.keys(ENDLESS)) {
      const got = await as('mallory').chat({ model: `endless:${model}` });
      assert.ok(got.status >= 400, `${model}: ${got.status} and ${got.text.length} bytes`);
      assert.ok(got.text.length < 8000, `${model}: ${got.text.length} bytes`);
    }
    const { memories_bytes } = await worker.probe();
    assert.equal(memories_bytes.length, 1, 'the module trapped');
    assert.ok(memories_bytes[0] < ISOLATE_BYTES / 2, `the module has ${memories_bytes[0]} bytes`);
    return `${Object.keys(ENDLESS).length} kinds; each is given up, the module has `
      + `${(memories_bytes[0] / MiB).toFixed(1)} MB`;
  },
};

// --- names --------------------------------------------------------------------------------------

const NAME_BYTES = Math.floor(15.9 * MiB);
/** What is told of one request, in the answer or in the log. */
const TOLD_BYTES_MAX = 8 * 1024;
const ROUNDS = 2;
const AGAIN = 5;

/** @type {[string, (name: string) => object][]} */
const NAMES = [
  ['model', (name) => ({ model: `names:${name}` })],
  ['bare model', (name) => ({ model: name })],
  ['models', (name) => ({ model: 'names:m', models: [name] })],
  ['chain', (name) => ({ spillway: { chain: [`names:${name}`] } })],
  ['chain, behind a good one', (name) => ({ spillway: { chain: ['names:m', name] } })],
  ['member of spillway', (name) => ({ spillway: { [name]: 1 } })],
  ['member of timeouts', (name) => ({ spillway: { timeouts: { [name]: 1 } } })],
  ['word of spillway', (name) => ({ spillway: { on_auth_error: name } })],
  ['tool', (name) => ({ tools: [{ type: 'function', function: { name } }] })],
  ['tool choice', (name) => ({ tool_choice: { type: 'function', function: { name } } })],
  ['schema', (name) => ({ response_format: { type: 'json_schema', json_schema: { name } } })],
  ['stop', (name) => ({ stop: [name] })],
  ['user', (name) => ({ user: name })],
  ['metadata', (name) => ({ metadata: { [name]: name.slice(0, 9) } })],
  ['unknown member', (name) => ({ [name]: 1 })],
  ['role', (name) => ({ messages: [{ role: name, content: 'Hi' }] })],
  ['part', (name) => ({ messages: [{ role: 'user', content: [{ type: name }] }] })],
  ['image', (name) => ({ messages: [{ role: 'user', content: [
    { type: 'image_url', image_url: { url: `https://${name}` } },
  ] }] })],
  ['stream option', (name) => ({ stream_options: { [name]: true } })],
  ['effort', (name) => ({ reasoning_effort: name })],
];

/** @type {Attack} */
const largeNames = {
  name: 'large-names',
  gains: 'a client\'s one name of 16 MB is copied into messages, headers, the log or what is '
    + 'remembered, until the worker has no memory left',
  setup: (at) => ({
    providers: { names: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' } },
    clients: { 'names-client': { policy: ['timeouts', 'on_auth_error'] } },
  }),
  serve: ({ model }) => refuses(500, `broken: ${model}`),
  async run({ as, worker }) {
    const mallory = as('names-client');
    const name = 'n'.repeat(NAME_BYTES);
    const printed = worker.output().length;
    /** @type {number[]} */
    const sizes = [];
    let requests = 0;
    for (let round = 0; round < ROUNDS; round++) {
      // Again, to see whether anything adds up: a few are enough.
      for (const [what, body] of round === 0 ? NAMES : NAMES.slice(0, AGAIN)) {
        requests += 1;
        const got = await mallory.chat({ model: 'names:m', ...body(name) });
        assert.ok(got.status >= 400, `${what}: ${got.status}`);
        const told = got.text.length + JSON.stringify(got.headers).length;
        assert.ok(told < TOLD_BYTES_MAX, `${what}: the answer has ${told} bytes`);
      }
      const { memories_bytes } = await worker.probe();
      assert.equal(memories_bytes.length, 1, 'the module trapped');
      sizes.push(memories_bytes[0]);
    }
    const logged = worker.output().length - printed;
    assert.ok(logged < requests * TOLD_BYTES_MAX, `the log has ${logged} bytes`);
    assert.ok(sizes[0] < ISOLATE_BYTES, `the module has ${sizes[0]} bytes`);
    assert.equal(sizes[1], sizes[0], 'the module still grows');
    const health = await as('alice').get('/health');
    assert.ok(health.text.length < 16 * 1024 && !health.text.includes('nnnn'),
      `/health has ${health.text.length} bytes`);
    return `${NAMES.length} places; ${(logged / requests).toFixed(0)} bytes of log `
      + `each, the module has ${(sizes[1] / MiB).toFixed(1)} MB and does not grow`;
  },
};

// --- who leaves ---------------------------------------------------------------------------------

const LEAVERS = 200;
let open = 0;

/** @type {Attack} */
const leavers = {
  name: 'leaving-clients',
  gains: 'a client that asks and leaves makes the operator pay for answers that nobody reads, and '
    + 'piles up chats',
  setup: (at) => ({
    providers: {
      leavers: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' },
    },
  }),
  serve(_, reply) {
    open += 1;
    reply.on('close', () => { open -= 1; });
    reply.writeHead(200, { 'content-type': 'text/event-stream' });
    reply.write(chunk('Hello'));
  },
  async run({ as, url, worker, asked }) {
    const { key } = as('mallory');
    await inParallel(Array.from({ length: LEAVERS }), 20, async (_, at) => {
      const stream = at % 2 === 0;
      const body = JSON.stringify({ model: 'leavers:m', messages: user('Hi'), stream });
      const socket = await openSocket(url);
      await socket.write(headOf({
        authorization: `Bearer ${key}`, 'content-length': body.length,
      }) + body);
      if (stream) assert.equal(await socket.status(), 200);
      socket.end();
    });
    await eventually('no chat and no exchange is open', async () =>
      (await worker.probe()).chats_open === 0 && open === 0);
    return `${LEAVERS} leave, ${asked.length} were asked upstream; no chat and no exchange is left`;
  },
};

/** @type {Attack[]} */
export const attacks = [leavers, endlessAnswers, keyless, largeNames];
