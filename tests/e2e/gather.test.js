/**
 * Clients that do not stream, on the bundle in workerd: the answer is gathered while the runtime
 * reads without JavaScript. What goes wrong on the way must be noticed all the same, and nothing
 * may be taken for wrong because nobody has looked.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { numberedWords } from '../../scripts/simulator/model.mjs';
import {
  DIALECTS, ask, attemptsOf, engineOf, healthyOf, startUpstream, user,
} from './support/chats.js';
import { startDeployed } from './support/worker.js';

const TIMEOUT = { timeout: 30_000 };
const key = 'sim-client';
const IDLE_MS = 600;
/** What is looked at late, and then taken for silent. */
const NOTICED_MS_MAX = IDLE_MS * 1.3 + 1000;

/** @type {Awaited<ReturnType<typeof startUpstream>>} */
let upstream;
/** @type {import('./support/worker.js').Worker} */
let worker;
/** @type {import('openai').default} */
let client;

before(async () => {
  upstream = await startUpstream();
  const clients = { default: { policy: ['timeouts'] } };
  worker = await startDeployed({
    config: { ...simulatorConfig(upstream.url), clients }, vars: { SPILLWAY_KEYS: key },
  });
  client = worker.client({ apiKey: key });
});

after(async () => {
  await worker?.stop();
  await upstream?.close();
});

/** @param {string[]} chain */
const impatient = (...chain) => ({ chain, timeouts: { idle_ms: IDLE_MS } });

for (const dialect of DIALECTS) {
  describe(`${dialect}, gathered`, { concurrency: 4, ...TIMEOUT }, () => {
    test('a slow answer is waited for', async () => {
      const { id, model, name } = engineOf(dialect, `tokens=8&interval_ms=${IDLE_MS * 0.7}`);
      const { text, headers } = await ask(client, { spillway: impatient(id) });
      assert.equal(text, numberedWords(name, 8).join(''));
      assert.deepEqual(attemptsOf(headers), [[id, 'ok']]);
      assert.equal(upstream.of(model).length, 1);
    });

    test('a large one at a pace is whole', async () => {
      const { id, name } = engineOf(dialect, 'tokens=40&interval_ms=40&size=4000');
      const { text } = await ask(client, { spillway: impatient(id) });
      assert.equal(text, numberedWords(name, 40).join(''));
    });

    test('one of a megabyte is whole', async () => {
      const { id, name } = engineOf(dialect, 'tokens=4000&size=300&per_write=1');
      const { text } = await ask(client, { model: id, max_tokens: 8000 });
      assert.equal(text, numberedWords(name, 4000).join(''));
    });

    for (const [fault, outcome] of /** @type {const} */ ([
      ['cut&after=3', 'network'], ['cut_clean&after=3', 'network'],
      ['error_after&after=3', 'overloaded'], ['stall&after=3', 'timeout'],
    ])) {
      test(`${fault}: the next engine starts over`, async () => {
        const broken = engineOf(dialect, `fault=${fault}&tokens=9`);
        const healthy = healthyOf(dialect);
        const begun_ms = performance.now();
        const { text, headers } = await ask(client, {
          spillway: impatient(broken.id, healthy.id),
        });
        assert.equal(text, healthy.text);
        assert.deepEqual(attemptsOf(headers), [[broken.id, outcome], [healthy.id, 'ok']]);
        assert.ok(performance.now() - begun_ms < NOTICED_MS_MAX);
      });
    }

    test('a client that leaves while the provider is silent is noticed', async () => {
      const { id, model } = engineOf(dialect, 'fault=stall&after=3&tokens=9');
      const call = request(`${worker.url}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
      });
      call.on('error', () => {});
      call.end(JSON.stringify({ model: id, messages: [user('Hello')] }));
      await once(call, 'socket');
      while (upstream.of(model).length === 0) await turn();
      call.socket?.resetAndDestroy();
      const exchange = await upstream.over.find((entry) => entry.model === model);
      assert.notEqual(exchange.aborted_ms, null);
      const event = await worker.events.find((each) => each.event === 'chat'
        && each['gen_ai.request.model'].endsWith(`:${model}`));
      assert.equal(event.outcome, 'client_closed');
    });

    test('asked for whole: one body, and the next engine when there is none', async () => {
      const broken = engineOf(dialect, 'fault=overloaded');
      const healthy = healthyOf(dialect);
      const { text, headers, usage } = await ask(client, {
        spillway: { chain: [broken.id, healthy.id], upstream: 'whole' },
      });
      assert.equal(text, healthy.text);
      assert.ok(usage && usage.completion_tokens > 0);
      assert.deepEqual(attemptsOf(headers), [[broken.id, 'overloaded'], [healthy.id, 'ok']]);
    });
  });
}

test('nothing is left behind', TIMEOUT, async () => {
  const headers = { authorization: `Bearer ${key}` };
  const response = await fetch(`${worker.url}/health`, { headers });
  assert.equal(/** @type {any} */ (await response.json()).chats_open, 0);
  assert.equal(upstream.open().length, 0);
});
