/**
 * A module that traps, in workerd: the chats of that instance end with a clean error, whoever is
 * piped natively keeps what came, and the next request gets a fresh instance. The module is the
 * shipped one, built with a trap on purpose (cmake/wasm.cmake).
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { InternalServerError } from 'openai';
import { root } from '../../scripts/lib/machine.mjs';
import { cmakeBuild } from '../../scripts/lib/cmake.mjs';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { numberedWords } from '../../scripts/simulator/model.mjs';
import {
  DIALECTS, MODES, ask, engineOf, healthyOf, open, startUpstream, stream,
} from './support/chats.js';
import { startDeployed } from './support/worker.js';

const TIMEOUT = { timeout: 60_000 };
/** Longer than the pause between two looks at a piped stream, so that this meets the trap too. */
const WORDS = 150;
/** Its third word traps when the module hears it. */
const TRAP = 'spillway-trap';

/** @type {Awaited<ReturnType<typeof startUpstream>>} */
let upstream;
/** @type {import('./support/worker.js').Worker} */
let worker;
/** @type {import('openai').default} */
let client;
/** @type {string} */
let module;

before(async () => {
  module = join(await cmakeBuild('wasm', { target: 'spillway_wasm_trap' }), 'spillway.trap.wasm');
  upstream = await startUpstream();
  worker = await startDeployed({
    config: simulatorConfig(upstream.url), vars: { SPILLWAY_KEYS: 'sim-client' }, module,
    probe: true,
  });
  client = worker.client();
});

after(async () => {
  await worker?.stop();
  await upstream?.close();
});

test('the shipped module cannot be made to trap like this', () => {
  assert.ok(readFileSync(module).includes(TRAP));
  assert.ok(!readFileSync(join(root, 'dist/spillway.wasm')).includes(TRAP));
});

/** The chats under way; each is there when the client has some of it. @param {number} words */
const others = (words) => [
  ...MODES.map(({ dialect, include_usage }) => ({
    ...engineOf(dialect, `tokens=${words}&interval_ms=20`), stream_options: { include_usage },
  })),
];

describe('a trap', TIMEOUT, () => {
  for (const [when, trap] of /** @type {const} */ ([
    ['in the middle of a stream', () => stream(client, {
      model: `sim-anthropic:${TRAP}?tokens=9&interval_ms=20`,
    })],
    ['when a chat is opened', () => stream(client, { model: 'sim-openai:spillway-trap-open' })],
  ])) {
    test(`${when}: every chat of the instance ends, the next is served`, async () => {
      const before = (await worker.probe()).memories_bytes.length;
      const streams = await Promise.all(others(WORDS).map(async (engine) => ({
        engine,
        ...await open(client, { model: engine.id, stream_options: engine.stream_options }),
      })));
      const whole = DIALECTS.map((dialect) => {
        const engine = engineOf(dialect, `tokens=${WORDS}&interval_ms=20`);
        return { engine, answer: ask(client, { model: engine.id }).catch((error) => error) };
      });
      while (whole.some(({ engine }) => upstream.of(engine.model).length === 0)) await turn();
      /** @type {any} */
      const trapped = await trap().catch((error) => ({ text: '', error }));
      assert.equal(trapped.error.code, 'internal_error', String(trapped.error));
      assert.match(trapped.error.message, /safe to retry/);
      assert.ok(numberedWords(TRAP, 3).join('').startsWith(trapped.text), trapped.text);
      await worker.events.find(({ event }) => event === 'trap');

      const next = healthyOf('gemini');
      assert.equal((await stream(client, { model: next.id })).text, next.text);
      assert.equal((await worker.probe()).memories_bytes.length, before + 1, 'a fresh instance');

      for (const { engine, chunks } of streams) {
        let text = '';
        /** @type {any} */
        let error;
        try {
          for await (const { choices } of chunks) text += choices[0]?.delta.content ?? '';
        } catch (thrown) {
          error = thrown;
        }
        assert.equal(error?.code, 'internal_error', `${engine.id}: ${error}`);
        assert.ok(numberedWords(engine.name, WORDS).join('').startsWith(text), text);
        assert.ok(text.length > 0);
      }
      for (const { engine, answer } of whole) {
        const error = await answer;
        assert.ok(error instanceof InternalServerError, engine.id);
        assert.equal(error.code, 'internal_error');
      }
      while (upstream.open().length > 0) await turn();
      assert.equal((await worker.probe()).chats_open, 0);
    });
  }
});
