/**
 * Whether somebody else is on any core: for what several processes do together, on cores that the
 * kernel chooses. A probe (samples/core_probe.mjs) waits on each.
 */

import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../../scripts/lib/machine.mjs';
import { start } from '../../scripts/lib/process.mjs';
import { Stop } from '../../scripts/lib/terminal.mjs';

/** On a larger machine what is measured has a few of them, and hardly any company. */
const kCoresMax = 4;

export class Cores {
  /** @type {{ child: import('node:child_process').ChildProcess, next: () => Promise<string> }[]} */
  #probes = [];

  /** @param {string} node @param {string} probe  the path of probe.wasm */
  static async start(node, probe) {
    const cores = new Cores();
    const program = join(root, 'tests/bench/samples/core_probe.mjs');
    for (let core = 0; core < Math.min(availableParallelism(), kCoresMax); ++core) {
      const child = start('taskset', ['-c', String(core), node, program, probe], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      const lines = createInterface({
        input: /** @type {import('node:stream').Readable} */ (child.stdout),
      });
      const failed = Promise.race([once(child, 'exit'), once(child, 'error')]).then(() => {
        throw new Stop('a probe ended: taskset (util-linux) keeps it on its core');
      });
      failed.catch(() => {}); // told to who waits for a line
      const next = async () => String((await Promise.race([once(lines, 'line'), failed]))[0]);
      cores.#probes.push({ child, next });
      await next();
    }
    return cores;
  }

  /** What the work takes now, on each, in milliseconds. */
  async take() {
    const times = [];
    for (const { child, next } of this.#probes) {
      const line = next();
      child.stdin?.write('?');
      times.push(Number(await line));
    }
    return times;
  }

  /**
   * What `measure` gives, with the probes from before and behind it.
   * @template {object} Sample @param {() => Promise<Sample>} measure
   */
  async around(measure) {
    const before = await this.take();
    const sample = await measure();
    return { ...sample, probes: [...before, ...await this.take()] };
  }

  stop() {
    for (const { child } of this.#probes) child.kill();
  }
}
