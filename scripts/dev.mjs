/**
 * Starts Spillway on this machine: `npm run dev`. Installs and builds what is missing first.
 *
 * Who answers, in this order: the user's own configuration; the providers whose keys are in
 * .dev.vars or in the environment; an Ollama on this machine; a simulator, said loudly.
 *
 * Rules: a key is never on a command line, where `ps` shows it: keys travel in a file that only
 * this user can read, and that ends with us. Options are wrangler's, passed through. Names of keys
 * come from the registry and from the user's configuration, never from here.
 */

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { parseEnv } from 'node:util';
import {
  ensureModules, ensurePackages, offlineEnvironment, pinnedNode, root, wranglerCli,
} from './lib/machine.mjs';
import { start } from './lib/process.mjs';
import { Stop, bold, box, dim, green, red, runMain, say } from './lib/terminal.mjs';
import { buildModule, writeConfig } from './lib/wasm.mjs';

const kSimulatorPort = 8788;
const kOllamaTimeoutMs = 300;
const kReadyTimeoutMs = 120_000;
const kReasonCharsMax = 1000;

const usage = `usage: npm run dev [-- OPTIONS]

Installs what is missing, builds dist/spillway.wasm and serves it on http://127.0.0.1:8787.
Without a key, a local Ollama or a configuration, a simulator answers.

  --simulator     use the simulator even though there are keys
  --port N        listen on another port
  …               any other option of \`wrangler dev\`

Keys: one line like OPENAI_API_KEY=… per provider in .dev.vars, or in the environment.
Configuration: spillway.config.json, or SPILLWAY_CONFIG (JSON) in either of these places.`;

/**
 * @typedef {{ name?: string, keys?: string[], base_url?: string }} Provider
 * @typedef {{ providers?: Record<string, Provider>,
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
function readIfThere(name) {
  const path = join(root, name);
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** The variables wrangler would read by itself: .dev.vars, or else .env and .env.local. */
function fileVariables() {
  const texts = [readIfThere('.dev.vars') ?? ['.env', '.env.local'].map(readIfThere)].flat();
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
  const folder = mkdtempSync(join(tmpdir(), 'spillway-dev-'));
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
  return args[index + 1] ?? otherwise;
}

/** @param {string} ip @param {number} port @returns {Promise<boolean>} */
function isFree(ip, port) {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, ip, () => server.close(() => resolve(true)));
  });
}

/** Waits for the first answer, then says how to use it. @param {string} base @param {string} who */
async function announce(base, who) {
  const deadline = Date.now() + kReadyTimeoutMs;
  while (Date.now() < deadline) {
    const response = await fetch(`${base}/health`, { signal: AbortSignal.timeout(10_000) })
      .catch(() => undefined);
    if (response !== undefined && response.status < 500) break;
    if (response !== undefined) {
      // wrangler's error page is plain text for us (it is HTML for a browser).
      const reason = (await response.text()).slice(0, kReasonCharsMax);
      say(red(`\nThe Worker answers ${response.status} at its start:\n${reason}\n`));
      return;
    }
    await new Promise((resolve) => { setTimeout(resolve, 200); });
  }
  say(`
${who}

${green('Spillway listens on')} ${bold(base)} ${dim('(Ctrl-C ends it)')}

${dim('# curl')}
curl -N ${base}/v1/chat/completions -H 'content-type: application/json' \\
  -d '{"model":"standard","stream":true,"messages":[{"role":"user","content":"Hello"}]}'

${dim('// the openai client')}
const client = new OpenAI({ baseURL: '${base}/v1', apiKey: 'local' });
const ask = { model: 'standard', messages: [{ role: 'user', content: 'Hello' }], stream: true };
for await (const chunk of await client.chat.completions.create(ask)) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? '');
}
`);
}

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    say(usage);
    return 0;
  }
  const simulate = args.includes('--simulator');
  const wranglerArgs = args.filter((arg) => arg !== '--simulator');
  const ip = optionOf(wranglerArgs, '--ip', '127.0.0.1');
  const port = Number(optionOf(wranglerArgs, '--port', '8787'));
  if (!Number.isInteger(port) || port < 1) throw new Stop('--port needs a number, from 1 to 65535');
  if (!await isFree(ip, port)) {
    throw new Stop(`port ${port} is in use; take another with: npm run dev -- --port ${port + 10}`);
  }

  await ensurePackages('wasm');
  await ensureModules();
  writeConfig();
  if (!existsSync(join(root, 'dist/spillway.wasm'))) {
    say('Building dist/spillway.wasm (about a minute, the first time only)');
  }
  await buildModule('wasi');

  const builtIn = 'adapters/registry.json';
  const registry = parseConfig(builtIn, readIfThere(builtIn) ?? '{}');
  const file = readIfThere('spillway.config.json');
  const fileConfig = file === undefined ? undefined : parseConfig('spillway.config.json', file);
  // A first look for the configuration, which may name more keys; then all of them.
  const { SPILLWAY_CONFIG: text } = readVariables([]).all;
  const textConfig = text === undefined ? undefined : parseConfig('SPILLWAY_CONFIG', text);
  const own = fileConfig === undefined && textConfig === undefined ? undefined
    : { providers: { ...fileConfig?.providers, ...textConfig?.providers } };
  const providers = [registry, fileConfig, textConfig]
    .flatMap((config) => Object.values(config?.providers ?? {}));
  const { all, fromEnvironment } = readVariables(providers);
  const backend = await chooseBackend(simulate, registry, own, all);

  // Only when the environment adds something: wrangler then no longer reads .dev.vars by itself
  // (and no longer notices that it changed), so the file repeats what stands there.
  const envFile = Object.keys(fromEnvironment).length === 0 ? []
    : ['--env-file', writeSecretFile(all)];
  const vars = Object.entries(backend.vars)
    .flatMap(([name, value]) => ['--var', `${name}:${value}`]);
  const wrangler = start(pinnedNode(), [
    wranglerCli, 'dev', '--show-interactive-dev-session=false', ...envFile, ...vars,
    ...wranglerArgs,
  ], { cwd: root, env: offlineEnvironment(), stdio: 'inherit' });
  const ended = new Promise((resolve) => { wrangler.once('exit', (code) => resolve(code ?? 1)); });
  const host = ip === '0.0.0.0' || ip === '*' ? '127.0.0.1' : ip;
  void announce(`http://${host}:${port}`, backend.who);
  const code = await ended;
  // The simulator is still running and would keep this process alive.
  process.exit(code);
});
