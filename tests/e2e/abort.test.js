/**
 * A client that leaves: within a tenth of a second the provider sees its connection closed, before
 * the first content, in the middle, while it sends and while it is silent. Other chats do not
 * notice.
 *
 * A connection that is reset workerd notices at once. One that is only closed may still be read
 * from as far as TCP knows, so workerd looks again when it next writes to it; it is the same
 * without Spillway, as a test here shows. `wrangler dev` is asked through a proxy of wrangler's,
 * which closes. What happens in silence is therefore tested on the deployed bundle, with a client
 * that resets, as the edge would.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import {
  DIALECTS, MODES, engineOf, healthyOf, open, startUpstream, stream, user,
} from './support/chats.js';
import { startDeployed, startScript, startWorker } from './support/worker.js';

/** @import { Worker } from './support/worker.js' */

const TIMEOUT = { timeout: 30_000 };
const NOTICED_MS_MAX = 100;
/** wrangler's proxy stands between. */
const NOTICED_IN_DEV_MS_MAX = 1000;
/** Not really, but its test is over long before. */
const ENDLESS = 'tokens=3000&interval_ms=10';
/** From one event to the next. */
const SILENCE_MS = 400;
/** Far longer than any test waits. */
const PATIENT = { headers_ms: 60_000, first_content_ms: 60_000, idle_ms: 60_000 };

/** @type {Awaited<ReturnType<typeof startUpstream>>} */
let upstream;
/** @type {Worker} */
let worker;
/** @type {Worker} */
let deployed;
/** @type {import('openai').default} */
let client;

before(async () => {
  upstream = await startUpstream();
  const clients = { default: { policy: ['timeouts', 'rate_limit_wait_ms'] } };
  const config = { ...simulatorConfig(upstream.url), clients };
  const vars = { SPILLWAY_KEYS: 'sim-client' };
  [worker, deployed] = await Promise.all([
    startWorker({ config: simulatorConfig(upstream.url) }), startDeployed({ config, vars }),
  ]);
  client = worker.client();
});

after(async () => {
  await worker?.stop();
  await deployed?.stop();
  await upstream?.close();
});

/** Until the simulator has an exchange of this engine. @param {string} model */
async function asked(model) {
  while (upstream.of(model).length === 0) await turn();
}

/**
 * The provider notices, in time, that nobody listens any more, and the chat is logged as such. Once
 * in three times is enough: what else runs on the machine may delay any of them.
 * @param {Worker} at
 * @param {() => Promise<string>} leave  starts a chat and leaves it; gives the model
 */
async function noticed(at, leave) {
  const most_ms = at === worker ? NOTICED_IN_DEV_MS_MAX : NOTICED_MS_MAX;
  let best_ms = Infinity;
  for (let tries = 0; tries < 3 && best_ms >= most_ms; tries++) {
    best_ms = Math.min(best_ms, await closed(at, await leave()));
  }
  assert.ok(best_ms < most_ms, `noticed after ${best_ms.toFixed(0)} ms`);
}

/** How long it takes. @param {Worker} at @param {string} model */
async function closed(at, model) {
  const left_ms = performance.now();
  const exchange = await upstream.over.find((entry) => entry.model === model);
  const noticed_ms = performance.now() - left_ms;
  assert.notEqual(exchange.aborted_ms, null);
  assert.equal(exchange.finished, false);
  assert.equal(await outcome(at, model), 'client_closed');
  return noticed_ms;
}

/** @param {Worker} at @param {string} model */
async function outcome(at, model) {
  const event = await at.events.find((each) => each.event === 'chat'
    && each['gen_ai.request.model'].endsWith(`:${model}`));
  return event.outcome;
}

/**
 * Reads this many deltas, then aborts.
 * @param {Record<string, any>} body @param {number} deltas
 */
async function leaveAfter(body, deltas) {
  const { chunks } = await open(client, body);
  let seen = 0;
  for await (const { choices } of chunks) {
    if (choices[0]?.delta.content && ++seen === deltas) break; // the client's way to abort
  }
  assert.equal(seen, deltas);
}

/**
 * Asks the deployed Worker; `reset` breaks the connection off, `close` ends it in order.
 * @param {Record<string, any>} body
 */
function call(body, { url } = deployed) {
  const message = request(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer sim-client' },
  });
  message.on('error', () => {});
  message.end(JSON.stringify({ messages: [user('Hello')], ...body }));
  return {
    reset: () => void message.socket?.resetAndDestroy(),
    close: () => void message.destroy(),
    /** Until the client has this much of the answer. @param {string} text */
    async read(text) {
      const [response] = await once(message, 'response');
      response.on('error', () => {});
      for (let seen = ''; !seen.includes(text);) seen += String((await once(response, 'data'))[0]);
    },
  };
}

for (const { mode, dialect, include_usage } of MODES) {
  const stream_options = { include_usage };

  describe(`${dialect}, ${mode}`, { concurrency: 4, ...TIMEOUT }, () => {
    test('in the middle, while the provider sends', () => noticed(worker, async () => {
      const { id, model } = engineOf(dialect, ENDLESS);
      await leaveAfter({ model: id, stream_options }, 3);
      return model;
    }));

    for (const how of /** @type {const} */ (['reset', 'close'])) {
      test(`in the middle, while the provider sends: ${how}`, () => noticed(deployed, async () => {
        const { id, model, name } = engineOf(dialect, ENDLESS);
        const { read, [how]: leave } = call({ model: id, stream: true, stream_options });
        await read(`${name}-2`);
        leave();
        return model;
      }));
    }

    test('in the middle, while the provider is silent', () => noticed(deployed, async () => {
      const { id, model, name } = engineOf(dialect, 'fault=stall&after=3&tokens=9');
      const { read, reset } = call({
        model: id, stream: true, stream_options, spillway: { timeouts: PATIENT },
      });
      await read(`${name}-2`);
      reset();
      return model;
    }));

    for (const [what, fault] of /** @type {const} */ ([
      ['response', 'silence'], ['content', 'slow_first&ms=60000'],
      ['content, with pings', 'pings_only'],
    ])) {
      test(`before the first ${what}`, () => noticed(deployed, async () => {
        const { id, model } = engineOf(dialect, `fault=${fault}`);
        const { reset } = call({
          model: id, stream: true, stream_options, spillway: { timeouts: PATIENT },
        });
        await asked(model);
        reset();
        return model;
      }));
    }

    test('unnoticed, in silence: the deadline closes the provider\'s connection', async () => {
      const { id, model } = engineOf(dialect, 'fault=stall&after=3&tokens=9');
      const timeouts = { ...PATIENT, idle_ms: 300 };
      await leaveAfter({ model: id, stream_options, spillway: { timeouts } }, 3);
      const exchange = await upstream.over.find((entry) => entry.model === model);
      assert.notEqual(exchange.aborted_ms, null);
    });
  });

  test(`${dialect}, ${mode}: other streams arrive whole`, TIMEOUT, async () => {
    const others = DIALECTS.flatMap((other) => [true, false].map((usage) => {
      const engine = engineOf(other, 'tokens=40&interval_ms=10');
      return { engine, answer: stream(client, {
        model: engine.id, stream_options: { include_usage: usage },
      }) };
    }));
    await Promise.all(others.map(({ engine }) => asked(engine.model)));
    await noticed(worker, async () => {
      const { id, model } = engineOf(dialect, ENDLESS);
      await leaveAfter({ model: id, stream_options }, 3);
      return model;
    });
    for (const { engine, answer } of others) {
      const { text, finish, error } = await answer;
      assert.ifError(error);
      assert.equal(finish, 'stop');
      const words = text.split(' ');
      assert.equal(words.length, 40);
      words.forEach((word, index) => assert.equal(word, `${engine.name}-${index}`));
    }
  });
}

for (const dialect of DIALECTS) {
  test(`${dialect}, not streamed`, TIMEOUT, () => noticed(deployed, async () => {
    const { id, model } = engineOf(dialect, ENDLESS);
    const { reset } = call({ model: id });
    await asked(model);
    reset();
    return model;
  }));
}

test('while the chat waits for its next attempt', TIMEOUT, async () => {
  const { id, model } = engineOf('openai', 'fault=rate_limited&retry_after=30');
  const { reset } = call({ model: id, spillway: { rate_limit_wait_ms: 60_000 } });
  await upstream.over.find((entry) => entry.model === model);
  reset();
  assert.equal(await outcome(deployed, model), 'client_closed');
  assert.equal(upstream.of(model).length, 1);
});

test('a connection that is only closed: with the next event, as in workerd itself', TIMEOUT,
  async (t) => {
    const bare = await startScript(`export default {
      fetch: (request, env) => fetch(env.UPSTREAM + '/openai/v1/chat/completions', {
        method: 'POST', headers: { 'content-type': 'application/json' },
        body: request.body, signal: request.signal,
      }),
    };`, { UPSTREAM: upstream.url });
    t.after(() => bare.stop());
    for (const [at, mode] of /** @type {const} */ ([[bare, 'bare'], [deployed, 'Spillway']])) {
      const { id, model, name } = engineOf('openai', `tokens=9&interval_ms=${SILENCE_MS}`);
      const { read, close } = call({ model: at === bare ? model : id, stream: true }, at);
      await read(`${name}-2`);
      const left_ms = performance.now();
      close();
      const exchange = await upstream.over.find((entry) => entry.model === model);
      const noticed_ms = performance.now() - left_ms;
      t.diagnostic(`${mode}: noticed after ${noticed_ms.toFixed(0)} ms`);
      assert.notEqual(exchange.aborted_ms, null);
      assert.ok(noticed_ms > SILENCE_MS / 2, `${mode}: sooner than told at the top of this file`);
      assert.ok(noticed_ms < SILENCE_MS + NOTICED_MS_MAX, `${mode}: ${noticed_ms} ms`);
    }
  });

test('nothing is left behind, and the next is served', TIMEOUT, async () => {
  for (const { url } of [worker, deployed]) {
    const headers = { authorization: 'Bearer sim-client' };
    const health = /** @type {any} */ (await (await fetch(`${url}/health`, { headers })).json());
    assert.equal(health.chats_open, 0);
  }
  assert.equal(upstream.open().length, 0);
  const engine = healthyOf('anthropic');
  const answer = await stream(client, { model: engine.id });
  assert.equal(answer.text, engine.text);
});
