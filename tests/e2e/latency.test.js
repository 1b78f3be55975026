/**
 * Waiting for the first content: a second engine is asked for a slow first one, and whoever waits
 * for long is told that it is still waited for.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { numberedWords } from '../../scripts/simulator/model.mjs';
import {
  DIALECTS, ask, attemptsOf, engineOf, engineOfAnswer, healthyOf, startUpstream, stream,
} from './support/chats.js';
import { startWorker } from './support/worker.js';

const TIMEOUT = { timeout: 60_000 };
/** More than any test waits, less than what a deadline would end. */
const SLOW = 'slow_headers&ms=8000';
const HEDGE = { after: 150, max_extra: 1 };

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

describe('a slow engine is joined by the next', { concurrency: 4, ...TIMEOUT }, () => {
  for (const dialect of DIALECTS) {
    for (const streamed of [true, false]) {
      test(`${dialect}, ${streamed ? 'streamed' : 'not streamed'}`, async () => {
        const slow = engineOf('openai', `fault=${SLOW}`);
        const quick = healthyOf(dialect);
        const body = { model: slow.id, spillway: { chain: [slow.id, quick.id], hedge: HEDGE } };
        const answer = await (streamed ? stream(client, body) : ask(client, body));
        assert.equal(answer.text, quick.text);
        assert.equal(answer.finish, 'stop');
        assert.equal(engineOfAnswer(answer.headers), quick.id);
        assert.deepEqual(attemptsOf(answer.headers), [[slow.id, 'cancelled'], [quick.id, 'ok']]);
        // Not left to run: its provider would be paid for what nobody reads.
        const exchange = await upstream.over.find(({ model }) => model === slow.model);
        assert.notEqual(exchange.aborted_ms, null);
      });
    }
  }

  test('the first engine may still be the sooner one', async () => {
    const first = healthyOf('openai');
    const steady = engineOf('openai', 'fault=slow_headers&ms=600&tokens=4');
    const slow = engineOf('anthropic', `fault=${SLOW}`);
    const chain = [steady.id, slow.id, first.id];
    const answer = await stream(client, { model: first.id, spillway: { chain, hedge: HEDGE } });
    assert.ifError(answer.error);
    assert.equal(engineOfAnswer(answer.headers), steady.id);
    assert.deepEqual(attemptsOf(answer.headers), [[slow.id, 'cancelled'], [steady.id, 'ok']]);
    assert.equal(upstream.of(first.model).length, 0);
  });
});

describe('a client that waits is told so', { concurrency: 4, ...TIMEOUT }, () => {
  const keep_alive = { before_content_ms: 300, every_ms: 300 };

  /** @param {string} model @param {object} spillway */
  const post = (model, spillway) => fetch(`${worker.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      model, spillway, stream: true, messages: [{ role: 'user', content: 'Hello' }],
    }),
  });

  for (const dialect of DIALECTS) {
    test(`${dialect}: comments, then the answer, and who gave it`, async () => {
      const { id } = engineOf(dialect, 'fault=slow_first&ms=1500&tokens=5');
      const started_ms = performance.now();
      const response = await post(id, { keep_alive });
      const waited_ms = performance.now() - started_ms;
      assert.ok(waited_ms < 1500, `the head came after ${waited_ms.toFixed(0)} ms`);
      assert.equal(response.headers.get('x-spillway-engine'), null);
      const text = await response.text();
      const [, comments, engine, attempts, answer] =
        /^(.*?): x-spillway-engine: (.*?)\n: x-spillway-attempts: (.*?)\n\n(.*)$/s.exec(text) ?? [];
      assert.match(comments, /^(: keep-alive\n\n){2,5}$/);
      assert.equal(decodeURIComponent(engine), id);
      assert.equal(attempts, `${engine}=ok`);
      assert.match(answer, /^data: \{.*data: \[DONE\]\n\n$/s);
    });

    test(`${dialect}: the openai client reads nothing but the answer`, async () => {
      const { id, name } = engineOf(dialect, 'fault=slow_first&ms=1000&tokens=5');
      const answer = await stream(client, { model: id, spillway: { keep_alive } });
      assert.ifError(answer.error);
      assert.equal(answer.text, numberedWords(name, 5).join(''));
      assert.equal(answer.finish, 'stop');
    });
  }

  test('what fails then is an error inside the stream', async () => {
    const { id } = engineOf('openai', 'fault=slow_headers&ms=800');
    const timeouts = { headers_ms: 700 };
    const { error } = await stream(client, { model: id, spillway: { keep_alive, timeouts } });
    assert.equal(error.code, 'timeout');
    assert.match(error.message, /no response within 0\.7 s/);
  });

  test('a second engine goes on to be tried', async () => {
    const silent = engineOf('gemini', 'fault=silence');
    const healthy = healthyOf('openai');
    const answer = await stream(client, {
      model: silent.id,
      spillway: {
        keep_alive, chain: [silent.id, healthy.id], timeouts: { headers_ms: 700 },
      },
    });
    assert.ifError(answer.error);
    assert.equal(answer.text, healthy.text);
  });
});
