/**
 * Files that are never seen half-written.
 *
 * Rules: a file is written under another name beside its own and then renamed, so that who reads it
 * (or is started after this process was killed) finds the old bytes or the new ones. It is written
 * only when its bytes change: who watches it then has something to do.
 */

import {
  mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isRunning } from './process.mjs';

const kUnfinished = '.unfinished-';

/** @param {string} path @returns {Buffer<ArrayBuffer> | undefined} */
export function readIfThere(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** A name beside `path` that no other process uses. @param {string} path */
export function unfinishedName(path) {
  return join(dirname(path), `.${basename(path)}${kUnfinished}${process.pid}`);
}

/** What processes left behind that were killed while they wrote `path`. @param {string} path */
export function removeUnfinished(path) {
  const start = `.${basename(path)}${kUnfinished}`;
  for (const name of readdirSync(dirname(path)).filter((entry) => entry.startsWith(start))) {
    if (isRunning(Number(name.slice(start.length)))) continue;
    rmSync(join(dirname(path), name), { recursive: true, force: true });
  }
}

/**
 * Writes a file at once, if that changes it.
 * @param {string} path @param {string | Buffer} content
 */
export function writeWhole(path, content) {
  const bytes = Buffer.from(content);
  if (readIfThere(path)?.equals(bytes)) return;
  mkdirSync(dirname(path), { recursive: true });
  removeUnfinished(path);
  const unfinished = unfinishedName(path);
  writeFileSync(unfinished, bytes);
  renameSync(unfinished, path);
}
