/**
 * The smallest host of the core: no streams, no fetch. It answers each upstream request from memory
 * and counts what is written, so that what is measured is the module itself, with the copy of its
 * input.
 */

import { Buffer } from 'node:buffer';

const encoder = new TextEncoder();

/** What a provider's answer looks like, in the frames that it comes in. */
export const streams = {
  openai: {
    path: '/v1',
    dialect: 'openai_chat',
    begin: [{
      id: 'chatcmpl-CgTn3LZ1XgG5x0dBYqNGvHaTwzQ7b', object: 'chat.completion.chunk',
      created: 1763800000, model: 'gpt-5.6-luna',
      choices: [{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }],
    }],
    /** @param {string} text */
    token: (text) => ({
      id: 'chatcmpl-CgTn3LZ1XgG5x0dBYqNGvHaTwzQ7b', object: 'chat.completion.chunk',
      created: 1763800000, model: 'gpt-5.6-luna',
      choices: [{ index: 0, delta: { content: text }, finish_reason: null }],
    }),
  },
  anthropic: {
    path: '/v1',
    dialect: 'anthropic',
    begin: [
      {
        type: 'message_start', message: {
          model: 'claude-haiku-4-5', id: 'msg_01Q7sTBxGCWX4gLqBhNSWhVp', type: 'message',
          role: 'assistant', content: [], stop_reason: null, stop_sequence: null,
          usage: { input_tokens: 12, output_tokens: 1 },
        },
      },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } },
    ],
    /** @param {string} text */
    token: (text) => ({
      type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text },
    }),
  },
};

/**
 * One event, padded with a name that means nothing to the size asked for.
 * @param {any} value @param {number} [size]
 */
export function frame(value, size = 0) {
  const event = value.type ? `event: ${value.type}\n` : '';
  const text = (/** @type {object} */ data) => `${event}data: ${JSON.stringify(data)}\n\n`;
  const room = size - Buffer.byteLength(text({ ...value, obfuscation: '' }));
  return encoder.encode(text(room > 0 ? { ...value, obfuscation: 'x'.repeat(room) } : value));
}

export class CoreHost {
  exchange = 0;
  room = 0;
  at = 0;
  written = 0;
  responded = 0;
  ended = false;
  spliced = false;
  /** @type {string[]} */ lines = [];

  /** @param {WebAssembly.Module} module */
  constructor(module) {
    const count = (/** @type {number} */ _chat, /** @type {number} */ _at,
      /** @type {number} */ length) => { this.written += length; };
    /** @type {any} */
    this.wasm = new WebAssembly.Instance(module, {
      host: {
        fetch: (/** @type {number} */ exchange) => { this.exchange = exchange; },
        cancel() {}, read() {}, write: count, wake() {},
        respond: () => { this.responded += 1; },
        splice: () => { this.spliced = true; },
        gather: () => {},
        end: () => { this.ended = true; },
        log: (/** @type {number} */ _, /** @type {number} */ at, /** @type {number} */ length) => {
          const bytes = new Uint8Array(this.wasm.memory.buffer, at, length);
          this.lines.push(Buffer.from(bytes).toString());
        },
      },
    }).exports;
    this.wasm._initialize?.();
    this.view = new Uint8Array(this.wasm.memory.buffer);
  }

  /** @param {Uint8Array} bytes */
  put(bytes) {
    if (bytes.length > this.room) {
      this.room = Math.max(bytes.length, 4096); // as the shim does
      this.at = this.wasm.input(this.room);
    }
    if (this.view.buffer !== this.wasm.memory.buffer) {
      this.view = new Uint8Array(this.wasm.memory.buffer);
    }
    this.view.set(bytes, this.at);
    return bytes.length;
  }

  /** @param {object} configuration */
  configure(configuration) {
    const refused = this.wasm.configure(this.put(encoder.encode(JSON.stringify(configuration))));
    this.room = 0; // the core has taken it back
    if (refused) throw new Error(this.lines.at(-1));
  }

  /**
   * Opens a chat and starts its upstream answer; gives the exchange.
   * @param {number} now @param {object} request
   */
  open(now, request) {
    const head = encoder.encode(JSON.stringify({
      method: 'POST', url: 'https://spillway.example/v1/chat/completions',
      headers: { 'content-type': 'application/json' }, local: false, trusted: true,
    }));
    const body = encoder.encode(JSON.stringify(request));
    this.exchange = 0;
    const chat = this.wasm.open(now, 0x1234567, this.put(head));
    this.wasm.on_body(now, chat, 1, this.put(body));
    if (!this.exchange) throw new Error(this.lines.at(-1) ?? 'the core asked for no upstream');
    const { exchange } = this;
    const answer = encoder.encode(JSON.stringify({ 'content-type': 'text/event-stream' }));
    this.wasm.on_response(now, exchange, 200, this.put(answer));
    return exchange;
  }

  /** @param {number} now @param {number} exchange @param {Uint8Array} bytes */
  chunk(now, exchange, bytes) {
    this.wasm.on_chunk(now, exchange, this.put(bytes));
  }
}

/** Keys and providers so that every stream above has an engine of its own. */
export const configuration = {
  config: [JSON.stringify({
    providers: {
      'to-openai': {
        dialect: 'openai_chat', base_url: 'https://openai.example/v1', keys: [],
        regular_stream: true,
      },
      // The transcript repairs what this one sends: nothing passes unread.
      'to-irregular': {
        dialect: 'openai_chat', base_url: 'https://irregular.example/v1', keys: [],
      },
      'to-anthropic': { dialect: 'anthropic', base_url: 'https://anthropic.example/v1', keys: [] },
    },
  })],
  env: {
    OPENAI_API_KEY: 'key-of-openai', ANTHROPIC_API_KEY: 'key-of-anthropic',
    GROQ_API_KEY: 'key-of-groq', GEMINI_API_KEY: 'key-of-gemini', SPILLWAY_KEYS: 'one,two',
  },
};

/** How a chunk may pass the core: the engine's provider and what the client asks for. */
export const ways = {
  relay: { provider: 'to-openai', stream: streams.openai, include_usage: false },
  repair: { provider: 'to-irregular', stream: streams.openai, include_usage: false },
  translate: { provider: 'to-anthropic', stream: streams.anthropic, include_usage: false },
  splice: { provider: 'to-openai', stream: streams.openai, include_usage: true },
};

/** @typedef {keyof typeof ways} Way */

/** @param {Way} way */
export function requestFor(way) {
  const { provider, include_usage } = ways[way];
  return {
    model: `${provider}:model`, stream: true, max_tokens: 4096,
    ...(include_usage ? { stream_options: { include_usage: true } } : {}),
    messages: [
      { role: 'system', content: 'You are a terse assistant.' },
      { role: 'user', content: 'Tell me about the sea, in many words.' },
    ],
  };
}

const words = [' The', ' tide', ' comes', ' in,', ' and', ' the', ' "sea"', ' is', ' grün', '.\n'];

/**
 * Chunks of one event and exactly so many bytes each, as a provider would send them.
 * @param {Way} way @param {number} size
 */
export function chunksFor(way, size) {
  return words.map((word) => frame(ways[way].stream.token(word), size));
}

/** @param {Way} way */
export function beginningFor(way) {
  return ways[way].stream.begin.map((value) => frame(value));
}
