/**
 * What the scripts say, and how they end.
 *
 * Rules: colours only on a terminal; a mistake of the user or of the machine (`Stop`, a file that
 * cannot be written) is one line on stderr and exit code 1, without a stack; anything else is a bug
 * of the script and keeps its stack.
 */

const colored = Boolean(process.stdout.isTTY) && process.env.NO_COLOR === undefined;

/** @param {number} code */
const color = (code) => (/** @type {string} */ text) =>
  colored ? `\x1b[${code}m${text}\x1b[0m` : text;

export const bold = color(1);
export const dim = color(2);
export const red = color(31);
export const green = color(32);
export const yellow = color(33);

/** The reason a script cannot go on, for the person who started it. */
export class Stop extends Error {}

/** @param {string} text */
export function say(text) {
  process.stdout.write(`${text}\n`);
}

/** Seconds since `start` (of `performance.now()`), for a summary. @param {number} start */
export function secondsSince(start) {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`;
}

/** @param {number} bytes */
export function kilobytes(bytes) {
  return `${(bytes / 1024).toFixed(1)} KB`;
}

/** Lines in a frame that is hard to overlook. @param {string[]} lines */
export function box(lines) {
  const width = Math.max(...lines.map((line) => line.length));
  const rule = '═'.repeat(width + 2);
  return [
    `╔${rule}╗`,
    ...lines.map((line) => `║ ${line.padEnd(width)} ║`),
    `╚${rule}╝`,
  ].map((line) => yellow(line)).join('\n');
}

/** What the machine says no with, and what may help. @type {Record<string, string>} */
const kRefusals = {
  EACCES: 'does it belong to another user, as after a run by root?',
  EPERM: 'does it belong to another user, as after a run by root?',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
};

/** @param {unknown} error @returns {string | undefined} undefined: it is a bug */
function reasonOf(error) {
  if (error instanceof Stop) return error.message;
  const { code = '', message } = /** @type {NodeJS.ErrnoException} */ (error);
  return code in kRefusals ? `${message}: ${kRefusals[code]}` : undefined;
}

/**
 * Runs a script's main function; its value is the exit code.
 * @param {() => Promise<number>} main
 */
export async function runMain(main) {
  try {
    process.exitCode = await main();
  } catch (error) {
    process.exitCode = 1;
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    process.stderr.write(`${red('error:')} ${reason}\n`);
  }
}
