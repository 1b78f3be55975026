/**
 * What a socket can do to an answer, between the deployed bundle in workerd and providers on
 * 127.0.0.1: nobody listens, cuts at many places, waits told in many ways, two hundred streams at
 * once. Which failure is read as what is in failover.test.js; here every word counts: each of an
 * answer's numbered words reaches the client exactly once, or the client is told that it broke off.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { APIError, InternalServerError, RateLimitError } from 'openai';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { numberedWords } from '../../scripts/simulator/model.mjs';
import {
  DIALECTS, MODES, ask, attemptsOf, engineOf, healthyOf, open, startUpstream, stream,
} from './support/chats.js';
import { startDeployed } from './support/worker.js';

/** @import { Body, Dialect } from './support/chats.js' */

const TIMEOUT = { timeout: 60_000 };
const WORDS = 9;
/** Places at which bodies are cut, besides each of the last bytes. */
const CUTS = 24;
const LAST_BYTES = 12;
const STREAMS = 200;
const CONTENT = { timeouts: { first_content_ms: 700 } };
const IDLE = { timeouts: { idle_ms: 700 } };

/** @type {Awaited<ReturnType<typeof startUpstream>>} */
let upstream;
/** @type {import('./support/worker.js').Worker} */
let worker;
/** @type {import('openai').default} */
let client;

/** A port that nobody listens on. */
async function closedPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  server.close();
  await once(server, 'close');
  return port;
}

before(async () => {
  upstream = await startUpstream();
  const config = simulatorConfig(upstream.url);
  const nobody = `http://127.0.0.1:${await closedPort()}`;
  const deaf = Object.fromEntries(Object.entries(config.providers).map(([id, provider]) => [
    id.replace('sim', 'deaf'),
    { ...provider, base_url: provider.base_url.replace(upstream.url, nobody) },
  ]));
  worker = await startDeployed({
    config: { ...config, providers: { ...config.providers, ...deaf } },
    vars: { SPILLWAY_KEYS: 'sim-client' },
  });
  client = worker.client();
});

after(async () => {
  await worker?.stop();
  await upstream?.close();
});

/** @param {Dialect} dialect @returns {Dialect} */
const another = (dialect) => DIALECTS[(DIALECTS.indexOf(dialect) + 1) % DIALECTS.length];

/** The ways an answer reaches a client: MODES, and two that are not streamed. */
const WAYS = [
  ...MODES.map(({ mode, dialect, include_usage }) => ({
    way: `${mode}, ${dialect}`, dialect, body: { stream: true, stream_options: { include_usage } },
  })),
  ...DIALECTS.map((dialect) => ({ way: `not streamed, ${dialect}`, dialect, body: {} })),
  { way: 'whole, openai', dialect: /** @type {Dialect} */ ('openai'), body: { logprobs: true } },
];

/**
 * One chat, in either way; what it ends with, if not well, is in `error`.
 * @param {Body} body
 */
async function chat(body) {
  try {
    if (body.stream) return await stream(client, body);
    return { ...await ask(client, body), error: undefined };
  } catch (error) {
    return { text: '', finish: null, headers: new Headers(), error };
  }
}

for (const { way, dialect, body } of WAYS) {
  describe(way, { concurrency: 4, ...TIMEOUT }, () => {
    test('nobody listens: the next engine answers', async () => {
      const deaf = `deaf-${engineOf(dialect).id.slice('sim-'.length)}`;
      // What is served whole needs an engine of the client's own dialect.
      const healthy = healthyOf('logprobs' in body ? dialect : another(dialect), WORDS);
      const answer = await chat({ ...body, model: deaf, spillway: { chain: [deaf, healthy.id] } });
      assert.ifError(answer.error);
      assert.equal(answer.text, healthy.text);
      assert.deepEqual(attemptsOf(answer.headers), [[deaf, 'network'], [healthy.id, 'ok']]);
    });

    for (const rescue of 'stream' in body ? [true, false] : [true]) {
      test(`cut anywhere${rescue ? '' : ', and not gone on with'}`, async (t) => {
        const measured = healthyOf(dialect, WORDS);
        assert.ifError((await chat({ ...body, model: measured.id })).error);
        const [{ written_bytes: length }] = upstream.of(measured.model);
        const places = new Set([
          ...Array.from({ length: CUTS }, (_, index) => Math.floor(index * length / CUTS)),
          ...Array.from({ length: LAST_BYTES }, (_, index) => length - index),
        ]);
        let broken = 0;
        for (const place of places) {
          const faulty = engineOf(dialect, `fault=cut_at&bytes=${place}&rst=${place % 2}`
            + `&tokens=${WORDS}`);
          // It says the same words, so it can go on in the middle of one.
          const twin = `sim-${'logprobs' in body ? dialect : another(dialect)}:${faulty.name}`
            + `?tokens=${WORDS}`;
          const answer = await chat({
            ...body, model: faulty.id, spillway: { rescue, chain: [faulty.id, twin] },
          });
          const about = `cut after ${place} of ${length} bytes: ${answer.text} ${answer.error}`;
          const whole = numberedWords(faulty.name, WORDS).join('');
          if (answer.finish === 'stop') {
            assert.equal(answer.text, whole, about);
            assert.equal(answer.error, undefined, about);
            continue;
          }
          broken += 1;
          // With nothing left to say, the next engine cannot go on.
          if (rescue) assert.equal(answer.text, whole, about);
          assert.ok(whole.startsWith(answer.text), about);
          assert.ok(answer.error instanceof APIError, about);
          assert.equal(answer.error.code, 'network_error', about);
        }
        t.diagnostic(`${broken} of ${places.size} broke off`);
        assert.ok(rescue || broken > 0);
      });
    }
  });
}

/** What spoils an answer that is passed on whole. */
const WHOLE = [
  ['server', 'server'], ['rate_limited', 'rate_limited'], ['bad_gateway_html', 'server'],
  ['reset', 'network'], ['cut_head', 'network'], ['cut', 'network'], ['cut_clean', 'protocol'],
  ['error_inside', 'overloaded'], ['not_a_stream', 'protocol'], ['bad_json', 'protocol'],
  ['empty', 'empty'],
];

describe('passed on whole: the next engine answers', { concurrency: 8, ...TIMEOUT }, () => {
  for (const [fault, kind] of WHOLE) {
    test(fault, async () => {
      const faulty = engineOf('openai', `fault=${fault}&tokens=${WORDS}`);
      const healthy = healthyOf('openai', WORDS);
      const chain = [faulty.id, healthy.id];
      const answer = await ask(client, {
        model: faulty.id, logprobs: true, spillway: { chain },
      });
      assert.equal(answer.text, healthy.text);
      assert.deepEqual(attemptsOf(answer.headers), [[faulty.id, kind], [healthy.id, 'ok']]);
      const id = answer.headers.get('x-request-id');
      const event = await worker.events.find((each) => each.request_id === id);
      assert.equal(event.mode, 'whole');
    });
  }

  // Headers come when the answer is there: how long that takes only the chat's own deadline knows.
  for (const fault of ['silence', 'stall', 'pings_only']) {
    test(`${fault}: an error when the chat's time is up`, async () => {
      const { id, model } = engineOf('openai', `fault=${fault}&tokens=${WORDS}`);
      /** @type {any} */
      const error = await ask(client, {
        model: id, logprobs: true, spillway: { chain: [id], timeouts: { total_ms: 400 } },
      }).catch((thrown) => thrown);
      assert.ok(error instanceof InternalServerError, String(error));
      assert.equal(error.code, 'timeout');
      assert.notEqual((await upstream.over.find((each) => each.model === model)).aborted_ms, null);
    });
  }
});

describe('a wait, however it is told, reaches the client', { concurrency: 8, ...TIMEOUT }, () => {
  for (const hint of [
    'seconds', 'date', 'ms', 'reset', 'reset_epoch', 'reset_requests', 'words', 'none',
  ]) {
    for (const dialect of DIALECTS) {
      test(`${hint}, ${dialect}`, async () => {
        const { id } = engineOf(dialect, `fault=rate_limited_by&hint=${hint}&ms=37000`);
        /** @type {any} */
        const error = await open(client, { model: id, spillway: { chain: [id] } })
          .catch((thrown) => thrown);
        assert.ok(error instanceof RateLimitError, String(error));
        const told = error.headers.get('retry-after');
        if (hint === 'none') return assert.equal(told, null);
        // Dates have no milliseconds.
        assert.ok(Number(told) >= 36 && Number(told) <= 38, String(told));
      });
    }
  }
});

/** A third of the engines, by turns: after no word, or after some. */
const MIXED = [
  ['reset'], ['cut&after=0'], ['cut&after=4'], ['cut&after=4&rst=1'], ['cut_clean&after=4'],
  ['stall&after=4', IDLE], ['slow_first&ms=20000', CONTENT], ['error_inside'],
  ['error_after&after=4'], ['bad_json&after=4'], ['server'], ['rate_limited'], ['empty'],
  ['not_a_stream'], ['cut_head'], ['pings_only&every_ms=20', CONTENT],
];

test(`${STREAMS} streams at once, a third of the providers failing`, TIMEOUT, async (t) => {
  const count = { whole: 0, rescued: 0, failed_over: 0, errors: 0 };
  await Promise.all(Array.from({ length: STREAMS }, async (_, index) => {
    const { mode, dialect, include_usage } = MODES[index % MODES.length];
    const spoilt = index % 3 === 0;
    const [fault, policy = {}] = MIXED[Math.floor(index / 3) % MIXED.length];
    const first = engineOf(dialect,
      `${spoilt ? `fault=${fault}&` : ''}tokens=24&interval_ms=10`);
    const next = engineOf(another(dialect), 'tokens=24&interval_ms=10');
    const answer = await stream(client, {
      model: first.id, stream_options: { include_usage },
      spillway: { .../** @type {object} */ (policy), chain: [first.id, next.id] },
    });
    const about = `${index}, ${mode}, ${spoilt ? fault : 'healthy'}: ${answer.error}`;
    const whole = [first, next].map(({ name }) => numberedWords(name, 24).join(''));
    if (answer.error) {
      // What is piped has reached the client before the router reads its copy.
      assert.ok(spoilt && mode === 'splice', about);
      assert.ok(whole.some((text) => text.startsWith(answer.text)), about);
      assert.equal(answer.finish, null, about);
      count.errors += 1;
      return;
    }
    assert.equal(answer.finish, 'stop', about);
    assert.equal(answer.text, whole[whole[0] === answer.text ? 0 : 1], about);
    const asked = upstream.of(next.model).length;
    assert.equal(asked, spoilt ? 1 : 0, about);
    count[!spoilt ? 'whole' : answer.text === whole[0] ? 'rescued' : 'failed_over'] += 1;
  }));
  t.diagnostic(JSON.stringify(count));
  assert.equal(count.whole, STREAMS - Math.ceil(STREAMS / 3));
  assert.ok(count.rescued > 0 && count.failed_over > 0);
});

test('nothing is left open', TIMEOUT, async () => {
  // Cancelled exchanges close a moment after their chats.
  while (upstream.open().length > 0) await turn();
  const headers = { authorization: 'Bearer sim-client' };
  const health = /** @type {any} */ (await (
    await fetch(`${worker.url}/health`, { headers })).json());
  assert.equal(health.chats_open, 0);
});
