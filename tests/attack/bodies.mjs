/**
 * Room: what one client may hold of a worker, with bodies that do not come, lie or never end, and
 * with chats that last for days. Another client finds its share free, always.
 */

import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import {
  assertServed, eventually, headOf, inParallel, openSocket, user,
} from './support/attacker.mjs';
import { says } from './support/provider.mjs';

/** @import { Attack, Field } from './support/field.mjs' */

const MiB = 2 ** 20;
/** Of the tight worker. */
const BODY_BYTES_MAX = 4 * MiB;
const BODY_MS = 700;
const CHATS_MAX = 5;
/** What a key may have of them: a half. */
const CHATS_SHARE = 2;
/** What is read of a body that is refused, beside what the kernel holds of a connection. */
const DROPPED_BYTES_MAX = 64 * MiB;
const KERNEL_BYTES_MAX = 16 * MiB;
/** Of RSS, by two more bodies. */
const GROWTH_BYTES_MAX = 48 * MiB;
const ENDLESS_WARM = 2;
const DRIBBLE_MS = 50;

/** @param {string} model @param {number} bytes  of the whole body */
function bodyOf(model, bytes) {
  const text = JSON.stringify({ model, messages: user('') });
  return text.replace('""', `"${'x'.repeat(bytes - text.length)}"`);
}

/** @param {string} name */
const providerOf = (name) => (/** @type {string} */ at) => ({
  providers: { [name]: { dialect: 'openai_chat', base_url: `${at}/v1`, keys: [], auth: 'none' } },
});

/** A chat that must be answered, once what was held is free. @param {Field} field */
async function servedAgain({ as }, client = 'mallory', model = 'slow-body:m') {
  await eventually('room for the client\'s next chat', async () =>
    (await as(client).chat({ model })).status === 200);
  await eventually('no chat is open', async () =>
    (await as('alice').get('/health')).json.chats_open === 0);
}

/** @type {Attack} */
const slowBody = {
  name: 'slow-body',
  gains: 'a client that sends a byte now and then holds a chat of everybody\'s for ever',
  world: 'tight',
  setup: providerOf('slow-body'),
  serve: () => says('Hello'),
  async run(field) {
    const mallory = field.as('mallory');
    const begin = performance.now();
    const sockets = await Promise.all(Array.from({ length: CHATS_SHARE }, async () => {
      const socket = await openSocket(field.url);
      const authorization = `Bearer ${mallory.key}`;
      await socket.write(headOf({ authorization, 'content-length': 9000 }));
      return socket;
    }));
    const statuses = Promise.all(sockets.map((socket) => socket.status()));
    let isOver = false;
    statuses.then(() => { isOver = true; });
    while (!isOver) {
      for (const socket of sockets) await socket.write(' ');
      assert.ok(performance.now() - begin < 4 * BODY_MS, 'it waits for a byte now and then');
      await delay(DRIBBLE_MS); // the pace is the attack
    }
    const ms = performance.now() - begin;
    assert.deepEqual(await statuses, sockets.map(() => 408), sockets[0].text());
    for (const socket of sockets) socket.end();
    await servedAgain(field);
    return `a byte every ${DRIBBLE_MS} ms: 408 after ${(ms / 1000).toFixed(1)} s, and the chats are`
      + ' free again';
  },
};

/** @type {Attack} */
const manyBodies = {
  name: 'many-bodies',
  gains: 'a client fills the memory for bodies with several at once, and nobody else can send one',
  world: 'tight',
  setup: providerOf('many-bodies'),
  serve: () => says('Hello'),
  async run(field) {
    const mallory = field.as('mallory');
    const body = bodyOf('many-bodies:m', BODY_BYTES_MAX - 1000);
    const head = headOf({
      authorization: `Bearer ${mallory.key}`, 'content-length': body.length,
    });
    const first = await openSocket(field.url);
    await first.write(head + body.slice(0, body.length / 2));
    // It is there when the next of this client's is refused.
    const second = await openSocket(field.url);
    await second.write(head + body);
    assert.equal(await second.status(), 503, second.text());
    assert.match(second.text(), /retry-after: \d+/i);
    assert.match(second.text(), /bytes of request bodies/);
    const alice = await field.as('alice').post(bodyOf('many-bodies:m', BODY_BYTES_MAX - 2000));
    assertServed(alice);
    for (const socket of [first, second]) socket.end();
    await servedAgain(field, 'mallory', 'many-bodies:m');
    return 'the second large body of a client is a 503 with retry-after, another\'s is taken';
  },
};

/**
 * Sends a body without an end until the worker has enough.
 * @param {Field} field
 */
async function sendEndless({ as, url, worker }) {
  const socket = await openSocket(url);
  let isOver = false;
  const status = socket.status().finally(() => { isOver = true; });
  await socket.write(headOf({
    authorization: `Bearer ${as('mallory').key}`, 'transfer-encoding': 'chunked',
  }));
  const piece = Buffer.from(`${MiB.toString(16)}\r\n${' '.repeat(MiB)}\r\n`);
  let sent = 0;
  let peak = 0;
  while (!isOver && await socket.write(piece)) {
    sent += MiB;
    peak = Math.max(peak, worker.rss_bytes());
    assert.ok(sent <= BODY_BYTES_MAX + DROPPED_BYTES_MAX + KERNEL_BYTES_MAX,
      `it still reads after ${sent / MiB} MB`);
  }
  // Who goes on sending may be cut off before the answer is read.
  assert.ok([0, 408, 413].includes(await status), socket.text());
  socket.end();
  return { sent, peak };
}

/** @type {Attack} */
const endlessBody = {
  name: 'endless-body',
  gains: 'a client sends a body without an end, and the worker reads or keeps all of it',
  world: 'tight',
  setup: providerOf('endless-body'),
  serve: () => says('Hello'),
  async run(field) {
    // What V8 has not collected grows to some size first; what is kept grows with each body.
    for (let warm = 0; warm < ENDLESS_WARM; warm++) await sendEndless(field);
    const before = field.worker.rss_bytes();
    const bodies = [await sendEndless(field), await sendEndless(field)];
    const sent = bodies.reduce((sum, body) => sum + body.sent, 0);
    const grown = Math.max(...bodies.map(({ peak }) => peak)) - before;
    assert.ok(grown < GROWTH_BYTES_MAX,
      `${sent / MiB} MB sent, the worker grew by ${(grown / MiB).toFixed(1)} MB`);
    await servedAgain(field, 'mallory', 'endless-body:m');
    return `4 of them, each refused after ${(sent / 2 / MiB).toFixed(0)} MB at most; the worker `
      + `grows by ${(grown / MiB).toFixed(1)} MB`;
  },
};

/** Headers, and what follows them; the connection is closed behind it where `ends`. */
const LIES = /** @type {[string, Record<string, string>, string, boolean][]} */ ([
  ['a length too large', { 'content-length': '9000' }, '{"model"', true],
  ['a length too small', { 'content-length': '3' }, `{"a${'x'.repeat(5000)}`, false],
  ['a negative length', { 'content-length': '-1' }, '{}', false],
  ['a length in hex', { 'content-length': '0x10' }, '{}', false],
  ['a length of 20 digits', { 'content-length': '99999999999999999999' }, '{}', true],
  ['a length and chunks', { 'content-length': '4', 'transfer-encoding': 'chunked' },
    '0\r\n\r\nGET /v1/models HTTP/1.1\r\nhost: worker\r\n\r\n', false],
  ['an unknown coding', { 'transfer-encoding': 'gzip, chunked' }, '0\r\n\r\n', false],
  ['chunks without sizes', { 'transfer-encoding': 'chunked' }, 'zz\r\nhello\r\n', false],
  ['a chunk that is too long', { 'transfer-encoding': 'chunked' }, 'fffffffff\r\nabc', true],
  ['chunks that break off', { 'transfer-encoding': 'chunked' }, '100\r\nabc', true],
  ['nothing at all', { 'content-length': '9000' }, '', true],
]);
const LIES_EACH = 4;

/** @type {Attack} */
const lyingBody = {
  name: 'lying-body',
  gains: 'a client that lies about the length of its body keeps a chat of everybody\'s, or gets a '
    + 'request past the key check behind its own',
  world: 'tight',
  setup: providerOf('lying-body'),
  serve: () => says('Hello'),
  async run(field) {
    const mallory = field.as('mallory');
    for (const [what, headers, body, ends] of LIES) {
      for (let round = 0; round < LIES_EACH; round++) {
        const socket = await openSocket(field.url);
        await socket.write(headOf({ authorization: `Bearer ${mallory.key}`, ...headers }) + body);
        if (ends) socket.socket.end();
        const status = await socket.status();
        assert.ok(status === 0 || (status >= 400 && status < 500) || status === 503,
          `${what}: ${socket.text().slice(0, 300)}`);
        assert.ok(!/HTTP\/1.1 200/.test(socket.text()), `${what}: ${socket.text()}`);
        socket.end();
      }
      await servedAgain(field, 'mallory', 'lying-body:m');
    }
    return `${LIES.length} lies, ${LIES_EACH} times each; the chats are free again after each`;
  },
};

const DAY_MS = 86_400_000;
const HANG = 'Never answer';
let hanging = 0;

/** @type {Attack} */
const dayLong = {
  name: 'day-long-chats',
  gains: 'a client opens as many chats as a worker has, each for a day, and nobody else gets one',
  world: 'tight',
  setup: (at) => ({
    ...providerOf('day-long')(at),
    clients: { 'day-client': { policy: ['timeouts'] } },
  }),
  serve({ body }, reply) {
    if (body.messages[0].content !== HANG) return says('Hello');
    hanging += 1;
    reply.on('close', () => { hanging -= 1; });
    return undefined;
  },
  async run(field) {
    const { key } = field.as('day-client');
    const timeouts = Object.fromEntries(['headers', 'first_content', 'idle', 'total']
      .map((name) => [`${name}_ms`, DAY_MS]));
    const body = JSON.stringify({
      model: 'day-long:m', messages: user(HANG), stream: true, spillway: { timeouts },
    });
    const sockets = await inParallel(Array.from({ length: CHATS_MAX }), CHATS_MAX, async () => {
      const socket = await openSocket(field.url);
      await socket.write(headOf({
        authorization: `Bearer ${key}`, 'content-length': body.length,
      }) + body);
      return socket;
    });
    // Those beyond the share are told at once; the others are asked upstream.
    const refused = await eventually('each is asked upstream or refused', async () => {
      const told = sockets.filter((socket) => socket.text() !== '');
      return hanging + told.length === CHATS_MAX && told;
    });
    assert.equal(hanging, CHATS_SHARE, `${hanging} of ${CHATS_MAX} chats are one client's`);
    for (const socket of refused) assert.equal(await socket.status(), 503, socket.text());
    for (let chat = 0; chat < 3; chat++) {
      assertServed(await field.as('alice').chat({ model: 'day-long:m' }));
    }
    for (const socket of sockets) socket.end();
    await eventually('the providers are hung up on', async () => hanging === 0);
    await servedAgain(field, 'mallory', 'day-long:m');
    return `${CHATS_SHARE} of ${CHATS_MAX} chats are as many as one client has; when it leaves, `
      + 'its providers are hung up on';
  },
};

/** @type {Attack[]} */
export const attacks = [slowBody, manyBodies, endlessBody, lyingBody, dayLong];
