/**
 * One sample of a start, in a process of its own: compiling the module, then instantiating it and
 * handing it the config and the keys, by the core alone or by the shim around it. In milliseconds.
 *
 *   node start.mjs MODULE PROBE core|shim
 */

import { readFileSync } from 'node:fs';
import { createSpillway } from '../../../js/spillway.js';
import { CoreHost, configuration } from './core_host.mjs';
import { Probe } from './probe.mjs';

const [path, probePath, way] = process.argv.slice(2);
const bytes = readFileSync(path);
const begin = performance.now();
const module = new WebAssembly.Module(bytes);
const compiled = performance.now();

let start;
const probes = [];
if (way === 'core') {
  // The probe is WebAssembly too. It comes after the first instance, which so finds all of V8 cold.
  const host = new CoreHost(module);
  start = performance.now() - compiled;
  const probe = new Probe(probePath);
  probes.push(probe.take());
  const instantiated = performance.now();
  host.configure(configuration);
  start += performance.now() - instantiated;
  probes.push(probe.take());
} else {
  const { config, env } = configuration;
  createSpillway({ module, config, env, log: () => {} });
  start = performance.now() - compiled;
  probes.push(new Probe(probePath).take());
}
process.stdout.write(JSON.stringify({ compile: compiled - begin, start, probes }));
