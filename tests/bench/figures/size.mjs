/** What is uploaded: the module, and the whole Worker as wrangler bundles it. */

import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { summarize } from '../measure.mjs';

/** @param {string[]} paths */
function packedKilobytes(paths) {
  const sizes = paths.map((path) => gzipSync(readFileSync(path), { level: 9 }).length);
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
