/**
 * Runs one command in a root file system, as process 1 of namespaces of its own: rootfs.mjs starts
 * this under unshare(1), on the machine's own Node.
 *
 *   node namespace.mjs '{"rootfs": …, "user": "0:0", "cwd": …, "command": [ … ]}'
 *
 * Rules: the mounts are made here, where nobody else sees them, and end with this process, as does
 * everything that was started; so a root file system that lies on the disk never has a live mount
 * in it. Signals are for the command, which is in the same process group.
 */

import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';

const { rootfs, user, cwd, command } = JSON.parse(process.argv[2]);

for (const [source, target, ...options] of [
  ['proc', 'proc', '--types', 'proc'], ['/sys', 'sys', '--rbind'], ['/dev', 'dev', '--rbind'],
]) {
  const { status } = spawnSync('mount', [...options, source, join(rootfs, target)], {
    stdio: 'inherit',
  });
  if (status !== 0) process.exit(125);
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});
const [program, ...args] = command;
const child = spawn('chroot', [
  `--userspec=${user}`, `--groups=${user.split(':')[1]}`, rootfs,
  '/usr/bin/env', `--chdir=${cwd}`, program, ...args,
], { stdio: 'inherit' });
child.once('error', () => process.exit(127));
child.once('exit', (code, signal) => {
  if (signal !== null) process.stderr.write(`error: ended by ${signal}\n`);
  process.exit(code ?? 1);
});
