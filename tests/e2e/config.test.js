/**
 * A config that is wrong: `wrangler dev` ends at once and says which field it is.
 */

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { StartError, startWorker } from './support/worker.js';

const ACME = { dialect: 'openai_chat', base_url: 'http://127.0.0.1:1/v1', keys: ['ACME_API_KEY'] };

/** @type {[string, object | string, RegExp][]} */
const WRONG = [
  ['a dialect that nobody speaks', { providers: { acme: { ...ACME, dialect: 'telegraph' } } },
    /providers\.acme\.dialect: expected one of openai_chat, anthropic, gemini, got "telegraph"/],
  ['a route over an engine of nobody',
    { ...simulatorConfig('http://127.0.0.1:1'), routes: { mine: { chain: ['nobody:model'] } } },
    /routes\.mine\.chain\[0\]: .*"nobody/],
  ['a text that is not JSON', '{"providers": {', /expected JSON: .* at byte 15/],
];

describe('a wrong config', { concurrency: WRONG.length, timeout: 60_000 }, () => {
  for (const [what, config, message] of WRONG) {
    test(what, async () => {
      const secrets = { ACME_API_KEY: 'sim-acme-key' };
      await assert.rejects(startWorker({ config, secrets }), (error) => {
        assert.ok(error instanceof StartError, String(error));
        assert.match(error.output, message);
        assert.ok(!error.output.includes(secrets.ACME_API_KEY));
        return true;
      });
    });
  }
});
