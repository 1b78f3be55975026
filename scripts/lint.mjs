/**
 * Static checks: `npm run lint` looks (format, types, clang-tidy), `npm run format` repairs what a
 * program can repair.
 */

import { checkFormat, checkTidy, checkTypes, format } from './lib/checks.mjs';
import { ensureModules } from './lib/machine.mjs';
import { ensurePackages } from './lib/packages.mjs';
import { Stop, bold, green, red, runMain, say, secondsSince } from './lib/terminal.mjs';

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    say('usage: npm run lint | npm run format\n\nlint    format, types and clang-tidy\n'
      + 'format  clang-format in place');
    return 0;
  }
  if (args.includes('--fix')) {
    await ensurePackages('lint');
    say(`formatted ${await format()}`);
    return 0;
  }
  await ensurePackages('wasm', 'native', 'lint');
  await ensureModules();
  let failed = 0;
  for (const [name, check] of /** @type {const} */ ([
    ['format', checkFormat], ['types', checkTypes], ['tidy', checkTidy],
  ])) {
    const start = performance.now();
    try {
      const looked = await check();
      say(`${green('ok')}    ${bold(name.padEnd(8))} ${looked}, ${secondsSince(start)}`);
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      failed += 1;
      say(`${error.message}\n${red('FAIL')}  ${bold(name.padEnd(8))} ${secondsSince(start)}`);
    }
  }
  return failed === 0 ? 0 : 1;
});
