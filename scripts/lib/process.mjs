/**
 * Child processes of the scripts.
 *
 * Rules: no shell, ever; every child ends with us, even when we are killed, and we end with the npm
 * that started us; a quiet child still shows that it lives (its last line on a terminal, one line
 * every 20 seconds elsewhere), and its whole output when it failed.
 */

import { spawn } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { dim, say } from './terminal.mjs';

const kHeartbeatMs = 20_000;
const kGraceMs = 300;
const kEndMs = 5_000;
const kParentMs = 500;
/** Asks the kernel to end a program when its parent has gone, then becomes that program. */
const kSetpriv = '/usr/bin/setpriv';

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

/** A signal is ending us: what children still report is no news. */
let ending = false;

/** Those of them that lead a process group of their own.
 * @type {WeakSet<import('node:child_process').ChildProcess>} */
const leaders = new WeakSet();

/** @param {NodeJS.Signals} signal */
function stopChildren(signal) {
  for (const child of children) {
    if (leaders.has(child) && child.pid !== undefined) process.kill(-child.pid, signal);
    else child.kill(signal);
  }
}

process.on('exit', () => stopChildren('SIGKILL'));
// Node would end at once on these and leave the children behind. Ctrl-C in a terminal reaches them
// without us, so they first get a moment: many programs take a second signal as "do not clean up".
const endings = /** @type {const} */ ([['SIGINT', 130], ['SIGTERM', 143], ['SIGHUP', 129]]);
for (const [signal, code] of endings) {
  process.once(signal, () => {
    ending = true;
    setTimeout(() => stopChildren(signal), signal === 'SIGINT' ? kGraceMs : 0);
    setTimeout(() => process.exit(code), kEndMs);
    setInterval(() => { if (children.size === 0) process.exit(code); }, 50);
  });
}

// --- who is there -------------------------------------------------------------------------------

/** What Linux tells of a process. @param {number} pid */
function processState(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // Its name may hold anything; the fields begin behind the last parenthesis.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const name = text.slice(text.indexOf('(') + 1, text.lastIndexOf(')'));
    return { name, state: fields[0], parent: Number(fields[1]), started: fields[19] };
  } catch {
    return undefined;
  }
}

/** @param {number} pid */
export function isRunning(pid) {
  const found = processState(pid);
  if (found !== undefined) return found.state !== 'Z' && found.state !== 'X';
  if (existsSync('/proc/self/stat')) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

/** Tells a process from a later one of the same number. @param {number} pid */
export function startOf(pid) {
  return processState(pid)?.started ?? '';
}

/**
 * Calls back once npm has gone without us, as after `kill -9`: nobody would end us any more. npm
 * starts a shell, which starts us.
 * @param {() => void} gone
 */
function watchNpm(gone) {
  if (process.env.npm_lifecycle_event === undefined) return;
  const shell = process.ppid;
  const found = processState(shell);
  if (found === undefined) return;
  const viaShell = /^(ba|da)?sh$/.test(found.name);
  if (viaShell && !/^(npm|node)/.test(processState(found.parent)?.name ?? '')) return;
  setInterval(() => {
    const left = process.ppid !== shell
      || (viaShell && processState(shell)?.parent !== found.parent);
    if (left) gone();
  }, kParentMs).unref();
}

watchNpm(() => process.kill(process.pid, 'SIGTERM'));

// --- children -----------------------------------------------------------------------------------

/**
 * Starts a child that ends with this process. `orphan` is the signal it gets when this process was
 * killed and could not end it: SIGKILL unless it has to clean up, undefined where that would do
 * harm. `options.detached`: all of its process group are ended together.
 * @param {string} command @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 * @param {{ orphan?: 'SIGKILL' | 'SIGTERM' | undefined }} [ending]
 */
export function start(command, args, options, ending = { orphan: 'SIGKILL' }) {
  const guard = ending.orphan !== undefined && existsSync(kSetpriv)
    ? [kSetpriv, '--pdeathsig', ending.orphan.slice('SIG'.length), '--'] : [];
  const [program, ...before] = [...guard, command];
  const child = spawn(program, [...before, ...args], options);
  children.add(child);
  if (options.detached) leaders.add(child);
  child.once('exit', () => children.delete(child));
  child.once('error', () => children.delete(child));
  return child;
}

/**
 * Runs a command to its end. `label` makes it say that it is still running; `lock` is a file that
 * it and its own children keep open (lock.mjs); `outlives`: killing it half-way would do harm, so
 * it goes on when this process is killed.
 * @param {string} command @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, label?: string, lock?: number,
 *   outlives?: boolean }} [options]
 * @returns {Promise<{ code: number, output: string }>} exit code (127: not found), stdout + stderr
 */
export function run(command, args, { cwd, env, label, lock, outlives = false } = {}) {
  return new Promise((resolve) => {
    const child = start(
      command, args,
      { cwd, env, stdio: ['ignore', 'pipe', 'pipe', ...(lock === undefined ? [] : [lock])] },
      { orphan: outlives ? undefined : 'SIGKILL' },
    );
    /** @type {Buffer[]} */
    const pieces = [];
    let last = 'running';
    const progress = label === undefined ? undefined : showProgress(label, () => last);
    const take = (/** @type {Buffer} */ piece) => {
      pieces.push(piece);
      const line = piece.toString().split(/[\r\n]+/).findLast((text) => text.trim() !== '');
      if (line !== undefined) last = line.trim();
    };
    child.stdout?.on('data', take);
    child.stderr?.on('data', take);
    const finish = (/** @type {number} */ code) => {
      progress?.();
      if (!ending) resolve({ code, output: Buffer.concat(pieces).toString() });
    };
    child.once('error', () => finish(127));
    // A signal has no exit code of its own; any failure code will do.
    child.once('close', (code) => finish(code ?? 1));
  });
}

/**
 * Shows that a child lives.
 * @param {string} label @param {() => string} lastLine @returns {() => void} stops it
 */
export function showProgress(label, lastLine) {
  if (process.stdout.isTTY) {
    const timer = setInterval(() => {
      const columns = process.stdout.columns || 80;
      const text = `  ${label}: ${lastLine()}`.slice(0, columns - 1);
      process.stdout.write(`\r\x1b[K${dim(text)}`);
    }, 200);
    return () => {
      clearInterval(timer);
      process.stdout.write('\r\x1b[K');
    };
  }
  const timer = setInterval(() => say(`  ${label}: ${lastLine().slice(0, 120)}`), kHeartbeatMs);
  return () => clearInterval(timer);
}

/** @param {string} path */
export function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/**
 * Where a program is on PATH.
 * @param {string} program @param {(folder: string) => boolean} [accept]
 */
export function which(program, accept = () => true) {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    if (folder === '' || !accept(folder)) continue;
    const path = join(folder, process.platform === 'win32' ? `${program}.exe` : program);
    if (isExecutable(path)) return path;
  }
  return undefined;
}
