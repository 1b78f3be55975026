/**
 * Spillway's public types. The implementation is JavaScript that is checked against this file.
 */

/** Fields this file does not name pass to the router, and from it, as they are. */
interface Open {
  [field: string]: unknown;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface SpillwayOptions {
  /**
   * The compiled `spillway.wasm`. The package's entry for each runtime brings it; only
   * `spillway.js` itself needs to be given it. May come from another realm.
   */
  module?: WebAssembly.Module;
  /** Configs (objects, or JSON texts), merged over the built-in one in their order. */
  config?: object | string | readonly (object | string)[];
  /**
   * Names and values that keys and addresses are taken from; only strings count. The runtime's
   * entry brings its own. `SPILLWAY_CONFIG` is one more config, the last.
   */
  env?: object;
  /** Called for every request to a provider. Default: the global `fetch`. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
  /** Takes each log event, one line of JSON. Default: `console`. */
  log?: (level: LogLevel, line: string) => void;
  /**
   * Whether a request comes from this very machine to a development server; such a request may
   * be served without a client key. Default: never. Headers alone cannot tell.
   */
  local?: (request: Request) => boolean;
}

/** What the platform hands to a handler beside the request. */
export interface RequestContext {
  waitUntil?(work: Promise<unknown>): void;
}

export interface Spillway {
  /** Serves one HTTP request. Give `ctx` wherever the platform has one. */
  fetch(request: Request, ctx?: RequestContext): Promise<Response>;
  /**
   * Makes one chat. Resolves at the first content, when no earlier failure can matter any more.
   * Rejects with SpillwayError when no engine answered, or with the signal's reason.
   */
  chat(options: ChatOptions, ctx?: RequestContext): Promise<ChatAnswer>;
}

/** A Chat Completions body, streamed in any case, and what only Spillway reads. */
export interface ChatOptions extends Open {
  messages: readonly object[];
  /** The route, a named policy. The default route when both are left out. */
  route?: string;
  /** An engine (`provider:model`) or a route; wins over `route`. */
  model?: string;
  /** Aborts the chat, and its requests to providers, at any time. */
  signal?: AbortSignal;
  /** A policy for this one chat. */
  spillway?: object;
  stream_options?: object;
}

export interface ChatAnswer {
  /** Who answers: `provider:model`. */
  engine: string;
  /** Every attempt made, in order; the last is the one that answers. */
  attempts: Attempt[];
  headers: Headers;
  /** The text alone. Reading `text` or `events` to the end reads the chat; read one, once. */
  text: AsyncIterable<string>;
  /** Every chunk, in the shape of OpenAI's stream. */
  events: AsyncIterable<ChatChunk>;
  /**
   * Settles when the stream was read to its end or left. Waiting for it without reading waits
   * for ever: nothing is read from the provider ahead of the reader.
   */
  usage: Promise<Usage | null>;
}

export interface Attempt extends Open {
  engine: string;
  outcome: string;
  ms: number;
}

export interface Usage extends Open {
  prompt_tokens: number;
  completion_tokens: number;
  total_tokens: number;
}

export interface ChatChunk extends Open {
  id: string;
  model: string;
  choices: ChatChoice[];
  usage?: Usage | null;
}

export interface ChatChoice extends Open {
  index: number;
  delta: ChatDelta;
  finish_reason: string | null;
}

export interface ChatDelta extends Open {
  role?: string;
  content?: string | null;
  reasoning_content?: string | null;
  tool_calls?: object[];
}

/** Throws SpillwayConfigError when the config is refused. */
export function createSpillway(options?: SpillwayOptions): Spillway;

/** The router refused the chat, no engine answered, or (502) the answer broke off. */
export class SpillwayError extends Error {
  status: number;
  code: string | null;
  attempts: Attempt[];
}

/** `path` is the field that is refused; the message names it and what was expected there. */
export class SpillwayConfigError extends Error {
  path: string;
}
