#!/usr/bin/env node
/**
 * Starts the simulated upstream: three providers' wire formats on one local port, no keys needed.
 *
 *   node scripts/simulator.mjs --port 8788
 *
 * Prints one JSON line when it listens, and (without --quiet) one for every exchange.
 */

import { parseArgs } from 'node:util';
import { ENGINE_ARGS, FAULTS } from './simulator/faults.mjs';
import { startSimulator } from './simulator/server.mjs';

/** @param {string} name @param {string} help */
const line = (name, help) => `  ${name.padEnd(36)} ${help}`;

/** @param {string} name @param {Record<string, number | string>} args */
function faultName(name, args) {
  const shown = Object.entries(args).filter(([, value]) => value !== '' && value !== 0)
    .map(([key, value]) => `${key}=${value}`);
  return shown.length > 0 ? `${name}?${shown.join('&')}` : name;
}

const help = () => `The simulated upstream of Spillway: three dialects over real sockets.

node scripts/simulator.mjs [options]

${[
    line('--port N', 'default 8788; 0 picks a free port'),
    line('--host NAME', 'default 127.0.0.1'),
    line('--interval-ms N', 'between content events, where the model id says nothing; default 0'),
    line('--require-key', 'refuse requests without a key'),
    line('--quiet', 'no line for every exchange'),
  ].join('\n')}

POST /openai/v1/chat/completions    GET /openai/v1/models
POST /anthropic/v1/messages
POST /gemini/v1beta/models/{model}:generateContent, :streamGenerateContent?alt=sse

A model id is any name, with arguments like a query: steady?tokens=500&interval_ms=20
${Object.entries(ENGINE_ARGS).map(([name, each]) => line(name, each.help)).join('\n')}

Names with "reasoner" in them reason first; "unstable" is rate limited. A key with "bad" in it is
refused, one with "quota" is out of credit. The last user text may say: call NAME {"arg": 1}

Faults: as id fault-NAME?args, as NAME?fault=…, or PUT /control/faults {"NAME": "FAULT?args"}
(all refusals also take status and code)
${Object.entries(FAULTS).map(([name, { args, help: said }]) =>
    line(faultName(name, args), said)).join('\n')}

Control: PUT|GET /control/faults   GET|DELETE /control/log   GET /control/open
`;

/** @param {Record<string, unknown>} event */
const print = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);

async function main() {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '8788' },
      host: { type: 'string', default: '127.0.0.1' },
      'interval-ms': { type: 'string', default: '0' },
      'require-key': { type: 'boolean', default: false },
      quiet: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return void process.stdout.write(help());
  const interval_ms = Number(values['interval-ms']);
  if (!(interval_ms >= 0)) throw new Error('--interval-ms takes a number');
  const simulator = await startSimulator({
    host: values.host,
    port: Number(values.port),
    interval_ms,
    require_key: values['require-key'],
    on_exchange: values.quiet ? undefined : (entry) => print({
      event: 'exchange',
      dialect: entry.dialect,
      model: entry.model,
      status: entry.status,
      fault: entry.fault,
      finished: entry.finished,
      duration_ms: (entry.ended_at_ms ?? 0) - entry.started_at_ms,
    }),
  });
  print({ event: 'listening', url: simulator.url });
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => { void simulator.close().then(() => process.exit(0)); });
  }
}

main().catch((error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
