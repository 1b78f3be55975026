/** Children end with the script, the script ends with its npm, and files are written whole. */

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { unfinishedName, writeWhole } from '../../scripts/lib/files.mjs';
import { withLock } from '../../scripts/lib/lock.mjs';
import { isRunning, run } from '../../scripts/lib/process.mjs';

const script = fileURLToPath(new URL('support/parent.mjs', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'spillway-process-'));
after(() => rmSync(scratch, { recursive: true }));

/** @param {string} command @param {string[]} args @param {object} [options] */
async function startParent(command, args, options) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'], ...options });
  for await (const line of createInterface({ input: child.stdout })) {
    const pids = /^(\d+) (\d+)$/.exec(line)?.slice(1).map(Number);
    if (pids !== undefined) return { child, parent: pids[0], grandchild: pids[1] };
  }
  throw new Error('the script printed no process ids');
}

/** @param {number} pid */
async function ended(pid) {
  while (isRunning(pid)) await new Promise((resolve) => { setTimeout(resolve, 5); });
}

describe('a script', () => {
  for (const signal of /** @type {const} */ (['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'])) {
    test(`takes its children with it on ${signal}`, async () => {
      const { child, grandchild } = await startParent(process.execPath, [script]);
      assert.ok(isRunning(grandchild));
      child.kill(signal);
      await ended(grandchild);
    });
  }

  test('leaves a child alone that must come to its end, when it is killed', async () => {
    const { child, grandchild } = await startParent(process.execPath, [script, 'none']);
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
    assert.ok(isRunning(grandchild));
    process.kill(grandchild, 'SIGKILL');
    await ended(grandchild);
  });

  test('ends with the npm that started it', async () => {
    writeFileSync(join(scratch, 'package.json'), JSON.stringify({
      private: true, scripts: { parent: `node ${script}` },
    }));
    const npm = await startParent('npm', ['run', '--silent', 'parent'], { cwd: scratch });
    assert.notEqual(npm.child.pid, npm.parent);
    npm.child.kill('SIGKILL');
    await ended(npm.parent);
    await ended(npm.grandchild);
  });

  test('ends in one line where the machine says no, with a stack where it is a bug', async () => {
    const terminal = new URL('../../scripts/lib/terminal.mjs', import.meta.url);
    const end = (/** @type {string} */ thrown) => run(process.execPath, [
      '--input-type=module', '-e', `import { Stop, runMain } from '${terminal}';
      await runMain(async () => { throw ${thrown}; });`,
    ]);
    const refused = 'Object.assign(new Error("EACCES: denied, open \'/x\'"), { code: "EACCES" })';
    assert.deepEqual(await end(refused), {
      code: 1, output: 'error: EACCES: denied, open \'/x\': does it belong to another user, '
        + 'as after a run by root?\n',
    });
    assert.deepEqual(await end('new Stop("no")'), { code: 1, output: 'error: no\n' });
    assert.match((await end('new TypeError("no")')).output, /TypeError: no\n {4}at /);
  });

  test('says that a command is missing', async () => {
    assert.equal((await run('no-such-command-anywhere', [])).code, 127);
  });
});

describe('a lock', () => {
  test('lets one in at a time, and the next when it is free', async () => {
    const path = join(scratch, 'locks/one');
    /** @type {string[]} */
    const seen = [];
    await Promise.all(['a', 'b', 'c'].map((name) => withLock(path, 'test', async () => {
      seen.push(`${name} in`);
      await run('sleep', ['0.05']);
      seen.push(`${name} out`);
    })));
    const order = seen.filter((line) => line.endsWith(' in')).map((line) => line[0]);
    assert.deepEqual(seen, order.flatMap((name) => [`${name} in`, `${name} out`]));
    assert.equal(order.length, 3);
  });

  test('is held until the last child with it has ended', async () => {
    const path = join(scratch, 'locks/child');
    const child = await withLock(path, 'test', async (lock) =>
      spawn('sleep', ['3600'], { stdio: ['ignore', 'ignore', 'ignore', lock] }));
    assert.notEqual((await run('flock', ['--nonblock', path, 'true'])).code, 0);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal((await run('flock', ['--nonblock', path, 'true'])).code, 0);
  });
});

describe('a file', () => {
  test('is written under another name first, and only when it changes', () => {
    const path = join(scratch, 'files/one');
    writeWhole(path, 'text');
    const { ino } = statSync(path);
    writeWhole(path, 'text');
    assert.equal(statSync(path).ino, ino);
    writeWhole(path, 'other');
    assert.notEqual(statSync(path).ino, ino);
    assert.equal(readFileSync(path, 'utf8'), 'other');
    assert.deepEqual(readdirSync(join(scratch, 'files')), ['one']);
  });

  test('is cleared of what was left half-written, but not of what is being written', async () => {
    const folder = mkdtempSync(join(scratch, 'left-'));
    const path = join(folder, 'one');
    const child = spawn('true');
    await once(child, 'exit');
    const beside = (/** @type {number | undefined} */ pid) =>
      unfinishedName(path).replace(/\d+$/, String(pid));
    writeFileSync(beside(child.pid), 'half');
    writeFileSync(beside(process.ppid), 'half');
    writeWhole(path, 'text');
    assert.deepEqual(readdirSync(folder).map((name) => join(folder, name)).sort(),
      [beside(process.ppid), path].sort());
  });
});
