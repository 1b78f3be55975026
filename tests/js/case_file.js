/**
 * Reads case files (docs/TESTING.md) as tests/case.cpp does. Texts are strings of bytes ('latin1'),
 * so that any byte of a body survives.
 */

import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const folder = fileURLToPath(new URL('../cases/', import.meta.url));

/**
 * @typedef {object} Section
 * @property {string} name
 * @property {Map<string, string>} modifiers
 * @property {string} text
 * @property {number} line
 *
 * @typedef {{ after_ms: number, client_stalls: boolean, bytes: string }} Burst
 *
 * @typedef {object} Answer
 * @property {number} after_ms
 * @property {string} [rejected]  the fetch fails, with this reason
 * @property {{ status: number, headers: Record<string, string> }} [head]
 * @property {Burst[]} bursts
 * @property {'end' | 'cut' | 'silent' | 'client leaves'} ending
 * @property {string} reason
 * @property {boolean} crlf
 *
 * @typedef {object} Call
 * @property {number | undefined} at_ms
 * @property {number} seed
 * @property {object} head
 * @property {string} body
 * @property {number} body_after_ms  since the head; Infinity: it does not come
 * @property {boolean} body_breaks_off  at its end
 * @property {Answer[]} answers
 * @property {Section[]} requests   as they are expected
 * @property {Section} [response]
 *
 * @typedef {{ configs: string[], env: Record<string, string>, calls: Call[],
 *   refused?: string }} Case
 */

/** @returns {string[]} relative to the folder */
export function caseFiles() {
  return readdirSync(folder, { recursive: true }).map(String)
    .filter((path) => path.endsWith('.case') && path !== 'defaults.case').sort();
}

/** @param {string} path @returns {Section[]} */
function readSections(path) {
  /** @type {Section[]} */
  const sections = [];
  const lines = readFileSync(folder + path, 'latin1').split('\n');
  const last = lines.pop();
  if (last !== '') throw new Error(`${path}: no newline at the end`);
  lines.forEach((line, index) => {
    if (!line.startsWith('=== ')) {
      const section = sections.at(-1);
      if (section) section.text += `${line}\n`;
      return;
    }
    const [name, ...modifiers] = line.slice(4).split('|').map((piece) => piece.trim());
    sections.push({
      name,
      modifiers: new Map(modifiers.map((modifier) => {
        const colon = modifier.indexOf(':');
        return colon < 0 ? [modifier, ''] : [
          modifier.slice(0, colon).trim(), modifier.slice(colon + 1).trim(),
        ];
      })),
      text: '',
      line: index + 1,
    });
  });
  return sections;
}

/** @param {string} text @returns {[Record<string, string>, string]} headers, and what is below */
function takeHeaders(text) {
  /** @type {Record<string, string>} */
  const headers = {};
  for (;;) {
    const end = text.indexOf('\n');
    const line = end < 0 ? text : text.slice(0, end);
    text = end < 0 ? '' : text.slice(end + 1);
    if (line.trim() === '') return [headers, text];
    const colon = line.indexOf(':');
    headers[line.slice(0, colon).trim()] = line.slice(colon + 1).trim();
  }
}

/** @param {Section} section @returns {Call} */
function readCall({ modifiers, text }) {
  let method = 'POST';
  let path = '/v1/chat/completions';
  /** @type {Record<string, string>} */
  let headers = { 'content-type': 'application/json' };
  if (/^[A-Z]/.test(text)) {
    const end = text.indexOf('\n');
    [method, path] = text.slice(0, end).trim().split(' ');
    [headers, text] = takeHeaders(text.slice(end + 1));
  }
  const at = modifiers.get('at');
  return {
    at_ms: at === undefined ? undefined : Number(at),
    seed: Number(modifiers.get('seed') ?? 42),
    head: {
      method,
      url: `https://spillway.test${path}`,
      headers,
      local: !modifiers.has('remote'),
      trusted: modifiers.has('trusted'),
    },
    body: text.replace(/\n+$/, ''),
    body_after_ms: modifiers.has('no body') ? Infinity : Number(modifiers.get('body after') ?? 0),
    body_breaks_off: modifiers.has('body breaks off'),
    answers: [],
    requests: [],
  };
}

/** @param {string} bytes @param {Section} section @param {boolean} crlf */
function bodyOf(bytes, { modifiers }, crlf) {
  if (crlf) bytes = bytes.replaceAll('\n', '\r\n');
  return bytes.slice(0, bytes.length - Number(modifiers.get('drop') ?? 0));
}

/** @param {Section} section @returns {Answer} */
function readAnswer(section) {
  const { modifiers, text } = section;
  /** @type {Answer} */
  const answer = {
    after_ms: Number(modifiers.get('after') ?? 20),
    bursts: [],
    ending: modifiers.has('cut') ? 'cut' : modifiers.has('silent') ? 'silent'
      : modifiers.has('client leaves') ? 'client leaves' : 'end',
    reason: modifiers.get('cut') ?? '',
    crlf: modifiers.has('crlf'),
  };
  const rejected = modifiers.get('error');
  if (rejected !== undefined) return { ...answer, rejected };
  if (text.trim() === '') return answer;
  const end = text.indexOf('\n');
  const [headers, body] = takeHeaders(text.slice(end + 1));
  answer.head = { status: Number(text.slice('HTTP '.length, end)), headers };
  const bytes = bodyOf(body, section, answer.crlf);
  if (bytes) answer.bursts.push({ after_ms: 0, client_stalls: false, bytes });
  return answer;
}

/** @param {Section[]} sections @param {Case} out */
function readSettings(sections, out) {
  for (const { name, text } of sections) {
    if (name === 'config') out.configs.push(text);
    if (name !== 'env') continue;
    for (const line of text.split('\n')) {
      const equals = line.indexOf('=');
      if (equals >= 0) out.env[line.slice(0, equals).trim()] = line.slice(equals + 1).trim();
    }
  }
}

/** @param {string} path @returns {Case} */
export function readCase(path) {
  /** @type {Case} */
  const out = { configs: [], env: {}, calls: [] };
  const sections = readSections(path);
  readSettings(readSections('defaults.case'), out);
  readSettings(sections, out);
  for (const section of sections) {
    const call = /** @type {Call} */ (out.calls.at(-1));
    const pause = /^pause (\d+)$/.exec(section.name);
    if (section.name === 'client request') out.calls.push(readCall(section));
    if (section.name === 'upstream request') call.requests.push(section);
    if (section.name === 'upstream response') call.answers.push(readAnswer(section));
    if (section.name === 'client response') call.response = section;
    if (section.name === 'config refused') out.refused = section.text.trim();
    if (pause === null) continue;
    const answer = /** @type {Answer} */ (call.answers.at(-1));
    answer.bursts.push({
      after_ms: Number(pause[1]),
      client_stalls: section.modifiers.has('client stalls'),
      bytes: bodyOf(section.text, section, answer.crlf),
    });
  }
  return out;
}

/** JSON without white space between its tokens. @param {string} json */
export function compact(json) {
  const token = /"(?:[^"\\]|\\.)*"|[ \t\r\n]+/gs;
  return json.replaceAll(token, (text) => (text[0] === '"' ? text : ''));
}

/**
 * What two texts are compared by: white space at line ends and in JSON bodies does not count.
 * @param {string} text
 */
export function canonical(text) {
  text = text.trim();
  const isJson = (/** @type {string} */ part) => /^[{[]/.test(part.trimStart());
  let body = 0;
  if (!isJson(text)) {
    body = text.indexOf('\n\n');
    if (body < 0 || !isJson(text.slice(body))) body = text.length;
  }
  const head = text.slice(0, body).split('\n').map((line) => line.trimEnd()).join('\n').trimEnd();
  return body < text.length ? `${head}\n\n${compact(text.slice(body))}` : head;
}

const SHOWN = new RegExp(
  '[\\n\\x20-\\x7e]|[\\xc2-\\xdf][\\x80-\\xbf]|[\\xe0-\\xef][\\x80-\\xbf]{2}'
    + '|[\\xf0-\\xff][\\x80-\\xbf]{3}|(.)',
  'gs',
);

/** Bytes that would not show or are no UTF-8, as \xNN; line ends stay. @param {string} bytes */
export function visible(bytes) {
  return bytes.replaceAll(SHOWN, (character, hidden) =>
    (hidden ? `\\x${hidden.charCodeAt(0).toString(16).padStart(2, '0')}` : character));
}

/**
 * Whether every member of `part` is in `whole`.
 * @param {any} whole
 * @param {any} part
 * @returns {boolean}
 */
export function holds(whole, part) {
  if (Array.isArray(part)) {
    return Array.isArray(whole)
      && part.every((wanted) => whole.some((each) => holds(each, wanted)));
  }
  if (part === null || typeof part !== 'object') return whole === part;
  if (whole === null || typeof whole !== 'object') return false;
  return Object.entries(part).every(([name, value]) => name in whole && holds(whole[name], value));
}
