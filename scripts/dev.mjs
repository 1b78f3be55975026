/**
 * Starts Spillway on this machine: `npm run dev`. Installs and builds what is missing first.
 *
 * Who answers, in this order: the user's own configuration; the providers whose keys are in
 * .dev.vars or in the environment; an Ollama on this machine; a simulator, said loudly.
 *
 * Rules: a key is never on a command line, where `ps` shows it: keys travel in a file that only
 * this user can read, and that ends with us. Options are wrangler's, passed through. Names of keys
 * come from the registry and from the user's configuration, never from here. Of wrangler's output
 * only what matters is shown (lib/dev_output.mjs).
 */

import {
  existsSync, linkSync, mkdtempSync, readdirSync, rmSync, writeFileSync,
} from 'node:fs';
import { createServer, isIP } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseEnv } from 'node:util';
import { DevOutput } from './lib/dev_output.mjs';
import { readIfThere, writeWhole } from './lib/files.mjs';
import {
  ensureModules, offlineEnvironment, pinnedNode, root, wranglerCli,
} from './lib/machine.mjs';
import { ensurePackages } from './lib/packages.mjs';
import { isRunning, start, startOf } from './lib/process.mjs';
import { Stop, bold, box, dim, green, red, runMain, say } from './lib/terminal.mjs';
import { buildModule, writeConfig } from './lib/wasm.mjs';

const kPort = 8787;
const kSimulatorPort = 8788;
const kOllamaTimeoutMs = 300;
const kAnswerTimeoutMs = 30_000;
const kReasonCharsMax = 1000;
const kSecretFolder = 'spillway-dev-';

const usage = `usage: npm run dev [-- OPTIONS]

Installs what is missing, builds dist/spillway.wasm and serves it on http://127.0.0.1:${kPort}.
Without a key, a local Ollama or a configuration, a simulator answers.

  --simulator     use the simulator even though there are keys
  --port N        listen on another port; 0: on any that is free
  --ip ADDRESS    listen on another address than 127.0.0.1; 0.0.0.0: on all of them. Who can reach
                  it can use your keys, unless SPILLWAY_KEYS says who may
  --verbose       all that wrangler prints, and Spillway's log as the JSON it is
  …               any other option of \`wrangler dev\`

Keys: one line like OPENAI_API_KEY=… per provider in .dev.vars, or in the environment.
Configuration: spillway.config.json, or SPILLWAY_CONFIG (JSON) in either of these places.`;

/**
 * @typedef {{ name?: string, keys?: string[], base_url?: string }} Provider
 * @typedef {{ providers?: Record<string, Provider>, clients?: Record<string, { keys?: string[] }>,
 *   routes?: Record<string, { chain?: string[] }>, default_route?: string }} Config
 */

// --- what the user has set ----------------------------------------------------------------------

/** @param {string} path @param {string} text @returns {Config} */
function parseConfig(path, text) {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Stop(`${path} is not JSON: ${/** @type {Error} */ (error).message}`);
  }
}

/** @param {string} name */
const readText = (name) => readIfThere(join(root, name))?.toString();

/** The variables wrangler would read by itself: .dev.vars, or else .env and .env.local. */
function fileVariables() {
  const texts = [readText('.dev.vars') ?? ['.env', '.env.local'].map(readText)].flat();
  return Object.assign({}, ...texts.map((text) => parseEnv(text ?? '')));
}

/** Environment variables a base URL needs, like `{OLLAMA_HOST}`. @param {Provider} provider */
function variablesInUrl({ base_url: baseUrl = '' }) {
  return [...baseUrl.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
}

/** NAME, NAME_2, NAME_3 … of one key, as far as they are set.
 * @param {Record<string, string>} variables @param {string} name */
function keysOf(variables, name) {
  const pattern = new RegExp(`^${name}(_\\d+)?$`);
  return Object.keys(variables).filter((key) => pattern.test(key) && variables[key] !== '');
}

/**
 * What counts as set: every variable of .dev.vars, and from the environment those that mean
 * something to Spillway (the environment wins).
 * @param {Provider[]} providers
 */
function readVariables(providers) {
  const fromFile = /** @type {Record<string, string>} */ (fileVariables());
  const environment = /** @type {Record<string, string>} */ (process.env);
  const names = [
    ...providers.flatMap((provider) => [
      ...(provider.keys ?? []).flatMap((name) => keysOf(environment, name)),
      ...variablesInUrl(provider),
    ]),
    ...Object.keys(environment).filter((name) => name.startsWith('SPILLWAY_')),
  ];
  const fromEnvironment = Object.fromEntries(names
    .filter((name) => environment[name]).map((name) => [name, environment[name]]));
  if (fromEnvironment.OLLAMA_HOST !== undefined) {
    fromEnvironment.OLLAMA_HOST = ollamaUrl(fromEnvironment.OLLAMA_HOST);
  }
  return { all: { ...fromFile, ...fromEnvironment }, fromEnvironment };
}

// --- Ollama -------------------------------------------------------------------------------------

/** Ollama's own OLLAMA_HOST may be `0.0.0.0` or `host:port`. @param {string} host */
function ollamaUrl(host) {
  const url = new URL(host.includes('://') ? host : `http://${host}`);
  if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
  if (url.port === '' && !host.includes('://')) url.port = '11434';
  return url.href.replace(/\/$/, '');
}

/** The models of an Ollama, or [] when none answers. @param {string} url */
async function ollamaModels(url) {
  try {
    const signal = AbortSignal.timeout(kOllamaTimeoutMs);
    const response = await fetch(`${url}/api/tags`, { signal });
    const { models } = /** @type {{ models: { name: string }[] }} */ (await response.json());
    return models.map(({ name }) => name);
  } catch {
    return [];
  }
}

/** Ollama's models before everything else on every route. @param {Config} registry
 * @param {string[]} models @returns {Config & { engines: Record<string, object> }} */
function ollamaConfig(registry, models) {
  const engines = models.map((name) => `ollama:${name}`);
  // What Ollama gives a model unless it was told otherwise; it says nothing about the rest.
  const row = {
    context_window: 8192, max_output: 4096, price_in: 0, price_out: 0, cost: 'free',
    latency: 'reasoning', capabilities: ['tools', 'json_mode', 'json_schema'],
  };
  return {
    engines: Object.fromEntries(engines.map((id) => [id, row])),
    routes: Object.fromEntries(Object.entries(registry.routes ?? {}).map(([name, { chain }]) =>
      [name, { chain: [...new Set([...engines, ...chain ?? []])] }])),
  };
}

// --- the simulator ------------------------------------------------------------------------------

/** Starts it on the default port, or on a free one. @returns {Promise<string>} its URL */
async function startSimulator() {
  const url = await simulatorOn(kSimulatorPort) ?? await simulatorOn(0);
  if (url === undefined) throw new Stop('the simulator did not start: node scripts/simulator.mjs');
  return url;
}

/** @param {number} port @returns {Promise<string | undefined>} */
function simulatorOn(port) {
  const child = start(process.execPath, [
    join(root, 'scripts/simulator.mjs'), '--port', String(port), '--interval-ms', '20', '--quiet',
  ], { stdio: ['ignore', 'pipe', 'ignore'] });
  return new Promise((resolve) => {
    child.once('exit', () => resolve(undefined));
    if (child.stdout === null) return resolve(undefined);
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { event, url } = JSON.parse(line);
      if (event === 'listening') resolve(url);
    });
  });
}

// --- who answers --------------------------------------------------------------------------------

/** @typedef {{ who: string, vars: Record<string, string> }} Backend */

/** @param {boolean} simulate @param {Config} registry @param {Config | undefined} own
 * @param {Record<string, string>} variables @returns {Promise<Backend>} */
async function chooseBackend(simulate, registry, own, variables) {
  const providers = { ...registry.providers, ...own?.providers };
  const keyed = Object.entries(providers).flatMap(([id, provider]) => {
    const keys = new Set((provider.keys ?? []).flatMap((name) => keysOf(variables, name)));
    const complete = variablesInUrl(provider).every((name) => variables[name]);
    return keys.size > 0 && complete
      ? [`${provider.name ?? id}${keys.size > 1 ? ` (${keys.size} keys)` : ''}`] : [];
  });
  if (!simulate && keyed.length > 0) return { who: `Keys for ${keyed.join(', ')}.`, vars: {} };
  if (!simulate && own !== undefined) return { who: 'Your own configuration, no keys.', vars: {} };

  const url = variables.OLLAMA_HOST ?? 'http://127.0.0.1:11434';
  const models = simulate ? [] : await ollamaModels(url);
  if (models.length > 0) {
    return {
      who: `No keys found; Ollama answers with ${models.join(', ')}.`,
      vars: { OLLAMA_HOST: url, SPILLWAY_CONFIG: JSON.stringify(ollamaConfig(registry, models)) },
    };
  }
  const { simulatorConfig } = await import('./simulator/config.mjs');
  const simulator = await startSimulator();
  return {
    who: box([
      'SIMULATED ANSWERS: no model is asked. A simulator on this machine plays',
      `the providers, with their faults (${simulator}).`,
      '',
      ...simulate ? ['Leave out --simulator to use your keys.'] : [
        'For real answers, put a key into .dev.vars (or the environment), for example',
        '    echo OPENAI_API_KEY=… >> .dev.vars',
        'and start again. All names: docs/PROVIDERS.md. Or start Ollama.',
      ],
    ]),
    vars: { SPILLWAY_CONFIG: JSON.stringify(simulatorConfig(simulator)) },
  };
}

/**
 * Writes variables to a file that only this user can read, removed at exit.
 * wrangler reads it with dotenv and dotenv-expand: no escapes inside quotes, `$` is a reference.
 * @param {Record<string, string>} variables
 */
function writeSecretFile(variables) {
  // One that was killed left its own.
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(kSecretFolder))) {
    const pid = Number(/^\d+/.exec(name.slice(kSecretFolder.length))?.[0] ?? process.pid);
    if (!isRunning(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
  const folder = mkdtempSync(join(tmpdir(), `${kSecretFolder}${process.pid}-`));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const lines = Object.entries(variables).map(([name, text]) => {
    // JSON may say the same without single quotes; a key with every kind of quote cannot.
    const value = name === 'SPILLWAY_CONFIG' ? text.replaceAll('\'', '\\u0027') : text;
    const quote = ['\'', '`', '"'].find((mark) => !value.includes(mark));
    if (quote === undefined || (quote === '"' && value.includes('\\'))) {
      throw new Stop(`${name} holds every kind of quote: put it into .dev.vars instead`);
    }
    return `${name}=${quote}${value.replaceAll('$', '\\$')}${quote}\n`;
  });
  const path = join(folder, 'env');
  writeFileSync(path, lines.join(''), { mode: 0o600 });
  return path;
}

// --- wrangler -----------------------------------------------------------------------------------

/** The value of an option in wrangler's spelling (`--port 1`, `--port=1`).
 * @param {string[]} args @param {string} name @param {string} otherwise */
function optionOf(args, name, otherwise) {
  const index = args.findIndex((arg) => arg === name || arg.startsWith(`${name}=`));
  if (index < 0) return otherwise;
  if (args[index] !== name) return args[index].slice(name.length + 1);
  return args[index + 1] ?? '';
}

/** @param {string[]} args */
function addressOf(args) {
  const ip = optionOf(args, '--ip', '127.0.0.1');
  const text = optionOf(args, '--port', String(kPort));
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65535) {
    throw new Stop(`--port takes a number up to 65535, not "${text}"`);
  }
  if (isIP(ip) === 0 && ip !== 'localhost' && ip !== '*') {
    throw new Stop(`--ip takes an address of this machine, as 127.0.0.1 or 0.0.0.0, not "${ip}"`);
  }
  return { ip, port: Number(text) };
}

/**
 * Throws Stop when nobody can listen there.
 * @param {string} ip @param {number} port @returns {Promise<void>}
 */
function checkFree(ip, port) {
  const another = 'take another with: npm run dev -- --port '
    + String(port + 10 < 65536 ? port + 10 : port - 10);
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (/** @type {NodeJS.ErrnoException} */ { code }) => {
      reject(new Stop(code === 'EADDRINUSE' ? `port ${port} is in use; ${another}`
        : code === 'EACCES' ? `port ${port} is not for ordinary users; ${another}`
          : code === 'EADDRNOTAVAIL' ? `${ip} is not an address of this machine`
            : `nobody can listen on ${ip}, port ${port}: ${code}`));
    });
    server.listen(port, ip === '*' ? '0.0.0.0' : ip, () => server.close(() => resolve()));
  });
}

/**
 * Notes that this process serves a port of this tree. Throws Stop when another does, which may be
 * building yet, and not listening.
 * @param {number} port
 */
function claim(port) {
  if (port === 0) return;
  const note = join(root, 'build/dev', String(port));
  const own = `${note}.${process.pid}`;
  writeWhole(own, `${process.pid} ${startOf(process.pid)}`);
  try {
    const [pid, started] = readIfThere(note)?.toString().split(' ') ?? [];
    const isTaken = started !== undefined && isRunning(Number(pid))
      && startOf(Number(pid)) === started;
    if (!isTaken) rmSync(note, { force: true });
    // Of two at once only one can give its note that name.
    linkSync(own, note);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error;
    const pid = readIfThere(note)?.toString().split(' ')[0];
    throw new Stop(`npm run dev already runs in this tree, on port ${port} (process ${pid}); end`
      + ` it, or take another port: npm run dev -- --port ${port + 10}`);
  } finally {
    rmSync(own);
  }
  process.on('exit', () => rmSync(note, { force: true }));
}

/** Whether only this machine reaches it. @param {string} host */
const isLoopback = (host) => /^(127\.|\[?::1\]?$|localhost$)/.test(host);

/**
 * Says how to use it, once it answers.
 * @param {string} base @param {string} who @param {string | undefined} warning
 */
async function announce(base, who, warning) {
  // The first request: the Worker starts with it.
  const response = await fetch(`${base}/health`, { signal: AbortSignal.timeout(kAnswerTimeoutMs) })
    .catch(() => undefined);
  if (response !== undefined && response.status >= 500) {
    // wrangler's error page is plain text for us (it is HTML for a browser).
    const reason = (await response.text()).slice(0, kReasonCharsMax);
    say(red(`\nThe Worker answers ${response.status} at its start:\n${reason}\n`));
    return;
  }
  say(`
${green('Spillway listens on')} ${bold(base)} ${dim('(Ctrl-C ends it)')}

${who}
${warning === undefined ? '' : `\n${red(bold(warning))}\n`}
Ask it:

  curl -sN -D - ${base}/v1/chat/completions -H 'content-type: application/json' \\
    -d '{"model":"standard","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

Any OpenAI client does, with the base URL ${base}/v1. Each chat leaves a line here.
`);
}

/**
 * Runs wrangler until it ends.
 * @param {string[]} args @param {boolean} verbose @param {(url: string) => void} ready
 * @returns {Promise<number>} its exit code
 */
function runWrangler(args, verbose, ready) {
  const wrangler = start(pinnedNode(), [
    wranglerCli, 'dev', '--show-interactive-dev-session=false', ...args,
  ], { cwd: root, env: offlineEnvironment(), stdio: ['ignore', 'pipe', 'pipe'] }, {
    // It has a runtime to end.
    orphan: 'SIGTERM',
  });
  for (const [input, output] of /** @type {const} */ ([
    [wrangler.stdout, process.stdout], [wrangler.stderr, process.stderr],
  ])) {
    if (input === null) continue;
    const shown = new DevOutput(ready);
    createInterface({ input }).on('line', (line) => {
      const lines = shown.take(line);
      for (const each of verbose ? [line] : lines) output.write(`${each}\n`);
    });
  }
  return new Promise((resolve) => { wrangler.once('close', (code) => resolve(code ?? 1)); });
}

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    say(usage);
    return 0;
  }
  const simulate = args.includes('--simulator');
  const verbose = args.includes('--verbose');
  const wranglerArgs = args.filter((arg) => arg !== '--simulator' && arg !== '--verbose');
  const { ip, port } = addressOf(wranglerArgs);
  claim(port);
  await checkFree(ip, port);

  await ensurePackages('wasm');
  await ensureModules();
  writeConfig();
  if (!existsSync(join(root, 'dist/spillway.wasm'))) {
    say('Building dist/spillway.wasm (about a minute, the first time only)');
  }
  await buildModule('wasi');

  const builtIn = 'adapters/registry.json';
  const registry = parseConfig(builtIn, readText(builtIn) ?? '{}');
  const file = readText('spillway.config.json');
  const fileConfig = file === undefined ? undefined : parseConfig('spillway.config.json', file);
  // A first look for the configuration, which may name more keys; then all of them.
  const { SPILLWAY_CONFIG: text } = readVariables([]).all;
  const textConfig = text === undefined ? undefined : parseConfig('SPILLWAY_CONFIG', text);
  const own = fileConfig === undefined && textConfig === undefined ? undefined
    : { providers: { ...fileConfig?.providers, ...textConfig?.providers } };
  // Clients name variables for their keys as providers do.
  const keyHolders = [registry, fileConfig, textConfig].flatMap((config) =>
    [...Object.values(config?.providers ?? {}), ...Object.values(config?.clients ?? {})]);
  const { all, fromEnvironment } = readVariables(keyHolders);
  const backend = await chooseBackend(simulate, registry, own, all);

  // Only when the environment adds something: wrangler then no longer reads .dev.vars by itself
  // (and no longer notices that it changed), so the file repeats what stands there.
  const envFile = Object.keys(fromEnvironment).length === 0 ? []
    : ['--env-file', writeSecretFile(all)];
  const vars = Object.entries(backend.vars)
    .flatMap(([name, value]) => ['--var', `${name}:${value}`]);
  const guarded = Boolean(all.SPILLWAY_KEYS)
    || [fileConfig, textConfig].some((config) => Object.keys(config?.clients ?? {}).length > 0)
    || args.some((arg) => /^(--var=)?SPILLWAY_KEYS:./.test(arg));
  // It may have been taken while we built.
  await checkFree(ip, port);
  let announced = false;
  const code = await runWrangler([...envFile, ...vars, ...wranglerArgs], verbose, (url) => {
    if (announced) return;
    announced = true;
    const [, host] = /^https?:\/\/(.*):\d+$/.exec(url) ?? [url, url];
    const here = isLoopback(host);
    const warning = here || guarded ? undefined
      : `OPEN TO THE NETWORK: on ${host} without SPILLWAY_KEYS, anybody who reaches this machine`
        + ' can pass for you and use your keys (README.md, Who may use it)';
    const base = here ? url : url.replace(/\/\/(0\.0\.0\.0|\*|\[::\])(?=:)/, '//127.0.0.1');
    void announce(base, backend.who, warning);
  });
  // The simulator is still running and would keep this process alive.
  process.exit(code);
});
