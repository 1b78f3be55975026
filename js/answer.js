/**
 * What chat() gives back: the response of the core, read as text deltas or as chunks.
 *
 * `text` and `events` are two views of one stream: one of them can be read, once. Nothing is read
 * from upstream ahead of the reader; leaving the loop cancels upstream. A chat that breaks off
 * throws SpillwayError where it is read, after the deltas that did arrive.
 */

/** @import { Attempt, ChatAnswer, ChatChunk, Usage } from './spillway.d.ts' */

/** A chat that got no answer, or (status 502) lost it on the way. */
export class SpillwayError extends Error {
  name = 'SpillwayError';
  /**
   * @param {{ message?: string, code?: string | null, type?: string | null }} error
   * @param {number} status
   * @param {Attempt[]} attempts
   */
  constructor(error, status, attempts) {
    super(error.message ?? `the router answered with status ${status}`);
    this.status = status;
    this.code = error.code ?? error.type ?? null;
    this.attempts = attempts;
  }
}

/**
 * x-spillway-attempts: a:b=rate_limited;12ms, c:d=ok
 * server-timing: attempt;desc="a:b rate_limited";dur=12, attempt;desc="c:d ok";dur=340, total;…
 * Both may end in "(3 more)": names that clients make up are as long as they like.
 * @param {Headers} headers
 * @returns {Attempt[]}
 */
function attemptsOf(headers) {
  const times = headers.get('server-timing')?.match(/(?<=attempt;desc="[^"]*";dur=)\d+/g) ?? [];
  const told = headers.get('x-spillway-attempts')?.match(/[^\s,]+=[^\s,]+/g) ?? [];
  return told.map((attempt, index) => {
    const [, engine, outcome] = /** @type {string[]} */ (/^(.*)=([^;]*)/.exec(attempt));
    return { engine: decodeURIComponent(engine), outcome, ms: Number(times[index] ?? 0) };
  });
}

/** @param {Response} response */
export async function errorOf(response) {
  const { error = {} } = await response.json().catch(() => ({}));
  return new SpillwayError(error, response.status, attemptsOf(response.headers));
}

/**
 * @param {Response} response
 * @returns {ChatAnswer}
 */
export function answerOf(response) {
  const { headers } = response;
  const attempts = attemptsOf(headers);
  /** @type {(usage: Usage | null) => void} */ let resolve;
  /** @type {(error: unknown) => void} */ let reject;
  /** @type {Promise<Usage | null>} */
  const usage = new Promise((...settle) => ([resolve, reject] = settle));
  usage.catch(() => {}); // whoever reads the stream sees the error, usage may go unread
  let taken = false;

  /** @returns {AsyncGenerator<ChatChunk, void, undefined>} */
  async function* events() {
    if (taken) throw new TypeError('text and events are one stream: read one of them, once');
    taken = true;
    const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
    const decoder = new TextDecoder();
    const parse = eventParser();
    let last = null;
    try {
      for (let more = true; more;) {
        const { value, done } = await reader.read();
        more = !done;
        for (const data of parse(done ? '\n\n' : decoder.decode(value, { stream: true }))) {
          if (data === '[DONE]') continue; // read on: leaving here would count as a cancel
          const chunk = JSON.parse(data);
          if (chunk.error) throw new SpillwayError(chunk.error, 502, attempts);
          last = chunk.usage ?? last;
          yield chunk;
        }
      }
    } catch (error) {
      reject(error);
      throw error;
    } finally {
      resolve(last);
      reader.cancel().catch(() => {});
    }
  }

  async function* text() {
    for await (const { choices } of events()) {
      const delta = choices?.[0]?.delta?.content;
      if (delta) yield delta;
    }
  }

  return {
    engine: decodeURIComponent(headers.get('x-spillway-engine') ?? '')
      || (attempts.at(-1)?.engine ?? ''),
    attempts, headers, usage,
    text: { [Symbol.asyncIterator]: text },
    events: { [Symbol.asyncIterator]: events },
  };
}

/** Server-sent events: text goes in, the data of each event that it completes comes out. */
function eventParser() {
  let rest = '';
  /** @type {string[]} */ let data = [];
  return (/** @type {string} */ text) => {
    /** @type {string[]} */ const events = [];
    rest += text;
    // Only a text with a line end is split, so a line over many chunks costs its length once.
    if (!/[\r\n]/.test(text)) return events;
    const lines = rest.split(/\r\n|\n|\r(?!$)/); // a CR at the end may be half of a CRLF
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5));
      if (line !== '' || !data.length) continue;
      events.push(data.join('\n'));
      data = [];
    }
    return events;
  };
}
