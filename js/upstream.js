/**
 * Upstream: starts the fetches a core asks for and moves their bytes to it and to the client.
 *
 *  - One read from upstream makes one step. What that writes goes to the client in one write, with
 *    what else comes within a few milliseconds of the last. Once the response has begun there is no
 *    read before the client asks for bytes; before that the pump runs freely, because what it reads
 *    stays in the core.
 *  - Splice: the bytes go to the client as they are. In workerd the runtime pipes them without
 *    JavaScript and the core reads a copy in slices; elsewhere the pump goes on, and each chunk is
 *    given to the core, then to the client.
 *  - Gather: nobody reads the answer before it is whole. In workerd the runtime reads on without
 *    JavaScript, and the core gets what has come when it is much, or once in a while.
 *  - Every fetch has an AbortSignal: a cancelled reader alone often leaves upstream running.
 */

/** Longer chunks reach the core in parts, so that its input area stays small. */
export const PART_BYTES_MAX = 256 * 1024;
/**
 * A slice of a spliced stream's copy; after a full one the next is read without a pause, and may be
 * twice as long. Most streams never fill the first: an isolate may hold a thousand of them. (Short
 * ones that are read again and again would pull upstream on past a client that takes nothing.)
 */
const TAP_BYTES_MIN = 8 * 1024;
const TAP_BYTES_MAX = 64 * 1024;
/**
 * One wake-up covers the tokens of a pause, and costs about as much as six of them. A silent
 * upstream is noticed so much later at most; src/limits.h knows of it (splice_lag_ms).
 */
const TAP_PAUSE_MS = 2000;
/** The same for a body that is gathered: looks are less often wanted, and answers are short. */
const GATHER_BYTES_MIN = 16 * 1024;
/** What is read, and dropped, after the chat's end in the hope of the body's end. */
const LINGER_BYTES_MAX = 64 * 1024;
/** Of what is longer the word that is cut goes too: it may be the beginning of a key. */
const REASON_CHARS_MAX = 300;

const encoder = new TextEncoder();
/** In workerd alone: a pair of streams that `pipeTo` moves bytes through without JavaScript. */
export const NativePipe = /** @type {any} */ (globalThis).IdentityTransformStream;
export const ignore = () => {};

/** @import { Bytes, Chat, Core, Exchange } from './core.js' */

/**
 * Moves one exchange from upstream to the core.
 * @param {Core} core
 * @param {Chat} chat
 * @param {Exchange} exchange
 */
export async function pump(core, chat, exchange) {
  const { id } = exchange;
  let linger = LINGER_BYTES_MAX;
  try {
    const { status, headers, body } = await core.fetch(exchange.url, {
      method: exchange.method, headers: exchange.headers, body: exchange.body,
      signal: exchange.abort.signal,
      redirect: 'manual', // followed, it would carry the key to another place
    });
    const head = encoder.encode(JSON.stringify(Object.fromEntries(headers)));
    if (!exchange.over) core.step(chat, 'on_response', id, head, status);
    const reader = body?.getReader();
    while (reader) {
      const turn = clientAsks(chat, exchange);
      if (turn) {
        chat.waiting = true;
        await turn;
        chat.waiting = false;
      }
      if (exchange.over) return void reader.cancel().catch(ignore);
      const { value, done } = await reader.read();
      if (done) break;
      for (let at = 0; at < value.length && !chat.finished; at += PART_BYTES_MAX) {
        const whole = value.length <= PART_BYTES_MAX;
        const part = whole ? value : value.subarray(at, at + PART_BYTES_MAX);
        if (chat.spliced === id) chat.held.push(part);
        if (!exchange.over) core.step(chat, 'on_chunk', id, part);
      }
      if (chat.finished && (linger -= value.length) < 0) stop(exchange);
      if (chat.writable && chat.spliced === id) {
        reader.releaseLock();
        // What was held goes first: it has the first token, and all else can wait for it.
        chat.waiting = true;
        const begun = await writeNatively(join(chat.held.splice(0)), chat.writable);
        chat.waiting = false;
        if (begun) await pipe(core, chat, exchange, body);
        else chat.leave();
        break;
      }
      if (chat.native && exchange.lag && !exchange.over) {
        reader.releaseLock();
        await gather(core, chat, exchange, body);
        break;
      }
    }
    if (!exchange.over) core.step(chat, 'on_end', id);
  } catch (error) {
    const reason = encoder.encode(reasonOf(error, exchange));
    if (!exchange.over) core.step(chat, 'on_error', id, reason);
  } finally {
    clearTimeout(exchange.linger);
    chat.exchanges.delete(id);
  }
}

/**
 * What to wait for until the client takes more; nothing when it already does.
 * @param {Chat} chat
 * @param {Exchange} exchange
 */
function clientAsks(chat, exchange) {
  if (chat.finished || exchange.over) return undefined;
  if (chat.sink?.ready) return chat.sink.ready(); // behind a native pipe
  if (!chat.pulled || chat.wanted) return undefined;
  return new Promise((resolve) => (exchange.resume = () => resolve(null)));
}

/**
 * The native splice. Returns when upstream has ended and the client took it all; throws when
 * upstream was cut. The runtime does not say who stalls it, and a read of the copy pulls upstream
 * even where the client takes nothing: each look then costs what one read gives (16 KB at most),
 * kept for the client by the runtime until the chat's deadline. So looks have a pause.
 * @param {Core} core
 * @param {Chat} chat
 * @param {Exchange} exchange
 * @param {any} body
 */
async function pipe(core, chat, exchange, body) {
  const [main, copy] = body.tee();
  const pauses = new Pauses(TAP_PAUSE_MS);
  const piped = pipeNatively(main, chat.writable).then((sink) => {
    pauses.end();
    if (!sink) chat.leave();
    return sink;
  });
  const failure = await readCopy(core, chat, exchange, copy, pauses, TAP_BYTES_MIN)
    .catch((error) => error);
  chat.waiting = true;
  const sink = await piped;
  chat.waiting = false;
  if (sink) {
    chat.sink = { ...sink, close: () => chat.keep(sink.close()) };
    core.settle(chat); // what the core wrote while the pipe owned the body
  }
  if (failure) throw failure;
}

/**
 * Reads a body that may come to the core late: the runtime moves its bytes, and the core looks at a
 * copy. (One read for a large piece would do, but nobody could tell what of it has come.)
 * @param {Core} core
 * @param {Chat} chat
 * @param {Exchange} exchange
 * @param {any} body
 */
async function gather(core, chat, exchange, body) {
  const [main, copy] = body.tee();
  const { readable, writable } = new NativePipe();
  const pauses = new Pauses(exchange.lag);
  void main.pipeTo(writable).catch(ignore);
  void drain(readable, pauses).catch(() => pauses.end());
  await pauses.take();
  await readCopy(core, chat, exchange, copy, pauses, GATHER_BYTES_MIN);
}

/**
 * Drops what is read, in pieces so large that JavaScript is seldom woken.
 * @param {any} body
 * @param {Pauses} pauses  each piece cuts one short
 */
async function drain(body, pauses) {
  const reader = body.getReader({ mode: 'byob' });
  let buffer = new ArrayBuffer(GATHER_BYTES_MIN);
  for (;;) {
    const { byteLength } = buffer;
    const { value, done } = await reader.readAtLeast(byteLength, new Uint8Array(buffer));
    // Less than asked for is the end.
    if (done || value.length < byteLength) return pauses.end(true);
    pauses.hurry();
    buffer = nextBuffer(value);
  }
}

/** Twice as long when this one came back full. @param {Bytes} slice */
function nextBuffer({ length, buffer }) {
  const grows = length === buffer.byteLength && length < TAP_BYTES_MAX;
  return grows ? new ArrayBuffer(length * 2) : buffer;
}

/** Between two looks at a copy. */
class Pauses {
  over = false; // all bytes have been moved
  whole = false; // to the body's end
  hurry = ignore;

  /** @param {number} ms */
  constructor(ms) {
    this.ms = ms;
  }

  take() {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.ms);
      this.hurry = () => (clearTimeout(timer), resolve(null));
    });
  }

  end(whole = false) {
    this.over = true;
    this.whole = whole;
    this.hurry();
  }
}

/**
 * Gives the core a copy in slices, until its end.
 * @param {Core} core
 * @param {Chat} chat
 * @param {Exchange} exchange
 * @param {any} copy
 * @param {Pauses} pauses
 * @param {number} bytes  of the first slice
 */
async function readCopy(core, chat, exchange, copy, pauses, bytes) {
  const reader = copy.getReader({ mode: 'byob' });
  let buffer = new ArrayBuffer(bytes);
  while (!exchange.over) {
    // One byte is enough: a larger minimum would hold the other branch back too.
    const least = pauses.whole ? buffer.byteLength : 1;
    const { value, done } = await reader.readAtLeast(least, new Uint8Array(buffer));
    if (done) return;
    if (!exchange.over) core.step(chat, 'on_chunk', exchange.id, value);
    if (value.length < least) return;
    const full = value.length === value.buffer.byteLength;
    buffer = nextBuffer(value);
    if (full || pauses.over || exchange.over) continue;
    chat.waiting = chat.spliced === exchange.id;
    await pauses.take();
    chat.waiting = false;
  }
}

/** False when the client left. @param {Bytes} bytes @param {any} writable */
async function writeNatively(bytes, writable) {
  const writer = writable.getWriter();
  try {
    await writer.write(bytes);
    return true;
  } catch {
    return false;
  } finally {
    writer.releaseLock();
  }
}

/**
 * Resolves to a sink when upstream has ended, well or not, and to null when the client left:
 * preventAbort keeps the writable side whole unless it was the client.
 * @param {any} main
 * @param {any} writable
 */
async function pipeNatively(main, writable) {
  await main.pipeTo(writable, { preventAbort: true, preventClose: true }).catch(ignore);
  const writer = writable.getWriter();
  return writer.desiredSize === null ? null : {
    write: (/** @type {Bytes} */ bytes) => void writer.write(bytes).catch(ignore),
    ready: () => writer.ready.catch(ignore),
    close: () => writer.close().catch(ignore),
    abort: (/** @type {unknown} */ reason) => void writer.abort(reason).catch(ignore),
  };
}

/**
 * What may be told of a failed fetch: no address, no header.
 * @param {any} error
 * @param {Exchange} exchange
 */
function reasonOf(error, { url, headers }) {
  // Of these the runtime's own message would quote the address or the header.
  try {
    new URL(url);
    new Headers(headers);
  } catch {
    return 'the address or a header of the request is not valid';
  }
  const cause = error?.cause?.code ?? error?.cause?.message ?? error?.code;
  let text = String(error?.message || error);
  if (typeof cause === 'string') text += ` (${cause})`;
  for (const value of Object.values(headers)) {
    if (value.length > 3) text = text.replaceAll(value, '(header)');
  }
  text = text.replace(/\b[a-z][a-z0-9+.-]*:\/\/\S+/gi, '(address)');
  if (text.length <= REASON_CHARS_MAX) return text;
  // One more tells whether a word is cut: a word is printable ASCII without blanks.
  text = text.slice(0, REASON_CHARS_MAX + 1).replace(/[!-~]+$|[^!-~]$/u, '');
  return text || 'no reason was given';
}

/** @param {Exchange | undefined} exchange */
export function stop(exchange) {
  if (!exchange) return;
  exchange.over = true;
  exchange.abort.abort();
  exchange.resume();
}

/** @param {Bytes[]} chunks */
export function join(chunks) {
  if (chunks.length === 1) return chunks[0];
  const whole = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
