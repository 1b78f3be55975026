/**
 * One sample of a start, in a process of its own: compiling the module, then instantiating it and
 * handing it the config and the keys, by the core alone or by the shim around it. In milliseconds.
 *
 *   node start.mjs MODULE core|shim
 */

import { readFileSync } from 'node:fs';
import { createSpillway } from '../../../js/spillway.js';
import { CoreHost, configuration } from './core_host.mjs';

const [path, way] = process.argv.slice(2);
const bytes = readFileSync(path);
const begin = performance.now();
const module = new WebAssembly.Module(bytes);
const compiled = performance.now();
if (way === 'core') {
  new CoreHost(module).configure(configuration);
} else {
  const { config, env } = configuration;
  createSpillway({ module, config, env, log: () => {} });
}
const started = performance.now();
process.stdout.write(JSON.stringify({ compile: compiled - begin, start: started - compiled }));
