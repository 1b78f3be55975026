/**
 * Child processes of the scripts.
 *
 * Rules: no shell, ever; every child ends with us; a quiet child still shows that it lives (its
 * last line on a terminal, one line every 20 seconds elsewhere), and its whole output when it
 * failed.
 */

import { spawn } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { dim, say } from './terminal.mjs';

const kHeartbeatMs = 20_000;
const kGraceMs = 300;
const kEndMs = 5_000;

/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set();

/** A signal is ending us: what children still report is no news. */
let ending = false;

/** @param {NodeJS.Signals} signal */
function stopChildren(signal) {
  for (const child of children) child.kill(signal);
}

process.on('exit', () => stopChildren('SIGKILL'));
// Node would end at once on these and leave the children behind. Ctrl-C in a terminal reaches them
// without us, so they first get a moment: many programs take a second signal as "do not clean up".
for (const [signal, code] of /** @type {const} */ ([['SIGINT', 130], ['SIGTERM', 143]])) {
  process.once(signal, () => {
    ending = true;
    setTimeout(() => stopChildren(signal), signal === 'SIGINT' ? kGraceMs : 0);
    setTimeout(() => process.exit(code), kEndMs);
    setInterval(() => { if (children.size === 0) process.exit(code); }, 50);
  });
}

/**
 * Starts a child that ends with this process.
 * @param {string} command @param {string[]} args
 * @param {import('node:child_process').SpawnOptions} options
 */
export function start(command, args, options) {
  const child = spawn(command, args, options);
  children.add(child);
  child.once('exit', () => children.delete(child));
  child.once('error', () => children.delete(child));
  return child;
}

/**
 * Runs a command to its end. `label` makes it say that it is still running.
 * @param {string} command @param {string[]} args
 * @param {{ cwd?: string, env?: NodeJS.ProcessEnv, label?: string }} [options]
 * @returns {Promise<{ code: number, output: string }>} exit code (127: not found), stdout + stderr
 */
export function run(command, args, { cwd, env, label } = {}) {
  return new Promise((resolve) => {
    const child = start(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
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

/** @param {string} label @param {() => string} lastLine @returns {() => void} stops it */
function showProgress(label, lastLine) {
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
