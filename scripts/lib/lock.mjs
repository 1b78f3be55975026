/**
 * One at a time: a lock on a file, for work that two processes must not do at once (a build folder,
 * node_modules).
 *
 * Rules: the kernel holds the lock, so nothing is left to clean up after a kill; it is held until
 * this process and every child that was given it have ended, so that a compiler that outlived its
 * build cannot write into the next one. Where there is no flock(1) there is no lock.
 */

import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { run } from './process.mjs';
import { say } from './terminal.mjs';

const kFlock = '/usr/bin/flock';

/**
 * @template T
 * @param {string} path  of the lock; the file stays, and is empty
 * @param {string} what  is done under it, for who has to wait
 * @param {(lock: number) => Promise<T>} work  hands the lock on to what it runs
 */
export async function withLock(path, what, work) {
  mkdirSync(dirname(path), { recursive: true });
  const lock = openSync(path, 'a');
  try {
    // flock locks what is open as its file 3. That is our file, and stays locked behind it.
    if (existsSync(kFlock) && (await run(kFlock, ['--nonblock', '3'], { lock })).code !== 0) {
      say(`Waiting for another run to end its ${what}`);
      await run(kFlock, ['3'], { lock, label: `waiting for ${what}` });
    }
    return await work(lock);
  } finally {
    closeSync(lock);
  }
}
