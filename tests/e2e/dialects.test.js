/**
 * One chat through each dialect, streamed and not, with the real client, worker and sockets. The
 * simulated engines tell what they received (readDigest), so what a translation loses shows here.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { digestOf, readDigest, tokensOf } from '../../scripts/simulator/model.mjs';
import {
  DIALECTS, MODES, ask, attemptsOf, engineOf, engineOfAnswer, healthyOf, open, startUpstream,
  stream, user,
} from './support/chats.js';
import { startGate } from './support/gate.js';
import { startWorker } from './support/worker.js';

/** @import { Prompt } from '../../scripts/simulator/model.mjs' */

const TIMEOUT = { timeout: 30_000 };
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9'
  + 'awAAAABJRU5ErkJggg==';

/** @type {Awaited<ReturnType<typeof startUpstream>>} */
let upstream;
/** @type {Awaited<ReturnType<typeof startGate>>} */
let gate;
/** @type {import('./support/worker.js').Worker} */
let worker;
/** @type {import('openai').default} */
let client;

before(async () => {
  upstream = await startUpstream();
  gate = await startGate(upstream.url);
  const config = simulatorConfig(upstream.url);
  const gated = Object.entries(simulatorConfig(gate.url).providers)
    .map(([name, provider]) => [name.replace('sim-', 'gate-'), provider]);
  worker = await startWorker({
    config: { ...config, providers: { ...config.providers, ...Object.fromEntries(gated) } },
  });
  client = worker.client();
});

after(async () => {
  await worker?.stop();
  gate?.close();
  await upstream?.close();
});

/**
 * What the engine should have received, told as it tells it itself.
 * @param {Partial<Prompt>} said
 */
const expected = (said) => digestOf({
  dialect: '', system: '', messages: said.turns?.length ?? 0, turns: [], images: [], files: [],
  tools: [], tool_choice: { mode: 'auto' }, parallel_tool_calls: true,
  response_format: { type: 'text' }, reasoning: false, stop: [], settings: {}, ...said,
});

/** The same request in both ways to ask. @param {Record<string, any>} body */
const bothWays = async (body) => [await ask(client, body), await stream(client, body)];

for (const { mode, dialect, include_usage } of MODES) {
  test(`${dialect}, ${mode}: a token is here before the next is sent`, TIMEOUT, async () => {
    const { name, text } = healthyOf(dialect, 6);
    const pending = open(client, {
      model: `gate-${dialect}:${name}?tokens=6`, stream_options: { include_usage },
    });
    const passage = await gate.next();
    passage.sendUntil(`${name}-0`);
    const { chunks, headers } = await pending;
    const deltas = chunks[Symbol.asyncIterator]();
    const next = async () => {
      for (;;) {
        const { value, done } = await deltas.next();
        assert.ok(!done, 'the stream has ended');
        const content = value.choices[0]?.delta.content;
        if (content) return content;
      }
    };
    assert.equal(await next(), `${name}-0`);
    for (let index = 1; index < 5; index++) {
      passage.sendUntil(`${name}-${index}`);
      assert.equal(await next(), ` ${name}-${index}`);
    }
    assert.equal(passage.finished, false);
    passage.finish();
    assert.equal(await next(), text.slice(text.lastIndexOf(' ')));
    const rest = [];
    for (let step = await deltas.next(); !step.done; step = await deltas.next()) {
      rest.push(step.value);
    }
    assert.ok(rest.some((chunk) => chunk.choices[0]?.finish_reason === 'stop'));
    const id = headers.get('x-request-id');
    const event = await worker.events.find((each) => each.request_id === id);
    assert.equal(event.mode, mode);
  });
}

for (const dialect of DIALECTS) {
  describe(dialect, { concurrency: 4, ...TIMEOUT }, () => {
    test('an answer that is not streamed is a whole chat completion', async () => {
      const engine = healthyOf(dialect, 12);
      const answer = await ask(client, { model: engine.id });
      const { completion } = answer;
      assert.equal(answer.text, engine.text);
      assert.equal(answer.finish, 'stop');
      assert.equal(completion.object, 'chat.completion');
      assert.equal(completion.choices.length, 1);
      assert.equal(completion.choices[0].index, 0);
      assert.equal(completion.choices[0].message.role, 'assistant');
      assert.ok(completion.id.length > 5);
      assert.ok(Math.abs(completion.created - Date.now() / 1000) < 60);
      assert.equal(completion.model, engine.name);
      const { prompt_tokens: input, completion_tokens: output, total_tokens: total } =
        /** @type {import('openai').default.CompletionUsage} */ (answer.usage);
      assert.deepEqual([input, output, total], [1, 12, 13]);
      assert.equal(engineOfAnswer(answer.headers), engine.id);
      assert.deepEqual(attemptsOf(answer.headers), [[engine.id, 'ok']]);
      assert.match(answer.headers.get('content-type') ?? '', /^application\/json/);
      assert.match(answer.headers.get('x-request-id') ?? '', /^[0-9a-f]{32}$/);
    });

    test('a stream is chunks of one completion, with usage when it was asked for', async () => {
      for (const include_usage of [true, false, undefined]) {
        const engine = healthyOf(dialect, 12);
        const options = include_usage === undefined ? {} : { stream_options: { include_usage } };
        const answer = await stream(client, { model: engine.id, ...options });
        assert.ifError(answer.error);
        assert.equal(answer.text, engine.text);
        assert.equal(answer.deltas, 12);
        assert.equal(answer.finish, 'stop');
        assert.equal(answer.chunks[0].choices[0].delta.role, 'assistant');
        assert.equal(new Set(answer.chunks.map(({ id }) => id)).size, 1);
        assert.ok(answer.chunks.every(({ object, model }) =>
          object === 'chat.completion.chunk' && model === engine.name));
        const bare = answer.chunks.filter(({ choices }) => choices.length === 0);
        if (include_usage) {
          assert.deepEqual(bare, [answer.chunks.at(-1)]);
          assert.deepEqual([answer.usage?.prompt_tokens, answer.usage?.completion_tokens,
            answer.usage?.total_tokens], [1, 12, 13]);
        } else {
          assert.deepEqual(bare, []);
          assert.equal(answer.usage ?? null, null);
        }
        assert.equal(engineOfAnswer(answer.headers), engine.id);
        assert.deepEqual(attemptsOf(answer.headers), [[engine.id, 'ok']]);
        assert.match(answer.headers.get('content-type') ?? '', /^text\/event-stream/);
      }
    });

    test('a conversation reaches the engine whole', async () => {
      const turns = /** @type {const} */ ([
        { role: 'user', text: 'First\nquestion: «größer» "quoted" \\ 😀\t.' },
        { role: 'assistant', text: 'First answer ✓' },
        { role: 'user', text: 'Second question' },
      ]);
      const system = 'Answer briefly.\n"Always" \\ ✓';
      const body = {
        model: `sim-${dialect}:steady`,
        messages: [
          { role: 'system', content: system },
          ...turns.map(({ role, text: content }) => ({ role, content })),
        ],
        max_tokens: 500, temperature: 0.5, top_p: 0.25, stop: ['XstopX', 'Y"stop\\Y'],
        seed: 7, presence_penalty: 0.5, frequency_penalty: -0.5, user: 'someone',
      };
      const said = { turns: [...turns], system, max_tokens: 500, stop: body.stop };
      const { temperature, top_p, seed, presence_penalty, frequency_penalty } = body;
      // Anthropic has no more than these; its newer models take one of temperature and top_p.
      const settings = dialect === 'anthropic' ? { temperature }
        : { temperature, top_p, presence_penalty, frequency_penalty, seed,
          ...(dialect === 'openai' ? { user: 'someone' } : {}) };
      const dropped = { openai: [], gemini: ['user'],
        anthropic: ['frequency_penalty', 'presence_penalty', 'seed', 'top_p'] }[dialect];
      for (const answer of await bothWays(body)) {
        assert.equal(answer.finish, 'stop');
        assert.ok(answer.text.includes('behind the '), answer.text);
        assert.deepEqual(readDigest(answer.text), expected({ ...said, settings }));
        const told = answer.headers.get('x-spillway-dropped')?.split(', ') ?? [];
        assert.deepEqual(told.sort(), dropped);
      }
    });

    test('content parts, several system messages and a name of a user', async () => {
      const body = {
        model: `sim-${dialect}:steady`,
        max_tokens: 900,
        messages: [
          { role: 'system', content: [{ type: 'text', text: 'One.' }] },
          { role: 'developer', content: 'Two.' },
          {
            role: 'user',
            content: [{ type: 'text', text: 'Look: ' }, { type: 'text', text: 'here' }],
          },
        ],
      };
      const [whole, streamed] = await bothWays(body);
      const digest = readDigest(whole.text);
      assert.deepEqual(digest, expected({
        turns: [{ role: 'user', text: 'Look: here' }], system: 'One.\n\nTwo.', max_tokens: 900,
      }));
      assert.deepEqual(readDigest(streamed.text), digest);
    });

    test('images: inline and by address', async () => {
      const image = (/** @type {string} */ url) => ({ type: 'image_url', image_url: { url } });
      const address = 'https://images.example/cat%20one.png?size=2&x=é';
      const bytes = Buffer.from(PNG, 'base64').length;
      const body = {
        model: `sim-${dialect}:steady`,
        max_tokens: 900,
        messages: [{
          role: 'user',
          content: [
            { type: 'text', text: 'Two images' },
            image(`data:image/png;base64,${PNG}`),
            image(address),
          ],
        }],
      };
      for (const answer of await bothWays(body)) {
        assert.deepEqual(readDigest(answer.text), expected({
          turns: [{ role: 'user', text: 'Two images' }], max_tokens: 900,
          images: [`image/png:${bytes}`, `url:${address}`],
        }));
      }
    });

    test('JSON mode', async () => {
      const body = {
        model: `sim-${dialect}:steady`, messages: [user('Answer in JSON, please')], max_tokens: 900,
        response_format: { type: 'json_object' },
      };
      for (const answer of await bothWays(body)) {
        if (dialect === 'anthropic') { // has no such mode: the engine is told in words
          assert.match(readDigest(answer.text).system, /JSON/);
          assert.equal(answer.headers.get('x-spillway-dropped'), 'response_format');
        } else {
          assert.equal(JSON.parse(answer.text).response_format, 'json_object');
        }
      }
    });

    test('a JSON schema', async () => {
      const schema = {
        type: 'object', additionalProperties: false, required: ['city', 'degrees', 'words'],
        properties: {
          city: { type: 'string', enum: ['Zürich', 'Bern'] },
          degrees: { type: 'integer' },
          words: { type: 'array', items: { type: 'string' } },
        },
      };
      const body = {
        model: `sim-${dialect}:steady`, messages: [user('The weather')],
        response_format: {
          type: 'json_schema', json_schema: { name: 'weather', schema, strict: true },
        },
      };
      for (const answer of await bothWays(body)) {
        const value = JSON.parse(answer.text);
        assert.equal(value.city, 'Zürich');
        assert.ok(Number.isInteger(value.degrees));
        assert.ok(Array.isArray(value.words));
        assert.equal(answer.headers.get('x-spillway-dropped'), null);
      }
    });

    test('reasoning comes apart from the text, and is counted', async () => {
      const body = {
        model: `sim-${dialect}:reasoner`, reasoning_effort: 'low',
        stream_options: { include_usage: true },
      };
      const thoughts = 'The user wants an answer of reasoner. '
        + 'I read the request, then I tell what I saw ✓';
      const { stream_options: _, ...whole } = body;
      for (const answer of [await ask(client, whole), await stream(client, body)]) {
        assert.equal(answer.reasoning, thoughts);
        assert.equal(answer.finish, 'stop');
        const digest = readDigest(answer.text);
        assert.equal(digest.reasoning, true);
        const details = answer.usage?.completion_tokens_details;
        const counted = tokensOf(thoughts).length;
        assert.equal(details?.reasoning_tokens, counted);
        assert.equal(answer.usage?.completion_tokens, counted + tokensOf(answer.text).length);
      }
    });

    test('a stop sequence and a limit end the answer, each with its finish reason', async () => {
      const model = engineOf(dialect).id;
      for (const answer of await bothWays({ model, stop: 'wrote' })) {
        assert.ok(answer.text.trimEnd().endsWith('needed. You'), answer.text);
        assert.equal(answer.finish, 'stop');
      }
      for (const answer of await bothWays({ model, max_completion_tokens: 4 })) {
        assert.equal(tokensOf(answer.text).length, 4);
        assert.equal(answer.finish, 'length');
      }
    });

    test('a prefilled answer is a turn of the assistant', async () => {
      const turns = /** @type {const} */ ([
        { role: 'user', text: 'Begin' }, { role: 'assistant', text: 'Once upon' },
      ]);
      const messages = turns.map(({ role, text: content }) => ({ role, content }));
      for (const answer of await bothWays({
        model: `sim-${dialect}:steady`, messages, max_tokens: 900,
      })) {
        assert.deepEqual(readDigest(answer.text), expected({ turns: [...turns], max_tokens: 900 }));
      }
    });
  });
}

test('one conversation has one history in all dialects', TIMEOUT, async () => {
  const call = { id: 'call_a1', type: 'function',
    function: { name: 'look_up', arguments: '{"city":"Zürich","days":[1,2],"deep":{"a":null}}' } };
  const body = {
    max_tokens: 900,
    tools: [{ type: 'function', function: { name: 'look_up', parameters: { type: 'object' } } }],
    messages: [
      { role: 'system', content: 'Be exact.' },
      user('What is the weather?'),
      { role: 'assistant', content: 'I will look.', tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_a1', content: '{"degrees":7}' },
      { role: 'assistant', content: 'Seven degrees.' },
      user('Thanks — and "tomorrow"? 😀'),
    ],
  };
  const digests = await Promise.all(DIALECTS.flatMap((dialect) => [
    ask(client, { ...body, model: `sim-${dialect}:steady` }),
    stream(client, { ...body, model: `sim-${dialect}:steady` }),
  ]));
  const [first, ...rest] = digests.map(({ text }) => readDigest(text));
  assert.equal(first.turns, 'user assistant tool assistant user');
  assert.equal(first.system, 'Be exact.');
  assert.deepEqual(first.tools, ['look_up']);
  for (const digest of rest) assert.deepEqual(digest, first);
});
