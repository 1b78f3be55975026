/**
 * Attacks on a real worker: `npm run attack`.
 *
 * The bundle that is deployed, in workerd (and `wrangler dev` where that is what is attacked); a
 * hostile provider on 127.0.0.1; clients that share a worker with one who means ill. Each attack
 * says what an attacker would gain, does it, and looks at what the attacker or another client
 * really gets. SECURITY.md names the promise that each holds. Exit code 1 when one is broken.
 */

import { AssertionError } from 'node:assert';
import { parseArgs } from 'node:util';
import { ensureModules } from '../../scripts/lib/machine.mjs';
import {
  Stop, bold, dim, green, red, runMain, say, secondsSince,
} from '../../scripts/lib/terminal.mjs';
import { attacks as bodies } from './bodies.mjs';
import { attacks as door } from './door.mjs';
import { attacks as json } from './json.mjs';
import { attacks as keys } from './keys.mjs';
import { attacks as memory } from './memory.mjs';
import { attacks as neighbours } from './neighbours.mjs';
import { attacks as output } from './output.mjs';
import { attacks as reach } from './reach.mjs';
import { attacks as twins } from './twins.mjs';
import { startField } from './support/field.mjs';

/** @import { Attack, Field } from './support/field.mjs' */

/** @type {Attack[]} */
const ATTACKS = [
  ...keys, ...twins, ...door, ...reach, ...neighbours, ...output, ...json, ...bodies, ...memory,
];
/** Of one attack. Who is made to wait for ever has lost. */
const ATTACK_MS = 20_000;
const SEEN_CHARS_MAX = 600;

const usage = `usage: npm run attack [-- --only NAME[,NAME…]]

Attacks, and what an attacker would gain:
${ATTACKS.map(({ name, gains }) => `  ${name.padEnd(20)} ${gains}`).join('\n')}`;

/** @param {string | undefined} only */
function chosen(only) {
  if (only === undefined) return ATTACKS;
  const names = only.split(',');
  const unknown = names.find((name) => !ATTACKS.some((attack) => attack.name === name));
  if (unknown !== undefined) throw new Stop(`unknown: ${unknown}; see npm run attack -- --help`);
  return ATTACKS.filter(({ name }) => names.includes(name));
}

/** @param {string} text */
function progress(text) {
  if (process.stdout.isTTY) process.stdout.write(`\r\x1b[K${dim(text)}`);
}

/**
 * @param {Attack} attack @param {Field} field
 * @returns {Promise<{ held: boolean, seen: string }>}
 */
async function run(attack, field) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no end within ${ATTACK_MS} ms`)), ATTACK_MS);
  });
  try {
    return { held: true, seen: String(await Promise.race([attack.run(field), late])) };
  } catch (error) {
    // What was seen is the assertion's message; anything else comes with where it happened.
    const { message, stack } = /** @type {Error} */ (error);
    const seen = error instanceof AssertionError ? message : stack ?? message;
    return { held: false, seen: seen.slice(0, SEEN_CHARS_MAX) };
  } finally {
    clearTimeout(timer);
  }
}

await runMain(async () => {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    say(usage);
    return 0;
  }
  const attacks = chosen(values.only);
  await ensureModules();
  const start = performance.now();
  progress('starting workers');
  const field = await startField(attacks);
  let broken = 0;
  try {
    for (const [index, attack] of attacks.entries()) {
      progress(`${index + 1}/${attacks.length} ${attack.name}`);
      const begin = performance.now();
      const { held, seen } = await run(attack, field.of(attack));
      progress('');
      const name = bold(attack.name.padEnd(20));
      say(held ? `${green('held')}    ${name} ${seen} ${dim(`(${secondsSince(begin)})`)}`
        : `${red('BROKEN')}  ${name} ${seen}\n${' '.repeat(29)}gained: ${attack.gains}`);
      broken += held ? 0 : 1;
    }
  } finally {
    await field.stop();
  }
  say(`\n${attacks.length - broken} passed, ${broken} failed, ${secondsSince(start)}`);
  // Node's own way out waits for ever for writes to a connection that was reset under them.
  process.exit(broken === 0 ? 0 : 1);
});
