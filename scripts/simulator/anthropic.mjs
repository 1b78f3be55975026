/**
 * The Anthropic Messages dialect: POST /anthropic/v1/messages.
 *
 * The stream: message_start, then every block from content_block_start over its deltas to
 * content_block_stop, then message_delta with the stop reason and the usage (cumulative), then
 * message_stop. A ping comes after the first block began. Data lines end with blanks of changing
 * number before the last brace, as the real ones do.
 */

import { check as checkShape } from './check.mjs';
import {
  letters, listOf, mediaOf, settingsOf, signatureOf, textOf, wobble,
} from './dialect.mjs';

/**
 * @typedef {import('./check.mjs').Shape} Shape
 * @typedef {import('./dialect.mjs').Complaint} Complaint
 * @typedef {import('./dialect.mjs').Event} Event
 * @typedef {import('./dialect.mjs').Writing} Writing
 * @typedef {import('./model.mjs').Answer} Answer
 * @typedef {import('./model.mjs').Prompt} Prompt
 * @typedef {import('./model.mjs').Turn} Turn
 */

// What a request may look like

/** @type {Shape} */
const CACHE = { fields: { type: ['ephemeral'], ttl: ['5m', '1h'] }, required: ['type'] };
/** @param {Record<string, Shape>} fields @param {string[]} required @returns {Shape} */
const block = (fields, required) =>
  ({ fields: { type: 'string', cache_control: CACHE, ...fields }, required });

/** @param {Shape} media @returns {Shape} */
const source = (media) => ({
  tag: 'type',
  cases: {
    base64: {
      fields: { type: 'string', media_type: media, data: { type: 'string', min: 1 } },
      required: ['media_type', 'data'],
    },
    url: {
      fields: { type: 'string', url: { type: 'string', pattern: /^https?:/ } }, required: ['url'],
    },
    text: {
      fields: { type: 'string', media_type: ['text/plain'], data: 'string' }, required: ['data'],
    },
    file: { fields: { type: 'string', file_id: 'string' }, required: ['file_id'] },
  },
});

/** @type {Shape} */
const TEXT = block({ text: 'string', citations: 'array' }, ['text']);
/** @type {Shape} */
const IMAGE = block(
  { source: source(['image/jpeg', 'image/png', 'image/gif', 'image/webp']) }, ['source'],
);
/** @type {Shape} */
const DOCUMENT = block({
  source: source(['application/pdf']), title: 'string', context: 'string', citations: 'object',
}, ['source']);
/** @type {Shape} */
const ID = { type: 'string', pattern: /^[a-zA-Z0-9_-]+$/ };

/** @type {Shape} */
const CONTENT = {
  tag: 'type',
  cases: {
    text: TEXT,
    image: IMAGE,
    document: DOCUMENT,
    thinking: block({ thinking: 'string', signature: 'string' }, ['thinking', 'signature']),
    redacted_thinking: block({ data: 'string' }, ['data']),
    tool_use: block(
      { id: ID, name: { type: 'string', min: 1, max: 200 }, input: 'object' },
      ['id', 'name', 'input'],
    ),
    tool_result: block({
      tool_use_id: ID,
      is_error: 'boolean',
      content: {
        either: ['string', {
          items: { tag: 'type', cases: { text: TEXT, image: IMAGE, document: DOCUMENT } },
        }],
      },
    }, ['tool_use_id']),
  },
};

/** @type {Shape} */
const TOOL = {
  fields: {
    type: ['custom'],
    name: { type: 'string', pattern: /^[a-zA-Z0-9_-]{1,128}$/ },
    description: 'string',
    input_schema: 'object',
    strict: 'boolean',
    cache_control: CACHE,
  },
  required: ['name', 'input_schema'],
};

/** @type {Shape} */
const JSON_FORMAT = {
  fields: { type: ['json_schema'], schema: 'object' }, required: ['type', 'schema'],
};

/** @param {string[]} [more] @returns {Shape} */
const choice = (more = []) => ({
  fields: {
    type: 'string',
    ...Object.fromEntries(more.map((name) => [name, name === 'name' ? 'string' : 'boolean'])),
  },
  required: more.includes('name') ? ['name'] : [],
});

/** @type {Shape} */
const BODY = {
  fields: {
    model: 'string',
    messages: {
      items: {
        fields: {
          role: ['user', 'assistant'],
          content: { either: ['string', { items: CONTENT }] },
        },
        required: ['role', 'content'],
      },
      min: 1,
    },
    max_tokens: { type: 'integer', min: 1 },
    system: { either: ['string', { items: TEXT }] },
    stream: 'boolean',
    stop_sequences: { items: 'string' },
    temperature: { type: 'number', min: 0, max: 1 },
    top_p: { type: 'number', min: 0, max: 1 },
    top_k: { type: 'integer', min: 0 },
    tools: { items: TOOL },
    tool_choice: {
      tag: 'type',
      cases: {
        auto: choice(['disable_parallel_tool_use']),
        any: choice(['disable_parallel_tool_use']),
        tool: choice(['name', 'disable_parallel_tool_use']),
        none: choice(),
      },
    },
    thinking: {
      tag: 'type',
      cases: {
        enabled: {
          fields: {
            type: 'string',
            budget_tokens: { type: 'integer', min: 1024 },
            display: ['summarized', 'omitted'],
          },
          required: ['budget_tokens'],
        },
        adaptive: { fields: { type: 'string', display: ['summarized', 'omitted'] } },
        disabled: { fields: { type: 'string' } },
      },
    },
    output_config: {
      fields: { format: JSON_FORMAT, effort: ['low', 'medium', 'high', 'xhigh', 'max'] },
    },
    metadata: { fields: { user_id: 'string' } },
    service_tier: ['auto', 'standard_only'],
    cache_control: CACHE,
  },
  required: ['model', 'messages', 'max_tokens'],
};

/** @param {import('./check.mjs').Violation} violation @returns {Complaint} */
function inWords({ problem, path, expected, value }) {
  const inTool = path[0] === 'tools' && path.length > 2;
  const steps = inTool ? [...path.slice(0, 2), 'custom', ...path.slice(2)] : path;
  const at = steps.map((step) => String(step).replace('#', '')).join('.');
  const choices = () => expected.split(', ').map((each) => `'${each}'`).join(', ');
  const types = /** @type {Record<string, string>} */ ({
    string: 'a valid string', object: 'a valid dictionary', array: 'a valid list',
    integer: 'a valid integer', number: 'a valid number', boolean: 'a valid boolean',
    'string or array': 'a valid string or list',
  });
  switch (problem) {
    case 'unknown': return { message: `${at}: Extra inputs are not permitted` };
    case 'missing': return { message: `${at}: Field required` };
    case 'type': return { message: `${at}: Input should be ${types[expected] ?? expected}` };
    case 'value': return { message: `${at}: Input should be ${choices()}` };
    case 'pattern': return { message: `${at}: String should match pattern '${expected}'` };
    default:
      if (Array.isArray(value)) return { message: `${at}: at least one message is required` };
      if (at === 'temperature' || at === 'top_p') return { message: `${at}: range: 0..1` };
      return {
        message: `${at}: Input should be ${problem === 'below' ? 'greater' : 'less'} than or equal `
          + `to ${expected}`,
      };
  }
}

/** @param {any} message @returns {any[]} */
const blocksOf = (message) => (Array.isArray(message.content)
  ? message.content : [{ type: 'text', text: message.content }]);

/** @param {any} message @param {string} type @returns {any[]} */
const blocksOfType = (message, type) =>
  blocksOf(message).filter((each) => each.type === type);

/** @param {any[]} messages @returns {Complaint | null} */
function checkContent(messages) {
  for (const [index, message] of messages.entries()) {
    const last = index === messages.length - 1 && message.role === 'assistant';
    if (message.content.length === 0 && !last) {
      return {
        message: `messages.${index}: all messages must have non-empty content except for the `
          + 'optional final assistant message',
      };
    }
    for (const [at, each] of blocksOf(message).entries()) {
      if (each.type === 'text' && each.text === '' && !(last && message.content === '')) {
        return { message: 'messages: text content blocks must be non-empty' };
      }
      const theirs = each.type === 'tool_result' ? 'assistant'
        : ['tool_use', 'thinking', 'redacted_thinking'].includes(each.type) ? 'user' : '';
      if (message.role === theirs) {
        const message = `messages.${index}: \`${each.type}\` blocks can only be in `
          + `\`${theirs === 'user' ? 'assistant' : 'user'}\` messages`;
        return { message };
      }
      if (each.type !== 'thinking' || each.thinking === '') continue;
      if (each.signature === signatureOf(each.thinking)) continue;
      return {
        message: `messages.${index}.content.${at}: Invalid \`signature\` in \`thinking\` block`,
      };
    }
    if (last && /\s$/.test(textOf(blocksOf(message)))) {
      return { message: 'messages: final assistant content cannot end with trailing whitespace' };
    }
  }
  return null;
}

/**
 * Results stand at the head of the message after the calls, one for each.
 * @param {any[]} messages
 * @returns {Complaint | null}
 */
function checkToolOrder(messages) {
  for (const [index, message] of messages.entries()) {
    const before = index === 0 ? [] : blocksOfType(messages[index - 1], 'tool_use');
    const asked = before.map((each) => each.id);
    const stray = blocksOf(message).findIndex((each) =>
      each.type === 'tool_result' && !asked.includes(each.tool_use_id));
    if (stray >= 0) {
      const id = blocksOf(message)[stray].tool_use_id;
      return {
        message: `messages.${index}.content.${stray}: unexpected \`tool_use_id\` found in `
          + `\`tool_result\` blocks: ${id}. Each \`tool_result\` block must have a corresponding `
          + '`tool_use` block in the previous message.',
      };
    }
    const first = blocksOf(message).findIndex((each) => each.type !== 'tool_result');
    const head = first < 0 ? blocksOf(message) : blocksOf(message).slice(0, first);
    const missing = asked.filter((id) => !head.some((each) => each.tool_use_id === id));
    if (missing.length > 0) return missingResults(index - 1, missing);
  }
  const open = blocksOfType(messages.at(-1), 'tool_use').map((each) => each.id);
  return open.length > 0 ? missingResults(messages.length - 1, open) : null;
}

/** @param {number} index @param {string[]} ids @returns {Complaint} */
const missingResults = (index, ids) => ({
  message: `messages.${index}: \`tool_use\` ids were found without \`tool_result\` blocks `
    + `immediately after: ${ids.join(', ')}. Each \`tool_use\` block must have a corresponding `
    + '`tool_result` block in the next message.',
});

/** @param {any} body @returns {Complaint | null} */
function checkThinking({ thinking, max_tokens: limit, temperature, tool_choice: forced }) {
  if (!['enabled', 'adaptive'].includes(thinking?.type)) return null;
  if (thinking.budget_tokens >= limit) {
    return { message: '`max_tokens` must be greater than `thinking.budget_tokens`.' };
  }
  if ((temperature ?? 1) !== 1) {
    return { message: '`temperature` may only be set to 1 when thinking is enabled.' };
  }
  if (!['any', 'tool'].includes(forced?.type)) return null;
  return { message: 'Thinking may not be enabled when tool_choice forces tool use.' };
}

/**
 * @param {any} body
 * @param {import('./dialect.mjs').Checked} request
 * @returns {Complaint | null}
 */
function check(body, { headers, refuse }) {
  if (headers['anthropic-version'] !== '2023-06-01') {
    const version = headers['anthropic-version'];
    const message = version === undefined ? 'anthropic-version: header is required'
      : `anthropic-version: "${version}" is not a valid version`;
    return { message };
  }
  const system = (Array.isArray(body.messages) ? body.messages : []).findIndex(
    (/** @type {any} */ each) => each?.role === 'system');
  if (system >= 0) {
    return {
      message: `messages.${system}: Unexpected role "system". The Messages API accepts a top-level `
        + '`system` parameter, not "system" as an input message role.',
    };
  }
  const violation = checkShape(body, BODY);
  if (violation) return inWords(violation);
  const refused = refuse.find((name) => (body[name] ?? null) !== null);
  if (refused) return { message: `\`${refused}\` is deprecated for this model.` };
  if (body.messages[0].role !== 'user') {
    return { message: 'messages: first message must use the "user" role' };
  }
  if (refuse.includes('prefill') && body.messages.at(-1).role === 'assistant') {
    return {
      message: 'This model does not support assistant message prefill. The conversation must end '
        + 'with a user message.',
    };
  }
  for (const [index, tool] of (body.tools ?? []).entries()) {
    if (tool.input_schema.type === 'object') continue;
    const missing = tool.input_schema.type === undefined;
    const said = missing ? 'Field required' : 'Input should be \'object\'';
    return { message: `tools.${index}.custom.input_schema.type: ${said}` };
  }
  if (body.tool_choice && !body.tools) {
    return { message: 'tool_choice: may only be specified while providing tools.' };
  }
  return checkThinking(body) ?? checkContent(body.messages) ?? checkToolOrder(body.messages);
}

// From the request to the prompt

/** @param {any[]} messages @returns {Turn[]} */
function turnsOf(messages) {
  /** @type {Map<string, string>} */
  const names = new Map();
  return messages.flatMap(/** @returns {Turn[]} */ (message) => {
    const text = textOf(blocksOf(message).filter((each) => each.type === 'text'));
    if (message.role === 'assistant') {
      const calls = blocksOfType(message, 'tool_use').map((each) => {
        names.set(each.id, each.name);
        return { name: each.name, args: each.input };
      });
      return [{ role: 'assistant', text, calls }];
    }
    const results = blocksOfType(message, 'tool_result').map((each) => ({
      role: /** @type {const} */ ('tool'),
      text: textOf(each.content),
      name: names.get(each.tool_use_id),
    }));
    const onlyResults = results.length === blocksOf(message).length;
    return onlyResults ? results : [...results, { role: 'user', text }];
  });
}

/** @param {any} block */
function mediaOfBlock({ source: { type, media_type: mime, data, url, file_id: id } }) {
  if (type === 'base64') return mediaOf(mime, data);
  if (type === 'text') return mediaOf('text/plain', Buffer.from(data).toString('base64'));
  return `url:${url ?? id}`;
}

/** @type {Record<string, import('./model.mjs').ToolChoice['mode']>} */
const MODES = { any: 'required', tool: 'named', none: 'none', auto: 'auto' };

/** @param {any} body @returns {Prompt} */
function read(body) {
  const { tool_choice: choice } = body;
  const format = body.output_config?.format;
  const blocks = body.messages.flatMap(blocksOf);
  return {
    dialect: 'anthropic',
    system: Array.isArray(body.system) ? body.system.map((/** @type {any} */ each) => each.text)
      .join('\n\n') : body.system ?? '',
    messages: body.messages.length,
    turns: turnsOf(body.messages),
    images: blocks.filter((/** @type {any} */ each) => each.type === 'image').map(mediaOfBlock),
    files: blocks.filter((/** @type {any} */ each) => each.type === 'document').map(mediaOfBlock),
    tools: (body.tools ?? []).map((/** @type {any} */ tool) =>
      ({ name: tool.name, schema: tool.input_schema })),
    tool_choice: { mode: MODES[choice?.type ?? 'auto'], name: choice?.name },
    parallel_tool_calls: choice?.disable_parallel_tool_use !== true,
    response_format: { type: format?.type ?? 'text', schema: format?.schema },
    reasoning: ['enabled', 'adaptive'].includes(body.thinking?.type),
    stop: listOf(body.stop_sequences),
    max_tokens: body.max_tokens,
    settings: settingsOf(body, { temperature: 'temperature', top_p: 'top_p', top_k: 'top_k' }),
  };
}

// From the answer to the wire

/** @param {Answer} answer */
const stopOf = (answer) => ({
  stop_reason: {
    stop: 'end_turn',
    length: 'max_tokens',
    tool_calls: 'tool_use',
    stop_sequence: 'stop_sequence',
    content_filter: 'refusal',
  }[answer.finish],
  stop_sequence: answer.stop_sequence,
  stop_details: null,
});

/** @param {Answer} answer @param {'start' | 'delta' | 'whole'} place */
const usageOf = ({ usage }, place) => ({
  input_tokens: usage.input,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  ...(place === 'delta' ? {}
    : { cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 } }),
  output_tokens: place === 'start' ? Math.min(1, usage.output) : usage.output + usage.reasoning,
  ...(usage.reasoning > 0 && place !== 'start'
    ? { output_tokens_details: { thinking_tokens: usage.reasoning } } : {}),
  ...(place === 'delta' ? {} : { service_tier: 'standard', inference_geo: 'global' }),
});

/**
 * The answer's blocks as they begin, the fragments that fill them, and how a fragment is called.
 * @param {Answer} answer @param {Writing} writing
 * @returns {{ begin: any, key: string, delta: string, fragments: string[], signature?: string }[]}
 */
const partsOf = (answer, writing) => [
  ...(answer.reasoning.length === 0 ? [] : [{
    begin: { type: 'thinking', thinking: '', signature: '' },
    delta: 'thinking_delta',
    key: 'thinking',
    fragments: answer.reasoning,
    signature: signatureOf(answer.reasoning.join('')),
  }]),
  ...(answer.text.length === 0 ? [] : [{
    begin: { type: 'text', text: '' }, delta: 'text_delta', key: 'text', fragments: answer.text,
  }]),
  ...answer.calls.map((call, index) => ({
    begin: {
      type: 'tool_use', id: `toolu_${letters(`${writing.id} call ${index}`, 24)}`, name: call.name,
      input: {},
    },
    delta: 'input_json_delta',
    key: 'partial_json',
    // A call without arguments is one empty fragment, never "{}".
    fragments: Object.keys(call.args).length === 0 ? [''] : ['', ...call.fragments],
  })),
];

/** @param {string} name @param {object} value @param {number} padding blanks before the end */
const sse = (name, value, padding) =>
  `event: ${name}\ndata: ${JSON.stringify(value).slice(0, -1)}${' '.repeat(padding)}}\n\n`;

const PING = 'event: ping\ndata: {"type": "ping"}\n\n';

/** @param {Answer} answer @param {Writing} writing @returns {Event[]} */
function stream(answer, writing) {
  /** @type {Event[]} */
  const events = [];
  /** @param {any} value @param {boolean} [content] */
  const add = (value, content = false) => {
    const bare = Buffer.byteLength(sse(value.type, value, 0));
    const padding = writing.size_bytes > 0
      ? content ? Math.max(0, writing.size_bytes - bare) : 0 : wobble(events.length, 15);
    events.push({ text: sse(value.type, value, padding), content });
  };
  add({ type: 'message_start', message: message(answer, writing, []) });
  const parts = partsOf(answer, writing);
  if (parts.length === 0) events.push({ text: PING, content: false });
  for (const [index, { begin, delta, key, fragments, signature }] of parts.entries()) {
    add({ type: 'content_block_start', index, content_block: begin }, begin.type === 'tool_use');
    if (index === 0) events.push({ text: PING, content: false });
    for (const text of fragments) {
      add({ type: 'content_block_delta', index, delta: { type: delta, [key]: text } }, text !== '');
    }
    if (signature) {
      add({ type: 'content_block_delta', index, delta: { type: 'signature_delta', signature } });
    }
    add({ type: 'content_block_stop', index });
  }
  add({ type: 'message_delta', delta: stopOf(answer), usage: usageOf(answer, 'delta') });
  add({ type: 'message_stop' });
  return events;
}

/** @param {Answer} answer @param {Writing} writing @param {object[] | null} content null: all */
const message = (answer, writing, content) => ({
  model: answer.model,
  id: `msg_${letters(writing.id, 24)}`,
  type: 'message',
  role: 'assistant',
  content: content ?? partsOf(answer, writing).map(({ begin, key, fragments, signature }) => {
    const text = fragments.join('');
    if (begin.type === 'tool_use') return { ...begin, input: parsed(text) };
    return { ...begin, [key]: text, ...(signature ? { signature } : {}) };
  }),
  ...(content ? { stop_reason: null, stop_sequence: null, stop_details: null } : stopOf(answer)),
  usage: usageOf(answer, content ? 'start' : 'whole'),
});

/** Arguments cut off by the limit come as an empty object. @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return {};
  }
}

/** @type {import('./dialect.mjs').Dialect} */
export const anthropic = {
  name: 'anthropic',
  prefix: 'anthropic',
  key_header: 'x-api-key',
  endpoint: (method, target) => (method === 'POST'
    && target.replace(/\?.*$/s, '') === '/anthropic/v1/messages' ? { operation: 'chat' } : null),
  models: () => ({}),
  check,
  read,
  stream,
  whole: (answer, writing) => message(answer, writing, null),
  terminates: true,
  terminal: () => sse('message_stop', { type: 'message_stop' }, 0),
  inBand: (refusal) => sse('error', JSON.parse(refusal.body), 0),
  garbage: (text) => 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    + `"delta":{"type":"text_delta","text":"${text}\n\n`,
  ping: PING,
  unknown: [
    'event: future_event\ndata: {"type":"future_event","index":0,"future":{"nested":[1,2,{}]}}\n\n',
    ': a comment\nid: 42\nretry: 3000\n\n',
    'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
      + '"delta":{"type":"future_delta","future":"unread"}}\n\n',
  ],
  headers: ({ id, created_s: created }) => ({
    'request-id': `req_${letters(id, 24)}`,
    'anthropic-ratelimit-requests-limit': '50',
    'anthropic-ratelimit-requests-remaining': '49',
    'anthropic-ratelimit-requests-reset':
      new Date((created + 2) * 1000).toISOString().replace(/\.\d+/, ''),
  }),
};
