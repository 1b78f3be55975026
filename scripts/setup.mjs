/**
 * Installs what is missing on this machine: `npm run setup [-- --dev]`.
 *
 * `npm run dev` and `npm test` do this by themselves; this is for images and caches. `--dev`
 * installs only what `npm run dev` needs.
 */

import { ensureModules } from './lib/machine.mjs';
import { ensurePackages } from './lib/packages.mjs';
import { runMain, say } from './lib/terminal.mjs';

await runMain(async () => {
  const dev = process.argv.includes('--dev');
  if (process.argv.includes('--help')) {
    say('usage: npm run setup [-- --dev]\n\nInstalls the Debian packages and node_modules that are'
      + ' missing.\n  --dev   only what `npm run dev` needs');
    return 0;
  }
  await ensurePackages('wasm');
  if (!dev) await ensurePackages('emscripten', 'native', 'lint');
  await ensureModules();
  say('Set-up is complete.');
  return 0;
});
