/**
 * Runs in the Worker, around the bundle: `/probe` collects garbage and tells how large the memories
 * of the modules are then.
 */

import { memories } from './instances.js';
// @ts-ignore: the bundle, which lies beside this file only where it runs
import worker from './index.js';

export default {
  /** @param {Request} request @param {unknown} env @param {unknown} ctx */
  fetch(request, env, ctx) {
    if (new URL(request.url).pathname !== '/probe') return worker.fetch(request, env, ctx);
    /** @type {any} */ (globalThis).gc();
    return Response.json({ memories_bytes: memories.map(({ buffer }) => buffer.byteLength) });
  },
};
