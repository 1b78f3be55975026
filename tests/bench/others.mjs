/**
 * What others have: Portkey's gateway on Node, and the AI SDK in workerd. Installed from a folder
 * of their own, by exact versions, when first asked for; nothing of the project depends on them.
 */

import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { createServer, connect } from 'node:net';
import { join } from 'node:path';
import { root } from '../../scripts/lib/machine.mjs';
import { run, start } from '../../scripts/lib/process.mjs';
import { Stop } from '../../scripts/lib/terminal.mjs';
import { processFigures } from './measure.mjs';
import { serve } from './workerd.mjs';

/** @typedef {import('./workerd.mjs').Worker} Worker */

const folder = join(root, 'tests/bench/others');
const gateway = join(folder, 'node_modules/@portkey-ai/gateway/build/start-server.js');

/** @param {string} path */
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

/** @returns {Record<string, string>} */
const wanted = () => readJson(join(folder, 'package.json')).dependencies;

function areInstalled() {
  return Object.entries(wanted()).every(([name, version]) => {
    const path = join(folder, 'node_modules', name, 'package.json');
    return existsSync(path) && readJson(path).version === version;
  });
}

/** @returns {Promise<string | undefined>} why they are not there */
export async function ensureOthers() {
  if (areInstalled()) return undefined;
  const { output } = await run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
    cwd: folder, label: 'npm ci: what the benchmark compares with',
  });
  if (areInstalled()) return undefined;
  return output.split('\n').find((line) => line.startsWith('npm error')) ?? 'npm ci failed';
}

/** A port that is free now: Portkey's gateway cannot be given port 0. @returns {Promise<number>} */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** @param {number} port @returns {Promise<boolean>} */
const isOpen = (port) => new Promise((resolve) => {
  const socket = connect({ port, host: '127.0.0.1' });
  socket.once('connect', () => { socket.destroy(); resolve(true); });
  socket.once('error', () => resolve(false));
});

const kRetryMs = 2;
const kStartMs = 20_000;

/** @param {string} node24 @returns {Promise<Worker>} */
export async function servePortkey(node24) {
  const port = await freePort();
  const child = start(node24, [gateway, `--port=${port}`, '--headless'], {
    cwd: folder, env: { ...process.env, NODE_ENV: 'production' }, stdio: 'ignore',
  });
  const begin = performance.now();
  while (!await isOpen(port)) {
    if (child.exitCode !== null || performance.now() - begin > kStartMs) {
      throw new Stop('Portkey\'s gateway did not start');
    }
    await new Promise((resolve) => { setTimeout(resolve, kRetryMs); });
  }
  const pid = /** @type {number} */ (child.pid);
  return { port, ...processFigures(pid), stop: () => void child.kill() };
}

/** @type {string | undefined} */
let bundled;

/** @param {string} upstream @returns {Promise<Worker>} */
export function serveAiSdk(upstream) {
  if (bundled === undefined) {
    // The bundler that wrangler brings along, set as wrangler sets it.
    const wrangler = createRequire(import.meta.url).resolve('wrangler/package.json');
    const { outputFiles } = createRequire(wrangler)('esbuild').buildSync({
      entryPoints: [join(folder, 'ai_sdk.js')], bundle: true, format: 'esm', write: false,
      platform: 'browser', conditions: ['workerd', 'worker', 'browser'], target: 'es2024',
      minify: true, logLevel: 'silent',
    });
    bundled = /** @type {string} */ (outputFiles[0].text);
  }
  return serve('ai-sdk', {
    main: 'ai_sdk.js', files: { 'ai_sdk.js': bundled }, bindings: { UPSTREAM: upstream },
  });
}

/** For the heading. @returns {string} */
export const describeOthers = () =>
  Object.entries(wanted()).map(([name, version]) => `${name} ${version}`).join(', ');
