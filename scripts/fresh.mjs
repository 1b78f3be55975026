/**
 * The README's two commands on machines that have nothing yet: `npm run fresh`.
 *
 *   npm run fresh                                  every case, npm run dev and npm test
 *   npm run fresh -- --only a,d --command dev      two cases, only npm run dev
 *
 * Each case is a root file system of Debian 12 with a clone of HEAD in it, made for this run
 * (lib/rootfs.mjs) from one that is kept in the cache.
 *
 * Rules: what is tried is what is committed; nothing is written into the tree. `npm run dev` has
 * passed when the README's request is answered by a whole stream and Ctrl-C ends it. Every case
 * runs even when an earlier one failed; the table comes last. Exit code 0 when all passed.
 */

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { withLock } from './lib/lock.mjs';
import { root } from './lib/machine.mjs';
import { ensurePackages } from './lib/packages.mjs';
import { run } from './lib/process.mjs';
import {
  baseRootfs, checkNetwork, freshRootfs, nodeVersion, ordinaryUser, preparedRootfs, removeRootfs,
  runIn, superuser,
} from './lib/rootfs.mjs';
import { Stop, bold, green, red, runMain, say, yellow } from './lib/terminal.mjs';

const kDevTimeoutMs = 30 * 60_000;
const kTestTimeoutMs = 150 * 60_000;
const kAnswerTimeoutMs = 30_000;
/** So long after Ctrl-C it must have ended. */
const kEndMs = 20_000;

/** @typedef {import('./lib/rootfs.mjs').User} User */
/**
 * @typedef {object} Case
 * @property {string} name
 * @property {string} about
 * @property {User} user
 * @property {string[]} [packages]  of the distribution, there before
 * @property {boolean} [sudo]
 * @property {boolean} [byHand]     nothing can be installed: what the script asks for is, by root
 */

/** @type {Case[]} */
const cases = [
  { name: 'a', about: 'minimal Debian 12, git', user: superuser },
  {
    name: 'b', about: 'Debian\'s own compilers too', user: superuser,
    packages: ['build-essential', 'cmake', 'llvm', 'clang', 'lld', 'ccache'],
  },
  { name: 'c', about: 'ordinary user, sudo', user: ordinaryUser, sudo: true },
  { name: 'd', about: 'ordinary user, no sudo', user: ordinaryUser, byHand: true },
];
const commands = /** @type {const} */ (['dev', 'test']);

const defaultCache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'spillway-fresh');

const usage = `usage: npm run fresh [-- OPTIONS]

Runs npm run dev and npm test of a clone of HEAD on new Debian 12 machines. Needs root.

  --only CASE[,CASE…]   only these of
${cases.map(({ name, about }) => `                          ${name}  ${about}`).join('\n')}
  --command dev|test    only this command
  --keep                keep the root file systems of this run
  --cache DIR           where they and the logs lie (default ${defaultCache})`;

function readOptions() {
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        only: { type: 'string' },
        command: { type: 'string' },
        keep: { type: 'boolean', default: false },
        cache: { type: 'string', default: defaultCache },
        help: { type: 'boolean', default: false },
      },
    }));
  } catch (error) {
    throw new Stop(`${/** @type {Error} */ (error).message}; see npm run fresh -- --help`);
  }
  const names = values.only?.split(',') ?? cases.map(({ name }) => name);
  const wrong = names.find((name) => !cases.some((each) => each.name === name));
  if (wrong !== undefined) throw new Stop(`no case is called "${wrong}"; there are a, b, c and d`);
  const wanted = commands.filter((command) => (values.command ?? command) === command);
  if (wanted.length === 0) throw new Stop('--command takes dev or test');
  return {
    ...values, cache: resolve(values.cache ?? defaultCache), commands: wanted,
    cases: cases.filter(({ name }) => names.includes(name)),
  };
}

// --- what is tried ------------------------------------------------------------------------------

/** HEAD in one file. @param {string} cache */
async function bundleHead(cache) {
  const git = async (/** @type {string[]} */ ...args) => {
    // The tree may belong to another user than root.
    const { code, output } = await run('git', ['-c', 'safe.directory=*', '-C', root, ...args]);
    if (code !== 0) throw new Stop(`git ${args[0]} failed: ${output.trim()}`);
    return output.trim();
  };
  const head = await git('rev-parse', 'HEAD');
  const changed = (await git('status', '--porcelain')).split('\n').filter((line) => line !== '');
  const bundle = join(cache, 'head.bundle');
  mkdirSync(cache, { recursive: true });
  await git('bundle', 'create', '--quiet', bundle, 'HEAD');
  return { head, bundle, changed: changed.length };
}

/** The README's first request: path, headers and body of its curl command. */
function readmeRequest() {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const command = /^curl [^]*?(?=^```)/m.exec(readme)?.[0] ?? '';
  const path = /http:\/\/localhost:8787(\/\S+)/.exec(command)?.[1];
  const body = /-d '([^']+)'/.exec(command)?.[1];
  const headers = [...command.matchAll(/-H '([^:']+): ([^']+)'/g)].map(([, name, value]) =>
    /** @type {[string, string]} */ ([name, value]));
  if (path === undefined || body === undefined) throw new Stop('README.md has no curl command');
  return { path, body, headers };
}

/** Why an answer is not a good stream that failed over, or undefined. @param {number} port */
async function judgeAnswer(port) {
  const { path, body, headers } = readmeRequest();
  const response = await fetch(`http://localhost:${port}${path}`, {
    method: 'POST', headers, body, signal: AbortSignal.timeout(kAnswerTimeoutMs),
  });
  const text = await response.text();
  if (response.status !== 200) return `the answer is ${response.status} ${text.slice(0, 200)}`;
  const attempts = response.headers.get('x-spillway-attempts') ?? '';
  if (!/=rate_limited.*=ok$/.test(attempts)) return `it did not fail over: ${attempts}`;
  const events = text.split('\n\n').filter((event) => event.startsWith('data: '))
    .map((event) => event.slice('data: '.length));
  if (events.at(-1)?.trim() !== '[DONE]') return `the stream ends in ${events.at(-1)}`;
  const content = events.slice(0, -1).map((event) =>
    JSON.parse(event).choices[0]?.delta.content ?? '').join('');
  return content.length === 0 ? 'the stream has no content' : undefined;
}

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((found) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => found(port));
    });
  });
}

// --- one command of one case --------------------------------------------------------------------

/**
 * @typedef {{ rootfs: string, clone: string, user: User, log: string, label: string }} Place
 */

/** @param {string} output */
function lastLine(output) {
  const lines = output.split('\n').map((line) => line.trim()).filter((line) => line !== '');
  return lines.findLast((line) => line.startsWith('error: '))
    ?? lines.findLast((line) => /\berror\b|failed|FAIL/.test(line)) ?? lines.at(-1) ?? '';
}

/**
 * What a command printed, and why it failed.
 * @typedef {{ output: string, reason: string | undefined }} Tried
 */

/** `npm run dev` until it has answered. @param {Place} place @returns {Promise<Tried>} */
async function tryDev({ rootfs, clone, user, log, label }) {
  const port = await freePort();
  /** @type {Promise<string | undefined> | undefined} */
  let judged;
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  let endedByUs = false;
  const { output } = await runIn(rootfs, ['npm', 'run', 'dev', '--', '--port', String(port)], {
    log, label, user, cwd: clone, timeoutMs: kDevTimeoutMs,
    hear: (line, send) => {
      if (judged !== undefined || !/listens on/.test(line)) return;
      judged = judgeAnswer(port).catch((error) => `no answer: ${error.cause ?? error}`);
      void judged.then(() => {
        send('SIGINT');
        timer = setTimeout(() => {
          endedByUs = true;
          send('SIGKILL');
        }, kEndMs);
      });
    },
  });
  clearTimeout(timer);
  const reason = judged === undefined ? lastLine(output)
    : await judged ?? (endedByUs ? 'Ctrl-C does not end it' : undefined);
  return { output, reason };
}

/** @param {Place} place @returns {Promise<Tried>} */
async function tryTest({ rootfs, clone, user, log, label }) {
  const { code, output } = await runIn(rootfs, ['npm', 'test'], {
    log, label, user, cwd: clone, timeoutMs: kTestTimeoutMs,
  });
  return { output, reason: code === 0 ? undefined : lastLine(output) };
}

/**
 * Where nothing can be installed: the command must end in one line that says what root has to do,
 * and that is done. @param {Place} place @param {string} said
 * @returns {Promise<string | undefined>} why that failed
 */
async function installByHand({ rootfs, log, label }, said) {
  // npm says what it starts.
  const lines = said.split('\n').filter((line) => !/^(> .*|npm .*|\s*)$/.test(line));
  if (lines.length !== 1) return `it takes more than one line to say: ${lines.join(' | ')}`;
  const command = /as root, install with: (apt-get [^()]+)$/.exec(lines[0])?.[1];
  if (command === undefined) return `it does not say what to install: ${lines[0]}`;
  const { code, output } = await runIn(rootfs, ['sh', '-c', command], {
    log, label: `${label}, by root`,
  });
  return code === 0 ? undefined : `${command} failed: ${lastLine(output)}`;
}

/**
 * @param {Case} each @param {typeof commands[number]} command @param {string} prepared
 * @param {{ cache: string, logs: string, keep: boolean, bundle: string, head: string }} options
 */
async function tryCase(each, command, prepared, { cache, logs, keep, bundle, head }) {
  const name = `${each.name}-${command}`;
  const log = join(logs, `${name}.log`);
  const rootfs = join(cache, `run-${name}`);
  const label = `${each.name}: npm ${command === 'dev' ? 'run dev' : 'test'}`;
  rmSync(log, { force: true });
  const clone = await freshRootfs(prepared, rootfs, bundle, { user: each.user, log, head });
  const place = { rootfs, clone, user: each.user, log, label };
  const tried = command === 'dev' ? tryDev : tryTest;
  const begin = performance.now();
  let { reason, output } = await tried(place);
  if (each.byHand) {
    reason = await installByHand(place, output) ?? (await tried(place)).reason;
  }
  const seconds = (performance.now() - begin) / 1000;
  if (!keep) removeRootfs(rootfs);
  return { each, command, seconds, reason, log };
}

// --- all of it ----------------------------------------------------------------------------------

/** @param {Awaited<ReturnType<typeof tryCase>>} result */
function tableRow({ each, command, seconds, reason }) {
  return `${each.name}  ${each.about.padEnd(28)}`
    + `${(command === 'dev' ? 'npm run dev' : 'npm test').padEnd(13)}`
    + `${seconds.toFixed(0).padStart(7)}  `
    + (reason === undefined ? green('passed') : red(reason.slice(0, 200)));
}

/** @param {ReturnType<typeof readOptions>} options @returns {Promise<number>} the exit code */
async function tryAll({ cache, cases: chosen, commands: wanted, keep }) {
  const logs = join(cache, 'logs');
  const { head, bundle, changed } = await bundleHead(cache);
  const node = nodeVersion();
  say(`HEAD is ${head.slice(0, 12)}; Node ${node} of this machine; all in ${cache}`);
  if (!node.startsWith('v20.')) say(yellow('The README asks for Node 20; this is another'));
  if (changed > 0) say(yellow(`${changed} files are not as in HEAD: what they say is not tried`));
  await checkNetwork(cache);
  await ensurePackages('fresh');

  say('Making the base (debootstrap, about a minute the first time)');
  const base = await baseRootfs(cache, logs);
  const results = [];
  for (const each of chosen) {
    say(`Preparing ${each.name}: ${each.about}`);
    const prepared = await preparedRootfs(cache, logs, base, each);
    for (const command of wanted) {
      const result = await tryCase(each, command, prepared, {
        cache, logs, keep: keep ?? false, bundle, head,
      });
      results.push(result);
      say(tableRow(result));
      if (result.reason !== undefined) say(`   all of it: ${result.log}`);
    }
  }
  say(`\n${bold(`   ${'case'.padEnd(28)}${'command'.padEnd(13)}seconds  result`)}`);
  for (const result of results) say(tableRow(result));
  return results.every(({ reason }) => reason === undefined) ? 0 : 1;
}

await runMain(async () => {
  const options = readOptions();
  if (options.help) {
    say(usage);
    return 0;
  }
  if (process.platform !== 'linux' || process.getuid?.() !== 0) {
    throw new Stop('npm run fresh makes root file systems and mounts in them: run it as root');
  }
  if (!existsSync('/etc/apt')) throw new Stop('npm run fresh needs Debian\'s apt on this machine');
  return withLock(join(options.cache, 'lock'), 'npm run fresh', () => tryAll(options));
});
