// Every tests/cases/**/*.case through the built modules, as a JavaScript host sees them: see
// docs/TESTING.md. SPILLWAY_WASM names one module; without it both are tested.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  canonical, caseFiles, compact, holds, readCase, visible,
} from './case_file.js';
import { CaseHost } from './case_host.js';

/** @import { Case, Section } from './case_file.js' */
/** @import { ChatRun, Chunking } from './case_host.js' */

const SPLITS = 5;
const USUAL_HEADERS = [
  'x-request-id', 'cache-control', 'server-timing', 'access-control-allow-origin',
  'access-control-expose-headers',
];

const dist = fileURLToPath(new URL('../../dist/', import.meta.url));
const modules = process.env.SPILLWAY_WASM
  ? [process.env.SPILLWAY_WASM]
  : [`${dist}spillway.wasm`, `${dist}spillway.emscripten.wasm`];

/** @param {ChatRun['requests'][number]} request */
function requestText({ head, body }) {
  const headers = Object.entries(head.headers).filter(([name]) => name !== 'content-type');
  const lines = headers.map(([name, value]) => `${name}: ${value}\n`);
  return `${head.method} ${head.url}\n${lines.join('')}\n${visible(body)}\n`;
}

/** @param {ChatRun} run @param {boolean} allHeaders */
function responseText({ status, headers, body, spliced, left }, allHeaders) {
  if (!status) return left ? 'no response, the client left\n' : 'no response\n';
  const shown = Object.entries(headers)
    .filter(([name]) => allHeaders || !USUAL_HEADERS.includes(name));
  const lines = shown.map(([name, value]) => `${name}: ${value}\n`);
  const state = `${spliced ? ', spliced' : ''}${left ? ', the client left' : ''}`;
  const stream = headers['content-type']?.startsWith('text/event-stream');
  const text = stream ? body : compact(body);
  return `HTTP ${status}${state}\n${lines.join('')}\n${visible(text)}\n`;
}

/**
 * Its first line, and what is below its headers.
 * @param {string} text
 * @returns {[string, string]}
 */
function split(text) {
  return [text.slice(0, text.indexOf('\n')), text.slice(text.indexOf('\n\n'))];
}

/** @param {Section} expected @param {string} actual @param {string} message */
function compare(expected, actual, message) {
  if (expected.modifiers.has('has')) {
    const [status, part] = split(expected.text);
    const [actualStatus, whole] = split(actual);
    assert.equal(actualStatus, status, message);
    assert.ok(holds(JSON.parse(whole), JSON.parse(part)), `${message}: ${actual}`);
  } else {
    assert.equal(canonical(actual), canonical(expected.text), message);
  }
}

/** @param {CaseHost} host @param {Case} wanted @param {Chunking} chunking @param {string} how */
function check(host, wanted, chunking, how) {
  const refused = host.configure(wanted);
  if (wanted.refused !== undefined) {
    const { path, message } = JSON.parse(host.lines.at(-1) ?? '{}');
    assert.equal(refused, 1);
    assert.equal(`${path}: ${message}`, wanted.refused);
    return;
  }
  assert.equal(refused, 0, host.lines.at(-1));
  host.play(wanted, chunking).forEach((run, chat) => {
    const { requests, response } = wanted.calls[chat];
    const place = `${how}, chat ${chat + 1}`;
    assert.equal(run.requests.length, requests.length, `${place}: upstream requests`);
    run.requests.forEach((request, index) => {
      compare(requests[index], requestText(request), `${place}, upstream request ${index + 1}`);
    });
    assert.ok(response, 'the case has a client response');
    compare(response, responseText(run, response.modifiers.has('all headers')), place);
  });
}

/** Cuts every burst once, somewhere. @param {number} seed @returns {Chunking} */
function splitChunking(seed) {
  let state = seed;
  return (bytes) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const at = Math.floor(state / 2 ** 32 * bytes.length);
    return [bytes.slice(0, at), bytes.slice(at)];
  };
}

for (const path of modules) {
  describe(basename(path), () => {
    const missing = !existsSync(path);
    test('is built', () => assert.ok(!missing, `${path} is missing: npm run build`));
    if (missing) return;
    const module = new WebAssembly.Module(readFileSync(path));

    test('imports the host functions and nothing else', () => {
      const imports = WebAssembly.Module.imports(module)
        .map(({ module: from, name }) => `${from}.${name}`);
      assert.deepEqual(imports.sort(), ['cancel', 'end', 'fetch', 'gather', 'log', 'read',
        'respond', 'splice', 'wake', 'write'].map((name) => `host.${name}`));
    });

    test('exports the functions of the ABI', () => {
      const exports = WebAssembly.Module.exports(module).map(({ name }) => name);
      for (const name of ['memory', 'abi_version', 'input', 'configure', 'log_providers', 'open',
        'on_body', 'on_response', 'on_chunk', 'on_end', 'on_error', 'on_wake', 'close']) {
        assert.ok(exports.includes(name), name);
      }
    });

    const host = new CaseHost(module);
    for (const file of caseFiles()) {
      test(file, () => {
        const wanted = readCase(file);
        check(host, wanted, (bytes) => [bytes], 'whole');
        if (wanted.calls.every(({ answers }) => answers.length === 0)) return;
        check(host, wanted, (bytes) => [...bytes], 'byte by byte');
        for (let seed = 1; seed <= SPLITS; ++seed) {
          check(host, wanted, splitChunking(seed), `split ${seed}`);
        }
      });
    }
  });
}
