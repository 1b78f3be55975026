/**
 * The control endpoint's state and paths: which faults are switched on, which requests came.
 *
 *   PUT    /control/faults   {"primary": "cut?after=3", "openai:steady": "server?times=2"}
 *   GET    /control/faults   what is switched on, and how often it still strikes
 *   GET    /control/log      the requests since the last reset, oldest first
 *   DELETE /control/log      forget them
 *   GET    /control/open     {"open": 2}: exchanges that are not over
 *
 * PUT replaces all that was switched on before. A key is an engine's id with or without its
 * arguments, and may begin with a dialect's path (`openai:`, `anthropic:`, `gemini:`); `none` makes
 * an engine healthy. No key of a real provider is ever kept: see `maskHeaders`.
 */

import { isObject } from './check.mjs';
import { FAULTS, parseFault } from './faults.mjs';

/**
 * @typedef {import('./dialect.mjs').Dialect} Dialect
 * @typedef {import('./dialect.mjs').Endpoint} Endpoint
 * @typedef {import('./faults.mjs').Engine} Engine
 * @typedef {import('./faults.mjs').Given} Given
 *
 * @typedef {object} Entry
 * @property {number} id
 * @property {string} dialect
 * @property {string} method
 * @property {string} path
 * @property {string} model                 as sent, with its arguments
 * @property {Record<string, string>} headers
 * @property {unknown} body                 parsed; the text when it is not JSON
 * @property {number | null} status         null: no headers were sent (while open: what is planned)
 * @property {string | null} fault          the fault that struck
 * @property {number} started_at_ms
 * @property {number | null} ended_at_ms    null: not over
 * @property {number | null} aborted_ms     from start to the moment the client left before the end
 * @property {boolean} finished             the response was written to its end
 * @property {number} written_bytes
 */

const ENTRIES_MAX = 1000;
/** Bodies in the log are given up, oldest first, above this. */
const BODIES_BYTES_MAX = 32 * 1024 * 1024;

const SECRET_HEADERS = [
  'authorization', 'proxy-authorization', 'x-api-key', 'x-goog-api-key', 'api-key', 'cookie',
];
/** Keys that tests make up are short and say so; a provider's key is long. */
const FAKE_KEY = /^(?=.*(test|fake|sim|bad|quota)).{1,40}$/i;

/** @param {string} value */
function maskSecret(value) {
  const [scheme, key] = /^Bearer /i.test(value) ? ['Bearer ', value.slice(7)] : ['', value];
  return scheme + (FAKE_KEY.test(key) ? key : `${key.slice(0, 3)}…(${key.length} characters)`);
}

/** @param {import('node:http').IncomingHttpHeaders} headers @returns {Record<string, string>} */
const maskHeaders = (headers) => Object.fromEntries(Object.entries(headers).map(([name, value]) =>
  [name, SECRET_HEADERS.includes(name) ? maskSecret(String(value)) : String(value)]));

/** @param {string} path */
const maskPath = (path) =>
  path.replace(/([?&]key=)([^&]*)/, (_all, name, key) => name + maskSecret(key));

/** @param {Buffer | null} bytes @returns {unknown} */
function parseBody(bytes) {
  if (bytes === null || bytes.length === 0) return null;
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return bytes.toString();
  }
}

export class Controls {
  constructor() {
    /** @type {Entry[]} */
    this.entries = [];
    /** @type {Set<Entry>} */
    this.open = new Set();
    /** @type {Map<string, Given>} by the key of PUT */
    this.faults = new Map();
    /** @type {Map<string, Given>} faults that ids carry with `times`, by dialect and id */
    this.carried = new Map();
    /** @type {{ entry: Entry, bytes: number }[]} */
    this.bodies = [];
    this.bodies_bytes = 0;
    this.serial = 0;
  }

  /** @param {Record<string, string>} map  throws when a fault is unknown, and changes nothing */
  setFaults(map) {
    const parsed = Object.entries(map).map(([key, spec]) => /** @type {const} */ (
      [key, parseFault(String(spec)) ?? { name: 'none', args: {}, times: Infinity }]));
    this.faults = new Map(parsed);
    this.carried.clear();
  }

  /** @param {Dialect} dialect @param {string} id @param {Engine} engine @returns {Given | null} */
  faultFor({ prefix }, id, engine) {
    for (const key of [`${prefix}:${id}`, `${prefix}:${engine.name}`, id, engine.name]) {
      const found = this.faults.get(key);
      if (found) return found;
    }
    const own = engine.fault;
    if (!own || own.times === Infinity) return own;
    const key = `${prefix}:${id}`;
    const carried = this.carried.get(key) ?? own;
    this.carried.set(key, carried);
    return carried;
  }

  /** @param {Given} fault @returns {Given | null} the fault, unless it struck often enough */
  strike(fault) {
    if (fault.name === 'none' || fault.times <= 0) return null;
    fault.times -= 1;
    return fault;
  }

  /**
   * @param {Dialect} dialect
   * @param {import('node:http').IncomingMessage} request
   * @param {Endpoint | null} endpoint
   * @param {Buffer | null} bytes
   */
  begin(dialect, request, endpoint, bytes) {
    /** @type {Entry} */
    const entry = {
      id: ++this.serial,
      dialect: dialect.name,
      method: request.method ?? '',
      path: maskPath(request.url ?? ''),
      model: endpoint?.model ?? '',
      headers: maskHeaders(request.headers),
      body: parseBody(bytes),
      status: null,
      fault: null,
      started_at_ms: Date.now(),
      ended_at_ms: null,
      aborted_ms: null,
      finished: false,
      written_bytes: 0,
    };
    this.entries.push(entry);
    if (this.entries.length > ENTRIES_MAX) this.entries.shift();
    this.open.add(entry);
    this.keepBody(entry, bytes?.length ?? 0);
    return entry;
  }

  /** @param {Entry} entry @param {number} bytes */
  keepBody(entry, bytes) {
    this.bodies.push({ entry, bytes });
    this.bodies_bytes += bytes;
    while (this.bodies.length > ENTRIES_MAX || this.bodies_bytes > BODIES_BYTES_MAX) {
      const oldest = this.bodies.shift();
      if (!oldest) break;
      this.bodies_bytes -= oldest.bytes;
      oldest.entry.body = `(${oldest.bytes} bytes, given up)`;
    }
  }

  /** @param {Entry} entry @param {import('./script.mjs').Exchange} exchange */
  end(entry, exchange) {
    this.open.delete(entry);
    if (!exchange.response.headersSent) entry.status = null;
    entry.ended_at_ms = Date.now();
    entry.finished = exchange.response.writableFinished && !exchange.destroyed;
    const left = !entry.finished && !exchange.destroyed;
    entry.aborted_ms = left ? entry.ended_at_ms - entry.started_at_ms : null;
  }

  reset() {
    this.entries = [];
    this.bodies = [];
    this.bodies_bytes = 0;
  }

  /**
   * @param {string} method @param {string} target @param {Buffer | null} body
   * @param {import('node:http').ServerResponse} response
   */
  serve(method, target, body, response) {
    /** @param {number} status @param {unknown} value */
    const reply = (status, value) => {
      response.writeHead(status, { 'content-type': 'application/json' });
      response.end(`${JSON.stringify(value, null, 2)}\n`);
    };
    switch (`${method} ${target}`) {
      case 'GET /': return reply(200, {
        service: 'simulated upstream of Spillway',
        chat: [
          'POST /openai/v1/chat/completions', 'POST /anthropic/v1/messages',
          'POST /gemini/v1beta/models/{model}:generateContent',
          'POST /gemini/v1beta/models/{model}:streamGenerateContent?alt=sse',
        ],
        control: ['/control/faults', '/control/log', '/control/open'],
        faults: Object.keys(FAULTS),
      });
      case 'GET /control/log': return reply(200, this.entries);
      case 'DELETE /control/log':
        this.reset();
        return reply(200, []);
      case 'GET /control/open': return reply(200, { open: this.open.size });
      case 'PUT /control/faults': {
        const map = parseBody(body);
        if (!isObject(map)) return reply(400, { error: 'not a JSON object' });
        try {
          this.setFaults(/** @type {Record<string, string>} */ (map));
        } catch (error) {
          const { message } = /** @type {Error} */ (error);
          return reply(400, { error: message, faults: Object.keys(FAULTS) });
        }
        return reply(200, Object.fromEntries(this.faults));
      }
      case 'GET /control/faults': return reply(200, Object.fromEntries(this.faults));
      default: return reply(404, { error: `no such path: ${method} ${target}` });
    }
  }
}
