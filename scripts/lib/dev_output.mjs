/**
 * What `npm run dev` shows of wrangler's output: not how wrangler is doing, but what went wrong and
 * what Spillway logs, one readable line a chat.
 *
 * Rules: what is left out is listed here; whatever nobody has listed is shown as it is. Spillway's
 * log lines are JSON, and stay so under --verbose.
 */

import { dim, red, yellow } from './terminal.mjs';

/** @typedef {{ engine: string, outcome: string, ms?: number, status?: number }} Attempt */
/** @typedef {{ [field: string]: any, attempts?: Attempt[] }} LogEvent */

// --- Spillway's own lines -----------------------------------------------------------------------

/** @param {LogEvent} event */
function describeChat(event) {
  const { outcome, attempts = [] } = event;
  const last = attempts.at(-1);
  const before = attempts.filter((attempt) => attempt !== last || attempt.outcome !== 'ok')
    .map(({ engine, outcome: how, ms }) =>
      `${engine} ${how}${ms === undefined ? '' : ` ${ms} ms`}`);
  const [input, output] = ['input', 'output'].map((name) => event[`gen_ai.usage.${name}_tokens`]);
  const facts = [
    `${event.total_ms} ms`,
    event.time_to_first_content_ms === undefined ? undefined
      : `first token ${event.time_to_first_content_ms} ms`,
    input === undefined && output === undefined ? undefined
      : `${input ?? '?'} tokens in, ${output ?? '?'} out`,
    event.cost_usd === undefined ? undefined : `$${event.cost_usd}`,
    before.length === 0 ? undefined : `after ${before.join(', ')}`,
  ].filter((fact) => fact !== undefined).join(', ');
  const what = `chat ${event['gen_ai.request.model'] || '(no model)'} → `
    + `${event.engine ?? 'nobody'}: `;
  if (outcome === 'completed') return `${what}${facts}`;
  const why = [event['error.type'], event.reason].filter(Boolean).join(': ');
  const how = outcome === 'client_closed' ? 'the client left' : outcome;
  const line = `${what}${how}${why === '' ? '' : ` (${why})`}, ${facts}`;
  return outcome === 'client_closed' ? line : red(line);
}

/** One of Spillway's log lines for reading. @param {LogEvent} event */
function describe(event) {
  if (event.event === 'chat') return describeChat(event);
  if (event.event === 'providers' && Array.isArray(event.ready)) {
    const skipped = Object.keys(event.skipped ?? {}).length;
    return dim(`providers ready: ${event.ready.join(', ') || 'none'}`
      + (skipped === 0 ? '' : ` (${skipped} others have no key)`));
  }
  if (event.event === 'config_refused') {
    return red(`configuration refused: ${event.path}: ${event.message}`);
  }
  return JSON.stringify(event);
}

/** @param {string} text @returns {LogEvent | undefined} */
function eventIn(text) {
  if (!text.startsWith('{"event":')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

// --- wrangler's lines ---------------------------------------------------------------------------

const kColors = /\x1b\[[\d;]*m/g;
const kReady = /^\[wrangler:info\] Ready on (https?:\/\/\S+)/;

/** Lines of wrangler's own state. */
const kNoise = [
  /^\[wrangler:info\] /, /^⎔ /, /^ ?⛅️ /, /^─+$/, /^🪵 /, /^Using (?:secrets|vars) defined in /,
  /^\[custom build\] Running: /, /^No bindings found/, /^If you think this is a bug /,
  /^Cloudflare collects anonymous telemetry /,
];
/** What follows an option that wrangler does not know. */
const kHelp = /^wrangler dev \[script\]/;
const kBindings = /has access to the following bindings:$/;
/** Where wrangler's own code called the Worker's. */
const kOwnFrame = /^\s+at .*(?:\/node_modules\/wrangler\/|\/middleware-loader\.entry\.ts)/;
/** Errors of wrangler's that only repeat what stands above them. */
const kRepeated = [
  /Process exited with non-zero status/, /^Running custom build `/,
  /^The Workers runtime failed to start\./,
];

/** One stream of wrangler's output. */
export class DevOutput {
  /** What the last line began: indented lines that belong to it, or a table up to an empty one. */
  #block = /** @type {'none' | 'shown' | 'hidden' | 'table'} */ ('none');
  #blank = true;
  /** Nothing more is worth showing: wrangler's help follows. */
  #ended = false;
  #errors = 0;

  /** @param {(url: string) => void} [ready] is told the address once somebody listens there */
  constructor(ready = () => {}) {
    this.ready = ready;
  }

  /** @param {string} raw a line of wrangler's @returns {string[]} what to print */
  take(raw) {
    if (this.#ended) return [];
    const line = raw.replaceAll(kColors, '').trimEnd();
    const url = kReady.exec(line)?.[1];
    if (url !== undefined) this.ready(url);

    if (line === '') {
      if (this.#block === 'table') this.#block = 'none';
      if (this.#block === 'hidden') return [];
      return this.#print('');
    }
    if (this.#block === 'table') return [];
    if (/^\s/.test(line) && this.#block !== 'none') {
      return this.#block === 'shown' && !kOwnFrame.test(line) ? this.#print(line) : [];
    }
    this.#block = 'none';
    if (kBindings.test(line)) {
      this.#block = 'table';
      return [];
    }
    if (kHelp.test(line)) {
      this.#ended = true;
      return [];
    }
    if (kNoise.some((noise) => noise.test(line))) return [];
    const marked = /^[▲✘] \[(WARNING|ERROR)\] (.*)$/.exec(line);
    if (marked !== null) return this.#takeMarked(marked[1], marked[2]);
    const built = /^\[custom build\] ?(.*)$/.exec(line);
    if (built !== null) return this.#print(built[1]);
    if (line.startsWith('[wrangler:error] ')) {
      this.#block = 'shown';
      return this.#print(red(line.slice('[wrangler:error] '.length)));
    }
    const event = eventIn(line);
    return this.#print(event === undefined ? line : describe(event));
  }

  /** @param {string} mark @param {string} text */
  #takeMarked(mark, text) {
    const event = eventIn(text);
    this.#block = event === undefined ? 'shown' : 'hidden';
    if (event !== undefined) return this.#print(describe(event));
    if (mark === 'WARNING') return this.#print(yellow(text));

    if (kRepeated.some((repeated) => repeated.test(text)) && (this.#errors > 0
      || !text.startsWith('The Workers runtime'))) {
      this.#block = 'hidden';
      return /^Running custom build/.test(text)
        ? this.#print(yellow('What was built before goes on answering.')) : [];
    }
    this.#errors += 1;
    const refused = /SpillwayConfigError: (.*)$/.exec(text)?.[1];
    if (refused !== undefined) {
      this.#block = 'hidden';
      return this.#print(red(`error: configuration refused: ${refused}`));
    }
    return this.#print(red(`error: ${text.replace(/^service core:user:\w+: /, '')}`));
  }

  /** Never more than one empty line, and none at the beginning. @param {string} line */
  #print(line) {
    const skipped = line === '' && this.#blank;
    this.#blank = line === '';
    return skipped ? [] : [line];
  }
}
