/**
 * A Worker in a workerd of its own: the runtime of Cloudflare Workers, run without wrangler, so
 * that the process holds nothing but what is measured.
 */

import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { createInterface } from 'node:readline';
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
 *   bindings: Record<string, string> }} worker  `files` by the name they are imported under
 * @returns {Promise<Worker>}
 */
export async function serve(name, { main, files, bindings }) {
  const place = join(folder, 'workerd', name);
  mkdirSync(place, { recursive: true });
  const modules = Object.entries(files).map(([path, bytes]) => {
    writeFileSync(join(place, path), bytes);
    const kind = path.endsWith('.wasm') ? 'wasm' : 'esModule';
    return { path, line: `(name = ${quote(path)}, ${kind} = embed ${quote(path)})` };
  });
  // The first module is the one that is started.
  modules.sort((a, b) => Number(b.path === main) - Number(a.path === main));
  writeFileSync(join(place, 'config.capnp'), `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "main", worker = (
      modules = [${modules.map(({ line }) => line).join(', ')}],
      bindings = [${Object.entries(bindings).map(([key, value]) =>
    `(name = ${quote(key)}, text = ${quote(value)})`).join(', ')}],
      compatibilityDate = "2026-11-01",
      compatibilityFlags = ["enable_request_signal"],
    )),
    (name = "internet", network = (allow = ["private"])),
  ],
  sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
);
`);
  const wrangler = createRequire(import.meta.url).resolve('wrangler/package.json');
  const binary = createRequire(wrangler)('workerd').default;
  const child = start(binary, ['serve', 'config.capnp', '--control-fd=3'], {
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

/** @typedef {'native' | 'loop' | 'pull' | 'translate' | 'empty'} Yardstick */

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
