/**
 * The Google Gemini dialect: POST /gemini/v1beta/models/{model}:generateContent and
 * :streamGenerateContent (with alt=sse; without it one JSON array, as the real one).
 *
 * The stream: every chunk is a whole response object with the usage so far, lines end CRLF, there
 * are no event names and no terminator, and the finish reason comes with the last piece of the
 * answer. Function calls come whole, and end with STOP. Engines with `reasoner` in their name
 * behave like the newer models: calls have an id and a signature, the signature of an answer comes
 * on a last empty text, and a replayed call without its signature is refused.
 */

import { bracketPath, check as checkShape } from './check.mjs';
import { letters, listOf, mediaOf, settingsOf, signatureOf, textOf } from './dialect.mjs';
import { canonical } from './model.mjs';

/**
 * @typedef {import('./check.mjs').Shape} Shape
 * @typedef {import('./dialect.mjs').Complaint} Complaint
 * @typedef {import('./dialect.mjs').Event} Event
 * @typedef {import('./dialect.mjs').Writing} Writing
 * @typedef {import('./model.mjs').Answer} Answer
 * @typedef {import('./model.mjs').Prompt} Prompt
 * @typedef {import('./model.mjs').Turn} Turn
 */

// What a request may look like (the real one takes snake_case names too; nobody here sends them)

/** The documented stand-in for a signature that was made elsewhere. */
const SIGNATURE_DUMMY = 'skip_thought_signature_validator';

/** @type {{ fields: Record<string, Shape> }} the OpenAPI subset, not JSON Schema */
const SCHEMA = { fields: {} };
Object.assign(SCHEMA.fields, {
  type: 'string', format: 'string', title: 'string', description: 'string', nullable: 'boolean',
  enum: { items: 'string' }, default: 'any', example: 'any', pattern: 'string',
  items: SCHEMA, minItems: 'any', maxItems: 'any', minLength: 'any', maxLength: 'any',
  properties: 'object', required: { items: 'string' }, minProperties: 'any', maxProperties: 'any',
  propertyOrdering: { items: 'string' }, anyOf: { items: SCHEMA },
  minimum: 'number', maximum: 'number',
});

/** @type {Shape} */
const PART = {
  fields: {
    text: 'string',
    thought: 'boolean',
    thoughtSignature: { type: 'string', pattern: /^[A-Za-z0-9+/_-]*={0,2}$/ },
    inlineData: { fields: { mimeType: 'string', data: 'string', displayName: 'string' } },
    fileData: { fields: { mimeType: 'string', fileUri: 'string', displayName: 'string' } },
    functionCall: { fields: { id: 'string', name: 'string', args: 'object' } },
    functionResponse: {
      fields: { id: 'string', name: 'string', response: 'object', parts: 'array' },
    },
    videoMetadata: 'object',
    mediaResolution: 'object',
  },
};
const DATA = ['text', 'inlineData', 'fileData', 'functionCall', 'functionResponse'];

/** @type {Shape} */
const CONTENT = { fields: { role: 'string', parts: { items: PART } } };

/** @type {Shape} */
const BODY = {
  fields: {
    model: 'string',
    contents: { items: CONTENT },
    systemInstruction: CONTENT,
    tools: {
      items: {
        fields: {
          functionDeclarations: {
            items: {
              fields: {
                name: { type: 'string', pattern: /^[A-Za-z_][A-Za-z0-9_.:-]{0,63}$/ },
                description: 'string', parameters: SCHEMA, parametersJsonSchema: 'any',
                response: SCHEMA, responseJsonSchema: 'any', behavior: 'string',
              },
            },
          },
          googleSearch: 'object', codeExecution: 'object', urlContext: 'object',
        },
      },
    },
    toolConfig: {
      fields: {
        functionCallingConfig: {
          fields: {
            mode: ['AUTO', 'ANY', 'NONE', 'VALIDATED'], allowedFunctionNames: { items: 'string' },
          },
        },
        retrievalConfig: 'object',
      },
    },
    safetySettings: { items: { fields: { category: 'string', threshold: 'string' } } },
    generationConfig: {
      fields: {
        candidateCount: { type: 'integer', min: 1, max: 1 },
        maxOutputTokens: { type: 'integer', min: 1 },
        stopSequences: { items: 'string', max: 5 },
        temperature: { type: 'number', min: 0, max: 2 },
        topP: { type: 'number', min: 0, max: 1 },
        topK: 'integer', seed: 'integer', presencePenalty: 'number', frequencyPenalty: 'number',
        responseMimeType: ['text/plain', 'application/json', 'text/x.enum'],
        responseSchema: SCHEMA, responseJsonSchema: 'any',
        responseModalities: { items: 'string' }, responseLogprobs: 'boolean', logprobs: 'integer',
        thinkingConfig: {
          fields: {
            includeThoughts: 'boolean', thinkingBudget: 'integer',
            thinkingLevel: ['MINIMAL', 'LOW', 'MEDIUM', 'HIGH', 'minimal', 'low', 'medium', 'high'],
          },
        },
        mediaResolution: 'string', speechConfig: 'object', imageConfig: 'object',
      },
    },
    cachedContent: 'string',
  },
};

/** @param {string} path */
const snake = (path) => path.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** @param {import('./check.mjs').Violation} violation @returns {Complaint} */
function inWords({ problem, path, expected, value }) {
  const at = snake(bracketPath(path));
  if (problem === 'unknown') {
    const parent = snake(bracketPath(path.slice(0, -1)));
    const message = `Invalid JSON payload received. Unknown name "${path.at(-1)}"`
      + `${parent === '' ? '' : ` at '${parent}'`}: Cannot find field.`;
    return { message, param: parent === '' ? null : parent };
  }
  if (problem === 'pattern' && path.at(-1) === 'thoughtSignature') {
    return {
      message: `Invalid value at '${at}' (TYPE_BYTES), Base64 decoding failed for "${value}"`,
      param: at,
    };
  }
  if (problem === 'below' || problem === 'above') {
    return {
      message: `* GenerateContentRequest.${at}: value out of range: must be `
        + `${problem === 'below' ? 'at least' : 'at most'} ${expected}.\n`,
    };
  }
  return { message: `Invalid value at '${at}' (${expected}), ${JSON.stringify(value)}`, param: at };
}

/**
 * The fields of a `properties` map are names, not schema words: checked one by one.
 * @param {any} schema @param {(string | number)[]} path
 * @returns {Complaint | null}
 */
function checkProperties(schema, path) {
  for (const [name, each] of Object.entries(schema?.properties ?? {})) {
    const at = [...path, 'properties', name];
    const violation = checkShape(each, SCHEMA, at);
    if (violation) return inWords(violation);
    const found = checkProperties(each, at);
    if (found) return found;
  }
  return schema?.items ? checkProperties(schema.items, [...path, 'items']) : null;
}

/** @param {any} body @returns {Complaint | null} */
function checkSchemas(body) {
  for (const [index, tool] of (body.tools ?? []).entries()) {
    for (const [at, each] of (tool.functionDeclarations ?? []).entries()) {
      const path = ['tools', index, 'functionDeclarations', at, 'parameters'];
      const found = checkProperties(each.parameters, path);
      if (found) return found;
    }
  }
  const config = body.generationConfig ?? {};
  const schema = config.responseSchema ?? config.responseJsonSchema;
  if (schema && config.responseMimeType !== 'application/json') {
    return {
      message: '* GenerateContentRequest.generation_config.response_mime_type: must be '
        + 'application/json when a response schema is set.\n',
    };
  }
  return checkProperties(config.responseSchema, ['generationConfig', 'responseSchema']);
}

/** @param {any} content @param {string} field @returns {any[]} */
const partsWith = (content, field) =>
  (content?.parts ?? []).filter((/** @type {any} */ part) => part[field]);

/** @param {any[]} contents @returns {Complaint | null} */
function checkContents(contents) {
  if (!contents || contents.length === 0) {
    return { message: '* GenerateContentRequest.contents: contents is not specified\n' };
  }
  for (const [index, content] of contents.entries()) {
    const at = `* GenerateContentRequest.contents[${index}].parts`;
    if (!['user', 'model'].includes(content.role ?? 'user')) {
      return { message: 'Please use a valid role: user, model.' };
    }
    if ((content.parts ?? []).length === 0) {
      return { message: `${at}: contents.parts must not be empty.\n` };
    }
    for (const [number, part] of content.parts.entries()) {
      if (DATA.filter((field) => part[field] !== undefined).length !== 1) {
        return {
          message: `${at}[${number}].data: required oneof field 'data' must have one initialized `
            + 'field\n',
        };
      }
      const named = part.functionResponse ?? part.functionCall;
      if (named && !named.name) {
        const field = part.functionCall ? 'function_call' : 'function_response';
        return { message: `${at}[${number}].${field}.name: Name cannot be empty.\n` };
      }
    }
  }
  return null;
}

/**
 * The responses come in the turn right after the calls, one for each, with the same names.
 * @param {any[]} contents
 * @returns {Complaint | null}
 */
function checkCallOrder(contents) {
  for (let index = 0; index <= contents.length; index++) {
    const calls = index === 0 ? [] : partsWith(contents[index - 1], 'functionCall');
    const responses = partsWith(contents[index], 'functionResponse');
    if (responses.length > 0 && calls.length === 0) {
      return {
        message: 'Please ensure that function response turn comes immediately after a function '
          + 'call turn.',
      };
    }
    const key = (/** @type {any} */ each) => `${each.name} ${each.id ?? ''}`;
    const asked = calls.map((part) => key(part.functionCall)).sort();
    const given = responses.map((part) => key(part.functionResponse)).sort();
    if (asked.join('\n') === given.join('\n')) continue;
    return {
      message: asked.length === given.length
        ? `Please ensure that function responses match the calls: ${asked} against ${given}.`
        : 'Please ensure that the number of function response parts is equal to the number of '
          + 'function call parts of the function call turn.',
    };
  }
  return null;
}

/**
 * The newer models want the signature of the first call of every turn back.
 * @param {any[]} contents
 * @returns {Complaint | null}
 */
function checkSignatures(contents) {
  for (const [index, content] of contents.entries()) {
    const call = partsWith(content, 'functionCall').at(0);
    if (!call || call.thoughtSignature === SIGNATURE_DUMMY) continue;
    if (call.thoughtSignature === callSignature(call.functionCall)) continue;
    return {
      message: call.thoughtSignature ? 'Thought signature is not valid.'
        : 'Function call is missing a thought_signature in functionCall parts. This is required '
          + 'for tools to work correctly, and missing thought_signature may lead to degraded model '
          + `performance. Additional data, function call \`${call.functionCall.name}\` , position `
          + `${index + 1}.`,
    };
  }
  return null;
}

/** @param {{ name: string, args?: unknown }} call */
const callSignature = (call) => signatureOf(`${call.name} ${canonical(call.args ?? {})}`);

/**
 * @param {any} body
 * @param {import('./dialect.mjs').Checked} request
 * @returns {Complaint | null}
 */
function check(body, { model, refuse }) {
  const violation = checkShape(body, BODY);
  if (violation) return inWords(violation);
  const sent = { ...body, ...body.generationConfig };
  const refused = refuse.find((name) => (sent[name] ?? null) !== null);
  if (refused) return { message: `${refused} is not enabled for models/${model}` };
  return checkSchemas(body) ?? checkContents(body.contents) ?? checkCallOrder(body.contents)
    ?? (model.includes('reasoner') ? checkSignatures(body.contents) : null);
}

// From the request to the prompt

/** @param {any} value */
const resultText = (value) => {
  const keys = Object.keys(value ?? {});
  const only = keys.length === 1 ? value[keys[0]] : undefined;
  return typeof only === 'string' ? only : JSON.stringify(value ?? {});
};

/** @param {any[]} contents @returns {Turn[]} */
const turnsOf = (contents) => contents.flatMap(/** @returns {Turn[]} */ (content) => {
  const text = textOf(content.parts.filter((/** @type {any} */ part) => !part.thought));
  if (content.role === 'model') {
    const calls = partsWith(content, 'functionCall').map(({ functionCall: call }) =>
      ({ name: call.name, args: call.args ?? {} }));
    return [{ role: 'assistant', text, calls }];
  }
  const results = partsWith(content, 'functionResponse').map((part) => ({
    role: /** @type {const} */ ('tool'),
    text: resultText(part.functionResponse.response),
    name: part.functionResponse.name,
  }));
  const onlyResults = results.length === content.parts.length;
  return onlyResults ? results : [...results, { role: 'user', text }];
});

/** @param {any} config @returns {import('./model.mjs').Format} */
function formatOf(config) {
  if (config.responseMimeType !== 'application/json') return { type: 'text' };
  const schema = config.responseJsonSchema ?? config.responseSchema;
  return schema ? { type: 'json_schema', schema } : { type: 'json_object' };
}

/** @param {any} body @returns {import('./model.mjs').ToolChoice} */
function choiceOf({ toolConfig }) {
  const { mode, allowedFunctionNames: names } = toolConfig?.functionCallingConfig ?? {};
  if (mode === 'NONE') return { mode: 'none' };
  if (mode !== 'ANY') return { mode: 'auto' };
  return names?.length === 1 ? { mode: 'named', name: names[0] } : { mode: 'required' };
}

/** @param {any} body @returns {Prompt} */
function read(body) {
  const config = body.generationConfig ?? {};
  const media = body.contents.flatMap((/** @type {any} */ content) => [
    ...partsWith(content, 'inlineData').map(({ inlineData: { mimeType, data } }) =>
      ({ mime: mimeType, said: mediaOf(mimeType, data) })),
    ...partsWith(content, 'fileData').map(({ fileData: { mimeType, fileUri } }) =>
      ({ mime: mimeType ?? 'image/', said: `url:${fileUri}` })),
  ]);
  const isImage = (/** @type {any} */ each) => each.mime.startsWith('image/');
  const declared = (body.tools ?? []).flatMap((/** @type {any} */ tool) =>
    tool.functionDeclarations ?? []);
  return {
    dialect: 'gemini',
    system: (body.systemInstruction?.parts ?? []).map((/** @type {any} */ part) => part.text ?? '')
      .join('\n\n'),
    messages: body.contents.length,
    turns: turnsOf(body.contents),
    images: media.filter(isImage).map((/** @type {any} */ each) => each.said),
    files: media.filter((/** @type {any} */ each) => !isImage(each))
      .map((/** @type {any} */ each) => each.said),
    tools: declared.map((/** @type {any} */ each) =>
      ({ name: each.name, schema: each.parametersJsonSchema ?? each.parameters })),
    tool_choice: choiceOf(body),
    parallel_tool_calls: true,
    response_format: formatOf(config),
    reasoning: config.thinkingConfig?.includeThoughts === true,
    stop: listOf(config.stopSequences),
    max_tokens: config.maxOutputTokens ?? undefined,
    settings: settingsOf(config, {
      temperature: 'temperature',
      topP: 'top_p',
      topK: 'top_k',
      seed: 'seed',
      presencePenalty: 'presence_penalty',
      frequencyPenalty: 'frequency_penalty',
    }),
  };
}

// From the answer to the wire

/**
 * JSON with the blanks the real one has: after a colon, not after a comma.
 * @param {unknown} value
 * @returns {string}
 */
function print(value) {
  if (Array.isArray(value)) return `[${value.map(print).join(',')}]`;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, each]) => each !== undefined);
  return `{${fields.map(([key, each]) => `"${key}": ${print(each)}`).join(',')}}`;
}

/** @param {Answer} answer */
const finishOf = (answer) => ({
  stop: 'STOP', stop_sequence: 'STOP', tool_calls: 'STOP', length: 'MAX_TOKENS',
  content_filter: 'SAFETY',
}[answer.finish]);

/** @param {Writing} writing */
const responseId = (writing) => letters(writing.id, writing.size_bytes > 0 ? 8 : 22);

/**
 * @param {Answer} answer @param {Writing} writing
 * @param {{ parts: object[] | null, finish?: string, output: number, reasoning: number }} so_far
 * @param {string} [id]
 */
const response = (answer, writing, { parts, finish, output, reasoning }, id) => ({
  candidates: [{
    content: parts ? { parts, role: 'model' } : { role: 'model' },
    finishReason: finish,
    index: 0,
  }],
  usageMetadata: {
    promptTokenCount: answer.usage.input,
    candidatesTokenCount: output > 0 ? output : undefined,
    totalTokenCount: answer.usage.input + output + reasoning,
    promptTokensDetails: writing.size_bytes > 0 ? undefined
      : [{ modality: 'TEXT', tokenCount: answer.usage.input }],
    thoughtsTokenCount: reasoning > 0 ? reasoning : undefined,
  },
  modelVersion: answer.model,
  responseId: id ?? responseId(writing),
});

/** @param {Answer} answer @param {Writing} writing @returns {object[]} */
function callParts(answer, writing) {
  const newer = answer.model.includes('reasoner');
  // A call the limit cut into is not sent at all.
  const calls = answer.calls.filter((call) =>
    call.fragments.join('') === JSON.stringify(call.args));
  return calls.map((call, index) => ({
    functionCall: {
      name: call.name,
      args: call.args,
      id: newer ? letters(`${writing.id} call ${index}`, 8).toLowerCase() : undefined,
    },
    thoughtSignature: newer && index === 0 ? callSignature(call) : undefined,
  }));
}

/**
 * The answer in steps, each with what was counted until then.
 * @param {Answer} answer @param {Writing} writing
 */
function stepsOf(answer, writing) {
  /** @type {{ parts: object[] | null, finish?: string, output: number, reasoning: number }[]} */
  const steps = [];
  for (const [index, token] of answer.reasoning.entries()) {
    steps.push({ parts: [{ text: token, thought: true }], output: 0, reasoning: index + 1 });
  }
  const { reasoning, output } = answer.usage;
  for (const [index, token] of answer.text.entries()) {
    steps.push({ parts: [{ text: token }], output: index + 1, reasoning });
  }
  const calls = callParts(answer, writing);
  if (calls.length > 0) steps.push({ parts: calls, output, reasoning });
  if (answer.reasoning.length > 0 && calls.length === 0 && answer.text.length > 0) {
    const thoughtSignature = signatureOf(answer.text.join(''));
    steps.push({ parts: [{ text: '', thoughtSignature }], output, reasoning });
  }
  const last = steps.at(-1);
  const silent = !last || (answer.text.length === 0 && calls.length === 0);
  if (silent) steps.push({ parts: null, finish: finishOf(answer), output, reasoning });
  else last.finish = finishOf(answer);
  return steps;
}

/** @param {unknown} value @param {number} size_bytes */
function sse(value, size_bytes) {
  const text = `data: ${print(value)}`;
  const padding = Math.max(0, size_bytes - Buffer.byteLength(text) - 4);
  return `${text.slice(0, -1)}${' '.repeat(padding)}}\r\n\r\n`;
}

/** @param {Answer} answer @param {Writing} writing @returns {Event[]} */
function stream(answer, writing) {
  const steps = stepsOf(answer, writing);
  const id = responseId(writing);
  return steps.map((step, index) => {
    const value = response(answer, writing, step, id);
    const filled = step.parts?.some((part) => /** @type {any} */ (part).text !== '') ?? false;
    const text = !writing.array ? sse(value, writing.size_bytes)
      : `${index === 0 ? '[' : ',\r\n'}${JSON.stringify(value, null, 2)}`
        + `${index === steps.length - 1 ? ']' : '\n'}`;
    return { text, content: filled };
  });
}

/** @param {Answer} answer @param {Writing} writing */
function whole(answer, writing) {
  const { reasoning, output } = answer.usage;
  const newer = answer.reasoning.length > 0;
  const text = answer.text.join('');
  const signature = newer ? signatureOf(text) : undefined;
  const parts = [
    ...(newer ? [{ text: answer.reasoning.join(''), thought: true }] : []),
    ...(text === '' ? [] : [{ text, thoughtSignature: signature }]),
    ...callParts(answer, writing),
  ];
  return response(answer, writing, {
    parts: parts.length > 0 ? parts : null, finish: finishOf(answer), output, reasoning,
  });
}

/** @type {import('./dialect.mjs').Dialect} */
export const gemini = {
  name: 'gemini',
  prefix: 'gemini',
  key_header: 'x-goog-api-key',
  endpoint: (method, target) => {
    // An engine's arguments hold a `?` that not every client escapes: the verb is looked for last.
    const pattern = /^\/gemini\/v1beta\/models\/(.+):(generate|streamGenerate)Content(?:\?(.*))?$/s;
    const found = method === 'POST' ? pattern.exec(target) : null;
    if (!found) return null;
    const stream = found[2] === 'streamGenerate';
    const array = stream && new URLSearchParams(found[3] ?? '').get('alt') !== 'sse';
    return { operation: 'chat', model: decodeURIComponent(found[1]), stream, array };
  },
  models: () => ({}),
  check,
  read,
  stream,
  whole,
  terminates: false,
  terminal: (answer, writing) => sse(response(answer, writing, {
    ...answer.usage, parts: null, finish: finishOf(answer),
  }), 0),
  inBand: (refusal) => sse(JSON.parse(refusal.body), 0),
  garbage: (text) => `data: {"candidates": [{"content": {"parts": [{"text": "${text}\r\n\r\n`,
  ping: 'data: {"candidates": [{"content": {"parts": [{"text": ""}],"role": "model"},"index": 0}]}'
    + '\r\n\r\n',
  unknown: [
    'data: {"usageMetadata": {"promptTokenCount": 1},"future": [1,{"nested": null}]}\r\n\r\n',
    ': a comment\r\nid: 42\r\nretry: 3000\r\n\r\n',
    'data: {"candidates": [{"content": {"parts": [{"futurePart": {"unread": true}}],'
      + '"role": "model"},"index": 0}]}\r\n\r\n',
  ],
  headers: () => ({ 'server-timing': 'gfet4t7; dur=12' }),
};
