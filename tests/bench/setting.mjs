/**
 * What the figures are taken with. Everything is started when a figure first asks for it and serves
 * all figures from then on: one simulated provider, one process for each server.
 */

import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../scripts/lib/machine.mjs';
import { run, start } from '../../scripts/lib/process.mjs';
import { Stop } from '../../scripts/lib/terminal.mjs';
import { toolEnvironment, tools } from '../../scripts/lib/tools.mjs';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { Cores } from './cores.mjs';
import { serveAiSdk, servePortkey } from './others.mjs';
import { serveSpillwayOnNode } from './node.mjs';
import { serveIsolates, serveSpillway, serveYardstick } from './workerd.mjs';

/** @typedef {import('./workerd.mjs').Worker} Worker */
/**
 * @typedef {'spillway' | 'spillway-node' | 'isolates' | 'portkey' | 'ai-sdk'
 *   | import('./workerd.mjs').Yardstick} ServerName
 */

/**
 * @typedef {object} Options
 * @property {boolean} quick
 * @property {string} module    the path of spillway.wasm
 * @property {string[]} bundle  the paths of what is uploaded
 * @property {string} node24    the path of a Node 24
 * @property {string} probe     the path of probe.wasm
 * @property {import('./contestants.mjs').Contestant[]} contestants
 * @property {(text: string) => void} progress
 */

export class Setting {
  /** @type {Promise<Upstream> | undefined} */ #upstream;
  /** @type {Promise<Cores> | undefined} */ #cores;
  /** @type {Map<ServerName, Promise<Worker>>} */ #servers = new Map();

  /** @param {Options} options */
  constructor({ quick, module, bundle, node24, probe, contestants, progress }) {
    this.quick = quick;
    this.module = module;
    this.bundle = bundle;
    this.node24 = node24;
    this.probe = probe;
    this.contestants = contestants;
    this.progress = progress;
  }

  /** How many samples to take. @param {number} usual */
  count(usual) {
    return this.quick ? Math.ceil(usual / 4) : usual;
  }

  upstream() {
    return this.#upstream ??= startUpstream();
  }

  cores() {
    return this.#cores ??= Cores.start(this.node24, this.probe);
  }

  /** The one that all figures share. @param {ServerName} name */
  server(name) {
    const known = this.#servers.get(name);
    if (known) return known;
    const started = this.start(name);
    this.#servers.set(name, started);
    return started;
  }

  /**
   * A new process; whoever starts it stops it.
   * @param {ServerName} name @returns {Promise<Worker>}
   */
  async start(name) {
    const { url } = await this.upstream();
    switch (name) {
      case 'isolates': return serveIsolates(this.bundle, simulatorConfig(url), url);
      case 'spillway': return serveSpillway(this.bundle, simulatorConfig(url));
      case 'spillway-node': return serveSpillwayOnNode(this.node24, simulatorConfig(url));
      case 'portkey': return servePortkey(this.node24);
      case 'ai-sdk': return serveAiSdk(url);
      default: return serveYardstick(name, url);
    }
  }

  /**
   * Runs a program of samples/ on Node 24, in a process of its own; gives what it printed.
   * @param {string} program @param {string[]} args
   */
  async sample(program, ...args) {
    const path = join(root, 'tests/bench/samples', program);
    const { code, output } = await run(this.node24, [path, ...args]);
    if (code !== 0) throw new Stop(`${program} ${args.join(' ')} failed\n${output}`);
    return JSON.parse(output);
  }

  async stop() {
    for (const server of this.#servers.values()) (await server).stop();
    (await this.#cores)?.stop();
    (await this.#upstream)?.stop();
  }
}

/**
 * See upstream.mjs.
 * @typedef {object} Upstream
 * @property {string} url
 * @property {() => Promise<number>} gap   the next one, in milliseconds
 * @property {() => void} note             from now on
 * @property {() => Promise<Record<string, number[]>>} written  since then
 * @property {() => void} stop
 */

/** The simulated providers, in a process of their own. @returns {Promise<Upstream>} */
async function startUpstream() {
  const child = start(process.execPath, [join(root, 'tests/bench/upstream.mjs')], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  /** @param {string} name @returns {Promise<any>} */
  const told = (name) => new Promise((resolve) => {
    child.on('message', function take(/** @type {any} */ message) {
      if (!(name in message)) return;
      child.off('message', take);
      resolve(message[name]);
    });
  });
  const url = await told('url');
  return {
    url,
    gap: () => told('gap_ms'),
    note: () => void child.send('note'),
    written: () => {
      const written = told('written');
      child.send('tell');
      return written;
    },
    stop: () => child.disconnect(),
  };
}

/** Assembles samples/probe.wat; gives the path. */
export async function buildProbe() {
  const folder = join(root, 'build/bench');
  const path = join(folder, 'probe.wasm');
  mkdirSync(folder, { recursive: true });
  const { code, output } = await run(tools.wasmAs, [
    join(root, 'tests/bench/samples/probe.wat'), '-o', path,
  ], { env: toolEnvironment() });
  if (code !== 0) throw new Stop(`wasm-as failed\n${output.trim()}`);
  return path;
}

const node24Folder = join(root, 'tests/bench/node');

/**
 * Installs the pinned Node 24. It is no dependency of the project: nobody but this needs it, and a
 * second package with a program `node` would make it chance which of the two `npm run` finds.
 */
export async function ensureNode24() {
  const place = join(node24Folder, 'node_modules', `node-linux-${process.arch}`);
  const program = join(place, 'bin/node');
  const { optionalDependencies: wanted } = JSON.parse(
    readFileSync(join(node24Folder, 'package.json'), 'utf8'));
  const version = wanted[`node-linux-${process.arch}`];
  if (version === undefined) throw new Stop('the benchmark runs on Linux, x64 or arm64');
  const installed = existsSync(program)
    && JSON.parse(readFileSync(join(place, 'package.json'), 'utf8')).version === version;
  if (installed) return program;
  const { code, output } = await run('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
    cwd: node24Folder, label: `npm ci: Node ${version} for the benchmark`,
  });
  if (code !== 0 || !existsSync(program)) throw new Stop(`npm ci failed\n${output.trim()}`);
  return program;
}
