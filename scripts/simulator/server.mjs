/**
 * The simulated upstream: one HTTP server on 127.0.0.1 that speaks three dialects over real
 * sockets, and a control endpoint for tests.
 *
 *   import { startSimulator } from './simulator/server.mjs';
 *   const simulator = await startSimulator();
 *   simulator.faults({ primary: 'cut?after=3' });   // as PUT /control/faults
 *   … requests to `${simulator.url}/openai/v1/chat/completions` …
 *   simulator.log();                                // as GET /control/log
 *   await simulator.close();
 *
 * A request is judged in the order a provider does it: key, JSON, body, and only then the fault: a
 * wrong translation shows as a 400 even where a failure was planned.
 */

import { createServer } from 'node:http';
import { anthropic } from './anthropic.mjs';
import { FAULTS, parseEngine } from './faults.mjs';
import { gemini } from './gemini.mjs';
import { answerOf } from './model.mjs';
import { openai } from './openai.mjs';
import { refusalOf } from './refusals.mjs';
import { Exchange, play, refusalScript, write } from './script.mjs';
import { Controls } from './control.mjs';

/**
 * @typedef {import('node:http').IncomingMessage} Request
 * @typedef {import('node:http').ServerResponse} Response
 * @typedef {import('./control.mjs').Entry} Entry
 * @typedef {import('./dialect.mjs').Complaint} Complaint
 * @typedef {import('./dialect.mjs').Dialect} Dialect
 * @typedef {import('./dialect.mjs').Endpoint} Endpoint
 * @typedef {import('./dialect.mjs').Writing} Writing
 * @typedef {import('./faults.mjs').Arguments} Arguments
 * @typedef {import('./faults.mjs').Given} Given
 * @typedef {import('./refusals.mjs').Details} Details
 * @typedef {import('./refusals.mjs').Kind} Kind
 * @typedef {import('./script.mjs').Step} Step
 *
 * @typedef {object} Options
 * @property {string} [host]
 * @property {number} [port]              0: a free one
 * @property {number} [interval_ms]       between content events, where the engine's id says nothing
 * @property {boolean} [require_key]      a request without a key is refused
 * @property {(entry: Entry) => void} [on_exchange]   called when an exchange is over
 *
 * @typedef {object} Simulator
 * @property {string} url
 * @property {() => Promise<void>} close
 * @property {() => Entry[]} log
 * @property {() => void} reset                                  empties the log
 * @property {() => Entry[]} open                                exchanges not over yet
 * @property {() => Promise<number>} connections                 sockets that are open, idle or not
 * @property {(map: Record<string, string>) => void} faults      replaces all that were set
 */

/** What the strictest of the three takes. */
const BODY_BYTES_MAX = 32 * 1024 * 1024;
/** Written-down answers kept for load tests: all of a load, in each dialect, 50 to 500 KB each. */
const SCRIPTS_MAX = 512;
/** The key headers of all dialects: a key in the wrong one is a mistake worth showing. */
const KEY_HEADERS = ['authorization', 'x-api-key', 'x-goog-api-key', 'api-key'];

const DIALECTS = [openai, anthropic, gemini];
const FAULT_IDS = Object.keys(FAULTS).map((name) => `fault-${name}`);
const MODEL_IDS = ['steady', 'unstable', 'reasoner', ...FAULT_IDS];

/** @param {Options} [options] @returns {Promise<Simulator>} */
export async function startSimulator(options = {}) {
  const controls = new Controls();
  const service = new Service(controls, options);
  const server = createServer({ noDelay: true, keepAliveTimeout: 30_000 });
  server.on('request', (request, response) => { void service.serve(request, response); });
  // A client that leaves in the middle of its request is no concern of ours.
  server.on('clientError', (_error, socket) => { socket.destroy(); });
  const host = options.host ?? '127.0.0.1';
  await new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, host, () => resolve(undefined));
  });
  const address = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`,
    close: () => new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    }),
    log: () => controls.entries,
    reset: () => controls.reset(),
    open: () => [...controls.open],
    connections: () => new Promise((resolve, reject) => {
      server.getConnections((error, count) => (error ? reject(error) : resolve(count)));
    }),
    faults: (map) => controls.setFaults(map),
  };
}

/** Serves requests; knows everything of HTTP and nothing of a dialect's words. */
class Service {
  /** @param {Controls} controls @param {Options} options */
  constructor(controls, options) {
    this.controls = controls;
    this.options = options;
    /** @type {Map<string, Step[]>} oldest first */
    this.scripts = new Map();
    this.serial = 0;
  }

  /** @param {Request} request @param {Response} response */
  async serve(request, response) {
    const target = request.url ?? '/';
    const prefix = target.split('/', 2)[1];
    const dialect = DIALECTS.find((each) => each.prefix === prefix);
    const body = await readBody(request);
    if (body === undefined) return;
    if (!dialect) return this.controls.serve(request.method ?? 'GET', target, body, response);
    const endpoint = dialect.endpoint(request.method ?? 'GET', target);
    const entry = this.controls.begin(dialect, request, endpoint, body);
    const exchange = new Exchange(response, entry);
    response.once('close', () => {
      this.controls.end(entry, exchange);
      this.options.on_exchange?.(entry);
    });
    const pace = { interval_ms: this.options.interval_ms ?? 0, per_write: false };
    const visit = new Visit(this, dialect, endpoint, request, entry, pace);
    const script = visit.script(body);
    const head = script.find((step) => step.do === 'head');
    entry.status = head?.do === 'head' ? head.status : null;
    await play(exchange, script, pace);
  }

  /** @param {string} key @param {() => Step[]} make @returns {Step[]} */
  remembered(key, make) {
    const known = this.scripts.get(key);
    if (known) return known;
    const script = make();
    if (this.scripts.size >= SCRIPTS_MAX) {
      this.scripts.delete(/** @type {string} */ (this.scripts.keys().next().value));
    }
    this.scripts.set(key, script);
    return script;
  }
}

/** One request on its way from its bytes to the script that answers it. */
class Visit {
  /**
   * @param {Service} service @param {Dialect} dialect @param {Endpoint | null} endpoint
   * @param {Request} request @param {Entry} entry
   * @param {{ interval_ms: number, per_write: boolean }} pace  set from the engine's arguments
   */
  constructor(service, dialect, endpoint, request, entry, pace) {
    this.service = service;
    this.dialect = dialect;
    this.endpoint = endpoint;
    this.headers = request.headers;
    this.entry = entry;
    this.pace = pace;
    this.model = endpoint?.model ?? '';
    this.id = `exchange ${++service.serial}`;
  }

  /** @param {Buffer | null} body null: too large @returns {Step[]} */
  script(body) {
    if (!this.endpoint) return this.refuse('no_route');
    const refused = this.keyRefused();
    if (refused) return refused;
    if (this.endpoint.operation === 'models') {
      return json(200, {}, this.dialect.models(MODEL_IDS));
    }
    if (body === null) return this.refuse('too_large');
    if (!/^application\/json\b/i.test(this.headers['content-type'] ?? '')) {
      return this.complain({ message: 'The content type must be application/json.' });
    }
    const { entry } = this;
    if (typeof entry.body !== 'object' || entry.body === null) {
      return this.complain({ message: 'We could not parse the JSON body of your request.' });
    }
    const id = this.endpoint.model ?? /** @type {any} */ (entry.body).model;
    entry.model = typeof id === 'string' ? id : '';
    try {
      const engine = parseEngine(entry.model);
      const fault = this.service.controls.faultFor(this.dialect, entry.model, engine);
      return this.answer(engine.name, engine.options, fault);
    } catch (error) {
      // A misspelt fault or argument, mostly: whoever wrote the test has to see it.
      return this.complain({ message: /** @type {Error} */ (error).message });
    }
  }

  /** @param {string} name @param {Arguments} options @param {Given | null} fault */
  answer(name, options, fault) {
    const { dialect, endpoint, headers, entry } = this;
    const { body } = /** @type {{ body: any }} */ (entry);
    this.model = name;
    const refuse = options.refuse?.split(',') ?? [];
    const complaint = dialect.check(body, { headers, model: name, refuse });
    if (complaint) return this.complain(complaint);
    const given = fault && this.service.controls.strike(fault);
    entry.fault = given?.name ?? null;
    this.pace.interval_ms = options.interval_ms ?? this.pace.interval_ms;
    this.pace.per_write = options.per_write === 1;
    const stream = endpoint?.stream ?? body.stream === true;
    const spoken = answerOf(dialect.read(body), name, options);
    const rule = given ? FAULTS[given.name] : null;
    const answer = rule?.answer?.(spoken, given?.args ?? {}) ?? spoken;
    /** @type {Writing} */
    const writing = {
      id: options.tokens === undefined ? this.id : entry.model,
      created_s: Math.floor(entry.started_at_ms / 1000),
      size_bytes: options.size ?? 0,
      include_usage: body.stream_options?.include_usage === true,
      array: endpoint?.array === true,
    };
    const make = () => (stream ? streamScript(dialect, answer, writing)
      : json(200, dialect.headers(writing), dialect.whole(answer, writing)));
    const script = options.tokens === undefined || given || answer.calls.length > 0 ? make()
      : this.service.remembered(JSON.stringify([
        dialect.name, entry.model, stream, writing.include_usage, writing.array, answer.finish,
        answer.stop_sequence, answer.usage,
      ]), make);
    return rule?.script?.(script, given?.args ?? {}, {
      dialect, stream, answer, writing, refusal: (kind, details) => this.refusal(kind, details),
    }) ?? script;
  }

  /** @returns {Step[] | null} */
  keyRefused() {
    const { dialect, headers } = this;
    const own = headers[dialect.key_header] ?? queryKey(this.entry.path);
    const elsewhere = KEY_HEADERS.some((name) => headers[name]);
    if (own === undefined) {
      return elsewhere || this.service.options.require_key ? this.refuse('unauthorized') : null;
    }
    const key = String(own).replace(/^Bearer\s*/i, '');
    if (key === '' || key.includes('bad')) return this.refuse('unauthorized', { key });
    return key.includes('quota') ? this.refuse('insufficient_quota') : null;
  }

  /** @param {Kind} kind @param {Partial<Details>} [details] */
  refusal(kind, details = {}) {
    const base = { id: this.id, model: this.model, key: '', now_ms: this.entry.started_at_ms };
    const refusal = refusalOf(this.dialect.name, kind, { ...base, ...details });
    return this.endpoint?.array ? { ...refusal, body: `[${refusal.body.trimEnd()}]` } : refusal;
  }

  /** @param {Kind} kind @param {Partial<Details>} [details] @returns {Step[]} */
  refuse(kind, details) {
    return refusalScript(this.refusal(kind, details));
  }

  /** @param {Complaint} complaint @returns {Step[]} */
  complain(complaint) {
    return this.refuse('bad_request', { complaint });
  }
}

/** @param {string} path */
const queryKey = (path) => /[?&]key=([^&]*)/.exec(path)?.[1];

/**
 * @param {number} status @param {Record<string, string>} headers @param {unknown} value
 * @returns {Step[]}
 */
function json(status, headers, value) {
  const bytes = Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
  const own = { 'content-type': 'application/json', 'content-length': String(bytes.length) };
  return [{ do: 'head', status, headers: { ...headers, ...own } }, write(bytes, true)];
}

/**
 * @param {Dialect} dialect
 * @param {import('./model.mjs').Answer} answer
 * @param {Writing} writing
 * @returns {Step[]}
 */
function streamScript(dialect, answer, writing) {
  const type = writing.array ? 'application/json' : 'text/event-stream';
  const headers = {
    'content-type': `${type}; charset=utf-8`,
    'cache-control': 'no-cache',
    ...dialect.headers(writing),
  };
  const events = dialect.stream(answer, writing);
  return [{ do: 'head', status: 200, headers },
    ...events.map(({ text, content }) => write(text, content))];
}

/**
 * @param {Request} request
 * @returns {Promise<Buffer | null | undefined>} null: too large; undefined: the client left
 */
async function readBody(request) {
  /** @type {Buffer[]} */
  const chunks = [];
  let size = 0;
  try {
    for await (const chunk of request) {
      size += chunk.length;
      // The rest is read and forgotten, so that the refusal can be read.
      if (size <= BODY_BYTES_MAX) chunks.push(chunk);
      else chunks.length = 0;
    }
  } catch {
    return undefined;
  }
  return size <= BODY_BYTES_MAX ? Buffer.concat(chunks) : null;
}
