/**
 * The OpenAI chat completions dialect: POST /openai/v1/chat/completions, GET /openai/v1/models.
 *
 * The stream: a chunk with the role, one chunk per token, a chunk with the finish reason, one with
 * the usage if the client asked for it (`choices` is empty there), then `[DONE]`. Reasoning goes as
 * `reasoning_content`, as the compatible providers that show it do.
 */

import { bracketPath, check as checkShape } from './check.mjs';
import { letters, listOf, mediaOf, mediaOfUrl, settingsOf, textOf, wobble } from './dialect.mjs';

/**
 * @typedef {import('./check.mjs').Shape} Shape
 * @typedef {import('./dialect.mjs').Complaint} Complaint
 * @typedef {import('./dialect.mjs').Writing} Writing
 * @typedef {import('./model.mjs').Answer} Answer
 * @typedef {import('./model.mjs').Prompt} Prompt
 * @typedef {import('./model.mjs').Turn} Turn
 */

// What a request may look like

/** @type {Shape} */
const TEXT_PART = { fields: { type: 'string', text: 'string' }, required: ['type', 'text'] };
/** @type {Shape} */
const TEXT_PARTS = { items: { tag: 'type', cases: { text: TEXT_PART } }, min: 1 };
/** @type {Shape} */
const TEXTS = { either: ['string', TEXT_PARTS] };
/** @param {string} name @param {Shape} shape @returns {Shape} */
const part = (name, shape) => ({ fields: { type: 'string', [name]: shape }, required: [name] });

/** @type {Shape} */
const USER_PARTS = {
  tag: 'type',
  cases: {
    text: TEXT_PART,
    image_url: part('image_url', {
      fields: {
        url: {
          type: 'string', pattern: /^(https?:\/\/|data:image\/(png|jpe?g|gif|webp);base64,.)/,
        },
        detail: ['auto', 'low', 'high', 'original'],
      },
      required: ['url'],
    }),
    input_audio: part('input_audio', {
      fields: { data: 'string', format: ['wav', 'mp3'] }, required: ['data', 'format'],
    }),
    file: part('file', { fields: { file_data: 'string', filename: 'string', file_id: 'string' } }),
  },
};

/** @type {Shape} */
const TOOL_NAME = { type: 'string', min: 1, max: 64, pattern: /^[a-zA-Z0-9_-]+$/ };
/** @type {Shape} */
const TOOL_CALL = {
  fields: {
    id: { type: 'string', min: 1 },
    type: ['function'],
    function: { fields: { name: TOOL_NAME, arguments: 'string' }, required: ['name', 'arguments'] },
  },
  required: ['id', 'type', 'function'],
};

/** @type {Shape} */
const ORDERS = {
  fields: { role: 'string', content: TEXTS, name: 'string' }, required: ['content'],
};

/** @type {Shape} */
const MESSAGE = {
  tag: 'role',
  cases: {
    system: ORDERS,
    developer: ORDERS,
    user: {
      fields: {
        role: 'string',
        content: { either: ['string', { items: USER_PARTS, min: 1 }] },
        name: 'string',
      },
      required: ['content'],
    },
    assistant: {
      fields: {
        role: 'string', content: TEXTS, refusal: 'string', name: 'string', audio: 'object',
        tool_calls: { items: TOOL_CALL, min: 1 }, reasoning_content: 'string',
      },
    },
    tool: {
      fields: { role: 'string', content: TEXTS, tool_call_id: { type: 'string', min: 1 } },
      required: ['content', 'tool_call_id'],
    },
  },
};

/** @type {Shape} */
const NAMED_TOOL = {
  fields: { type: ['function'], function: { fields: { name: TOOL_NAME }, required: ['name'] } },
  required: ['type', 'function'],
};

/** @type {Shape} */
const BODY = {
  fields: {
    model: 'string',
    messages: { items: MESSAGE, min: 1 },
    stream: 'boolean',
    stream_options: { fields: { include_usage: 'boolean', include_obfuscation: 'boolean' } },
    max_tokens: { type: 'integer', min: 1 },
    max_completion_tokens: { type: 'integer', min: 1 },
    temperature: { type: 'number', min: 0, max: 2 },
    top_p: { type: 'number', min: 0, max: 1 },
    presence_penalty: { type: 'number', min: -2, max: 2 },
    frequency_penalty: { type: 'number', min: -2, max: 2 },
    n: { type: 'integer', min: 1, max: 1 },
    stop: { either: ['string', { items: 'string', max: 4 }] },
    seed: 'integer',
    logit_bias: 'object',
    logprobs: 'boolean',
    top_logprobs: { type: 'integer', min: 0, max: 20 },
    tools: {
      items: {
        fields: {
          type: ['function'],
          function: {
            fields: {
              name: TOOL_NAME, description: 'string', parameters: 'object', strict: 'boolean',
            },
            required: ['name'],
          },
        },
        required: ['type', 'function'],
      },
      min: 1,
      max: 128,
    },
    tool_choice: { either: [['none', 'auto', 'required'], NAMED_TOOL] },
    parallel_tool_calls: 'boolean',
    response_format: {
      tag: 'type',
      cases: {
        text: { fields: { type: 'string' } },
        json_object: { fields: { type: 'string' } },
        json_schema: part('json_schema', {
          fields: { name: TOOL_NAME, description: 'string', schema: 'object', strict: 'boolean' },
          required: ['name'],
        }),
      },
    },
    reasoning_effort: ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'],
    verbosity: ['low', 'medium', 'high'],
    modalities: { items: ['text', 'audio'] },
    audio: 'object',
    prediction: 'object',
    metadata: 'object',
    store: 'boolean',
    service_tier: 'string',
    user: 'string',
    safety_identifier: 'string',
    prompt_cache_key: 'string',
    prompt_cache_retention: 'string',
    web_search_options: 'object',
  },
  required: ['model', 'messages'],
};

/** @param {import('./check.mjs').Violation} violation @returns {Complaint} */
function inWords({ problem, path, expected, value }) {
  const param = bracketPath(path);
  /** @param {string} code @param {string} message @returns {Complaint} */
  const complain = (code, message) => ({ message, param, code });
  const list = Array.isArray(value) ? 'array' : typeof value === 'string' ? 'string' : '';
  const number = Number.isInteger(value) ? 'integer' : 'decimal';
  switch (problem) {
    case 'unknown': return complain('unknown_parameter', `Unknown parameter: '${param}'.`);
    case 'missing':
      return complain('missing_required_parameter', `Missing required parameter: '${param}'.`);
    case 'type': return complain('invalid_type', `Invalid type for '${param}': expected `
      + `${expected}, but got ${value === null ? 'null' : list || typeof value} instead.`);
    case 'value': return complain('invalid_value', `Invalid value: '${value}'. Supported values `
      + `are: ${expected.split(', ').map((each) => `'${each}'`).join(', ')}.`);
    case 'pattern': return complain('invalid_value', `Invalid '${param}': string does not match `
      + `pattern. Expected a string that matches the pattern '${expected}'.`);
    case 'below': return list
      ? complain(`empty_${list}`, `Invalid '${param}': empty ${list}. Expected an ${list} with `
        + `minimum length ${expected}, but got an empty ${list} instead.`)
      : complain(`${number}_below_min_value`, `Invalid '${param}': ${number} below minimum value. `
        + `Expected a value >= ${expected}, but got ${value} instead.`);
    default: return list
      ? complain(`${list}_above_max_length`, `Invalid '${param}': ${list} too long. Expected an `
        + `${list} with maximum length ${expected}.`)
      : complain(`${number}_above_max_value`, `Invalid '${param}': ${number} above maximum value. `
        + `Expected a value <= ${expected}, but got ${value} instead.`);
  }
}

/**
 * Every call is answered right after the message that makes it, and nothing else is.
 * @param {any[]} messages
 * @returns {Complaint | null}
 */
function checkToolOrder(messages) {
  /** @type {Set<string>} */
  let open = new Set();
  for (const [index, message] of [...messages, { role: 'end' }].entries()) {
    const param = `messages.[${index}].role`;
    if (message.role === 'tool') {
      if (open.delete(message.tool_call_id)) continue;
      return {
        message: 'Invalid parameter: messages with role \'tool\' must be a response to a '
          + 'preceeding message with \'tool_calls\'.',
        param,
        code: null,
      };
    }
    if (open.size > 0) {
      return {
        message: 'An assistant message with \'tool_calls\' must be followed by tool messages '
          + 'responding to each \'tool_call_id\'. The following tool_call_ids did not have '
          + `response messages: ${[...open].join(', ')}`,
        param,
        code: null,
      };
    }
    open = new Set((message.tool_calls ?? []).map((/** @type {any} */ call) => call.id));
  }
  return null;
}

/**
 * @param {any} body
 * @param {import('./dialect.mjs').Checked} request
 * @returns {Complaint | null}
 */
function check(body, { refuse }) {
  if (typeof body.model !== 'string') {
    return { message: 'you must provide a model parameter', param: null, code: null };
  }
  const violation = checkShape(body, BODY);
  if (violation) return inWords(violation);
  const refused = refuse.find((name) => (body[name] ?? null) !== null);
  if (refused !== undefined) {
    const hint = refused === 'max_tokens' ? ' Use \'max_completion_tokens\' instead.' : '';
    return {
      message: `Unsupported parameter: '${refused}' is not supported with this model.${hint}`,
      param: refused,
      code: 'unsupported_parameter',
    };
  }
  if (body.max_tokens && body.max_completion_tokens) {
    return {
      message: 'Setting \'max_tokens\' and \'max_completion_tokens\' at the same time is not '
        + 'supported.',
      param: 'max_tokens',
      code: 'invalid_parameter_combination',
    };
  }
  if (body.stream_options && !body.stream) {
    return {
      message: 'The \'stream_options\' parameter is only allowed when \'stream\' is enabled.',
      param: 'stream_options',
      code: null,
    };
  }
  for (const name of ['tool_choice', 'parallel_tool_calls']) {
    if ((body[name] ?? null) === null || body.tools) continue;
    const message = `Invalid value for '${name}': '${name}' is only allowed when 'tools' are `
      + 'specified.';
    return { message, param: name, code: null };
  }
  const texts = body.messages.map((/** @type {any} */ each) => textOf(each.content)).join(' ');
  if (body.response_format?.type === 'json_object' && !/json/i.test(texts)) {
    return {
      message: '\'messages\' must contain the word \'json\' in some form, to use '
        + '\'response_format\' of type \'json_object\'.',
      param: 'messages',
      code: null,
    };
  }
  for (const [index, message] of body.messages.entries()) {
    if (message.role !== 'assistant' || message.tool_calls || message.refusal) continue;
    if ((message.content ?? null) !== null) continue;
    return {
      message: 'Invalid value for \'content\': expected a string, got null.',
      param: `messages.[${index}].content`,
      code: null,
    };
  }
  return checkToolOrder(body.messages);
}

// From the request to the prompt

/** @param {string} text */
function parsedArguments(text) {
  try {
    return JSON.parse(text === '' ? '{}' : text);
  } catch {
    return { not_json: text };
  }
}

/** @param {any[]} messages @returns {Turn[]} */
function turnsOf(messages) {
  /** @type {Map<string, string>} */
  const names = new Map();
  return messages.map((message) => {
    const text = textOf(message.content);
    if (message.role === 'user') return { role: 'user', text };
    if (message.role === 'tool') {
      return { role: 'tool', text, name: names.get(message.tool_call_id) };
    }
    const calls = (message.tool_calls ?? []).map((/** @type {any} */ call) => {
      names.set(call.id, call.function.name);
      return { name: call.function.name, args: parsedArguments(call.function.arguments) };
    });
    return { role: 'assistant', text, calls };
  });
}

/** @param {any} body @returns {Prompt} */
function read(body) {
  const { tool_choice: choice, response_format: format } = body;
  const spoken = body.messages.filter((/** @type {any} */ each) =>
    each.role !== 'system' && each.role !== 'developer');
  const orders = body.messages.filter((/** @type {any} */ each) => !spoken.includes(each));
  const parts = spoken.flatMap((/** @type {any} */ each) =>
    (Array.isArray(each.content) ? each.content : []));
  const named = choice?.function?.name;
  return {
    dialect: 'openai_chat',
    system: orders.map((/** @type {any} */ each) => textOf(each.content)).join('\n\n'),
    messages: spoken.length,
    turns: turnsOf(spoken),
    images: parts.filter((/** @type {any} */ each) => each.type === 'image_url')
      .map((/** @type {any} */ each) => mediaOfUrl(each.image_url.url)),
    files: parts.flatMap((/** @type {any} */ each) => {
      if (each.file) return [mediaOfUrl(each.file.file_data ?? each.file.file_id ?? '')];
      if (!each.input_audio) return [];
      return [mediaOf(`audio/${each.input_audio.format}`, each.input_audio.data)];
    }),
    tools: (body.tools ?? []).map((/** @type {any} */ tool) =>
      ({ name: tool.function.name, schema: tool.function.parameters })),
    tool_choice: named ? { mode: 'named', name: named } : { mode: choice ?? 'auto' },
    parallel_tool_calls: body.parallel_tool_calls !== false,
    response_format: {
      type: format?.type ?? 'text',
      name: format?.json_schema?.name,
      schema: format?.json_schema?.schema,
    },
    reasoning: !['none', null, undefined].includes(body.reasoning_effort),
    stop: listOf(body.stop),
    max_tokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    settings: settingsOf(body, {
      temperature: 'temperature',
      top_p: 'top_p',
      presence_penalty: 'presence_penalty',
      frequency_penalty: 'frequency_penalty',
      seed: 'seed',
      reasoning_effort: 'reasoning_effort',
      user: 'user',
    }),
  };
}

// From the answer to the wire

/** @param {Answer} answer */
function finishOf(answer) {
  // With a named tool the real one says "stop", although it calls.
  if (answer.finish === 'tool_calls') return answer.forced ? 'stop' : 'tool_calls';
  return answer.finish === 'stop_sequence' ? 'stop' : answer.finish;
}

/** @param {Answer} answer */
const usageOf = ({ usage }) => ({
  prompt_tokens: usage.input,
  completion_tokens: usage.output + usage.reasoning,
  total_tokens: usage.input + usage.output + usage.reasoning,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: usage.reasoning,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0,
  },
});

/** How a chunk ends, after the letters of `obfuscation`. */
const END = '"}\n\n';

/** @param {Writing} writing @param {number} index */
const callId = (writing, index) => `call_${letters(`${writing.id} call ${index}`, 24)}`;

/**
 * Writes chunks, padded by `obfuscation` to the size asked for; without one, with the letters of
 * changing number that the real stream hides token lengths behind.
 * @param {Answer} answer @param {Writing} writing
 */
function chunkWriter(answer, writing) {
  const lean = writing.size_bytes > 0;
  const head = {
    id: `chatcmpl-${letters(writing.id, lean ? 8 : 29)}`,
    object: 'chat.completion.chunk',
    created: writing.created_s,
    model: answer.model,
    ...(lean ? {} : { service_tier: 'default', system_fingerprint: 'fp_simulated' }),
  };
  let serial = 0;
  /** @param {object[]} choices @param {object | null} [usage] */
  return (choices, usage = null) => {
    const usual = writing.include_usage ? { usage } : {};
    const text = `data: ${JSON.stringify({ ...head, choices, ...usual, obfuscation: '' })}\n\n`;
    const room = writing.size_bytes - Buffer.byteLength(text);
    const padding = lean ? Math.max(0, room) : wobble(serial++, 17);
    const letters = 'Tq7WcN2xJe9LkR4v'.repeat(Math.ceil(padding / 16)).slice(0, padding);
    return `${text.slice(0, -END.length)}${letters}${END}`;
  };
}

/** @param {Answer} answer @param {Writing} writing @returns {object[]} */
function deltasOf(answer, writing) {
  const shown = answer.reasoning.length > 0;
  return [
    ...answer.reasoning.map((token) => ({ content: null, reasoning_content: token })),
    ...answer.text.map((token) => (shown
      ? { content: token, reasoning_content: null } : { content: token })),
    ...answer.calls.flatMap((call, index) => [
      {
        tool_calls: [{
          index,
          id: callId(writing, index),
          type: 'function',
          function: { name: call.name, arguments: '' },
        }],
      },
      ...call.fragments.map((text) => ({ tool_calls: [{ index, function: { arguments: text } }] })),
    ]),
  ];
}

/** @param {Answer} answer @param {Writing} writing */
function stream(answer, writing) {
  const chunk = chunkWriter(answer, writing);
  /** @param {object} delta @param {string | null} finish @param {boolean} content */
  const event = (delta, finish, content) => {
    const sparse = writing.size_bytes > 0 ? {} : { logprobs: null };
    const choice = { index: 0, delta, ...sparse, finish_reason: finish };
    return { text: chunk([choice]), content };
  };
  const events = [event({ role: 'assistant', content: '', refusal: null }, null, false)];
  for (const delta of deltasOf(answer, writing)) events.push(event(delta, null, true));
  events.push(event({}, finishOf(answer), false));
  if (writing.include_usage) {
    events.push({ text: chunk([], usageOf(answer)), content: false });
  }
  events.push({ text: 'data: [DONE]\n\n', content: false });
  return events;
}

/** @param {Answer} answer @param {Writing} writing */
function whole(answer, writing) {
  const calls = answer.calls.map((call, index) => ({
    id: callId(writing, index),
    type: 'function',
    function: { name: call.name, arguments: call.fragments.join('') },
  }));
  return {
    id: `chatcmpl-${letters(writing.id, 29)}`,
    object: 'chat.completion',
    created: writing.created_s,
    model: answer.model,
    choices: [{
      index: 0,
      message: {
        role: 'assistant',
        content: calls.length > 0 && answer.text.length === 0 ? null : answer.text.join(''),
        ...(answer.reasoning.length > 0 ? { reasoning_content: answer.reasoning.join('') } : {}),
        ...(calls.length > 0 ? { tool_calls: calls } : {}),
        refusal: null,
        annotations: [],
      },
      logprobs: null,
      finish_reason: finishOf(answer),
    }],
    usage: usageOf(answer),
    service_tier: 'default',
    system_fingerprint: 'fp_simulated',
  };
}

/** @type {import('./dialect.mjs').Dialect} */
export const openai = {
  name: 'openai_chat',
  prefix: 'openai',
  key_header: 'authorization',
  endpoint: (method, target) => {
    const path = target.replace(/\?.*$/s, '');
    if (method === 'POST' && path === '/openai/v1/chat/completions') return { operation: 'chat' };
    return method === 'GET' && path === '/openai/v1/models' ? { operation: 'models' } : null;
  },
  models: (ids) => ({
    object: 'list',
    data: ids.map((id) => ({ id, object: 'model', created: 1767225600, owned_by: 'simulator' })),
  }),
  check,
  read,
  stream,
  whole,
  terminates: true,
  terminal: () => 'data: [DONE]\n\n',
  inBand: (refusal) => `data: ${JSON.stringify(JSON.parse(refusal.body))}\n\n`,
  garbage: (text) => `data: {"choices":[{"index":0,"delta":{"content":"${text}\n\n`,
  ping: ': keep-alive\n\n',
  unknown: [
    'event: keepalive\ndata: {"type":"keepalive","sequence_number":3}\n\n',
    'id: 42\nretry: 3000\n: a comment\nfuture-field: yes\n\n',
    'data: {"object":"chat.completion.notice","choices":[],"future":{"nested":[1,2,{}]}}\n\n',
  ],
  headers: ({ id }) => ({
    'x-request-id': `req_${letters(id, 32).toLowerCase()}`,
    'openai-version': '2020-10-01',
    'openai-processing-ms': '12',
    'x-ratelimit-limit-requests': '10000',
    'x-ratelimit-remaining-requests': '9999',
    'x-ratelimit-reset-requests': '6ms',
  }),
};
