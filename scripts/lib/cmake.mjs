/**
 * CMake builds.
 *
 * Rules: a build folder is used again only when its last configure came to its end with the same
 * presets, toolchain files, tools and place: a note says so, written last. Any other folder is
 * emptied and configured afresh. A build that fails for another reason than its sources is tried
 * once more from an empty folder, for what a kill or a full disk left may be at fault. What fuzzers
 * found stays. One process at a time builds in a folder. Nothing to do costs about a tenth of a
 * second.
 */

import { createHash } from 'node:crypto';
import {
  existsSync, readFileSync, readdirSync, realpathSync, rmSync, statSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { readIfThere, writeWhole } from './files.mjs';
import { withLock } from './lock.mjs';
import { root, systemNode } from './machine.mjs';
import { packageFiles } from './packages.mjs';
import { run } from './process.mjs';
import { Stop, say } from './terminal.mjs';
import { toolEnvironment, tools } from './tools.mjs';

/** The note of a configure that came to its end. */
const kNote = 'configured';
/** What a run of the fuzzers adds to their folder. */
const kFound = ['corpus', 'seeds', 'artifacts'];

/** @param {string} preset */
function purposeOf(preset) {
  if (preset === 'wasm') return 'wasm';
  return preset === 'wasm-emscripten' ? 'emscripten' : 'native';
}

/** A file as far as a look without reading it tells. @param {string} path */
function stateOf(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  return stat && `${path} ${realpathSync(path)} ${stat.size} ${stat.mtimeMs}`;
}

/** All that a folder must have been configured with. @param {string} tree @param {string} preset */
function noteFor(tree, preset) {
  const scripts = readdirSync(join(tree, 'cmake')).sort().map((name) => join(tree, 'cmake', name));
  const hash = createHash('sha256');
  for (const path of [join(tree, 'CMakePresets.json'), ...scripts]) {
    hash.update(`${path}\n`).update(readFileSync(path));
  }
  const used = [tools.cmake, tools.ninja, systemNode(), ...packageFiles(purposeOf(preset))];
  hash.update([realpathSync(tree), ...used.map(stateOf)].join('\n'));
  return `${hash.digest('hex')}\n`;
}

/** @param {string} folder */
function empty(folder) {
  if (!existsSync(folder)) return;
  // First the note: half a folder is not one to use.
  rmSync(join(folder, kNote), { force: true });
  for (const name of readdirSync(folder).filter((entry) => !kFound.includes(entry))) {
    rmSync(join(folder, name), { recursive: true, force: true });
  }
}

/**
 * Whether a build failed because of what somebody wrote: a mistake the compiler or the registry's
 * generator points at, or a symbol that is not there.
 * @param {string} output
 */
function blamesSources(output) {
  return /^\S[^:\n]*:\d+:\d+: (?:fatal )?error: /m.test(output)
    || /\b(?:undefined|duplicate) symbol: /.test(output)
    || /^FAILED: generated\//m.test(output);
}

/** All of it, but for progress and the command under each "FAILED:". @param {string} output */
function shown(output) {
  return output.split('\n').filter((line, index, all) =>
    !/^(\[\d+\/\d+\] |ninja: (Entering directory|build stopped))/.test(line)
      && !(all[index - 1]?.startsWith('FAILED: '))).join('\n').trim();
}

/**
 * Configures (when needed) and builds a preset. Throws Stop with the compiler's output.
 * @param {string} preset
 * @param {{ target?: string, tree?: string, anew?: boolean }} [options] only this target; of this
 *   tree; from an empty folder
 * @returns {Promise<string>} the build folder
 */
export async function cmakeBuild(preset, { target = 'all', tree = root, anew = false } = {}) {
  const folder = join(tree, 'build', preset);
  const lock = join(tree, 'build/locks', preset);
  return withLock(lock, `build of ${preset}`, async (held) => {
    const options = { cwd: tree, env: toolEnvironment(), lock: held };
    // Of before the configure: what changes meanwhile is found out next time.
    const note = noteFor(tree, preset);
    const configure = async () => {
      empty(folder);
      const { code, output } = await run(
        tools.cmake, ['--preset', preset, '-D', `NODE_EXECUTABLE=${systemNode()}`],
        { ...options, label: `configure ${preset}` },
      );
      if (code === 127) throw new Stop('cmake is missing; install with: npm run setup');
      if (code !== 0) throw new Stop(`configure ${preset} failed\n${shown(output)}`);
      writeWhole(join(folder, kNote), note);
    };
    const jobs = String(availableParallelism());
    const build = () => run(
      tools.ninja, ['-C', folder, '-j', jobs, target], { ...options, label: `build ${preset}` },
    );

    const isCurrent = !anew && existsSync(join(folder, 'build.ninja'))
      && readIfThere(join(folder, kNote))?.toString() === note;
    if (!isCurrent) await configure();
    let { code, output } = await build();
    if (code !== 0 && isCurrent && !blamesSources(output)) {
      say(`${join('build', basename(folder))} cannot be used as it was left: building it anew`);
      await configure();
      ({ code, output } = await build());
    }
    if (code === 127) throw new Stop('ninja is missing; install with: npm run setup');
    if (code !== 0) throw new Stop(`build ${preset} failed\n${shown(output)}`);
    return folder;
  });
}
