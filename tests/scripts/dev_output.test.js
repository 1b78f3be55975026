/** What `npm run dev` makes of wrangler's output: samples as wrangler 4.164 prints them. */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DevOutput } from '../../scripts/lib/dev_output.mjs';

const MARK = { warning: '\x1b[33m▲ \x1b[43;33m[\x1b[43;30mWARNING\x1b[43;33m]\x1b[0m \x1b[1m',
  error: '\x1b[31m✘ \x1b[41;31m[\x1b[41;97mERROR\x1b[41;31m]\x1b[0m \x1b[1m' };

/** @param {string} text */
function shown(text) {
  /** @type {string[]} */
  const urls = [];
  const output = new DevOutput((url) => urls.push(url));
  const lines = text.split('\n').flatMap((line) => output.take(line));
  return { text: lines.join('\n').trim(), urls };
}

describe('what npm run dev shows', () => {
  test('nothing of how wrangler is doing, but where it listens', () => {
    const { text, urls } = shown(`
 ⛅️ wrangler 4.164.0
────────────────────
[custom build] Running: node scripts/build.mjs --wasi-only
Using secrets defined in ../../tmp/spillway-dev-1/env
Your Worker has access to the following bindings:
Binding                               Resource                  Mode
env.SPILLWAY_CONFIG ("(hidden)")      Environment Variable      local

⎔ Starting local server...
[wrangler:info] Ready on http://127.0.0.1:8787
[wrangler:info] GET /health 200 OK (320ms)
[wrangler:info] POST /v1/chat/completions 200 OK (42ms)
⎔ Reloading local server...
⎔ Local server updated and ready
🪵  Logs were written to "/root/.config/.wrangler/logs/wrangler-1.log"`);
    assert.equal(text, '');
    assert.deepEqual(urls, ['http://127.0.0.1:8787']);
  });

  test('a chat in one line', () => {
    assert.equal(shown(JSON.stringify({
      event: 'chat', outcome: 'completed', request_id: '0', 'gen_ai.request.model': 'standard',
      engine: 'sim-anthropic:steady', stream: true, attempts: [
        { engine: 'sim-openai:unstable', outcome: 'rate_limited', ms: 22, status: 429 },
        { engine: 'sim-anthropic:steady', outcome: 'ok', ms: 10, status: 200 },
      ],
      time_to_first_content_ms: 32, total_ms: 571, 'gen_ai.usage.input_tokens': 1,
      'gen_ai.usage.output_tokens': 28, cost_usd: 0.000141,
    })).text, 'chat standard → sim-anthropic:steady: 571 ms, first token 32 ms, '
      + '1 tokens in, 28 out, $0.000141, after sim-openai:unstable rate_limited 22 ms');
  });

  test('a chat that failed, with its reason', () => {
    const event = {
      event: 'chat', outcome: 'failed', 'gen_ai.request.model': 'bulk', total_ms: 5,
      attempts: [{ engine: 'a:b', outcome: 'auth', ms: 4 }],
      'error.type': 'no_engine', reason: 'all refused',
    };
    const line = 'chat bulk → nobody: failed (no_engine: all refused), 5 ms, after a:b auth 4 ms';
    for (const mark of [MARK.warning, MARK.error]) {
      assert.equal(shown(`${mark}${JSON.stringify(event)}\x1b[0m\n\n\n`).text, line);
    }
    assert.equal(shown(JSON.stringify({ ...event, outcome: 'client_closed' })).text,
      line.replace('failed', 'the client left'));
  });

  test('the providers, and events that nobody knows', () => {
    assert.equal(shown(`${MARK.warning}{"event":"providers","ready":["groq","xai"],`
      + '"skipped":{"openai":"set OPENAI_API_KEY"}}\x1b[0m\n\n').text,
    'providers ready: groq, xai (1 others have no key)');
    assert.equal(shown('{"event":"new","field":1}').text, '{"event":"new","field":1}');
    assert.equal(shown('{"event":"chat", cut off').text, '{"event":"chat", cut off');
  });

  test('a configuration that is refused, once', () => {
    const refused = 'providers.acme.dialect: expected one of openai_chat, got "telegraph"';
    assert.equal(shown(`${MARK.error}service core:user:spillway: Uncaught Error: `
      + `SpillwayConfigError: ${refused}\x1b[0m

    at null.<anonymous> (index.js:3:2074) in we



${MARK.error}The Workers runtime failed to start. There was likely a problem.\x1b[0m

  Runtime stderr:
  {"timestamp":"1796080469388","level":"error","message":"service core:user:spillway: …"}


\x1b[32mIf you think this is a bug then please create an issue at https://github.com/x\x1b[0m
`).text, `error: configuration refused: ${refused}`);
  });

  test('a runtime that does not start for another reason, with what it said', () => {
    const { text } = shown(`${MARK.error}The Workers runtime failed to start.\x1b[0m\n\n`
      + '  Runtime stderr:\n  no such file\n');
    assert.equal(text,
      'error: The Workers runtime failed to start.\n\n  Runtime stderr:\n  no such file');
  });

  test('where the Worker does not compile', () => {
    const { text } = shown(`${MARK.error}Build failed with 1 error:\x1b[0m

  ${MARK.error}Unexpected ";"\x1b[0m

      worker/index.js:21:10:
  \x1b[37m      21 │ const x = \x1b[32m;\x1b[37m
           ╵           \x1b[32m^\x1b[0m
`);
    assert.match(text, /^error: Build failed with 1 error:$/m);
    assert.match(text, /^ {2}✘ \[ERROR\] Unexpected ";"$/m);
    assert.match(text, /^ {6}worker\/index\.js:21:10:\n {8}21 │ const x = ;$/m);
  });

  test('an exception, without the frames of wrangler\'s own', () => {
    assert.equal(shown(`[wrangler:error] Error: boom
    at Object.fetch (file:///tree/worker/index.js:7:112)
    at next (file:///tree/node_modules/wrangler/templates/middleware/common.ts:53:9)
[wrangler:info] GET /boom 500 Internal Server Error (45ms)`).text,
    'Error: boom\n    at Object.fetch (file:///tree/worker/index.js:7:112)');
  });

  test('a build that fails while it serves: what the build says, and no dump of a process', () => {
    assert.equal(shown(`The file src/pace.cpp changed, restarting build...
[custom build] Running: node scripts/build.mjs --wasi-only
[custom build] error: build wasm failed
[custom build] src/pace.cpp:52:14: error: use of undeclared identifier 'nothing_there'
[custom build]    52 | int broken = nothing_there;
[custom build] ${''}
${MARK.error}k [Error]: Process exited with non-zero status (1)\x1b[0m

      at I2._waitForOutput (/tree/node_modules/wrangler/wrangler-dist/cli.js:164358:98) {
    result: I {
      _process: ChildProcess {
    output: {
      exitCode: 1
    }
  }


${MARK.error}Running custom build \`node scripts/build.mjs\` failed. There are more.\x1b[0m


`).text, `The file src/pace.cpp changed, restarting build...
error: build wasm failed
src/pace.cpp:52:14: error: use of undeclared identifier 'nothing_there'
   52 | int broken = nothing_there;

What was built before goes on answering.`);
  });

  test('an option that wrangler does not know, without all those it does', () => {
    assert.equal(shown(`${MARK.error}Unknown argument: frobnicate\x1b[0m\n\n`).text,
      'error: Unknown argument: frobnicate');
    const help = '\n\nwrangler dev [script]\n\n👂 Start a local server\n\nPOSITIONALS';
    assert.equal(shown(help).text, '');
  });

  test('warnings that nobody listed, and what the Worker prints itself', () => {
    const warning = `${MARK.warning}something is old\x1b[0m\n\n  use the new`;
    assert.equal(shown(`a line\n${warning}\n\n\nend`).text,
      'a line\nsomething is old\n\n  use the new\n\nend');
  });
});
