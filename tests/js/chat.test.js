/**
 * The package as a program uses it: createSpillway().chat() in this machine's Node, with the real
 * core and the simulated providers. Also what the shim promises for it: routes, attempts, usage,
 * errors, and that nothing runs on when the reader leaves.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { SpillwayConfigError, SpillwayError, createSpillway } from 'spillway';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { numberedWords, readDigest, tokensOf } from '../../scripts/simulator/model.mjs';
import { startSimulator } from '../../scripts/simulator/server.mjs';
import { Queue } from './harness.js';

/** @import { ChatOptions, Spillway, SpillwayOptions } from '../../js/spillway.d.ts' */

const LIMIT = { timeout: 20_000 };
const DIALECTS = ['openai', 'anthropic', 'gemini'];
const MESSAGES = [{ role: 'user', content: 'Hello' }];

// SPILLWAY_WASM names another build of the core than the package's own.
const wasm = process.env.SPILLWAY_WASM;
const other = wasm ? { module: new WebAssembly.Module(readFileSync(wasm)) } : {};

/** @type {Awaited<ReturnType<typeof startSimulator>>} */
let simulator;
/** Exchanges that are over. @type {Queue<ReturnType<typeof simulator.log>[number]>} */
const over = new Queue();
/** @type {Spillway} */
let spillway;

/** @param {SpillwayOptions} [options] */
const create = (options) => createSpillway({
  ...other, config: simulatorConfig(simulator.url), env: {}, log: () => {}, ...options,
});

before(async () => {
  simulator = await startSimulator({ on_exchange: (entry) => over.push(entry) });
  spillway = create();
});
after(() => simulator.close());

/** @param {AsyncIterable<string>} text */
async function join(text) {
  let whole = '';
  for await (const delta of text) whole += delta;
  return whole;
}

/** @param {Partial<ChatOptions>} options */
const chat = (options) => spillway.chat({ messages: MESSAGES, ...options });

/** All that a program has to write. @param {object} config */
async function program(config) {
  const router = createSpillway({ ...other, config, env: {}, log: () => {} });
  const { text, engine, attempts, usage } = await router.chat({
    route: 'standard',
    messages: [{ role: 'user', content: 'Hello' }],
  });
  let answer = '';
  for await (const delta of text) answer += delta;
  return { answer, engine, attempts, usage: await usage };
}

test('a program of a few lines', LIMIT, async () => {
  assert.ok(program.toString().split('\n').length < 20);
  const { answer, engine, attempts, usage } = await program(simulatorConfig(simulator.url));
  assert.match(answer, /^Hello from steady, a simulated engine behind the anthropic dialect/);
  assert.equal(engine, 'sim-anthropic:steady');
  assert.deepEqual(attempts.map((attempt) => [attempt.engine, attempt.outcome]),
    [['sim-openai:unstable', 'rate_limited'], ['sim-anthropic:steady', 'ok']]);
  assert.ok(attempts.every(({ ms }) => ms >= 0));
  assert.equal(usage?.prompt_tokens, 1);
  assert.equal(usage?.completion_tokens, tokensOf(answer).length);
});

describe('who answers', LIMIT, () => {
  test('a route, an engine, or the default route', async () => {
    for (const [options, engine] of /** @type {const} */ ([
      [{ route: 'bulk' }, 'sim-gemini:steady'],
      [{ model: 'sim-openai:steady' }, 'sim-openai:steady'],
      [{ model: 'sim-openai:steady', route: 'bulk' }, 'sim-openai:steady'],
      [{}, 'sim-anthropic:steady'],
      [{ route: 'bulk', spillway: { chain: ['sim-anthropic:steady'] } }, 'sim-anthropic:steady'],
    ])) {
      const answer = await chat(options);
      assert.equal(answer.engine, engine, JSON.stringify(options));
      assert.ok(readDigest(await join(answer.text)).history);
    }
  });

  for (const dialect of DIALECTS) {
    test(`${dialect}: what is asked and answered stays whole`, async () => {
      const answer = await chat({
        model: `sim-${dialect}:reasoner`, max_tokens: 900, reasoning_effort: 'low',
        messages: [
          { role: 'system', content: 'Be "exact" ✓' }, { role: 'user', content: 'größer 😀' },
        ],
      });
      let reasoning = '';
      let text = '';
      let finish = null;
      for await (const { choices: [choice] } of answer.events) {
        reasoning += choice?.delta.reasoning_content ?? '';
        text += choice?.delta.content ?? '';
        finish = choice?.finish_reason ?? finish;
      }
      assert.match(reasoning, /^The user wants an answer of reasoner/);
      const { system, last_user } = readDigest(text);
      assert.deepEqual([system, last_user], ['Be "exact" ✓', 'größer 😀']);
      assert.equal(finish, 'stop');
      const usage = await answer.usage;
      assert.equal(usage?.completion_tokens, tokensOf(reasoning).length + tokensOf(text).length);
    });
  }

  test('fifty at once do not mix', async () => {
    await Promise.all(Array.from({ length: 50 }, async (_, index) => {
      const name = `many${index}`;
      const answer = await chat({ model: `sim-${DIALECTS[index % 3]}:${name}?tokens=30` });
      assert.equal(await join(answer.text), numberedWords(name, 30).join(''));
    }));
  });
});

describe('what goes wrong', LIMIT, () => {
  test('no engine answers: SpillwayError with every attempt', async () => {
    const chain = ['sim-openai:a?fault=server', 'sim-gemini:a?fault=not_found'];
    await assert.rejects(chat({ spillway: { chain } }), (error) => {
      assert.ok(error instanceof SpillwayError);
      assert.equal(error.status, 404);
      assert.equal(error.code, 'model_not_found');
      assert.deepEqual(error.attempts.map(({ engine, outcome }) => [engine, outcome]),
        [[chain[0], 'server'], [chain[1], 'model_not_found']]);
      return true;
    });
  });

  test('an answer breaks off: the deltas that came, then SpillwayError', async () => {
    for (const dialect of DIALECTS) {
      const model = `sim-${dialect}:cut?fault=cut_clean&after=3&tokens=9&interval_ms=10`;
      const answer = await chat({ model });
      let text = '';
      await assert.rejects(async () => {
        for await (const delta of answer.text) text += delta;
      }, { name: 'SpillwayError', status: 502, code: 'network_error' });
      assert.equal(text, numberedWords('cut', 3).join(''));
      await assert.rejects(answer.usage, SpillwayError);
    }
  });

  test('a request that is wrong names its field', async () => {
    for (const [options, message] of /** @type {[Partial<ChatOptions>, RegExp][]} */ ([
      [{ messages: [] }, /at least one message/],
      [{ temperature: 'hot' }, /a number, got a string/],
      [{ model: 'nobody:model' }, /nobody:model/],
    ])) await assert.rejects(chat(options), { name: 'SpillwayError', message });
  });

  test('so does a config', () => {
    assert.throws(() => create({ config: { providers: { acme: { dialect: 'openai_chat' } } } }),
      (error) => {
        assert.ok(error instanceof SpillwayConfigError);
        assert.equal(error.path, 'providers.acme.base_url');
        assert.match(error.message, /^providers\.acme\.base_url: /);
        return true;
      });
  });
});

describe('leaving', LIMIT, () => {
  for (const dialect of DIALECTS) {
    test(`${dialect}: a loop that is left closes the provider's connection`, async () => {
      const model = 'left?tokens=3000&interval_ms=10';
      const answer = await chat({ model: `sim-${dialect}:${model}` });
      let deltas = 0;
      for await (const delta of answer.text) {
        assert.ok(delta.startsWith(deltas === 0 ? 'left-' : ' left-'));
        if (++deltas === 3) break;
      }
      const left_ms = performance.now();
      const exchange = await over.next((entry) =>
        entry.model === model && entry.path.includes(dialect));
      assert.ok(performance.now() - left_ms < 1000);
      assert.notEqual(exchange.aborted_ms, null);
    });

    test(`${dialect}: so does a signal, before the first content`, async () => {
      const model = 'silent?fault=slow_first&ms=60000';
      const controller = new AbortController();
      const pending = chat({ model: `sim-${dialect}:${model}`, signal: controller.signal });
      const open = () => simulator.open().some((entry) =>
        entry.model === model && entry.path.includes(dialect));
      while (!open()) await new Promise((resolve) => { setImmediate(resolve); });
      controller.abort(new Error('enough'));
      await assert.rejects(pending, { message: 'enough' });
      const exchange = await over.next((entry) =>
        entry.model === model && entry.path.includes(dialect));
      assert.notEqual(exchange.aborted_ms, null);
    });
  }
});

test('one log event for every chat', LIMIT, async () => {
  /** @type {Queue<any>} */
  const lines = new Queue();
  const logged = create({ log: (level, line) => lines.push({ level, ...JSON.parse(line) }) });
  const answer = await logged.chat({ messages: MESSAGES, model: 'sim-gemini:logged?tokens=5' });
  await join(answer.text);
  const event = await lines.next(({ event: name }) => name === 'chat');
  assert.equal(event.level, 'info');
  assert.equal(event.outcome, 'completed');
  assert.equal(event.request_id, answer.headers.get('x-request-id'));
  assert.equal(event['gen_ai.usage.output_tokens'], 5);
});
