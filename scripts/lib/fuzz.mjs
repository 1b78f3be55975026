/**
 * The fuzzers (tests/fuzz): where their inputs come from, and one run of one of them.
 *
 * Rules: what a run finds stays in build/fuzz/corpus, so that the next one goes on from there;
 * recordings beside the repository become seeds in build/fuzz/seeds and are never copied elsewhere;
 * a failure tells the file that shows it and the command that replays it.
 */

import {
  existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative } from 'node:path';
import { filesIn } from './checks.mjs';
import { cmakeBuild } from './cmake.mjs';
import { root } from './machine.mjs';
import { run } from './process.mjs';
import { tools } from './tools.mjs';

/** Longer inputs make fewer runs; streams of a few events are as good. */
const kInputBytesMax = 4096;
const kRunSecondsMax = 10;

export const fuzzers = filesIn(['tests/fuzz'], /\.cpp$/).map((path) => basename(path, '.cpp'));

// --- seeds from recordings ----------------------------------------------------------------------

/** What a line of the recordings' manifest says. @typedef {{ file: string, api: string,
 * kind: string, request?: string }} Recording */

/** The decoder that reads an API's answers. @param {string} api */
function decoderOf(api) {
  if (api === 'chat') return 'openai_chat';
  if (api === 'messages' || api.startsWith('rawpredict')) return 'anthropic';
  return api === 'generate' || api === 'generate-stream' ? 'gemini' : undefined;
}

/**
 * The recordings that a fuzzer can begin with: file, and the choices in front of it (each fuzzer's
 * opening comment says what they mean).
 * @param {string} name @param {Recording} recording @returns {[string, number[]] | undefined}
 */
function seedOf(name, { file, api, kind, request }) {
  const isStream = kind === 'sse' || kind === 'ndjson';
  if (name === decoderOf(api)) return [file, [isStream ? 0 : 1, 1, 0]];
  if (name === 'refusal' && kind === 'error') return [file, [0, 0]];
  if (name === 'request' && api === 'chat' && typeof request === 'string') {
    return [request, [0, 0, 0, 0]];
  }
  if (name === 'json' && kind === 'json') return [file, [1]];
  if (name === 'framing' && isStream) return [file, [kind === 'ndjson' ? 4 : 21, 5]];
  return undefined;
}

/** Makes seeds of the recordings, if they are there. @param {string} name @param {string} folder */
function writeSeeds(name, folder) {
  mkdirSync(folder, { recursive: true });
  const wire = process.env.SPILLWAY_WIRE ?? join(root, '../shared/wire');
  const manifest = join(wire, 'MANIFEST.jsonl');
  if (!existsSync(manifest)) return;
  for (const line of readFileSync(manifest, 'utf8').split('\n')) {
    const seed = line === '' ? undefined : seedOf(name, JSON.parse(line));
    if (seed === undefined || !existsSync(join(wire, seed[0]))) continue;
    const path = join(folder, seed[0].replaceAll('/', '_'));
    if (existsSync(path)) continue;
    const bytes = Buffer.concat([Buffer.from(seed[1]), readFileSync(join(wire, seed[0]))]);
    writeFileSync(path, bytes.subarray(0, kInputBytesMax));
  }
}

// --- runs ---------------------------------------------------------------------------------------

/** @typedef {{ name: string, executions: number, edges: number, corpus: number,
 * failure?: string }} Fuzzed */

/**
 * @param {string} folder @param {string} name @param {number} seconds
 * @param {number} seed 0: another one each time
 * @returns {Promise<Fuzzed>}
 */
async function fuzzOne(folder, name, seconds, seed) {
  const program = join(folder, `fuzz_${name}`);
  const found = join(folder, 'corpus', name);
  const seeds = join(folder, 'seeds', name);
  const kept = join(root, 'tests/fuzz/corpus', name);
  const artifacts = join(folder, 'artifacts');
  for (const path of [found, artifacts]) mkdirSync(path, { recursive: true });
  writeSeeds(name, seeds);
  const { code, output } = await run(program, [
    `-seed=${seed}`, `-max_total_time=${seconds}`,
    `-max_len=${kInputBytesMax}`, `-timeout=${kRunSecondsMax}`,
    '-print_final_stats=1', `-artifact_prefix=${artifacts}/${name}-`,
    found, seeds, ...(existsSync(kept) ? [kept] : []),
  ], {
    cwd: root,
    label: `fuzz ${name}`,
    env: { ...process.env, ASAN_SYMBOLIZER_PATH: tools.symbolizer },
  });
  const last = (/** @type {RegExp} */ pattern) => Number(output.match(pattern)?.at(-1) ?? 0);
  return {
    name,
    executions: last(/stat::number_of_executed_units: +(\d+)/),
    edges: Number([...output.matchAll(/ cov: (\d+)/g)].at(-1)?.[1] ?? 0),
    corpus: readdirSync(found).length,
    ...(code === 0 ? {} : { failure: describeFailure(program, name, output) }),
  };
}

/** @param {string} program @param {string} name @param {string} output */
function describeFailure(program, name, output) {
  const artifact = /Test unit written to (\S+)/.exec(output)?.[1];
  const found =
    /does not hold: .*(\n.*)?|runtime error: .*|ERROR: (Address|Leak).*|ERROR: libFuzzer:.*/;
  const why = found.exec(output)?.[0];
  const replay = artifact === undefined ? 'no input was kept; the end of its output:'
    : `  shown by   ${relative(root, artifact)}\n`
      + `  replay     ${relative(root, program)} ${relative(root, artifact)}`;
  const end = output.split('\n').filter((line) => !/^#\d+\t/.test(line)).slice(-60).join('\n');
  return `${end.trim()}\n\nfuzz_${name} failed: ${why?.slice(0, 500) ?? 'see above'}\n${replay}`;
}

/**
 * Runs fuzzers for so long each, as many at once as there are cores (or `jobs`). With a `seed` two
 * runs from the same corpus try the same inputs in the same order.
 * @param {string[]} names @param {number} seconds
 * @param {{ jobs?: number, seed?: number, told?: (fuzzed: Fuzzed) => void }} [options]
 * @returns {Promise<Fuzzed[]>}
 */
export async function fuzz(names, seconds, { jobs = availableParallelism(), seed = 0, told } = {}) {
  const folder = await cmakeBuild('fuzz');
  const queue = [...names];
  /** @type {Fuzzed[]} */
  const all = [];
  await Promise.all(Array.from({ length: jobs }, async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const fuzzed = await fuzzOne(folder, name, seconds, seed);
      all.push(fuzzed);
      told?.(fuzzed);
    }
  }));
  return all;
}
