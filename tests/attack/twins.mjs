/**
 * Non-interference: two workers that differ in nothing but their secrets are asked the same, by a
 * client that both know. Whatever it sees of the one, it must see of the other.
 */

import assert from 'node:assert/strict';
import { inParallel, secret, user } from './support/attacker.mjs';
import { refuses, says, saysAnthropic } from './support/provider.mjs';

/** @import { Attack } from './support/field.mjs' */
/** @import { Got } from './support/attacker.mjs' */

const SECRETS = [0, 1].map(() => ({
  TWIN_OPENAI: secret('sk-proj-'),
  // Of several that are refused, which one is soonest back is a matter of a millisecond: these are
  // never refused.
  TWIN_ANTHROPIC: secret('sk-ant-api03-'), TWIN_ANTHROPIC_2: secret('sk-ant-api03-'),
}));
const OTHERS = [0, 1].map(() => secret('client-'));
const KINDS = ['echo', 'refuse', 'unknown', 'model', 'page', 'limit', 'broken', 'denied', 'spent'];

/** @param {number} at */
const kindAt = (at) => KINDS[at % KINDS.length];
/** Headers that are each answer's own: the time, and a length that depends on digits of it. */
const OWN = ['date', 'x-request-id', 'content-length', 'retry-after'];

/** @param {Got} got */
function shown({ status, headers, text }) {
  const told = Object.entries(headers).filter(([name]) => !OWN.includes(name))
    .map(([name, value]) => `${name}: ${value}`).sort();
  // An answer has the request's id, and the second in which it was made; a chat may be ending yet.
  return [status, ...told, text].join('\n').replace(/chatcmpl-[0-9a-f]{32}/g, 'chatcmpl-ID')
    .replace(/"created":\d+/g, '"created":0').replace(/;\d+ms/g, ';0ms')
    .replace(/dur=\d+/g, 'dur=0').replace(/"(ms|chats_open)":\d+/g, '"$1":0');
}

/** @type {Attack} */
const twins = {
  name: 'two-secrets',
  gains: 'anything about a secret: whatever differs between two routers that differ in secrets '
    + 'alone is a way to read them',
  world: 'twins',
  setup: (at, twin) => ({
    providers: {
      twin: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: ['TWIN_OPENAI'] },
      'twin-ant': {
        dialect: 'anthropic', base_url: `${at}/v1`, keys: ['TWIN_ANTHROPIC'], auth: 'x-api-key',
      },
    },
    engines: { 'twin:echo': {}, 'twin-ant:echo': {}, 'twin:limit': {} },
    routes: { 'twin-route': { chain: ['twin:limit', 'twin-ant:echo', 'twin:echo'] } },
    clients: { 'twin-other': { keys: ['TWIN_OTHER'] } },
    vars: { ...SECRETS[twin], TWIN_OTHER: OTHERS[twin] },
  }),
  serve({ path, model, body }, reply) {
    const { content } = body.messages.at(-1);
    const words = typeof content === 'string' ? content : content[0].text;
    if (model === 'echo') return path.endsWith('/messages') ? saysAnthropic(words) : says(words);
    if (model === 'refuse') {
      return refuses(400, `No use for '${words}'`, { param: words, code: words });
    }
    if (model === 'model') return says('Hello', { model: words, id: words });
    if (model === 'page') {
      const headers = { 'content-type': 'text/html' };
      return { status: 502, headers, body: `<title>${words}</title>` };
    }
    if (model === 'limit') return refuses(429, `Slow down, ${words}`, {}, { 'retry-after': '900' });
    if (model === 'denied') return refuses(401, `Incorrect API key provided: ${words}`);
    if (model === 'spent') return refuses(402, `No credit: ${words}`);
    if (model === 'broken') {
      const text = `{"error":{"message":"No use for ${words}`;
      reply.writeHead(400, { 'content-type': 'application/json', 'content-length': 9000 });
      reply.write(text, () => reply.destroy());
      return undefined;
    }
    return refuses(404, `model: ${model}`);
  },
  async run({ as, worker, twin, url }) {
    const parts = SECRETS.flatMap((secrets) => Object.values(secrets)).concat(OTHERS)
      .flatMap((key) => [key.slice(0, -1), key.slice(1), key.slice(0, 12), key.slice(-12)]);
    const words = ['Hello', 'sk-', 'Bearer sk-proj-', 'x'.repeat(1985) + parts[0], ...parts,
      ...parts.slice(0, 6).flatMap((part) => [
        Buffer.from(part).toString('base64'), encodeURIComponent(part.replaceAll('-', '%2D')),
      ])];
    /** @type {{ get?: string, body?: object }[]} */
    const requests = words.flatMap((word, at) => [
      { body: { model: `twin:${kindAt(at)}`, messages: user(word), stream: at % 2 > 0 } },
      { body: { model: `twin:${kindAt(at + 3)}`, messages: user(word) } },
      { body: { model: `twin-ant:${word}`.slice(0, 500) } },
      { body: { model: 'twin-route', messages: user(word), stream: at % 3 > 0 } },
    ]);
    const pages = ['/v1/models', '/v1/models/twin:echo', '/health', '/', `/v1/models/${words[4]}`];
    requests.push(...pages.map((get) => ({ get })));
    let asked = 0;
    // One after another: how keys and engines rest is part of what is compared.
    for (const { get, body } of requests) {
      const [one, two] = await Promise.all([url, twin.url].map((at) =>
        (get !== undefined ? as('mallory', at).get(get) : as('mallory', at).chat(body ?? {}))));
      const [left, right] = [one, two].map(shown);
      const from = Math.max(0, [...left].findIndex((byte, at) => byte !== right[at]) - 90);
      const [seen, other] = [left, right].map((text) => text.slice(from, from + 180));
      assert.ok(left === right, `${get ?? JSON.stringify(body)}: ${seen} / ${other}`);
      asked += 1;
    }
    // Keys of clients that are wrong are wrong alike.
    const wrong = words.filter((word) => /^[\x21-\x7e]{1,400}$/.test(word));
    await inParallel(wrong, 8, async (word) => {
      const [one, two] = await Promise.all([worker, twin].map(async (at) => {
        const response = await fetch(`${at.url}/v1/models`, { headers: { 'x-api-key': word } });
        return `${response.status} ${await response.text()}`;
      }));
      assert.equal(one, two);
    });
    return `${asked + wrong.length} requests to two workers; status, headers and bodies are equal`;
  },
};

/** @type {Attack[]} */
export const attacks = [twins];
