/**
 * The door: who is let in. Keys in every header and order, digests, requests that claim to come
 * from this machine, paths that might lead past the check.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { clientOf, headOf, openSocket, secret, send, user } from './support/attacker.mjs';
import { says } from './support/provider.mjs';

/** @import { Attack } from './support/field.mjs' */

/** @param {string} text */
const digestOf = (text) => createHash('sha256').update(text).digest('hex');
/** @param {string} name */
const providerOf = (name) => (/** @type {string} */ at) => ({
  providers: { [name]: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' } },
});

// --- keys in headers ----------------------------------------------------------------------------

const HASHED = secret('hashed-');
const CAPITALS = secret('capitals-');

/** @param {string} model */
const chatText = (model) => JSON.stringify({ model, messages: user('Hello') });

/** A chat with just these header lines, in this order: its status and who it counts for.
 * @param {import('./support/field.mjs').Field} field @param {[string, string][]} lines
 * @param {string} model
 */
async function knock({ url, worker }, lines, model) {
  const body = chatText(model);
  const head = ['POST /v1/chat/completions HTTP/1.1', 'host: worker', 'connection: close',
    `content-length: ${body.length}`, ...lines.map(([name, value]) => `${name}: ${value}`), '', ''];
  const socket = await openSocket(url);
  await socket.write(Buffer.from(head.join('\r\n') + body, 'latin1'));
  const text = await socket.rest();
  socket.end();
  const status = await socket.status();
  const id = /^x-request-id: (\S+)\r$/im.exec(text)?.[1];
  const line = status === 200
    ? await worker.events.find((event) => event.request_id === id) : undefined;
  return { status, client: line?.client, text };
}

/** @template Item @param {Item[]} items @returns {Item[][]} */
const ordersOf = (items) => items.length < 2 ? [items] : items.flatMap((item, at) =>
  ordersOf([...items.slice(0, at), ...items.slice(at + 1)]).map((rest) => [item, ...rest]));

/** @type {Attack} */
const keyHeaders = {
  name: 'key-headers',
  gains: 'who has no key is let in by a digest, an empty or a doubled one; or who has one has its '
    + 'chats counted for somebody else',
  setup: (at) => ({
    ...providerOf('door')(at),
    clients: {
      'door-hashed': { keys: [`sha256:${digestOf(HASHED)}`] },
      'door-capitals': { keys: [`SHA256:${digestOf(CAPITALS).toUpperCase()}`] },
    },
  }),
  serve: () => says('Hello'),
  async run(field) {
    const [alice, mallory] = [field.as('alice').key, field.as('mallory').key];
    const model = 'door:m';
    const knocks = (/** @type {[string, string][]} */ lines) => knock(field, lines, model);
    for (const [name, key] of [['alice', alice], ['door-hashed', HASHED],
      ['door-capitals', CAPITALS]]) {
      for (const [header, value] of [['authorization', `Bearer ${key}`], ['x-api-key', key],
        ['api-key', key], ['Authorization', `bEaReR   ${key}  `]]) {
        const { status, client } = await knocks([[header, value]]);
        assert.deepEqual([status, client], [200, name], `${header} of ${name}`);
      }
    }
    // The strongest word counts, wherever it stands: nobody is counted for another by the order.
    let orders = 0;
    for (const order of ordersOf(/** @type {[string, string][]} */ ([
      ['authorization', `Bearer ${alice}`], ['x-api-key', mallory], ['api-key', HASHED],
    ]))) {
      assert.equal((await knocks(order)).client, 'alice', JSON.stringify(order));
      orders += 1;
    }
    for (const order of ordersOf(/** @type {[string, string][]} */ ([
      ['authorization', 'Bearer nobody'], ['x-api-key', mallory], ['api-key', HASHED],
    ]))) {
      assert.equal((await knocks(order)).status, 401, JSON.stringify(order));
      orders += 1;
    }
    const strange = ['', ' ', 'Bearer', 'Bearer ', 'Bearer  \t ', 'Basic Og==', 'null', 'undefined',
      'Bearer null', 'Bearer ,', 'Bearer *', `Bearer ${alice},${mallory}`, `Bearer ${alice}x`,
      `Bearer ${alice.slice(0, -1)}`, `Bearer "${alice}"`, `Bearer Bearer ${alice}`, alice,
      `Basic ${Buffer.from(`:${alice}`).toString('base64')}`, `Token ${alice}`,
      `Bearer ${digestOf(HASHED)}`, `Bearer ${digestOf(HASHED).toUpperCase()}`,
      `Bearer sha256:${digestOf(HASHED)}`, `Bearer SHA256:${digestOf(CAPITALS).toUpperCase()}`,
      `Bearer ${digestOf(CAPITALS)}`, `Bearer ${digestOf(CAPITALS).toUpperCase()}`,
      `Bearer ${digestOf('')}`, `Bearer ${'k'.repeat(600)}`, `Bearer ${alice}\0`,
      `Bearer ${alice.toUpperCase()}`, `Bearer ${alice}\x80`, `Bearer ${alice}%00`,
      'Bearer CLIENT_ALICE', 'Bearer SPILLWAY_KEYS', 'Bearer $CLIENT_ALICE'];
    for (const value of strange) {
      for (const lines of /** @type {[string, string][][]} */ ([
        [['authorization', value]], [['x-api-key', value.replace(/^Bearer /, '')]],
        [['api-key', value.replace(/^Bearer /, '')]],
      ])) {
        // There it is the key itself.
        if (lines[0][0] !== 'authorization' && lines[0][1] === alice) continue;
        const { status, text } = await knocks(lines);
        assert.ok(status === 401 || status === 400, `${JSON.stringify(lines)}: ${text}`);
        assert.ok(!text.includes(alice.slice(-12)), 'the answer shows a key');
      }
    }
    const twice = await knocks([['authorization', `Bearer ${mallory}`],
      ['authorization', `Bearer ${alice}`]]);
    assert.ok([400, 401].includes(twice.status), twice.text);
    // Three keys in four ways, and half of the orders.
    assert.equal(field.asked.length, 12 + orders / 2, 'a request that was refused went upstream');
    return `${orders} orders of headers, ${strange.length} strange keys: the same client or a 401`;
  },
};

// --- this machine -------------------------------------------------------------------------------

/** What a request from elsewhere may claim. @type {Record<string, string>[]} */
const CLAIMS = [
  { 'cf-connecting-ip': '127.0.0.1' }, { 'cf-connecting-ip': '::1' }, { host: 'localhost' },
  { host: '127.0.0.1' }, { host: 'localhost:8787', 'cf-connecting-ip': '127.0.0.1' },
  { 'x-forwarded-for': '127.0.0.1' }, { 'x-real-ip': '127.0.0.1' },
  { forwarded: 'for=127.0.0.1;host=localhost' }, { 'x-forwarded-host': 'localhost' },
  { 'true-client-ip': '127.0.0.1' }, { origin: 'http://localhost' }, { 'cf-worker': 'localhost' },
  { 'mf-original-url': 'http://localhost/v1/models' }, { 'cf-ew-via': '15' },
  { host: '[::1]', 'cf-connecting-ip': '::ffff:127.0.0.1', origin: 'http://127.0.0.1' },
];

/** @type {Attack} */
const noKeySet = {
  name: 'forged-local',
  gains: 'anybody is served by a deployed router that has no client key yet, by claiming to sit at '
    + 'its machine',
  world: 'closed',
  setup: (at) => ({ ...providerOf('closed')(at), vars: { SPILLWAY_KEYS: ' ,, \t,' } }),
  serve: () => says('Hello'),
  async run({ url, asked }) {
    const keys = /** @type {Record<string, string>[]} */ ([
      {}, { authorization: 'Bearer ' }, { authorization: 'Bearer ,' }, { 'x-api-key': '' },
      { authorization: `Bearer ${digestOf('')}` },
    ]);
    let refused = 0;
    for (const claim of [{}, ...CLAIMS]) {
      for (const key of keys) {
        const got = await send(`${url}/v1/chat/completions`, {
          method: 'POST', headers: { ...claim, ...key }, body: chatText('closed:m'),
        });
        assert.equal(got.status, 401, `${JSON.stringify({ ...claim, ...key })}: ${got.text}`);
        const models = await send(`${url}/v1/models`, { headers: { ...claim, ...key } });
        assert.equal(models.status, 401, JSON.stringify({ ...claim, ...key }));
        refused += 2;
      }
    }
    assert.equal(asked.length, 0, 'a request went upstream');
    return `${refused} requests without a key, each a 401`;
  },
};

/** What `wrangler dev` refuses: it comes from elsewhere, or through something.
 * @type {Record<string, string>[]} */
const ELSEWHERE = [
  { 'cf-connecting-ip': '203.0.113.7' }, { host: 'evil.example' },
  { host: 'localhost.evil.example' },
  { host: '127.0.0.1.evil.example' }, { host: '0.0.0.0' }, { origin: 'https://evil.example' },
  { origin: 'http://localhost.evil.example' }, { origin: 'null' }, { origin: 'file://' },
  { origin: 'http://127.0.0.1@evil.example' }, { 'x-forwarded-for': '127.0.0.1' },
  { forwarded: 'for=127.0.0.1' }, { 'x-real-ip': '127.0.0.1' }, { via: '1.1 localhost' },
  { 'x-forwarded-host': 'localhost' }, { 'cf-ray': '1-X' }, { 'cdn-loop': 'cloudflare' },
  { 'cf-connecting-ip': '127.0.0.1, 203.0.113.7' }, { 'cf-connecting-ip': '2130706433.example' },
  { 'cf-connecting-ip': '' },
];

/** @type {Attack} */
const devServer = {
  name: 'dev-from-elsewhere',
  gains: 'a web page, a tunnel or another machine uses the developer\'s keys through wrangler dev',
  world: 'dev',
  setup: providerOf('dev'),
  serve: () => says('Hello'),
  async run({ url, asked }) {
    const chat = (/** @type {Record<string, string>} */ headers) =>
      send(`${url}/v1/chat/completions`, { method: 'POST', headers, body: chatText('dev:m') });
    assert.equal((await chat({})).status, 200, 'this machine is served');
    const before = asked.length;
    for (const headers of ELSEWHERE) {
      const got = await chat(headers);
      // What dev's own server fills in again is not forged any more.
      const isFilled = headers['cf-connecting-ip'] === '';
      assert.ok(got.status === 401 || isFilled, `${JSON.stringify(headers)}: ${got.status}`);
    }
    assert.ok(asked.length - before <= 1, `${asked.length - before} requests went upstream`);
    return `${ELSEWHERE.length} requests from elsewhere or through something, none is served`;
  },
};

// --- paths --------------------------------------------------------------------------------------

const PATHS = [
  '/v1/models', '/v1/models/', '/v1/models/hidden%2Dprovider:m', '/v1//models', '//v1/models',
  '/v1/./models',
  '/health/../v1/models', '/V1/MODELS', '/v1/models%2F', '/%76%31/models', '/v1/models?key=x',
  '/v1/models#', '/v1/models;x', '/v1/chat/completions', '/v1/chat/completions/',
  '/v1/chat/completions?api-key=x', '/v1/chat/../chat/completions', '/health?full=1', '/health/',
  '/', '/probe2', '/.dev.vars', '/spillway.config.json', '/dist/spillway.config.json', '/index.js',
];
const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'];

/** @type {Attack} */
const paths = {
  name: 'keyless-paths',
  gains: 'a stranger asks a provider, or learns who the clients and providers are, by a path or '
    + 'method that the check does not know',
  setup: (at) => ({ ...providerOf('hidden-provider')(at), clients: { 'hidden-client': {} } }),
  serve: () => says('Hello'),
  async run({ url, asked }) {
    let tried = 0;
    for (const path of PATHS) {
      for (const method of METHODS) {
        const body = chatText('hidden-provider:m');
        const socket = await openSocket(url);
        await socket.write(`${method} ${path} HTTP/1.1\r\nhost: w\r\nconnection: close\r\n`
          + `x-http-method-override: GET\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
        const text = await socket.rest();
        socket.end();
        tried += 1;
        const status = await socket.status();
        const isOpen = method === 'OPTIONS' ? status === 204
          : status === 200 && /^(\/|\/health.*|\/v1\/models#)$/.test(path);
        const refused = status >= 400 && status < 500;
        assert.ok(isOpen || refused, `${method} ${path}: ${text.slice(0, 300)}`);
        assert.doesNotMatch(text, /hidden-|alice|"providers"|cooling/, `${method} ${path}`);
      }
    }
    assert.equal(asked.length, 0, 'a request went upstream');
    const unknown = await clientOf(url, 'nobody').get('/health');
    assert.deepEqual(Object.keys(unknown.json).sort(), ['providers_ready', 'simulated', 'status']);
    return `${tried} requests without a key, none is served or told a name`;
  },
};

/** @type {Attack[]} */
export const attacks = [keyHeaders, noKeySet, devServer, paths];
