/**
 * Tools through each dialect: one call, several at once, their results back to a final answer, by
 * hand and with the `openai` client's own helpers. The simulated engines check what they are sent
 * as their models do: ids, order, names and signatures that do not fit are refused.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { APIError } from 'openai';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { readDigest } from '../../scripts/simulator/model.mjs';
import { DIALECTS, ask, attemptsOf, startUpstream, stream, user } from './support/chats.js';
import { startWorker } from './support/worker.js';

const TIMEOUT = { timeout: 30_000 };

/** Breaks off after the call's name and two fragments of its arguments, eight characters each. */
const BROKEN = 'broken?fault=cut_clean&after=3';

/** @param {string} name */
const tool = (name) => ({
  type: 'function',
  function: {
    name,
    description: `What ${name} says`,
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1 } },
      required: ['city'],
    },
  },
});
const TOOLS = [tool('weather'), tool('train_times')];
const CITY = { city: 'Zürich "HB" \\ 😀', days: 2 };
const ASK_ONE = [user(`Please call weather ${JSON.stringify(CITY)}`)];
const ASK_TWO = [
  user(`Please call weather ${JSON.stringify(CITY)} and call train_times {"city":"Bern"}`),
];

/** @type {Awaited<ReturnType<typeof startUpstream>>} */
let upstream;
/** @type {import('./support/worker.js').Worker} */
let worker;
/** @type {import('openai').default} */
let client;

before(async () => {
  upstream = await startUpstream();
  worker = await startWorker({ config: configWithTools() });
  client = worker.client();
});

after(async () => {
  await worker?.stop();
  await upstream?.close();
});

/** The simulator's engines, and others that talk before they call, or break off in a call. */
function configWithTools() {
  const config = simulatorConfig(upstream.url);
  const models = [
    'steady?narrate=1', BROKEN, ...[true, false].map((usage) => `streamed-${usage}-${BROKEN}`),
  ];
  const engines = DIALECTS.flatMap((dialect) => models.map((model) =>
    [`sim-${dialect}:${model}`, config.engines['sim-openai:steady']]));
  return { ...config, engines: { ...config.engines, ...Object.fromEntries(engines) } };
}

/** @param {Record<string, any>} body */
const bothWays = async (body) => [await ask(client, body), await stream(client, body)];

/** Calls without their ids, arguments as values. @param {any[]} calls */
const plain = (calls) => calls.map(({ type, function: { name, arguments: args } }) =>
  [type, name, JSON.parse(args)]);

/** Tools as the client's runner takes them, which write down how they were called. */
function runnable() {
  /** @type {[string, unknown][]} */
  const calls = [];
  const tools = TOOLS.map(({ type, function: { name, description, parameters } }) => ({
    type,
    function: {
      name, description, parameters, parse: JSON.parse,
      function: (/** @type {unknown} */ args) => {
        calls.push([name, args]);
        return `${name} says: 7 degrees`;
      },
    },
  }));
  return { calls, tools };
}

for (const dialect of DIALECTS) {
  const model = `sim-${dialect}:steady`;

  describe(dialect, { concurrency: 4, ...TIMEOUT }, () => {
    test('one call', async () => {
      for (const answer of await bothWays({ model, messages: ASK_ONE, tools: TOOLS })) {
        assert.deepEqual(plain(answer.calls), [['function', 'weather', CITY]]);
        assert.ok(answer.calls[0].id.length > 3);
        assert.equal(answer.finish, 'tool_calls');
        assert.equal(answer.text, '');
      }
    });

    test('several calls at once, with ids of their own', async () => {
      for (const answer of await bothWays({ model, messages: ASK_TWO, tools: TOOLS })) {
        assert.deepEqual(plain(answer.calls), [
          ['function', 'weather', CITY], ['function', 'train_times', { city: 'Bern' }],
        ]);
        assert.notEqual(answer.calls[0].id, answer.calls[1].id);
        assert.equal(answer.finish, 'tool_calls');
      }
    });

    test('a call without arguments, and text before a call', async () => {
      const messages = [user('call weather {}')];
      const talkative = `${model}?narrate=1`;
      for (const answer of await bothWays({ model: talkative, messages, tools: TOOLS })) {
        assert.deepEqual(plain(answer.calls), [['function', 'weather', {}]]);
        assert.equal(answer.text, 'I will call weather now…');
        assert.equal(answer.finish, 'tool_calls');
      }
    });

    test('the results go back, and the answer comes', async () => {
      for (const engine of [model, `sim-${dialect}:reasoner`]) {
        for (const { calls, text } of await bothWays({
          model: engine, messages: ASK_TWO, tools: TOOLS,
        })) {
          const messages = [
            ...ASK_TWO,
            { role: 'assistant', content: text || null, tool_calls: calls },
            // In another order than the calls.
            { role: 'tool', tool_call_id: calls[1].id, content: 'in 5 minutes' },
            { role: 'tool', tool_call_id: calls[0].id, content: '{"degrees":7}' },
          ];
          for (const answer of await bothWays({ model: engine, messages, tools: TOOLS })) {
            assert.equal(answer.finish, 'stop');
            assert.match(answer.text, /- train_times → in 5 minutes\n/);
            assert.match(answer.text, /- weather → \{"degrees":7\}\n/);
            const digest = readDigest(answer.text);
            assert.equal(digest.turns, 'user assistant tool');
            assert.deepEqual(digest.tools, ['weather', 'train_times']);
          }
        }
      }
    });

    test('a choice of tool reaches the engine', async () => {
      const named = { type: 'function', function: { name: 'train_times' } };
      for (const [tool_choice, name] of /** @type {const} */ ([
        ['required', 'weather'], [named, 'train_times'],
      ])) {
        for (const answer of await bothWays({ model, tools: TOOLS, tool_choice })) {
          assert.deepEqual(plain(answer.calls).map(([, called]) => called), [name]);
        }
      }
      for (const answer of await bothWays({
        model, tools: TOOLS, tool_choice: 'none', messages: ASK_ONE, max_tokens: 900,
      })) {
        assert.deepEqual(answer.calls, []);
        assert.equal(readDigest(answer.text).tool_choice, 'none');
      }
    });

    test('one call at a time where the dialect can say so, else it is told', async () => {
      for (const answer of await bothWays({
        model, messages: ASK_TWO, tools: TOOLS, parallel_tool_calls: false,
      })) {
        const dropped = answer.headers.get('x-spillway-dropped');
        assert.equal(dropped, dialect === 'gemini' ? 'parallel_tool_calls' : null);
        assert.equal(answer.calls.length, dialect === 'gemini' ? 2 : 1);
      }
    });

    test('the client\'s stream helper puts the calls together', async () => {
      const helper = client.chat.completions.stream(/** @type {any} */ ({
        model, messages: ASK_TWO, tools: TOOLS, stream_options: { include_usage: true },
      }));
      /** @type {[string, unknown][]} */
      const done = [];
      helper.on('tool_calls.function.arguments.done', ({ name, arguments: args }) =>
        done.push([name, JSON.parse(args)]));
      const completion = await helper.finalChatCompletion();
      assert.deepEqual(done, [['weather', CITY], ['train_times', { city: 'Bern' }]]);
      const [{ message, finish_reason }] = completion.choices;
      assert.equal(finish_reason, 'tool_calls');
      assert.deepEqual(plain(message.tool_calls ?? []).map(([, ...call]) => call), done);
      assert.ok((completion.usage?.completion_tokens ?? 0) > 0);
    });

    for (const streamed of [true, false]) {
      test(`the client's tool runner, ${streamed ? 'streaming' : 'not streaming'}`, async () => {
        const { calls, tools } = runnable();
        const runner = client.chat.completions.runTools(/** @type {any} */ ({
          model, messages: ASK_TWO, tools, stream: streamed,
        }));
        const text = await runner.finalContent();
        assert.deepEqual(calls, [['weather', CITY], ['train_times', { city: 'Bern' }]]);
        assert.match(text ?? '', /- weather → weather says: 7 degrees\n/);
        assert.match(text ?? '', /- train_times → train_times says: 7 degrees\n/);
      });
    }

    test('not streamed, a call that breaks off is made by the next engine', async () => {
      const chain = [`sim-${dialect}:${BROKEN}`, 'sim-anthropic:steady'];
      const answer = await ask(client, { messages: ASK_ONE, tools: TOOLS, spillway: { chain } });
      assert.deepEqual(attemptsOf(answer.headers), [[chain[0], 'network'], [chain[1], 'ok']]);
      assert.deepEqual(plain(answer.calls), [['function', 'weather', CITY]]);
      assert.equal(answer.finish, 'tool_calls');
    });
  });
}

// Gemini sends calls whole.
for (const dialect of /** @type {const} */ (['openai', 'anthropic'])) {
  for (const include_usage of [true, false]) {
    const asked = include_usage ? 'with usage' : 'without usage';
    test(`${dialect}, ${asked}: a streamed call that breaks off is no call`, TIMEOUT, async () => {
      const model = `sim-${dialect}:streamed-${include_usage}-${BROKEN}`;
      const helper = client.chat.completions.stream(/** @type {any} */ ({
        model, messages: ASK_ONE, tools: TOOLS, stream_options: { include_usage },
        spillway: { chain: [model, 'sim-gemini:steady'] },
      }));
      /** @type {string[]} */
      const finished = [];
      let fragments = '';
      helper.on('tool_calls.function.arguments.delta', (event) => {
        fragments += event.arguments_delta;
      });
      helper.on('tool_calls.function.arguments.done', ({ name }) => finished.push(name));
      await assert.rejects(helper.finalChatCompletion(), (/** @type {any} */ error) => {
        assert.ok(error instanceof APIError, String(error));
        assert.equal(error.code, 'network_error');
        return true;
      });
      assert.deepEqual(finished, []);
      assert.ok(JSON.stringify(CITY).startsWith(fragments), fragments);
      assert.equal(fragments.length, 16);
    });
  }
}
