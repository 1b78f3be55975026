// The simulated upstream, seen by a raw HTTP client: the shape of each dialect, its refusals, every
// fault, and the control endpoint.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { FAULTS } from '../../scripts/simulator/faults.mjs';
import { readDigest } from '../../scripts/simulator/model.mjs';
import { startSimulator } from '../../scripts/simulator/server.mjs';

/** @typedef {import('../../scripts/simulator/server.mjs').Simulator} Simulator */

/** @type {Simulator} */
let simulator;
before(async () => { simulator = await startSimulator(); });
after(() => simulator.close());

// A raw client

/**
 * @typedef {object} Reply
 * @property {number} status
 * @property {http.IncomingHttpHeaders} headers
 * @property {string[]} pieces     the body as it came, one entry per write of the server
 * @property {string} text
 * @property {string | null} error  why the body did not end properly
 * @property {number} headers_ms
 * @property {number[]} pieces_ms
 */

/**
 * @param {string} path
 * @param {any} [body]
 * @param {{ method?: string, headers?: Record<string, string>, leave?: (text: string) => boolean,
 *   base?: string }} [options]  leave: close the connection when this is true of the body so far
 * @returns {Promise<Reply>}
 */
function send(path, body, options = {}) {
  const { method = body === undefined ? 'GET' : 'POST', headers = {}, leave } = options;
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const type = { 'content-type': 'application/json' };
    const url = (options.base ?? simulator.url) + path;
    const request = http.request(url, { method, agent: false, headers: { ...type, ...headers } });
    /** @type {Reply | null} */
    let begun = null;
    // A reset after the headers arrives here too.
    request.on('error', (error) => {
      if (begun) begun.error = error.message;
      else reject(error);
    });
    request.on('response', (response) => {
      /** @type {Reply} */
      const reply = {
        status: response.statusCode ?? 0, headers: response.headers, pieces: [], text: '',
        error: null, headers_ms: performance.now() - began, pieces_ms: [],
      };
      begun = reply;
      /** @type {Buffer[]} */
      const bytes = [];
      response.on('data', (piece) => {
        bytes.push(piece);
        reply.pieces.push(piece.toString());
        reply.pieces_ms.push(performance.now() - began);
        if (leave?.(Buffer.concat(bytes).toString())) response.destroy();
      });
      response.on('error', (error) => { reply.error = error.message; });
      response.on('close', () => {
        reply.text = Buffer.concat(bytes).toString();
        resolve(reply);
      });
    });
    request.end(typeof body === 'string' ? body : JSON.stringify(body));
  });
}

/** @param {() => boolean} condition */
async function until(condition) {
  const deadline = performance.now() + 15_000;
  while (!condition()) {
    assert.ok(performance.now() < deadline, `never true: ${condition}`);
    await new Promise((resolve) => { setTimeout(resolve, 1); });
  }
}

/**
 * The events of a stream: name, data as text, and JSON where it is JSON.
 * @param {string} text
 * @returns {{ name: string, data: string, json: any }[]}
 */
function eventsOf(text) {
  return text.split(/\r?\n\r?\n/).map((block) => {
    const lines = block.split(/\r?\n/);
    const field = (/** @type {string} */ name) =>
      lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? '';
    const data = field('data');
    let json = null;
    try { json = JSON.parse(data); } catch { /* [DONE], garbage, half an event */ }
    return { name: field('event'), data, json };
  }).filter((event) => event.data !== '');
}

// One way to ask all three, and to read what they say

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA'
  + 'AABJRU5ErkJggg==';
const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 3 } },
  required: ['city'],
};
const ANTHROPIC_VERSION = { 'anthropic-version': '2023-06-01' };

/**
 * @typedef {{ text: string, reasoning: string, finish: string, calls: [string, unknown][],
 *   content: number }} Heard  content: events with a piece of the answer in them
 *
 * @typedef {object} Way
 * @property {string} name
 * @property {(model: string, stream: boolean) => string} path
 * @property {(model: string, text: string, stream: boolean) => any} body
 * @property {Record<string, string>} headers
 * @property {string} key_header
 * @property {(text: string) => Heard} heard
 * @property {(json: any) => Heard} read
 */

/** @param {any[]} chunks @returns {Heard} */
function heardOpenai(chunks) {
  const deltas = chunks.map((chunk) => chunk.choices?.[0]?.delta).filter(Boolean);
  /** @type {any[]} */
  const calls = [];
  for (const part of deltas.flatMap((delta) => delta.tool_calls ?? [])) {
    if (part.id) calls[part.index] = [part.function.name, ''];
    calls[part.index][1] += part.function.arguments;
  }
  return {
    text: deltas.map((delta) => delta.content ?? '').join(''),
    reasoning: deltas.map((delta) => delta.reasoning_content ?? '').join(''),
    finish: chunks.map((chunk) => chunk.choices?.[0]?.finish_reason).filter(Boolean).join(),
    calls: calls.map(([name, text]) => [name, JSON.parse(text)]),
    content: deltas.filter((delta) =>
      delta.content || delta.reasoning_content || delta.tool_calls).length,
  };
}

/** @param {any[]} values @returns {Heard} */
function heardAnthropic(values) {
  /** @type {any[]} */
  const blocks = [];
  let finish = '';
  let content = 0;
  for (const value of values) {
    if (value.type === 'content_block_start') {
      blocks[value.index] = { ...value.content_block, json: '' };
      if (value.content_block.type === 'tool_use') content++;
    } else if (value.type === 'content_block_delta') {
      const block = blocks[value.index] ??= { json: '', text: '', thinking: '' };
      const { text, thinking, partial_json: json } = value.delta;
      if (text !== undefined) block.text += text;
      if (thinking !== undefined) block.thinking += thinking;
      if (json !== undefined) block.json += json;
      if (text || thinking || json) content++;
    } else if (value.type === 'message_delta') finish = value.delta.stop_reason;
  }
  return {
    text: blocks.map((block) => block.text ?? '').join(''),
    reasoning: blocks.map((block) => block.thinking ?? '').join(''),
    finish,
    calls: blocks.filter((block) => block.type === 'tool_use')
      .map((block) => [block.name, JSON.parse(block.json || '{}')]),
    content,
  };
}

/** @param {any[]} values @returns {Heard} */
function heardGemini(values) {
  const parts = values.flatMap((value) => value.candidates?.[0]?.content?.parts ?? []);
  const said = (/** @type {boolean} */ thought) => parts
    .filter((part) => (part.thought ?? false) === thought).map((part) => part.text ?? '').join('');
  return {
    text: said(false),
    reasoning: said(true),
    finish: values.map((value) => value.candidates?.[0]?.finishReason).filter(Boolean).join(),
    calls: parts.filter((part) => part.functionCall)
      .map(({ functionCall }) => [functionCall.name, functionCall.args]),
    content: values.filter((value) => value.candidates?.[0]?.content?.parts
      ?.some((/** @type {any} */ part) => part.text || part.functionCall)).length,
  };
}

/** @param {string} text @returns {any[]} */
const jsonEvents = (text) => eventsOf(text).map((event) => event.json).filter(Boolean);

/** @type {Way[]} */
const WAYS = [
  {
    name: 'openai_chat',
    path: () => '/openai/v1/chat/completions',
    body: (model, text, stream) => ({ model, messages: [{ role: 'user', content: text }], stream }),
    headers: {},
    key_header: 'authorization',
    heard: (text) => heardOpenai(jsonEvents(text)),
    read: (json) => {
      const [{ message, finish_reason: finish }] = json.choices;
      const calls = /** @type {any[]} */ (message.tool_calls ?? []);
      const delta = { ...message, tool_calls: calls.map((call, index) => ({ ...call, index })) };
      return heardOpenai([{ choices: [{ delta, finish_reason: finish }] }]);
    },
  },
  {
    name: 'anthropic',
    path: () => '/anthropic/v1/messages',
    body: (model, text, stream) =>
      ({ model, max_tokens: 100_000, messages: [{ role: 'user', content: text }], stream }),
    headers: ANTHROPIC_VERSION,
    key_header: 'x-api-key',
    heard: (text) => heardAnthropic(jsonEvents(text)),
    read: (json) => ({
      text: json.content.map((/** @type {any} */ block) => block.text ?? '').join(''),
      reasoning: json.content.map((/** @type {any} */ block) => block.thinking ?? '').join(''),
      finish: json.stop_reason,
      calls: json.content.filter((/** @type {any} */ block) => block.type === 'tool_use')
        .map((/** @type {any} */ block) => [block.name, block.input]),
      content: json.content.length,
    }),
  },
  {
    name: 'gemini',
    path: (model, stream) => `/gemini/v1beta/models/${encodeURIComponent(model)}:`
      + `${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
    body: (_model, text) => ({ contents: [{ role: 'user', parts: [{ text }] }] }),
    headers: {},
    key_header: 'x-goog-api-key',
    heard: (text) => heardGemini(jsonEvents(text)),
    read: (json) => heardGemini([json]),
  },
];
const [OPENAI, ANTHROPIC, GEMINI] = WAYS;

/**
 * @param {Way} way @param {string} model
 * @param {{ text?: string, stream?: boolean, more?: any, headers?: Record<string, string>,
 *   leave?: (text: string) => boolean, base?: string }} [options]
 */
function ask(way, model, { text = 'Hi', stream = true, more = {}, headers, leave, base } = {}) {
  const body = { ...way.body(model, text, stream), ...more };
  const all = { ...way.headers, ...headers };
  return send(way.path(model, stream), body, { headers: all, leave, base });
}

/** @param {Way} way @param {any[]} tools  in OpenAI's inner shape @returns {any} */
function withTools(way, tools) {
  if (way === OPENAI) return { tools: tools.map((each) => ({ type: 'function', function: each })) };
  if (way === GEMINI) {
    return {
      tools: [{
        functionDeclarations: tools.map(({ parameters, ...each }) =>
          ({ ...each, parametersJsonSchema: parameters })),
      }],
    };
  }
  return { tools: tools.map(({ parameters, ...each }) => ({ ...each, input_schema: parameters })) };
}

const TOOLS = /** @type {any[]} */ ([
  { name: 'get_weather', description: 'Weather of a city', parameters: SCHEMA },
  { name: 'now', parameters: { type: 'object', properties: {} } },
]);

/** @param {Way} way @param {number} length */
const limit = (way, length) => (way === GEMINI
  ? { generationConfig: { maxOutputTokens: length } } : { max_tokens: length });

// Shapes

/** @param {unknown} value @returns {string} the keys of an object and all below it, in order */
const keysOf = (value) => JSON.stringify(value, (_key, each) =>
  (each !== null && typeof each === 'object' ? each : 0));

const WIRE = fileURLToPath(new URL('../../../shared/wire/', import.meta.url));
const recorded = (/** @type {string} */ file) => (existsSync(WIRE + file)
  ? readFileSync(WIRE + file, 'utf8') : null);

describe('the shape of a stream', () => {
  test('openai_chat', async () => {
    const more = { stream_options: { include_usage: true } };
    const reply = await ask(OPENAI, 'steady', { more });
    assert.equal(reply.status, 200);
    assert.match(String(reply.headers['content-type']), /^text\/event-stream/);
    const events = eventsOf(reply.text);
    assert.equal(events.at(-1)?.data, '[DONE]');
    assert.ok(events.every((event) => event.name === ''), 'no event names');
    const chunks = jsonEvents(reply.text);
    assert.equal(chunks.length, events.length - 1);
    assert.deepEqual(chunks[0].choices[0].delta, { role: 'assistant', content: '', refusal: null });
    assert.ok(chunks.every((chunk) => typeof chunk.obfuscation === 'string'));
    assert.ok(new Set(chunks.map((chunk) => chunk.obfuscation.length)).size > 5, 'padding varies');
    assert.deepEqual(chunks.at(-2).choices[0].delta, {});
    assert.equal(chunks.at(-2).choices[0].finish_reason, 'stop');
    assert.ok(chunks.slice(0, -1).every((chunk) => chunk.usage === null));
    const { choices, usage } = chunks.at(-1);
    assert.deepEqual(choices, []);
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    assert.equal(usage.completion_tokens, OPENAI.heard(reply.text).content);
    const unasked = jsonEvents((await ask(OPENAI, 'steady')).text);
    assert.ok(unasked.every((chunk) => !('usage' in chunk) && chunk.choices.length === 1));
  });

  test('anthropic', async () => {
    const reply = await ask(ANTHROPIC, 'steady');
    assert.equal(reply.status, 200);
    const events = eventsOf(reply.text);
    assert.ok(events.every((event) => event.name === event.json.type), 'event and type agree');
    const names = events.map((event) => event.name);
    assert.deepEqual([...new Set(names)], ['message_start', 'content_block_start', 'ping',
      'content_block_delta', 'content_block_stop', 'message_delta', 'message_stop']);
    assert.match(reply.text, /^data: \{"type": "ping"\}$/m);
    assert.match(reply.text, /^data: \{"type":"content_block_delta".*\} {2,}\}$/m, 'padded');
    const { message } = events[0].json;
    assert.deepEqual([message.content, message.stop_reason], [[], null]);
    const { delta, usage } = events.at(-2)?.json ?? {};
    assert.deepEqual(delta, { stop_reason: 'end_turn', stop_sequence: null, stop_details: null });
    assert.equal(usage.output_tokens, ANTHROPIC.heard(reply.text).content);
    assert.equal(usage.cache_read_input_tokens, 0);
  });

  test('gemini', async () => {
    const reply = await ask(GEMINI, 'steady');
    assert.equal(reply.status, 200);
    assert.equal(reply.text.replaceAll('\r\n', '').indexOf('\n'), -1, 'every line ends CRLF');
    assert.match(reply.text, /^data: \{"candidates": \[\{"content": \{"parts": \[\{"text": "/);
    assert.doesNotMatch(reply.text, /^(event|:)/m);
    const values = jsonEvents(reply.text);
    const finishes = values.map((value) => value.candidates[0].finishReason);
    assert.deepEqual(finishes.filter(Boolean), ['STOP']);
    assert.equal(finishes.at(-1), 'STOP');
    for (const [index, { usageMetadata: usage }] of values.entries()) {
      assert.equal(usage.candidatesTokenCount, index + 1);
      assert.equal(usage.totalTokenCount, usage.promptTokenCount + index + 1);
    }
  });

  test('gemini without alt=sse is one JSON array', async () => {
    const path = '/gemini/v1beta/models/steady:streamGenerateContent';
    const reply = await send(path, GEMINI.body('', 'Hi', true));
    assert.match(String(reply.headers['content-type']), /^application\/json/);
    const values = JSON.parse(reply.text);
    assert.ok(values.length > 5);
    assert.equal(readDigest(heardGemini(values).text).last_user, 'Hi');
    const ill = path.replace('steady', 'fault-overloaded');
    const refused = await send(ill, GEMINI.body('', 'Hi', true));
    assert.equal(JSON.parse(refused.text)[0].error.status, 'UNAVAILABLE');
  });

  test('the same fields in the same order as recorded', { skip: !existsSync(WIRE) }, async () => {
    const openai = jsonEvents(recorded('openai/streams/chat--gpt-4o-mini--12467183.sse') ?? '');
    const ours = jsonEvents((await ask(OPENAI, 'steady')).text);
    assert.deepEqual([ours[0], ours[1], ours.at(-1)].map(keysOf),
      [openai[0], openai[1], openai.at(-1)].map(keysOf));
    const anthropic = jsonEvents(
      recorded('anthropic/streams/messages--claude-sonnet-4-6--1624b4a3.sse') ?? '');
    const mine = jsonEvents((await ask(ANTHROPIC, 'steady')).text);
    const first = (/** @type {any[]} */ all, /** @type {string} */ type) =>
      all.find((each) => each.type === type);
    for (const type of ['message_start', 'content_block_start', 'content_block_delta',
      'content_block_stop', 'message_stop']) {
      assert.equal(keysOf(first(mine, type)), keysOf(first(anthropic, type)));
    }
    const gemini = jsonEvents(
      recorded('gemini/streams/generate-stream--gemini-2.5-flash--60f7016f.sse') ?? '');
    const limited = jsonEvents((await ask(GEMINI, 'reasoner', { more: limit(GEMINI, 20) })).text);
    assert.equal(keysOf(limited.at(-1)), keysOf({
      ...gemini[0],
      candidates: [{
        content: { parts: [{ text: 0, thoughtSignature: 0 }], role: 0 }, finishReason: 0, index: 0,
      }],
    }));
  });
});

describe('whole answers', () => {
  for (const way of WAYS) {
    test(`${way.name}: says the same as its stream`, async () => {
      const streamed = way.heard((await ask(way, 'reasoner', { text: 'Hi' })).text);
      const reply = await ask(way, 'reasoner', { text: 'Hi', stream: false });
      assert.match(String(reply.headers['content-type']), /^application\/json/);
      const { content: _, ...whole } = way.read(JSON.parse(reply.text));
      const { content: __, ...stream } = streamed;
      assert.deepEqual(whole, stream);
      assert.match(whole.reasoning, /✓$/);
    });
  }

  test('usage, in the arithmetic of each', async () => {
    const [openai, anthropic, gemini] = await Promise.all(WAYS.map(async (way) =>
      JSON.parse((await ask(way, 'reasoner', { text: 'one two three', stream: false })).text)));
    const { usage } = openai;
    const reasoning = usage.completion_tokens_details.reasoning_tokens;
    assert.ok(reasoning > 10);
    assert.ok(usage.completion_tokens > reasoning, 'completion includes reasoning');
    assert.equal(usage.prompt_tokens, 3);
    assert.equal(usage.prompt_tokens_details.cached_tokens, 0);
    assert.equal(anthropic.usage.output_tokens_details.thinking_tokens, reasoning);
    assert.equal(anthropic.usage.input_tokens, 3);
    assert.ok(anthropic.usage.output_tokens > reasoning);
    const google = gemini.usageMetadata;
    assert.equal(google.thoughtsTokenCount, reasoning);
    assert.equal(google.totalTokenCount,
      google.promptTokenCount + google.candidatesTokenCount + reasoning, 'candidates exclude it');
  });
});

// What reached the model

/** @type {[Way, any][]} one conversation with a system text, a picture, settings, a tool call */
const CONVERSATION = [
  [OPENAI, {
    model: 'steady',
    messages: [
      { role: 'system', content: 'Be brief' },
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: 'Let me see',
        tool_calls: [{
          id: 'call_1',
          type: 'function',
          function: { name: 'get_weather', arguments: '{"city":"Rome"}' },
        }],
      },
      { role: 'tool', tool_call_id: 'call_1', content: 'sunny' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'And “here”?\n😀' },
          { type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } },
        ],
      },
    ],
    ...withTools(OPENAI, TOOLS),
    temperature: 0.5,
    stop: ['END'],
    max_completion_tokens: 500,
  }],
  [ANTHROPIC, {
    model: 'steady',
    system: 'Be brief',
    messages: [
      { role: 'user', content: 'Weather?' },
      {
        role: 'assistant',
        content: [
          { type: 'text', text: 'Let me see' },
          { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Rome' } },
        ],
      },
      {
        role: 'user',
        content: [
          {
            type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'sunny' }],
          },
          { type: 'text', text: 'And “here”?\n😀' },
          { type: 'image', source: { type: 'base64', media_type: 'image/png', data: PNG } },
        ],
      },
    ],
    ...withTools(ANTHROPIC, TOOLS),
    temperature: 0.5,
    stop_sequences: ['END'],
    max_tokens: 500,
  }],
  [GEMINI, {
    systemInstruction: { parts: [{ text: 'Be brief' }] },
    contents: [
      { role: 'user', parts: [{ text: 'Weather?' }] },
      {
        role: 'model',
        parts: [
          { text: 'Let me see' }, { functionCall: { name: 'get_weather', args: { city: 'Rome' } } },
        ],
      },
      {
        role: 'user',
        parts: [{ functionResponse: { name: 'get_weather', response: { result: 'sunny' } } }],
      },
      {
        role: 'user',
        parts: [
          { text: 'And “here”?\n😀' }, { inlineData: { mimeType: 'image/png', data: PNG } },
        ],
      },
    ],
    ...withTools(GEMINI, TOOLS),
    generationConfig: { temperature: 0.5, stopSequences: ['END'], maxOutputTokens: 500 },
  }],
];

/** @param {Way} way @param {any} body @param {string} [model] */
async function speak(way, body, model = body.model ?? 'steady') {
  const reply = await send(way.path(model, false), body, { headers: way.headers });
  assert.equal(reply.status, 200, reply.text);
  return way.read(JSON.parse(reply.text));
}

/** @type {Record<string, Record<string, string>>} what ended the answer, in each dialect's words */
const FINISH = {
  calls: { openai_chat: 'tool_calls', anthropic: 'tool_use', gemini: 'STOP' },
  stop: { openai_chat: 'stop', anthropic: 'stop_sequence', gemini: 'STOP' },
  limit: { openai_chat: 'length', anthropic: 'max_tokens', gemini: 'MAX_TOKENS' },
};

describe('what reached the model', () => {
  test('one conversation has one digest in all dialects', async () => {
    const digests = await Promise.all(CONVERSATION.map(async ([way, body]) => {
      const { messages: _, ...digest } = readDigest((await speak(way, body)).text);
      return digest;
    }));
    assert.deepEqual(digests[0], {
      turns: 'user assistant tool user',
      last_user: 'And “here”?\n😀',
      system: 'Be brief',
      images: ['image/png:70'],
      tools: ['get_weather', 'now'],
      temperature: 0.5,
      max_tokens: 500,
      stop: ['END'],
      history: digests[0].history,
    });
    assert.deepEqual(digests[1], digests[0]);
    assert.deepEqual(digests[2], digests[0]);
  });

  test('a change anywhere in the history changes its hash', async () => {
    const [, body] = CONVERSATION[0];
    const other = structuredClone(body);
    other.messages[2].tool_calls[0].function.arguments = '{"city":"Oslo"}';
    const [one, two] = await Promise.all([speak(OPENAI, body), speak(OPENAI, other)]);
    assert.notEqual(readDigest(one.text).history, readDigest(two.text).history);
  });

  test('a long text is told by length and hash', async () => {
    const { last_user: told } = readDigest((await speak(OPENAI,
      OPENAI.body('steady', 'a'.repeat(5000), false))).text);
    assert.match(told, /… \(5000 characters, sha256 [0-9a-f]{16}\)$/);
  });

  for (const way of WAYS) {
    test(`${way.name}: calls the tools it is told to, in parallel`, async () => {
      const text = 'Please call get_weather {"city":"Köln","in":{"x":[1,"}"]}} and call now. '
        + 'call nobody';
      for (const stream of [true, false]) {
        const reply = await ask(way, 'steady', { text, stream, more: withTools(way, TOOLS) });
        const heard = stream ? way.heard(reply.text) : way.read(JSON.parse(reply.text));
        assert.deepEqual(heard.calls,
          [['get_weather', { city: 'Köln', in: { x: [1, '}'] } }], ['now', {}]]);
        assert.equal(heard.text, '');
        assert.equal(heard.finish, FINISH.calls[way.name]);
      }
    });

    test(`${way.name}: a forced call has arguments made from the schema`, async () => {
      const choice = {
        openai_chat: { tool_choice: { type: 'function', function: { name: 'get_weather' } } },
        anthropic: { tool_choice: { type: 'tool', name: 'get_weather' } },
        gemini: {
          toolConfig: {
            functionCallingConfig: { mode: 'ANY', allowedFunctionNames: ['get_weather'] },
          },
        },
      }[way.name];
      const more = { ...withTools(way, TOOLS), ...choice };
      const heard = way.heard((await ask(way, 'steady', { more })).text);
      assert.deepEqual(heard.calls, [['get_weather', { city: 'sample', days: 3 }]]);
      if (way === OPENAI) assert.equal(heard.finish, 'stop', 'as the real one');
    });

    test(`${way.name}: stop sequences and the limit are kept`, async () => {
      const stops = {
        openai_chat: { stop: 'simulated' },
        anthropic: { stop_sequences: ['nowhere', 'simulated'] },
        gemini: { generationConfig: { stopSequences: ['simulated'] } },
      }[way.name];
      const stopped = way.heard((await ask(way, 'steady', { more: stops })).text);
      assert.equal(stopped.text, 'Hello from steady, a ');
      assert.equal(stopped.finish, FINISH.stop[way.name]);
      const limited = way.heard((await ask(way, 'steady', { more: limit(way, 3) })).text);
      assert.equal(limited.text, 'Hello from steady,');
      assert.equal(limited.finish, FINISH.limit[way.name]);
      // Reasoning takes its share first: here all but two tokens, then all of it.
      const { reasoning } = way.heard((await ask(way, 'reasoner')).text);
      const count = reasoning.split(' ').length;
      for (const [room, text] of /** @type {const} */ ([[count + 2, 'Hello from'], [count, '']])) {
        const heard = way.heard((await ask(way, 'reasoner', { more: limit(way, room) })).text);
        assert.deepEqual([heard.reasoning, heard.text], [reasoning, text]);
        assert.equal(heard.finish, FINISH.limit[way.name]);
      }
    });

    test(`${way.name}: answers in JSON when asked`, async () => {
      const [object, schema] = {
        openai_chat: [
          { response_format: { type: 'json_object' } },
          { response_format: { type: 'json_schema', json_schema: { name: 'w', schema: SCHEMA } } },
        ],
        anthropic: [
          null, { output_config: { format: { type: 'json_schema', schema: SCHEMA } } },
        ],
        gemini: [
          { generationConfig: { responseMimeType: 'application/json' } },
          {
            generationConfig: {
              responseMimeType: 'application/json',
              responseSchema: {
                type: 'OBJECT',
                properties: { city: { type: 'STRING' }, days: { type: 'INTEGER', minimum: 3 } },
              },
            },
          },
        ],
      }[/** @type {'gemini'} */ (way.name)];
      const shaped = way.heard((await ask(way, 'steady', { more: schema })).text);
      assert.deepEqual(JSON.parse(shaped.text), { city: 'sample', days: 3 });
      if (!object) return;
      const free = way.heard((await ask(way, 'steady', { text: 'as JSON', more: object })).text);
      assert.equal(JSON.parse(free.text).last_user, 'as JSON');
    });

    test(`${way.name}: reasons when the dialect asks for it`, async () => {
      const more = {
        openai_chat: { reasoning_effort: 'low' },
        anthropic: { thinking: { type: 'enabled', budget_tokens: 2048 } },
        gemini: { generationConfig: { thinkingConfig: { includeThoughts: true } } },
      }[way.name];
      const plain = way.heard((await ask(way, 'steady')).text);
      const heard = way.heard((await ask(way, 'steady', { more })).text);
      assert.equal(plain.reasoning, '');
      assert.match(heard.reasoning, /^The user wants an answer of steady\..* ✓$/);
    });
  }

  test('it tells the tool results the conversation ends with', async () => {
    for (const [way, body] of CONVERSATION) {
      const ended = structuredClone(body);
      if (way === OPENAI) ended.messages.pop();
      else if (way === GEMINI) ended.contents.pop();
      else ended.messages.at(-1).content.splice(1);
      const { text } = await speak(way, ended);
      assert.match(text, /^steady here\. Tool results:\n- get_weather → sunny$/m);
    }
  });

  test('signatures must come back with what they sign', async () => {
    const tools = withTools(ANTHROPIC, TOOLS);
    const thinking = { type: 'enabled', budget_tokens: 1024 };
    const asked = { ...ANTHROPIC.body('steady', 'call now', false), ...tools, thinking };
    const first = JSON.parse((await send(ANTHROPIC.path('', false), asked, ANTHROPIC)).text);
    const result = { type: 'tool_result', tool_use_id: first.content[1].id, content: 'noon' };
    const next = (/** @type {any} */ content) => ({
      ...asked,
      messages: [
        ...asked.messages, { role: 'assistant', content }, { role: 'user', content: [result] },
      ],
    });
    assert.match((await speak(ANTHROPIC, next(first.content))).text, /now → noon/);
    const changed = structuredClone(first.content);
    changed[0].thinking += '!';
    const refused = await send(ANTHROPIC.path('', false), next(changed), ANTHROPIC);
    assert.match(refused.text, /messages\.1\.content\.0: Invalid `signature` in `thinking` block/);

    const question = { ...GEMINI.body('', 'call now', false), ...withTools(GEMINI, TOOLS) };
    const reply = await send(GEMINI.path('reasoner', false), question);
    const { content } = JSON.parse(reply.text).candidates[0];
    const { id } = content.parts.at(-1).functionCall;
    const answered = (/** @type {any} */ turn) => ({
      ...question,
      contents: [...question.contents, turn, {
        role: 'user',
        parts: [{ functionResponse: { id, name: 'now', response: { output: 'noon' } } }],
      }],
    });
    assert.match((await speak(GEMINI, answered(content), 'reasoner')).text, /now → noon/);
    const bare = structuredClone(content);
    delete bare.parts.at(-1).thoughtSignature;
    const missing = await send(GEMINI.path('reasoner', false), answered(bare));
    assert.equal(missing.status, 400);
    assert.match(missing.text, /missing a thought_signature/);
    bare.parts.at(-1).thoughtSignature = 'skip_thought_signature_validator';
    assert.match((await speak(GEMINI, answered(bare), 'reasoner')).text, /now → noon/);
  });
});

// Refused requests

const USER = { role: 'user', content: 'Hi' };
const CALL = { id: 'call_1', type: 'function', function: { name: 'now', arguments: '{}' } };
const USE = { type: 'tool_use', id: 'toolu_1', name: 'now', input: {} };
const SAID = { role: 'user', parts: [{ text: 'Hi' }] };
const CALLED = { role: 'model', parts: [{ functionCall: { name: 'now', args: {} } }] };

/** @type {[Way, string, any, RegExp][]} dialect, what is wrong, body, the provider's words */
const WRONG = [
  [OPENAI, 'unknown field', { topp: 1 },
    /"Unknown parameter: 'topp'\."[^]*"code": "unknown_parameter"/],
  [OPENAI, 'unknown field in a message', { messages: [{ ...USER, cache: 1 }] },
    /'messages\[0\]\.cache'/],
  [OPENAI, 'no messages', { messages: [] }, /empty_array/],
  [OPENAI, 'a role it does not know', { messages: [{ role: 'model', content: 'x' }] },
    /Invalid value: 'model'\. Supported values are: 'system', /],
  [OPENAI, 'arguments as an object', {
    messages: [{
      role: 'assistant', tool_calls: [{ ...CALL, function: { name: 'now', arguments: {} } }],
    }],
  }, /Invalid type for 'messages\[0\]\.tool_calls\[0\]\.function\.arguments': expected string/],
  [OPENAI, 'a call without result', {
    messages: [USER, { role: 'assistant', content: null, tool_calls: [CALL] }, USER],
  }, /did not have response messages: call_1/],
  [OPENAI, 'a result without call', {
    messages: [USER, { role: 'tool', tool_call_id: 'call_1', content: 'x' }],
  }, /must be a response to a preceeding message/],
  [OPENAI, 'an assistant message with nothing in it', {
    messages: [USER, { role: 'assistant', content: null }, USER],
  }, /expected a string, got null/],
  [OPENAI, 'both limits', { max_tokens: 5, max_completion_tokens: 5 }, /at the same time/],
  [OPENAI, 'stream options without stream', {
    stream: false, stream_options: { include_usage: true },
  }, /only allowed when 'stream'/],
  [OPENAI, 'too hot', { temperature: 3 }, /Expected a value <= 2, but got 3 instead/],
  [OPENAI, 'five stops', { stop: ['a', 'b', 'c', 'd', 'e'] }, /array too long/],
  [OPENAI, 'JSON mode without the word', { response_format: { type: 'json_object' } },
    /the word 'json'/],
  [OPENAI, 'an image that is none', {
    messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: PNG } }] }],
  }, /messages\[0\]\.content\[0\]\.image_url\.url/],
  [OPENAI, 'tool choice without tools', { tool_choice: 'auto' }, /only allowed when 'tools'/],
  [OPENAI, 'what the engine refuses', {
    model: 'steady?refuse=max_tokens,stop', max_tokens: 9,
  }, /'max_tokens' is not supported with this model\. Use 'max_completion_tokens'/],

  [ANTHROPIC, 'unknown field', { n: 1 }, /"n: Extra inputs are not permitted"/],
  [ANTHROPIC, 'unknown field in a block', {
    messages: [{ role: 'user', content: [{ type: 'text', text: 'x', index: 0 }] }],
  }, /messages\.0\.content\.0\.text\.index: Extra inputs/],
  [ANTHROPIC, 'no limit', { max_tokens: undefined }, /max_tokens: Field required/],
  [ANTHROPIC, 'a system message', { messages: [{ role: 'system', content: 'x' }, USER] },
    /role \\"system\\"/],
  [ANTHROPIC, 'the assistant first', { messages: [{ role: 'assistant', content: 'x' }, USER] },
    /first message must use the \\"user\\" role/],
  [ANTHROPIC, 'an empty message', { messages: [{ role: 'user', content: '' }] },
    /non-empty content/],
  [ANTHROPIC, 'an empty text block', {
    messages: [{ role: 'user', content: [{ type: 'text', text: '' }] }],
  }, /text content blocks must be non-empty/],
  [ANTHROPIC, 'a call without result', {
    messages: [USER, { role: 'assistant', content: [USE] }, USER],
  }, /messages\.1: `tool_use` ids were found without `tool_result` blocks immediately after: to/],
  [ANTHROPIC, 'a text before the result', {
    messages: [USER, { role: 'assistant', content: [USE] }, {
      role: 'user',
      content: [{ type: 'text', text: 'x' }, { type: 'tool_result', tool_use_id: 'toolu_1' }],
    }],
  }, /`tool_use` ids were found without `tool_result` blocks/],
  [ANTHROPIC, 'a result without call', {
    messages: [{
      role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_9', content: 'x' }],
    }],
  }, /unexpected `tool_use_id` found in `tool_result` blocks: toolu_9/],
  [ANTHROPIC, 'input as text', {
    messages: [USER, { role: 'assistant', content: [{ ...USE, input: '{}' }] }],
  }, /messages\.1\.content\.0\.tool_use\.input: Input should be a valid dictionary/],
  [ANTHROPIC, 'an id of the wrong letters', {
    messages: [USER, { role: 'assistant', content: [{ ...USE, id: 'a.b' }] }],
  }, /String should match pattern/],
  [ANTHROPIC, 'too hot', { temperature: 1.5 }, /temperature: range: 0\.\.1/],
  [ANTHROPIC, 'a schema without type', { tools: [{ name: 'now', input_schema: {} }] },
    /tools\.0\.custom\.input_schema\.type: Field required/],
  [ANTHROPIC, 'a tool in the shape of another dialect', withTools(OPENAI, TOOLS),
    /tools\.0\.custom\.type: Input should be 'custom'/],
  [ANTHROPIC, 'thinking beyond the limit', {
    max_tokens: 1024, thinking: { type: 'enabled', budget_tokens: 1024 },
  }, /must be greater than `thinking\.budget_tokens`/],
  [ANTHROPIC, 'prefill the engine refuses', {
    model: 'steady?refuse=prefill', messages: [USER, { role: 'assistant', content: 'I' }],
  }, /does not support assistant message prefill/],
  [ANTHROPIC, 'blanks at the end of the prefill', {
    messages: [USER, { role: 'assistant', content: 'I ' }],
  }, /cannot end with trailing whitespace/],

  [GEMINI, 'unknown field', { stream: true }, /Unknown name \\"stream\\": Cannot find field/],
  [GEMINI, 'unknown field in a part', {
    contents: [{ role: 'user', parts: [{ text: 'x', type: 'text' }] }],
  }, /Unknown name \\"type\\" at 'contents\[0\]\.parts\[0\]': Cannot find field/],
  [GEMINI, 'a role of another dialect', { contents: [{ ...SAID, role: 'assistant' }] },
    /valid role: user, model/],
  [GEMINI, 'no contents', { contents: [] }, /contents is not specified/],
  [GEMINI, 'no parts', { contents: [{ role: 'user', parts: [] }] }, /parts must not be empty/],
  [GEMINI, 'an empty part', { contents: [{ role: 'user', parts: [{}] }] },
    /required oneof field 'data'/],
  [GEMINI, 'a call without response', { contents: [SAID, CALLED, SAID] },
    /number of function response parts is equal to the number of function call parts/],
  [GEMINI, 'a response to another call', {
    contents: [SAID, CALLED, {
      role: 'user', parts: [{ functionResponse: { name: 'then', response: {} } }],
    }],
  }, /function responses match the calls/],
  [GEMINI, 'a response without call', {
    contents: [SAID, {
      role: 'user', parts: [{ functionResponse: { name: 'now', response: {} } }],
    }],
  }, /immediately after a function call turn/],
  [GEMINI, 'JSON Schema words in parameters', {
    tools: [{
      functionDeclarations: [{
        name: 'now', parameters: { type: 'object', additionalProperties: false },
      }],
    }],
  }, /\\"additionalProperties\\" at 'tools\[0\]\.function_declarations\[0\]\.parameters'/],
  [GEMINI, 'JSON Schema words deep in parameters', {
    tools: [{
      functionDeclarations: [{
        name: 'now',
        parameters: { type: 'object', properties: { n: { type: 'integer', exclusiveMinimum: 1 } } },
      }],
    }],
  }, /\\"exclusiveMinimum\\" at 'tools\[0\]\.function_declarations\[0\]\.parameters\.prop.*\.n'/],
  [GEMINI, 'six stops', { generationConfig: { stopSequences: ['a', 'b', 'c', 'd', 'e', 'f'] } },
    /at most 5/],
  [GEMINI, 'a schema without the mime type', {
    generationConfig: { responseJsonSchema: SCHEMA },
  }, /response_mime_type/],
  [GEMINI, 'a signature that is not base64', {
    contents: [{ role: 'user', parts: [{ text: 'x', thoughtSignature: '{}' }] }],
  }, /Base64 decoding failed/],
];

describe('a wrong request is refused in the words of the provider', () => {
  for (const [way, what, more, words] of WRONG) {
    test(`${way.name}: ${what}`, async () => {
      const reply = await ask(way, 'steady', { more });
      assert.equal(reply.status, 400, reply.text);
      assert.match(reply.text, words);
      const { error, type } = JSON.parse(reply.text);
      const fields = Object.keys(error).join();
      if (way === OPENAI) assert.equal(fields, 'message,type,param,code');
      if (way === ANTHROPIC) assert.equal(`${type} ${error.type}`, 'error invalid_request_error');
      if (way === GEMINI) assert.equal(`${error.code} ${error.status}`, '400 INVALID_ARGUMENT');
    });
  }

  test('a body that is not JSON, or not said to be', async () => {
    const path = OPENAI.path('', false);
    assert.match((await send(path, '{"model":')).text, /could not parse the JSON body/);
    const headers = { 'content-type': 'text/plain' };
    const plain = await send(path, OPENAI.body('steady', 'Hi', false), { headers });
    assert.match(plain.text, /content type must be application\/json/);
  });

  test('a version Anthropic does not have', async () => {
    const reply = await ask(ANTHROPIC, 'steady', { headers: { 'anthropic-version': '1' } });
    assert.equal(reply.status, 400);
    assert.match(reply.text, /anthropic-version/);
  });

  test('a path nobody serves', async () => {
    const paths = ['/openai/v1/complete', '/anthropic/messages', '/gemini/v1/models/x:run', '/x'];
    for (const path of paths) assert.equal((await send(path, {})).status, 404, path);
  });
});

describe('keys', () => {
  /** @param {Way} way @param {string} key */
  const withKey = (way, key) => ask(way, 'steady', {
    headers: { [way.key_header]: way === OPENAI ? `Bearer ${key}` : key },
  });

  test('any key will do, but for those that say what is wrong with them', async () => {
    for (const way of WAYS) {
      assert.equal((await withKey(way, 'test-key')).status, 200);
      const bad = await withKey(way, 'test-bad-key');
      assert.equal(bad.status, way === GEMINI ? 400 : 401);
      assert.match(bad.text, /invalid_api_key|invalid x-api-key|API_KEY_INVALID/);
      const broke = await withKey(way, 'test-quota-key');
      assert.equal(broke.status, way === ANTHROPIC ? 400 : 429);
      assert.match(broke.text, /insufficient_quota|credit balance is too low|RESOURCE_EXHAUSTED/);
      assert.doesNotMatch(broke.text, /RetryInfo/);
      assert.equal((await withKey(way, '')).status, way === GEMINI ? 403 : 401, 'an empty key');
    }
  });

  test('a key in the header of another dialect is a missing key', async () => {
    const other = { 'x-api-key': 'test-key' };
    assert.equal((await ask(OPENAI, 'steady', { headers: other })).status, 401);
    const bearer = { authorization: 'Bearer test-key' };
    assert.equal((await ask(ANTHROPIC, 'steady', { headers: bearer })).status, 401);
    assert.equal((await ask(GEMINI, 'steady', { headers: bearer })).status, 403);
  });

  test('with require_key, none is refused', async () => {
    const strict = await startSimulator({ require_key: true });
    for (const way of WAYS) {
      const reply = await ask(way, 'steady', { base: strict.url });
      assert.equal(reply.status, way === GEMINI ? 403 : 401);
    }
    await strict.close();
  });

  test('the log keeps no real key', async () => {
    simulator.reset();
    const secret = `sk-${'0123456789abcdef'.repeat(3)}`;
    await withKey(OPENAI, secret);
    await withKey(OPENAI, 'test-key-2');
    await send(`${GEMINI.path('steady', false)}?key=${secret}`, GEMINI.body('', 'Hi', false));
    const log = simulator.log();
    assert.ok(!JSON.stringify(log).includes('0123456789'));
    assert.equal(log[1].headers.authorization, 'Bearer test-key-2');
  });
});

// Faults

/** @type {Record<string, [status: [number, number, number], marks: [RegExp, RegExp, RegExp]]>} */
const REFUSALS = {
  rate_limited: [[429, 429, 429],
    [/rate_limit_exceeded/, /rate_limit_error/, /"retryDelay": "20s"/]],
  rate_limited_ms: [[429, 429, 429],
    [/in 350ms/, /rate_limit_error/, /"retryDelay": "0\.35s"/]],
  insufficient_quota: [[429, 400, 429], [/"insufficient_quota"/, /credit balance/, /PerDay/]],
  overloaded: [[503, 529, 503], [/overloaded/, /overloaded_error/, /UNAVAILABLE/]],
  server: [[500, 500, 500], [/server_error/, /api_error/, /INTERNAL/]],
  unauthorized: [[401, 401, 400], [/invalid_api_key/, /authentication_error/, /API_KEY_INVALID/]],
  forbidden: [[403, 403, 403], [/not allowed/, /permission_error/, /PERMISSION_DENIED/]],
  not_found: [[404, 404, 404], [/model_not_found/, /model: fault-not_found/, /NOT_FOUND/]],
  context_too_long: [[400, 400, 400],
    [/context_length_exceeded/, /too long: \d+ tokens > \d+ maximum/, /input token count/]],
  content_filter: [[400, 400, 200], [/content_filter/, /content filtering policy/, /blockReason/]],
  bad_request: [[400, 400, 400], [/"param": "temperature"/, /temperature/, /temperature/]],
  too_large: [[413, 413, 413], [/too large/, /request_too_large/, /<title>Error 413/]],
  bad_gateway_html: [[502, 502, 502], [/<h1>502 Bad Gateway/, /<html>/, /<html>/]],
};

describe('faults that refuse', () => {
  for (const [name, [statuses, marks]] of Object.entries(REFUSALS)) {
    test(name, async () => {
      for (const [index, way] of WAYS.entries()) {
        for (const stream of [true, false]) {
          const reply = await ask(way, `fault-${name}`, { stream });
          assert.equal(reply.status, statuses[index], `${way.name}: ${reply.text}`);
          assert.match(reply.text, marks[index]);
          assert.equal(reply.error, null);
        }
      }
    });
  }

  test('the wait is where each provider says it', async () => {
    const [openai, anthropic, gemini] = await Promise.all(WAYS.map((way) =>
      ask(way, 'fault-rate_limited?retry_after=7')));
    assert.equal(openai.headers['retry-after'], '7');
    assert.equal(openai.headers['x-ratelimit-reset-requests'], '7s');
    assert.equal(anthropic.headers['retry-after'], '7');
    assert.equal(anthropic.headers['x-should-retry'], 'true');
    const reset = Date.parse(String(anthropic.headers['anthropic-ratelimit-requests-reset']));
    assert.ok(Math.abs(reset - Date.now() - 7000) < 3000);
    assert.equal(gemini.headers['retry-after'], undefined, 'in the body only');
    assert.match(gemini.text, /"retryDelay": "7s"/);
    const exact = await ask(OPENAI, 'fault-rate_limited_ms?ms=1200');
    assert.equal(exact.headers['retry-after-ms'], '1200');
    assert.equal(exact.headers['retry-after'], '2');
  });

  test('status and code can be chosen', async () => {
    assert.equal((await ask(OPENAI, 'fault-server?status=504')).status, 504);
    const { error } = JSON.parse((await ask(OPENAI, 'fault-bad_request?code=odd&param=n')).text);
    assert.deepEqual([error.code, error.param], ['odd', 'n']);
    const unpaid = await ask(ANTHROPIC, 'fault-insufficient_quota?status=402');
    assert.equal(unpaid.status, 402);
    assert.match(unpaid.text, /billing_error/);
  });

  test('a fault or an argument nobody knows is loud', async () => {
    for (const model of ['fault-cutt', 'steady?fault=x', 'steady?token=1', 'fault-cut?after=x']) {
      const reply = await ask(OPENAI, model);
      assert.equal(reply.status, 400);
      assert.match(reply.text, /Simulator: /, model);
    }
  });
});

/** What every stream says with seven tokens asked for. */
const SEVEN = Array.from({ length: 7 }, (_, index) => `-${index}`);

/** @param {Way} way @param {string} fault @param {boolean} [stream] */
function broken(way, fault, stream = true) {
  const after = 'after' in FAULTS[fault].args ? '&after=3' : '';
  return ask(way, `m?fault=${fault}${after}&tokens=7`, { stream });
}

describe('faults of the connection', () => {
  for (const way of WAYS) {
    test(`${way.name}: reset`, async () => {
      await assert.rejects(broken(way, 'reset'), { code: 'ECONNRESET' });
    });

    test(`${way.name}: silence, until the client leaves`, async () => {
      simulator.reset();
      const body = JSON.stringify(way.body('fault-silence', 'Hi', true));
      const request = http.request(simulator.url + way.path('fault-silence', true), {
        method: 'POST', headers: { ...way.headers, 'content-type': 'application/json' },
      });
      let answered = false;
      request.on('response', () => { answered = true; });
      request.on('error', () => {});
      request.end(body);
      await until(() => simulator.open().some((entry) => entry.fault === 'silence'));
      request.destroy();
      await until(() => simulator.open().length === 0);
      const [entry] = simulator.log();
      assert.equal(answered, false);
      assert.deepEqual([entry.status, entry.finished, entry.written_bytes], [null, false, 0]);
      assert.ok(Number(entry.aborted_ms) >= 0);
    });

    test(`${way.name}: slow headers, slow first content`, async () => {
      const late = await ask(way, 'fault-slow_headers?ms=60');
      assert.ok(late.headers_ms >= 55, `${late.headers_ms}`);
      const first = await ask(way, 'fault-slow_first?ms=60');
      const at = first.pieces.findIndex((piece) => way.heard(piece).content > 0);
      const content_ms = first.pieces_ms[at];
      assert.ok(content_ms >= 55 && first.headers_ms < content_ms - 10, 'headers came before');
      assert.equal(readDigest(way.heard(first.text).text).last_user, 'Hi');
      const whole = await ask(way, 'fault-slow_first?ms=60', { stream: false });
      assert.ok(whole.pieces_ms[0] >= 55 && whole.headers_ms < whole.pieces_ms[0] - 10);
    });

    test(`${way.name}: pings only, until the client leaves`, async () => {
      simulator.reset();
      let seen = '';
      await ask(way, 'fault-pings_only?every_ms=2', {
        leave: (text) => { seen = text; return text.length > 900; },
      });
      await until(() => simulator.log()[0].ended_at_ms !== null);
      assert.equal(way.heard(seen).content, 0);
      assert.ok(Number(simulator.log()[0].aborted_ms) > 0);
    });

    test(`${way.name}: cut in the middle of an event`, async () => {
      // Gemini's last content event is also its end, so a late cut takes that.
      const late = way === GEMINI ? 'm-0' : 'm-0 m-1';
      for (const [args, text] of [
        ['after=3&tokens=7', 'm-0 m-1 m-2'], ['after=0&tokens=7', ''], ['after=99&tokens=2', late],
        ['after=3&tokens=7&rst=1', 'm-0 m-1 m-2'],
      ]) {
        const reply = await ask(way, `m?fault=cut&${args}`);
        assert.notEqual(reply.error, null, 'the client sees that it was cut');
        const heard = way.heard(reply.text);
        assert.deepEqual([heard.text, heard.finish], [text, ''], args);
        assert.doesNotMatch(reply.text, /\n\r?\n$/, 'the last event is not complete');
      }
      simulator.reset();
      const whole = await broken(way, 'cut', false);
      assert.notEqual(whole.error, null);
      assert.ok(whole.text.length > 10);
      assert.ok(whole.text.length < Number(whole.headers['content-length']));
      await until(() => simulator.open().length === 0);
      const [entry] = simulator.log();
      assert.deepEqual([entry.finished, entry.aborted_ms], [false, null], 'not by the client');
    });

    test(`${way.name}: nothing but the headers`, async () => {
      const cut = await ask(way, 'fault-cut?after=-1');
      assert.deepEqual([cut.status, cut.text], [200, '']);
      assert.notEqual(cut.error, null);
      const clean = await ask(way, 'fault-cut_clean?after=-1');
      assert.deepEqual([clean.status, clean.text, clean.error], [200, '', null]);
    });

    test(`${way.name}: cut clean`, async () => {
      const reply = await broken(way, 'cut_clean');
      const heard = way.heard(reply.text);
      assert.deepEqual([reply.error, heard.text, heard.finish], [null, 'm-0 m-1 m-2', '']);
      assert.match(reply.text, /\n\r?\n$/);
      const whole = await broken(way, 'cut_clean', false);
      assert.equal(whole.error, null);
      assert.throws(() => JSON.parse(whole.text), SyntaxError);
    });

    test(`${way.name}: stall, until the client leaves`, async () => {
      simulator.reset();
      const reply = await ask(way, 'm?fault=stall&after=3&tokens=7', {
        leave: (text) => way.heard(text).content === 3,
      });
      assert.equal(way.heard(reply.text).text, 'm-0 m-1 m-2');
      await until(() => simulator.open().length === 0);
      assert.ok(Number(simulator.log()[0].aborted_ms) >= 0);
    });
  }
});

describe('faults inside a 200', () => {
  for (const way of WAYS) {
    test(`${way.name}: an error before and after content`, async () => {
      const inside = await broken(way, 'error_inside');
      assert.equal(inside.status, 200);
      assert.equal(way.heard(inside.text).content, 0);
      assert.match(inside.text, /overloaded/);
      const reply = await ask(way, 'm?fault=error_after&after=3&kind=server&tokens=7');
      assert.equal(reply.error, null);
      const heard = way.heard(reply.text);
      assert.deepEqual([heard.text, heard.finish], ['m-0 m-1 m-2', '']);
      const last = eventsOf(reply.text).at(-1);
      assert.equal(typeof last?.json.error.message, 'string');
      assert.equal(last?.name, way === ANTHROPIC ? 'error' : '');
      const whole = await broken(way, 'error_inside', false);
      assert.equal(whole.status, 200);
      assert.ok(JSON.parse(whole.text).error);
    });

    test(`${way.name}: empty`, async () => {
      const heard = way.heard((await broken(way, 'empty')).text);
      assert.deepEqual([heard.text, heard.content, heard.calls], ['', 0, []]);
      assert.match(heard.finish, /^(stop|end_turn|STOP)$/);
      const whole = way.read(JSON.parse((await broken(way, 'empty', false)).text));
      assert.equal(whole.text, '');
    });

    test(`${way.name}: filtered`, async () => {
      const heard = way.heard((await broken(way, 'filtered')).text);
      assert.equal(heard.text, 'm-0 m-1 m-2');
      assert.match(heard.finish, /^(content_filter|refusal|SAFETY)$/);
    });

    test(`${way.name}: not a stream`, async () => {
      const page = await ask(way, 'fault-not_a_stream');
      assert.equal(page.status, 200);
      assert.match(String(page.headers['content-type']), /^text\/html/);
      const json = await ask(way, 'fault-not_a_stream?type=json');
      assert.match(String(json.headers['content-type']), /^application\/json/);
      assert.equal(readDigest(way.read(JSON.parse(json.text)).text).last_user, 'Hi');
    });

    test(`${way.name}: broken JSON`, async () => {
      const reply = await broken(way, 'bad_json');
      const odd = eventsOf(reply.text).filter((event) => event.json === null);
      assert.equal(odd.filter((event) => event.data !== '[DONE]').length, 1);
      assert.match(way.heard(reply.text).text, /^m-0 .*m-6$/);
      const whole = await broken(way, 'bad_json', false);
      assert.throws(() => JSON.parse(whole.text), SyntaxError);
    });

    test(`${way.name}: one huge event`, async () => {
      const reply = await ask(way, 'fault-oversized?bytes=300000');
      const heard = way.heard(reply.text);
      assert.deepEqual([heard.text.length, heard.content], [300_000, 1]);
    });

    test(`${way.name}: the terminator missing, and twice`, async () => {
      const missing = await broken(way, 'missing_terminator');
      const twice = await broken(way, 'double_terminator');
      assert.deepEqual([missing.error, twice.error], [null, null]);
      assert.match(way.heard(missing.text).finish, /^(stop|end_turn|STOP)$/);
      assert.doesNotMatch(missing.text, /\[DONE\]|message_stop/);
      if (way === GEMINI) assert.doesNotMatch(missing.text, /\n$/);
      const ends = [...twice.text.matchAll(/data: \[DONE\]|event: message_stop|"finishReason"/g)];
      assert.equal(ends.length, 2);
      assert.equal(way.heard(twice.text).text, way.heard(missing.text).text);
    });

    test(`${way.name}: events from the future`, async () => {
      const reply = await broken(way, 'unknown_events');
      assert.match(reply.text, /^: a comment\r?$/m);
      assert.match(reply.text, /future/);
      assert.equal(way.heard(reply.text).text, SEVEN.map((each) => `m${each}`).join(' '));
    });
  }
});

describe('how the bytes come', () => {
  for (const way of WAYS) {
    test(`${way.name}: byte by byte`, async () => {
      const reply = await ask(way, 'm?fault=drip&tokens=3');
      assert.equal(reply.pieces.length, Buffer.byteLength(reply.text));
      assert.equal(way.heard(reply.text).text, 'm-0 m-1 m-2');
    });

    test(`${way.name}: split at random, the same for the same seed`, async () => {
      const sizes = async (/** @type {number} */ seed) => {
        const { pieces } = await ask(way, `m?fault=split&seed=${seed}&max=40&tokens=7`);
        return pieces.map((piece) => piece.length);
      };
      const [one, same, other] = [await sizes(1), await sizes(1), await sizes(2)];
      assert.deepEqual(same, one);
      assert.notDeepEqual(other, one);
      assert.ok(Math.max(...one) <= 40 && new Set(one).size > 5);
    });

    test(`${way.name}: in bursts`, async () => {
      const reply = await ask(way, 'm?fault=bursts&n=5&ms=1&tokens=20');
      const counts = reply.pieces.map((piece) => piece.match(/^data: /gm)?.length ?? 0);
      assert.ok(counts.length > 3, `${counts}`);
      assert.ok(counts.slice(1, -1).every((count) => count === 5), `${counts}`);
    });

    test(`${way.name}: one event per write, of the size asked for`, async () => {
      const reply = await ask(way, 'steady?tokens=50&interval_ms=0&size=300&per_write=1');
      assert.equal(reply.pieces.length, eventsOf(reply.text).length);
      const sized = reply.pieces.filter((piece) => Buffer.byteLength(piece) === 300);
      assert.ok(sized.length >= 49, `${sized.length}`);
      const words = Array.from({ length: 50 }, (_, index) => `steady-${index}`);
      assert.equal(way.heard(reply.text).text, words.join(' '));
    });

    test(`${way.name}: in few writes when nothing is said`, async () => {
      const reply = await ask(way, 'steady?tokens=1000&size=300');
      assert.equal(way.heard(reply.text).content, 1000);
      assert.ok(reply.pieces.length < 20, `${reply.pieces.length}`);
    });

    test(`${way.name}: at the pace asked for`, async () => {
      const reply = await ask(way, 'steady?tokens=6&interval_ms=15');
      assert.equal(reply.pieces.filter((piece) => way.heard(piece).content > 0).length, 6);
      const last = reply.pieces.findLastIndex((piece) => way.heard(piece).content > 0);
      assert.ok(reply.pieces_ms[last] >= 70, `${reply.pieces_ms[last]} ms`);
    });
  }

  test('clients may leave at any moment', async () => {
    simulator.reset();
    const requests = Object.keys(FAULTS).flatMap((name, index) => WAYS.map((way, turn) => {
      const model = `m?fault=${name}&tokens=40&interval_ms=${index % 2}&per_write=${turn % 2}`;
      const request = http.request(simulator.url + way.path(model, true), {
        method: 'POST', headers: { ...way.headers, 'content-type': 'application/json' },
      });
      let left = (index * 977 + turn * 331) % 5000;
      request.on('error', () => {});
      request.on('response', (response) => {
        response.on('error', () => {});
        response.on('data', (piece) => {
          left -= piece.length;
          if (left <= 0) request.destroy();
        });
      });
      request.end(JSON.stringify(way.body(model, 'Hi', true)));
      return request;
    }));
    await until(() => simulator.log().length === requests.length);
    for (const request of requests) request.destroy();
    await until(() => simulator.open().length === 0);
    assert.ok(simulator.log().filter((entry) => entry.aborted_ms !== null).length > WAYS.length);
    assert.equal((await ask(OPENAI, 'steady')).status, 200);
  });

  test('no faster than the client reads', async () => {
    simulator.reset();
    const body = JSON.stringify(OPENAI.body('steady?tokens=5000&size=4000', 'Hi', true));
    const request = http.request(simulator.url + OPENAI.path('', true), {
      method: 'POST', headers: { 'content-type': 'application/json' },
    });
    request.end(body);
    const [response] = await once(request, 'response');
    response.pause();
    await until(() => simulator.open()[0]?.written_bytes > 0);
    let before_bytes = -1;
    await until(() => {
      const { written_bytes: bytes } = simulator.open()[0];
      const settled = bytes === before_bytes;
      before_bytes = bytes;
      return settled;
    });
    response.destroy();
    await until(() => simulator.open().length === 0);
    const [entry] = simulator.log();
    assert.ok(entry.written_bytes < 15e6, `${entry.written_bytes} of 20 MB`);
    assert.ok(Number(entry.aborted_ms) >= 0);
  });
});

// Control

describe('the control endpoint', () => {
  /** @param {any} map */
  const put = (map) => send('/control/faults', map, { method: 'PUT' });

  test('switches faults of plain ids, for a while', async () => {
    const { status } = await put({ primary: 'server?times=2', 'openai:second': 'overloaded' });
    assert.equal(status, 200);
    const statuses = [];
    for (let index = 0; index < 3; index++) statuses.push((await ask(OPENAI, 'primary')).status);
    assert.deepEqual(statuses, [500, 500, 200]);
    assert.equal((await ask(OPENAI, 'second?tokens=3')).status, 503);
    assert.equal((await ask(ANTHROPIC, 'second')).status, 200, 'another dialect');
    const { primary } = JSON.parse((await send('/control/faults')).text);
    assert.equal(primary.times, 0);
    await put({});
    assert.equal((await ask(OPENAI, 'second')).status, 200);
  });

  test('makes an ill engine healthy', async () => {
    const ill = await ask(OPENAI, 'unstable');
    assert.deepEqual([ill.status, ill.headers['retry-after']], [429, '20']);
    simulator.faults({ unstable: 'none' });
    assert.equal((await ask(OPENAI, 'unstable')).status, 200);
    simulator.faults({});
    assert.equal((await ask(OPENAI, 'unstable')).status, 429);
  });

  test('an id carries times too', async () => {
    simulator.faults({});
    const statuses = [];
    for (let index = 0; index < 2; index++) {
      statuses.push((await ask(GEMINI, 'fault-server?times=1')).status);
    }
    assert.deepEqual(statuses, [500, 200]);
  });

  test('refuses what it does not know, and changes nothing', async () => {
    simulator.faults({ primary: 'server' });
    const reply = await put({ primary: 'none', other: 'cutt' });
    assert.equal(reply.status, 400);
    assert.match(reply.text, /no fault \\"cutt\\"/);
    assert.equal((await put('[]')).status, 400);
    assert.equal((await ask(OPENAI, 'primary')).status, 500);
    simulator.faults({});
  });

  test('tells what was asked and how it went', async () => {
    await send('/control/log', undefined, { method: 'DELETE' });
    await ask(ANTHROPIC, 'steady', { text: 'remember me' });
    await ask(GEMINI, 'steady?tokens=1000&interval_ms=5', { leave: (text) => text.length > 10 });
    await until(() => simulator.open().length === 0);
    const log = JSON.parse((await send('/control/log')).text);
    assert.equal(log.length, 2);
    assert.deepEqual(
      [log[0].dialect, log[0].method, log[0].path, log[0].model, log[0].status, log[0].finished],
      ['anthropic', 'POST', '/anthropic/v1/messages', 'steady', 200, true]);
    assert.equal(log[0].body.messages[0].content, 'remember me');
    assert.equal(log[0].headers['anthropic-version'], '2023-06-01');
    assert.equal(log[0].aborted_ms, null);
    assert.ok(log[0].ended_at_ms >= log[0].started_at_ms);
    assert.deepEqual([log[1].model, log[1].finished], ['steady?tokens=1000&interval_ms=5', false]);
    assert.ok(log[1].aborted_ms >= 0);
    await send('/control/log', undefined, { method: 'DELETE' });
    assert.deepEqual(JSON.parse((await send('/control/log')).text), []);
  });

  test('counts open exchanges', async () => {
    const count = async () => JSON.parse((await send('/control/open')).text).open;
    assert.equal(await count(), 0);
    const request = http.request(simulator.url + OPENAI.path('', true), {
      method: 'POST', headers: { 'content-type': 'application/json' },
    });
    request.end(JSON.stringify(OPENAI.body('fault-stall', 'Hi', true)));
    const [response] = await once(request, 'response');
    assert.equal(await count(), 1);
    response.destroy();
    await until(() => simulator.open().length === 0);
    assert.equal(await count(), 0);
  });
});

// The rest of the house

test('an engine\'s arguments may stand unescaped in a Gemini path', async () => {
  const path = '/gemini/v1beta/models/m?tokens=2&size=300:streamGenerateContent?alt=sse';
  const reply = await send(path, GEMINI.body('', 'Hi', true));
  assert.equal(GEMINI.heard(reply.text).text, 'm-0 m-1');
});

test('a body above the limit is too large', async () => {
  const reply = await ask(ANTHROPIC, 'steady', { text: 'x'.repeat(33 * 1024 * 1024) });
  assert.equal(reply.status, 413);
  assert.match(reply.text, /request_too_large/);
});

test('the list of models names every fault', async () => {
  const { data } = JSON.parse((await send('/openai/v1/models')).text);
  const ids = data.map((/** @type {any} */ each) => each.id);
  assert.ok(ids.includes('steady'));
  for (const name of Object.keys(FAULTS)) assert.ok(ids.includes(`fault-${name}`));
});

test('the config leads to it', async () => {
  const config = simulatorConfig(`${simulator.url}/`);
  const routes = Object.values(config.routes).flatMap((route) => route.chain);
  assert.ok(config.default_route in config.routes);
  for (const engine of routes) {
    assert.ok(engine in config.engines, engine);
    const [provider, model] = engine.split(':');
    const providers = /** @type {Record<string, any>} */ (config.providers);
    const { base_url: base, dialect, headers, simulated } = providers[provider];
    const way = WAYS.find((each) => each.name === dialect);
    assert.ok(way && simulated);
    const path = way.path(model, true).replace(/^\/[a-z]+\/v1(beta)?/, '');
    const reply = await send(path, way.body(model, 'Hi', true), { base, headers });
    assert.equal(reply.status, model === 'unstable' ? 429 : 200, reply.text);
  }
});

test('the command line', async () => {
  const script = fileURLToPath(new URL('../../scripts/simulator.mjs', import.meta.url));
  const child = spawn(process.execPath, [script, '--port', '0']);
  /** @type {any[]} */
  const lines = [];
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
  await until(() => lines.length === 1);
  assert.equal(lines[0].event, 'listening');
  assert.match(lines[0].url, /^http:\/\/127\.0\.0\.1:\d+$/);
  assert.equal((await ask(OPENAI, 'steady', { base: lines[0].url })).status, 200);
  await until(() => lines.length === 2);
  const { event, model, finished } = lines[1];
  assert.deepEqual([event, model, finished], ['exchange', 'steady', true]);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit');
  assert.equal(code, 0);

  const help = spawn(process.execPath, [script, '--help']);
  let text = '';
  help.stdout.on('data', (piece) => { text += piece; });
  await once(help, 'close');
  for (const name of Object.keys(FAULTS)) assert.match(text, new RegExp(`^  ${name}\\b`, 'm'));
});

/** Named apart, so that type checks do without the package too. */
const PACKAGE = 'openai';
/** @type {any} null where it is not installed */
const client = await import(PACKAGE).catch(() => null);

test('the openai package reads it', { skip: !client && 'openai is not installed' }, async () => {
  const OpenAI = client.default;
  const baseURL = `${simulator.url}/openai/v1`;
  const openai = new OpenAI({ baseURL, apiKey: 'test-key', maxRetries: 0 });
  const messages = [{ role: 'user', content: 'call get_weather {"city":"Rome"} and call now {}' }];
  const stream = openai.chat.completions.stream({
    model: 'reasoner',
    messages,
    ...withTools(OPENAI, TOOLS),
    stream_options: { include_usage: true },
  });
  const { choices: [choice], usage } = await stream.finalChatCompletion();
  assert.deepEqual(choice.message.tool_calls.map((/** @type {any} */ call) => call.function),
    [{ name: 'get_weather', arguments: '{"city":"Rome"}' }, { name: 'now', arguments: '{}' }]);
  assert.equal(choice.finish_reason, 'tool_calls');
  assert.ok(usage.total_tokens > 0);
  const whole = await openai.chat.completions.create({
    model: 'steady', messages: [{ role: 'user', content: 'Hi' }],
  });
  assert.equal(readDigest(whole.choices[0].message.content).last_user, 'Hi');
  const refused = openai.chat.completions.create({
    model: 'unstable', messages: [{ role: 'user', content: 'Hi' }],
  });
  await assert.rejects(refused, (/** @type {any} */ error) =>
    error instanceof OpenAI.RateLimitError && error.code === 'rate_limit_exceeded');
});
