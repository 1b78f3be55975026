/**
 * A probe that stays on its core: whenever it reads something it prints what the work took, in
 * milliseconds. ../cores.mjs starts one on each.
 *
 *   taskset -c CORE node core_probe.mjs PROBE
 */

import { Probe } from './probe.mjs';

/** Until V8 has optimized the work. */
const WARM_UP = 3000;

const probe = new Probe(process.argv[2]);
for (let left = WARM_UP; left > 0; --left) probe.take();
process.stdout.write('ready\n');
process.stdin.on('data', () => process.stdout.write(`${probe.take()}\n`));
