/** Builds presets of a tree: `node build.mjs TREE PRESET…`, in whatever environment it is given. */

import { cmakeBuild } from '../../../scripts/lib/cmake.mjs';
import { runMain } from '../../../scripts/lib/terminal.mjs';

await runMain(async () => {
  const [tree, ...presets] = process.argv.slice(2);
  for (const preset of presets) await cmakeBuild(preset, { tree });
  return 0;
});
