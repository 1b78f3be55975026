/**
 * The simulation (tests/sim, docs/RELIABILITY.md): `npm run sim`.
 *
 *   npm run sim -- --seeds 1000000      so many seeds, on all cores
 *   npm run sim -- --seed 7 --trace     one seed, with everything that happened in it
 *   npm run sim -- --mutations          breaks the core in every listed way; each must be noticed
 *
 * Rules: the optimized build, made first; the core that is built here is never the broken one:
 * mutations are patches on a copy under build/mutations.
 */

import {
  existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { cmakeBuild } from './lib/cmake.mjs';
import { root } from './lib/machine.mjs';
import { ensurePackages } from './lib/packages.mjs';
import { run, start } from './lib/process.mjs';
import { Stop, bold, green, red, runMain, say } from './lib/terminal.mjs';

const kProgram = 'spillway_sim';
/** A mutation that so many seeds do not notice is not noticed. */
const kSeedsPerMutation = 20_000;
/** What the program is built from. */
const kSources = [
  'CMakeLists.txt', 'CMakePresets.json', 'cmake', 'src', 'adapters', 'scripts/registry.mjs',
  'tests/lent.h', 'tests/sim',
];

const usage = `usage: npm run sim [-- OPTIONS]

  --seeds N       how many (default 20000)
  --from N        the first of them (default 0)
  --jobs N        in how many threads (default: one for each core)
  --brief         no tables
  --seed N        only this one
  --trace         … with everything that happened in it
  --mutations     break the core on purpose, in every way of tests/sim/mutations`;

// --- mutations ----------------------------------------------------------------------------------

/** @typedef {{ name: string, about: string, path: string }} Mutation */

/** @returns {Mutation[]} */
function mutations() {
  const folder = join(root, 'tests/sim/mutations');
  return readdirSync(folder).filter((name) => name.endsWith('.patch')).sort().map((name) => {
    const path = join(folder, name);
    const [about] = readFileSync(path, 'utf8').split('\n');
    return { name: basename(name, '.patch'), about, path };
  });
}

/** Files below a path of the repository. @param {string} path @returns {string[]} */
function filesBelow(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path).flatMap((name) => filesBelow(join(path, name)));
}

/** Makes `tree` a copy of the sources. A file that is as it was keeps its time, for the build.
 * @param {string} tree */
function copySources(tree) {
  for (const path of kSources.flatMap((source) => filesBelow(join(root, source)))) {
    const target = join(tree, relative(root, path));
    const bytes = readFileSync(path);
    if (existsSync(target) && readFileSync(target).equals(bytes)) continue;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, bytes);
  }
  const known = new Set(kSources.flatMap((source) => filesBelow(join(root, source)))
    .map((path) => relative(root, path)));
  for (const source of kSources) {
    for (const path of filesBelow(join(tree, source))) {
      if (!known.has(relative(tree, path))) rmSync(path);
    }
  }
}

/** @param {string} tree */
async function buildTree(tree) {
  return join(await cmakeBuild('release', { target: kProgram, tree }), kProgram);
}

/** How soon the simulation notices. @param {string} program */
async function notice(program) {
  const { code, output } = await run(
    program, ['--seeds', String(kSeedsPerMutation), '--brief'], { label: 'seeds' },
  );
  if (code === 0) return undefined;
  const told = /seed (\d+) breaks the rule "([^"]+)"\n +(.*)/.exec(output);
  if (told === null) throw new Stop(`the simulation broke:\n${output.slice(-2000).trim()}`);
  return { seeds: Number(told[1]) + 1, rule: told[2], what: told[3] };
}

async function tryMutations() {
  const tree = join(root, 'build/mutations');
  mkdirSync(tree, { recursive: true });
  copySources(tree);
  const before = await notice(await buildTree(tree));
  if (before !== undefined) throw new Stop(`without a mutation: ${before.rule}: ${before.what}`);
  // The copy lies inside a repository that git must not take for its own.
  const env = { ...process.env, GIT_CEILING_DIRECTORIES: dirname(tree) };
  let unnoticed = 0;
  say(`${'mutation'.padEnd(26)}${'seeds'.padStart(7)}  ${'rule'.padEnd(14)}what it does`);
  for (const { name, about, path } of mutations()) {
    copySources(tree);
    const { code, output } = await run('git', ['apply', '--recount', path], { cwd: tree, env });
    if (code !== 0) throw new Stop(`${relative(root, path)} does not fit any more\n${output}`);
    const found = await notice(await buildTree(tree));
    if (found === undefined) unnoticed += 1;
    const seeds = found === undefined ? `>${kSeedsPerMutation}` : String(found.seeds);
    const rule = found === undefined ? red('NOT NOTICED') : green(found.rule.padEnd(14));
    say(`${bold(name.padEnd(26))}${seeds.padStart(7)}  ${rule}${about}`);
  }
  copySources(tree);
  return unnoticed === 0 ? 0 : 1;
}

// --- all of it ----------------------------------------------------------------------------------

await runMain(async () => {
  const args = process.argv.slice(2);
  if (args.includes('--help')) {
    say(usage);
    return 0;
  }
  await ensurePackages('native');
  if (args.includes('--mutations')) return tryMutations();
  const folder = await cmakeBuild('release', { target: kProgram });
  const child = start(join(folder, kProgram), args, { stdio: 'inherit' });
  return new Promise((resolve) => {
    child.once('close', (code) => resolve(code ?? 1));
  });
});
