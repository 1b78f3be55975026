/**
 * A Worker in a workerd of its own: the runtime of Cloudflare Workers, run without wrangler, so
 * that the process holds nothing but what is measured.
 */

import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
import {
  compatibilityDate, compatibilityFlags, compatibilityMembers,
} from '../../scripts/lib/compatibility.mjs';
import { root } from '../../scripts/lib/machine.mjs';
import { start } from '../../scripts/lib/process.mjs';
import { Stop } from '../../scripts/lib/terminal.mjs';
import { processFigures } from './measure.mjs';

const folder = join(root, 'build/bench');

/**
 * @typedef {object} Worker
 * @property {number} port
 * @property {() => number} cpu        microseconds of CPU time so far, on all threads
 * @property {() => Promise<number>} cpuAtRest  the same, once it does nothing
 * @property {() => number} resident   bytes of memory that are its own or shared, in RAM now
 * @property {() => void} stop
 */

/** @param {string} text */
const quote = (text) => JSON.stringify(text);

/**
 * @param {string} name
 * @param {{ main: string, files: Record<string, Uint8Array | string>,
 *   bindings: Record<string, string | Uint8Array>, loads?: boolean }} worker  `files` by the name
 *   they are imported under; `loads`: it may start others, by its binding LOADER
 * @returns {Promise<Worker>}
 */
export async function serve(name, { main, files, bindings, loads = false }) {
  const place = join(folder, 'workerd', name);
  mkdirSync(place, { recursive: true });
  const modules = Object.entries(files).map(([path, bytes]) => {
    writeFileSync(join(place, path), bytes);
    const kind = path.endsWith('.wasm') ? 'wasm' : 'esModule';
    return { path, line: `(name = ${quote(path)}, ${kind} = embed ${quote(path)})` };
  });
  // The first module is the one that is started.
  modules.sort((a, b) => Number(b.path === main) - Number(a.path === main));
  const bound = Object.entries(bindings).map(([key, value]) => {
    if (typeof value === 'string') return `(name = ${quote(key)}, text = ${quote(value)})`;
    writeFileSync(join(place, `${key}.data`), value);
    return `(name = ${quote(key)}, data = embed ${quote(`${key}.data`)})`;
  });
  if (loads) bound.push('(name = "LOADER", workerLoader = (id = "loader"))');
  writeFileSync(join(place, 'config.capnp'), `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [${modules.map(({ line }) => line).join(', ')}],
      bindings = [${bound.join(', ')}],
      ${compatibilityMembers(loads ? ['experimental'] : [])}
    )),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`);
  const wrangler = createRequire(import.meta.url).resolve('wrangler/package.json');
  const binary = createRequire(wrangler)('workerd').default;
  const options = ['--control-fd=3', ...(loads ? ['--experimental'] : [])];
  const child = start(binary, ['serve', 'config.capnp', ...options], {
    cwd: place, stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  /** @type {string[]} */
  const complaints = [];
  const [, , errors, control] = /** @type {import('node:stream').Readable[]} */ (
    /** @type {unknown} */ (child.stdio));
  createInterface({ input: errors }).on('line', (line) => complaints.push(line));
  const [message] = await Promise.race([
    once(createInterface({ input: control }), 'line'),
    once(child, 'exit').then(() => {
      throw new Stop(`workerd did not start ${name}\n${complaints.join('\n')}`);
    }),
  ]);
  const { port } = JSON.parse(message);
  const pid = /** @type {number} */ (child.pid);
  return {
    port,
    ...processFigures(pid),
    stop: () => void child.kill(),
  };
}

/** @typedef {'native' | 'tee' | 'loop' | 'pull' | 'text' | 'translate' | 'empty'} Yardstick */

/**
 * One of the yardsticks in workers/.
 * @param {Yardstick} name
 * @param {string} upstream  the origin that it passes requests on to
 */
export function serveYardstick(name, upstream) {
  const source = readFileSync(join(root, `tests/bench/workers/${name}.js`));
  return serve(name, {
    main: `${name}.js`, files: { [`${name}.js`]: source }, bindings: { UPSTREAM: upstream },
  });
}

/** What clients show the Worker: a deployed one answers nobody without a key. */
export const clientKey = 'bench-client-key';

/**
 * The Worker as wrangler bundles it.
 * @param {string[]} bundle  its files
 * @param {object} config
 */
export function serveSpillway(bundle, config) {
  const files = Object.fromEntries(bundle.map((path) => [basename(path), readFileSync(path)]));
  return serve('spillway', {
    main: 'index.js', files,
    bindings: { SPILLWAY_CONFIG: JSON.stringify(config), SPILLWAY_KEYS: clientKey },
  });
}

/**
 * Workers that a running workerd starts anew for each request, by the name in its header
 * `x-worker`: `pull` and `spillway`, `flagged`, which is empty and has the same compatibility, and
 * `empty`, which has the date alone.
 * @param {string[]} bundle @param {object} config @param {string} upstream
 */
export function serveIsolates(bundle, config, upstream) {
  const source = (/** @type {string} */ name) =>
    readFileSync(join(root, `tests/bench/workers/${name}.js`), 'utf8');
  const compatibility = { compatibilityDate, compatibilityFlags };
  const yardstick = (/** @type {string} */ name) => ({
    compatibility,
    main: `${name}.js`, sources: { [`${name}.js`]: source(name) }, env: { UPSTREAM: upstream },
  });
  const wasm = /** @type {string} */ (bundle.find((path) => path.endsWith('.wasm')));
  const rest = bundle.filter((path) => path !== wasm);
  const spillway = {
    compatibility,
    main: 'index.js',
    sources: Object.fromEntries(rest.map((path) => [basename(path), readFileSync(path, 'utf8')])),
    wasm: basename(wasm),
    env: { SPILLWAY_CONFIG: JSON.stringify(config), SPILLWAY_KEYS: clientKey },
  };
  return serve('isolates', {
    main: 'isolates.js', files: { 'isolates.js': source('isolates') }, loads: true,
    bindings: {
      WORKERS: JSON.stringify({
        empty: { ...yardstick('empty'), compatibility: { compatibilityDate } },
        flagged: yardstick('empty'), pull: yardstick('pull'), spillway,
      }),
      WASM: readFileSync(wasm),
    },
  });
}
