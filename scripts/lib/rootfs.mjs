/**
 * Root file systems of Debian 12 for `npm run fresh`: made with debootstrap, given this machine's
 * apt, npm and certificate configuration and its Node, and commands run in them.
 *
 * Rules: everything lies in one cache folder outside the tree; what was made completely is used
 * again (a note, written last, holds what it was made of). Commands run in mount and process
 * namespaces of their own: mounts and processes end with them, however they end. This machine's
 * configuration is copied as it is, never written into the project or a log.
 */

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  createWriteStream, existsSync, lstatSync, mkdirSync, readFileSync, readdirSync,
  realpathSync, rmSync, statSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { readIfThere, writeWhole } from './files.mjs';
import { systemNode } from './machine.mjs';
import { run, showProgress, start } from './process.mjs';
import { Stop } from './terminal.mjs';

const kSuite = 'bookworm';
const kDayMs = 24 * 3_600_000;
/** A base this old is made anew, for Debian's updates. */
const kBaseDaysMax = 7;
const kPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Names of files, or folders, that programs take certificates from. */
const kCertificateVariables = [
  'SSL_CERT_FILE', 'SSL_CERT_DIR', 'NODE_EXTRA_CA_CERTS', 'CURL_CA_BUNDLE', 'GIT_SSL_CAINFO',
];
const kProxyVariables = ['http_proxy', 'https_proxy', 'ftp_proxy', 'all_proxy', 'no_proxy']
  .flatMap((name) => [name, name.toUpperCase()]);
/** What npm takes from the environment to reach its registry. */
const kNpmVariables = ['registry', 'proxy', 'https_proxy', 'noproxy', 'cafile', 'strict_ssl']
  .flatMap((name) => [`npm_config_${name}`, `NPM_CONFIG_${name.toUpperCase()}`]);

// --- this machine's configuration ---------------------------------------------------------------

/** The variables of this machine that a command needs to reach servers. */
function networkEnvironment() {
  return Object.fromEntries([...kCertificateVariables, ...kProxyVariables, ...kNpmVariables]
    .filter((name) => process.env[name]).map((name) => [name, process.env[name]]));
}

/**
 * Copies a file or folder, into what is there already.
 * @param {string} source @param {string} target @param {string[]} options  of cp
 */
function copy(source, target, ...options) {
  mkdirSync(dirname(target), { recursive: true });
  const { status, stderr } = spawnSync('cp', [
    '--archive', '--no-target-directory', '--remove-destination', '--reflink=auto', ...options,
    source, target,
  ], { encoding: 'utf8' });
  if (status !== 0) throw new Stop(`copying ${source} failed: ${stderr.trim()}`);
}

/** @param {string} path of this machine @param {string} rootfs */
function copyToSamePlace(path, rootfs) {
  if (!existsSync(path)) return;
  // A link to a file elsewhere would lead nowhere over there.
  const isLink = lstatSync(path).isSymbolicLink() && !statSync(path).isDirectory();
  copy(path, join(rootfs, path), ...(isLink ? ['--dereference'] : []));
}

/** Files that apt's configuration names: certificates, keys, a program that finds proxies. */
function aptFiles() {
  const { stdout } = spawnSync('apt-config', ['dump'], { encoding: 'utf8' });
  return [...(stdout ?? '').matchAll(/^Acquire::\S*(?:Ca|Cert|Key|Detect)\S* "(\/[^"]+)";$/gmi)]
    .map(([, path]) => path);
}

/** The npmrc files of this machine: the user's, the global one. */
function npmrcFiles() {
  const npm = dirname(dirname(realpathSync(systemNode())));
  return {
    user: process.env.npm_config_userconfig ?? join(homedir(), '.npmrc'),
    global: process.env.npm_config_globalconfig ?? join(npm, 'etc/npmrc'),
  };
}

/** @param {string} rootfs */
function copyConfiguration(rootfs) {
  rmSync(join(rootfs, 'etc/apt'), { recursive: true, force: true });
  for (const path of [
    '/etc/apt', '/usr/share/keyrings', ...aptFiles(),
    '/etc/ssl/certs', '/etc/ca-certificates.conf', '/usr/share/ca-certificates',
    '/usr/local/share/ca-certificates', '/etc/resolv.conf', '/etc/hosts', '/etc/hostname',
    ...kCertificateVariables.map((name) => process.env[name] ?? '').filter((path) => path !== ''),
  ]) copyToSamePlace(path, rootfs);

  const { user, global } = npmrcFiles();
  for (const [source, ...targets] of [
    [user, 'root/.npmrc', 'etc/skel/.npmrc'], [global, 'usr/local/etc/npmrc'],
  ]) {
    if (!existsSync(source)) continue;
    for (const target of targets) copy(source, join(rootfs, target), '--dereference');
    const named = /^\s*cafile\s*=\s*"?(\/[^"\s]+)/m.exec(readFileSync(source, 'utf8'))?.[1];
    if (named !== undefined) copyToSamePlace(named, rootfs);
  }
}

/** The version of this machine's Node. */
export function nodeVersion() {
  return spawnSync(systemNode(), ['--version'], { encoding: 'utf8' }).stdout.trim();
}

/** This machine's Node with its npm, in the place where a download puts it. @param {string} rootfs
 */
function copyNode(rootfs) {
  const node = realpathSync(systemNode());
  const modules = join(dirname(dirname(node)), 'lib/node_modules');
  if (!existsSync(join(modules, 'npm'))) throw new Stop(`no npm belongs to ${node}`);
  const local = join(rootfs, 'usr/local');
  copy(node, join(local, 'bin/node'));
  copy(join(modules, 'npm'), join(local, 'lib/node_modules/npm'));
  for (const name of ['npm', 'npx']) {
    const link = spawnSync('ln', [
      '--symbolic', '--force', `../lib/node_modules/npm/bin/${name}-cli.js`,
      join(local, 'bin', name),
    ]);
    if (link.status !== 0) throw new Stop(`no link for ${name} in ${local}`);
  }
}

/** Where this machine gets Debian 12 from. */
export function mirrorOf() {
  const folder = '/etc/apt/sources.list.d';
  const lists = ['/etc/apt/sources.list',
    ...(existsSync(folder) ? readdirSync(folder).sort().map((name) => join(folder, name)) : [])];
  for (const path of lists.filter((list) => existsSync(list))) {
    const text = readFileSync(path, 'utf8').replaceAll(/^\s*#.*\n/gm, '');
    if (path.endsWith('.sources')) {
      for (const paragraph of text.split(/\n\s*\n/)) {
        const field = (/** @type {string} */ name) =>
          new RegExp(`^${name}:(.*)$`, 'mi').exec(paragraph)?.[1].trim().split(/\s+/) ?? [];
        if (!field('Suites').includes(kSuite) || field('Enabled')[0] === 'no') continue;
        return field('URIs')[0];
      }
    } else if (path.endsWith('.list')) {
      const line = /^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+bookworm\s/m.exec(text);
      if (line !== null) return line[1];
    }
  }
  throw new Stop('npm run fresh makes Debian 12; this machine\'s apt sources do not name bookworm');
}

/** Whether apt reaches its servers, asked without touching its lists. @param {string} cache */
export async function checkNetwork(cache) {
  const lists = join(cache, 'lists');
  mkdirSync(join(lists, 'partial'), { recursive: true });
  const { code, output } = await run('apt-get', [
    '-o', `Dir::State::Lists=${lists}`, '-o', 'APT::Update::Error-Mode=any',
    '-o', 'Acquire::Retries=0', 'update',
  ], { label: 'apt-get update' });
  rmSync(lists, { recursive: true, force: true });
  if (code === 0) return;
  const reason = output.split('\n').find((line) => /^[EW]: /.test(line))?.slice(3) ?? 'no reason';
  throw new Stop(`no network: apt-get update failed (${reason.trim()})`);
}

// --- commands inside ----------------------------------------------------------------------------

/** @typedef {{ name: string, uid: number, home: string }} User */
/** @type {User} */
export const superuser = { name: 'root', uid: 0, home: '/root' };
/** @type {User} */
export const ordinaryUser = { name: 'dev', uid: 1000, home: '/home/dev' };

const inside = fileURLToPath(new URL('namespace.mjs', import.meta.url));

/**
 * A command in a root file system. Its group is its own, so that it can be interrupted as from a
 * terminal.
 * @param {string} rootfs
 * @param {string[]} command
 * @param {{ log: string, label?: string, user?: User, cwd?: string, timeoutMs?: number,
 *   hear?: (line: string, send: (signal: NodeJS.Signals) => void) => void }} options
 * @returns {Promise<{ code: number, output: string }>} output: stdout and stderr
 */
export function runIn(rootfs, command, options) {
  const { log, label, user = superuser, cwd = user.home, timeoutMs = kDayMs, hear } = options;
  const job = { rootfs, user: `${user.uid}:${user.uid}`, cwd, command };
  mkdirSync(dirname(log), { recursive: true });
  const file = createWriteStream(log, { flags: 'a' });
  file.write(`$ ${command.join(' ')}   # as ${user.name}\n`);
  const child = start('unshare', [
    '--mount', '--pid', '--fork', '--kill-child', systemNode(), inside, JSON.stringify(job),
  ], {
    env: {
      PATH: kPath, HOME: user.home, USER: user.name, LOGNAME: user.name, LANG: 'C.UTF-8',
      TERM: 'dumb', ...networkEnvironment(),
    },
    stdio: ['ignore', 'pipe', 'pipe'], detached: true,
  });
  const send = (/** @type {NodeJS.Signals} */ signal) => {
    const runs = child.exitCode === null && child.signalCode === null;
    if (runs && child.pid !== undefined) process.kill(-child.pid, signal);
  };

  let output = '';
  let last = 'running';
  const progress = label === undefined ? undefined : showProgress(label, () => last);
  for (const stream of [child.stdout, child.stderr]) {
    if (stream === null) continue;
    stream.on('data', (piece) => {
      output += piece;
      file.write(piece);
    });
    createInterface({ input: stream }).on('line', (line) => {
      if (line.trim() !== '') last = line.trim();
      hear?.(line, send);
    });
  }
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      output += `\nended after ${Math.round(timeoutMs / 60_000)} minutes\n`;
      send('SIGKILL');
    }, timeoutMs);
    child.once('error', () => resolve({ code: 127, output: 'unshare is missing' }));
    child.once('close', (code) => {
      clearTimeout(timer);
      progress?.();
      file.end(`# exit code ${code}\n\n`);
      resolve({ code: code ?? 1, output });
    });
  });
}

/** As runIn(), for what has to work. @param {Parameters<typeof runIn>} args */
async function mustRunIn(...args) {
  const [, command, { log }] = args;
  const { code, output } = await runIn(...args);
  if (code === 0) return output;
  const reason = output.split('\n').findLast((line) => /^(E: |error|fatal)/i.test(line)) ?? '';
  throw new Stop(`${command.join(' ')} failed: ${reason} (${log})`);
}

// --- root file systems --------------------------------------------------------------------------

/** Removes a root file system, unless something is mounted in it. @param {string} path */
export function removeRootfs(path) {
  if (!existsSync(path)) return;
  const real = realpathSync(path);
  const mounted = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
    .map((line) => line.split(' ')[4]).filter((target) => target?.startsWith(`${real}/`));
  if (mounted.length > 0) throw new Stop(`${mounted[0]} is mounted; unmount it before`);
  rmSync(real, { recursive: true, force: true });
}

/** @param {string} from @param {string} to */
export async function copyRootfs(from, to) {
  removeRootfs(to);
  const { code, output } = await run('cp', ['--archive', '--reflink=auto', from, to]);
  if (code !== 0) throw new Stop(`copying ${from} failed: ${output.trim()}`);
}

/**
 * A root file system that is kept: made when its note does not say what it would be made of now.
 * @param {string} path @param {string} made_of @param {() => Promise<void>} make
 */
async function keep(path, made_of, make) {
  const note = `${path}.note`;
  const text = `${createHash('sha256').update(made_of).digest('hex')}\n`;
  const age = Date.now() - (statSync(note, { throwIfNoEntry: false })?.mtimeMs ?? 0);
  if (existsSync(path) && readIfThere(note)?.toString() === text && age < kBaseDaysMax * kDayMs) {
    return path;
  }
  rmSync(note, { force: true });
  removeRootfs(path);
  mkdirSync(dirname(path), { recursive: true });
  await make();
  writeWhole(note, text);
  return path;
}

/**
 * Debian with as little as there is, git, and Node.
 * @param {string} cache @param {string} logs
 */
export function baseRootfs(cache, logs) {
  const path = join(cache, 'base');
  const mirror = mirrorOf();
  const include = 'ca-certificates,git';
  const made_of = ['base 1', mirror, include, nodeVersion(), realpathSync(systemNode())].join();
  return keep(path, made_of, async () => {
    const log = join(logs, 'debootstrap.log');
    // debootstrap does not read apt's configuration.
    const { stdout } = spawnSync('apt-config', ['dump', 'Acquire::http::Proxy'], {
      encoding: 'utf8',
    });
    const proxy = /"(.+)"/.exec(stdout ?? '')?.[1];
    const { code, output } = await run('unshare', [
      '--mount', '--pid', '--fork', '--kill-child', '--mount-proc',
      'debootstrap', '--variant=minbase', `--include=${include}`, kSuite, path, mirror,
    ], {
      label: 'debootstrap',
      env: { ...(proxy === undefined ? {} : { http_proxy: proxy }), ...process.env },
    });
    writeWhole(log, output);
    if (code !== 0) {
      const reason = output.split('\n').findLast((line) => /^[EW]: /.test(line))?.slice(3);
      throw new Stop(`debootstrap from ${mirror} failed: ${reason ?? 'no reason'} (${log})`);
    }
    rmSync(join(path, 'var/cache/apt/archives'), { recursive: true, force: true });
    mkdirSync(join(path, 'var/cache/apt/archives/partial'), { recursive: true });
    copyNode(path);
  });
}

/**
 * The base with more in it, for a case.
 * @param {string} cache @param {string} logs @param {string} base
 * @param {{ name: string, packages?: string[], user?: User, sudo?: boolean }} wanted
 */
export function preparedRootfs(cache, logs, base, { name, packages = [], user, sudo = false }) {
  const path = join(cache, `prepared-${name}`);
  const log = join(logs, `${name}-prepare.log`);
  const installed = [...packages, ...(sudo ? ['sudo'] : [])];
  const made_of = [
    'prepared 1', readIfThere(`${base}.note`), statSync(`${base}.note`).mtimeMs, installed,
    user?.name, sudo,
  ].join();
  return keep(path, made_of, async () => {
    await copyRootfs(base, path);
    copyConfiguration(path);
    rmSync(log, { force: true });
    const must = (/** @type {string[]} */ ...command) =>
      mustRunIn(path, command, { log, label: `${name}: ${command.slice(0, 2).join(' ')}` });
    if (installed.length > 0) {
      await must('apt-get', 'update');
      await must('env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', 'install', '-y', ...installed);
    }
    if (user !== undefined && user.uid !== superuser.uid) {
      await must('useradd', '--create-home', '--shell', '/bin/bash', '--uid', String(user.uid),
        user.name);
    }
    if (sudo) {
      const rule = join(path, 'etc/sudoers.d/dev');
      writeWhole(rule, `${user?.name} ALL=(ALL) NOPASSWD: ALL\n`);
      await must('chmod', '0440', '/etc/sudoers.d/dev');
    }
  });
}

/**
 * A copy for one run, with this machine's configuration of now and the clone in the user's home.
 * @param {string} prepared @param {string} path @param {string} bundle  a git bundle of HEAD
 * @param {{ user: User, log: string, head: string }} options
 */
export async function freshRootfs(prepared, path, bundle, { user, log, head }) {
  await copyRootfs(prepared, path);
  copyConfiguration(path);
  copy(bundle, join(path, 'tmp/head.bundle'));
  const must = (/** @type {string} */ cwd, /** @type {string[]} */ ...command) =>
    mustRunIn(path, command, { user, cwd, log });
  await must(user.home, 'git', 'clone', '--quiet', '/tmp/head.bundle', 'spillway');
  const clone = `${user.home}/spillway`;
  const cloned = await must(clone, 'git', 'rev-parse', 'HEAD');
  if (cloned.trim() !== head) throw new Stop(`the clone is at ${cloned.trim()}, not at ${head}`);
  return clone;
}
