/**
 * One sample of a start, in a process of its own: compiling the module, then createSpillway(),
 * which instantiates it and hands it the config and the keys. In milliseconds.
 *
 *   node start.mjs MODULE
 */

import { readFileSync } from 'node:fs';
import { createSpillway } from '../../../js/spillway.js';
import { configuration } from './core_host.mjs';

const bytes = readFileSync(process.argv[2]);
const begin = performance.now();
const module = new WebAssembly.Module(bytes);
const compiled = performance.now();
const { config, env } = configuration;
createSpillway({ module, config, env, log: () => {} });
const started = performance.now();
process.stdout.write(JSON.stringify({ compile: compiled - begin, start: started - compiled }));
