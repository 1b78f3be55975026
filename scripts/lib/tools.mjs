/**
 * The programs that the builds use, and the environment they run in.
 *
 * Rules: every program by its full path, those that exist in several versions by their version
 * (cmake/*.cmake name those that CMake starts); none of them sees the caller's environment, so that
 * a build comes out the same whatever PATH, CXXFLAGS, CPATH or CMAKE_GENERATOR are set to. Only
 * where temporary files go is taken over.
 */

import { statSync } from 'node:fs';

export const tools = /** @type {const} */ ({
  cmake: '/usr/bin/cmake',
  ninja: '/usr/bin/ninja',
  clang: '/usr/bin/clang-19',
  clangFormat: '/usr/bin/clang-format-19',
  clangTidy: '/usr/bin/clang-tidy-19',
  symbolizer: '/usr/bin/llvm-symbolizer-19',
  wasmAs: '/usr/bin/wasm-as',
});

/** @param {string | undefined} path */
function isFolder(path) {
  return path !== undefined && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

/** The whole environment of a tool. @returns {NodeJS.ProcessEnv} */
export function toolEnvironment() {
  const { TMPDIR } = process.env;
  return {
    PATH: '/usr/bin:/bin',
    // Messages in English, sources in UTF-8; no settings and no packages of this user.
    LC_ALL: 'C.UTF-8',
    HOME: '/nonexistent',
    PYTHONNOUSERSITE: '1',
    ...(isFolder(TMPDIR) ? { TMPDIR } : {}),
  };
}
