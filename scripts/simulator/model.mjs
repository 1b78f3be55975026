/**
 * What the simulated model says.
 *
 * A function of the prompt and of the engine's arguments: no clock, no randomness. So a test can
 * say beforehand which text, which calls and which usage must reach the client, and read from the
 * text itself what the engine received (`readDigest`): nothing may get lost in translation.
 *
 * A token is one word with the space before it, or twelve characters of a longer word. Every
 * answer has characters outside ASCII in it, so that split points fall inside them too.
 */

import { createHash } from 'node:crypto';
import { exampleOf } from './schema.mjs';

/**
 * One call of a tool; `args` is the object, whatever the dialect writes it as.
 * @typedef {{ name: string, args: Record<string, unknown> }} Call
 *
 * One step of the conversation in a form all dialects share: a tool result is a turn of its own.
 * @typedef {'user' | 'assistant' | 'tool'} Role
 * @typedef {{ role: Role, text: string, calls?: Call[], name?: string }} Turn
 *
 * @typedef {{ name: string, schema: unknown }} Tool
 * @typedef {{ mode: 'auto' | 'none' | 'required' | 'named', name?: string }} ToolChoice
 * @typedef {'text' | 'json_object' | 'json_schema'} FormatType
 * @typedef {{ type: FormatType, name?: string, schema?: unknown }} Format
 *
 * @typedef {object} Prompt
 * @property {string} dialect
 * @property {string} system
 * @property {number} messages        entries in the dialect's own list, system messages not counted
 * @property {Turn[]} turns
 * @property {string[]} images        `mime:bytes`, or `url:address`
 * @property {string[]} files         the same for audio and documents
 * @property {Tool[]} tools
 * @property {ToolChoice} tool_choice
 * @property {boolean} parallel_tool_calls
 * @property {Format} response_format
 * @property {boolean} reasoning      the dialect's own option asks for reasoning
 * @property {string[]} stop
 * @property {number} [max_tokens]
 * @property {Record<string, unknown>} settings   sampling options as received, snake_case names
 *
 * @typedef {'stop' | 'length' | 'tool_calls' | 'stop_sequence' | 'content_filter'} Finish
 *
 * @typedef {object} Answer
 * @property {string} model
 * @property {string[]} reasoning     one entry per token
 * @property {string[]} text          one entry per token
 * @property {(Call & { fragments: string[] })[]} calls
 * @property {Finish} finish
 * @property {string | null} stop_sequence
 * @property {boolean} forced         the client named the tool to call
 * @property {{ input: number, output: number, reasoning: number }} usage   output without reasoning
 */

const TEXT_LENGTH_MAX = 240;
const IMAGE_TOKENS = 100;
const DIGEST_MARK = 'Received ✓ ';

/** @param {string} text @returns {string[]} */
export const tokensOf = (text) => text.match(/\s*\S{1,12}|\s+$/gu) ?? [];

/** @param {string} text */
const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/**
 * Long texts are named by their beginning, length and hash.
 * @param {string} text
 */
function shorten(text) {
  if (text.length <= TEXT_LENGTH_MAX) return text;
  const beginning = [...text.slice(0, TEXT_LENGTH_MAX)].slice(0, -1).join('');
  return `${beginning}… (${text.length} characters, sha256 ${sha256(text).slice(0, 16)})`;
}

/** @param {Prompt} prompt */
const lastUserText = (prompt) =>
  prompt.turns.filter((turn) => turn.role === 'user').at(-1)?.text ?? '';

/**
 * The tool results the conversation ends with, if it does.
 * @param {Prompt} prompt
 * @returns {Turn[]}
 */
function finalResults(prompt) {
  const from = prompt.turns.findLastIndex((turn) => turn.role !== 'tool') + 1;
  return prompt.turns.slice(from);
}

/**
 * @param {unknown} value
 * @returns {string} JSON with sorted keys, so that equal values print alike
 */
export function canonical(value) {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${fields.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join(',')}}`;
}

/**
 * A hash of who said and called what, equal for one conversation in all three dialects. Results
 * are left out: each dialect wraps them in its own way.
 * @param {Prompt} prompt
 */
function historyHash(prompt) {
  const lines = prompt.turns.map((turn) => {
    const calls = (turn.calls ?? []).map((call) => ` ${call.name} ${canonical(call.args)}`);
    return turn.role === 'tool' ? 'tool' : `${turn.role}:${turn.text}${calls.join('')}`;
  });
  return sha256(lines.join('\n')).slice(0, 16);
}

/**
 * What reached the engine, as the answer tells it. Absent means: not sent, or the default.
 * @param {Prompt} prompt
 * @returns {Record<string, unknown>}
 */
export function digestOf(prompt) {
  const { tool_choice: choice, response_format: format } = prompt;
  const roles = prompt.turns.map((turn) => turn.role);
  const last = prompt.turns.at(-1);
  return Object.fromEntries(Object.entries({
    messages: prompt.messages,
    turns: roles.filter((role, index) => role !== roles[index - 1]).join(' '),
    last_user: shorten(lastUserText(prompt)),
    system: shorten(prompt.system),
    prefill: last?.role === 'assistant' ? shorten(last.text) : '',
    images: prompt.images,
    files: prompt.files,
    tools: prompt.tools.map((tool) => tool.name),
    tool_choice: choice.mode === 'auto' ? '' : choice.name ?? choice.mode,
    parallel_tool_calls: prompt.parallel_tool_calls ? undefined : false,
    response_format: format.type === 'text' ? '' : format.name ?? format.type,
    reasoning: prompt.reasoning || undefined,
    ...prompt.settings,
    max_tokens: prompt.max_tokens,
    stop: prompt.stop,
    history: historyHash(prompt),
  }).filter(([, value]) => value !== undefined && value !== null && !isEmpty(value)));
}

/** @param {unknown} value */
const isEmpty = (value) => value === '' || (Array.isArray(value) && value.length === 0);

/**
 * The digest in an answer's text (its last line), for tests.
 * @param {string} text
 * @returns {Record<string, any>}
 */
export function readDigest(text) {
  const line = text.slice(text.lastIndexOf('\n') + 1);
  if (!line.startsWith(DIGEST_MARK)) throw new Error(`no digest in ${JSON.stringify(line)}`);
  return JSON.parse(line.slice(DIGEST_MARK.length));
}

/**
 * The digest as one line. Stop sequences are written in escapes only: were they spelled out, the
 * answer would stop there.
 * @param {Prompt} prompt
 */
function digestLine(prompt) {
  const stops = prompt.stop.map((stop) => `"${stop.replace(/[^]/g, (unit) =>
    `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)}"`);
  const json = JSON.stringify({ ...digestOf(prompt), stop: undefined });
  const end = stops.length > 0 ? `,"stop":[${stops.join(',')}]}` : '}';
  return `${DIGEST_MARK}${json.slice(0, -1)}${end}`;
}

/** @param {Prompt} prompt @param {string} model */
function sayText(prompt, model) {
  const received = digestLine(prompt);
  const results = finalResults(prompt);
  if (results.length > 0) {
    const lines = results.map((each) => `- ${each.name || 'tool'} → ${shorten(each.text)}`);
    return `${model} here. Tool results:\n${lines.join('\n')}\n\n${received}`;
  }
  return `Hello from ${model}, a simulated engine behind the ${prompt.dialect} dialect: `
    + `no provider key was needed. You wrote: “${shorten(lastUserText(prompt))}”\n\n${received}`;
}

/** @param {Prompt} prompt @param {string} model */
function sayJson(prompt, model) {
  const { type, schema } = prompt.response_format;
  const value = type === 'json_schema' ? exampleOf(schema) : { model, ...digestOf(prompt) };
  return JSON.stringify(value);
}

/**
 * The text of `{…}` that begins at `from`, or '' when none does.
 * @param {string} text @param {number} from
 */
function objectAt(text, from) {
  if (text[from] !== '{') return '';
  for (let to = text.indexOf('}', from); to >= 0; to = text.indexOf('}', to + 1)) {
    const candidate = text.slice(from, to + 1);
    try {
      JSON.parse(candidate);
      return candidate;
    } catch { /* a brace inside: try the next one */ }
  }
  return '';
}

/**
 * `call NAME {json}` in the last user text, for every NAME among the tools; else, when the client
 * insists on a call, the tool it named or the first one, with arguments made from the schema.
 * @param {Prompt} prompt
 * @returns {Call[]}
 */
function wantedCalls(prompt) {
  const { tools, tool_choice: choice } = prompt;
  if (tools.length === 0 || choice.mode === 'none' || finalResults(prompt).length > 0) return [];
  const text = lastUserText(prompt);
  const calls = [];
  for (const match of text.matchAll(/\bcall\s+([\w-]+(?:\.[\w-]+)*)\s*/g)) {
    if (!tools.some((tool) => tool.name === match[1])) continue;
    const json = objectAt(text, match.index + match[0].length);
    calls.push({ name: match[1], args: json === '' ? {} : JSON.parse(json) });
  }
  if (calls.length === 0 && choice.mode !== 'auto') {
    const tool = tools.find((each) => each.name === choice.name) ?? tools[0];
    const args = /** @type {Record<string, unknown>} */ (exampleOf(tool.schema) ?? {});
    calls.push({ name: tool.name, args });
  }
  return prompt.parallel_tool_calls ? calls : calls.slice(0, 1);
}

/** @param {Prompt} prompt */
function inputTokens(prompt) {
  const texts = [prompt.system, ...prompt.turns.map((turn) => turn.text)];
  for (const turn of prompt.turns) for (const call of turn.calls ?? []) texts.push(canonical(call));
  for (const tool of prompt.tools) texts.push(canonical(tool));
  const words = texts.reduce((sum, text) => sum + tokensOf(text).length, 0);
  return words + IMAGE_TOKENS * (prompt.images.length + prompt.files.length);
}

/**
 * @param {string} text
 * @param {string[]} stops
 * @returns {{ text: string, stop_sequence: string | null }} the text before the first stop sequence
 */
function stopAt(text, stops) {
  let end = text.length;
  let found = null;
  for (const stop of stops) {
    const at = stop === '' ? -1 : text.indexOf(stop);
    if (at >= 0 && at < end) [end, found] = [at, stop];
  }
  return { text: text.slice(0, end), stop_sequence: found };
}

/**
 * Exactly `count` numbered words that carry the engine's name: a lost, doubled or reordered one
 * shows, and so does the joint where two engines' answers were glued together.
 * @param {string} model @param {number} count
 */
export const numberedWords = (model, count) =>
  Array.from({ length: count }, (_, index) => `${index === 0 ? '' : ' '}${model}-${index}`);

/**
 * The numbered words that an engine is asked to go on with: the last answer in the conversation
 * is the beginning of its own, or ends in one, whichever engine said it. Else it begins with its
 * own.
 * @param {Prompt} prompt @param {string} model @param {number} count
 */
function wordsToSay({ turns }, model, count) {
  const begun = turns.slice(-2).findLast(({ role }) => role === 'assistant')?.text ?? '';
  const own = numberedWords(model, count).join('');
  if (begun !== '' && own.startsWith(begun)) return own.slice(begun.length).match(/ ?\S+/g) ?? [];
  const said = /(\S+)-(\d+)$/.exec(begun.trimEnd());
  return said ? numberedWords(said[1], count).slice(Number(said[2]) + 1)
    : numberedWords(model, count);
}

/**
 * @param {Prompt} prompt
 * @param {string} model
 * @param {{ tokens?: number, narrate?: number }} options
 *   tokens: that many numbered words in place of the digest; narrate: text before a tool call
 * @returns {Answer}
 */
export function answerOf(prompt, model, options = {}) {
  const calls = wantedCalls(prompt);
  let text = options.tokens === undefined ? tokensOf(
    calls.length > 0 ? (options.narrate ? `I will call ${calls[0].name} now…` : '')
      : prompt.response_format.type === 'text' ? sayText(prompt, model) : sayJson(prompt, model),
  ) : wordsToSay(prompt, model, options.tokens);
  let stopSequence = null;
  if (prompt.stop.length > 0) {
    const stopped = stopAt(text.join(''), prompt.stop);
    stopSequence = stopped.stop_sequence;
    if (stopSequence !== null) text = tokensOf(stopped.text);
  }
  const reasoning = prompt.reasoning || model.includes('reasoner')
    ? tokensOf(`The user wants an answer of ${model}. I read the request, then I tell what I saw ✓`)
    : [];
  const written = calls.map((call) => ({ ...call, fragments: cut(call) }));
  const limited = withinLimit({ reasoning, text, calls: written }, prompt.max_tokens ?? Infinity);
  const fragments = limited.parts.calls.flatMap((call) => call.fragments);
  return {
    model,
    ...limited.parts,
    finish: limited.reached ? 'length' : calls.length > 0 ? 'tool_calls'
      : stopSequence === null ? 'stop' : 'stop_sequence',
    stop_sequence: limited.reached ? null : stopSequence,
    forced: prompt.tool_choice.mode === 'named',
    usage: {
      input: inputTokens(prompt),
      output: limited.parts.text.length + fragments.length,
      reasoning: limited.parts.reasoning.length,
    },
  };
}

/**
 * Arguments in fragments of eight characters: JSON text cut anywhere, as providers do.
 * @param {Call} call
 */
const cut = (call) => JSON.stringify(call.args).match(/.{1,8}/gsu) ?? [];

/**
 * @typedef {Pick<Answer, 'reasoning' | 'text' | 'calls'>} Parts
 * @param {Parts} parts
 * @param {number} limit tokens of reasoning, text and arguments together
 */
function withinLimit(parts, limit) {
  let left = limit;
  let reached = false;
  /** @param {string[]} tokens */
  const take = (tokens) => {
    const taken = tokens.slice(0, left);
    reached ||= taken.length < tokens.length;
    left -= taken.length;
    return taken;
  };
  const reasoning = take(parts.reasoning);
  const text = take(parts.text);
  const calls = [];
  for (const call of parts.calls) {
    if (left === 0) reached = true;
    if (!reached) calls.push({ ...call, fragments: take(call.fragments) });
  }
  return { parts: { reasoning, text, calls }, reached };
}
