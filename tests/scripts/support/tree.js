/**
 * A tree with this project's build files and a few lines of source, so that every preset is
 * configured, compiled, linked and optimized in seconds.
 */

import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { root } from '../../../scripts/lib/machine.mjs';

const kCopied = [
  'CMakeLists.txt', 'CMakePresets.json', 'cmake', 'adapters/registry.json', 'scripts/registry.mjs',
];

/** @type {Record<string, string>} */
const kSources = {
  'src/answer.h': 'int answer();\n',
  'src/answer.cpp': '#include "answer.h"\n#include <array>\n'
    + 'int answer() { return std::array<char, 42>().size(); }\n',
  'src/wasm.cpp': '#include "answer.h"\n'
    + 'extern "C" __attribute__((export_name("answer"))) int exported() { return answer(); }\n',
  'tests/answer_test.cpp': '#include <gtest/gtest.h>\n#include <nlohmann/json.hpp>\n'
    + '#include "answer.h"\n'
    + 'TEST(Answer, IsKnown) { EXPECT_EQ(answer(), nlohmann::json::parse("42").get<int>()); }\n',
  'tests/fuzz/answer.cpp': '#include <cstddef>\n#include <cstdint>\n#include "answer.h"\n'
    + 'extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t*, std::size_t size) {\n'
    + '  return size == 4096 && answer() == 0 ? -1 : 0;\n}\n',
};

/** @returns {{ path: string, write: (name: string, text: string) => void, remove: () => void }} */
export function makeTree() {
  const path = mkdtempSync(join(tmpdir(), 'spillway-tree-'));
  const write = (/** @type {string} */ name, /** @type {string} */ text) => {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  };
  for (const name of kCopied) cpSync(join(root, name), join(path, name), { recursive: true });
  for (const [name, text] of Object.entries(kSources)) write(name, text);
  return { path, write, remove: () => rmSync(path, { recursive: true, force: true }) };
}
