/**
 * The Debian packages that the scripts need.
 *
 * Rules: only what is missing is installed, so a second run costs nothing; what an interrupted
 * installation left half-way is repaired; another apt is waited for; what cannot be installed ends
 * in one line that says what to install. No dependencies: this runs before `npm ci`.
 */

import { existsSync, readdirSync } from 'node:fs';
import { run, start, which } from './process.mjs';
import { Stop, say } from './terminal.mjs';
import { tools } from './tools.mjs';

const kAptWaitMs = 300_000;
const kAptRetryMs = 2_000;

/** @typedef {'wasm' | 'emscripten' | 'native' | 'lint' | 'fresh'} Purpose */
/** @typedef {{ name: string, for: Purpose[], files: string[] }} Package */

/** Debian's name of this machine's processor. */
const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
const clangLibraries = '/usr/lib/llvm-19/lib/clang/19/lib';

/** Each with the files that builds use: whether they are there tells whether it is.
 * @type {Package[]} */
const packages = [
  {
    name: 'clang-19', for: ['wasm', 'native'],
    files: ['/usr/bin/clang++-19', tools.clang],
  },
  {
    name: 'lld-19', for: ['wasm', 'native'], files: ['/usr/bin/wasm-ld-19', '/usr/bin/ld.lld-19'],
  },
  // The archiver and its like. The symbolizer gives a sanitizer's report names and lines.
  {
    name: 'llvm-19', for: ['wasm', 'native'],
    files: ['/usr/bin/llvm-ar-19', '/usr/bin/llvm-ranlib-19', tools.symbolizer],
  },
  { name: 'wasi-libc', for: ['wasm'], files: ['/usr/lib/wasm32-wasi/libc.a'] },
  { name: 'libc++-19-dev-wasm32', for: ['wasm'], files: ['/usr/lib/wasm32-wasi/libc++.a'] },
  {
    name: 'libc++abi-19-dev-wasm32', for: ['wasm'], files: ['/usr/lib/wasm32-wasi/libc++abi.a'],
  },
  {
    name: 'libclang-rt-19-dev-wasm32', for: ['wasm'],
    files: [`${clangLibraries}/wasi/libclang_rt.builtins-wasm32.a`],
  },
  { name: 'binaryen', for: ['wasm', 'emscripten'], files: ['/usr/bin/wasm-opt', tools.wasmAs] },
  { name: 'cmake', for: ['wasm', 'emscripten', 'native'], files: [tools.cmake] },
  { name: 'ninja-build', for: ['wasm', 'emscripten', 'native'], files: [tools.ninja] },
  {
    name: 'nlohmann-json3-dev', for: ['wasm', 'emscripten', 'native'],
    files: ['/usr/include/nlohmann/json.hpp'],
  },
  {
    // It brings the LLVM 14 that it calls.
    name: 'emscripten', for: ['emscripten'],
    files: ['/usr/bin/em++', '/usr/bin/emar', '/usr/bin/emranlib', '/usr/bin/clang++-14',
      '/usr/bin/wasm-ld-14', '/usr/bin/llvm-ar-14'],
  },
  {
    name: 'libgtest-dev', for: ['native'], files: [`/usr/lib/${machine}-linux-gnu/libgtest.a`],
  },
  {
    name: 'libclang-rt-19-dev', for: ['native'],
    files: [`${clangLibraries}/linux/libclang_rt.asan-${machine}.a`],
  },
  { name: 'clang-format-19', for: ['lint'], files: [tools.clangFormat] },
  { name: 'clang-tidy-19', for: ['lint'], files: [tools.clangTidy] },
  { name: 'debootstrap', for: ['fresh'], files: ['/usr/sbin/debootstrap'] },
];

/** What the packages for this purpose bring. @param {Purpose} purpose */
export function packageFiles(purpose) {
  return packages.filter((entry) => entry.for.includes(purpose)).flatMap(({ files }) => files);
}

// --- what is there ------------------------------------------------------------------------------

/**
 * Those that dpkg has begun to install and not ended: their files may be there, without those they
 * depend on.
 * @param {Package[]} wanted
 */
async function halfInstalled(wanted) {
  const { output } = await run('dpkg-query', [
    '--show', '--showformat', '${Package} ${db:Status-Status}\n', ...wanted.map(({ name }) => name),
  ]);
  const states = new Map(output.split('\n').map((line) =>
    /** @type {[string, string]} */ (line.split(' ', 2))));
  const ended = ['installed', 'not-installed', 'config-files', undefined];
  return wanted.filter(({ name }) => !ended.includes(states.get(name)));
}

/** @param {Package[]} wanted */
async function missingOf(wanted) {
  const half = await halfInstalled(wanted);
  return wanted.filter((entry) => half.includes(entry) || !entry.files.every(existsSync));
}

/** Whether dpkg was ended in the middle of its own notes; no apt does anything until it is mended.
 */
function dpkgWasInterrupted() {
  const notes = '/var/lib/dpkg/updates';
  return existsSync(notes) && readdirSync(notes).some((name) => /^\d+$/.test(name));
}

// --- installing ---------------------------------------------------------------------------------

/** What apt and dpkg need to know of the caller's environment to reach their servers. */
const kNetworkVariables = [
  'http_proxy', 'https_proxy', 'ftp_proxy', 'all_proxy', 'no_proxy',
  'HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY', 'NO_PROXY', 'SSL_CERT_FILE', 'SSL_CERT_DIR',
];

/** How to become root: [] when we are, undefined when we cannot. */
async function rootPrefix() {
  if (process.getuid?.() === 0) return [];
  if (which('sudo') === undefined) return undefined;
  const keep = kNetworkVariables.filter((name) => process.env[name] !== undefined);
  const prefix = ['sudo', ...(keep.length > 0 ? [`--preserve-env=${keep.join(',')}`] : [])];
  if ((await run('sudo', ['-n', 'true'])).code === 0) return prefix;
  // Without a terminal nobody could type the password. With one it is asked for here, before
  // anything shows progress over the question.
  if (!process.stdin.isTTY) return undefined;
  const child = start('sudo', ['-v'], { stdio: 'inherit' });
  const code = await new Promise((resolve) => { child.once('exit', resolve); });
  return code === 0 ? prefix : undefined;
}

/** Why apt or dpkg failed: what it said first, the rest follows from it. @param {string} output */
function reasonOf(output) {
  return output.split('\n').find((line) => /^(E: |dpkg: error)/.test(line))?.replace(/^E: /, '');
}

const isLocked = (/** @type {string} */ output) =>
  /could not get lock|unable to (?:acquire|lock)|is held by process|is locked by another/i
    .test(output);

/**
 * Runs apt-get or dpkg as root; waits while another holds what it needs. A kill in the middle would
 * leave half-installed packages: it goes on without us.
 * @param {string[]} prefix @param {string[]} args
 */
async function asRoot(prefix, args) {
  // What it says is read here, so it says it in English.
  const [command, ...before] = [
    ...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'LC_ALL=C.UTF-8',
  ];
  const label = args.filter((arg) => /^[a-z]/.test(arg)).slice(0, 2).join(' ');
  const deadline = Date.now() + kAptWaitMs;
  for (;;) {
    const result = await run(command, [...before, ...args], { label, outlives: true });
    if (result.code === 0 || !isLocked(result.output) || Date.now() > deadline) return result;
    // There is no event to wait for: who holds the lock is asked again.
    await new Promise((resolve) => { setTimeout(resolve, kAptRetryMs); });
  }
}

/**
 * Installs the Debian packages that are missing for these purposes.
 * @param {Purpose[]} purposes
 */
export async function ensurePackages(...purposes) {
  const wanted = packages.filter((entry) =>
    entry.for.some((purpose) => purposes.includes(purpose)));
  const missing = await missingOf(wanted);
  if (missing.length === 0) return;
  const names = missing.map((entry) => entry.name);
  const mend = dpkgWasInterrupted() ? 'dpkg --configure -a && ' : '';
  const byHand = `missing: ${names.join(', ')}; as root, install with: ${mend}apt-get update && `
    + `apt-get install -y --no-install-recommends ${names.join(' ')}`;
  const prefix = await rootPrefix();
  if (which('apt-get') === undefined || prefix === undefined) throw new Stop(byHand);

  say(`Installing ${names.length} Debian packages (some minutes): ${names.join(' ')}`);
  const apt = (/** @type {string[]} */ ...args) =>
    asRoot(prefix, ['apt-get', '-o', 'DPkg::Lock::Timeout=300', '-y', ...args]);
  const repair = async () => {
    await asRoot(prefix, ['dpkg', '--configure', '-a']);
    return apt('--fix-broken', '--no-install-recommends', 'install');
  };
  const install = () => apt('install', '--no-install-recommends', ...names);

  const said = [];
  if (dpkgWasInterrupted()) said.push(await repair());
  // Of sources that do not answer one may be another's: what matters is the installation.
  said.push(await apt('-o', 'APT::Update::Error-Mode=any', 'update'), await install());
  if (said.at(-1)?.code !== 0) said.push(await repair(), await install());
  if ((await missingOf(missing)).length > 0) {
    const reason = reasonOf(said.map(({ output }) => output).join('\n'));
    throw new Stop(`${byHand}${reason === undefined ? '' : ` (apt-get said: ${reason})`}`);
  }
}
