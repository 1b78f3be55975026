/**
 * A script with a child that would go on for an hour: prints its own process id and the child's.
 * `node parent.mjs [ORPHAN]`, the signal for an orphan, or `none`.
 */

import { start } from '../../../scripts/lib/process.mjs';

const signal = process.argv[2] ?? 'SIGKILL';
const orphan = /** @type {'SIGKILL' | undefined} */ (signal === 'none' ? undefined : signal);
const child = start('sleep', ['3600'], { stdio: 'ignore' }, { orphan });
process.stdout.write(`${process.pid} ${child.pid}\n`);
