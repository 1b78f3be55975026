/**
 * Keys: those of providers and of other clients. Whether a client can read one, byte by byte or
 * whole, out of what comes back; and whether the two sides of the router get each other's.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { inParallel, secret, user } from './support/attacker.mjs';
import { chunk, refuses, says } from './support/provider.mjs';

/** @import { Attack, Field } from './support/field.mjs' */
/** @import { Client, Got } from './support/attacker.mjs' */
/** @import { Said } from './support/provider.mjs' */

// --- what is the same in two answers ------------------------------------------------------------

const VOLATILE = ['date', 'x-request-id', 'server-timing'];

/** @param {string} text */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/**
 * All that a client sees of an answer but what it has sent itself, and the time.
 * @param {Got} got @param {string} sent
 */
export function blinded({ status, headers, text }, sent) {
  const seen = Object.entries(headers).filter(([name]) => !VOLATILE.includes(name))
    .map(([name, value]) => `${name}: ${decoded(String(value)).replace(/;\d+ms/g, '')}`);
  const quoted = JSON.stringify(sent).slice(1, -1);
  const timeless = text.replace(/"created":\d+/, '"created":0');
  return [status, ...seen, timeless].join('\n').replaceAll(quoted, '#').replaceAll(sent, '#');
}

// --- reading a key by its parts -----------------------------------------------------------------

const PARTS = {
  // Its last byte is what `","code"` reads as in base64: that stands behind a guess of the others.
  KP_OPENAI: `${secret('sk-proj-')}r`,
  KP_ANTHROPIC: secret('sk-ant-api03-'),
};
const KNOWN_FIELDS = ['model', 'messages', 'stream', 'stream_options'];
const REASON_BYTES = 2000;
/** Shorter ones stand in many a word. */
const PART_BYTES_MIN = 4;

/** How a guess may be written. @type {Record<string, (text: string) => string>} */
const WRITTEN = {
  plain: (text) => text,
  percent: (text) => Buffer.from(text).toString('hex').replace(/../g, '%$&'),
  base64: (text) => Buffer.from(`u:${text}`).toString('base64'),
  escaped: (text) => Buffer.from(text).toString('hex').replace(/../g, '\\u00$&'),
};

/** How a client has its own words come back. @type {Record<string, (guess: string) => object>} */
const CHANNELS = {
  model: (guess) => ({ model: `kp-anthropic:${guess}` }),
  parameter: (guess) => ({ model: 'kp-openai:m', [guess]: 1 }),
  prompt: (guess) => ({ model: 'kp-openai:quote', messages: user(guess) }),
  'cut prompt': (guess) => ({
    model: 'kp-openai:quote',
    messages: user(`${'x '.repeat(REASON_BYTES / 2 - 12)}${guess}${'y'.repeat(400)}`),
  }),
  'broken answer': (guess) => ({ model: 'kp-openai:break', messages: user(guess) }),
  'answered model': (guess) => ({ model: 'kp-openai:echo', messages: user(guess) }),
};

/** Its last byte is another. @param {string} text */
const wrong = (text) => text.slice(0, -1) + (text.endsWith('x') ? 'y' : 'x');

/**
 * What an attacker would do: take the candidate whose answer is unlike all others, and go on.
 * @param {Client} client @param {string} key @param {number} known  bytes that everybody knows
 */
async function readOn(client, key, known) {
  let read = known;
  for (; read < key.length - 1; read++) {
    const candidates = [...new Set([key[read], ...'aZ09-_Q'])].sort();
    const answers = await inParallel(candidates, 8, async (candidate) => {
      const guess = key.slice(0, read) + candidate;
      return blinded(await client.chat({ model: `kp-anthropic:${guess}` }), guess);
    });
    const odd = candidates.filter((_, index) =>
      answers.filter((answer) => answer === answers[index]).length === 1);
    if (odd.length !== 1 || odd[0] !== key[read]) break;
  }
  return read - known;
}

/** @type {Attack} */
const keyByParts = {
  name: 'key-by-parts',
  gains: 'a client reads a provider\'s or another client\'s key byte by byte, by asking for names '
    + 'that a provider sends back and watching which are treated differently',
  setup: (at) => ({
    providers: {
      'kp-openai': { dialect: 'openai_chat', base_url: `${at}/v1`, keys: ['KP_OPENAI'] },
      'kp-anthropic': {
        dialect: 'anthropic', base_url: `${at}/v1`, keys: ['KP_ANTHROPIC'], auth: 'x-api-key',
      },
    },
    clients: { 'kp-victim': {} },
    vars: PARTS,
  }),
  serve({ path, body, model }, reply) {
    if (path.endsWith('/messages')) {
      const error = { type: 'not_found_error', message: `model: ${model}` };
      return { status: 404, body: JSON.stringify({ type: 'error', error }) };
    }
    const [{ content }] = body.messages;
    if (model === 'quote') return refuses(400, `No use for ${content}`, { param: content });
    if (model === 'echo') return says('Hello', { model: content });
    if (model === 'break') {
      const text = JSON.stringify({ error: { message: `No use for ${content}` } }).slice(0, -3);
      reply.writeHead(400, { 'content-type': 'application/json', 'content-length': 5000 });
      reply.write(text, () => reply.destroy());
      return undefined;
    }
    const unknown = Object.keys(body).find((name) => !KNOWN_FIELDS.includes(name)) ?? '';
    return refuses(400, `Unknown parameter: '${unknown}'.`,
      { param: unknown, code: 'unknown_parameter' });
  },
  async run({ as, worker }) {
    const mallory = as('mallory');
    const keys = {
      'provider\'s': PARTS.KP_ANTHROPIC, 'other provider\'s': PARTS.KP_OPENAI,
      'other client\'s': as('kp-victim').key,
    };
    /** @type {{ what: string, channel: string, part: string, write: string }[]} */
    const guesses = [];
    for (const [whose, key] of Object.entries(keys)) {
      for (let size = PART_BYTES_MIN; size < key.length; size++) {
        /** @type {[string, string][]} */
        const parts = [['prefix', key.slice(0, size)], ['suffix', key.slice(-size)]];
        if (size < 24) parts.push(['infix', key.slice(9, 9 + size)]);
        for (const [kind, part] of parts) {
          for (const channel of Object.keys(CHANNELS)) {
            for (const write of Object.keys(WRITTEN)) {
              // All lengths where the words come back at once, some everywhere else.
              const often = channel === 'model' && write === 'plain' ? 1 : kind === 'infix' ? 0
                : channel === 'model' ? 5 : 11;
              const isLast = kind !== 'infix' && size === key.length - 1;
              if (!isLast && (often === 0 || (size - 6) % often !== 0)) continue;
              guesses.push({ what: `${whose} key's ${kind} of ${size}`, channel, part, write });
            }
          }
        }
      }
    }
    await inParallel(guesses, 32, async ({ what, channel, part, write }) => {
      const [right, other] = await Promise.all([part, wrong(part)].map(async (text) => {
        const guess = WRITTEN[write](text);
        return blinded(await mallory.chat(CHANNELS[channel](guess)), guess);
      }));
      assert.ok(right === other, `the ${what} (${channel}, ${write}) is told from a wrong one: `
        + `${right.slice(0, 250)} / ${other.slice(0, 250)}`);
    });
    for (const [whose, key] of Object.entries(keys)) {
      const read = await readOn(mallory, key, key.lastIndexOf('-', 15) + 1);
      assert.equal(read, 0, `a guided search read ${read} bytes of the ${whose} key`);
    }
    assert.ok(!worker.output().includes('"trap"'));
    return `${guesses.length} parts of 3 keys, each like a wrong one; a guided search read nothing`;
  },
};

// --- whole keys ---------------------------------------------------------------------------------

const WHOLE_KEY = secret('sk-whole-');
const SEALED_KEY = secret('sk-sealed-');
const HIDDEN_BYTES = 8;

/** The text, and what stands in it encoded. @param {string} text */
function readings(text) {
  const unescaped = text.replace(/\\u00([0-9a-f]{2})/gi,
    (_, hex) => String.fromCharCode(parseInt(hex, 16))).replaceAll('\\', '');
  const plain = [text, unescaped].flatMap((one) => [one, one.replace(/%([0-9a-f]{2})/gi,
    (_, hex) => String.fromCharCode(parseInt(hex, 16)))]);
  const base64 = plain.flatMap((one) => [...one.matchAll(/[\w+/-]{12,}/g)].flatMap(([run]) =>
    [0, 1, 2, 3].map((skipped) => Buffer.from(run.slice(skipped), 'base64').toString('latin1'))));
  return [...plain, ...base64].join('\n');
}

/** Some of a key's random bytes, in whatever writing. @param {string} text @param {string} key */
export function leakOf(text, key) {
  const all = readings(text);
  const random = key.slice(-32);
  for (let at = 0; at + HIDDEN_BYTES <= random.length; at++) {
    const part = random.slice(at, at + HIDDEN_BYTES);
    if (all.includes(part)) return part;
  }
  return undefined;
}

/** How a provider may quote a key. @type {Record<string, (key: string) => string>} */
const QUOTED = {
  plain: (key) => `Bearer ${key}`,
  'in words': (key) => `The key '${key}', which`,
  percent: (key) => `?key=${Buffer.from(key).toString('hex').replace(/../g, '%$&')}&a=b`,
  'some percent': (key) => `?key=${key.replaceAll('-', '%2D').replaceAll('_', '%5f')}`,
  basic: (key) => `Basic ${Buffer.from(`user:${key}`).toString('base64')}`,
  base64url: (key) => `id ${Buffer.from(`${key}:`).toString('base64url')}`,
  'base64 in base64\'s middle': (key) => Buffer.from(`{"a":"${key}"}`).toString('base64'),
  escaped: (key) => `"${key.replaceAll('-', '\\u002d').replace('s', '\\u0073')}"`,
  twice: (key) => `${key}${key}, ${key}`,
};
const STATUSES = [400, 404, 409, 413, 422, 429, 500, 503];
/** In the middle of the key, before it and behind it. */
const OFFSETS = [1935, 1960, 1975, 1990, 1999, 2010, 65_400, 65_500];

/** @type {Record<string, (key: string) => Said>} */
const SHAPES = {
  param: (key) => refuses(400, 'no', { param: key, code: key, type: key }),
  'flat text': (key) => ({ status: 500, headers: { 'content-type': 'text/plain' }, body: key }),
  page: (key) => ({
    status: 502, headers: { 'content-type': 'text/html' },
    body: `<html><title>Denied ${key}</title><h1>${key}</h1></html>`,
  }),
  nested: (key) => refuses(400, JSON.stringify({ error: { message: `wrong ${key}` } })),
  list: (key) => ({
    status: 422,
    body: JSON.stringify({ detail: [{ loc: ['body', key], msg: `not ${key}`, type: key }] }),
  }),
  'raw escapes': (key) => ({
    status: 400,
    body: `{"error":{"message":"no ${WRITTEN.escaped(key)}"}}`,
  }),
  'before content': (key) => ({
    body: `data: ${JSON.stringify({ error: { message: `no ${key}`, code: 500 } })}\n\n`,
  }),
  'reason to end': (key) => ({
    body: says('Hello').body.replace('"stop"', JSON.stringify(`error ${key}`)),
  }),
  'answered model': (key) => says('Hello', { model: key, id: key }),
  headers: (key) => refuses(429, 'slow', {}, {
    'retry-after': key, 'x-amzn-errortype': key, 'x-request-id': key, 'set-cookie': `k=${key}`,
  }),
  broken: (key) => ({
    status: 400, headers: { 'content-length': '9000' },
    body: `{"error":{"message":"wrong ${key.slice(0, -3)}`,
  }),
};

/** @type {Record<string, (key: string) => Said>} */
const WHOLE = Object.fromEntries([
  ...STATUSES.flatMap((status) => Object.entries(QUOTED).map(([name, quote]) =>
    [`${status} ${name}`, (/** @type {string} */ key) => refuses(status, `no: ${quote(key)}`)])),
  ...OFFSETS.map((offset) => [`400 at ${offset}`, (/** @type {string} */ key) =>
    refuses(400, `${'x '.repeat(offset / 2)}${key} and so on`)]),
  ...Object.entries(SHAPES),
]);
const WHOLE_NAMES = Object.keys(WHOLE);
/** In a stream of the client's own dialect these are part of the answer, which nobody changes. */
const PIPED = ['answered model', 'reason to end'];

/** @type {Attack} */
const wholeKey = {
  name: 'key-quoted-whole',
  gains: 'a client, or who reads the log, gets a key because a provider quotes the one it was sent',
  setup: (at) => ({
    providers: {
      whole: {
        dialect: 'openai_chat', base_url: `${at}/v1`, keys: ['WHOLE_KEY'], regular_stream: true,
      },
    },
    clients: { 'whole-victim': {} },
    vars: { WHOLE_KEY },
  }),
  serve({ model, key, body }, reply) {
    const name = WHOLE_NAMES[Number(model.replace(/^\D+/, ''))];
    // The other client's key is not known to a provider, unless that client has said it.
    const said = WHOLE[name](model.startsWith('o') ? body.messages[0].content : key);
    if (name !== 'broken') return said;
    reply.writeHead(400, said.headers);
    reply.write(said.body, () => reply.destroy());
    return undefined;
  },
  async run({ as, asked, worker }) {
    const mallory = as('mallory');
    const victim = as('whole-victim').key;
    await inParallel([...WHOLE_NAMES.keys()], 16, async (index) => {
      const name = WHOLE_NAMES[index];
      for (const stream of PIPED.includes(name) ? [false] : [false, true]) {
        const got = await mallory.chat({ model: `whole:c${index}`, stream });
        const seen = `${JSON.stringify(got.headers)}\n${got.text}`;
        assert.equal(leakOf(seen, WHOLE_KEY), undefined, `${name}: ${seen.slice(0, 400)}`);
      }
      const echo = await mallory.chat({ model: `whole:o${index}`, messages: user(victim) });
      assert.equal(leakOf(echo.text, victim), undefined, `${name}: ${echo.text.slice(0, 400)}`);
    });
    assert.ok(asked.some(({ key }) => key === WHOLE_KEY), 'the provider has the key');
    for (const key of [WHOLE_KEY, victim]) {
      assert.equal(leakOf(worker.output(), key), undefined, 'the log has it');
    }
    return `${WHOLE_NAMES.length} ways to quote a key, none reaches a client or the log`;
  },
};

// --- accounts -----------------------------------------------------------------------------------

const ACCOUNT_KEY = secret('sk-account-');
const ACCOUNT = 'org-of-the-operator';

/** @type {Record<string, () => Said>} */
const REFUSALS = {
  bad: () => refuses(401, `Incorrect API key provided: ${ACCOUNT_KEY.slice(0, 14)}****`
    + `${ACCOUNT_KEY.slice(-6)}. ${ACCOUNT}`, { code: 'invalid_api_key', param: ACCOUNT }),
  denied: () => refuses(403, `Your key is disabled, ${ACCOUNT}`, { param: ACCOUNT }),
  unpaid: () => refuses(402, `Insufficient balance of ${ACCOUNT}`, { param: ACCOUNT }),
  spent: () => refuses(429, `You exceeded your current quota, ${ACCOUNT}`,
    { code: 'insufficient_quota', param: ACCOUNT }),
  inside: () => ({ body: `data: ${JSON.stringify({ error: {
    message: `Incorrect API key ${ACCOUNT}`, code: 'invalid_api_key', param: ACCOUNT,
  } })}\n\n` }),
};

/** @type {Attack} */
const accountWords = {
  name: 'account-words',
  gains: 'a client learns whose account a provider bills, and parts of its key, from a refusal of '
    + 'the key itself',
  setup: (at) => ({
    providers: {
      account: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: ['ACCOUNT_KEY'] },
    },
    vars: { ACCOUNT_KEY },
  }),
  serve: ({ model }) => REFUSALS[model](),
  async run({ as }) {
    for (const model of Object.keys(REFUSALS)) {
      for (const stream of [false, true]) {
        const got = await as('mallory').chat({ model: `account:${model}`, stream });
        assert.ok(got.status >= 400, `${model}: ${got.status}`);
        assert.ok(!got.text.includes(ACCOUNT), `${model}: ${got.text}`);
        assert.ok(!got.text.includes(ACCOUNT_KEY.slice(-6)), `${model}: ${got.text}`);
        assert.equal(got.json.error.param, null);
      }
    }
    return `${Object.keys(REFUSALS).length} refusals of a key, told in the router's own words`;
  },
};

// --- a key inside a stream ----------------------------------------------------------------------

/** Each ends a stream. @type {(() => void)[]} */
const breakOff = [];

/** @type {Attack} */
const keyInStream = {
  name: 'key-in-stream',
  gains: 'a client reads the key that a gateway behind this router quotes in an error event, '
    + 'though the gateway\'s row does not let its streams be piped unread',
  setup: (at) => {
    const row = { dialect: 'openai_chat', base_url: `${at}/v1`, keys: ['SEALED_KEY'] };
    const piped = { ...row, regular_stream: true };
    return {
      providers: { unknown: row, sealed: { ...piped, splice: false }, piped },
      vars: { SEALED_KEY },
    };
  },
  serve({ key }, reply) {
    reply.writeHead(200, { 'content-type': 'text/event-stream' });
    reply.write(chunk('Hello'));
    const message = `upstream refused ${key}`;
    const error = JSON.stringify({ error: { message, code: 500 } });
    breakOff.push(() => reply.end(`data: ${error}\n\n`));
  },
  async run({ as, url, worker }) {
    const { key } = as('mallory');
    /** @param {string} provider @param {boolean} include_usage */
    const ask = async (provider, include_usage) => {
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST', headers: { authorization: `Bearer ${key}` },
        body: JSON.stringify({
          model: `${provider}:m`, messages: user('Hello'), stream: true,
          stream_options: { include_usage },
        }),
      });
      let text = '';
      for await (const bytes of /** @type {any} */ (response.body)) {
        text += Buffer.from(bytes).toString();
        if (text.includes('Hello')) breakOff.pop()?.(); // now that it is being read
      }
      const id = response.headers.get('x-request-id');
      const line = await worker.events.find((event) => event.request_id === id);
      assert.equal(leakOf(JSON.stringify(line), SEALED_KEY), undefined, JSON.stringify(line));
      return { text, mode: line.mode };
    };
    for (const provider of ['unknown', 'sealed']) {
      for (const include_usage of [true, false]) {
        const { text } = await ask(provider, include_usage);
        assert.equal(leakOf(text, SEALED_KEY), undefined, text);
        assert.match(text, /"error"/);
        assert.ok(!text.includes('[DONE]'), 'it is not told as finished');
      }
    }
    const piped = await ask('piped', true);
    assert.equal(piped.mode, 'splice');
    const reaches = leakOf(piped.text, SEALED_KEY) !== undefined;
    const word = reaches ? 'reaches' : 'misses';
    return `a row hides it, so does splice: false, the log too; piped it ${word} the `
      + 'client, as documented';
  },
};

// --- what passes from one side to the other -----------------------------------------------------

const REDIRECT_KEY = secret('sk-redirect-');

/** @type {Attack} */
const keyByRedirect = {
  name: 'key-by-redirect',
  gains: 'who can make a provider redirect gets its key and the prompt sent to another place',
  setup: (at) => ({
    providers: {
      redirect: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: ['REDIRECT_KEY'] },
    },
    vars: { REDIRECT_KEY },
  }),
  serve: ({ model }) => {
    const [, status, port] = /** @type {string[]} */ (/^s(\d+)p(\d+)$/.exec(model));
    return {
      status: Number(status), headers: { location: `http://127.0.0.1:${port}/stolen` }, body: '',
    };
  },
  async run({ as }) {
    let stolen = 0;
    const thief = createServer((_, reply) => {
      stolen += 1;
      reply.end(says('Hello').body);
    }).listen(0, '127.0.0.1');
    await once(thief, 'listening');
    const { port } = /** @type {import('node:net').AddressInfo} */ (thief.address());
    try {
      for (const status of [301, 302, 303, 307, 308]) {
        const got = await as('mallory').chat({ model: `redirect:s${status}p${port}` });
        assert.equal(got.status, 502, got.text);
      }
    } finally {
      thief.close();
      thief.closeAllConnections();
    }
    assert.equal(stolen, 0, `${stolen} requests went to where the provider pointed`);
    return '5 kinds of redirect, none is followed';
  },
};

const ACROSS_KEY = secret('sk-across-');
const SENT = ['accept', 'content-type', 'authorization', 'host', 'content-length', 'connection',
  'accept-encoding', 'transfer-encoding', 'user-agent', 'cf-worker', 'accept-language'];

/** @type {Attack} */
const headersAcross = {
  name: 'headers-across',
  gains: 'a provider gets a client\'s key, cookies and address; or sets cookies and CORS rules at '
    + 'the client under the router\'s name',
  setup: (at) => ({
    providers: {
      across: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: ['ACROSS_KEY'] },
    },
    vars: { ACROSS_KEY },
  }),
  serve: ({ model }) => ({
    ...(model === 'good' ? says('Hello') : refuses(500, 'no')),
    headers: {
      'set-cookie': 'a=1', 'access-control-allow-origin': 'https://evil.example',
      'access-control-allow-credentials': 'true', 'strict-transport-security': 'max-age=1',
      'x-spillway-engine': 'forged', refresh: '0; url=https://evil.example', link: '<x>; rel=x',
      'clear-site-data': '"*"', 'content-security-policy': 'default-src *',
    },
  }),
  async run({ as, asked }) {
    const mallory = as('mallory');
    for (const model of ['good', 'bad']) {
      for (const stream of [true, false]) {
        const got = await mallory.post(
          JSON.stringify({ model: `across:${model}`, messages: user('Hello'), stream }),
          { cookie: 'c=canary', 'x-forwarded-for': 'canary', 'x-api-key': 'canary',
            'api-key': 'canary', referer: 'http://canary.test/', 'x-canary': 'canary' },
        );
        for (const name of ['set-cookie', 'access-control-allow-credentials', 'refresh', 'link',
          'strict-transport-security', 'clear-site-data', 'content-security-policy']) {
          assert.equal(got.headers[name], undefined, `the client got the provider's ${name}`);
        }
        assert.equal(got.headers['access-control-allow-origin'], '*');
        assert.notEqual(got.headers['x-spillway-engine'], 'forged');
      }
    }
    for (const { headers, text } of asked) {
      assert.deepEqual(Object.keys(headers).filter((name) => !SENT.includes(name)), []);
      const all = JSON.stringify(headers) + text;
      assert.ok(!all.includes(mallory.key), 'the provider got the client\'s key');
      assert.ok(!all.includes('canary'), `the provider got ${all}`);
    }
    assert.equal(asked.length, 4);
    return 'no header of either side passes to the other';
  },
};

/** @type {Attack[]} */
export const attacks = [
  keyByParts, wholeKey, accountWords, keyInStream, keyByRedirect, headersAcross,
];
