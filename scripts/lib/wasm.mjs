/**
 * What is in dist/: the modules, the configuration and the Worker.
 *
 * Rules: a file in dist/ is written whole, and only when its bytes change, so that whoever watches
 * it (wrangler) reloads only then.
 */

import { mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { cmakeBuild } from './cmake.mjs';
import { readIfThere, removeUnfinished, unfinishedName, writeWhole } from './files.mjs';
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
 * Builds one module into dist/.
 * @param {keyof typeof modules} toolchain
 * @param {string} [tree]
 */
export async function buildModule(toolchain, tree = root) {
  const { preset, file } = modules[toolchain];
  const built = async (/** @type {boolean} */ anew) => {
    const bytes = readIfThere(join(await cmakeBuild(preset, { anew, tree }), 'spillway.wasm'));
    return bytes !== undefined && WebAssembly.validate(bytes) ? bytes : undefined;
  };
  // Ninja goes by a file's time: to it, one that was cut off is made.
  const bytes = await built(false) ?? await built(true);
  if (bytes === undefined) throw new Stop(`${preset} left no module: is src/wasm.cpp there?`);
  const target = join(tree, 'dist', file);
  writeWhole(target, bytes);
  return target;
}

/**
 * The worker imports dist/spillway.config.json: the user's spillway.config.json, or nothing.
 * A Worker has no files at run time, so the configuration is part of the bundle.
 */
export function writeConfig() {
  const text = readIfThere(join(root, 'spillway.config.json'))?.toString() ?? '{}\n';
  let value;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Stop(`spillway.config.json is not JSON: ${/** @type {Error} */ (error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Stop('spillway.config.json must hold one JSON object');
  }
  writeWhole(join(dist, 'spillway.config.json'), text);
}

/**
 * Bundles the Worker as wrangler uploads it, into dist/worker/. Call buildModule('wasi') and
 * writeConfig() first.
 * @returns {Promise<string[]>} the files that are uploaded
 */
export async function buildWorker() {
  const target = join(dist, 'worker');
  const outdir = unfinishedName(target);
  mkdirSync(dist, { recursive: true });
  removeUnfinished(target);
  const { code, output } = await run(
    pinnedNode(), [wranglerCli, 'deploy', '--dry-run', '--outdir', outdir],
    { cwd: root, env: offlineEnvironment(), label: 'wrangler deploy --dry-run' },
  );
  if (code !== 0) throw new Stop(`wrangler deploy --dry-run failed\n${output.trim()}`);
  rmSync(target, { recursive: true, force: true });
  renameSync(outdir, target);
  return readdirSync(target).filter((name) => /\.(js|wasm)$/.test(name)).sort()
    .map((name) => join(target, name));
}

/** @param {string} path */
export function describeSize(path) {
  const bytes = readFileSync(path);
  const packed = gzipSync(bytes, { level: 9 }).length;
  return `${kilobytes(bytes.length)} (${kilobytes(packed)} gzip -9)`;
}
