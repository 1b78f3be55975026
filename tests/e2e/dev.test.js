/**
 * `npm run dev` as somebody meets it who has just cloned: what it prints, that the README's request
 * works, that it can be killed and started again, and what it says when it cannot start.
 */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, describe, test } from 'node:test';
import { root } from '../../scripts/lib/machine.mjs';
import { Feed } from './support/feed.js';

const script = join(root, 'scripts/dev.mjs');

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();

/** @param {string[]} args @param {NodeJS.ProcessEnv} [env] */
function startDev(args, env = {}) {
  const child = spawn(process.execPath, [script, '--simulator', ...args], {
    cwd: root, env: { ...process.env, NODE_ENV: 'production', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  /** @type {Feed<string>} */
  const lines = new Feed();
  const ended = once(child, 'close').then(([code]) => {
    lines.push('(it ended)');
    running.delete(child);
    return /** @type {number | null} */ (code);
  });
  for (const input of [child.stdout, child.stderr]) {
    createInterface({ input }).on('line', (line) => lines.push(line));
  }
  return {
    child, ended, lines,
    text: () => lines.items.join('\n'),
    /** Its address, once all that it says at its start is there. */
    async ready() {
      await lines.find((line) => /^Any OpenAI client/.test(line) || line === '(it ended)');
      const url = /listens on (http:\S+)/.exec(lines.items.join('\n'))?.[1];
      assert.ok(url, lines.items.join('\n'));
      return url;
    },
  };
}

/** The request that it shows. @param {string} text */
async function askAsShown(text) {
  const [, url] = /curl -sN -D - (\S+)/.exec(text) ?? [];
  const [, type] = /-H 'content-type: ([^']+)'/.exec(text) ?? [];
  const [, body] = /-d '([^']+)'/.exec(text) ?? [];
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': type }, body });
  return { response, body: await response.text() };
}

/** @returns {Promise<import('node:net').Server>} that listens on 127.0.0.1 */
async function occupyPort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const portOf = (/** @type {import('node:net').Server} */ server) =>
  /** @type {import('node:net').AddressInfo} */ (server.address()).port;

/** It would read them, and ask for keys that nobody here has. */
const own = ['.dev.vars', '.env', '.env.local'].find((name) =>
  existsSync(join(root, name)) && /^SPILLWAY_/m.test(readFileSync(join(root, name), 'utf8')));
const skip = own === undefined ? false : `${own} sets what Spillway does`;

describe('npm run dev', { timeout: 120_000, skip }, () => {
  afterEach(() => { for (const child of running) child.kill('SIGKILL'); });

  test('says where it listens, that answers are simulated, and what to ask', async () => {
    const dev = startDev(['--port', '0']);
    await dev.ready();
    assert.match(dev.text(), /SIMULATED ANSWERS/);
    const { response, body } = await askAsShown(dev.text());
    assert.equal(response.status, 200);
    assert.match(response.headers.get('x-spillway-attempts') ?? '', /=rate_limited;.*=ok$/);
    assert.match(body, /"content":"/);
    assert.ok(body.endsWith('data: [DONE]\n\n'));
    const chat = await dev.lines.find((line) => line.startsWith('chat '));
    assert.match(chat, /^chat standard → sim-\S+: \d+ ms, .* rate_limited \d+ ms$/);
    dev.child.kill('SIGINT');
    assert.equal(await dev.ended, 130);
    assert.doesNotMatch(dev.text(), /wrangler|bindings|custom build|OPEN TO THE NETWORK|\{"event/);
  });

  test('prints all of it when asked to', async () => {
    const dev = startDev(['--port', '0', '--verbose']);
    const url = await dev.ready();
    await fetch(`${url}/v1/models`);
    await dev.lines.find((line) => /^\[wrangler:info\] GET \/v1\/models 200 OK/.test(line));
    await dev.lines.find((line) => /\{"event":"providers"/.test(line));
    dev.child.kill('SIGINT');
    await dev.ended;
    assert.match(dev.text(), /has access to the following bindings/);
  });

  test('starts again on its port after it was killed, and only once at a time', async () => {
    const server = await occupyPort();
    const port = String(portOf(server));
    server.close();
    const both = [startDev(['--port', port]), startDev(['--port', port])];
    const early = await Promise.race(both.map(async (dev) => {
      assert.equal(await dev.ended, 1);
      return dev;
    }));
    const first = both[early === both[0] ? 1 : 0];
    await first.ready();
    const late = startDev(['--port', port]);
    assert.equal(await late.ended, 1);
    for (const { text } of [early, late]) {
      assert.match(text(), new RegExp(
        `^error: npm run dev already runs in this tree, on port ${port} `
        + `\\(process ${first.child.pid}\\); .*--port ${Number(port) + 10}$`, 'm'));
    }
    first.child.kill('SIGKILL');
    await first.ended;
    // wrangler and its runtime need a moment to follow; until then the port is in use.
    for (;;) {
      const again = startDev(['--port', port]);
      await again.lines.find((line) => /^Any OpenAI client|^error: /.test(line));
      const inUse = /^error: port \d+ is in use/m.test(again.text());
      if (!inUse) assert.equal((await askAsShown(again.text())).response.status, 200);
      again.child.kill('SIGINT');
      await again.ended;
      if (!inUse) break;
    }
  });

  test('warns when the network can reach it and nothing says who may', async () => {
    const open = startDev(['--port', '0', '--ip', '0.0.0.0'], { SPILLWAY_KEYS: '' });
    await open.ready();
    assert.match(open.text(), /^OPEN TO THE NETWORK: on 0\.0\.0\.0 without SPILLWAY_KEYS, .*$/m);
    open.child.kill('SIGINT');
    await open.ended;
    const kept = startDev(['--port', '0', '--ip', '0.0.0.0'], { SPILLWAY_KEYS: 'one-key' });
    await kept.ready();
    assert.doesNotMatch(kept.text(), /OPEN TO THE NETWORK/);
    kept.child.kill('SIGINT');
    await kept.ended;
  });

  test('says in one line what is wrong with an option', async () => {
    const server = await occupyPort();
    const port = portOf(server);
    try {
      for (const [args, message] of /** @type {const} */ ([
        [['--port', 'abc'], /--port takes a number up to 65535, not "abc"/],
        [['--port=70000'], /--port takes a number up to 65535, not "70000"/],
        [['--port'], /--port takes a number up to 65535, not ""/],
        [['--ip', 'nowhere'], /--ip takes an address of this machine, .*, not "nowhere"/],
        [['--ip', '192.0.2.1'], /192\.0\.2\.1 is not an address of this machine/],
        [['--port', String(port)],
          new RegExp(`port ${port} is in use; take another with: .* --port ${port + 10}`)],
        [['--port', '0', '--frobnicate'], /Unknown argument: frobnicate/],
      ])) {
        const dev = startDev([...args]);
        assert.notEqual(await dev.ended, 0);
        const said = dev.lines.items.filter((line) => line !== '' && line !== '(it ended)');
        assert.equal(said.length, 1, dev.text());
        assert.match(said[0], message);
        assert.match(said[0], /^error: /);
      }
    } finally {
      server.close();
    }
  });

  test('shows what a refused configuration is refused for', async () => {
    const config = { providers: { acme: {
      dialect: 'telegraph', base_url: 'http://127.0.0.1:1', keys: ['ACME_API_KEY'],
    } } };
    const dev = startDev(['--port', '0'].concat(['--var',
      `SPILLWAY_CONFIG:${JSON.stringify(config)}`]));
    assert.notEqual(await dev.ended, 0);
    assert.match(dev.text(),
      /^error: configuration refused: providers\.acme\.dialect: expected one of .*"telegraph"$/m);
  });
});
