/**
 * What Spillway says over HTTP to what is no proper chat: bad bodies, paths and methods, requests
 * from elsewhere. Then what it tells of itself: models, health, and one log line for every chat.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { BadRequestError, NotFoundError } from 'openai';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { numberedWords } from '../../scripts/simulator/model.mjs';
import {
  DIALECTS, ask, engineOf, healthyOf, open, startUpstream, stream, user,
} from './support/chats.js';
import { startWorker } from './support/worker.js';

const TIMEOUT = { timeout: 30_000 };
const MESSAGES = [user('Hello')];
const MB = 1024 * 1024;

/** @type {Awaited<ReturnType<typeof startUpstream>>} */
let upstream;
/** @type {import('./support/worker.js').Worker} */
let worker;
/** @type {import('openai').default} */
let client;

before(async () => {
  upstream = await startUpstream();
  worker = await startWorker({ config: simulatorConfig(upstream.url) });
  client = worker.client();
});

after(async () => {
  await worker?.stop();
  await upstream?.close();
});

/** @param {string | Uint8Array<ArrayBuffer> | ReadableStream} body */
function post(body) {
  return fetch(`${worker.url}/v1/chat/completions`, /** @type {RequestInit} */ ({
    method: 'POST', headers: { 'content-type': 'application/json' }, body, duplex: 'half',
  }));
}

/**
 * As fetch does not allow it: any Host, any header.
 * @param {string} path @param {Record<string, string>} headers @param {string} [method]
 */
async function get(path, headers, method = 'GET') {
  const call = request(`${worker.url}${path}`, { method, headers });
  call.end();
  const [response] = await once(call, 'response');
  const text = Buffer.concat(await response.toArray()).toString();
  return { status: response.statusCode, headers: response.headers, text };
}

/** @param {object} more */
const chat = (more) => JSON.stringify({ model: 'bulk', messages: MESSAGES, ...more });
/** @param {unknown[]} messages */
const talk = (...messages) => JSON.stringify({ model: 'bulk', messages });
/** @param {number} depth */
const nested = (depth) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

/** What is wrong, the body, the field that is named, what is said of it, and the code.
 * @type {[string, string | Uint8Array<ArrayBuffer>, string | null, RegExp, string?][]} */
const MISTAKES = [
  ['no body', '', null, /not valid JSON/, 'invalid_json'],
  ['JSON that breaks off', '{"messages":[{"role":"user"', null, /not valid JSON.*byte/,
    'invalid_json'],
  ['two values', `${chat({})} {}`, null, /not valid JSON.*byte/, 'invalid_json'],
  ['a trailing comma', '{"messages":[],}', null, /.*/],
  ['bytes that are not UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), null,
    /not valid JSON/, 'invalid_json'],
  ['an array', '[]', null, /JSON object, got an array/, 'invalid_type'],
  ['no messages', '{"model":"bulk"}', 'messages', /at least one message/],
  ['empty messages', talk(), 'messages', /at least one message/],
  ['messages of another type', chat({ messages: 'Hello' }), 'messages', /array.*got a string/],
  ['a message that is none', talk(user('a'), 7), 'messages[1]', /an object, got a number/],
  ['a message without a role', talk({ content: 'a' }), 'messages[0].role', /role/],
  ['an unknown role', talk(user('a'), { role: 'wizard', content: 'a' }), 'messages[1].role',
    /got "wizard"/],
  ['content of another type', talk({ role: 'user', content: 5 }), 'messages[0].content',
    /a string or an array.*got a number/],
  ['a user without content', talk({ role: 'user' }), 'messages[0].content', /Expected/],
  ['a part without a type', talk({ role: 'user', content: [{ text: 'a' }] }),
    'messages[0].content[0].type', /type of the part/],
  ['an image without an address', talk({ role: 'user', content: [{ type: 'image_url' }] }),
    'messages[0].content[0].image_url', /Expected/],
  ['a tool result without an id', talk({ role: 'tool', content: 'a' }), 'messages[0].tool_call_id',
    /id of the tool call/],
  ['a model that is no text', chat({ model: 5 }), 'model', /a string, got a number/],
  ['models that are none', chat({ models: [{}] }), 'models[0]', /a string, got an object/],
  ['stream of another type', chat({ stream: 'yes' }), 'stream', /a boolean, got a string/],
  ['a wrong stream option', chat({ stream_options: { include_usage: 1 } }),
    'stream_options.include_usage', /a boolean/],
  ['a temperature in words', chat({ temperature: 'hot' }), 'temperature', /a number, got a string/],
  ['no room for an answer', chat({ max_tokens: 0 }), 'max_tokens', /1 or more/],
  ['a wrong stop sequence', chat({ stop: ['a', 1] }), 'stop[1]', /a string, got a number/],
  ['tools of another type', chat({ tools: {} }), 'tools', /array/],
  ['a tool that is none', chat({ tools: ['a'] }), 'tools[0]', /an object/],
  ['a wrong tool choice', chat({ tool_choice: 'perhaps' }), 'tool_choice', /Expected/],
  ['a wrong format', chat({ response_format: 'json' }), 'response_format', /an object/],
  ['a policy that is none', chat({ spillway: [] }), 'spillway', /an object, got an array/],
  ['an unknown policy', chat({ spillway: { speed: 1 } }), 'spillway.speed', /chain/],
  ['an empty chain', chat({ spillway: { chain: [] } }), 'spillway.chain', /at least one/],
  ['a wrong deadline', chat({ spillway: { timeouts: { idle_ms: 0 } } }),
    'spillway.timeouts.idle_ms', /1/],
  ['nesting in the messages', `{"messages":${nested(10_000)}}`, null, /./],
  ['nesting in a message', `{"messages":[{"role":"user","content":${nested(10_000)}}]}`, null, /./],
  ['nesting in a field nobody knows', `{"messages":[],"future":${nested(10_000)}}`, null, /./],
  ['nesting in a tool', chat({}).replace(/\}$/, `,"tools":[{"type":"function","function":${
    '{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}}]}`), null, /./],
];

describe('bad bodies, while a stream is on its way', { concurrency: 4, ...TIMEOUT }, () => {
  /** @type {{ name: string, answer: ReturnType<typeof stream> }[]} */
  let streams = [];

  before(() => {
    streams = DIALECTS.map((dialect) => {
      const { id, name } = engineOf(dialect, 'tokens=100&interval_ms=20');
      return { name, answer: stream(client, { model: id }) };
    });
  });

  for (const [what, body, param, message, code] of MISTAKES) {
    test(what, async () => {
      const response = await post(body);
      const { error } = /** @type {any} */ (await response.json());
      assert.equal(response.status, 400);
      assert.equal(error.type, 'invalid_request_error');
      assert.match(error.message, message);
      if (param) assert.equal(error.param, param);
      if (code) assert.equal(error.code, code);
      assert.equal(typeof error.code, 'string');
      assert.match(response.headers.get('content-type') ?? '', /^application\/json/);
      assert.equal(response.headers.get('access-control-allow-origin'), '*');
    });
  }

  for (const [what, body] of /** @type {const} */ ([
    ['with a length', () => chat({ user: 'x'.repeat(20 * MB) })],
    ['in chunks', () => new Blob(Array(20).fill(new Uint8Array(MB).fill(0x20))).stream()],
  ])) {
    test(`20 MB, ${what}`, async () => {
      const response = await post(body());
      assert.equal(response.status, 413);
      const { error } = /** @type {any} */ (await response.json());
      assert.equal(error.code, 'request_too_large');
      assert.match(error.message, /at most 16777216 bytes/);
    });
  }

  test('the client\'s own errors', async () => {
    await assert.rejects(ask(client, { model: 'bulk', messages: [] }), (error) => {
      assert.ok(error instanceof BadRequestError);
      assert.equal(error.param, 'messages');
      return true;
    });
    for (const [model, path] of [['gpt-unheard-of', 'model'], ['nobody:model', 'model']]) {
      await assert.rejects(open(client, { model }), (/** @type {any} */ error) => {
        assert.ok(error instanceof NotFoundError);
        assert.equal(error.code, 'model_not_found');
        assert.equal(error.param, path);
        assert.ok(error.message.includes(model), error.message);
        assert.match(error.message, /critical.*standard.*bulk/);
        return true;
      });
    }
    const chain = ['sim-openai:steady', 'nobody:model'];
    await assert.rejects(ask(client, { model: 'bulk', spillway: { chain } }),
      { param: 'spillway.chain[1]' });
  });

  test('the streams that were on their way arrive whole', async () => {
    for (const { name, answer } of streams) {
      const { text, finish, error } = await answer;
      assert.ifError(error);
      assert.equal(finish, 'stop');
      assert.equal(text, numberedWords(name, 100).join(''));
    }
  });
});

describe('paths and methods', TIMEOUT, () => {
  for (const [method, path, status, allow] of /** @type {const} */ ([
    ['GET', '/v1/chat/completions', 405, 'POST, OPTIONS'],
    ['DELETE', '/v1/chat/completions', 405, 'POST, OPTIONS'],
    ['POST', '/v1/models', 405, 'GET, HEAD, OPTIONS'],
    ['PUT', '/health', 405, 'GET, HEAD, OPTIONS'],
    ['POST', '/v1/completions', 404],
    ['POST', '/', 405, 'GET, HEAD, OPTIONS'],
    ['GET', '/v1/models/nobody:model', 404],
  ])) {
    test(`${method} ${path}: ${status}`, async () => {
      const response = await fetch(`${worker.url}${path}`, { method });
      assert.equal(response.status, status);
      assert.equal(response.headers.get('allow'), allow ?? null);
      const { error } = /** @type {any} */ (await response.json());
      assert.equal(error.type, 'invalid_request_error');
      assert.ok(error.message.includes(allow ? 'Expected' : path.split('/').at(-1)), error.message);
    });
  }
});

describe('what runs here', TIMEOUT, () => {
  test('a browser gets a page that says how to ask', async () => {
    const response = await fetch(worker.url, { headers: { accept: 'text/html,*/*' } });
    assert.equal(response.headers.get('content-type'), 'text/html; charset=utf-8');
    const page = await response.text();
    assert.ok(page.includes(`curl -N ${new URL(worker.url).origin}/v1/chat/completions`), page);
    assert.match(page, /Answers are simulated/);
  });

  test('a program gets JSON', async () => {
    const { name, simulated } = /** @type {any} */ (await (await fetch(worker.url)).json());
    assert.deepEqual({ name, simulated }, { name: 'spillway', simulated: true });
  });
});

describe('who may ask when no client key is set', TIMEOUT, () => {
  for (const [what, headers] of /** @type {const} */ ([
    ['another host name', { host: 'spillway.example' }],
    ['a forwarded request', { 'x-forwarded-for': '203.0.113.7' }],
    ['a page of another site', { origin: 'https://elsewhere.example' }],
  ])) {
    test(`${what} is told what to set`, async () => {
      const { status, text } = await get('/v1/models', headers);
      assert.equal(status, 401);
      const { error } = JSON.parse(text);
      assert.equal(error.type, 'authentication_error');
      assert.match(error.message, /set SPILLWAY_KEYS/);
      const health = await get('/health', headers);
      assert.equal(health.status, 200);
      assert.equal(JSON.parse(health.text).providers, undefined);
    });
  }

  test('this machine, also from a page on it', async () => {
    assert.equal((await get('/v1/models', {})).status, 200);
    assert.equal((await get('/v1/models', { origin: 'http://localhost:3000' })).status, 200);
  });
});

describe('CORS', TIMEOUT, () => {
  test('a preflight needs no key', async () => {
    const { status, headers, text } = await get('/v1/chat/completions', {
      'origin': 'https://elsewhere.example',
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization, content-type, x-stainless-os',
    }, 'OPTIONS');
    assert.equal(status, 204);
    assert.equal(text, '');
    assert.equal(headers['access-control-allow-origin'], '*');
    assert.match(headers['access-control-allow-methods'], /POST/);
    assert.equal(headers['access-control-allow-headers'],
      'authorization, content-type, x-stainless-os');
  });

  test('a page may read the answer and its headers', async () => {
    const { headers } = await open(client, { model: healthyOf('gemini').id });
    assert.equal(headers.get('access-control-allow-origin'), '*');
    const exposed = headers.get('access-control-expose-headers')?.split(', ') ?? [];
    for (const name of ['x-request-id', 'x-spillway-engine', 'x-spillway-attempts']) {
      assert.ok(exposed.includes(name), name);
      assert.ok(headers.has(name), name);
    }
  });
});

describe('what it tells of itself', TIMEOUT, () => {
  test('models: routes first, then engines that have what they need', async () => {
    const models = (await client.models.list()).data;
    const ids = models.map(({ id }) => id);
    assert.deepEqual(ids.slice(0, 3).sort(), ['bulk', 'critical', 'standard']);
    assert.ok(ids.includes('sim-openai:steady') && ids.includes('sim-gemini:reasoner'));
    assert.ok(!ids.some((id) => id.startsWith('openai:')), 'there is no key for it');
    const standard = /** @type {any} */ (models.find(({ id }) => id === 'standard'));
    assert.deepEqual(standard.chain,
      ['sim-openai:unstable', 'sim-anthropic:steady', 'sim-gemini:steady']);
    const steady = /** @type {any} */ (await client.models.retrieve('sim-openai:steady'));
    assert.equal(steady.object, 'model');
    assert.equal(steady.context_window, 200_000);
    assert.deepEqual(steady.pricing_usd_per_million_tokens, { input: 1, output: 5 });
    assert.deepEqual(steady.capabilities, ['vision', 'tools', 'json_mode', 'json_schema']);
    assert.equal(steady.simulated, true);
    await assert.rejects(client.models.retrieve('nobody:model'), NotFoundError);
  });

  test('health says that answers are simulated', async () => {
    const response = await fetch(`${worker.url}/health`);
    const health = /** @type {any} */ (await response.json());
    assert.equal(response.status, 200);
    assert.equal(health.status, 'ok');
    assert.equal(health.simulated, true);
    assert.match(health.warning, /simulated/);
    assert.equal(health.providers_ready, 3);
    assert.deepEqual(health.providers['sim-openai'], { ready: true, keys: 0, simulated: true });
    assert.equal(health.providers.openai.set, 'OPENAI_API_KEY');
  });

  test('the log says so at the start', async () => {
    const event = await worker.events.find((each) => each.event === 'providers');
    assert.deepEqual(event.ready, ['sim-openai', 'sim-anthropic', 'sim-gemini']);
    assert.equal(event.simulated, true);
  });
});

describe('one log line for every chat', { concurrency: 4, ...TIMEOUT }, () => {
  /** @param {Headers} headers */
  async function eventOf(headers) {
    const id = headers.get('x-request-id');
    const event = await worker.events.find((each) => each.request_id === id);
    const lines = worker.output().split('\n').filter((line) => line.includes(`"${id}"`));
    assert.equal(lines.length, 1);
    return event;
  }

  test('an answer, after a failover', async () => {
    const faulty = engineOf('openai', 'fault=overloaded');
    const chain = [faulty.id, 'sim-anthropic:steady'];
    const { text, headers } = await stream(client, { model: 'standard', spillway: { chain } });
    assert.ok(text.length > 0);
    const event = await eventOf(headers);
    assert.equal(event.event, 'chat');
    assert.equal(event.outcome, 'completed');
    assert.equal(event['gen_ai.operation.name'], 'chat');
    assert.equal(event['gen_ai.request.model'], 'standard');
    assert.equal(event['gen_ai.response.model'], 'steady');
    assert.equal(event['gen_ai.provider.name'], 'sim-anthropic');
    assert.equal(event.engine, 'sim-anthropic:steady');
    assert.equal(event.stream, true);
    assert.equal(event.mode, 'translate');
    assert.deepEqual(event.attempts.map((/** @type {any} */ attempt) =>
      [attempt.engine, attempt.outcome, attempt.status]),
    [[faulty.id, 'overloaded', 503], ['sim-anthropic:steady', 'ok', 200]]);
    const first_ms = event.time_to_first_content_ms;
    assert.ok(first_ms >= event.attempts[0].ms && first_ms <= event.total_ms);
    const input = event['gen_ai.usage.input_tokens'];
    const output = event['gen_ai.usage.output_tokens'];
    assert.ok(input > 0 && output > 10);
    // A dollar, and five, for a million tokens.
    assert.equal(event.cost_usd, Number(((input + 5 * output) / 1e6).toFixed(12)));
    assert.equal(event['gen_ai.response.finish_reason'], 'stop');
  });

  test('usage counts although the client did not ask for it, however it is passed on', async () => {
    for (const dialect of DIALECTS) {
      for (const usage of [{ stream_options: { include_usage: true } }, {}]) {
        const { headers } = await stream(client, { model: healthyOf(dialect, 11).id, ...usage });
        assert.equal((await eventOf(headers))['gen_ai.usage.output_tokens'], 11);
      }
      const { headers } = await ask(client, { model: healthyOf(dialect, 11).id });
      assert.equal((await eventOf(headers))['gen_ai.usage.output_tokens'], 11);
    }
  });

  test('no answer: the reason, and every attempt', async () => {
    const chain = [engineOf('openai', 'fault=server').id, engineOf('gemini', 'fault=not_found').id];
    const error = await ask(client, { model: 'bulk', spillway: { chain } }).then(() => null,
      (/** @type {any} */ reason) => reason);
    const event = await eventOf(error.headers);
    assert.equal(event.outcome, 'failed');
    assert.equal(event['error.type'], 'model_not_found');
    assert.deepEqual(event.attempts.map((/** @type {any} */ { outcome }) => outcome),
      ['server', 'model_not_found']);
    assert.equal(event.engine, undefined);
  });
});
