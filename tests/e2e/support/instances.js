/** Runs in the Worker, before the bundle: keeps the memory of every module instance it makes. */

/** @type {WebAssembly.Memory[]} */
export const memories = [];

const { Instance } = WebAssembly;
WebAssembly.Instance = /** @type {typeof Instance} */ (/** @type {unknown} */ (
  class extends Instance {
    /** @param {WebAssembly.Module} module @param {WebAssembly.Imports} imports */
    constructor(module, imports) {
      super(module, imports);
      memories.push(/** @type {WebAssembly.Memory} */ (this.exports.memory));
    }
  }));
