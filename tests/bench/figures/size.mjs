/** What is uploaded: the module, and the whole Worker as wrangler bundles it. */

import { execFileSync } from 'node:child_process';
import { summarize } from '../measure.mjs';

/** Node's own zlib packs about 1 % worse than the program. @param {string[]} paths */
function packedKilobytes(paths) {
  const sizes = paths.map((path) => execFileSync('gzip', ['-9', '-n', '-c', path]).length);
  return summarize([sizes.reduce((sum, size) => sum + size, 0) / 1000]);
}

/** @type {import('../bench.mjs').Figure} */
export const size = {
  name: 'size',
  about: 'Size of what is uploaded, gzip -9',
  async measure({ module, bundle }) {
    return [
      { label: 'spillway.wasm', summary: packedKilobytes([module]), unit: 'KB', target: 100 },
      {
        label: 'Worker bundle, with the shim', summary: packedKilobytes(bundle), unit: 'KB',
        target: 130,
      },
    ];
  },
};
