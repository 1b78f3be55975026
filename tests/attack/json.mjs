/**
 * Bodies that are made to break whoever reads them: depth, length, numbers, bytes that are no text.
 * Each gets a clear answer, and the next request is served by the same instance.
 */

import assert from 'node:assert/strict';
import { assertServed } from './support/attacker.mjs';
import { says } from './support/provider.mjs';

/** @import { Attack } from './support/field.mjs' */

const DEPTH = 200_000;
const HELLO = '[{"role":"user","content":"Hello"}]';
/** @param {string} more */
const chat = (more) => `{"model":"json:m","messages":${HELLO},${more}}`;
/** @param {string} messages */
const talk = (messages) => `{"model":"json:m","messages":${messages}}`;
/** @param {string} parts */
const said = (parts) => talk(`[{"role":"user","content":${parts}}]`);
const PART = '{"type":"text","text":"a"}';
const TOOL = '{"type":"function","function":{"name":"f"}}';
/** @param {number} count @param {string} item */
const many = (count, item) => `[${Array(count).fill(item).join(',')}]`;
const DIGITS = '9'.repeat(100_000);

/** @type {[string, string | Buffer][]} */
const BODIES = [
  ['arrays', '['.repeat(DEPTH)],
  ['arrays, closed', chat(`"a":${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}`)],
  ['objects', chat(`"a":${'{"a":'.repeat(DEPTH)}1${'}'.repeat(DEPTH)}`)],
  ['messages', talk('['.repeat(DEPTH))],
  ['content', talk(`[{"role":"user","content":${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}}]`)],
  ['policy', chat(`"spillway":${'{"timeouts":'.repeat(DEPTH)}1${'}'.repeat(DEPTH)}`)],
  ['chain', chat(`"spillway":{"chain":${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}}`)],
  ['schema', chat(`"tools":[{"type":"function","function":{"name":"f","parameters":${
    '{"properties":'.repeat(DEPTH)}{}${'}'.repeat(DEPTH)}}}]`)],
  ['JSON in arguments', talk(`[{"role":"user","content":"a"},{"role":"assistant","tool_calls":[{`
    + `"id":"c","type":"function","function":{"name":"f","arguments":"${'['.repeat(DEPTH)}"}}]},`
    + '{"role":"tool","tool_call_id":"c","content":"b"}]')],
  ['10,000 messages', talk(many(10_000, '{"role":"user","content":"a"}'))],
  ['10,001 messages', talk(many(10_001, '{"role":"user","content":"a"}'))],
  ['100,000 parts', said(many(100_000, PART))],
  ['100,001 parts', said(many(100_001, PART))],
  ['a million elements', chat(`"a":${many(1_000_000, '1')}`)],
  ['100,000 members', `{"model":"json:m","messages":${HELLO}${
    Array.from({ length: 100_000 }, (_, at) => `,"a${at}":1`).join('')}}`],
  ['100,000 models', chat(`"models":${many(100_000, '"json:m"')}`)],
  ['100,000 engines', chat(`"spillway":{"chain":${many(100_000, '"json:m"')}}`)],
  ['100,000 tools', chat(`"tools":${many(100_000, TOOL)}`)],
  ['100,000 stops', chat(`"stop":${many(100_000, '"a"')}`)],
  ['a long number', chat(`"max_tokens":${DIGITS}`)],
  ['a long fraction', chat(`"temperature":0.${DIGITS}`)],
  ['a long exponent', chat(`"temperature":1e${DIGITS}`)],
  ['a negative exponent', chat(`"temperature":1e-${DIGITS}`)],
  ['a number that is none', chat('"max_tokens":NaN')],
  ['infinity', chat('"temperature":Infinity')],
  ['minus nothing', chat('"seed":-')],
  ['octal', chat('"max_tokens":010')],
  ['a large deadline', chat(`"spillway":{"timeouts":{"total_ms":${DIGITS}}}`)],
  ['a negative deadline', chat('"spillway":{"timeouts":{"total_ms":-1}}')],
  ['more attempts than an int has', chat('"spillway":{"attempts_max":4294967297}')],
  ['a deadline in halves', chat('"spillway":{"timeouts":{"headers_ms":0.5}}')],
  ['attempts in words', chat('"spillway":{"attempts_max":"1"}')],
  ['half a surrogate', talk('[{"role":"user","content":"\\ud800"}]')],
  ['the other half', talk('[{"role":"user","content":"\\udc00 a"}]')],
  ['halves in turn', chat('"user":"\\udc00\\ud800"')],
  ['half a surrogate in a model', '{"model":"json:\\ud800","messages":[]}'],
  ['half a surrogate in a name', chat('"\\ud800":1')],
  ['half an escape', chat('"user":"\\u00')],
  ['a wrong escape', chat('"user":"\\x41"')],
  ['a line end in a text', chat('"user":"a\nb"')],
  ['a zero byte', Buffer.from(`${chat('"user":"a"')}\0`)],
  ['a zero in a text', chat('"user":"\\u0000"')],
  ['a zero in a model', '{"model":"json:m\\u0000x","messages":[{"role":"user","content":"a"}]}'],
  ['overlong UTF-8', Buffer.from(chat('"user":"\xc0\xae"'), 'latin1')],
  ['surrogates in UTF-8', Buffer.from(chat('"user":"\xed\xa0\x80"'), 'latin1')],
  ['beyond Unicode', Buffer.from(chat('"user":"\xf4\x90\x80\x80"'), 'latin1')],
  ['half a character', Buffer.from(chat('"user":"\xe2\x82"'), 'latin1')],
  ['UTF-16', Buffer.from(chat('"user":"a"'), 'utf16le')],
  ['a byte order mark', Buffer.from(`\ufeff${chat('"user":"a"')}`)],
  ['gzip bytes', Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0])],
  ['a prototype', chat('"__proto__":{"admin":true},"constructor":{"prototype":{"a":1}}')],
  ['a prototype of a policy', chat('"spillway":{"__proto__":{"chain":["json:m"]}}')],
  ['an image of nothing', talk('[{"role":"user","content":[{"type":"image_url","image_url":'
    + '{"url":"data:;base64,"}}]}]')],
  ['a comment', '/* */{}'], ['two values', '{}{}'], ['white space', ' '.repeat(1_000_000)],
  ['nothing', ''],
];

/** @type {Attack} */
const hostileJson = {
  name: 'hostile-json',
  gains: 'one request breaks the instance that serves everybody else\'s chats, or hangs it',
  setup: (at) => ({
    providers: { json: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' } },
  }),
  serve: () => says('Hello'),
  async run({ as, worker }) {
    let refused = 0;
    for (const [what, body] of BODIES) {
      const got = await as('mallory').post(body);
      assert.ok(got.status === 200 || (got.status >= 400 && got.status < 500),
        `${what}: ${got.status} ${got.text.slice(0, 300)}`);
      refused += got.status === 200 ? 0 : 1;
      if (got.status !== 200) {
        assert.equal(typeof got.json?.error?.code, 'string', `${what}: ${got.text.slice(0, 300)}`);
        assert.ok(got.text.length < 4096, `${what}: ${got.text.length} bytes`);
      }
      assertServed(await as('alice').chat({ model: 'json:m' }));
    }
    const { memories_bytes } = await worker.probe();
    assert.equal(memories_bytes.length, 1, 'the module trapped');
    assert.ok(!worker.output().includes('"trap"'));
    return `${BODIES.length} bodies, ${refused} refused in words; the next request is served, and `
      + 'the module never trapped';
  },
};

/** @type {Attack[]} */
export const attacks = [hostileJson];
