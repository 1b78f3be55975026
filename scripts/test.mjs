/**
 * Everything that must hold: `npm test`.
 *
 *   npm test                      all stages
 *   npm test -- --only native     one stage (comma-separated: several)
 *
 * Rules: set-up is included; every stage runs even when an earlier one failed, unless it needs what
 * that one makes; one line per stage, the whole output of a stage only when it failed; the test
 * runners' own closing lines come last. Exit code 0 when nothing failed.
 */

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { checkFormat, checkTidy, checkTypes, filesIn } from './lib/checks.mjs';
import { cmakeBuild } from './lib/cmake.mjs';
import { fuzz, fuzzers } from './lib/fuzz.mjs';
import {
  ensureModules, offlineEnvironment, pinnedNode, root, systemNode,
} from './lib/machine.mjs';
import { ensurePackages } from './lib/packages.mjs';
import { run } from './lib/process.mjs';
import {
  Stop, bold, dim, green, red, runMain, say, secondsSince, yellow,
} from './lib/terminal.mjs';
import { tools } from './lib/tools.mjs';
import { buildModule, describeSize, modules, writeConfig } from './lib/wasm.mjs';

const logs = join(root, 'build/test-logs');
/** The same inputs in each fresh clone: what is found by chance is for `npm run fuzz`. */
const kFuzzSeed = 1;
const kFuzzSeconds = Number(process.env.SPILLWAY_FUZZ_SECONDS ?? 10);
const kShards = Math.max(2, availableParallelism());
const kTestTimeoutMs = 120_000;
/** More is `npm run sim`. */
const kSimulationSeeds = 20_000;
const kEndToEndTimeoutMs = 300_000;

/** The runners' closing lines, in the order of the stages. @type {string[]} */
const closing = [];

/**
 * A stage says what it did, or throws Stop. `needs` names stages that must not have failed.
 * @typedef {{ name: string, about: string, needs?: string[], work: () => Promise<string> }} Stage
 * @type {Stage[]}
 */
const stages = [
  { name: 'format', about: 'clang-format; layout of JavaScript', work: checkFormat },
  { name: 'types', about: 'tsc --checkJs --strict', work: checkTypes },
  { name: 'native', about: 'GoogleTest under ASan and UBSan', work: testNative },
  { name: 'wasi', about: 'dist/spillway.wasm (clang)', work: () => makeModule('wasi') },
  {
    name: 'emscripten', about: 'dist/spillway.emscripten.wasm',
    work: () => makeModule('emscripten'),
  },
  { name: 'tidy', about: 'clang-tidy', needs: ['native', 'wasi'], work: checkTidy },
  { name: 'sim', about: `${kSimulationSeeds} seeds of the simulation`, work: simulate },
  { name: 'fuzz', about: `each fuzzer for ${kFuzzSeconds} s`, work: fuzzAll },
  {
    name: 'js', about: 'tests/js on dist/spillway.wasm', needs: ['wasi'],
    work: () => testJavaScript('wasi'),
  },
  {
    name: 'js-emscripten', about: 'tests/js on dist/spillway.emscripten.wasm',
    needs: ['emscripten'], work: () => testJavaScript('emscripten'),
  },
  { name: 'scripts', about: 'tests/scripts: tools, build folders, processes', work: testScripts },
  { name: 'e2e', about: 'tests/e2e on the pinned Node', needs: ['wasi'], work: testEndToEnd },
  { name: 'attack', about: 'attacks on a real worker', needs: ['wasi'], work: attack },
];

// --- native -------------------------------------------------------------------------------------

async function testNative() {
  const folder = await cmakeBuild('native');
  const program = join(folder, 'spillway_tests');
  if (filesIn(['tests'], /_test\.cpp$/).length === 0) return '0 files';
  const results = await Promise.all(Array.from({ length: kShards }, (_, shard) => run(
    program, [],
    {
      cwd: root,
      label: shard === 0 ? 'GoogleTest' : undefined,
      env: {
        ...process.env,
        GTEST_TOTAL_SHARDS: String(kShards),
        GTEST_SHARD_INDEX: String(shard),
        ASAN_SYMBOLIZER_PATH: tools.symbolizer,
      },
    },
  )));
  const wrong = results.filter(({ code }) => code !== 0).map(({ output }) => failedTests(output));
  closing.push('GoogleTest, native', ...results.flatMap(({ output }) =>
    output.split('\n').filter((line) => /^\[ +(PASSED|FAILED|SKIPPED) +\] \d+ test/.test(line))));
  if (wrong.length > 0) throw new Stop(wrong.join('\n'));
  const ran = results.map(({ output }) => count(output, /\[=+\] (\d+) tests? from .* ran\./))
    .reduce((sum, shard) => sum + shard);
  if (ran === 0) throw new Stop('GoogleTest found no tests, though there are tests/*_test.cpp');
  return `${ran} tests in ${kShards} processes`;
}

/** GoogleTest's output without the tests that passed. @param {string} output */
function failedTests(output) {
  return output.split('\n').filter((line) => !/^\[( RUN| {7}OK|-+) /.test(line)).join('\n').trim();
}

/** @param {string} text @param {RegExp} pattern */
function count(text, pattern) {
  return Number(pattern.exec(text)?.[1] ?? 0);
}

async function simulate() {
  const program = join(await cmakeBuild('release', { target: 'spillway_sim' }), 'spillway_sim');
  const { code, output } = await run(
    program, ['--seeds', String(kSimulationSeeds), '--brief'], { cwd: root, label: 'sim' },
  );
  if (code !== 0) throw new Stop(output.trim());
  return `${kSimulationSeeds} seeds`;
}

async function fuzzAll() {
  if (kFuzzSeconds === 0) return '0 fuzzers';
  const all = await fuzz(fuzzers, kFuzzSeconds, { seed: kFuzzSeed });
  const failures = all.flatMap(({ failure }) => failure ?? []);
  if (failures.length > 0) throw new Stop(failures.join('\n\n'));
  return `${fuzzers.length} fuzzers, ${kFuzzSeconds} s each`;
}

// --- wasm and JavaScript ------------------------------------------------------------------------

/** @param {keyof typeof modules} toolchain */
async function makeModule(toolchain) {
  return describeSize(await buildModule(toolchain));
}

/** @param {keyof typeof modules} toolchain */
async function testJavaScript(toolchain) {
  const wasm = join(root, 'dist', modules[toolchain].file);
  return testWithNode(systemNode(), `tests/js on dist/${modules[toolchain].file}`, 'tests/js', {
    timeoutMs: kTestTimeoutMs, concurrency: availableParallelism(), env: { SPILLWAY_WASM: wasm },
  });
}

function testScripts() {
  return testWithNode(systemNode(), 'tests/scripts', 'tests/scripts', {
    // One file at a time: each builds on all cores.
    timeoutMs: kEndToEndTimeoutMs, concurrency: 1, env: {},
  });
}

function testEndToEnd() {
  const node = pinnedNode();
  return testWithNode(node, 'tests/e2e', 'tests/e2e', {
    // One file at a time: each starts servers and measures time.
    timeoutMs: kEndToEndTimeoutMs, concurrency: 1,
    env: {
      ...offlineEnvironment(),
      PATH: `${dirname(node)}${delimiter}${process.env.PATH ?? ''}`,
      SPILLWAY_WASM: join(root, 'dist', modules.wasi.file),
    },
  });
}

async function attack() {
  writeConfig();
  const { code, output } = await run(
    pinnedNode(), [join(root, 'tests/attack/attack.mjs')], { cwd: root, label: 'attack' },
  );
  const passed = count(output, /^(\d+) passed/m);
  closing.push('Attacks, tests/attack', /^\d+ passed, \d+ failed/m.exec(output)?.[0] ?? 'none ran');
  if (code !== 0 || passed === 0) throw new Stop(output.trim());
  return `${passed} attacks held`;
}

/**
 * @param {string} node @param {string} title @param {string} folder
 * @param {{ timeoutMs: number, concurrency: number, env: NodeJS.ProcessEnv }} options
 */
async function testWithNode(node, title, folder, { timeoutMs, concurrency, env }) {
  const files = filesIn([folder], /\.test\.js$/);
  if (files.length === 0) return '0 files';
  writeConfig();
  mkdirSync(logs, { recursive: true });
  const tap = join(logs, `${title.replaceAll(/[^\w.]+/g, '-')}.tap`);
  rmSync(tap, { force: true });
  const { code, output } = await run(node, [
    '--test', `--test-timeout=${timeoutMs}`, `--test-concurrency=${concurrency}`,
    '--test-reporter=spec', '--test-reporter-destination=stdout',
    '--test-reporter=tap', `--test-reporter-destination=${tap}`, ...files,
  ], { cwd: root, env: { ...process.env, ...env, NODE_TEST_CONTEXT: undefined }, label: title });
  const report = existsSync(tap) ? readFileSync(tap, 'utf8') : '';
  closing.push(`Node's test runner, ${title}`, ...report.split('\n').filter(
    (line) => /^# (tests|pass|fail|cancelled|skipped) /.test(line),
  ));
  if (code !== 0) {
    // The spec reporter repeats every failure, with its stack, at the end.
    const failures = output.indexOf('failing tests:');
    throw new Stop(failures < 0 ? output.trim() : output.slice(failures).trim());
  }
  if (count(report, /^# tests (\d+)/m) === 0) throw new Stop(`${folder} ran no tests`);
  return `${count(report, /^# tests (\d+)/m)} tests in ${files.length} files`
    + `, ${count(report, /^# skipped (\d+)/m)} skipped`;
}

// --- all of it ----------------------------------------------------------------------------------

const usage = `usage: npm test [-- --only STAGE[,STAGE…]]

Stages:
${stages.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`).join('\n')}

SPILLWAY_FUZZ_SECONDS=N   how long each fuzzer runs (default 10, 0: not at all)`;

/** @param {string[]} args @returns {Stage[]} */
function chosenStages(args) {
  if (args.length === 0) return stages;
  const names = args[0] === '--only' ? args.slice(1).flatMap((arg) => arg.split(','))
    : args[0].startsWith('--only=') ? args[0].slice('--only='.length).split(',') : [];
  const unknown = names.length === 0 ? args[0]
    : names.find((name) => !stages.some((stage) => stage.name === name));
  if (unknown !== undefined) throw new Stop(`unknown: ${unknown}; see npm test -- --help`);
  return stages.filter((stage) => names.includes(stage.name));
}

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    say(usage);
    return 0;
  }
  const chosen = chosenStages(args);
  const start = performance.now();
  await ensurePackages('wasm', 'emscripten', 'native', 'lint');
  await ensureModules();
  say(`${green('ok')}    ${bold('set-up'.padEnd(14))} ${secondsSince(start)}`);

  /** @type {Set<string>} */
  const failed = new Set();
  for (const { name, needs = [], work } of chosen) {
    const title = bold(name.padEnd(14));
    const blocker = needs.find((need) => failed.has(need));
    if (blocker !== undefined) {
      failed.add(name);
      say(`${yellow('skip')}  ${title} ${blocker} failed`);
      continue;
    }
    const stageStart = performance.now();
    try {
      const did = await work();
      say(`${green('ok')}    ${title} ${did} ${dim(`(${secondsSince(stageStart)})`)}`);
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      failed.add(name);
      say(`\n${error.message}\n\n${red('FAIL')}  ${title} ${dim(`(${secondsSince(stageStart)})`)}`);
    }
  }
  const verdict = failed.size === 0 ? green('all stages passed')
    : red(`failed: ${[...failed].join(', ')}`);
  say(`\n${verdict}, ${secondsSince(start)}\n`);
  for (const line of closing) say(line);
  return failed.size === 0 ? 0 : 1;
});
