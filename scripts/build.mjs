/**
 * Builds what is deployed, into dist/: `npm run build`.
 *
 *   spillway.wasm              the shipped module (clang, wasi-libc)
 *   spillway.emscripten.wasm   the same module, built by Emscripten
 *   spillway.config.json       ./spillway.config.json, or {}
 *   worker/                    the Worker as wrangler uploads it
 *
 * `--wasi-only` makes the first and the third: all that the Worker imports. It is the build command
 * of wrangler.toml, so it also runs inside `wrangler dev` and must not start wrangler itself.
 */

import { ensureModules, root } from './lib/machine.mjs';
import { ensurePackages } from './lib/packages.mjs';
import { Stop, runMain, say } from './lib/terminal.mjs';
import { buildModule, buildWorker, describeSize, writeConfig } from './lib/wasm.mjs';

const usage = `usage: npm run build [-- --wasi-only]

Builds dist/spillway.wasm, dist/spillway.emscripten.wasm and dist/worker/.
  --wasi-only   only what the Worker imports: dist/spillway.wasm and dist/spillway.config.json`;

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    say(usage);
    return 0;
  }
  const unknown = args.find((arg) => arg !== '--wasi-only');
  if (unknown !== undefined) throw new Stop(`${unknown}: unknown; see npm run build -- --help`);

  writeConfig();
  if (args.length > 0) {
    await ensurePackages('wasm');
    await buildModule('wasi');
    return 0;
  }
  await ensurePackages('wasm', 'emscripten');
  await ensureModules();
  const built = [await buildModule('wasi'), await buildModule('emscripten')];
  built.push(...await buildWorker());
  for (const path of built) {
    say(`${path.slice(root.length + 1).padEnd(60)} ${describeSize(path)}`);
  }
  return 0;
});
