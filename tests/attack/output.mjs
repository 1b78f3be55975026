/**
 * What leaves: headers, log lines, pages. Names are the client's own words, and some of them are
 * meant to be read as something else.
 */

import assert from 'node:assert/strict';
import { assertServed, headOf, openSocket, send, user } from './support/attacker.mjs';
import { refuses, says } from './support/provider.mjs';

/** @import { Attack } from './support/field.mjs' */

// --- how much is told ---------------------------------------------------------------------------

const MANY = 64;
/** Of a name, with its provider's and a byte to percent-encode in each. */
const LONG = `${'é'.repeat(40)}${'n'.repeat(400)}`;
/** Together. */
const TOLD_BYTES_MAX = 4096;
const ATTEMPTS = 32;

/** @type {Attack} */
const largeHeaders = {
  name: 'large-headers',
  gains: 'a client makes the response\'s headers so large that servers and libraries between '
    + 'refuse it, and the answer that was paid for is lost',
  setup: (at) => ({
    providers: {
      tell: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' },
      'tell-ant': { dialect: 'anthropic', base_url: `${at}/v1`, keys: [], auth: 'none' },
    },
    clients: { 'tell-client': { policy: ['attempts_max'], attempts_max: ATTEMPTS } },
  }),
  serve: ({ model }) => (model.startsWith('good') ? says('Hello') : refuses(503, 'busy')),
  async run({ as, url, worker }) {
    const { key } = as('tell-client');
    for (const good of [false, true]) {
      for (const stream of [false, true]) {
        const models = Array.from({ length: MANY }, (_, at) =>
          `tell:${good && at === ATTEMPTS - 1 ? 'good' : ''}${at}${LONG}`);
        const unknown = Object.fromEntries(Array.from({ length: 200 }, (_, at) =>
          [`é${'m'.repeat(60)}${at}`, 1]));
        // Node's fetch takes 16 KB of headers at most.
        const response = await fetch(`${url}/v1/chat/completions`, {
          method: 'POST', headers: { authorization: `Bearer ${key}` },
          body: JSON.stringify({
            models, messages: user('Hello'), stream, ...unknown,
            spillway: { attempts_max: ATTEMPTS },
          }),
        });
        await response.text();
        assert.equal(response.status, good ? 200 : 503);
        const told = [...response.headers].filter(([name]) => /^x-spillway-|^server-t/.test(name));
        const bytes = told.reduce((sum, [name, value]) => sum + name.length + value.length, 0);
        assert.ok(bytes <= TOLD_BYTES_MAX, `${bytes} bytes of ${told.map(([name]) => name)}`);
        assert.match(response.headers.get('x-spillway-attempts') ?? '', /\(\d+ more\)/);
        const id = response.headers.get('x-request-id');
        const line = await worker.events.find((event) => event.request_id === id);
        assert.equal(line.attempts.length, ATTEMPTS, 'the log has not all');
        assert.ok(line.attempts.every((/** @type {any} */ { engine }) => engine.endsWith(LONG)));
      }
    }
    return `${MANY} models of ${Buffer.byteLength(LONG)} bytes: at most ${TOLD_BYTES_MAX} bytes `
      + `are told, the log has all ${ATTEMPTS} attempts`;
  },
};

// --- lines and headers --------------------------------------------------------------------------

const FORGED = '{"event":"chat","outcome":"completed","client":"forged-by-mallory"}';
/** What ends a line, moves a terminal's cursor or turns the reading order. */
const TRICKS = [
  '\n', '\r\n', '\r', '\0', '\v', '\f', '\x1b[2J\x1b[1;1H', '\x7f', '\x85', '\x9b2J', '\x9d0;t\x9c',
  '\u2028', '\u2029', '\u202e', '\u202a', '\u2066', '\u2069', '\t',
];
/** Raw in any line of the log. */
const OBEYED = /[\0-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

/** Where a client's words go. @type {((text: string) => object)[]} */
const PLACES = [
  (text) => ({ model: `inject:${text}` }),
  (text) => ({ model: text }),
  (text) => ({ model: 'inject:m', models: [`inject:${text}`] }),
  (text) => ({ spillway: { chain: [`inject:${text}`] } }),
  (text) => ({ model: 'inject:quote', messages: user(text) }),
  (text) => ({ model: 'inject:named', messages: user(text) }),
  (text) => ({ model: 'inject-ant:m', [text]: 1, spillway: { strict: true } }),
];

/** @type {Attack} */
const logLines = {
  name: 'forged-log-line',
  gains: 'a client writes lines of its own into the operator\'s log, or hides what it did there '
    + 'from whoever reads it on a terminal',
  setup: (at) => ({
    providers: {
      inject: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' },
      'inject-ant': { dialect: 'anthropic', base_url: `${at}/v1`, keys: [], auth: 'none' },
    },
  }),
  serve({ model, body }) {
    if (model === 'named') return says('Hi', { model: body.messages[0].content, id: model });
    return model === 'quote' ? refuses(400, body.messages[0].content) : refuses(404, model);
  },
  async run({ as, logOf, worker }) {
    const ids = [];
    for (const trick of TRICKS) {
      for (const place of PLACES) {
        const got = await as('mallory').chat(place(`m${trick}${FORGED}${trick}`));
        await logOf(got);
        ids.push(got.id);
      }
    }
    const lines = worker.output().split('\n');
    const forged = worker.events.items.filter(({ client }) => client === 'forged-by-mallory');
    assert.equal(forged.length, 0, `the log has ${JSON.stringify(forged[0])}`);
    for (const id of ids) {
      const own = lines.filter((line) => line.includes(id));
      assert.equal(own.length, 1, `a chat has ${own.length} lines`);
      assert.doesNotMatch(own[0], OBEYED, `raw in the log: ${JSON.stringify(own[0])}`);
      assert.equal(JSON.parse(own[0]).client, 'mallory');
    }
    return `${TRICKS.length} tricks in ${PLACES.length} places: one escaped line for each chat`;
  },
};

/** @type {Attack} */
const responseHeaders = {
  name: 'split-response',
  gains: 'a client\'s link makes a response with headers of the attacker\'s own: cookies, a second '
    + 'response for a cache',
  setup: (at) => ({
    providers: {
      split: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' },
      'split-ant': { dialect: 'anthropic', base_url: `${at}/v1`, keys: [], auth: 'none' },
    },
  }),
  serve: ({ path }) => (path.endsWith('/messages') ? refuses(500, 'no') : says('Hello')),
  async run({ as, url }) {
    const { key } = as('mallory');
    const evil = ['\r\nset-cookie: a=1\r\n', '\nset-cookie: a=1', '\r\n\r\nHTTP/1.1 200 OK\r\n',
      '\u010d\u010aset-cookie: a=1', '\x85set-cookie: a=1', '", set-cookie="a'];
    let answers = 0;
    for (const text of evil) {
      for (const body of [
        { model: `split:m${text}` }, { model: text }, { model: `split-ant:m${text}`, [text]: 1 },
        { spillway: { chain: [`split:${text}`] } }, { model: 'split:m', [text]: 1 },
      ]) {
        const json = JSON.stringify({ messages: user('Hi'), ...body });
        const socket = await openSocket(url);
        await socket.write(headOf({
          authorization: `Bearer ${key}`, 'content-length': Buffer.byteLength(json),
          connection: 'close',
        }) + json);
        const all = await socket.rest();
        socket.end();
        assert.equal(all.match(/^HTTP\/1\.1 /gm)?.length, 1, all);
        assert.doesNotMatch(all.slice(0, all.indexOf('\r\n\r\n')), /^set-cookie/im, all);
        // A head that the runtime refuses breaks the chats of all.
        assert.doesNotMatch(all, /^HTTP\/1\.1 500|internal_error/, all);
        answers += 1;
      }
      const encoded = encodeURIComponent(text);
      for (const path of [`/v1/models/${encoded}`, `/${encoded}`]) {
        const got = await as('mallory').get(path);
        assert.equal(got.status, 404);
        assert.equal(got.headers['set-cookie'], undefined);
      }
    }
    return `${answers} answers with line ends in names, none has a header of the attacker's`;
  },
};

// --- browsers -----------------------------------------------------------------------------------

const ALLOWED = 'https://app.example';
/** What a page on another site may try as its own origin. */
const ORIGINS = [
  'https://evil.example', 'null', 'https://app.example.evil.example', 'http://app.example',
  'https://APP.example', 'https://app.example:444', 'https://evil.example,https://app.example',
  'file://', 'https://app.example@evil.example',
];

/** @type {Attack} */
const cors = {
  name: 'cors-reflection',
  gains: 'a page on another site reads answers with the key that a browser has, or asks for '
    + 'headers so large that the preflight\'s answer breaks',
  world: 'tight',
  async run({ as, url }) {
    const rules = ['origin', 'credentials', 'methods', 'private-network'];
    for (const origin of ORIGINS) {
      for (const method of ['OPTIONS', 'GET']) {
        const { headers } = await send(`${url}/v1/models`, {
          method,
          headers: {
            origin, authorization: `Bearer ${as('mallory').key}`,
            ...(method === 'OPTIONS' ? {
              'access-control-request-method': 'DELETE',
              'access-control-request-private-network': 'true',
            } : {}),
          },
        });
        const [allowed, credentials, methods = '', network] = rules.map((rule) =>
          headers[`access-control-allow-${rule}`]);
        assert.equal(allowed, ALLOWED, `${origin} got ${allowed}`);
        assert.equal(headers.vary, 'origin');
        assert.equal(credentials, undefined);
        assert.equal(network, undefined);
        assert.doesNotMatch(String(methods), /DELETE/);
      }
    }
    for (const [asked, expected] of /** @type {const} */ ([
      ['x-stainless-os, content-type', 'x-stainless-os, content-type'],
      ['x'.repeat(5000), 'authorization, content-type'],
      [`${'é'.repeat(20)}`, undefined], ['a\x01b', undefined], ['\x80\xff', undefined],
    ])) {
      const socket = await openSocket(url);
      await socket.write(Buffer.from(['OPTIONS /v1/chat/completions HTTP/1.1', 'host: worker',
        `access-control-request-headers: ${asked}`, 'connection: close', '', ''].join('\r\n'),
      'latin1'));
      const all = await socket.rest();
      socket.end();
      assert.match(all, /^HTTP\/1\.1 (204|400)/, JSON.stringify(asked) + all);
      const echoed = /^access-control-allow-headers: (.*)\r$/im.exec(all)?.[1];
      if (expected !== undefined) assert.equal(echoed, expected);
    }
    const giant = await openSocket(url);
    await giant.write(`OPTIONS / HTTP/1.1\r\nhost: w\r\naccess-control-request-headers: ${
      'x'.repeat(60_000)}\r\nconnection: close\r\n\r\n`);
    assert.ok((await giant.rest()).length < 2000, 'a giant list of headers is echoed');
    giant.end();
    return `${ORIGINS.length} origins, none is reflected; what is too long is not echoed`;
  },
};

/** @type {Attack} */
const page = {
  name: 'script-in-page',
  gains: 'a link to the router\'s own page runs a script of the attacker\'s in its origin',
  async run({ url, as }) {
    const script = '<script>alert(1)</script>';
    let pages = 0;
    for (const [host, path] of [
      ['worker', `/?${script}`], ['worker', `/#${script}`], [`a${script}`, '/'],
      ['"><img src=x>', '/'],
      ["a'onload='b", '/'], ['worker', `/${script}`], [`a.test:80${script}`, '/'],
      [`user:${script}@a.test`, '/'], ['a&lt;b', '/'],
    ]) {
      const socket = await openSocket(url);
      await socket.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\naccept: text/html\r\n`
        + 'connection: close\r\n\r\n');
      const all = await socket.rest();
      socket.end();
      const isPage = /content-type: text\/html/i.test(all);
      pages += isPage ? 1 : 0;
      if (!isPage) continue;
      assert.ok(!all.includes('<script') && !all.includes('<img') && !all.includes("'onload="),
        all.slice(0, 3000));
      assert.match(all, /content-security-policy: default-src 'none'/i);
    }
    assert.ok(pages > 0, 'there is a page');
    const got = await as('alice').get('/');
    assertServed(got);
    return `${pages} pages asked for with markup in the address; none of it is markup in the page`;
  },
};

/** @type {Attack[]} */
export const attacks = [largeHeaders, logLines, responseHeaders, cors, page];
