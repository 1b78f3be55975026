/**
 * Whether somebody else is on the core just now.
 *
 * A core of a virtual machine is often half of a real one: while the other half works for somebody
 * else, everything here takes about one and a half times as long, for milliseconds or for minutes,
 * and no load and no steal time tells. A fixed piece of work that takes a few microseconds does:
 * see probe.wat. ../measure.mjs says which samples were undisturbed by it.
 */

import { readFileSync } from 'node:fs';

/** About 10 µs before V8 has optimized it, 3 µs after. */
const TURNS = 4000;
/** V8 compiles the work when it is first called, and what calls it a little later. */
const WARM_UP = 3;

export class Probe {
  /** @type {(turns: number) => bigint} */ #work;

  /** @param {string} path  probe.wasm */
  constructor(path) {
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(readFileSync(path)));
    this.#work = /** @type {any} */ (exports).work;
    for (let left = WARM_UP; left > 0; --left) this.#work(TURNS);
  }

  /** What the work takes now, in milliseconds. */
  take() {
    const begin = performance.now();
    this.#work(TURNS);
    return performance.now() - begin;
  }
}
