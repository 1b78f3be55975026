// Turns adapters/registry.json into the C++ rows the core is built with, and into the tables of
// docs/PROVIDERS.md.
//
//   node scripts/registry.mjs adapters/registry.json OUT.inc   write the rows (only when changed)
//   node scripts/registry.mjs --table adapters/registry.json   print the tables, as Markdown
//
// Rules: a mistake in the registry stops the build here, with the path and what was expected, and
// every mistake is reported at once. The output names only enumerators and flags
// (DialectId::, Auth::, CostBand::, Latency::, quirk::, capability::), never their definitions: the
// file that includes it decides the types. No dependencies, Node 18 or newer.

import { readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

export const DIALECTS = ['openai_chat', 'anthropic', 'gemini'];
export const AUTHS = ['bearer', 'x-api-key', 'x-goog-api-key', 'api-key', 'none'];
export const COST_BANDS = ['free', 'low', 'mid', 'high'];
export const LATENCIES = ['fast', 'standard', 'reasoning'];
export const CAPABILITIES = [
  'vision', 'tools', 'json_mode', 'json_schema', 'reasoning', 'prefill', 'files', 'audio',
];
export const QUIRKS = [
  'max_completion_tokens', 'no_sampling', 'no_stop', 'no_stream_options', 'usage_always',
  'usage_excludes_reasoning', 'no_done', 'think_tags', 'no_developer_role', 'short_tool_ids',
  'irregular_stream', 'reasoning_history', 'reasoning_history_as_reasoning', 'images_inline_only',
  'no_parallel_tool_calls_field',
  'reasoning_budget', 'reasoning_always', 'no_penalties', 'no_json_with_tools',
  'no_effort_with_tools', 'no_forced_tool_choice', 'no_named_tool_choice', 'no_stream',
  'cache_control', 'reasoning_details',
];

/**
 * @typedef {{ name: string, dialect: string, base_url: string, keys: string[], auth?: string,
 *   headers?: Record<string, string>, quirks: string[] }} Provider
 * @typedef {{ context_window: number, max_output: number, price_in: number, price_out: number,
 *   price_cache_read?: number, price_cache_write?: number, cost: string, latency: string,
 *   capabilities: string[], quirks: string[], ends?: string, successor?: string }} Engine
 * @typedef {{ providers: Record<string, Provider>, engines: Record<string, Engine>,
 *   routes: Record<string, { chain: string[] }>, default_route: string }} Registry
 * @typedef {(path: string, value: unknown, report: Report) => void} Check
 * @typedef {(path: string, message: string) => void} Report
 */

/** What is wrong with a registry: one line per mistake, `path: message`. */
export class RegistryError extends Error {
  /** @param {string[]} mistakes */
  constructor(mistakes) {
    super(mistakes.join('\n'));
    this.mistakes = mistakes;
  }
}

/**
 * The cost band of a price: a blend of three input tokens to one output token, USD per million.
 * @param {number} priceIn
 * @param {number} priceOut
 */
export function costBand(priceIn, priceOut) {
  const blended = (3 * priceIn + priceOut) / 4;
  if (blended <= 0) return 'free';
  if (blended < 0.6) return 'low';
  return blended < 4 ? 'mid' : 'high';
}

/** The provider's half of `provider:model`. A model may hold colons itself, a provider may not.
 * @param {string} engine */
export function providerOf(engine) {
  return engine.slice(0, engine.indexOf(':'));
}

// ---- Checks: each says what a value must be; `object` and `map` also refuse what is not listed.

/** @param {unknown} value */
function shown(value) {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** @param {RegExp} pattern @param {string} expected @returns {Check} */
const text = (pattern, expected) => (path, value, report) => {
  if (typeof value !== 'string' || !pattern.test(value)) {
    report(path, `expected ${expected}, got ${shown(value)}`);
  }
};

/** @param {string[]} names @param {string} what @returns {Check} */
const oneOf = (names, what) => (path, value, report) => {
  if (typeof value !== 'string' || !names.includes(value)) {
    report(path, `expected a known ${what} (${names.join(', ')}), got ${shown(value)}`);
  }
};

/** @type {Check} */
const count = (path, value, report) => {
  if (!Number.isSafeInteger(value) || Number(value) < 1) {
    report(path, `expected a whole number of tokens above 0, got ${shown(value)}`);
  }
};

/** What fits into a row as a whole number of 32 bits. */
const kPriceMax = 2000;

/** @type {Check} */
const price = (path, value, report) => {
  if (typeof value !== 'number' || !(value >= 0 && value <= kPriceMax)) {
    report(path,
      `expected a price in USD per million tokens (0 to ${kPriceMax}), got ${shown(value)}`);
  }
};

/** @param {Check} item @param {number} [atLeast] @returns {Check} */
const list = (item, atLeast = 0) => (path, value, report) => {
  if (!Array.isArray(value) || value.length < atLeast) {
    const size = atLeast > 0 ? ` of at least ${atLeast}` : '';
    report(path, `expected an array${size}, got ${shown(value)}`);
    return;
  }
  value.forEach((entry, index) => {
    item(`${path}[${index}]`, entry, report);
    if (value.indexOf(entry) !== index) {
      report(`${path}[${index}]`, `expected no duplicate, got ${shown(entry)} twice`);
    }
  });
};

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** @param {string} path @param {string} field */
const under = (path, field) => (path === '' ? field : `${path}.${field}`);

/** @param {Record<string, Check>} required @param {Record<string, Check>} [optional]
 * @returns {Check} */
const object = (required, optional = {}) => (path, value, report) => {
  if (!isObject(value)) {
    report(path || '(file)', `expected an object, got ${shown(value)}`);
    return;
  }
  const fields = { ...optional, ...required };
  for (const field of Object.keys(value)) {
    if (!Object.hasOwn(fields, field)) {
      const known = Object.keys(fields).join(', ');
      report(under(path, field), `unknown field; expected one of ${known}`);
    } else {
      fields[field](under(path, field), value[field], report);
    }
  }
  for (const field of Object.keys(required)) {
    if (!Object.hasOwn(value, field)) report(under(path, field), 'required, but missing');
  }
};

/** @param {Check} name @param {Check} entry @returns {Check} */
const map = (name, entry) => (path, value, report) => {
  if (!isObject(value)) {
    report(path, `expected an object, got ${shown(value)}`);
    return;
  }
  for (const [key, member] of Object.entries(value)) {
    name(under(path, key), key, report);
    entry(under(path, key), member, report);
  }
};

const quirks = list(oneOf(QUIRKS, 'quirk'));
// Names and ids are joined with spaces, commas and newlines in the rows, so none may hold them.
const engineId = text(/^[a-z][a-z0-9_-]*:[!-~]+$/, 'an engine id like "provider:model"');
const rowName = text(/^[a-z][a-z0-9_-]*$/, 'a name of a-z, 0-9, "_" and "-"');

/** @type {Check} */
const day = (path, value, report) => {
  const isDay = typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value)
    && new Date(value).toJSON()?.startsWith(value);
  if (!isDay) report(path, `expected a day like "2026-12-01", got ${shown(value)}`);
};

const checkRegistry = object({
  providers: map(rowName, object({
    name: text(/^[^\p{Cc}]+$/u, 'the provider\'s name'),
    dialect: oneOf(DIALECTS, 'dialect'),
    // Plain http would send a key in the clear; a base from the environment is its owner's choice.
    base_url: text(
      /^(https:\/\/|\{[A-Z][A-Z0-9_]*\})([!-z|~]|\{[A-Z][A-Z0-9_]*\})*(?<!\/)$/,
      'an https URL without a trailing slash, in which {ENV_NAME} may stand',
    ),
    keys: list(text(/^[A-Z][A-Z0-9_]*$/, 'the name of an environment variable')),
    quirks,
  }, {
    auth: oneOf(AUTHS, 'auth scheme'),
    headers: map(
      text(/^[a-z0-9-]+$/, 'a lower-case header name'),
      text(/^[ -~]+$/, 'a header value of printable ASCII'),
    ),
  })),
  engines: map(engineId, object({
    context_window: count,
    max_output: count,
    price_in: price,
    price_out: price,
    cost: oneOf(COST_BANDS, 'cost band'),
    latency: oneOf(LATENCIES, 'latency profile'),
    capabilities: list(oneOf(CAPABILITIES, 'capability')),
    quirks,
  }, { price_cache_read: price, price_cache_write: price, ends: day, successor: engineId })),
  // The built-in routes are chains; every other field of a route has its default in the core, and
  // would be lost here without a word.
  routes: map(rowName, object({ chain: list(engineId, 1) })),
  default_route: text(/^[^]+$/, 'the name of a route'),
});

/** What fields say about each other. @param {Registry} registry @param {Report} report */
function checkReferences(registry, report) {
  const { providers, engines, routes } = registry;
  for (const [name, { keys, auth = 'bearer' }] of Object.entries(providers)) {
    if ((auth === 'none') !== (keys.length === 0)) {
      report(`providers.${name}.keys`, `expected ${auth === 'none' ? 'no key with' : 'a key, or'}`
        + ` auth "none", got ${shown(keys)}`);
    }
  }
  for (const [id, engine] of Object.entries(engines)) {
    if (!Object.hasOwn(providers, providerOf(id))) {
      report(`engines.${id}`, `expected a known provider, got "${providerOf(id)}"`);
    }
    if (engine.max_output > engine.context_window) {
      report(`engines.${id}.max_output`, `expected at most the context_window of ${
        engine.context_window}, got ${engine.max_output}`);
    }
    const band = costBand(engine.price_in, engine.price_out);
    if (engine.cost !== band) {
      report(`engines.${id}.cost`, `expected "${band}" by its prices, got "${engine.cost}"`);
    }
    const { ends, successor } = engine;
    if (successor === undefined) continue;
    if (ends === undefined) report(`engines.${id}.successor`, 'expected none without `ends`');
    if (!Object.hasOwn(engines, successor) || successor === id) {
      report(`engines.${id}.successor`, `expected another known engine, got "${successor}"`);
    }
  }
  for (const [name, { chain }] of Object.entries(routes)) {
    chain.forEach((id, index) => {
      if (!Object.hasOwn(engines, id)) {
        report(`routes.${name}.chain[${index}]`, `expected a known engine, got "${id}"`);
      }
    });
  }
  if (!Object.hasOwn(routes, registry.default_route)) {
    report('default_route', `expected a known route, got "${registry.default_route}"`);
  }
}

/**
 * Reports every key that stands twice in one object. JSON.parse keeps the last of them silently,
 * so a row pasted twice would hide the first. The text is valid JSON: strings and brackets suffice.
 * @param {string} source @param {Report} report
 */
function checkDuplicateKeys(source, report) {
  /** @type {{ keys: Set<string> | null, path: string, key: string, index: number }[]} */
  const stack = [];
  const tokens = source.match(/"(?:\\.|[^"\\])*"\s*:?|[{}[\],]/g) ?? [];
  for (const token of tokens) {
    const top = stack.at(-1);
    if (token === '{' || token === '[') {
      const path = top === undefined ? ''
        : top.keys ? under(top.path, top.key) : `${top.path}[${top.index}]`;
      stack.push({ keys: token === '{' ? new Set() : null, path, key: '', index: 0 });
    } else if (token === '}' || token === ']') {
      stack.pop();
    } else if (token === ',') {
      if (top) top.index += 1;
    } else if (top?.keys && token.endsWith(':')) {
      top.key = JSON.parse(token.slice(0, -1));
      if (top.keys.has(top.key)) {
        report(under(top.path, top.key), 'duplicate; expected each name once');
      }
      top.keys.add(top.key);
    }
  }
}

/**
 * Reads and checks a registry. Throws RegistryError with every mistake found.
 * @param {string} source the JSON text
 * @returns {Registry}
 */
export function readRegistry(source) {
  /** @type {string[]} */
  const mistakes = [];
  /** @type {Report} */
  const report = (path, message) => mistakes.push(`${path}: ${message}`);
  /** @type {any} */
  let registry;
  try {
    registry = JSON.parse(source);
  } catch (error) {
    throw new RegistryError([`(file): expected JSON: ${/** @type {Error} */ (error).message}`]);
  }
  checkDuplicateKeys(source, report);
  checkRegistry('', registry, report);
  if (mistakes.length === 0) checkReferences(registry, report);
  if (mistakes.length > 0) throw new RegistryError(mistakes);
  return registry;
}

// ---- C++ rows

/** A C++ string literal: anything but printable ASCII as octal, which ends after three digits.
 * @param {string} value */
function literal(value) {
  const bytes = [...new TextEncoder().encode(value)];
  return `"${bytes.map((byte, index) => {
    const character = String.fromCharCode(byte);
    if (character === '\\' || character === '"') return `\\${character}`;
    // Two question marks may start a trigraph, which compilers warn of.
    if (character === '?' && bytes[index - 1] === byte) return '\\?';
    if (character === '\n') return '\\n';
    if (byte >= 0x20 && byte < 0x7f) return character;
    return `\\${byte.toString(8).padStart(3, '0')}`;
  }).join('')}"`;
}

/** A price as a whole number of 10^-12 USD per token. @param {number | undefined} usdPerMillion
 * undefined: not known, -1 */
function picodollars(usdPerMillion) {
  return usdPerMillion === undefined ? -1 : Math.round(usdPerMillion * 1e6);
}

/** A set of flags, folded to lines of at most 100 columns. @param {string} scope
 * @param {string[]} names */
function flags(scope, names) {
  let folded = '';
  let width = 0;
  for (const name of names) {
    const flag = `${folded ? '|' : ''}${scope}::${name}`;
    const fold = width + flag.length > 90;
    folded += fold ? `\n     ${flag}` : flag;
    width = (fold ? 0 : width) + flag.length;
  }
  return folded || '0';
}

/** @param {string} scope @param {string} name */
const enumerator = (scope, name) => `${scope}::${name.replaceAll('-', '_')}`;

/** @param {string} type @param {string} array @param {string[][]} rows lines of each row */
function rowTable(type, array, rows) {
  const body = rows.map((lines) => `    {${lines.join(',\n     ')}},`).join('\n');
  return `static constexpr ${type} ${array}[] = {\n${body}\n};\n`;
}

/** The C++ include file. @param {Registry} registry */
export function generate(registry) {
  const providers = Object.entries(registry.providers).map(([name, row]) => {
    const headers = Object.entries(row.headers ?? {}).map(([key, value]) => `${key}: ${value}`);
    return [
      `${literal(name)}, ${literal(row.name)}, ${enumerator('DialectId', row.dialect)}`,
      literal(row.base_url),
      [
        enumerator('Auth', row.auth ?? 'bearer'),
        literal(row.keys.join(',')),
        literal(headers.join('\n')),
      ].join(', '),
      flags('quirk', row.quirks),
    ];
  });
  const engines = Object.entries(registry.engines).map(([id, row]) => [
    `${literal(providerOf(id))}, ${literal(id.slice(id.indexOf(':') + 1))}`,
    [row.context_window, row.max_output, ...[
      row.price_in, row.price_out, row.price_cache_read, row.price_cache_write,
    ].map(picodollars)].join(', '),
    `${enumerator('CostBand', row.cost)}, ${enumerator('Latency', row.latency)}`,
    flags('capability', row.capabilities),
    flags('quirk', row.quirks),
  ]);
  const endings = Object.entries(registry.engines).filter(([, { ends }]) => ends !== undefined)
    .map(([id, { ends = '', successor = '' }]) => [[id, ends, successor].map(literal).join(', ')]);
  const routes = Object.entries(registry.routes).map(([name, { chain }]) => [
    literal(name),
    // One literal per engine: the compiler joins them, a reader sees the order.
    chain.map((id, index) => literal(index === 0 ? id : ` ${id}`)).join('\n     '),
  ]);
  return [
    '// Generated from adapters/registry.json by scripts/registry.mjs: change that file instead.\n',
    rowTable('ProviderRow', 'kProviderRows', providers),
    rowTable('EngineRow', 'kEngineRows', engines),
    endings.length > 0 ? rowTable('EndingRow', 'kEndingRows', endings)
      : 'static constexpr std::span<const EndingRow> kEndingRows;\n',
    rowTable('RouteRow', 'kRouteRows', routes),
    `static constexpr std::string_view kDefaultRoute = ${literal(registry.default_route)};\n`,
  ].join('\n');
}

// ---- Markdown tables

/** @param {string[]} titles @param {string[][]} rows */
function markdown(titles, rows) {
  const lines = [titles, titles.map(() => '---'), ...rows];
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** @param {string[]} names */
const code = (names) => names.map((name) => `\`${name}\``).join(' ');

/** Providers and routes as Markdown. @param {Registry} registry */
export function table(registry) {
  const ids = Object.keys(registry.engines);
  const providers = Object.entries(registry.providers);
  const routes = Object.entries(registry.routes);
  const needs = (/** @type {Provider} */ { keys, base_url: baseUrl }) => code([
    ...keys, ...[...baseUrl.matchAll(/\{(\w+)\}/g)].map(([, variable]) => variable),
  ]);
  return [
    `${providers.length} providers, ${ids.length} engines, ${routes.length} routes.`,
    markdown(
      ['provider', 'name', 'environment variables', 'dialect', 'engines', 'quirks'],
      providers.map(([name, row]) => [
        code([name]), row.name, needs(row), code([row.dialect]),
        String(ids.filter((id) => providerOf(id) === name).length), code(row.quirks),
      ]),
    ),
    markdown(
      ['engine', 'ends', 'successor'],
      Object.entries(registry.engines).filter(([, { ends }]) => ends !== undefined)
        .map(([id, { ends = '', successor }]) =>
          [code([id]), ends, successor ? code([successor]) : '']),
    ),
    markdown(
      ['route', 'chain, in order'],
      routes.map(([name, { chain }]) => [
        code([name]) + (name === registry.default_route ? ' (default)' : ''),
        chain.map((id) => `\`${id}\``).join(', '),
      ]),
    ),
  ].join('\n\n') + '\n';
}

// ---- Command line

/** @param {string[]} args @returns {number} exit code */
function main(args) {
  const asTable = args[0] === '--table';
  const [input, output] = asTable ? args.slice(1) : args;
  if (input === undefined || (output === undefined) !== asTable) {
    console.error('usage: registry.mjs REGISTRY.json OUT.inc | registry.mjs --table REGISTRY.json');
    return 2;
  }
  try {
    const registry = readRegistry(readFileSync(input, 'utf8'));
    if (asTable) {
      process.stdout.write(table(registry));
      return 0;
    }
    const generated = generate(registry);
    // An untouched file keeps its time stamp, so that nothing which includes it is built again.
    let current = '';
    try {
      current = readFileSync(output, 'utf8');
    } catch { /* not there yet */ }
    if (generated !== current) writeFileSync(output, generated);
    return 0;
  } catch (error) {
    const mistakes = error instanceof RegistryError
      ? error.mistakes : [/** @type {Error} */ (error).message];
    for (const mistake of mistakes) console.error(`${input}: ${mistake}`);
    return 1;
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  process.exitCode = main(process.argv.slice(2));
}
