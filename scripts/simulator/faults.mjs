/**
 * Everything that can go wrong with an answer, as a table.
 *
 * A fault has a name, a line of help, its arguments with their defaults (which also give their
 * types), and either changes the answer before it is written down, or the script that is played.
 *
 * `after=N` counts content events: pieces of text, of reasoning, of a tool call. What frames the
 * first of them (a chunk with only the role, message_start, pings) is always sent; -1 sends nothing
 * but the headers. With fewer content events than N the fault strikes before the very end. A body
 * that is not a stream counts as one content event.
 */

import { refusalScript, write } from './script.mjs';

/**
 * @typedef {import('./dialect.mjs').Dialect} Dialect
 * @typedef {import('./dialect.mjs').Refusal} Refusal
 * @typedef {import('./model.mjs').Answer} Answer
 * @typedef {import('./refusals.mjs').Kind} Kind
 * @typedef {import('./refusals.mjs').Details} Details
 * @typedef {import('./script.mjs').Step} Step
 * @typedef {Record<string, any>} Arguments
 *
 * @typedef {object} Context
 * @property {Dialect} dialect
 * @property {boolean} stream
 * @property {Answer} answer
 * @property {import('./dialect.mjs').Writing} writing
 * @property {(kind: Kind, details?: Partial<Details>) => Refusal} refusal
 *
 * @typedef {object} Fault
 * @property {string} help
 * @property {Record<string, number | string>} args
 * @property {(answer: Answer, args: Arguments) => Answer} [answer]
 * @property {(script: Step[], args: Arguments, context: Context) => Step[]} [script]
 */

const OVERSIZED_BYTES_DEFAULT = 2 * 1024 * 1024;

// Cutting scripts

/**
 * Where `after` content events are through.
 * @param {Step[]} script @param {number} after
 */
function pointAfter(script, after) {
  if (after < 0) return 1;
  let seen = 0;
  let last = 0;
  for (const [index, step] of script.entries()) {
    if (step.do !== 'write' || !step.content) continue;
    if (seen++ === after) return index;
    last = index;
  }
  return Math.min(last + 1, script.length - 1);
}

/** @param {Step[]} script @param {number} at @returns {Step[]} half of the write at that point */
function halfOf(script, at) {
  const step = script[at];
  if (step?.do !== 'write') return [];
  return [write(step.bytes.subarray(0, Math.ceil(step.bytes.length / 2)))];
}

/** The length is not known any more. @param {Step[]} script @returns {Step[]} */
const unmeasured = (script) => script.map((step) => {
  if (step.do !== 'head') return step;
  const { 'content-length': _, ...headers } = step.headers;
  return { ...step, headers };
});

/**
 * The script up to its Nth content event; of a body that is no stream, half.
 * @param {Step[]} script @param {number} after @param {Context} context
 */
function begun(script, after, { stream }) {
  const at = pointAfter(script, after);
  return [...script.slice(0, at), ...(stream || after < 0 ? [] : halfOf(script, at))];
}

/**
 * All bytes of a script cut anew, each piece a write of its own.
 * @param {Step[]} script @param {() => number} nextLength
 * @returns {Step[]}
 */
function recut(script, nextLength) {
  const bytes = Buffer.concat(script.flatMap((step) => (step.do === 'write' ? [step.bytes] : [])));
  /** @type {Step[]} */
  const steps = script.slice(0, 1);
  for (let from = 0; from < bytes.length;) {
    const to = from + nextLength();
    steps.push({ ...write(bytes.subarray(from, to)), apart: true });
    from = to;
  }
  return steps;
}

/** @param {number} seed @returns {() => number} mulberry32: the same numbers for the same seed */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * The first bytes of a script's body and what comes before, in two writes.
 * @param {Step[]} script @param {number} length @returns {Step[]}
 */
function firstBytes(script, length) {
  let left = length;
  /** @type {Step[]} */
  const steps = [];
  for (const step of recut(unmeasured(script), () => Math.max(1, Math.ceil(length / 2)))) {
    if (step.do !== 'write') {
      steps.push(step);
    } else if (left > 0) {
      steps.push({ ...step, bytes: step.bytes.subarray(0, left) });
      left -= step.bytes.length;
    }
  }
  return steps;
}

/** @param {number} status @param {string} type @param {string} body @returns {Step[]} */
const page = (status, type, body) =>
  refusalScript({ status, headers: { 'content-type': type }, body });

/** @param {string} title */
const html = (title) => `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>`
  + `${title}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n`;

// Refusals

/**
 * How a wait can be told: headers, or a message.
 * @type {Record<string, (ms: number, now_ms: number) => Record<string, string> | string>}
 */
const HINTS = {
  seconds: (ms) => ({ 'retry-after': String(ms / 1000) }),
  date: (ms, now_ms) => ({ 'retry-after': new Date(now_ms + ms).toUTCString() }),
  ms: (ms) => ({ 'retry-after-ms': String(ms) }),
  reset: (ms) => ({ 'x-ratelimit-reset': String(ms / 1000) }),
  reset_epoch: (ms, now_ms) => ({ 'x-ratelimit-reset': String(Math.ceil((now_ms + ms) / 1000)) }),
  reset_requests: (ms) => ({ 'x-ratelimit-reset-requests': `${ms / 1000}s` }),
  words: (ms) => `Rate limit reached. Please try again in ${ms / 1000}s.`,
  none: () => ({}),
};

/**
 * An answer with an error status. `status` and `code` replace the provider's usual ones.
 * @param {string} help
 * @param {Kind} kind
 * @param {Record<string, number | string>} [args]
 * @param {(args: Arguments) => Partial<Details>} [detailsOf]
 * @returns {Fault}
 */
const refuses = (help, kind, args = {}, detailsOf = () => ({})) => ({
  help,
  args: { ...args, status: 0, code: '' },
  script: (_script, given, context) => {
    const refusal = context.refusal(kind, {
      ...detailsOf(given),
      ...(given.status > 0 ? { status: given.status } : {}),
      ...(given.code === '' ? {} : { code: given.code }),
    });
    if (refusal.status >= 300 || !context.stream) return refusalScript(refusal);
    const type = { 'content-type': 'text/event-stream' };
    return [{ do: 'head', status: 200, headers: type }, write(context.dialect.inBand(refusal))];
  },
});

/** @param {string} name */
const badParameter = (name) => ({
  message: `Invalid '${name}': decimal above maximum value.`,
  param: name,
  code: 'decimal_above_max_value',
});

/** @type {Record<string, Fault>} */
export const FAULTS = {
  rate_limited: refuses('429, wait retry_after seconds', 'rate_limited', { retry_after: 20 },
    (args) => ({ retry_after_ms: args.retry_after * 1000 })),
  rate_limited_ms: refuses('429, wait given in milliseconds too', 'rate_limited', { ms: 350 },
    (args) => ({ retry_after_ms: args.ms, in_milliseconds: true })),
  rate_limited_by: {
    help: `429, wait told in one way: ${Object.keys(HINTS).join(', ')}`,
    args: { hint: 'seconds', ms: 20_000 },
    script: (_script, args, { refusal }) => {
      if (!Object.hasOwn(HINTS, args.hint)) throw new Error(`there is no hint "${args.hint}"`);
      const told = HINTS[args.hint](args.ms, Date.now());
      const said = typeof told === 'string';
      const code = { code: 'rate_limit_exceeded', status: 'RESOURCE_EXHAUSTED' };
      const error = { message: said ? told : 'Too many requests.', ...code };
      return refusalScript({
        status: refusal('rate_limited').status,
        headers: { 'content-type': 'application/json', ...(said ? {} : told) },
        body: JSON.stringify({ error }),
      });
    },
  },
  insufficient_quota: refuses('out of credit: 429, 400 (Anthropic; status=402)',
    'insufficient_quota'),
  overloaded: refuses('503, Anthropic 529', 'overloaded'),
  server: refuses('500', 'server'),
  unauthorized: refuses('401, Gemini 400 API_KEY_INVALID', 'unauthorized', { key: 'sim-refused' },
    (args) => ({ key: args.key })),
  forbidden: refuses('403', 'forbidden'),
  not_found: refuses('404: no such model', 'not_found'),
  context_too_long: refuses('400: the prompt does not fit', 'context_too_long'),
  content_filter: refuses('prompt blocked: 400, Gemini 200 without candidates', 'content_filter'),
  bad_request: refuses('400 that names a parameter', 'bad_request', { param: 'temperature' },
    (args) => ({ complaint: badParameter(args.param) })),
  too_large: refuses('413, Gemini as HTML', 'too_large'),
  bad_gateway_html: {
    help: '502 with an HTML page',
    args: { status: 502 },
    script: (_script, args) => page(args.status, 'text/html', html(`${args.status} Bad Gateway`)),
  },

  reset: {
    help: 'connection reset before the headers',
    args: {},
    script: () => [{ do: 'destroy', reset: true }],
  },
  silence: {
    help: 'accepts the request and never answers',
    args: {},
    script: () => [{ do: 'hang' }],
  },
  slow_headers: {
    help: 'headers only after ms',
    args: { ms: 1000 },
    script: (script, args) => [{ do: 'wait', ms: args.ms }, ...script],
  },
  slow_first: {
    help: 'headers at once, first content after ms',
    args: { ms: 1000 },
    script: (script, args) => {
      const at = pointAfter(script, 0);
      return [...script.slice(0, at), { do: 'wait', ms: args.ms }, ...script.slice(at)];
    },
  },
  pings_only: {
    help: 'headers, then pings for ever, never content',
    args: { every_ms: 100 },
    script: (script, args, { dialect, stream }) => [
      ...unmeasured(script.slice(0, pointAfter(script, 0))),
      { do: 'repeat', bytes: Buffer.from(stream ? dialect.ping : '\n'), every_ms: args.every_ms },
    ],
  },
  cut: {
    help: 'closed in the middle of the event after N (rst=1: reset)',
    args: { after: 3, rst: 0 },
    script: (script, args) => {
      const at = pointAfter(script, args.after);
      return [
        ...script.slice(0, at),
        ...(args.after < 0 ? [] : halfOf(script, at)),
        { do: 'wait', ms: 1 },
        { do: 'destroy', reset: args.rst > 0 },
      ];
    },
  },
  cut_head: {
    help: 'closed in the middle of the response headers (rst=1: reset)',
    args: { rst: 0 },
    script: (_script, args) => [
      { do: 'raw', bytes: Buffer.from('HTTP/1.1 200 OK\r\ncontent-type: text/ev') },
      { do: 'wait', ms: 1 },
      { do: 'destroy', reset: args.rst > 0 },
    ],
  },
  cut_at: {
    help: 'closed after this many bytes of the body (rst=1: reset)',
    args: { bytes: 100, rst: 0 },
    script: (script, args) => [
      ...firstBytes(script, args.bytes),
      { do: 'wait', ms: 1 },
      { do: 'destroy', reset: args.rst > 0 },
    ],
  },
  cut_clean: {
    help: 'the body ends properly after N, without finish and terminator',
    args: { after: 3 },
    script: (script, args, context) => unmeasured(begun(script, args.after, context)),
  },
  stall: {
    help: 'silence after N, the connection stays open',
    args: { after: 3 },
    script: (script, args, context) => [...begun(script, args.after, context), { do: 'hang' }],
  },
  error_inside: {
    help: '200, then an error before any content; kind: a refusal above',
    args: { kind: 'overloaded' },
    script: (script, args, context) => errorAfter(script, 0, args.kind, context),
  },
  error_after: {
    help: 'an error inside the stream after N',
    args: { after: 3, kind: 'overloaded' },
    script: (script, args, context) => errorAfter(script, args.after, args.kind, context),
  },
  empty: {
    help: 'finishes properly, with no content',
    args: {},
    answer: (answer) => ({
      ...answer,
      reasoning: [],
      text: [],
      calls: [],
      finish: 'stop',
      stop_sequence: null,
      usage: { ...answer.usage, output: 0, reasoning: 0 },
    }),
  },
  filtered: {
    help: 'N tokens, then the finish reason of a content filter',
    args: { after: 3 },
    answer: (answer, args) => ({
      ...answer,
      text: answer.text.slice(0, args.after),
      calls: [],
      finish: 'content_filter',
      stop_sequence: null,
      usage: { ...answer.usage, output: Math.min(args.after, answer.text.length) },
    }),
  },
  not_a_stream: {
    help: '200 with an HTML page (type=json: with the answer as one JSON body)',
    args: { type: 'html' },
    script: (_script, args, { dialect, answer, writing }) => (args.type === 'json'
      ? page(200, 'application/json', JSON.stringify(dialect.whole(answer, writing)))
      : page(200, 'text/html; charset=utf-8', html('Welcome'))),
  },
  bad_json: {
    help: 'an event with broken JSON after N, then the rest',
    args: { after: 0 },
    script: (script, args, { dialect, stream }) => {
      const garbage = write(dialect.garbage('broken'), true);
      if (!stream) return [...unmeasured(script.slice(0, 1)), garbage];
      const at = pointAfter(script, args.after);
      return [...script.slice(0, at), garbage, ...script.slice(at)];
    },
  },
  drip: {
    help: 'every write holds this many bytes',
    args: { bytes: 1 },
    script: (script, args) => recut(script, () => Math.max(1, args.bytes)),
  },
  split: {
    help: 'split at random points, pieces of 1 to max bytes',
    args: { seed: 1, max: 64 },
    script: (script, args) => {
      const next = random(args.seed);
      return recut(script, () => 1 + Math.floor(next() * args.max));
    },
  },
  bursts: {
    help: 'n events in one write, every ms',
    args: { n: 16, ms: 10 },
    script: (script, args) => script.flatMap((step, index) => (index > 0 && index % args.n === 0
      ? [{ do: /** @type {const} */ ('wait'), ms: args.ms }, step] : [step])),
  },
  oversized: {
    help: 'one event with this many bytes of text',
    args: { bytes: OVERSIZED_BYTES_DEFAULT },
    answer: (answer, args) => ({
      ...answer,
      text: ['x'.repeat(args.bytes)],
      usage: { ...answer.usage, output: 1 },
    }),
  },
  missing_terminator: {
    help: 'no [DONE] or message_stop; Gemini: no blank line at the end',
    args: {},
    script: (script, _args, { dialect, stream }) => {
      const last = script.at(-1);
      if (!stream || last?.do !== 'write') return script;
      const kept = script.slice(0, -1);
      if (dialect.terminates) return kept;
      return [...kept, write(last.bytes.toString().trimEnd(), last.content)];
    },
  },
  double_terminator: {
    help: 'the end comes twice',
    args: {},
    script: (script, _args, { dialect, answer, writing, stream }) => (stream
      ? [...script, write(dialect.terminal(answer, writing))] : script),
  },
  goes_on: {
    help: 'after the terminator the first content again, for ever; Gemini has none',
    args: { every_ms: 10 },
    script: (script, args, { dialect, stream }) => {
      const again = script[pointAfter(script, 0)];
      return !stream || !dialect.terminates || again.do !== 'write' ? script
        : [...script, { do: 'repeat', bytes: again.bytes, every_ms: args.every_ms }];
    },
  },
  unknown_events: {
    help: 'events, deltas, fields, comments nobody knows between all others',
    args: {},
    script: (script, _args, { dialect, stream }) => (!stream ? script
      : script.flatMap(/** @returns {Step[]} */ (step, index) => (step.do !== 'write' ? [step]
        : [write(dialect.unknown[index % dialect.unknown.length]), step]))),
  },
};

/**
 * @param {Step[]} script @param {number} after @param {Kind} kind @param {Context} context
 * @returns {Step[]}
 */
function errorAfter(script, after, kind, { dialect, stream, refusal }) {
  const error = refusal(kind);
  if (!stream) return page(200, 'application/json', error.body);
  return [...script.slice(0, pointAfter(script, after)), write(dialect.inBand(error))];
}

// Names and arguments

/** What a healthy engine's id may carry. */
export const ENGINE_ARGS = {
  tokens: { type: 'number', help: 'exactly N numbered words in place of the digest' },
  interval_ms: { type: 'number', help: 'from one content event to the next' },
  size: { type: 'number', help: 'bytes of every content event, padded as the dialect allows' },
  per_write: { type: 'number', help: '1: every event in a write of its own' },
  narrate: { type: 'number', help: '1: text before a tool call' },
  refuse: { type: 'string', help: 'parameters the engine refuses, a,b,c (Anthropic: prefill too)' },
  fault: { type: 'string', help: 'a fault by name, as fault-NAME does' },
  times: { type: 'number', help: 'the fault strikes only N times' },
};

/** Ids with a fault of their own, until PUT /control/faults says otherwise. */
const BORN_WITH = /** @type {Record<string, string>} */ ({
  unstable: 'rate_limited?retry_after=20',
});

/**
 * @typedef {{ name: string, args: Arguments, times: number }} Given
 * @typedef {{ name: string, options: Arguments, fault: Given | null }} Engine
 */

/**
 * `name?a=1&b=2`, every argument known and of its type.
 * @param {string} spec
 * @returns {{ name: string, options: Arguments, fault: Given | null }}
 */
export function parseEngine(spec) {
  const at = spec.indexOf('?');
  const name = at < 0 ? spec : spec.slice(0, at);
  const given = new URLSearchParams(at < 0 ? '' : spec.slice(at + 1));
  const faultName = given.get('fault') ?? (name.startsWith('fault-') ? name.slice(6) : null);
  if (faultName !== null && faultName !== 'none') return { name, ...parse(faultName, given) };
  if (faultName === null && Object.hasOwn(BORN_WITH, name)) {
    return { name, options: parse(null, given).options, fault: parseFault(BORN_WITH[name]) };
  }
  return { name, ...parse(null, given) };
}

/** @param {string} spec `cut?after=3`, or `none` @returns {Given | null} */
export function parseFault(spec) {
  const at = spec.indexOf('?');
  const name = at < 0 ? spec : spec.slice(0, at);
  if (name === 'none' || name === '') return null;
  return parse(name, new URLSearchParams(at < 0 ? '' : spec.slice(at + 1))).fault;
}

/**
 * @param {string | null} name @param {URLSearchParams} given
 * @returns {{ options: Arguments, fault: Given | null }}
 */
function parse(name, given) {
  if (name !== null && !Object.hasOwn(FAULTS, name)) {
    throw new Error(`Simulator: there is no fault "${name}"`);
  }
  const defaults = name === null ? {} : FAULTS[name].args;
  const args = /** @type {Arguments} */ ({ ...defaults });
  const options = /** @type {Arguments} */ ({});
  for (const [key, text] of given) {
    const mine = Object.hasOwn(defaults, key);
    if (!mine && !Object.hasOwn(ENGINE_ARGS, key)) {
      throw new Error(`Simulator: unknown argument "${key}"`);
    }
    const type = mine ? typeof defaults[key]
      : ENGINE_ARGS[/** @type {keyof typeof ENGINE_ARGS} */ (key)].type;
    const value = type === 'number' ? Number(text) : text;
    if (Number.isNaN(value)) throw new Error(`Simulator: ${key}=${text} is no number`);
    (mine ? args : options)[key] = value;
  }
  const times = options.times ?? Infinity;
  return { options, fault: name === null ? null : { name, args, times } };
}
