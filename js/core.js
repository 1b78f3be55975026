/**
 * One instance of the WebAssembly core and the chats it serves: the host's side of the ABI that
 * docs/ARCHITECTURE.md describes.
 *
 *  - A step is one call into the core. The host functions it calls only write down what is asked;
 *    settle() acts on it when the step has returned, so nothing can re-enter the core, and a step
 *    that traps leaves no half of its work behind.
 *  - Bytes are lent for one call, both ways: whatever outlives the call is copied.
 *  - Edge runtimes bind a stream, a fetch and a timer to the request that made them. A step for one
 *    chat therefore touches that chat only, also after a trap: each chat finds the core broken at
 *    its own next event (it always has one: a wake, or an upstream read).
 */

import { NativePipe, PART_BYTES_MAX, ignore, join, pump, stop } from './upstream.js';

const ABI_VERSION = 4;
/** What is asked for at once, so that the chunks of a stream need not ask again. */
const INPUT_BYTES_MIN = 4096;
/**
 * Between two writes to a client is so much time, half of what a screen shows one picture: what
 * comes sooner goes out together, for a write costs a third of what a token does. The first token
 * does not wait, nor what comes slower, nor the end.
 */
const WRITE_PAUSE_MS = 8;
/** So much waits at most. */
const WRITE_BYTES_MAX = 16 * 1024;
/** A body of such an announced length is read at once: one turn of the runtime, not one a chunk. */
const READ_AT_ONCE_BYTES_MAX = 64 * 1024;
/** What follows a piece of a request body, as the core is told. */
const REST = { more: 0, none: 1, broken: 2 };
/** What upstream gets after the last token to end its body, so that the connection is kept. */
const LINGER_MS = 1000;

const LEVELS = /** @type {const} */ (['debug', 'info', 'warn', 'error']);

const NOTHING = new Uint8Array();
const encoder = new TextEncoder();
const decoder = new TextDecoder();
/** The chat of no step. */
const NOBODY = /** @type {Chat} */ (/** @type {unknown} */ (null));

/**
 * @import { LogLevel, RequestContext } from './spillway.d.ts'
 *
 * @typedef {Uint8Array<ArrayBuffer>} Bytes
 * @typedef {'on_body' | 'on_response' | 'on_chunk' | 'on_end' | 'on_error' | 'on_wake'
 *   | 'close'} Input
 *
 * @typedef {object} Sink  the client's end of the response body
 * @property {(bytes: Bytes) => void} write
 * @property {() => Promise<unknown>} [ready]  the client takes more; without it, see `wanted`
 * @property {() => void} close
 * @property {(reason: unknown) => void} abort
 *
 * @typedef {object} Exchange  one upstream request and its answer
 * @property {number} id
 * @property {string} url
 * @property {string} method
 * @property {Record<string, string>} headers
 * @property {Bytes | undefined} body
 * @property {AbortController} abort
 * @property {boolean} over  cancelled: the core wants no more of it
 * @property {number} lag  gathered: what comes of it may reach the core so many milliseconds later
 * @property {() => void} resume  ends its pump's wait for the client, if it waits
 * @property {ReturnType<typeof setTimeout>} [linger]
 */

/** A config the core refuses; `path` is the field, the message says what was expected there. */
export class SpillwayConfigError extends Error {
  name = 'SpillwayConfigError';
  /** @param {string} path @param {string} message */
  constructor(path, message) {
    super(path ? `${path}: ${message}` : message);
    this.path = path;
  }
}

/** What one request has in flight. Host functions fill the upper half, settle() empties it. */
export class Chat {
  /** @type {Exchange[]} */ started = [];
  /** @type {number[]} */ cancelled = [];
  /** @type {{ status: number, headers: Record<string, string> } | null} */ head = null;
  /** @type {Bytes[]} */ held = [];
  spliced = 0; // the exchange whose bytes go to the client as they are
  ended = false;
  wakeAt = -1;
  reads = false; // the request's body is wanted

  id = 0;
  /** @type {Map<number, Exchange>} */ exchanges = new Map();
  /** @type {Sink | null} null before the response, and while a native pipe owns the body */
  sink = null;
  /** @type {Bytes[]} what the next write to the client takes */ queue = [];
  queuedBytes = 0;
  wroteAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ writeTimer;
  /** @type {any} the native pipe's end to write to */ writable = null;
  answered = false;
  events = false; // the response is a stream of server-sent events
  pulled = false; // the response body is pulled: pumps wait for `wanted`
  wanted = false;
  waiting = false; // for the client, not for upstream
  failed = false; // its core has trapped
  finished = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */ timer;
  leave = ignore;
  stopReading = ignore;
  /** @type {(response: Response) => void} */ answer = ignore;
  /** @type {(nothing?: undefined) => void} */ release = ignore;

  /**
   * @param {boolean} native whether a splice may be piped by the runtime
   * @param {{ signal?: AbortSignal }} client  its signal fires when the client leaves
   * @param {RequestContext} [ctx]
   */
  constructor(native, client, ctx) {
    this.native = native && NativePipe;
    // Kept whole: in Node the signal of a request is lost when the request is collected.
    this.client = client;
    this.ctx = ctx;
    /** @type {Promise<Response>} */
    this.response = new Promise((resolve) => (this.answer = resolve));
    // Without this the runtime may drop the context, and with it the cancel and the log line.
    this.keep(new Promise((resolve) => (this.release = resolve)));
  }

  /** @param {Promise<unknown>} work */
  keep(work) {
    this.ctx?.waitUntil?.(work);
  }
}

export class Core {
  broken = false; // by a trap: the next request needs a fresh instance
  /** @type {any} the module's exports */ wasm;
  #view = NOTHING;
  #inputAt = 0;
  #inputBytes = 0;
  /** @type {Chat} the chat whose step is running */ #chat = NOBODY;
  /** @type {[LogLevel, string][]} */ #lines = [];
  #told = false; // which providers are ready
  #log;

  /**
   * @param {WebAssembly.Module} module
   * @param {Bytes} configuration
   * @param {(url: string, init: RequestInit) => Promise<Response>} upstream
   * @param {(level: LogLevel, line: string) => void} log
   */
  constructor(module, configuration, upstream, log) {
    this.fetch = upstream;
    this.#log = log;
    this.wasm = new WebAssembly.Instance(module, { host: this.#host() }).exports;
    this.wasm._initialize?.();
    const version = this.wasm.abi_version();
    if (version !== ABI_VERSION) throw new Error(`the module has ABI ${version}`);
    const refused = this.wasm.configure(this.put(configuration));
    this.#inputBytes = 0; // the core has taken the room back
    if (refused) throw refusalOf(this.#lines.pop()?.[1]);
    // A Worker is loaded for a request that waits: there this comes after its first token.
    if (!NativePipe) this.#report();
  }

  /**
   * Starts a chat; resolves when the core responds.
   * @param {object} head
   * @param {Request | Bytes} body  read only if the core asks for it
   * @param {boolean} native
   * @param {{ signal?: AbortSignal }} client  the request, or who asked without one
   * @param {RequestContext} [ctx]
   */
  open(head, body, native, client, ctx) {
    const { signal } = client;
    const chat = new Chat(native, client, ctx);
    chat.leave = () => this.#leave(chat);
    const seed = Math.floor(Math.random() * 2 ** 53); // nothing that it decides is a secret
    this.#chat = chat;
    try {
      const length = this.put(encoder.encode(JSON.stringify(head)));
      chat.id = this.wasm.open(Date.now(), seed, length);
    } catch (error) {
      this.#trap(error);
    }
    if (this.broken) this.#fail(chat);
    this.settle(chat);
    if (signal?.aborted) chat.leave();
    else if (!chat.finished) signal?.addEventListener('abort', chat.leave);
    if (chat.reads && !chat.finished) {
      if (body instanceof Uint8Array) this.#giveBody(chat, body, true);
      else chat.keep(this.#readBody(chat, body));
    }
    return chat.response;
  }

  /** @param {Chat} chat @param {Request} request */
  async #readBody(chat, request) {
    const announced = Number(request.headers.get('content-length'));
    try {
      if (!request.body || (announced > 0 && announced <= READ_AT_ONCE_BYTES_MAX)) {
        this.#giveBody(chat, new Uint8Array(await request.arrayBuffer()), true);
      } else {
        await this.#readPieces(chat, request.body);
      }
    } catch {
      this.step(chat, 'on_body', chat.id, null, REST.broken);
    }
  }

  /** @param {Chat} chat @param {ReadableStream<Bytes>} body */
  async #readPieces(chat, body) {
    const reader = body.getReader();
    chat.stopReading = () => void reader.cancel().catch(ignore);
    while (!chat.finished) {
      const { value, done } = await reader.read();
      this.#giveBody(chat, done ? NOTHING : value, done);
      if (done) return;
    }
  }

  /** @param {Chat} chat @param {Bytes} bytes @param {boolean} isLast */
  #giveBody(chat, bytes, isLast) {
    let at = 0;
    do {
      const part = bytes.subarray(at, at + PART_BYTES_MAX);
      at += PART_BYTES_MAX;
      const rest = isLast && at >= bytes.length ? REST.none : REST.more;
      this.step(chat, 'on_body', chat.id, part, rest);
    } while (at < bytes.length);
  }

  // -------------------------------------------------------------------------------------------
  // The line to the core

  /** The module's imports: they only write down what the running step asks for. */
  #host() {
    /** @type {Record<string, (...args: number[]) => void>} */
    const host = {
      fetch: (id, headAt, headLength, bodyAt, bodyLength) => {
        const { url, method, headers } = JSON.parse(this.#text(headAt, headLength));
        const body = bodyLength ? this.#copy(bodyAt, bodyLength) : undefined;
        const abort = new AbortController();
        this.#chat.started.push({
          id, url, method, headers, body, abort, over: false, lag: 0, resume: ignore,
        });
      },
      cancel: (id) => void this.#chat.cancelled.push(id),
      read: () => void (this.#chat.reads = true),
      respond: (_, status, at, length) => {
        this.#chat.head = { status, headers: JSON.parse(this.#text(at, length)) };
      },
      write: (_, at, length) => void this.#chat.held.push(this.#copy(at, length)),
      splice: (_, exchange) => void (this.#chat.spliced = exchange),
      gather: (_, id, within) => {
        const exchange = this.#chat.exchanges.get(id);
        if (exchange) exchange.lag = within;
      },
      end: () => void (this.#chat.ended = true),
      wake: (_, at) => void (this.#chat.wakeAt = at),
      log: (level, at, length) => void this.#lines.push([LEVELS[level], this.#text(at, length)]),
    };
    return host;
  }

  /** What the core lends, kept. @param {number} at @param {number} length */
  #copy(at, length) {
    return this.#memory().slice(at >>> 0, (at >>> 0) + length);
  }

  /** @param {number} at @param {number} length */
  #text(at, length) {
    return decoder.decode(this.#memory().subarray(at >>> 0, (at >>> 0) + length));
  }

  /** The core's memory: valid until the next call into the core, which may make it grow. */
  #memory() {
    const { buffer } = this.wasm.memory;
    if (this.#view.buffer !== buffer) this.#view = new Uint8Array(buffer);
    return this.#view;
  }

  /**
   * Copies the input of the next call into the core; returns its length. The room stays: a chunk
   * costs one call into the core.
   * @param {Bytes} bytes
   */
  put(bytes) {
    const { length } = bytes;
    if (length > this.#inputBytes) {
      const wanted = Math.max(length, INPUT_BYTES_MIN);
      const at = this.wasm.input(wanted) >>> 0;
      if (!at) throw new RangeError(`the core has no room for ${length} bytes`);
      this.#inputAt = at;
      this.#inputBytes = wanted;
    }
    this.#memory().set(bytes, this.#inputAt);
    return length;
  }

  /**
   * One call into the core, and what it asked for.
   * @param {Chat} chat
   * @param {Input} input  the export
   * @param {number} id    of the exchange, or of the chat
   * @param {Bytes | null} [bytes]
   * @param {number} [detail]  the argument before the length of the bytes, where there is one
   */
  step(chat, input, id, bytes, detail) {
    if (chat.finished) return;
    if (!this.broken) {
      this.#chat = chat;
      try {
        const length = bytes ? this.put(bytes) : 0;
        if (detail === undefined) this.wasm[input](Date.now(), id, length);
        else this.wasm[input](Date.now(), id, detail, length);
      } catch (error) {
        this.#trap(error);
      }
      if (chat.answered) this.#report();
    }
    if (this.broken) this.#fail(chat);
    this.settle(chat);
  }

  /** @param {unknown} error */
  #trap(error) {
    this.broken = true;
    this.#lines.push(['error', JSON.stringify({ event: 'trap', message: String(error) })]);
    this.#report();
  }

  /** Has the core log which providers are ready, ahead of the lines that wait. */
  #tellProviders() {
    this.#told = true;
    if (this.broken) return;
    const later = this.#lines.splice(0);
    try {
      this.wasm.log_providers();
    } catch (error) {
      this.#trap(error);
    }
    this.#lines.push(...later);
  }

  /** Gives the lines to the log: not while a client waits for its first token. */
  #report() {
    if (!this.#told) this.#tellProviders();
    while (this.#lines.length) {
      const [level, line] = /** @type {[LogLevel, string]} */ (this.#lines.shift());
      try {
        this.#log(level, line);
      } catch (error) {
        console.error(error);
      }
    }
  }

  // -------------------------------------------------------------------------------------------
  // The client's side

  /** Puts a clean error in the place of whatever the chat still wanted. @param {Chat} chat */
  #fail(chat) {
    chat.failed = chat.ended = true;
    chat.started = [];
    chat.cancelled = [...chat.exchanges.keys()];
    const message =
      'The router stopped unexpectedly while serving this request. It is safe to retry.';
    const error = { message, type: 'server_error', param: null, code: 'internal_error' };
    const text = JSON.stringify({ error });
    chat.held = [encoder.encode(chat.answered ? `data: ${text}\n\n` : text)];
    if (chat.answered) return;
    chat.head = { status: 500, headers: { 'content-type': 'application/json' } };
  }

  /** Does what the last step asked for. @param {Chat} chat */
  settle(chat) {
    this.#chat = NOBODY;
    if (chat.started.length) {
      for (const exchange of chat.started.splice(0)) {
        chat.exchanges.set(exchange.id, exchange);
        chat.keep(pump(this, chat, exchange));
      }
    }
    if (chat.cancelled.length) {
      for (const id of chat.cancelled.splice(0)) stop(chat.exchanges.get(id));
    }
    if (chat.wakeAt >= 0) {
      this.#arm(chat, chat.wakeAt);
      chat.wakeAt = -1;
    }
    if (chat.head && !chat.answered) this.#answer(chat, chat.head);
    const due = chat.held.length || chat.ended;
    if (due && chat.sink && !chat.finished) this.#deliver(chat, chat.sink);
  }

  /** @param {Chat} chat @param {Sink} sink */
  #deliver(chat, sink) {
    const readable = chat.events || !chat.failed; // an error event would make no sense in JSON
    if (readable) {
      for (const bytes of chat.held.splice(0)) {
        chat.queue.push(bytes);
        chat.queuedBytes += bytes.length;
      }
    }
    if (chat.queue.length && (chat.ended || !this.#pauses(chat))) this.#write(chat);
    if (!chat.ended) return;
    if (readable) sink.close();
    else sink.abort(new Error('the router stopped unexpectedly'));
    this.#finish(chat);
  }

  /** Whether what is queued waits for more of its kind. @param {Chat} chat */
  #pauses(chat) {
    if (!chat.pulled || chat.queuedBytes >= WRITE_BYTES_MAX) return false;
    const wait = chat.wroteAt + WRITE_PAUSE_MS - Date.now();
    if (wait > 0) chat.writeTimer ??= setTimeout(() => this.#write(chat), wait);
    return wait > 0;
  }

  /** @param {Chat} chat */
  #write(chat) {
    if (chat.writeTimer) clearTimeout(chat.writeTimer);
    chat.writeTimer = undefined;
    chat.wroteAt = Date.now();
    chat.queuedBytes = 0;
    chat.sink?.write(join(chat.queue.splice(0)));
  }

  /** @param {Chat} chat @param {{ status: number, headers: Record<string, string> }} head */
  #answer(chat, head) {
    chat.answered = true;
    chat.events = !!head.headers['content-type']?.startsWith('text/event-stream');
    if (chat.ended) {
      chat.answer(new Response(chat.held.length ? join(chat.held) : null, head));
      this.#finish(chat);
    } else if (chat.spliced && chat.native) {
      const pipe = new NativePipe();
      chat.writable = pipe.writable; // #pipe() writes what is held
      chat.answer(new Response(pipe.readable, head));
    } else {
      // A high-water mark of 0: pull() comes for a read that waits, never ahead of one.
      const body = new ReadableStream(pullSource(chat), { highWaterMark: 0 });
      chat.answer(new Response(body, head));
    }
  }

  /** @param {Chat} chat @param {number} at 0: no timer */
  #arm(chat, at) {
    clearTimeout(chat.timer);
    if (!at || chat.finished) return;
    const due = () => {
      if (Date.now() < at) return this.#arm(chat, at); // timers may be a little early
      this.step(chat, 'on_wake', chat.id, null, chat.waiting ? 0 : 1);
    };
    chat.timer = setTimeout(due, Math.max(0, Math.ceil(at - Date.now())));
  }

  /** The client left: nobody reads what the core may still write. @param {Chat} chat */
  #leave(chat) {
    if (chat.finished) return;
    const { sink } = chat;
    chat.sink = null;
    chat.answered = true;
    this.step(chat, 'close', chat.id);
    for (const exchange of chat.exchanges.values()) stop(exchange);
    this.#finish(chat);
    // A task later: a server that has noticed it too cancels the stream; an error would make noise.
    if (sink) setTimeout(() => sink.abort(chat.client.signal?.reason));
    chat.answer(new Response(null, { status: 499 })); // without effect after a real answer
  }

  /** @param {Chat} chat */
  #finish(chat) {
    chat.finished = true;
    clearTimeout(chat.timer);
    clearTimeout(chat.writeTimer);
    chat.client.signal?.removeEventListener('abort', chat.leave);
    chat.stopReading();
    for (const exchange of chat.exchanges.values()) {
      exchange.linger = setTimeout(() => stop(exchange), LINGER_MS);
      exchange.resume();
    }
    this.#report();
    chat.release();
  }
}

/** @param {string} [line] what the core said when it refused */
function refusalOf(line = '{}') {
  const { path = '', message = 'the config was refused' } = JSON.parse(line);
  return new SpillwayConfigError(path, message);
}

/**
 * The promise of a pull() lasts until bytes are given: one that is over at once has workerd ask for
 * each event twice.
 * @param {Chat} chat
 * @returns {UnderlyingDefaultSource<Bytes>}
 */
function pullSource(chat) {
  let served = ignore;
  return {
    start(controller) {
      chat.pulled = true;
      // What the response begins with waits in it: nobody need ask for that.
      if (chat.held.length) {
        chat.wroteAt = Date.now();
        const [first, ...rest] = chat.held.splice(0);
        controller.enqueue(rest.length ? join([first, ...rest]) : first);
      }
      chat.sink = {
        write(bytes) {
          chat.wanted = false; // before enqueue(), which may pull again at once
          controller.enqueue(bytes);
          served();
        },
        close: () => controller.close(),
        abort: (reason) => controller.error(reason),
      };
    },
    pull() {
      chat.wanted = true;
      for (const exchange of chat.exchanges.values()) exchange.resume();
      return new Promise((resolve) => (served = () => resolve(undefined)));
    },
    cancel() {
      chat.sink = null;
      chat.leave();
    },
  };
}
