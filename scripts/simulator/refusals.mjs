/**
 * The error responses of the three providers: for each kind of refusal the status, headers and
 * body that the real one sends. What a router must tell apart often stands only in the body.
 */

import { letters, maskKey } from './dialect.mjs';

/**
 * @typedef {import('./dialect.mjs').Refusal} Refusal
 * @typedef {import('./dialect.mjs').Complaint} Complaint
 *
 * @typedef {'rate_limited' | 'insufficient_quota' | 'overloaded' | 'server' | 'unauthorized'
 *   | 'forbidden' | 'not_found' | 'context_too_long' | 'content_filter' | 'bad_request'
 *   | 'too_large' | 'no_route'} Kind
 *
 * @typedef {object} Details
 * @property {string} id
 * @property {string} model
 * @property {string} key
 * @property {number} now_ms
 * @property {number} [retry_after_ms]
 * @property {boolean} [in_milliseconds]   also give the wait more exactly than in seconds
 * @property {Complaint} [complaint]
 * @property {number} [status]             in place of the usual one
 * @property {string} [code]               in place of the usual one
 *
 * @typedef {[status: number, body: any, headers?: Record<string, string>]} Row
 * @typedef {Record<Kind, (details: Details) => Row>} Rows
 */

const WAIT_MS_DEFAULT = 20_000;

/** @param {Details} details */
const waitOf = (details) => details.retry_after_ms ?? WAIT_MS_DEFAULT;

/** @param {Details} details @returns {Record<string, string>} */
const retryHeaders = (details) => ({
  'retry-after': String(Math.ceil(waitOf(details) / 1000)),
  ...(details.in_milliseconds ? { 'retry-after-ms': String(waitOf(details)) } : {}),
});

/** @param {Details} details @param {Complaint} otherwise */
const complaintOf = (details, otherwise) => details.complaint ?? otherwise;

// OpenAI

/**
 * @param {string} message @param {string | null} type
 * @param {string | null} [code] @param {string | null} [param]
 */
const openaiError = (message, type, code = null, param = null) =>
  ({ error: { message, type, param, code } });

/** @type {Rows} */
const OPENAI = {
  rate_limited: (details) => {
    const wait = waitOf(details);
    const text = wait < 1000 ? `${wait}ms` : `${wait / 1000}s`;
    return [429, openaiError(`Rate limit reached for ${details.model} in organization `
      + 'org-simulated on requests per min (RPM): Limit 3, Used 3, Requested 1. Please try again '
      + `in ${text}. Visit https://platform.openai.com/account/rate-limits to learn more.`,
    'requests', 'rate_limit_exceeded'), {
      ...retryHeaders(details),
      'x-ratelimit-limit-requests': '3',
      'x-ratelimit-remaining-requests': '0',
      'x-ratelimit-reset-requests': text,
    }];
  },
  insufficient_quota: () => [429, openaiError('You exceeded your current quota, please check your '
    + 'plan and billing details. For more information on this error, read the docs: '
    + 'https://platform.openai.com/docs/guides/error-codes/api-errors.',
  'insufficient_quota', 'insufficient_quota')],
  overloaded: () => [503, openaiError('That model is currently overloaded with other requests. You '
    + 'can retry your request, or contact us through our help center if the error persists.',
  'server_error')],
  server: () => [500, openaiError('The server had an error while processing your request. Sorry '
    + 'about that!', 'server_error')],
  unauthorized: ({ key }) => [401, key === '' ? openaiError('You didn\'t provide an API key. You '
    + 'need to provide your API key in an Authorization header using Bearer auth (i.e. '
    + 'Authorization: Bearer YOUR_KEY).', 'invalid_request_error')
    : openaiError(`Incorrect API key provided: ${maskKey(key)}. You can find your API key at `
    + 'https://platform.openai.com/account/api-keys.', 'invalid_request_error', 'invalid_api_key')],
  forbidden: () => [403, openaiError('You are not allowed to sample from this model',
    'invalid_request_error')],
  not_found: ({ model }) => [404, openaiError(`The model \`${model}\` does not exist or you do not `
    + 'have access to it.', 'invalid_request_error', 'model_not_found')],
  context_too_long: () => [400, openaiError('This model\'s maximum context length is 8192 tokens. '
    + 'However, your messages resulted in 9001 tokens. Please reduce the length of the messages.',
  'invalid_request_error', 'context_length_exceeded', 'messages')],
  content_filter: () => [400, openaiError('The response was filtered due to the prompt triggering '
    + 'the content management policy. Please modify your prompt and retry.',
  'invalid_request_error', 'content_filter', 'prompt')],
  bad_request: (details) => {
    const { message, param, code } = complaintOf(details, { message: 'Invalid request.' });
    return [400, openaiError(message, 'invalid_request_error', code, param)];
  },
  too_large: () => [413, openaiError('Request body is too large.', 'invalid_request_error',
    'request_too_large')],
  no_route: () => [404, openaiError('Invalid URL', 'invalid_request_error')],
};

// Anthropic

/** @param {Details} details @param {string} type @param {string} message */
const anthropicError = (details, type, message) => ({
  type: 'error',
  error: { type, message },
  request_id: `req_${letters(details.id, 24)}`,
});

const RETRY = { 'x-should-retry': 'true' };
const NO_RETRY = { 'x-should-retry': 'false' };

/** @type {Rows} */
const ANTHROPIC = {
  rate_limited: (details) => [429, anthropicError(details, 'rate_limit_error', 'This request would '
    + 'exceed your organization\'s rate limit of 50 requests per minute. For details, refer to: '
    + 'https://docs.claude.com/en/api/rate-limits.'), {
    ...RETRY,
    ...retryHeaders(details),
    'anthropic-ratelimit-requests-limit': '50',
    'anthropic-ratelimit-requests-remaining': '0',
    'anthropic-ratelimit-requests-reset':
      new Date(details.now_ms + waitOf(details)).toISOString().replace(/\.\d+/, ''),
  }],
  insufficient_quota: (details) => (details.status === 402
    ? [402, anthropicError(details, 'billing_error', 'There is an issue with your payment '
      + 'information. Please update your billing information.'), NO_RETRY]
    : [400, anthropicError(details, 'invalid_request_error', 'Your credit balance is too low to '
      + 'access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.'),
    NO_RETRY]),
  overloaded: (details) => [529, anthropicError(details, 'overloaded_error', 'Overloaded'), RETRY],
  server: (details) => [500, anthropicError(details, 'api_error', 'Internal server error'), RETRY],
  unauthorized: (details) => [401, anthropicError(details, 'authentication_error',
    details.key === '' ? 'x-api-key header is required' : 'invalid x-api-key'), NO_RETRY],
  forbidden: (details) => [403, anthropicError(details, 'permission_error', 'Your API key does not '
    + 'have permission to use the specified resource.'), NO_RETRY],
  not_found: (details) => [404, anthropicError(details, 'not_found_error',
    `model: ${details.model}`), NO_RETRY],
  context_too_long: (details) => [400, anthropicError(details, 'invalid_request_error',
    'prompt is too long: 204821 tokens > 200000 maximum'), NO_RETRY],
  content_filter: (details) => [400, anthropicError(details, 'invalid_request_error',
    'Output blocked by content filtering policy'), NO_RETRY],
  bad_request: (details) => [400, anthropicError(details, 'invalid_request_error',
    complaintOf(details, { message: 'Invalid request' }).message), NO_RETRY],
  too_large: (details) => [413, anthropicError(details, 'request_too_large',
    'Request exceeds the maximum size'), NO_RETRY],
  no_route: (details) => [404, anthropicError(details, 'not_found_error', 'Not found'), NO_RETRY],
};

// Gemini

const GOOGLE = 'type.googleapis.com/google.rpc.';

/**
 * @param {number} code @param {string} status @param {string} message
 * @param {object[]} [details]
 */
const geminiError = (code, status, message, details) =>
  ({ error: { code, message, status, ...(details ? { details } : {}) } });

const GEMINI_QUOTA = 'You exceeded your current quota, please check your plan and billing details. '
  + 'For more information on this error, head to: '
  + 'https://ai.google.dev/gemini-api/docs/rate-limits.';

const GEMINI_BAD_KEY = 'API key not valid. Please pass a valid API key.';

/** @param {string} model @param {string} period */
const quotaFailure = (model, period) => ({
  '@type': `${GOOGLE}QuotaFailure`,
  violations: [{
    quotaMetric: 'generativelanguage.googleapis.com/generate_content_free_tier_requests',
    quotaId: `GenerateRequests${period}PerProjectPerModel-FreeTier`,
    quotaDimensions: { location: 'global', model },
    quotaValue: '10',
  }],
});

/** @type {Rows} */
const GEMINI = {
  // The wait stands in the body only: no header says it.
  rate_limited: (details) => {
    const seconds = waitOf(details) / 1000;
    return [429, geminiError(429, 'RESOURCE_EXHAUSTED',
      `${GEMINI_QUOTA}\nPlease retry in ${seconds}s.`, [
        quotaFailure(details.model, 'PerMinute'),
        { '@type': `${GOOGLE}RetryInfo`, retryDelay: `${seconds}s` },
      ])];
  },
  insufficient_quota: (details) => [429, geminiError(429, 'RESOURCE_EXHAUSTED', GEMINI_QUOTA,
    [quotaFailure(details.model, 'PerDay')])],
  overloaded: () => [503, geminiError(503, 'UNAVAILABLE',
    'The model is overloaded. Please try again later.')],
  server: () => [500, geminiError(500, 'INTERNAL', 'An internal error has occurred. Please retry '
    + 'or report in https://developers.generativeai.google/guide/troubleshooting')],
  unauthorized: ({ key }) => (key === ''
    ? [403, geminiError(403, 'PERMISSION_DENIED', 'Method doesn\'t allow unregistered callers '
      + '(callers without established identity). Please use API Key or other form of API consumer '
      + 'identity to call this API.')]
    : [400, geminiError(400, 'INVALID_ARGUMENT', GEMINI_BAD_KEY, [
      {
        '@type': `${GOOGLE}ErrorInfo`,
        reason: 'API_KEY_INVALID',
        domain: 'googleapis.com',
        metadata: { service: 'generativelanguage.googleapis.com' },
      },
      {
        '@type': `${GOOGLE}LocalizedMessage`,
        locale: 'en-US',
        message: GEMINI_BAD_KEY,
      },
    ])]),
  forbidden: () => [403, geminiError(403, 'PERMISSION_DENIED',
    'The caller does not have permission')],
  not_found: ({ model }) => [404, geminiError(404, 'NOT_FOUND', `models/${model} is not found for `
    + 'API version v1beta, or is not supported for generateContent. Call ModelService.ListModels '
    + 'to see the list of available models and their supported methods.')],
  context_too_long: () => [400, geminiError(400, 'INVALID_ARGUMENT', 'The input token count '
    + '(1250000) exceeds the maximum number of tokens allowed (1048576).')],
  // A blocked prompt is no error: a 200 without candidates.
  content_filter: ({ id, model }) => [200, {
    promptFeedback: { blockReason: 'PROHIBITED_CONTENT' },
    usageMetadata: {
      promptTokenCount: 8,
      totalTokenCount: 8,
      promptTokensDetails: [{ modality: 'TEXT', tokenCount: 8 }],
    },
    modelVersion: model,
    responseId: letters(id, 22),
  }],
  bad_request: (details) => {
    const otherwise = { message: 'Request contains an invalid argument.' };
    const { message, param } = complaintOf(details, otherwise);
    return [400, geminiError(400, 'INVALID_ARGUMENT', message, param === undefined ? undefined : [{
      '@type': `${GOOGLE}BadRequest`,
      fieldViolations: [{ ...(param ? { field: param } : {}), description: message }],
    }])];
  },
  too_large: () => [413, '<!DOCTYPE html>\n<html lang=en>\n<title>Error 413 (Request Entity Too '
    + 'Large)!!1</title>\n<p><b>413.</b> <ins>That’s an error.</ins>\n<p>Your client issued a '
    + 'request that was too large.\n'],
  no_route: () => [404, ''],
};

/** @type {Record<string, Rows>} */
const PROVIDERS = { openai_chat: OPENAI, anthropic: ANTHROPIC, gemini: GEMINI };

/** @param {string} dialect @param {Kind} kind @param {Details} details @returns {Refusal} */
export function refusalOf(dialect, kind, details) {
  const rows = PROVIDERS[dialect];
  if (!Object.hasOwn(rows, kind)) throw new Error(`Simulator: there is no refusal "${kind}"`);
  const [status, body, headers = {}] = rows[kind](details);
  if (details.code && body.error && 'code' in body.error) body.error.code = details.code;
  const html = typeof body === 'string';
  return {
    status: details.status ?? status,
    headers: { 'content-type': html ? 'text/html; charset=UTF-8' : 'application/json', ...headers },
    body: html ? body : `${JSON.stringify(body, null, 2)}\n`,
  };
}
