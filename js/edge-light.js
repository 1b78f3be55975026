/** Spillway in Vercel's and Next's edge runtime: the bundler compiles the module. */

import module from '../dist/spillway.wasm?module';
import { createSpillway as create } from './spillway.js';

/** @type {typeof create} */
export const createSpillway = (options) => create({ module, env: process.env, ...options });
export { SpillwayConfigError, SpillwayError } from './spillway.js';
