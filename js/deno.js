/** Spillway in Deno: needs --allow-read for its module, --allow-env for keys, --allow-net. */

import { readFileSync } from 'node:fs';
import { createSpillway as create } from './spillway.js';

const wasm = readFileSync(new URL('../dist/spillway.wasm', import.meta.url));
const module = new WebAssembly.Module(wasm);

/** @type {typeof create} */
export const createSpillway = (options) =>
  create({ module, env: options?.env ?? Deno.env.toObject(), ...options });
export { SpillwayConfigError, SpillwayError } from './spillway.js';
