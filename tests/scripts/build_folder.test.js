/**
 * What an earlier run left of a build folder is used when it is whole, and made anew when it is
 * not: after a failed or interrupted configure, of another place, of other presets, cut off.
 */

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync, existsSync, readFileSync, readdirSync, rmSync, truncateSync, writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cmakeBuild } from '../../scripts/lib/cmake.mjs';
import { Stop } from '../../scripts/lib/terminal.mjs';
import { buildModule } from '../../scripts/lib/wasm.mjs';
import { makeTree } from './support/tree.js';

const script = fileURLToPath(new URL('support/build.mjs', import.meta.url));

describe('a build folder', () => {
  const tree = makeTree();
  const folder = join(tree.path, 'build/wasm');
  const inFolder = (/** @type {string} */ name) => join(folder, name);
  /** A file that nobody but a folder made anew removes. */
  const witness = inFolder('witness');
  const build = () => cmakeBuild('wasm', { tree: tree.path });
  const module = () => readFileSync(inFolder('spillway.wasm'));
  /** @type {Buffer<ArrayBuffer>} */
  let whole;

  /** Builds, and tells whether the folder was made anew. */
  async function buildTellingAnew() {
    writeFileSync(witness, '');
    await build();
    assert.ok(module().equals(whole), 'the same module as ever');
    return !existsSync(witness);
  }

  before(async () => {
    await build();
    whole = module();
    assert.ok(WebAssembly.validate(whole));
  });
  after(() => tree.remove());

  test('is used again', async () => {
    assert.equal(await buildTellingAnew(), false);
  });

  test('is made anew when its configure did not come to its end', async () => {
    rmSync(inFolder('configured'));
    assert.equal(await buildTellingAnew(), true);
  });

  test('is made anew after a configure that failed', async () => {
    rmSync(folder, { recursive: true });
    tree.write('build/wasm/CMakeCache.txt', 'CMAKE_AR:FILEPATH=/usr/bin/false\n'
      + 'CMAKE_HOME_DIRECTORY:INTERNAL=/nowhere\nCMAKE_CXX_COMPILER:FILEPATH=/usr/bin/false\n');
    tree.write('build/wasm/CMakeFiles/3.25.1/CMakeSystem.cmake', 'message(FATAL_ERROR "no")\n');
    assert.equal(await buildTellingAnew(), true);
  });

  test('is made anew when the tree was copied from another place', async () => {
    const copy = makeTree();
    try {
      rmSync(join(copy.path, 'build'), { recursive: true, force: true });
      cpSync(join(tree.path, 'build'), join(copy.path, 'build'), {
        recursive: true, preserveTimestamps: true,
      });
      await cmakeBuild('wasm', { tree: copy.path });
      const cache = readFileSync(join(copy.path, 'build/wasm/CMakeCache.txt'), 'utf8');
      assert.equal(/^CMAKE_HOME_DIRECTORY:INTERNAL=(.*)$/m.exec(cache)?.[1], copy.path);
      assert.ok(!cache.includes(tree.path));
    } finally {
      copy.remove();
    }
  });

  for (const name of ['CMakePresets.json', 'cmake/llvm-19.cmake', 'cmake/wasi.toolchain.cmake']) {
    test(`is made anew when ${name} changes`, async () => {
      const text = readFileSync(join(tree.path, name), 'utf8');
      tree.write(name, `${text}\n`);
      assert.equal(await buildTellingAnew(), true);
      assert.equal(await buildTellingAnew(), false);
      tree.write(name, text);
    });
  }

  const object = 'CMakeFiles/spillway_core.dir/src/answer.cpp.obj';
  for (const [name, share] of /** @type {const} */ ([
    ['CMakeCache.txt', 0.5], ['build.ninja', 0], ['build.ninja', 0.5],
    ['CMakeFiles/rules.ninja', 0.5], ['.ninja_log', 0.5], ['.ninja_deps', 0.5],
    ['generated/registry.inc', 0.5], [object, 0], [object, 0.5],
    ['spillway.linked.wasm', 0.5], ['spillway.small.wasm', 0.5],
    ['spillway.wasm', 0], ['spillway.wasm', 0.5],
  ])) {
    test(`works when ${name} was cut off at ${share * 100} %`, async () => {
      await build();
      truncateSync(inFolder(name), Math.floor(readFileSync(inFolder(name)).length * share));
      const made = await buildModule('wasi', tree.path);
      assert.ok(readFileSync(made).equals(whole));
      assert.equal(await buildTellingAnew(), false);
    });
  }

  test('works when its files were replaced by another project\'s', async () => {
    const cache = readFileSync(inFolder('CMakeCache.txt'), 'utf8');
    writeFileSync(inFolder('CMakeCache.txt'), cache.replaceAll(tree.path, '/nowhere'));
    assert.ok(readFileSync(await buildModule('wasi', tree.path)).equals(whole));
  });

  test('stays when a source is wrong, and the mistake is told', async () => {
    const source = readFileSync(join(tree.path, 'src/answer.cpp'), 'utf8');
    writeFileSync(witness, '');
    for (const [text, told] of /** @type {const} */ ([
      ['int answer() { return nothing_of_that_name; }\n', /answer\.cpp:1:\d+: error: .*nothing_of/],
      ['#include "answer.h"\nint other();\nint answer() { return other(); }\n',
        /undefined symbol: other\(\)/],
    ])) {
      tree.write('src/answer.cpp', text);
      await assert.rejects(build(), (error) => error instanceof Stop && told.test(error.message));
      assert.ok(existsSync(witness));
    }
    tree.write('src/answer.cpp', source);
    assert.equal(await buildTellingAnew(), false);
  });

  test('stays when the registry is wrong, and the mistake is told', async () => {
    const registry = readFileSync(join(tree.path, 'adapters/registry.json'), 'utf8');
    writeFileSync(witness, '');
    tree.write('adapters/registry.json', registry.replace('"openai_chat"', '"telegraph"'));
    await assert.rejects(build(), /telegraph/);
    assert.ok(existsSync(witness));
    tree.write('adapters/registry.json', registry);
    assert.equal(await buildTellingAnew(), false);
  });

  test('keeps what fuzzers found', async () => {
    const fuzz = join(tree.path, 'build/fuzz');
    tree.write('build/fuzz/corpus/answer/one', 'found');
    tree.write('build/fuzz/witness', '');
    await cmakeBuild('fuzz', { tree: tree.path });
    assert.equal(readFileSync(join(fuzz, 'corpus/answer/one'), 'utf8'), 'found');
    assert.ok(!existsSync(join(fuzz, 'witness')));
  });

  test('serves two at once', async () => {
    rmSync(folder, { recursive: true });
    const both = [1, 2].map(() => spawn(
      process.execPath, [script, tree.path, 'wasm'], { stdio: ['ignore', 'pipe', 'pipe'] }));
    const codes = await Promise.all(both.map(async (child) => (await once(child, 'close'))[0]));
    assert.deepEqual(codes, [0, 0]);
    assert.equal(await buildTellingAnew(), false);
  });

  for (const [signal, moments] of /** @type {const} */ ([
    ['SIGKILL', ['CMakeFiles', 'build.ninja', '.ninja_log', 'spillway.linked.wasm',
      'spillway.small.wasm']],
    ['SIGINT', ['CMakeFiles', '.ninja_log', 'spillway.small.wasm']],
  ])) {
    test(`works after a ${signal} as soon as a file is there: ${moments.join(', ')}`, async () => {
      for (const moment of moments) {
        rmSync(folder, { recursive: true, force: true });
        const child = spawn(process.execPath, [script, tree.path, 'wasm'], { stdio: 'ignore' });
        const ended = once(child, 'close');
        while (!existsSync(inFolder(moment)) && child.exitCode === null) {
          await new Promise((resolve) => { setTimeout(resolve, 1); });
        }
        child.kill(signal);
        await ended;
        await build();
        assert.ok(module().equals(whole), moment);
      }
      // Nothing that was killed builds on.
      const lock = join(tree.path, 'build/locks/wasm');
      assert.equal(spawnSync('flock', ['--nonblock', lock, 'true']).status, 0);
    });
  }

  test('nothing unfinished is left', () => {
    assert.deepEqual(readdirSync(folder).filter((name) => name.includes('unfinished')), []);
  });
});
