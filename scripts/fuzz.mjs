/**
 * The fuzzers (tests/fuzz, docs/RELIABILITY.md): `npm run fuzz`.
 *
 *   npm run fuzz -- --seconds 300               each for so long, as many at once as cores
 *   npm run fuzz -- --only gateway,request      only these
 *
 * Rules: what they find is kept in build/fuzz/corpus; a failure keeps its input in
 * build/fuzz/artifacts, and the last lines say how to replay it.
 */

import { fuzz, fuzzers } from './lib/fuzz.mjs';
import { ensurePackages } from './lib/packages.mjs';
import { Stop, bold, green, red, runMain, say } from './lib/terminal.mjs';

const usage = `usage: npm run fuzz [-- OPTIONS]

  --seconds N             how long each (default 60)
  --only NAME[,NAME…]     only these of ${fuzzers.join(', ')}
  --jobs N                how many at once (default: one for each core)

Recordings (SPILLWAY_WIRE, or ../shared/wire beside the repository) are used as seeds, if there are
any.`;

/** @param {string[]} args */
function readOptions(args) {
  /** @type {{ seconds: number, names: string[], jobs?: number }} */
  const options = { seconds: 60, names: fuzzers };
  for (let at = 0; at < args.length; at += 2) {
    const [name, value] = [args[at], args[at + 1] ?? ''];
    const number = Number(value);
    if (name === '--only' && value !== '') {
      options.names = value.split(',');
    } else if ((name === '--seconds' || name === '--jobs') && Number.isInteger(number)
      && number > 0) {
      options[name === '--seconds' ? 'seconds' : 'jobs'] = number;
    } else {
      throw new Stop(`not understood: ${name} ${value}; see npm run fuzz -- --help`);
    }
  }
  const unknown = options.names.find((name) => !fuzzers.includes(name));
  if (unknown !== undefined) {
    throw new Stop(`no fuzzer is called ${unknown}; there are ${fuzzers.join(', ')}`);
  }
  return options;
}

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    say(usage);
    return 0;
  }
  const { seconds, names, jobs } = readOptions(args);
  await ensurePackages('native');
  say(`${'fuzzer'.padEnd(14)}${'executions'.padStart(12)}${'edges'.padStart(8)}`
    + `${'kept'.padStart(8)}`);
  const all = await fuzz(names, seconds, {
    jobs,
    told: ({ name, executions, edges, corpus, failure }) => {
      say(`${bold(name.padEnd(14))}${String(executions).padStart(12)}${String(edges).padStart(8)}`
        + `${String(corpus).padStart(8)}  ${failure === undefined ? green('ok') : red('FAILED')}`);
    },
  });
  for (const { failure } of all) if (failure !== undefined) say(`\n${failure}`);
  return all.every(({ failure }) => failure === undefined) ? 0 : 1;
});
