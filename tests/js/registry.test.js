// The built-in registry and its generator: counts, routes, every figure against the tables they
// were taken from, every kind of mistake, the C++ rows under real compilers, and the document.
// UPDATE_DOCS=1 rewrites the tables of docs/PROVIDERS.md.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  existsSync, mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import {
  AUTHS, CAPABILITIES, COST_BANDS, DIALECTS, LATENCIES, QUIRKS, providerOf, readRegistry,
} from '../../scripts/registry.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const registryPath = join(root, 'adapters/registry.json');
const script = join(root, 'scripts/registry.mjs');
const source = readFileSync(registryPath, 'utf8');
const registry = readRegistry(source);
const scratch = mkdtempSync(join(tmpdir(), 'spillway-registry-'));
after(() => rmSync(scratch, { recursive: true }));

/** @param {string[]} args */
const run = (...args) => spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });

describe('the built-in registry', () => {
  test('has enough providers and engines, and no provider without a way to pay', () => {
    assert.ok(Object.keys(registry.providers).length >= 20);
    assert.ok(Object.keys(registry.engines).length >= 60);
    for (const dialect of DIALECTS) {
      assert.ok(Object.values(registry.providers).some((row) => row.dialect === dialect), dialect);
    }
  });

  test('routes cross providers, hand over between them and keep to their price', () => {
    /** @type {Record<string, string[]>} */
    const bands = { critical: ['high', 'mid'], standard: ['mid', 'low'], bulk: ['low', 'free'] };
    assert.deepEqual(Object.keys(registry.routes), Object.keys(bands));
    assert.equal(registry.default_route, 'standard');
    for (const [name, { chain }] of Object.entries(registry.routes)) {
      const providers = chain.map(providerOf);
      assert.ok(chain.length >= 5 && chain.length <= 9, `${name}: ${chain.length} engines`);
      assert.ok(new Set(providers).size >= 5, `${name}: ${providers}`);
      for (let index = 1; index < chain.length; index += 1) {
        assert.notEqual(providers[index], providers[index - 1], `${name}: ${chain[index]}`);
      }
      for (const id of chain) {
        const { cost } = registry.engines[id];
        assert.ok(bands[name].includes(cost), `${name}: ${id} is ${cost}`);
      }
    }
  });

  test('a key name is claimed by one provider only', () => {
    const keys = Object.values(registry.providers).flatMap((row) => row.keys);
    assert.equal(new Set(keys).size, keys.length);
  });

  test('names the quirks the core knows', () => {
    const header = readFileSync(join(root, 'src/quirk.h'), 'utf8');
    const known = [...header.matchAll(/\bName\{"(\w+)"/g)].map(([, name]) => name);
    assert.deepEqual([...QUIRKS].sort(), known.sort());
  });
});

// ---- Figures

const models = join(root, '../shared/models');

/** @param {string} text rows of comma-separated cells; "…" may hold commas, and "" for a quote */
function readCsv(text) {
  const rows = text.trimEnd().split('\n').map((line) => (
    [...line.matchAll(/("(?:[^"]|"")*"|[^,]*)(?:,|$)/g)]
      .map(([, cell]) => cell.replace(/^"|"$/g, '').replaceAll('""', '"'))
  ));
  const [titles, ...cells] = rows;
  return cells.map((row) => Object.fromEntries(titles.map((title, index) => [title, row[index]])));
}

/** The number in a cell, or undefined when the table does not know. A tiered price is an object
 * whose base is what short prompts pay. @param {string | undefined} cell */
function figure(cell) {
  if (cell === undefined || cell === '' || cell === 'null') return undefined;
  return cell.startsWith('{') ? Number(JSON.parse(cell).base) : Number(cell);
}

/** Providers the tables call by another name. @type {Record<string, string>} */
const tableNames = { github: 'github-models', ollama: 'ollama-cloud', vercel: 'vercel-gateway' };

/** Engines the tables call by another id. @type {Record<string, string>} */
const tableIds = {
  'sambanova:gpt-oss-120b': 'openai/gpt-oss-120b',
  'sambanova:Meta-Llama-3.3-70B-Instruct': 'meta-llama/Llama-3.3-70B-Instruct',
  'sambanova:Meta-Llama-3.1-8B-Instruct': 'meta-llama/Llama-3.1-8B-Instruct',
};

/** Engines that are younger than the tables. */
const younger = ['gemini:gemini-3.8-flash'];

/** Where a `file` part is documented to be taken, by which models. The tables say of more models
 * that they read documents, but not that their chat endpoint takes them in this form.
 * @type {Record<string, (vision: boolean) => boolean>} */
const takesFiles = {
  anthropic: () => true,
  gemini: () => true,
  openai: (vision) => vision,
  openrouter: () => true, // it reads them for models that cannot
};

/** Where a row says otherwise than the table, and why. @type {[RegExp, string[], string][]} */
const exceptions = [
  [/^ollama:/, ['context_window', 'max_output', 'price_in', 'price_out'],
    'local: free, and the server\'s default context of 4096 cuts longer prompts silently'],
  [/^github:/, ['context_window', 'max_output'],
    'the free tier, which the price of 0 means, takes 8000 tokens in and gives 4000'],
  [/^openrouter:meta-llama\/llama-3\.3-70b-instruct:free$/, ['max_output'],
    'the table gives more output than the context window holds'],
];

describe('figures', { skip: existsSync(models) ? false : `no ${models}` }, () => {
  // First the detailed table, then the newer one, where the row with an output limit knows more.
  const rows = ['models.csv', 'models.extra.csv'].flatMap((name) => (
    readCsv(readFileSync(join(models, name), 'utf8'))
      .sort((a, b) => Number(a.max_output === '') - Number(b.max_output === ''))
  ));

  test('every engine equals its row in the tables, but for reasoned exceptions', () => {
    const used = new Set();
    let compared = 0;
    for (const [id, engine] of Object.entries(registry.engines)) {
      const provider = tableNames[providerOf(id)] ?? providerOf(id);
      const model = tableIds[id] ?? id.slice(id.indexOf(':') + 1);
      const row = rows.find((entry) => entry.provider === provider && entry.id === model);
      if (younger.includes(id)) {
        assert.equal(row, undefined, `${id} is in the tables now`);
        continue;
      }
      assert.ok(row, `${id}: no row ${provider} ${model}`);
      assert.notEqual(row.status, 'deprecated', id);
      const excepted = exceptions.filter(([pattern]) => pattern.test(id));
      excepted.forEach((exception) => used.add(exception));
      /** @type {[keyof typeof engine, string][]} */
      const columns = [
        ['context_window', 'context'], ['max_output', 'max_output'], ['price_in', 'in_usd_mtok'],
        ['price_out', 'out_usd_mtok'], ['price_cache_read', 'cache_read'],
        ['price_cache_write', 'cache_write'],
      ];
      for (const [field, column] of columns) {
        if (excepted.some(([, fields]) => fields.includes(field))) continue;
        const cached = field.startsWith('price_cache');
        const expected = figure(row[column]);
        // A cache price of 0 in the tables stands for "not known" and for "no cache" alike.
        if (cached && !expected) {
          assert.equal(engine[field], undefined, `${id}.${field}`);
        } else if (expected !== undefined) {
          assert.equal(engine[field], expected, `${id}.${field}`);
          compared += 1;
        }
      }
      // What the tables do not say of a newer row is said of its whole family.
      const vision = engine.capabilities.includes('vision');
      assert.equal(engine.capabilities.includes('files'),
        takesFiles[provider]?.(vision) ?? false, `${id}: files`);
      if (row.audio_in) {
        assert.equal(engine.capabilities.includes('audio'), row.audio_in === 'True', id);
      }
      if (row.temperature === 'False') {
        assert.ok(engine.quirks.includes('no_sampling'), `${id} refuses temperature`);
      }
    }
    assert.equal(used.size, exceptions.length, 'an exception nobody needs');
    assert.ok(compared > 4 * 120, `only ${compared} figures compared`);
  });
});

// ---- Mistakes

/** A small registry that is right, for one mistake at a time. @returns {any} */
const small = () => ({
  providers: {
    acme: {
      name: 'Acme', dialect: 'openai_chat', base_url: 'https://api.acme.test/v1',
      keys: ['ACME_KEY'], quirks: ['no_done'],
    },
    attic: {
      name: 'Attic', dialect: 'anthropic', base_url: '{ATTIC_HOST}/v1', keys: [], auth: 'none',
      headers: { 'x-version': '1' }, quirks: [],
    },
  },
  engines: {
    'acme:m-1': {
      context_window: 1000, max_output: 100, price_in: 1, price_out: 2, cost: 'mid',
      latency: 'fast', capabilities: ['tools'], quirks: ['no_stop'],
    },
    'acme:m-0': {
      context_window: 1000, max_output: 100, price_in: 1, price_out: 2, cost: 'mid',
      latency: 'fast', capabilities: [], quirks: [], ends: '2026-12-01', successor: 'acme:m-1',
    },
  },
  routes: { main: { chain: ['acme:m-1'] } },
  default_route: 'main',
});

/** What is done to it, the path that must be named, and what must be said of it.
 * @type {[string, (registry: any) => unknown, string, RegExp][]} */
const mistakes = [
  ['not an object', () => [], '(file)', /expected an object/],
  ['a missing section', (r) => delete r.routes, 'routes', /required, but missing/],
  ['an unknown section', (r) => { r.limits = {}; }, 'limits', /unknown field; expected one of/],
  ['a section of the wrong type', (r) => { r.engines = []; }, 'engines', /expected an object/],
  ['an unknown field of a provider', (r) => { r.providers.acme.url = 'x'; },
    'providers.acme.url', /unknown field; expected one of .*base_url/],
  ['a missing field of a provider', (r) => delete r.providers.acme.quirks,
    'providers.acme.quirks', /required, but missing/],
  ['a provider name that cannot stand before a colon',
    (r) => { r.providers['Ac:me'] = r.providers.acme; }, 'providers.Ac:me', /expected a name/],
  ['an unknown dialect', (r) => { r.providers.acme.dialect = 'openai'; },
    'providers.acme.dialect', /expected a known dialect \(openai_chat, /],
  ['an unknown auth scheme', (r) => { r.providers.acme.auth = 'basic'; },
    'providers.acme.auth', /expected a known auth scheme/],
  ['a base in the clear', (r) => { r.providers.acme.base_url = 'http://api.acme.test/v1'; },
    'providers.acme.base_url', /expected an https URL/],
  ['a base with a trailing slash', (r) => { r.providers.acme.base_url += '/'; },
    'providers.acme.base_url', /without a trailing slash/],
  ['a base with half a placeholder', (r) => { r.providers.acme.base_url += '/{ACCOUNT'; },
    'providers.acme.base_url', /\{ENV_NAME\}/],
  ['a key that is no variable', (r) => { r.providers.acme.keys = ['sk-123']; },
    'providers.acme.keys[0]', /expected the name of an environment variable, got "sk-123"/],
  ['a key twice', (r) => { r.providers.acme.keys = ['A_KEY', 'A_KEY']; },
    'providers.acme.keys[1]', /expected no duplicate/],
  ['no key, though one is sent', (r) => { r.providers.acme.keys = []; },
    'providers.acme.keys', /expected a key/],
  ['a key, though none is sent', (r) => { r.providers.attic.keys = ['ATTIC_KEY']; },
    'providers.attic.keys', /expected no key/],
  ['a header with a line break', (r) => { r.providers.attic.headers['x-version'] = '1\nx: y'; },
    'providers.attic.headers.x-version', /expected a header value/],
  ['an unknown quirk of a provider', (r) => { r.providers.acme.quirks.push('no_end'); },
    'providers.acme.quirks[1]', /expected a known quirk \(.*no_done.*\), got "no_end"/],
  ['an engine of an unknown provider', (r) => { r.engines['other:m'] = r.engines['acme:m-1']; },
    'engines.other:m', /expected a known provider, got "other"/],
  ['an engine without a provider', (r) => { r.engines.m = r.engines['acme:m-1']; },
    'engines.m', /expected an engine id like "provider:model"/],
  ['a model with a space, which separates a chain',
    (r) => { r.engines['acme:m 2'] = r.engines['acme:m-1']; }, 'engines.acme:m 2', /engine id/],
  ['an unknown field of an engine', (r) => { r.engines['acme:m-1'].price = 1; },
    'engines.acme:m-1.price', /unknown field/],
  ['a missing field of an engine', (r) => delete r.engines['acme:m-1'].latency,
    'engines.acme:m-1.latency', /required, but missing/],
  ['half a token', (r) => { r.engines['acme:m-1'].max_output = 0.5; },
    'engines.acme:m-1.max_output', /expected a whole number of tokens above 0, got 0.5/],
  ['a window in words', (r) => { r.engines['acme:m-1'].context_window = '128k'; },
    'engines.acme:m-1.context_window', /expected a whole number of tokens.*got "128k"/],
  ['more output than the window holds', (r) => { r.engines['acme:m-1'].max_output = 1001; },
    'engines.acme:m-1.max_output', /expected at most the context_window of 1000, got 1001/],
  ['a price in words', (r) => { r.engines['acme:m-1'].price_in = '1'; },
    'engines.acme:m-1.price_in', /expected a price in USD per million tokens/],
  ['a price that no row can hold', (r) => { r.engines['acme:m-1'].price_out = 2001; },
    'engines.acme:m-1.price_out', /expected a price in USD per million tokens \(0 to 2000\)/],
  ['a price below nothing', (r) => { r.engines['acme:m-1'].price_cache_read = -1; },
    'engines.acme:m-1.price_cache_read', /expected a price/],
  ['an unknown cost band', (r) => { r.engines['acme:m-1'].cost = 'cheap'; },
    'engines.acme:m-1.cost', /expected a known cost band \(free, low, mid, high\)/],
  ['a cost band its prices do not give', (r) => { r.engines['acme:m-1'].cost = 'low'; },
    'engines.acme:m-1.cost', /expected "mid" by its prices, got "low"/],
  ['an unknown latency profile', (r) => { r.engines['acme:m-1'].latency = 'slow'; },
    'engines.acme:m-1.latency', /expected a known latency profile/],
  ['an unknown capability', (r) => { r.engines['acme:m-1'].capabilities = ['smell']; },
    'engines.acme:m-1.capabilities[0]', /expected a known capability \(.*\), got "smell"/],
  ['a capability twice', (r) => { r.engines['acme:m-1'].capabilities = ['tools', 'tools']; },
    'engines.acme:m-1.capabilities[1]', /expected no duplicate/],
  ['an unknown quirk of an engine', (r) => { r.engines['acme:m-1'].quirks = ['no_end']; },
    'engines.acme:m-1.quirks[0]', /expected a known quirk/],
  ['a day that there is not', (r) => { r.engines['acme:m-0'].ends = '2026-02-30'; },
    'engines.acme:m-0.ends', /expected a day like "2026-12-01", got "2026-02-30"/],
  ['a day with its time', (r) => { r.engines['acme:m-0'].ends = '2026-12-01T00:00:00Z'; },
    'engines.acme:m-0.ends', /expected a day/],
  ['an unknown successor', (r) => { r.engines['acme:m-0'].successor = 'acme:m-2'; },
    'engines.acme:m-0.successor', /expected another known engine, got "acme:m-2"/],
  ['a successor of itself', (r) => { r.engines['acme:m-0'].successor = 'acme:m-0'; },
    'engines.acme:m-0.successor', /expected another known engine/],
  ['a successor of what does not end', (r) => { delete r.engines['acme:m-0'].ends; },
    'engines.acme:m-0.successor', /expected none without `ends`/],
  ['a route with an unknown engine', (r) => { r.routes.main.chain.push('acme:m-2'); },
    'routes.main.chain[1]', /expected a known engine, got "acme:m-2"/],
  ['a route with an engine twice', (r) => { r.routes.main.chain.push('acme:m-1'); },
    'routes.main.chain[1]', /expected no duplicate/],
  ['an empty route', (r) => { r.routes.main.chain = []; },
    'routes.main.chain', /expected an array of at least 1/],
  ['a field of a route that the rows have no room for', (r) => { r.routes.main.strict = true; },
    'routes.main.strict', /unknown field; expected one of chain/],
  ['an unknown default route', (r) => { r.default_route = 'other'; },
    'default_route', /expected a known route, got "other"/],
];

describe('the generator refuses', () => {
  const input = join(scratch, 'bad.json');
  const output = join(scratch, 'bad.inc');

  /** @param {string} text @param {string} path @param {RegExp} message */
  function refuses(text, path, message) {
    writeFileSync(input, text);
    const { status, stderr } = run(input, output);
    assert.equal(status, 1, stderr);
    const line = stderr.split('\n').find((entry) => entry.startsWith(`${input}: ${path}: `));
    assert.ok(line, `${path} is not named in:\n${stderr}`);
    assert.match(line, message);
    assert.equal(existsSync(output), false);
  }

  test('nothing about a registry that is right', () => {
    assert.deepEqual(readRegistry(JSON.stringify(small())), small());
  });

  for (const [title, spoil, path, message] of mistakes) {
    test(title, () => {
      const registryWithMistake = small();
      const replaced = spoil(registryWithMistake);
      const spoilt = Array.isArray(replaced) ? replaced : registryWithMistake;
      refuses(JSON.stringify(spoilt), path, message);
    });
  }

  test('text that is not JSON', () => {
    refuses('{"providers": ', '(file)', /expected JSON/);
  });

  test('a name that stands twice', () => {
    const text = JSON.stringify(small());
    const [row] = /"acme:m-1":\{[^}]*\}/.exec(text) ?? [];
    assert.ok(row);
    refuses(text.replace(row, `${row},${row}`), 'engines.acme:m-1', /duplicate/);
    refuses(text.replace('"no_stop"', '"no_stop","no_stop"'), 'engines.acme:m-1.quirks[1]',
      /duplicate/);
    refuses(text.replace('"chain"', '"chain":[],"chain"'), 'routes.main.chain', /duplicate/);
  });

  test('every mistake at once', () => {
    const registryWithMistakes = small();
    registryWithMistakes.engines['acme:m-1'].price_in = null;
    registryWithMistakes.providers.acme.dialect = 7;
    writeFileSync(input, JSON.stringify(registryWithMistakes));
    assert.equal(run(input, output).stderr.trim().split('\n').length, 2);
  });

  test('a call without its arguments', () => {
    assert.equal(run().status, 2);
    assert.equal(run(registryPath).status, 2);
    assert.equal(run('--table').status, 2);
    assert.equal(run(join(scratch, 'nowhere.json'), output).status, 1);
  });
});

// ---- C++ rows

/** @param {string} type @param {string[]} names */
const enumeration = (type, names) => (
  `enum class ${type} { ${names.map((name) => name.replaceAll('-', '_')).join(', ')} };`
);

const prelude = [
  '#include <cstdint>', '#include <iterator>', '#include <string_view>', '#include "quirk.h"',
  'namespace quirk = spillway::quirk;',
  enumeration('DialectId', DIALECTS), enumeration('Auth', AUTHS),
  enumeration('CostBand', COST_BANDS), enumeration('Latency', LATENCIES),
  'namespace capability {',
  ...CAPABILITIES.map((name, bit) => `constexpr std::uint32_t ${name} = ${1 << bit};`),
  '}',
  'struct ProviderRow {',
  '  std::string_view name, title; DialectId dialect; std::string_view base_url; Auth auth;',
  '  std::string_view keys, headers; std::uint32_t quirks; };',
  'struct EngineRow {',
  '  std::string_view provider, model; std::int32_t context_window, max_output;',
  '  std::int32_t price_in, price_out, price_cache_read, price_cache_write; CostBand cost;',
  '  Latency latency; std::uint32_t capabilities, quirks; };',
  'struct EndingRow { std::string_view engine, ends, successor; };',
  'struct RouteRow { std::string_view name, chain; };',
].join('\n');

const compilers = ['clang++-19', 'clang++-14', 'clang++', 'g++'].filter((name) => (
  spawnSync(name, ['--version']).status === 0
));

/** @param {string} name of the test file @param {string} rows @param {string[]} claims */
function compiles(name, rows, claims) {
  const file = join(scratch, `${name}.cpp`);
  const asserts = claims.map((claim) => `static_assert(${claim});`);
  writeFileSync(file, [prelude, rows, ...asserts, ''].join('\n'));
  for (const compiler of compilers) {
    const { status, stderr } = spawnSync(compiler, [
      '-std=c++20', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-Wno-unused-const-variable',
      '-I', join(root, 'src'), file,
    ], { encoding: 'utf8' });
    assert.equal(status, 0, `${compiler}: ${stderr}`);
  }
}

describe('the C++ rows', { skip: compilers.length ? false : 'no C++ compiler' }, () => {
  /** @param {string} input */
  function generated(input) {
    const output = join(scratch, 'rows.inc');
    const { status, stderr } = run(input, output);
    assert.equal(status, 0, stderr);
    return readFileSync(output, 'utf8');
  }

  test('of the built-in registry compile as constants and hold its values', () => {
    const engines = Object.entries(registry.engines);
    const claims = [
      `std::size(kProviderRows) == ${Object.keys(registry.providers).length}`,
      `std::size(kEngineRows) == ${engines.length}`,
      `std::size(kRouteRows) == ${Object.keys(registry.routes).length}`,
      `kDefaultRoute == "${registry.default_route}"`,
      ...engines.flatMap(([id, row], index) => [
        `kEngineRows[${index}].provider == "${providerOf(id)}"`,
        `kEngineRows[${index}].model == "${id.slice(id.indexOf(':') + 1)}"`,
        `kEngineRows[${index}].context_window == ${row.context_window}`,
        `kEngineRows[${index}].price_out == ${(row.price_out * 1e6).toFixed()}`,
        `kEngineRows[${index}].price_cache_read == ${
          row.price_cache_read === undefined ? -1 : (row.price_cache_read * 1e6).toFixed()}`,
        `kEngineRows[${index}].cost == CostBand::${row.cost}`,
        `kEngineRows[${index}].quirks == (${
          row.quirks.map((name) => `quirk::${name}`).join(' | ') || 0})`,
      ]),
      ...Object.values(registry.routes).map(({ chain }, index) => (
        `kRouteRows[${index}].chain == "${chain.join(' ')}"`
      )),
    ];
    const rows = generated(registryPath);
    compiles('builtin', rows, claims);
    assert.deepEqual(rows.split('\n').filter((line) => line.length > 100), []);
  });

  test('carry any name, key and header unharmed', () => {
    const odd = small();
    odd.providers.acme.name = 'Ümlaut "quoted" \\back ??/ 1';
    odd.providers.acme.keys = ['A_KEY', 'B_KEY'];
    odd.providers.acme.headers = { 'x-a': 'say "hi"', 'x-b': '2' };
    odd.engines['acme:"odd\\model"'] = { ...odd.engines['acme:m-1'], price_cache_write: 7e-6 };
    const input = join(scratch, 'odd.json');
    writeFileSync(input, JSON.stringify(odd));
    compiles('odd', generated(input), [
      'kProviderRows[0].title == R"x(\u00dcmlaut "quoted" \\back ??/ 1)x"',
      'kProviderRows[0].keys == "A_KEY,B_KEY"',
      'kProviderRows[0].headers == "x-a: say \\"hi\\"\\nx-b: 2"',
      'kProviderRows[0].auth == Auth::bearer',
      'kProviderRows[1].auth == Auth::none && kProviderRows[1].keys.empty()',
      'kEngineRows[2].model == R"x("odd\\model")x"',
      'kEngineRows[2].price_cache_write == 7 && kEngineRows[2].price_cache_read == -1',
      'std::size(kEndingRows) == 1 && kEndingRows[0].engine == "acme:m-0"',
      'kEndingRows[0].ends == "2026-12-01" && kEndingRows[0].successor == "acme:m-1"',
    ]);
  });

  test('are written only when they change', () => {
    const output = join(scratch, 'kept.inc');
    assert.equal(run(registryPath, output).status, 0);
    const longAgo = new Date('2001-02-03T04:05:06Z');
    utimesSync(output, longAgo, longAgo);
    assert.equal(run(registryPath, output).status, 0);
    assert.equal(statSync(output).mtimeMs, longAgo.getTime());
    writeFileSync(output, '// stale\n');
    assert.equal(run(registryPath, output).status, 0);
    assert.match(readFileSync(output, 'utf8'), /kEngineRows/);
  });
});

// ---- The document

describe('docs/PROVIDERS.md', () => {
  const path = join(root, 'docs/PROVIDERS.md');
  const marked = /(<!-- registry:begin -->\n)([^]*?)(<!-- registry:end -->)/;

  test('holds the tables of the registry', () => {
    const { status, stdout } = run('--table', registryPath);
    assert.equal(status, 0);
    const expected = `\n${stdout}\n`;
    const text = readFileSync(path, 'utf8');
    if (process.env.UPDATE_DOCS) {
      writeFileSync(path, text.replace(marked, (_, begin, __, end) => begin + expected + end));
      return;
    }
    assert.equal(marked.exec(text)?.[2], expected, 'run again with UPDATE_DOCS=1');
  });

  test('explains every quirk, capability, band and latency profile', () => {
    const prose = readFileSync(path, 'utf8').replace(marked, '');
    for (const name of [...QUIRKS, ...CAPABILITIES, ...COST_BANDS, ...LATENCIES, ...AUTHS]) {
      assert.ok(prose.includes(`| \`${name}\` |`), name);
    }
  });

  test('shows examples that the generator accepts', () => {
    const text = readFileSync(path, 'utf8');
    const examples = [...text.matchAll(/```json\n([^]*?)```/g)].map(([, json]) => JSON.parse(json));
    assert.ok(examples.length >= 3);
    const merged = structuredClone(registry);
    for (const { providers, engines, routes } of examples) {
      Object.assign(merged.providers, providers);
      Object.assign(merged.engines, engines);
      for (const [name, { chain }] of Object.entries(routes ?? {})) merged.routes[name] = { chain };
    }
    readRegistry(JSON.stringify(merged));
  });
});
