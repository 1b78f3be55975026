/**
 * What one request costs the module: at most its body and a little while it is held, and once more
 * its body while a provider's request is made of it, whatever field is large; and no more than a
 * little of what it says comes back, in headers, errors or the log.
 */

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const path = process.env.SPILLWAY_WASM
  ?? fileURLToPath(new URL('../../dist/spillway.wasm', import.meta.url));

const KB = 1024;
const MB = 1024 * KB;
const PIECE_BYTES = 256 * KB;
/** What a request may cost beside its bytes. */
const ALLOWED_BYTES = 256 * KB;
/** What the host asks for at once, and memory grows by pages and by what is free at its end. */
const SLACK_BYTES = 128 * KB;
const TOLD_BYTES_MAX = 8 * KB;
const LOG_BYTES_MAX = 64 * KB;

const LARGE = 4 * MB;
const large = 'x'.repeat(LARGE);
const digits = '7'.repeat(LARGE);
const message = { role: 'user', content: 'Hi' };
const chat = { model: 'acme:m', messages: [message] };
const tool = { type: 'function', function: { name: 'f', parameters: { type: 'object' } } };
/** @param {object} more */
const say = (more) => JSON.stringify({ ...chat, ...more });
/** As JSON.stringify would never write it. @param {string} members */
const raw = (members) => `{"messages":[{"role":"user","content":"Hi"}],${members}}`;
/** @param {object} part */
const part = (part) => say({ messages: [{ role: 'user', content: [part] }] });

/** Each field with a value, or a name, of four million bytes. @type {[string, string][]} */
const FIELDS = [
  ['model', say({ model: large })],
  ['model, of a known provider', say({ model: `acme:${large}` })],
  ['models[]', say({ models: [large] })],
  ['spillway.chain[]', say({ spillway: { chain: [`acme:${large}`] } })],
  ['spillway.chain, a text', say({ spillway: { chain: large } })],
  ['spillway, a text', say({ spillway: large })],
  ['a member of spillway', say({ spillway: { [large]: 1 } })],
  ['a member of spillway.timeouts', say({ spillway: { timeouts: { [large]: 1 } } })],
  ['spillway.on_auth_error', say({ spillway: { on_auth_error: large } })],
  ['spillway.attempts_max', raw(`"spillway":{"attempts_max":${digits}}`)],
  ['spillway.hedge.after', say({ spillway: { hedge: { after: large } } })],
  ['messages[].content', say({ messages: [{ role: 'user', content: large }] })],
  ['messages[].role', say({ messages: [{ role: large, content: 'Hi' }] })],
  ['messages[].name', say({ messages: [{ ...message, name: large }] })],
  ['a member of a message', say({ messages: [{ ...message, [large]: 1 }] })],
  ['a part\'s text', part({ type: 'text', text: large })],
  ['a part\'s type', part({ type: large })],
  ['an image', part({ type: 'image_url', image_url: { url: `data:image/png;base64,${large}` } })],
  ['an image\'s address', part({
    type: 'image_url', image_url: { url: `https://a.test/${large}` },
  })],
  ['a file', part({ type: 'file', file: { file_data: `data:application/pdf;base64,${large}` } })],
  ['a file\'s name', part({ type: 'file', file: { filename: large, file_id: 'f' } })],
  ['a tool call\'s arguments', say({
    messages: [message, {
      role: 'assistant', content: null,
      tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: `"${large}"` } }],
    }, { role: 'tool', tool_call_id: 'c', content: 'x' }],
  })],
  ['a tool call\'s id', say({
    messages: [message, { role: 'tool', tool_call_id: large, content: 'x' }],
  })],
  ['a tool\'s name', say({ tools: [{ type: 'function', function: { name: large } }] })],
  ['a tool\'s description', say({
    tools: [{ type: 'function', function: { name: 'f', description: large } }],
  })],
  ['a tool\'s schema', say({
    tools: [{ type: 'function', function: { name: 'f', parameters: { description: large } } }],
  })],
  ['a tool\'s type', say({ tools: [{ type: large }] })],
  ['tool_choice', say({ tools: [tool], tool_choice: large })],
  ['tool_choice\'s name', say({
    tools: [tool], tool_choice: { type: 'function', function: { name: large } },
  })],
  ['response_format\'s name', say({
    response_format: { type: 'json_schema', json_schema: { name: large, schema: {} } },
  })],
  ['response_format\'s schema', say({
    response_format: { type: 'json_schema', json_schema: { name: 's', schema: { title: large } } },
  })],
  ['response_format.type', say({ response_format: { type: large } })],
  ['stop', say({ stop: large })],
  ['stop[]', say({ stop: [large] })],
  ['user', say({ user: large })],
  ['metadata', say({ metadata: { k: large } })],
  ['reasoning_effort', say({ reasoning_effort: large })],
  ['stream_options', say({ stream: true, stream_options: { include_usage: true, [large]: 1 } })],
  ['stream, a text', say({ stream: large })],
  ['temperature', raw(`"model":"acme:m","temperature":${digits}`)],
  ['temperature, a text', say({ temperature: large })],
  ['seed', raw(`"model":"acme:m","seed":${digits}`)],
  ['max_tokens', raw(`"model":"acme:m","max_tokens":${digits}`)],
  ['top_p', raw(`"model":"acme:m","top_p":0.${digits}`)],
  ['an unknown member', say({ my_own: large })],
  ['the name of an unknown member', say({ [large]: 1 })],
  ['white space', `${' '.repeat(LARGE)}${say({})}`],
  ['no JSON', large],
  ['a text that does not end', `{"model":"${large}`],
  ['escapes', raw(`"model":"acme:m","user":"${'\\u0041'.repeat(LARGE / 6)}"`)],
];

/** A host that keeps nothing and counts what it is told. @param {WebAssembly.Module} module */
function makeHost(module) {
  const told = { bytes: 0, log_bytes: 0, fetches: 0, ended: false, status: 0 };
  const count = (/** @type {number} */ _chat, /** @type {number} */ _at,
    /** @type {number} */ length) => { told.bytes += length; };
  /** @type {any} */
  const wasm = new WebAssembly.Instance(module, {
    host: {
      fetch: () => { told.fetches += 1; },
      cancel() {}, read() {}, wake() {}, splice() {}, gather() {},
      write: count,
      respond: (/** @type {number} */ chat, /** @type {number} */ status,
        /** @type {number} */ at, /** @type {number} */ length) => {
        told.status = status;
        count(chat, at, length);
      },
      end: () => { told.ended = true; },
      log: (/** @type {number} */ _level, /** @type {number} */ _at,
        /** @type {number} */ length) => { told.log_bytes += length; },
    },
  }).exports;
  wasm._initialize?.();
  const put = (/** @type {Uint8Array} */ bytes) => {
    new Uint8Array(wasm.memory.buffer).set(bytes, wasm.input(Math.max(bytes.length, PIECE_BYTES)));
    return bytes.length;
  };
  const text = (/** @type {unknown} */ value) => put(Buffer.from(JSON.stringify(value)));
  const acme = { dialect: 'openai_chat', base_url: 'http://acme.test', keys: [] };
  const config = JSON.stringify({ providers: { acme } });
  assert.equal(wasm.configure(text({ config: [config], env: {} })), 0);
  return {
    told,
    memory: () => wasm.memory.buffer.byteLength,
    /** Hands a request over as a host does; gives its chat. @param {string} body */
    ask(body) {
      Object.assign(told, { bytes: 0, log_bytes: 0, fetches: 0, ended: false, status: 0 });
      const bytes = Buffer.from(body);
      const headers = { 'content-length': String(bytes.length) };
      const url = 'http://a.test/v1/chat/completions';
      const chat = wasm.open(1, 1, text({ method: 'POST', url, headers, trusted: true }));
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        const piece = bytes.subarray(at, at + PIECE_BYTES);
        const rest = at + PIECE_BYTES < bytes.length ? 0 : 1;
        wasm.on_body(1, chat, rest, put(piece));
      }
      return chat;
    },
    /** @param {number} chat */
    leave: (chat) => wasm.close(1, chat),
  };
}

describe('what one request costs', { skip: !existsSync(path) && `${path} is missing` }, () => {
  const module = new WebAssembly.Module(readFileSync(path));

  for (const [field, body] of FIELDS) {
    test(`${field} of 4 MB`, () => {
      const host = makeHost(module);
      host.leave(host.ask(say({})));
      const before = host.memory();
      const asked = host.ask(body);
      const grown = host.memory() - before;
      // One that goes to a provider is written once more.
      const bytes = Buffer.byteLength(body) * (host.told.fetches > 0 ? 2 : 1);
      assert.ok(grown <= bytes + ALLOWED_BYTES + SLACK_BYTES,
        `${(grown / MB).toFixed(2)} MB for a body of ${(body.length / MB).toFixed(2)} MB`);
      assert.ok(host.told.fetches > 0 || host.told.ended, 'it is asked for, or refused');
      assert.ok(host.told.bytes <= TOLD_BYTES_MAX, `${host.told.bytes} bytes are told`);
      assert.ok(host.told.log_bytes <= LOG_BYTES_MAX, `${host.told.log_bytes} bytes are logged`);
      // What it took is there again: the same once more takes nothing.
      host.leave(asked);
      const after = host.memory();
      host.leave(host.ask(body));
      assert.ok(host.memory() - after <= SLACK_BYTES, 'it leaves nothing behind');
    });
  }
});
