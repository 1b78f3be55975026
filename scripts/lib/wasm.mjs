/**
 * CMake builds, and what they leave in dist/.
 *
 * Rules: a file in dist/ is written only when its bytes change, so that whoever watches it
 * (wrangler) reloads only then. Nothing to do costs about a quarter of a second.
 */

import {
  copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { offlineEnvironment, pinnedNode, root, wranglerCli } from './machine.mjs';
import { run } from './process.mjs';
import { Stop, kilobytes } from './terminal.mjs';

const dist = join(root, 'dist');

/** The builds of the module: preset, and the name in dist/. */
export const modules = /** @type {const} */ ({
  wasi: { preset: 'wasm', file: 'spillway.wasm' },
  emscripten: { preset: 'wasm-emscripten', file: 'spillway.emscripten.wasm' },
});

/**
 * Configures (when needed) and builds a preset. Throws Stop with the compiler's output.
 * @param {string} preset @param {string} [target] only this
 */
export async function cmakeBuild(preset, target) {
  const folder = join(root, 'build', preset);
  // CMake looks after CMakeLists.txt itself, but not after the presets it was once started with.
  if (modifiedMs(join(folder, 'build.ninja')) < modifiedMs(join(root, 'CMakePresets.json'))) {
    await cmake(['--preset', preset], `configure ${preset}`);
  }
  const jobs = String(availableParallelism());
  const what = target === undefined ? [] : ['--target', target];
  await cmake(['--build', '--preset', preset, '--parallel', jobs, ...what], `build ${preset}`);
  return folder;
}

/** @param {string[]} args @param {string} label */
async function cmake(args, label) {
  const { code, output } = await run('cmake', args, { cwd: root, label });
  if (code === 127) throw new Stop('cmake is missing; install with: npm run setup');
  // All of it is shown, but for progress and the command under each "FAILED:".
  if (code !== 0) {
    const lines = output.split('\n').filter((line, index, all) =>
      !/^\[\d+\/\d+\] /.test(line) && !(all[index - 1]?.startsWith('FAILED: ')));
    throw new Stop(`${label} failed\n${lines.join('\n').trim()}`);
  }
}

/** @param {string} path */
function modifiedMs(path) {
  return existsSync(path) ? statSync(path).mtimeMs : 0;
}

/**
 * Builds one module into dist/.
 * @param {keyof typeof modules} toolchain
 */
export async function buildModule(toolchain) {
  const { preset, file } = modules[toolchain];
  const folder = await cmakeBuild(preset);
  const built = join(folder, 'spillway.wasm');
  if (!existsSync(built)) throw new Stop(`${preset} left no spillway.wasm: is src/wasm.cpp there?`);
  const target = join(dist, file);
  mkdirSync(dist, { recursive: true });
  if (!existsSync(target) || !readFileSync(built).equals(readFileSync(target))) {
    copyFileSync(built, target);
  }
  return target;
}

/**
 * The worker imports dist/spillway.config.json: the user's spillway.config.json, or nothing.
 * A Worker has no files at run time, so the configuration is part of the bundle.
 */
export function writeConfig() {
  const source = join(root, 'spillway.config.json');
  const text = existsSync(source) ? readFileSync(source, 'utf8') : '{}\n';
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Stop(`spillway.config.json is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Stop('spillway.config.json must hold one JSON object');
  }
  const target = join(dist, 'spillway.config.json');
  mkdirSync(dist, { recursive: true });
  if (!existsSync(target) || readFileSync(target, 'utf8') !== text) writeFileSync(target, text);
}

/**
 * Bundles the Worker as wrangler uploads it, into dist/worker/. Call buildModule('wasi') and
 * writeConfig() first.
 * @returns {Promise<string[]>} the files that are uploaded
 */
export async function buildWorker() {
  const outdir = join(dist, 'worker');
  rmSync(outdir, { recursive: true, force: true });
  const { code, output } = await run(
    pinnedNode(), [wranglerCli, 'deploy', '--dry-run', '--outdir', outdir],
    { cwd: root, env: offlineEnvironment(), label: 'wrangler deploy --dry-run' },
  );
  if (code !== 0) throw new Stop(`wrangler deploy --dry-run failed\n${output.trim()}`);
  return readdirSync(outdir).filter((name) => /\.(js|wasm)$/.test(name)).sort()
    .map((name) => join(outdir, name));
}

/** @param {string} path */
export function describeSize(path) {
  const bytes = readFileSync(path);
  const packed = gzipSync(bytes, { level: 9 }).length;
  return `${kilobytes(bytes.length)} (${kilobytes(packed)} gzip -9)`;
}
