/**
 * A client that reads a byte now and then, of a provider that has 128 MB to send: nothing piles up
 * in the worker or in its module, and the provider's own socket takes no more bytes. What was sent
 * is in the kernel's buffers of the two connections, a few megabytes each on this machine.
 */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { user } from './support/chats.js';
import { startDeployed } from './support/worker.js';

const MiB = 2 ** 20;
const OFFERED_BYTES = 128 * MiB;
/** Of RSS, over the worker's own at rest: the heap of a young isolate moves by this much. */
const GROWTH_BYTES_MAX = 32 * MiB;
/** While nothing moves any more. */
const DRIFT_BYTES_MAX = 4 * MiB;
/** The module starts with less than 1 MB. */
const MODULE_BYTES_MAX = 2 * MiB;
/** At half of them the first look at a spliced copy, and all its backlog, is over (after 2 s). */
const READS = 20;
const READ_MS = 300;

const EVENT_TEXT = 'x'.repeat(8000);
/** @type {Record<string, { begin: string, event: string }>} */
const STREAMS = {
  openai: {
    begin: '',
    event: `data: ${JSON.stringify({
      id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm',
      choices: [{ index: 0, delta: { content: EVENT_TEXT }, finish_reason: null }],
    })}\n\n`,
  },
  anthropic: {
    begin: `event: message_start\ndata: ${JSON.stringify({
      type: 'message_start',
      message: {
        id: 'm', type: 'message', role: 'assistant', model: 'm', content: [], stop_reason: null,
        usage: { input_tokens: 1, output_tokens: 1 },
      },
    })}\n\nevent: content_block_start\ndata: ${JSON.stringify({
      type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' },
    })}\n\n`,
    event: `event: content_block_delta\ndata: ${JSON.stringify({
      type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: EVENT_TEXT },
    })}\n\n`,
  },
};

let taken_bytes = 0;
/** @type {Promise<void>} */
let upstreamClosed;
/** Sends as fast as it is let. */
const provider = createServer(async (request, reply) => {
  request.resume();
  const { begin, event } = STREAMS[request.url?.split('/')[1] ?? ''];
  upstreamClosed = once(reply, 'close').then(() => {});
  reply.writeHead(200, { 'content-type': 'text/event-stream' });
  reply.write(begin);
  /** @type {() => void} */
  let go = () => {};
  reply.on('error', () => {}).on('close', () => go()).on('drain', () => go());
  while (taken_bytes < OFFERED_BYTES && !reply.destroyed) {
    taken_bytes += event.length;
    if (!reply.write(event)) await new Promise((resolve) => { go = () => resolve(null); });
  }
});

/** @type {import('./support/worker.js').Worker} */
let worker;

before(async () => {
  provider.listen(0, '127.0.0.1');
  await once(provider, 'listening');
  const { port } = /** @type {import('node:net').AddressInfo} */ (provider.address());
  worker = await startDeployed({
    config: simulatorConfig(`http://127.0.0.1:${port}`), vars: { SPILLWAY_KEYS: 'sim-client' },
    probe: true,
  });
});

after(async () => {
  await worker?.stop();
  provider.close();
  provider.closeAllConnections();
});

/** Asks on a bare socket, which is read only when the test says so. @param {object} body */
async function ask(body) {
  const { hostname, port } = new URL(worker.url);
  const socket = connect({ host: hostname, port: Number(port) });
  socket.on('error', () => {});
  const text = JSON.stringify({ messages: [user('Hello')], stream: true, ...body });
  socket.write([
    'POST /v1/chat/completions HTTP/1.1', 'host: worker', 'authorization: Bearer sim-client',
    'content-type: application/json', `content-length: ${text.length}`, '', text,
  ].join('\r\n'));
  await once(socket, 'readable');
  return socket;
}

for (const [mode, model, include_usage] of /** @type {const} */ ([
  ['splice', 'sim-openai:m', true], ['relay', 'sim-openai:m', false],
  ['translate', 'sim-anthropic:m', false],
])) {
  test(`${mode}: what the client does not take is not asked for`, {
    timeout: 60_000, skip: !existsSync('/proc/self/status') && 'needs /proc',
  }, async (t) => {
    taken_bytes = 0;
    const before_bytes = worker.rss_bytes();
    const socket = await ask({ model, stream_options: { include_usage } });
    const rss = [];
    for (let read = 0; read < READS; read++) {
      await delay(READ_MS); // the pace is what is tested
      assert.equal(socket.read(1)?.length, 1);
      rss.push(worker.rss_bytes());
    }
    const { memories_bytes } = await worker.probe();
    t.diagnostic(`of ${OFFERED_BYTES / MiB} MB the provider could send `
      + `${(taken_bytes / MiB).toFixed(1)}; RSS from ${(before_bytes / MiB).toFixed(1)} MB to `
      + `${rss.map((bytes) => (bytes / MiB).toFixed(1)).join(' ')}; module ${memories_bytes}`);
    const last = rss[READS - 1];
    assert.ok(taken_bytes < OFFERED_BYTES / 2, `the provider could send ${taken_bytes} bytes`);
    assert.ok(last - before_bytes < GROWTH_BYTES_MAX, `grew by ${last - before_bytes} bytes`);
    assert.ok(last - rss[READS / 2] < DRIFT_BYTES_MAX, 'it still grows');
    assert.ok(memories_bytes[0] < MODULE_BYTES_MAX, `the module has ${memories_bytes[0]} bytes`);
    socket.resetAndDestroy();
    await upstreamClosed;
    const { outcome } = await worker.events.find((event) => event.mode === mode);
    assert.equal(outcome, 'client_closed');
  });
}
