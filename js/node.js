/** Spillway in Node: the module is read from the package, keys come from `process.env`. */

import { readFileSync } from 'node:fs';
import { createSpillway as create } from './spillway.js';

const wasm = readFileSync(new URL('../dist/spillway.wasm', import.meta.url));
const module = new WebAssembly.Module(wasm);

/** @type {typeof create} */
export const createSpillway = (options) => create({ module, env: process.env, ...options });
export { SpillwayConfigError, SpillwayError } from './spillway.js';
