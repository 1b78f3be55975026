/**
 * The smallest host that can play a case: the module's exports and imports as docs/ARCHITECTURE.md
 * describes them, scripted providers, and a clock that jumps from one event to the next. The same
 * rules as tests/case_run.cpp. All strings are of bytes, as case_file.js reads them.
 */

/** @import { Answer, Case } from './case_file.js' */

const START_MS = Date.UTC(2026, 0, 1);
const END_AFTER_MS = 10;
const NEXT_CALL_MS = 1000;
const STEPS_MAX = 100_000;

/**
 * Cuts one burst into chunks; `answer` counts the upstream answers of the whole case.
 * @typedef {(bytes: string, answer: number, sent: number) => string[]} Chunking
 *
 * @typedef {object} ChatRun
 * @property {{ head: any, body: string }[]} requests
 * @property {number} status  0 while there is no response
 * @property {Record<string, string>} headers
 * @property {string} body
 * @property {boolean} spliced
 * @property {boolean} left  the client did
 */

/** @param {string} text */
const bytesOf = (text) => Buffer.from(text, 'latin1');

export class CaseHost {
  /** @type {string[]} */ lines = [];
  /** @type {any} */ #wasm;
  /** @type {any} the chat that is being played */ #chat;

  /** @param {WebAssembly.Module} module */
  constructor(module) {
    const text = (/** @type {number} */ at, /** @type {number} */ length) =>
      Buffer.from(this.#wasm.memory.buffer, at >>> 0, length).toString('latin1');
    /** @type {Record<string, (...args: number[]) => void>} */
    const host = {
      fetch: (id, headAt, headLength, bodyAt, bodyLength) => {
        const chat = this.#chat;
        const head = JSON.parse(text(headAt, headLength));
        const answer = chat.call.answers[chat.requests.length];
        chat.requests.push({ head, body: text(bodyAt, bodyLength) });
        if (!answer) throw new Error(`unexpected upstream request: ${head.url}`);
        const answers = answer.head || answer.rejected !== undefined
          || answer.ending === 'client leaves';
        chat.exchanges.set(id, {
          id, answer, number: chat.before + chat.requests.length - 1, stage: 'fetched', burst: 0,
          sent: 0, due: answers ? chat.now + answer.after_ms : Infinity,
        });
      },
      cancel: (id) => void this.#chat.exchanges.delete(id),
      read: () => {
        this.#chat.bodyAt = this.#chat.now + this.#chat.call.body_after_ms;
      },
      respond: (_, status, at, length) => {
        Object.assign(this.#chat, { status, headers: JSON.parse(text(at, length)) });
      },
      write: (_, at, length) => void (this.#chat.body += text(at, length)),
      splice: (_, exchange) => void (this.#chat.spliced = exchange),
      gather: () => {},
      end: () => void (this.#chat.over = true),
      wake: (_, at) => void (this.#chat.wakeAt = at || Infinity),
      log: (_, at, length) => void this.lines.push(text(at, length)),
    };
    this.#wasm = new WebAssembly.Instance(module, { host }).exports;
    this.#wasm._initialize?.();
  }

  /** @param {string} bytes */
  #put(bytes) {
    const at = this.#wasm.input(bytes.length) >>> 0;
    if (!at) throw new RangeError(`no room for ${bytes.length} bytes`);
    Buffer.from(this.#wasm.memory.buffer).set(bytesOf(bytes), at);
    return bytes.length;
  }

  /** Begins anew with this configuration; 0 when it was taken. @param {Case} test */
  configure({ configs, env }) {
    this.lines = [];
    return this.#wasm.configure(this.#put(JSON.stringify({ config: configs, env })));
  }

  /** @param {Case} test @param {Chunking} chunking @returns {ChatRun[]} */
  play(test, chunking) {
    let now = START_MS;
    let before = 0;
    return test.calls.map((call, index) => {
      if (index > 0) now += NEXT_CALL_MS;
      if (call.at_ms !== undefined) now = START_MS + call.at_ms;
      const chat = {
        call, now, before, requests: [], status: 0, headers: {}, body: '', spliced: 0, left: false,
        over: false, wakeAt: Infinity, bodyAt: Infinity, exchanges: new Map(), id: 0,
      };
      this.#chat = chat;
      chat.id = this.#wasm.open(now, call.seed, this.#put(JSON.stringify(call.head)));
      for (let steps = 0; !chat.over && !chat.left; ++steps) {
        const waits = steps > STEPS_MAX || !this.#step(chunking);
        if (waits) throw new Error('the chat waits for nothing');
      }
      now = chat.now;
      before += call.answers.length;
      const { requests, status, headers, body, left } = chat;
      return { requests, status, headers, body, left, spliced: chat.spliced > 0 };
    });
  }

  /** Goes on to the next event; false when there is none. @param {Chunking} chunking */
  #step(chunking) {
    const chat = this.#chat;
    const { wakeAt } = chat;
    /** Those that are open, the next event first. */
    const open = [...chat.exchanges.values()].sort((a, b) => a.due - b.due);
    const due = open[0]?.due ?? Infinity;
    if (Math.min(due, wakeAt, chat.bodyAt) === Infinity) return false;
    if (chat.bodyAt < Infinity && chat.bodyAt <= wakeAt) {
      chat.now = chat.bodyAt;
      chat.bodyAt = Infinity;
      const rest = chat.call.body_breaks_off ? 2 : 1;
      this.#wasm.on_body(chat.now, chat.id, rest, this.#put(chat.call.body));
    } else if (due <= wakeAt) {
      chat.now = due;
      this.#deliver(open[0], chunking);
    } else {
      chat.now = Math.max(chat.now, wakeAt);
      chat.wakeAt = Infinity;
      const stalled = open.some(({ answer, burst }) => answer.bursts[burst]?.client_stalls);
      this.#wasm.on_wake(chat.now, chat.id, stalled ? 0 : 1);
    }
    return true;
  }

  /** @param {any} exchange @param {Chunking} chunking */
  #deliver(exchange, chunking) {
    const chat = this.#chat;
    const answer = /** @type {Answer} */ (exchange.answer);
    exchange.due = Infinity;
    const rejected = exchange.stage === 'fetched' && answer.rejected !== undefined;
    if (rejected) return this.#finish(exchange);
    if (exchange.stage === 'fetched' && !answer.head) return this.#leave();
    if (exchange.stage === 'fetched') {
      exchange.stage = 'answering';
      const { status, headers } = /** @type {NonNullable<Answer['head']>} */ (answer.head);
      const length = this.#put(JSON.stringify(headers));
      this.#wasm.on_response(chat.now, exchange.id, status, length);
    } else if (exchange.stage === 'answering') {
      const { bytes } = answer.bursts[exchange.burst++];
      const chunks = chunking(bytes, exchange.number, exchange.sent);
      exchange.sent += bytes.length;
      for (const chunk of chunks) {
        if (chunk === '' || !chat.exchanges.has(exchange.id)) continue;
        if (chat.spliced === exchange.id) chat.body += chunk;
        this.#wasm.on_chunk(chat.now, exchange.id, this.#put(chunk));
      }
    } else {
      if (answer.ending !== 'client leaves') return this.#finish(exchange);
      return this.#leave();
    }
    if (exchange.burst < answer.bursts.length) {
      exchange.due = chat.now + answer.bursts[exchange.burst].after_ms;
    } else {
      exchange.stage = 'ending';
      if (answer.ending !== 'silent') exchange.due = chat.now + END_AFTER_MS;
    }
  }

  #leave() {
    this.#chat.left = true;
    this.#wasm.close(this.#chat.now, this.#chat.id);
  }

  /** @param {any} exchange */
  #finish({ id, answer }) {
    this.#chat.exchanges.delete(id);
    if (answer.rejected !== undefined || answer.ending === 'cut') {
      this.#wasm.on_error(this.#chat.now, id, this.#put(answer.rejected ?? answer.reason));
    } else {
      this.#wasm.on_end(this.#chat.now, id);
    }
  }
}
