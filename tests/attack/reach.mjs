/**
 * Rows: what a client reaches and what a request of its may cost, by every spelling that might
 * read as something else than it is.
 */

import assert from 'node:assert/strict';
import { assertServed, inParallel, user } from './support/attacker.mjs';
import { chunk, refuses, says, saysGemini } from './support/provider.mjs';

/** @import { Attack } from './support/field.mjs' */

const FAIL = 'Fail, please';
const MESSAGES = JSON.stringify(user('Hello'));
/** @param {string} members */
const raw = (members) => `{"messages":${MESSAGES},${members}}`;

/** Ways to name what is not one's own. */
const NAMES = [
  'reach:secret', 'reach-other:secret', 'secret', 'reach-secret', 'Reach:secret', 'REACH:SECRET',
  'reach: secret', ' reach:secret', 'reach:secret ', 'reach :secret', 'reach%3Asecret',
  'reach:%73ecret', 'reach::secret', 'reach:secret\u0000', 'reach:ok\u0000secret',
  'reach:ok,secret',
  'reach:ok:secret', 'reach:ok/../secret', 'reach:ok/secret', 'reach:okay', 'reach:o', 'reach:',
  ':secret', 'reach', 'reach:*', '*', 'reach:ok*', 'reach-own:secret', 'reach\uff1asecret',
  'reach:\u200bsecret', 'reach-own ', 'REACH-OWN', 'reach-own/secret', '__proto__', 'constructor',
  'reach-other:ok', 'reach-oth', 'reach-gem:team-b', 'reach-gem:models/team-b',
  'reach-gem:models/models/team-b', 'reach-gem:tEam-a/x', 'standard', 'default', '', ' ', '\u0000',
  'reach:ok\nreach:secret', 'reach:secret?', 'reach:secret#', 'other:reach:ok',
];

/** Bodies that say two things at once, whichever of them is read. */
const DOUBLE = [
  raw('"model":"reach:ok","model":"reach:secret"'),
  raw('"model":"reach:secret","model":"reach:ok"'),
  raw('"model":"reach-own","mod\\u0065l":"reach:secret"'),
  raw('"model":"reach:ok","models":["reach:ok"],"models":["reach:secret"]'),
  raw('"model":"reach:ok","models":["reach:secret"]'),
  raw('"models":["reach:ok","reach:secret"]'),
  raw('"model":"reach:ok","fallbacks":["reach:secret"],"route":"reach-secret"'),
  raw('"model":"reach:ok","spillway":{"chain":["reach:ok","reach:secret"]}'),
  raw('"model":"reach:ok","spillway":{"chain":["reach:ok"],"chain":["reach:secret"]}'),
  raw('"model":"reach:ok","spillway":{"chain":["reach:secret"],"chain":["reach:ok"]}'),
  raw('"spillway":{"chain":["reach:ok"]},"spillway":{"chain":["reach:secret"]}'),
  raw('"spillway":{"chain":["reach:secret"]},"spillway":{"chain":["reach:ok"]}'),
  raw('"spillway":{"cha\\u0069n":["reach:secret"]}'),
  raw('"model":"reach-secret","spillway":{"chain":["reach:ok"]}'),
  raw('"model":"reach:ok","models":["reach-secret"],"spillway":{"chain":["reach:ok"]}'),
  raw('"model":"\\u0072each:secr\\u0065t"'),
  raw('"model":["reach:secret"]'), raw('"model":{"id":"reach:secret"}'),
  raw('"model":"reach:ok","extra_body":{"model":"reach:secret"}'),
  raw('"model":null,"models":["reach:secret"]'),
  raw('"model":"","models":["reach:secret"]'),
];

/** A model's name as part of an address: where it might lead. */
const PATHS = [
  'team-a/x', 'team-a/../team-b', 'team-a/%2e%2e/team-b', 'team-a/..%2fteam-b', 'team-a/..',
  'team-a/.\t./team-b', 'team-a/.\n./team-b', 'team-a/\\..\\team-b', 'team-a/../../../v1/files',
  'team-a/x:generateContent?key=1', 'team-a/x?alt=json', 'team-a/x#', 'team-a/x:batch', 'team-a//x',
  'team-a/@evil.example/', 'team-a/\ud83d\ude00', 'team-a/%', 'team-a/%00', 'team-a/;x=1',
];

/** @type {Attack} */
const reach = {
  name: 'beyond-the-row',
  gains: 'a client uses engines that the operator pays for and has not given it',
  setup: (at) => {
    const openai = { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' };
    return {
      providers: {
        reach: openai, 'reach-other': openai,
        'reach-gem': { ...openai, dialect: 'gemini', base_url: `${at}/v1beta` },
      },
      engines: { 'reach:ok': {}, 'reach:secret': {}, 'reach-other:secret': {} },
      routes: {
        'reach-own': { chain: ['reach:ok', 'reach:secret', 'reach-other:secret'] },
        'reach-secret': { chain: ['reach:ok', 'reach:secret'] },
      },
      clients: {
        'reach-client': { routes: ['reach-own'], engines: ['reach:ok', 'reach-gem:team-a/*'] },
        'reach-routes': { routes: ['reach-own'] },
      },
    };
  },
  serve({ path, body }) {
    if (path.startsWith('/v1beta')) return saysGemini('Hello');
    return body.messages?.[0].content === FAIL ? refuses(503, 'busy') : says('Hello');
  },
  async run({ as, asked }) {
    const mallory = as('reach-client');
    for (const model of ['reach:ok', 'reach-own']) assertServed(await mallory.chat({ model }));
    const failed = await mallory.chat({ model: 'reach-own', messages: user(FAIL) });
    assert.equal(failed.status, 503, failed.text);

    /** @type {string[]} */
    const bodies = [...DOUBLE];
    for (const name of NAMES) {
      const text = JSON.stringify(name);
      bodies.push(raw(`"model":${text}`), raw(`"model":"reach:ok","models":[${text}]`),
        raw(`"spillway":{"chain":["reach:ok",${text}]}`));
    }
    for (const body of bodies) {
      const got = await mallory.post(body);
      assert.ok([200, 400, 403, 404].includes(got.status), `${body}: ${got.status} ${got.text}`);
      if (got.status !== 403) continue;
      assert.match(got.json.error.param, /^(model|models\[\d\]|spillway\.chain\[\d\])$/);
      const told = got.json.error.message.replace(/does not reach "[^]*?", only/, '');
      assert.ok(!/secret|other/.test(told), `it is told what else there is: ${told}`);
    }
    const beyond = asked.filter(({ model, path }) =>
      path.startsWith('/v1/') && model !== 'ok' || /team-b|models%2F/.test(path));
    assert.deepEqual(beyond.map(({ path, model }) => `${path} ${model}`), []);

    // A name stays one segment of the address, and behind it comes what the router says.
    const before = asked.length;
    for (const name of PATHS) {
      const got = await mallory.chat({ model: `reach-gem:${name}` });
      assert.ok([200, 400, 403, 404].includes(got.status), `${name}: ${got.status} ${got.text}`);
    }
    for (const { path } of asked.slice(before)) {
      assert.match(path, /^\/v1beta\/models\/team-a%2F[^/?#]*:streamGenerateContent\?alt=sse$/);
    }
    assert.ok(asked.length > before);

    const routes = as('reach-routes');
    for (const model of ['reach:ok', 'ok', 'reach:secret', 'reach-secret']) {
      assert.equal((await routes.chat({ model })).status, 403, model);
    }
    const list = await mallory.get('/v1/models');
    const ids = list.json.data.map((/** @type {any} */ { id }) => id);
    assert.deepEqual(ids, ['reach-own', 'reach:ok']);
    assert.ok(!list.text.includes('secret'), list.text);
    for (const id of ['reach:secret', 'reach-secret', 'secret', 'reach%3asecret', 'reach%3Asecret',
      'reach-other:secret', 'reach%253Asecret', 'reach:secre%74', 'reach-gem:team-b']) {
      const got = await mallory.get(`/v1/models/${id}`);
      assert.equal(got.status, 404, `${id}: ${got.text}`);
      // The same as for what does not exist at all.
      const made_up = (/** @type {string} */ text) =>
        text.replaceAll('secr', 'zzzz').replaceAll('-b', '-z');
      const none = await mallory.get(`/v1/models/${made_up(id)}`);
      assert.equal(made_up(got.text), none.text);
    }
    const own = await mallory.get('/v1/models/reach-own');
    assert.deepEqual(own.json.chain, ['reach:ok']);
    return `${bodies.length} bodies and ${PATHS.length} addresses; nothing went to an engine that `
      + 'is not the client\'s';
  },
};

// --- what a request may cost --------------------------------------------------------------------

const ENGINES = 40;
/** Of the client that SPILLWAY_KEYS makes, and of a row. */
const DEFAULT_ATTEMPTS_MAX = 8;
const ROW_ATTEMPTS_MAX = 3;
const CUT = 'Break off, please';
const SLOW = 'Say nothing, please';

/** What a request may not raise. @type {[string, object][]} */
const RAISED = [
  ['attempts_max', { attempts_max: 32 }],
  ['attempts_per_engine', { attempts_per_engine: 32 }],
  ['rate_limit_wait_ms', { rate_limit_wait_ms: 600_000 }],
  ['timeouts.headers_ms', { timeouts: { headers_ms: 86_400_000 } }],
  ['timeouts.first_content_ms', { timeouts: { first_content_ms: 86_400_000 } }],
  ['timeouts.idle_ms', { timeouts: { idle_ms: 86_400_000 } }],
  ['timeouts.total_ms', { timeouts: { total_ms: 86_400_000 } }],
  ['on_auth_error', { on_auth_error: 'next' }],
  ['on_content_filter', { on_content_filter: 'next' }],
  ['hedge', { hedge: true }],
  ['hedge', { hedge: { after: 1, max_extra: 1 } }],
  ['keep_alive.every_ms', { keep_alive: { every_ms: 1 } }],
];

/** @type {Attack} */
const spending = {
  name: 'cost-of-a-request',
  gains: 'one request of a client\'s becomes dozens that the operator pays for',
  setup: (at) => ({
    providers: {
      spend: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' },
    },
    routes: {
      'spend-route': { chain: ['spend:r0', 'spend:r1'], hedge: { after: 1, max_extra: 1 } },
    },
    clients: {
      'spend-row': {
        attempts_max: ROW_ATTEMPTS_MAX,
        policy: ['attempts_max', 'attempts_per_engine', 'timeouts', 'hedge', 'rescue',
          'rate_limit_wait_ms', 'on_auth_error', 'on_content_filter', 'keep_alive'],
      },
    },
  }),
  serve({ body }, reply) {
    const [{ content }] = body.messages;
    if (content.startsWith(SLOW)) return undefined; // the router hangs up
    if (!content.startsWith(CUT)) return refuses(503, 'busy');
    reply.writeHead(200, { 'content-type': 'text/event-stream' });
    reply.write(chunk('Hello, this is '), () => reply.destroy());
    return undefined;
  },
  async run({ as, asked, logOf }) {
    const models = Array.from({ length: ENGINES }, (_, at) => `spend:m${at}`);
    for (const [path, spillway] of RAISED) {
      const got = await as('mallory').chat({ models, spillway });
      assert.equal(got.status, 403, `${path}: ${got.text}`);
      assert.equal(got.json.error.param, `spillway.${path}`);
      assert.match(got.json.error.message, /In `spillway` it may set/);
    }
    assert.equal(asked.length, 0, 'a request that was refused went upstream');

    const most = { timeouts: { headers_ms: 5 }, attempts_per_engine: 2 };
    /** @type {[string, string, number, object][]} */
    const tries = [
      ['default', 'SPILLWAY_KEYS', DEFAULT_ATTEMPTS_MAX, { attempts_max: 8, ...most }],
      ['default', 'SPILLWAY_KEYS', DEFAULT_ATTEMPTS_MAX, {}],
      ['spend-row', 'the row', ROW_ATTEMPTS_MAX,
        { attempts_max: 3, hedge: { after: 1, max_extra: 1 }, ...most }],
      ['spend-row', 'the row', ROW_ATTEMPTS_MAX, {}],
      ['spend-row', 'the row', ROW_ATTEMPTS_MAX, { timeouts: { headers_ms: 1 } }],
    ];
    const requests = tries.flatMap(([client, what, attempts_max, spillway]) =>
      ['Hello', SLOW, CUT].flatMap((words) => [{ models }, { model: 'spend-route' }].map((chain) =>
        ({ client, what, attempts_max, spillway, words, chain }))));
    await inParallel(requests, 8, async (request, at) => {
      const { client, what, attempts_max, spillway, words, chain } = request;
      const content = `${words} (${at})`;
      const timeouts = { headers_ms: 50, first_content_ms: 50, idle_ms: 50 };
      const line = await logOf(await as(client).chat({
        ...chain, messages: user(content), stream: true, spillway: { timeouts, ...spillway },
      }));
      // Who is hung up on within a millisecond may not have read what it was asked.
      const arrived = asked.filter(({ body }) => body.messages[0].content === content).length;
      const made = Math.max(arrived, line.attempts.length);
      assert.ok(made > 0, JSON.stringify(line));
      assert.ok(made <= attempts_max, `${what} allows ${attempts_max}, one request made ${made}`
        + ` (${words}, ${JSON.stringify(spillway)})`);
    });
    for (const client of ['default', 'spend-row']) {
      const got = await as(client).chat({ models, spillway: { attempts_max: 32 } });
      assert.equal(got.status, 403, got.text);
      assert.equal(got.json.error.param, 'spillway.attempts_max');
    }
    return `${RAISED.length} fields are a 403 with their path; ${requests.length} requests with `
      + `${ENGINES} engines cost ${asked.length} in all, none more than its row allows`;
  },
};

/** What names another's engine, seen by a client that has only its own. */
const STRANGERS = 20;

/** @type {Attack} */
const other = {
  name: 'other-clients-names',
  gains: 'a client learns the names of the others from what it is refused',
  setup: () => ({ clients: { 'veiled-client': { routes: ['standard'] } } }),
  async run({ as }) {
    const mallory = as('veiled-client');
    const answers = await inParallel(Array.from({ length: STRANGERS }), 5, (_, at) =>
      mallory.chat({ model: `nobody-${at}:m` }));
    answers.push(await mallory.get('/v1/models'), await mallory.get('/'));
    for (const { text } of answers) {
      assert.doesNotMatch(text, /alice|mallory|reach-client|spend-row/, text);
    }
    return `${answers.length} answers to one client, none names another`;
  },
};

/** @type {Attack[]} */
export const attacks = [reach, spending, other];
