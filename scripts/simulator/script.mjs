/**
 * What goes over the socket for one exchange, step by step, and the player that does it.
 *
 * A script is data: faults are functions from script to script, and the player knows nothing of
 * them. When a script has no more steps the response ends properly; everything else (a cut, a
 * silence) is a step of its own. All waits end at once when the client leaves.
 */

/**
 * @typedef {{ do: 'head', status: number, headers: Record<string, string> }} Head
 * @typedef {{ do: 'write', bytes: Buffer, content: boolean, apart?: boolean }} Write
 * @typedef {Head
 *   | Write                                               // apart: never joined with neighbours
 *   | { do: 'raw', bytes: Buffer }                       // past HTTP, in place of a head
 *   | { do: 'wait', ms: number }
 *   | { do: 'repeat', bytes: Buffer, every_ms: number }   // until the client leaves
 *   | { do: 'hang' }                                      // until the client leaves
 *   | { do: 'destroy', reset: boolean }                   // close the connection, with RST or FIN
 * } Step
 *
 * @typedef {import('node:http').ServerResponse} Response
 * @typedef {import('./dialect.mjs').Refusal} Refusal
 */

/** Enough for one system call to be cheap per event, small enough to stay off the large heap. */
const BATCH_BYTES_MAX = 64 * 1024;

/** @type {(bytes: Buffer | string, content?: boolean) => Write} */
export const write = (bytes, content = false) =>
  ({ do: 'write', bytes: typeof bytes === 'string' ? Buffer.from(bytes) : bytes, content });

/** @param {Refusal} refusal @returns {Step[]} */
export function refusalScript({ status, headers, body }) {
  const bytes = Buffer.from(body);
  const length = { 'content-length': String(bytes.length) };
  return [{ do: 'head', status, headers: { ...headers, ...length } }, write(bytes)];
}

/** One response on its way: where the player writes, and how it waits. */
export class Exchange {
  /**
   * @param {Response} response
   * @param {{ written_bytes: number }} meter  counts what was handed to the socket
   */
  constructor(response, meter) {
    this.response = response;
    this.meter = meter;
    this.closed = false;
    this.destroyed = false;
    /** @type {(() => void) | null} one wait at a time: the player is sequential */
    this.release = null;
    // Bytes on their way to a client that just left are no failure of ours.
    response.on('error', () => {});
    response.once('close', () => {
      this.closed = true;
      this.release?.();
    });
  }

  /** @param {number} ms Infinity: until the client leaves */
  async wait(ms) {
    if (this.closed) return;
    /** @type {NodeJS.Timeout | undefined} */
    let timer;
    await new Promise((resolve) => {
      this.release = () => resolve(undefined);
      if (ms !== Infinity) timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.release = null;
  }

  /**
   * @param {Buffer} bytes
   * @returns {Promise<void> | undefined} when the client takes no more: until it does, or leaves
   */
  write(bytes) {
    this.meter.written_bytes += bytes.length;
    if (!this.response.write(bytes) && !this.closed) return this.drained(this.response);
  }

  /**
   * The same for a chunked body, past Node's HTTP layer: half its cost for small writes.
   * @param {Buffer} bytes
   */
  writeChunk(bytes) {
    const { socket } = this.response;
    // An empty chunk would be the last one.
    if (bytes.length === 0) return;
    if (this.meter.written_bytes === 0) this.response.flushHeaders();
    this.meter.written_bytes += bytes.length;
    if (socket && !socket.write(chunkOf(bytes)) && !this.closed) return this.drained(socket);
  }

  /** @param {NodeJS.EventEmitter} stream */
  async drained(stream) {
    await new Promise((resolve) => {
      this.release = () => resolve(undefined);
      stream.once('drain', this.release);
    });
    this.release = null;
  }

  /** @param {boolean} reset */
  destroy(reset) {
    this.destroyed = true;
    const socket = this.response.socket;
    if (reset) socket?.resetAndDestroy();
    else socket?.destroySoon();
  }
}

/** Everything written before is on the wire when this is done. */
const tick = () => new Promise((resolve) => { setImmediate(resolve); });

/** @type {WeakMap<Step[], Step[]>} kept for scripts that are played more than once */
const MERGED = new WeakMap();

/**
 * Neighbouring writes joined into as few as possible.
 * @param {Step[]} steps
 */
function merged(steps) {
  const known = MERGED.get(steps);
  if (known) return known;
  /** @type {Step[]} */
  const result = [];
  /** @type {Buffer[]} */
  let held = [];
  let size = 0;
  const flush = () => {
    if (held.length > 0) result.push(write(Buffer.concat(held)));
    [held, size] = [[], 0];
  };
  for (const step of steps) {
    if (step.do !== 'write' || step.apart) {
      flush();
      result.push(step);
      continue;
    }
    if (size + step.bytes.length > BATCH_BYTES_MAX) flush();
    held.push(step.bytes);
    size += step.bytes.length;
  }
  flush();
  MERGED.set(steps, result);
  return result;
}

/** @param {Buffer} bytes @returns {Buffer} a chunk of HTTP/1.1's chunked encoding */
function chunkOf(bytes) {
  const head = `${bytes.length.toString(16)}\r\n`;
  const chunk = Buffer.allocUnsafe(head.length + bytes.length + 2);
  chunk.write(head, 'latin1');
  chunk.set(bytes, head.length);
  chunk.write('\r\n', head.length + bytes.length, 'latin1');
  return chunk;
}

/**
 * @param {Exchange} exchange
 * @param {Step[]} script
 * @param {{ interval_ms: number, per_write: boolean }} pace
 *   interval_ms: from one content event to the next; per_write: every event in a write of its own
 */
export async function play(exchange, script, { interval_ms: interval, per_write: single }) {
  const { response } = exchange;
  let began_ms = 0;
  let contents = 0;
  let chunked = false;
  let apart = false;
  /** @type {Promise<void> | undefined} */
  let blocked;
  for (const step of interval > 0 || single ? script : merged(script)) {
    if (exchange.closed) return;
    switch (step.do) {
      case 'head':
        response.writeHead(step.status, step.headers);
        chunked = response.req.httpVersion === '1.1' && !('content-length' in step.headers);
        break;
      case 'write':
        if (interval > 0 && step.content) {
          if (contents === 0) began_ms = performance.now();
          const ahead_ms = began_ms + contents++ * interval - performance.now();
          if (ahead_ms > 0) await exchange.wait(ahead_ms);
          if (exchange.closed) return;
        }
        apart = single || step.apart === true;
        blocked = apart && chunked ? exchange.writeChunk(step.bytes) : exchange.write(step.bytes);
        if (blocked) await blocked;
        else if (apart) await tick();
        break;
      case 'raw':
        response.socket?.write(step.bytes);
        break;
      case 'wait':
        if (response.headersSent) response.flushHeaders();
        await exchange.wait(step.ms);
        break;
      case 'repeat':
        while (!exchange.closed) {
          await exchange.write(step.bytes);
          await exchange.wait(step.every_ms);
        }
        return;
      case 'hang':
        if (response.headersSent) response.flushHeaders();
        await exchange.wait(Infinity);
        return;
      case 'destroy':
        await tick();
        exchange.destroy(step.reset);
        return;
    }
  }
  if (!exchange.closed) response.end();
}
