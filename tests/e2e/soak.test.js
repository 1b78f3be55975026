/** The soak (`npm run soak`) with few chats: answers checked, nothing left open after any round. */

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../scripts/lib/machine.mjs';
import { run } from '../../scripts/lib/process.mjs';

const CHATS = 500;

test('a short soak', { timeout: 120_000 }, async (t) => {
  const script = join(root, 'tests/soak/soak.mjs');
  const { code, output } = await run(process.execPath, [script, '--chats', String(CHATS)]);
  assert.equal(code, 0, output);
  const endings = JSON.parse(/^\{.*?\}/m.exec(output)?.[0] ?? '{}');
  t.diagnostic(JSON.stringify(endings));
  const sum = Object.values(endings).reduce((total, count) => total + count, 0);
  assert.equal(sum, CHATS);
  for (const ending of ['whole', 'failed_over', 'left']) assert.ok(endings[ending] > 0, ending);
});
