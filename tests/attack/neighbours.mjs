/**
 * Neighbours: what one client's requests do to the others of the same worker. Which engines and
 * keys rest is remembered for all, so nobody may talk a healthy one out of use.
 */

import assert from 'node:assert/strict';
import { assertServed, attemptsOf, inParallel, secret, user } from './support/attacker.mjs';
import { chunk, refuses, says } from './support/provider.mjs';

/** @import { Attack } from './support/field.mjs' */
/** @import { Client } from './support/attacker.mjs' */
/** @import { Said } from './support/provider.mjs' */

/** What a client sees of who rests. @param {Client} client */
async function resting(client) {
  const { json } = await client.get('/health');
  return json;
}

// --- deadlines ----------------------------------------------------------------------------------

const DEADLINES = /** @type {const} */ (['headers', 'first_content', 'idle', 'total']);
const HURRIES = 3;
const SLOW = 'Take your time';

/** @type {Attack} */
const deadlines = {
  name: 'hurried-engine',
  gains: 'a client gives a healthy engine a millisecond, and it rests for everybody for a minute',
  setup: (at) => ({
    providers: {
      hurry: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' },
    },
    routes: Object.fromEntries(DEADLINES.map((deadline) =>
      [`hurry-${deadline}`, { chain: [`hurry:${deadline}`, 'hurry:other'] }])),
  }),
  serve({ model, body }, reply) {
    if (body.messages[0].content !== SLOW) return says('Hello');
    // As far as this deadline does not mind, then nothing: the router hangs up.
    if (model !== 'headers') reply.writeHead(200, { 'content-type': 'text/event-stream' });
    if (model === 'first_content') reply.write(': wait\n\n');
    if (model === 'idle' || model === 'total') reply.write(chunk('Hel'));
    return undefined;
  },
  async run({ as }) {
    const mallory = as('mallory');
    const alice = as('alice');
    for (const deadline of DEADLINES) {
      for (let hurry = 0; hurry < HURRIES; hurry++) {
        const stream = deadline === 'idle' || deadline === 'total';
        const got = await mallory.chat({
          model: `hurry-${deadline}`, messages: user(SLOW), stream,
          spillway: { attempts_max: 1, rescue: false, timeouts: { [`${deadline}_ms`]: 1 } },
        });
        assert.match(got.text, /within|silent|no (content|response)/, got.text);
      }
      const got = await alice.chat({ model: `hurry-${deadline}` });
      assertServed(got);
      assert.deepEqual(attemptsOf(got), [[`hurry:${deadline}`, 'ok']],
        `after ${deadline}_ms: 1 by one client another got ${JSON.stringify(attemptsOf(got))}`);
    }
    const { cooling } = await resting(alice);
    assert.deepEqual(Object.keys(cooling).filter((engine) => engine.startsWith('hurry:')), []);
    return `${DEADLINES.length} deadlines of 1 ms, ${HURRIES} times each; another client's engine `
      + 'did not rest';
  },
};

// --- refusals -----------------------------------------------------------------------------------

/** What a provider says to one client, by the model that it asks for. */
const BLAMES = /** @type {Record<string, Said>} */ ({
  credits: refuses(402, 'This request requires more credits, or fewer max_tokens. You requested up '
    + 'to 100000 tokens, but can only afford 4000', { code: 402 }),
  project: refuses(403, 'Project `proj_1` does not have access to model `project`',
    { code: 'model_not_found' }),
  account: refuses(401, 'key not allowed to access model. This key can only access models=[m]'),
  vague: refuses(403, 'Forbidden'),
  gone: refuses(404, 'The model `gone` does not exist'),
  'insufficient balance': refuses(404, 'The model insufficient balance does not exist'),
  'invalid api key': refuses(400, 'invalid api key is not a valid model ID'),
  quoted: refuses(400, 'Invalid value: \'insufficient_quota: you exceeded your current quota\''),
  large: refuses(429, 'Request too large for model: Limit 8000, Requested 90000'),
});
const BLAME_KEY = secret('sk-blame-');

/** @type {Attack} */
const refusals = {
  name: 'refused-key',
  gains: 'a client asks for what the account may not have or cannot pay, and the operator\'s key '
    + 'is set aside for everybody for half an hour',
  setup: (at) => ({
    providers: {
      blame: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: ['BLAME_KEY'] },
      'blame-other': { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' },
    },
    engines: { 'blame:credits': {}, 'blame:project': {}, 'blame:account': {} },
    routes: { 'blame-route': { chain: ['blame:good', 'blame-other:m'] } },
    vars: { BLAME_KEY },
  }),
  serve: ({ model }) => BLAMES[model] ?? says('Hello'),
  async run({ as }) {
    const [mallory, alice] = [as('mallory'), as('alice')];
    for (const model of Object.keys(BLAMES)) {
      const got = await mallory.chat({ model: `blame:${model}`, max_tokens: 100_000 });
      assert.ok(got.status >= 400, `${model}: ${got.status}`);
      const next = await alice.chat({ model: 'blame-route' });
      assertServed(next);
      assert.deepEqual(attemptsOf(next), [['blame:good', 'ok']],
        `after "${model}" another client got ${JSON.stringify(attemptsOf(next))}`);
      const { providers } = await resting(alice);
      assert.equal(providers.blame.keys_cooling, undefined,
        `after "${model}": ${JSON.stringify(providers.blame)}`);
    }
    // What the config names and the account may not have rests by itself, and says why.
    const { cooling } = await resting(alice);
    const mine = Object.entries(cooling).filter(([engine]) => engine.startsWith('blame:'));
    assert.deepEqual(mine.map(([engine, { reason }]) => [engine, reason]),
      [['blame:account', 'model_not_found'], ['blame:project', 'model_not_found']]);
    assert.ok(mine.every(([, { ms }]) => ms > 0));
    return `${Object.keys(BLAMES).length} refusals of one client's wishes, the key stays in use`;
  },
};

const MENDED_KEY = secret('sk-mended-');
let isMended = false;

/** @type {Attack} */
const mended = {
  name: 'key-set-aside',
  gains: 'who gets a key refused once keeps it out of use for half an hour, and nobody sees why',
  setup: (at) => ({
    providers: {
      mended: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: ['MENDED_KEY'] },
    },
    engines: { 'mended:m': {} },
    vars: { MENDED_KEY },
  }),
  serve: () => (isMended ? says('Hello') : refuses(401, 'Incorrect API key provided')),
  async run({ as }) {
    const alice = as('alice');
    isMended = false;
    const refused = await alice.chat({ model: 'mended:m' });
    assert.equal(refused.json?.error.code, 'provider_auth_failed', refused.text);
    const { providers } = await resting(alice);
    const [{ key, reason, ms }] = providers.mended.keys_cooling;
    assert.deepEqual([key, reason], [1, 'auth']);
    assert.ok(ms > 0 && ms <= 30 * 60_000, `${ms}`);
    isMended = true;
    assertServed(await alice.chat({ model: 'mended:m' }));
    const after = await resting(alice);
    assert.equal(after.providers.mended.keys_cooling, undefined, 'a success did not end it');
    return 'a refused key is told with reason and time, and the next success ends it';
  },
};

// --- what is remembered -------------------------------------------------------------------------

/** The most that a row can allow. */
const FLOOD_ATTEMPTS = 32;
/** Together more than what is remembered of engines (4096). */
const FLOOD_REQUESTS = 136;
const FLOOD_NAMES = 64;
const WAIT_S = 900;

/** @type {Attack} */
const flood = {
  name: 'health-flood',
  gains: 'a client has thousands of made-up models fail, so that the router forgets which real '
    + 'engine asked to be left alone, and everybody waits for it',
  setup: (at) => ({
    providers: {
      flood: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' },
    },
    routes: { 'flood-route': { chain: ['flood:real', 'flood:other'] } },
    clients: { 'flood-client': { policy: ['attempts_max'], attempts_max: FLOOD_ATTEMPTS } },
  }),
  serve: ({ model }) => (model === 'other' ? says('Hello') : refuses(429, 'Slow down', {},
    // Those that are made up ask for more, so that theirs is the freshest.
    { 'retry-after': String(model === 'real' ? WAIT_S : 2 * WAIT_S) })),
  async run({ as, asked }) {
    const [mallory, alice] = [as('flood-client'), as('alice')];
    assertServed(await alice.chat({ model: 'flood-route' }));
    const isFlood = (/** @type {{ model: string }} */ { model }) => model.startsWith('made-up');
    await inParallel(Array.from({ length: FLOOD_REQUESTS }), 16, async (_, request) => {
      const models = Array.from({ length: FLOOD_NAMES }, (__, at) =>
        `flood:made-up-${request}-${at}`);
      const got = await mallory.chat({ models, spillway: { attempts_max: FLOOD_ATTEMPTS } });
      assert.equal(got.status, 429, got.text.slice(0, 300));
    });
    const made = asked.filter(isFlood).length;
    assert.ok(made > 4096, `only ${made} failures`);
    const health = await alice.get('/health');
    assert.ok(!health.text.includes('made-up'), 'what a client has made up is remembered');
    const standing = health.json.cooling['flood:real'];
    assert.ok(standing?.ms > (WAIT_S - 60) * 1000,
      `the wait of ${WAIT_S} s is now ${JSON.stringify(standing)}`);
    const before = asked.length;
    assertServed(await alice.chat({ model: 'flood-route' }));
    assert.deepEqual(asked.slice(before).map(({ model }) => model), ['other']);
    return `${made} failures of made-up models; the wait of a real one is still known`;
  },
};

/** @type {Attack[]} */
export const attacks = [deadlines, refusals, mended, flood];
