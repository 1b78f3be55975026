/**
 * The checks that need no running program: format, clang-tidy, types.
 *
 * Rules: each returns what it looked at, or throws Stop with what is wrong; `lint.mjs` and
 * `test.mjs` share them. clang-tidy is slow (seconds per file), so a file is only looked at again
 * when its own bytes, a header it includes, its compile flags or .clang-tidy changed.
 */

import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join, relative, sep } from 'node:path';
import { cmakeBuild } from './cmake.mjs';
import { writeWhole } from './files.mjs';
import { root } from './machine.mjs';
import { run } from './process.mjs';
import { Stop } from './terminal.mjs';
import { toolEnvironment, tools } from './tools.mjs';
import { writeConfig } from './wasm.mjs';

const kLineColumnsMax = 100;

/**
 * Files under the given folders of the repository, by their ending.
 * @param {string[]} folders @param {RegExp} name
 * @returns {string[]} absolute paths, sorted
 */
export function filesIn(folders, name) {
  return folders.filter((folder) => existsSync(join(root, folder))).flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && name.test(entry.name))
      .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
      .filter((path) => !path.includes(`${sep}node_modules${sep}`))).sort();
}

const cppFiles = () => filesIn(['src', 'adapters', 'tests'], /\.(h|cpp)$/);
const jsFiles = () => filesIn(['js', 'worker', 'scripts', 'tests'], /\.(m?js|d\.ts)$/);

// --- format -------------------------------------------------------------------------------------

/** clang-format on C++; no tabs, no trailing blanks and at most 100 columns on JavaScript. */
export async function checkFormat() {
  const cpp = cppFiles();
  const wrong = jsFiles().flatMap(layoutMistakes);
  if (cpp.length > 0) {
    const { code, output } = await clangFormat(['--dry-run', '-Werror', ...cpp]);
    if (code === 127) throw new Stop('clang-format-19 is missing; install with: npm run setup');
    if (code !== 0) {
      const named = [...output.matchAll(/^(.+?):\d+:\d+: error: /gm)];
      const files = new Set(named.map(([, path]) => relative(root, path)));
      wrong.push(...[...files].map((file) => `${file}: not formatted (npm run format)`));
    }
  }
  if (wrong.length > 0) throw new Stop(wrong.join('\n'));
  return `${cpp.length + jsFiles().length} files`;
}

/** @param {string[]} args */
const clangFormat = (args) => run(tools.clangFormat, args, { env: toolEnvironment() });

/** @param {string} path */
function layoutMistakes(path) {
  const name = relative(root, path);
  const lines = readFileSync(path, 'utf8').split('\n');
  const mistakes = lines.flatMap((line, index) => {
    const at = `${name}:${index + 1}`;
    if (line.includes('\t')) return [`${at}: tab`];
    if (/\s$/.test(line)) return [`${at}: trailing blank`];
    // An address cannot be folded.
    if ([...line].length > kLineColumnsMax && !/https?:\/\/\S{40}/.test(line)) {
      return [`${at}: ${[...line].length} columns, at most ${kLineColumnsMax}`];
    }
    return [];
  });
  return lines.at(-1) === '' ? mistakes : [...mistakes, `${name}: no newline at the end`];
}

/** Formats the C++ files in place. */
export async function format() {
  const cpp = cppFiles();
  if (cpp.length > 0) {
    const { code, output } = await clangFormat(['-i', ...cpp]);
    if (code !== 0) throw new Stop(`clang-format-19 failed\n${output.trim()}`);
  }
  return `${cpp.length} files`;
}

// --- clang-tidy ---------------------------------------------------------------------------------

/** @typedef {{ file: string, directory: string, command: string, output?: string }} Command */

/** clang-tidy on every C++ file that is compiled. */
export async function checkTidy() {
  // The builds give the flags and the headers of each file; src/wasm*.cpp is only in the wasm one.
  // What ships is looked at; tests answer to the compiler's warnings and the sanitizers.
  const shipped = [join(root, 'src'), join(root, 'adapters')];
  const units = [...await compileCommands('native'), ...await compileCommands('wasm')]
    .filter(({ file }) => shipped.some((folder) => file.startsWith(folder + sep)))
    .filter((unit, index, all) => all.findIndex((other) => other.file === unit.file) === index);
  const rules = readFileSync(join(root, '.clang-tidy'));
  const stamps = join(root, 'build/tidy');

  const hashes = new Map();
  const hashOf = (/** @type {string} */ path) => {
    if (!hashes.has(path)) hashes.set(path, sha256(readFileSync(path)));
    return hashes.get(path);
  };
  const stale = units.map((unit) => {
    const stamp = join(stamps, `${relative(root, unit.file).replaceAll(sep, '__')}.ok`);
    const state = sha256([rules, unit.command, ...unit.inputs.map(hashOf)].join('\n'));
    return { unit, stamp, state };
  }).filter(({ stamp, state }) => !existsSync(stamp) || readFileSync(stamp, 'utf8') !== state);

  /** @type {string[]} */
  const wrong = [];
  let done = 0;
  await inParallel(stale, async ({ unit, stamp, state }) => {
    const label = `clang-tidy ${done + 1}/${stale.length} ${basename(unit.file)}`;
    const { code, output } = await run(
      tools.clangTidy, ['--quiet', '-p', join(root, 'build', unit.preset), unit.file],
      { env: toolEnvironment(), label },
    );
    done += 1;
    if (code === 127) throw new Stop('clang-tidy-19 is missing; install with: npm run setup');
    if (code === 0) writeWhole(stamp, state);
    else wrong.push(output.replaceAll(`${root}${sep}`, '').trim());
  });
  if (wrong.length > 0) throw new Stop(wrong.join('\n'));
  return `${units.length} files, ${stale.length} looked at`;
}

/**
 * The files of a preset, each with the project's files it is made of.
 * @param {string} preset
 */
async function compileCommands(preset) {
  const folder = await cmakeBuild(preset);
  const path = join(folder, 'compile_commands.json');
  if (!existsSync(path)) return [];
  /** @type {Command[]} */
  const commands = JSON.parse(readFileSync(path, 'utf8'));
  const headers = await dependencies(folder);
  return commands.filter((command) => existsSync(command.file)).map((command) => ({
    preset, file: command.file, command: command.command,
    inputs: [...new Set([command.file, ...headers.get(command.output ?? '') ?? []])].sort(),
  }));
}

/**
 * What Ninja learned from the compiler: object file → the project's files it was made of. Headers
 * of the system only change with the compiler, which is in the command.
 * @param {string} folder
 */
async function dependencies(folder) {
  const { output } = await run(
    tools.ninja, ['-C', folder, '-t', 'deps'], { env: toolEnvironment() },
  );
  /** @type {Map<string, string[]>} */
  const inputs = new Map();
  /** @type {string[]} */
  let current = [];
  for (const line of output.split('\n')) {
    const object = /^(\S+): #deps/.exec(line)?.[1];
    if (object !== undefined) {
      current = [];
      inputs.set(object, current);
    } else if (line.startsWith('    ')) {
      const file = join(line.trim().startsWith(sep) ? '' : folder, line.trim());
      if (file.startsWith(`${root}${sep}`) && existsSync(file)) current.push(file);
    }
  }
  return inputs;
}

/** @param {string | Buffer} bytes */
function sha256(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * @template T
 * @param {T[]} items @param {(item: T) => Promise<void>} work
 */
async function inParallel(items, work) {
  const queue = [...items];
  await Promise.all(Array.from({ length: availableParallelism() }, async () => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  }));
}

// --- types --------------------------------------------------------------------------------------

/** `tsc --checkJs --strict` over all JavaScript. */
export async function checkTypes() {
  writeConfig();  // The worker imports it, and tsc wants to see it.
  const { code, output } = await run(
    process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root],
    { cwd: root, label: 'tsc' },
  );
  if (code !== 0) throw new Stop(output.trim());
  return `${jsFiles().length} files`;
}
