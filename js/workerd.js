/** Spillway in Cloudflare Workers: wrangler compiles the module, keys are the Worker's bindings. */

import { env } from 'cloudflare:workers';
import module from '../dist/spillway.wasm?module';
import { createSpillway as create } from './spillway.js';

/** @type {typeof create} */
export const createSpillway = (options) => create({ module, env, ...options });
export { SpillwayConfigError, SpillwayError } from './spillway.js';
