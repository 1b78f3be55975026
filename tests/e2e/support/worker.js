/**
 * The real Worker, and the real `openai` client.
 *
 *   const worker = await startWorker({ config, vars: { SPILLWAY_KEYS: 'sim-key' } });
 *   const client = worker.client();
 *   …
 *   await worker.stop();
 *
 * startWorker() is `wrangler dev`, as a user starts it. startDeployed() is the bundle that
 * `wrangler deploy` would upload, in the runtime alone: no development server stands before it.
 * startScript() is the runtime with a Worker of a test's own.
 *
 * Rules: a port of its own; nobody is contacted; nothing of the developer's .dev.vars is read. It
 * ends with the test process, however that ends.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync, cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import OpenAI from 'openai';
import { compatibilityMembers } from '../../../scripts/lib/compatibility.mjs';
import {
  offlineEnvironment, pinnedNode, root, wranglerCli,
} from '../../../scripts/lib/machine.mjs';
import { run } from '../../../scripts/lib/process.mjs';
import { Feed } from './feed.js';

/**
 * @typedef {{ event: string, [field: string]: any }} LogEvent
 *
 * @typedef {object} Options
 * @property {object | string} [config]           becomes SPILLWAY_CONFIG; a text is given as it is
 * @property {Record<string, string>} [vars]
 * @property {Record<string, string>} [secrets]   given in a file, as .dev.vars would
 * @property {boolean} [npx]                      started by `npx wrangler dev`, slower
 * @property {(event: LogEvent) => void} [hear]   takes what the Worker logs; nothing is kept then
 *
 * @typedef {object} Worker
 * @property {string} url
 * @property {Feed<LogEvent>} events    what the Worker logged
 * @property {() => string} output      everything that was printed
 * @property {(options?: ConstructorParameters<typeof OpenAI>[0]) => OpenAI} client
 * @property {() => Promise<void>} stop
 * @property {() => number} rss_bytes   of the deployed one: workerd's memory
 * @property {() => Promise<Probe>} probe
 *
 * @typedef {object} Probe
 * @property {number} chats_open
 * @property {number[]} memories_bytes  of the modules, where startDeployed() was asked for `probe`
 */

const kStopMs = 5000;

/** A Worker that did not come up, and what was printed. */
export class StartError extends Error {
  /** @param {string} output */
  constructor(output) {
    super(`the Worker did not start:\n${output}`);
    this.output = output;
  }
}

/** @param {Options} options @returns {Record<string, string>} */
function variablesOf({ config, vars = {} }) {
  const text = typeof config === 'object' ? JSON.stringify(config) : config;
  return { ...(text === undefined ? {} : { SPILLWAY_CONFIG: text }), ...vars };
}

/**
 * wrangler builds before it starts: nothing to do once this is done, so that several may start at
 * the same time.
 */
async function build() {
  const script = join(root, 'scripts/build.mjs');
  const { code, output } = await run(process.execPath, [script, '--wasi-only'], { cwd: root });
  if (code !== 0) throw new StartError(output);
}
/** @type {Promise<void> | undefined} */
let built;

/** With the pinned Node first on PATH. */
function environment() {
  const path = `${dirname(pinnedNode())}${delimiter}${process.env.PATH ?? ''}`;
  return { ...offlineEnvironment(), NO_COLOR: '1', PATH: path };
}

/** `wrangler dev`. @param {Options} [options] */
export async function startWorker(options = {}) {
  await (built ??= build());
  const folder = mkdtempSync(join(tmpdir(), 'spillway-e2e-'));
  const secrets = Object.entries(options.secrets ?? {});
  // With a file of its own wrangler does not look for .dev.vars.
  const file = join(folder, 'env');
  writeFileSync(file, secrets.map(([name, value]) => `${name}='${value}'\n`).join(''));
  const args = [
    'dev', '--port', '0', '--show-interactive-dev-session=false', '--env-file', file,
    ...Object.entries(variablesOf(options))
      .flatMap(([name, value]) => ['--var', `${name}:${value}`]),
  ];
  const [command, first] = options.npx ? ['npx', 'wrangler'] : [pinnedNode(), wranglerCli];
  return serve(folder, command, [first, ...args], root, (line) =>
    /Ready on (http:\S+)/.exec(line)?.[1]);
}

/**
 * The bundle that would be deployed, in workerd. `module`: with this file in its module's place;
 * `probe`: with probe.js around it.
 * @param {Pick<Options, 'config' | 'vars' | 'hear'> & { module?: string, probe?: boolean }} options
 */
export async function startDeployed(options) {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-e2e-'));
  cpSync(await (bundled ??= bundle()), folder, { recursive: true });
  const wasm = readdirSync(folder).filter((name) => name.endsWith('.wasm'));
  if (options.module) copyFileSync(options.module, join(folder, wasm[0]));
  const probe = options.probe ? ['probe.js', 'instances.js'] : [];
  for (const name of probe) copyFileSync(new URL(name, import.meta.url), join(folder, name));
  return serveWorkerd(folder, [...probe, 'index.js', ...wasm], variablesOf(options), options.hear);
}

/** What `wrangler deploy` would upload, in a folder that goes with this process. */
async function bundle() {
  await (built ??= build());
  const folder = mkdtempSync(join(tmpdir(), 'spillway-e2e-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const { code, output } = await run(
    pinnedNode(), [wranglerCli, 'deploy', '--dry-run', '--outdir', folder],
    { cwd: root, env: environment() },
  );
  if (code !== 0) throw new StartError(output);
  return folder;
}
/** @type {Promise<string> | undefined} */
let bundled;

/**
 * A Worker of a few lines in workerd, to tell what is Spillway's from what is the runtime's.
 * @param {string} source @param {Record<string, string>} vars
 */
export async function startScript(source, vars) {
  const folder = mkdtempSync(join(tmpdir(), 'spillway-e2e-'));
  writeFileSync(join(folder, 'index.js'), source);
  return serveWorkerd(folder, ['index.js'], vars);
}

/**
 * @param {string} folder
 * @param {string[]} files  the first is the one that is started
 * @param {Record<string, string>} vars
 * @param {Options['hear']} [hear]
 */
function serveWorkerd(folder, files, vars, hear) {
  const modules = files.map((name) => {
    const kind = name.endsWith('.wasm') ? 'wasm' : 'esModule';
    return `(name = "${name}", ${kind} = embed "${name}")`;
  });
  const bindings = Object.entries(vars).map(([name, value]) =>
    `(name = ${JSON.stringify(name)}, text = ${JSON.stringify(value)})`);
  writeFileSync(join(folder, 'config.capnp'), `
    using Workerd = import "/workerd/workerd.capnp";
    const config :Workerd.Config = (
      services = [
        (name = "main", worker = (
          modules = [${modules.join(', ')}],
          bindings = [${bindings.join(', ')}],
          ${compatibilityMembers()}
        )),
        (name = "internet", network = (allow = ["private"])),
      ],
      sockets = [(name = "http", address = "127.0.0.1:0", http = (), service = "main")],
      ${files.includes('probe.js') ? 'v8Flags = ["--expose-gc"],' : ''}
    );`);
  const wrangler = createRequire(import.meta.url).resolve('wrangler/package.json');
  const binary = createRequire(wrangler)('workerd').default;
  return serve(folder, binary, ['serve', 'config.capnp', '--control-fd=1'], folder, (line) => {
    const port = /^\{"event":"listen","socket":"http","port":(\d+)\}$/.exec(line)?.[1];
    return port && `http://127.0.0.1:${port}`;
  }, hear);
}

/**
 * @param {string} folder   removed at the end
 * @param {string} command @param {string[]} args @param {string} cwd
 * @param {(line: string) => string | undefined} ready  finds the URL in the line that tells it
 * @param {Options['hear']} [hear]
 * @returns {Promise<Worker>}
 */
async function serve(folder, command, args, cwd, ready, hear) {
  const child = spawn(command, args, {
    cwd, env: environment(), stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // a process group, to end wrangler and its workerd with one signal
  });
  const ended = once(child, 'close').catch(() => {});
  const end = (/** @type {NodeJS.Signals} */ signal) => {
    try {
      process.kill(-(child.pid ?? NaN), signal);
    } catch { /* it has ended */ }
  };
  const remove = () => rmSync(folder, { recursive: true, force: true });
  const abandon = () => {
    end('SIGKILL');
    remove();
  };
  process.once('exit', abandon);
  const stop = async () => {
    end('SIGTERM');
    const timer = setTimeout(() => end('SIGKILL'), kStopMs);
    await ended;
    clearTimeout(timer);
    process.off('exit', abandon);
    remove();
  };

  /** @type {Feed<LogEvent>} */
  const events = new Feed();
  let printed = '';
  /** @type {Promise<string>} */
  const found = new Promise((resolve) => {
    for (const input of [child.stdout, child.stderr]) {
      createInterface({ input }).on('line', (line) => {
        // wrangler puts a mark before warnings and errors.
        const event = /\{"event":.*\}/.exec(line)?.[0];
        if (event !== undefined && hear) hear(JSON.parse(event));
        else if (event !== undefined) events.push(JSON.parse(event));
        if (!hear || event === undefined) printed += `${line}\n`;
        const url = ready(line);
        if (url !== undefined) return resolve(url);
      });
    }
  });
  const url = await Promise.race([found, ended.then(() => undefined)]);
  if (url === undefined) {
    await stop();
    throw new StartError(printed);
  }
  return {
    url, events, stop,
    rss_bytes: () => Number(/^VmRSS:\s+(\d+) kB$/m.exec(
      readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) * 1024,
    async probe() {
      const headers = { authorization: 'Bearer sim-client' };
      const [health, probe] = await Promise.all(['health', 'probe'].map(async (path) =>
        /** @type {any} */ (await (await fetch(`${url}/${path}`, { headers })).json())));
      return { chats_open: health.chats_open, memories_bytes: probe.memories_bytes };
    },
    output: () => printed,
    client: (options) => new OpenAI({
      baseURL: `${url}/v1`, apiKey: 'sim-client', maxRetries: 0, timeout: 20_000, ...options,
    }),
  };
}
