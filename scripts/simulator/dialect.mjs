/**
 * What a dialect of the simulator is, and the few things all three share.
 *
 * A dialect is pure functions between the wire and the model's Prompt and Answer. It never sees a
 * socket: `server.mjs` moves the bytes and `faults.mjs` spoils them.
 */

import { createHash } from 'node:crypto';

/**
 * @typedef {import('./model.mjs').Prompt} Prompt
 * @typedef {import('./model.mjs').Answer} Answer
 *
 * What the request line asks for. Gemini names the model and the kind of answer there.
 * @typedef {object} Endpoint
 * @property {'chat' | 'models'} operation
 * @property {string} [model]
 * @property {boolean} [stream]
 * @property {boolean} [array]     stream as one JSON array (Gemini without `alt=sse`)
 *
 * Why a request is refused with 400, in the dialect's own words.
 * @typedef {{ message: string, param?: string | null, code?: string | null }} Complaint
 *
 * @typedef {{ status: number, headers: Record<string, string>, body: string }} Refusal
 *
 * How an answer is written down.
 * @typedef {object} Writing
 * @property {string} id             identifies the exchange; the dialect derives its ids from it
 * @property {number} created_s
 * @property {number} size_bytes     pad every content event to this size; 0: as the provider does
 * @property {boolean} include_usage
 * @property {boolean} array
 *
 * One SSE event as text. `content` marks those that carry something of the answer: a piece of text,
 * of reasoning, or of a tool call; all others only frame it.
 * @typedef {{ text: string, content: boolean }} Event
 *
 * @typedef {object} Dialect
 * @property {string} name                  as in a provider's row
 * @property {string} prefix                first segment of its paths
 * @property {string} key_header
 * @property {(method: string, target: string) => Endpoint | null} endpoint
 * @property {(model: string[]) => unknown} models
 * @property {(body: any, request: Checked) => Complaint | null} check
 * @property {(body: any) => Prompt} read
 * @property {(answer: Answer, writing: Writing) => Event[]} stream
 * @property {(answer: Answer, writing: Writing) => unknown} whole
 * @property {boolean} terminates           a stream has a last event of its own
 * @property {(answer: Answer, writing: Writing) => string} terminal   the event that says: the end
 * @property {(refusal: Refusal) => string} inBand                   an error as a stream event
 * @property {(text: string) => string} garbage                      an event that is not JSON
 * @property {string} ping                                           an event without content
 * @property {string[]} unknown                                      events from the future
 * @property {(writing: Writing) => Record<string, string>} headers  typical of a 200
 *
 * What a check looks at besides the body.
 * @typedef {object} Checked
 * @property {Record<string, string | string[] | undefined>} headers
 * @property {string} model         the engine's name, without arguments
 * @property {string[]} refuse      parameters this engine does not take
 */

/** @param {string} text @param {number} length @returns {string} letters and digits, from a hash */
export const letters = (text, length) =>
  createHash('sha512').update(text).digest('base64').replace(/[^A-Za-z0-9]/g, '').slice(0, length);

/**
 * Opaque state a client has to send back untouched. It is made from what it signs, so a
 * dialect can tell whether the two came back together.
 * @param {string} signed
 */
export const signatureOf = (signed) =>
  Buffer.from(`simulator signature ${letters(signed, 40)}`).toString('base64');

/** @param {string} mime @param {string} base64 */
export const mediaOf = (mime, base64) => `${mime}:${Buffer.from(base64, 'base64').length}`;

/**
 * `data:image/png;base64,…` or an address.
 * @param {string} url
 */
export function mediaOfUrl(url) {
  const data = /^data:([^;,]+);base64,(.*)$/s.exec(url);
  return data ? mediaOf(data[1], data[2]) : `url:${url}`;
}

/** A plain text or a list of parts with text: the text. @param {unknown} content */
export function textOf(content) {
  if (typeof content === 'string') return content;
  if (!Array.isArray(content)) return '';
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('');
}

/** @param {unknown} value @returns {string[]} */
export const listOf = (value) => {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [String(value)];
};

/**
 * @param {Record<string, any>} body
 * @param {Record<string, string>} names  field on the wire → name in the digest
 */
export const settingsOf = (body, names) => Object.fromEntries(Object.entries(names)
  .filter(([field]) => body[field] !== undefined && body[field] !== null)
  .map(([field, name]) => [name, body[field]]));

/** Looks random and is not, for padding. @param {number} index @param {number} below */
export const wobble = (index, below) => (index * 7 + 3) % below;

/** What a key looks like in an error message. @param {string} key */
export const maskKey = (key) =>
  (key.length <= 8 ? key : `${key.slice(0, 4)}${'*'.repeat(8)}${key.slice(-4)}`);
