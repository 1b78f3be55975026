/**
 * A build uses the tools that are named, and nothing of what else is on PATH or in the environment:
 * every preset is built in a poisoned one.
 */

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cmakeBuild } from '../../scripts/lib/cmake.mjs';
import { systemNode } from '../../scripts/lib/machine.mjs';
import { toolEnvironment, tools } from '../../scripts/lib/tools.mjs';
import { makeTree } from './support/tree.js';

const PROGRAMS = `ar ranlib nm ld strip objcopy objdump readelf addr2line as cc c++ gcc g++ cpp
  clang clang++ clang-19 clang++-19 clang++-14 llvm-ar llvm-ar-19 llvm-ranlib llvm-nm llvm-strip
  llvm-objcopy llvm-objdump llvm-readelf llvm-addr2line lld ld.lld ld.lld-19 wasm-ld wasm-ld-19
  wasm-opt em++ emcc emar emranlib python3 python ccache distcc cmake ninja make node sh env
  git pkg-config`.split(/\s+/);

const scratch = mkdtempSync(join(tmpdir(), 'spillway-poison-'));
const called = join(scratch, 'called');
const script = fileURLToPath(new URL('support/build.mjs', import.meta.url));

/** An environment in which everything fails that can be made to fail. */
function poisonedEnvironment() {
  const bin = join(scratch, 'bin');
  const include = join(scratch, 'include');
  mkdirSync(join(include, 'gtest'), { recursive: true });
  mkdirSync(join(include, 'nlohmann'), { recursive: true });
  mkdirSync(bin, { recursive: true });
  for (const name of PROGRAMS) {
    writeFileSync(join(bin, name), `#!/bin/sh\necho "${name} $*" >> "${called}"\nexit 1\n`);
    chmodSync(join(bin, name), 0o755);
  }
  for (const name of ['array', 'gtest/gtest.h', 'nlohmann/json.hpp']) {
    writeFileSync(join(include, name), '#error "a header that nobody named"\n');
  }
  writeFileSync(join(include, 'json.py'), 'raise SystemExit("a module that nobody named")\n');
  const nowhere = join(scratch, 'nowhere');
  const flags = '--flag-that-nobody-knows';
  return {
    ...process.env,
    PATH: `${bin}${delimiter}${process.env.PATH}`,
    HOME: scratch,
    AR: join(bin, 'ar'), AS: join(bin, 'as'), CC: join(bin, 'cc'), CXX: join(bin, 'c++'),
    LD: join(bin, 'ld'), NM: join(bin, 'nm'), RANLIB: join(bin, 'ranlib'),
    STRIP: join(bin, 'strip'), OBJCOPY: join(bin, 'objcopy'),
    CFLAGS: flags, CXXFLAGS: flags, CPPFLAGS: flags, LDFLAGS: flags,
    CCC_OVERRIDE_OPTIONS: `+${flags}`,
    CPATH: include, C_INCLUDE_PATH: include, CPLUS_INCLUDE_PATH: include, LIBRARY_PATH: nowhere,
    COMPILER_PATH: bin, GCC_EXEC_PREFIX: `${bin}/`, SDKROOT: nowhere, WASI_SDK_PATH: nowhere,
    SOURCE_DATE_EPOCH: 'never', ZERO_AR_DATE: 'never',
    CMAKE_GENERATOR: 'Unix Makefiles', CMAKE_TOOLCHAIN_FILE: nowhere, CMAKE_BUILD_TYPE: 'Debug',
    CMAKE_CXX_COMPILER_LAUNCHER: 'ccache', CMAKE_CXX_LINKER_LAUNCHER: 'ccache',
    CMAKE_PREFIX_PATH: nowhere, CMAKE_INCLUDE_PATH: include, CMAKE_PROGRAM_PATH: bin,
    CMAKE_EXPORT_COMPILE_COMMANDS: 'OFF', CMAKE_BUILD_PARALLEL_LEVEL: 'many',
    CMAKE_CONFIGURATION_TYPES: 'None', GTest_DIR: nowhere, GTest_ROOT: nowhere, GTEST_ROOT: nowhere,
    nlohmann_json_DIR: nowhere, nlohmann_json_ROOT: nowhere,
    EM_CONFIG: nowhere, EM_CACHE: nowhere, EM_LLVM_ROOT: bin, EM_BINARYEN_ROOT: nowhere,
    EM_NODE_JS: join(bin, 'node'), EM_COMPILER_WRAPPER: 'ccache', EMCC_CFLAGS: flags,
    EMCC_DEBUG: 'much', EMCC_STRICT: 'very', EMSDK_PYTHON: join(bin, 'python3'),
    PYTHONPATH: include, PYTHONHOME: nowhere, PYTHONSTARTUP: nowhere,
    NINJA_STATUS: '%z ', MAKEFLAGS: '--no-such-flag', DESTDIR: nowhere, TMPDIR: nowhere,
  };
}

/** @param {string} tree @param {NodeJS.ProcessEnv} env @param {string[]} presets */
function build(tree, env, ...presets) {
  return spawnSync(process.execPath, [script, tree, ...presets], { env, encoding: 'utf8' });
}

describe('a poisoned environment', () => {
  const env = poisonedEnvironment();
  const tree = makeTree();
  before(() => rmSync(called, { force: true }));
  after(() => {
    tree.remove();
    rmSync(scratch, { recursive: true, force: true });
  });

  test('is poisoned: without care a compiler fails in it, and so does a program', () => {
    const source = join(tree.path, 'src/answer.cpp');
    const compile = (/** @type {NodeJS.ProcessEnv} */ given) => spawnSync(
      tools.clang, ['-fsyntax-only', source], { env: given, encoding: 'utf8' });
    assert.equal(compile(toolEnvironment()).status, 0);
    assert.match(compile(env).stderr, /flag-that-nobody-knows/);
    assert.match(compile({ CPATH: env.CPATH }).stderr, /header that nobody named/);
    assert.equal(spawnSync('ar', ['--version'], { env }).status, 1);
    assert.equal(readFileSync(called, 'utf8'), 'ar --version\n');
    rmSync(called);
  });

  /** @type {[string, string, RegExp][]} */
  const builds = [
    ['wasm', 'spillway.wasm', /^\/usr\/bin\/(clang\+\+|llvm-\w+|wasm-ld)-19$/],
    [
      'wasm-emscripten', 'spillway.wasm',
      /^\/usr\/bin\/(em(\+\+|ar|ranlib)|(llvm-\w+|wasm-ld)-14)$/,
    ],
    ['native', 'spillway_tests', /^\/usr\/bin\/(clang\+\+|llvm-\w+|ld\.lld)-19$/],
    ['release', 'spillway_tests', /^\/usr\/bin\/(clang\+\+|llvm-\w+|ld\.lld)-19$/],
    ['fuzz', 'fuzz_answer', /^\/usr\/bin\/(clang\+\+|llvm-\w+|ld\.lld)-19$/],
  ];
  for (const [preset, product, named] of builds) {
    test(`${preset} is built with its own tools`, () => {
      const { status, stdout, stderr } = build(tree.path, env, preset);
      assert.equal(status, 0, `${stdout}\n${stderr}`);
      assert.ok(!existsSync(called), 'nothing that PATH offers was called');
      const folder = join(tree.path, 'build', preset);
      assert.ok(existsSync(join(folder, product)));

      const cache = readFileSync(join(folder, 'CMakeCache.txt'), 'utf8');
      const found = new Map([...cache.matchAll(/^(\w+):\w+=(\/.*)$/gm)].map(([, name, path]) =>
        /** @type {const} */ ([name, path])));
      for (const name of ['AR', 'RANLIB', 'NM', 'STRIP', 'OBJCOPY', 'LINKER', 'CXX_COMPILER_AR']) {
        assert.match(found.get(`CMAKE_${name}`) ?? '', named, name);
      }
      assert.equal(found.get('CMAKE_MAKE_PROGRAM'), tools.ninja);
      // Every program that a step of the build starts.
      const steps = spawnSync(
        tools.ninja, ['-C', folder, '-t', 'commands'],
        { env: toolEnvironment(), encoding: 'utf8' },
      );
      const started = steps.stdout.split(/ && |\n/).map((step) => step.trim().split(' ')[0]);
      assert.ok(started.some((program) => named.test(program)), started.join(' '));
      const others = ['', ':', 'cd', tools.cmake, '/usr/bin/wasm-opt', systemNode()];
      assert.deepEqual(started.filter((program) =>
        !named.test(program) && !others.includes(program)), []);
    });
  }

  test('the module has the bytes that a clean environment gives it', async () => {
    const poisoned = readFileSync(join(tree.path, 'build/wasm/spillway.wasm'));
    const folder = await cmakeBuild('wasm', { tree: tree.path, anew: true });
    assert.ok(readFileSync(join(folder, 'spillway.wasm')).equals(poisoned));
    const { instance } = await WebAssembly.instantiate(poisoned);
    assert.equal(/** @type {any} */ (instance.exports).answer(), 42);
  });
});
