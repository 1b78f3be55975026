/**
 * Keys. Those of providers: pools, and what happens to the key that is refused, out of credit or
 * rate limited. Those of clients: plain and hashed. And that nothing printed shows one, nor a word
 * of what was said.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { APIError, AuthenticationError, InternalServerError, RateLimitError } from 'openai';
import { numberedWords } from '../../scripts/simulator/model.mjs';
import { ask, attemptsOf, startUpstream, stream, user } from './support/chats.js';
import { startWorker } from './support/worker.js';

/** @import { Worker } from './support/worker.js' */

const TIMEOUT = { timeout: 30_000 };

/** The simulator refuses keys with "bad", and "quota" is out of credit. */
const KEYS = {
  ACME_API_KEY: 'sim-acme-bad-key-1',
  ACME_API_KEY_2: 'sim-acme-key-2',
  UMBRELLA_KEY: 'sim-umbrella-quota-key-1',
  UMBRELLA_KEY_2: 'sim-umbrella-key-2',
  INITECH_KEY: 'sim-initech-bad-key-1',
  INITECH_KEY_2: 'sim-initech-quota-key-2',
  INITECH_KEY_3: 'sim-initech-key-3',
  GLOBEX_KEY: 'sim-globex-key-1',
  GLOBEX_KEY_2: 'sim-globex-key-2',
  LIMITED_KEY: 'sim-limited-key-1',
  LIMITED_KEY_2: 'sim-limited-key-2',
  HOOLI_KEY: 'sim-bad7', // so short that the provider's message shows it whole
  BROKE_KEY: 'sim-broke-quota-1',
  BROKE_KEY_2: 'sim-broke-quota-2',
};
const CLIENT_KEYS = ['sim-client-plain', 'sim-client-hashed'];
/** What is asked everywhere here, and must be printed nowhere. */
const SAID = [
  { role: 'system', content: 'Speak of zucchini-parliament only.' },
  user('A marmalade-xylophone, please.'),
];

/** @type {Awaited<ReturnType<typeof startUpstream>>} */
let upstream;
/** Started as the README says, with one provider on the command line. @type {Worker} */
let plain;
/** With client keys. @type {Worker} */
let guarded;

before(async () => {
  upstream = await startUpstream({ require_key: true });
  const openai = { dialect: 'openai_chat', base_url: `${upstream.url}/openai/v1` };
  const pools = {
    acme: { ...openai, keys: ['ACME_API_KEY'] },
    umbrella: {
      dialect: 'anthropic', base_url: `${upstream.url}/anthropic/v1`, keys: ['UMBRELLA_KEY'],
      auth: 'x-api-key', headers: { 'anthropic-version': '2023-06-01' },
    },
    initech: {
      dialect: 'gemini', base_url: '{INITECH_URL}/gemini/v1beta', keys: ['INITECH_KEY'],
      auth: 'x-goog-api-key',
    },
    globex: { ...openai, keys: ['GLOBEX_KEY'] },
    limited: { ...openai, keys: ['LIMITED_KEY'] },
    hooli: { ...openai, keys: ['HOOLI_KEY'] },
    broke: { ...openai, keys: ['BROKE_KEY'] },
    keyless: { ...openai, keys: ['KEYLESS_KEY'] },
  };
  const digest = createHash('sha256').update(CLIENT_KEYS[1]).digest('hex');
  [plain, guarded] = await Promise.all([
    startWorker({
      npx: true,
      config: { providers: { acme: pools.acme } },
      vars: { ACME_API_KEY: KEYS.ACME_API_KEY, ACME_API_KEY_2: KEYS.ACME_API_KEY_2 },
    }),
    startWorker({
      config: { providers: pools },
      vars: { SPILLWAY_KEYS: `${CLIENT_KEYS[0]}, sha256:${digest.toUpperCase()}` },
      secrets: { ...KEYS, INITECH_URL: upstream.url },
    }),
  ]);
});

after(async () => {
  await plain?.stop();
  await guarded?.stop();
  await upstream?.close();
});

const client = (key = CLIENT_KEYS[0]) => guarded.client({ apiKey: key });

/**
 * The keys an engine was asked with. OpenAI and Anthropic look at the key before they look for the
 * model, so what they refused is not among these.
 * @param {string} model
 */
const keysOf = (model) => upstream.of(model).map(({ headers }) =>
  (headers.authorization ?? headers['x-api-key'] ?? headers['x-goog-api-key'])
    .replace('Bearer ', ''));

/**
 * A chat that must be answered, streamed or not by turns.
 * @param {import('openai').default} by @param {string} provider @param {string} model
 */
async function answered(by, provider, model) {
  const body = { model: `${provider}:${model}?tokens=4`, messages: SAID };
  const answer = await (upstream.log().length % 2 === 0 ? ask(by, body) : stream(by, body));
  assert.equal(answer.text, numberedWords(model, 4).join(''));
  return attemptsOf(answer.headers).map(([, outcome]) => outcome);
}

/** A chat that must fail. @param {string} model @returns {Promise<APIError>} */
const refused = (model) => ask(client(), { model, messages: SAID }).then(
  () => assert.fail('there was an answer'), (error) => error);

describe('a pool of keys', TIMEOUT, () => {
  test('npx wrangler dev --var SPILLWAY_CONFIG:… --var ACME_API_KEY:…', async () => {
    const by = plain.client();
    assert.deepEqual(await answered(by, 'acme', 'plain'), ['auth', 'ok']);
    assert.deepEqual(await answered(by, 'acme', 'plain'), ['ok']);
    assert.deepEqual(keysOf('plain?tokens=4'), [KEYS.ACME_API_KEY_2, KEYS.ACME_API_KEY_2]);
    const refusals = upstream.log().filter(({ status }) => status === 401);
    assert.deepEqual(refusals.map(({ headers }) => headers.authorization),
      [`Bearer ${KEYS.ACME_API_KEY}`]);
  });

  test('a refused key is set aside, for all models', async () => {
    assert.deepEqual(await answered(client(), 'acme', 'one'), ['auth', 'ok']);
    assert.deepEqual(await answered(client(), 'acme', 'two'), ['ok']);
    assert.deepEqual(keysOf('two?tokens=4'), [KEYS.ACME_API_KEY_2]);
  });

  test('so is one that is out of credit', async () => {
    assert.deepEqual(await answered(client(), 'umbrella', 'three'), ['quota_exhausted', 'ok']);
    assert.deepEqual(await answered(client(), 'umbrella', 'four'), ['ok']);
    assert.deepEqual(keysOf('four?tokens=4'), [KEYS.UMBRELLA_KEY_2]);
  });

  test('one after another is tried', async () => {
    // Gemini says the same words for a minute's limit and for a day's.
    assert.deepEqual(await answered(client(), 'initech', 'five'), ['auth', 'rate_limited', 'ok']);
    assert.deepEqual(keysOf('five?tokens=4'),
      [KEYS.INITECH_KEY, KEYS.INITECH_KEY_2, KEYS.INITECH_KEY_3]);
    assert.deepEqual(await answered(client(), 'initech', 'six'), ['ok']);
  });

  test('good ones take turns', async () => {
    for (let chat = 0; chat < 4; chat++) {
      assert.deepEqual(await answered(client(), 'globex', 'turns'), ['ok']);
    }
    const [first, second, ...rest] = keysOf('turns?tokens=4');
    assert.deepEqual([first, second].sort(), [KEYS.GLOBEX_KEY, KEYS.GLOBEX_KEY_2]);
    assert.deepEqual(rest, [first, second]);
  });

  test('a rate limit is the key\'s, not the engine\'s', async () => {
    const model = 'limited:seven?fault=rate_limited&times=1&tokens=4';
    const answer = await ask(client(), { model, messages: SAID });
    assert.deepEqual(attemptsOf(answer.headers), [[model, 'rate_limited'], [model, 'ok']]);
    assert.deepEqual(await answered(client(), 'limited', 'eight'), ['ok']);
    assert.deepEqual(await answered(client(), 'limited', 'eight'), ['ok']);
    const [limited, good] = keysOf('seven?fault=rate_limited&times=1&tokens=4');
    assert.notEqual(limited, good);
    assert.deepEqual(keysOf('eight?tokens=4'), [good, good]);
  });

  test('no key that works', async () => {
    const unauthorized = await refused('hooli:one');
    assert.ok(unauthorized instanceof AuthenticationError);
    assert.equal(unauthorized.code, 'provider_auth_failed');
    assert.match(unauthorized.message, /hooli:one: the provider refuses this router's key; its/);
    const broke = await refused('broke:one');
    assert.ok(broke instanceof RateLimitError);
    assert.equal(broke.code, 'insufficient_quota');
    assert.deepEqual(attemptsOf(/** @type {Headers} */ (broke.headers)).map(([, kind]) => kind),
      ['quota_exhausted', 'quota_exhausted']);
    const keyless = await refused('keyless:one');
    assert.ok(keyless instanceof InternalServerError);
    assert.equal(keyless.status, 503);
    assert.equal(keyless.code, 'no_provider_key');
    assert.match(keyless.message, /KEYLESS_KEY/);
  });
});

describe('the keys of clients', TIMEOUT, () => {
  test('a plain and a hashed one are known', async () => {
    for (const key of CLIENT_KEYS) {
      assert.deepEqual(await answered(client(key), 'globex', 'known'), ['ok']);
      for (const header of ['x-api-key', 'api-key']) {
        const response = await fetch(`${guarded.url}/v1/models`, { headers: { [header]: key } });
        assert.equal(response.status, 200, header);
      }
    }
  });

  test('all others are not, on this machine too', async () => {
    const digest = createHash('sha256').update(CLIENT_KEYS[1]).digest('hex');
    for (const key of ['sim-wrong', `${CLIENT_KEYS[0]}x`, `sha256:${digest}`, digest]) {
      await assert.rejects(ask(client(key), { model: 'globex:unasked' }), (error) => {
        assert.ok(error instanceof AuthenticationError);
        assert.equal(error.code, 'invalid_api_key');
        assert.match(error.message, /client key/);
        assert.ok(!error.message.includes(key));
        return true;
      });
    }
    assert.equal(upstream.of('unasked').length, 0);
    const bare = await fetch(`${guarded.url}/v1/models`);
    assert.equal(bare.status, 401);
    assert.equal(bare.headers.get('access-control-allow-origin'), '*');
    await bare.body?.cancel();
  });

  test('health says more to those who have one', async () => {
    const url = `${guarded.url}/health`;
    const less = /** @type {any} */ (await (await fetch(url)).json());
    assert.deepEqual(Object.keys(less).sort(), ['providers_ready', 'simulated', 'status']);
    const headers = { authorization: `Bearer ${CLIENT_KEYS[1]}` };
    const more = /** @type {any} */ (await (await fetch(url, { headers })).json());
    const { keys_cooling: cooling, ...initech } = more.providers.initech;
    assert.deepEqual(initech, { ready: true, keys: 3 });
    const told = cooling.map((/** @type {any} */ { key, reason, ms }) => [key, reason, ms > 0]);
    assert.deepEqual(told, [[1, 'auth', true], [2, 'rate_limited', true]]);
    assert.deepEqual(more.providers.keyless, { ready: false, set: 'KEYLESS_KEY' });
  });
});

test('nothing that was printed shows a key, or a word of what was said', TIMEOUT, async () => {
  const last = await stream(client(), { model: 'globex:steady', messages: SAID });
  assert.ok(last.text.includes('marmalade-xylophone'), 'the answer does quote it');
  const id = last.headers.get('x-request-id');
  await guarded.events.find(({ request_id }) => request_id === id);
  for (const worker of [plain, guarded]) {
    const chats = worker.events.items.filter(({ event }) => event === 'chat');
    assert.ok(chats.length >= 2);
    const printed = worker.output();
    for (const secret of [
      ...Object.values(KEYS), ...CLIENT_KEYS, 'marmalade', 'xylophone', 'zucchini', 'parliament',
    ]) {
      const at = printed.indexOf(secret);
      assert.equal(at, -1, `"${secret}" in: ${printed.slice(Math.max(0, at - 200), at + 50)}`);
    }
  }
});
