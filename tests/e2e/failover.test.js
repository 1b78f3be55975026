/**
 * Everything that the simulated providers can get wrong, on the first engine of a chain of two. As
 * long as the client has nothing of an answer it gets the whole answer of the other engine and the
 * headers tell why; after that it gets an error, never something that looks finished.
 */

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import OpenAI, {
  APIError, AuthenticationError, BadRequestError, InternalServerError, NotFoundError,
  RateLimitError,
} from 'openai';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { FAULTS } from '../../scripts/simulator/faults.mjs';
import { numberedWords } from '../../scripts/simulator/model.mjs';
import {
  DIALECTS, MODES, ask, attemptsOf, engineOf, engineOfAnswer, healthyOf, open, startUpstream,
  stream,
} from './support/chats.js';
import { startWorker } from './support/worker.js';

/** @import { Body, Dialect } from './support/chats.js' */

const TIMEOUT = { timeout: 120_000 };
/** Deadlines that find a silent engine soon, one each: the healthy engine has to meet it, too. */
const HEADERS = { timeouts: { headers_ms: 1500 } };
const CONTENT = { timeouts: { first_content_ms: 700 } };
const IDLE = { timeouts: { idle_ms: 700 } };

/**
 * Before the first content: what the fault is read as, in docs/FAILURES.md's words, or by dialect
 * where the providers differ. `policy`: with which it is found soon.
 * @type {[fault: string, kind: string | Partial<Record<Dialect, string>>, policy?: object][]}
 */
const SURVIVABLE = [
  ['rate_limited', 'rate_limited'],
  ['rate_limited_ms', 'rate_limited'],
  ['rate_limited_by', 'rate_limited'],
  // Gemini says the same words for a minute's limit and for a day's.
  ['insufficient_quota', {
    openai: 'quota_exhausted', anthropic: 'quota_exhausted', gemini: 'rate_limited',
  }],
  ['overloaded', 'overloaded'],
  ['server', 'server'],
  ['not_found', 'model_not_found'],
  // What these say with a 403 is about the model, what Gemini says is about nothing.
  ['forbidden', { openai: 'model_not_found', anthropic: 'model_not_found', gemini: 'server' }],
  ['context_too_long', 'context_too_long'],
  ['too_large', 'too_large'],
  ['bad_gateway_html', 'server'],
  ['reset', 'network'],
  ['silence', 'timeout', HEADERS],
  ['slow_headers&ms=20000', 'timeout', HEADERS],
  ['slow_first&ms=20000', 'timeout', CONTENT],
  ['pings_only&every_ms=20', 'timeout', CONTENT],
  ['cut_head', 'network'],
  ['cut_head&rst=1', 'network'],
  ['cut&after=-1', 'network'],
  ['cut_at&bytes=0', 'network'],
  ['cut&after=0', 'network'],
  ['cut&after=0&rst=1', 'network'],
  ['cut_clean&after=-1', 'network'],
  ['cut_clean&after=0', 'network'],
  ['stall&after=-1', 'timeout', CONTENT],
  ['stall&after=0', 'timeout', CONTENT],
  ['error_inside', 'overloaded'],
  ['error_inside&kind=server', 'server'],
  ['error_inside&kind=rate_limited', 'rate_limited'],
  ['error_inside&kind=context_too_long', 'context_too_long'],
  ['error_after&after=0', 'overloaded'],
  ['empty', 'empty'],
  ['not_a_stream', 'protocol'],
  ['bad_json&after=0', 'protocol'],
  ['oversized&bytes=9000000', 'protocol'],
];

/** What only the client, or the operator, can mend: told at once, no other engine is asked.
 * @type {[fault: string, type: Function, status: number, code: string, outcome: string,
 *   policy: object | null, dialects: readonly Dialect[]][]} */
const TERMINAL = [
  ['bad_request', BadRequestError, 400, 'invalid_request', 'bad_request', null, DIALECTS],
  ['content_filter', BadRequestError, 400, 'content_filter', 'content_filter',
    { on_content_filter: 'next' }, DIALECTS],
  ['filtered&after=0', BadRequestError, 400, 'content_filter', 'content_filter',
    { on_content_filter: 'next' }, DIALECTS],
  ['unauthorized', AuthenticationError, 401, 'provider_auth_failed', 'auth',
    { on_auth_error: 'next' }, DIALECTS],
];

/** After three words: the error's code, for a client that streams.
 * @type {[fault: string, kind: string, code: string, policy?: object][]} */
const LATE = [
  ['cut', 'network', 'network_error'],
  ['cut&rst=1', 'network', 'network_error'],
  ['cut_clean', 'network', 'network_error'],
  ['stall', 'timeout', 'timeout', IDLE],
  ['error_after', 'overloaded', 'overloaded'],
  ['bad_json', 'protocol', 'protocol_error'],
];
/** Apart from one another: what comes in one piece with an error is not told to the client. */
const WORDS = '&after=3&interval_ms=20';

/** Strange, and still a whole answer. */
const HARMLESS = [
  'slow_headers&ms=50', 'slow_first&ms=50', 'drip&bytes=1', 'split&seed=7&max=64',
  'bursts&n=4&ms=5', 'missing_terminator', 'double_terminator', 'goes_on', 'unknown_events',
  'not_a_stream&type=json',
];

/** When no engine is left: how the client is told.
 * @type {[fault: string, type: Function, status: number, code: string][]} */
const HOPELESS = [
  ['rate_limited&retry_after=7', RateLimitError, 429, 'rate_limit_exceeded'],
  ['insufficient_quota', RateLimitError, 429, 'insufficient_quota'],
  ['overloaded', InternalServerError, 503, 'overloaded'],
  ['server', InternalServerError, 502, 'upstream_error'],
  ['reset', InternalServerError, 502, 'network_error'],
  ['not_a_stream', InternalServerError, 502, 'protocol_error'],
  ['silence', InternalServerError, 504, 'timeout'],
  ['not_found', NotFoundError, 404, 'model_not_found'],
  ['context_too_long', BadRequestError, 400, 'context_length_exceeded'],
  ['too_large', APIError, 413, 'request_too_large'],
];

/** A larger window than any other's. */
const ROOMY = healthyOf('gemini');

/** @type {Awaited<ReturnType<typeof startUpstream>>} */
let upstream;
/** @type {import('./support/worker.js').Worker} */
let worker;
/** @type {OpenAI} */
let client;

before(async () => {
  upstream = await startUpstream();
  const config = simulatorConfig(upstream.url);
  const row = { ...config.engines['sim-openai:steady'], context_window: 8000 };
  const roomy = { ...row, context_window: 1_000_000 };
  worker = await startWorker({
    config: {
      ...config,
      engines: {
        ...config.engines,
        'sim-openai:small?fault=context_too_long': row,
        'sim-gemini:small': row,
        [ROOMY.id]: roomy,
      },
    },
  });
  client = worker.client();
});

after(async () => {
  await worker?.stop();
  await upstream?.close();
});

/** One that plays a fault, and says nine numbered words. @param {Dialect} dialect
 * @param {string} fault */
const faultyOf = (dialect, fault) => engineOf(dialect, `fault=${fault}&tokens=9`);

/** @param {Dialect} dialect @returns {Dialect} */
const another = (dialect) => DIALECTS[(DIALECTS.indexOf(dialect) + 1) % DIALECTS.length];

/** Asks in one of the two ways. @param {boolean} streamed @param {Body} body */
async function answerTo(streamed, body) {
  if (!streamed) return ask(client, body);
  const answer = await stream(client, body);
  assert.ifError(answer.error);
  return answer;
}

/** The error of a request that is not answered. @param {boolean} streamed @param {Body} body */
async function refusalOf(streamed, body) {
  try {
    await (streamed ? open(client, body) : ask(client, body));
  } catch (error) {
    return /** @type {APIError} */ (error);
  }
  throw new Error('there was an answer');
}

const label = (/** @type {boolean} */ streamed) => (streamed ? 'streamed' : 'not streamed');

test('the first request anyone sends: the first engine is rate limited, the next streams', TIMEOUT,
  async () => {
    const body = { model: 'standard', stream_options: { include_usage: true } };
    const answer = await answerTo(true, body);
    assert.match(answer.text, /^Hello from steady, a simulated engine behind the anthropic /);
    assert.equal(answer.finish, 'stop');
    assert.equal(engineOfAnswer(answer.headers), 'sim-anthropic:steady');
    assert.deepEqual(attemptsOf(answer.headers), [
      ['sim-openai:unstable', 'rate_limited'], ['sim-anthropic:steady', 'ok'],
    ]);
    assert.match(answer.headers.get('server-timing') ?? '',
      /^attempt;desc="sim-openai:unstable rate_limited";dur=\d+, .*total;dur=\d+$/);
    // It cools now, and is not asked again.
    const next = await answerTo(false, { model: 'standard' });
    assert.deepEqual(attemptsOf(next.headers), [['sim-anthropic:steady', 'ok']]);
    assert.equal(upstream.of('unstable').length, 1);
    const health = /** @type {any} */ (await (await fetch(`${worker.url}/health`)).json());
    assert.ok(health.cooling['sim-openai:unstable'].ms > 10_000);
  });

test('every fault of the simulator is in a table here', () => {
  const named = [
    ...SURVIVABLE.map(([fault]) => fault), ...TERMINAL.map(([fault]) => fault),
    ...LATE.map(([fault]) => fault), ...HARMLESS, 'oversized', 'filtered',
  ].map((fault) => fault.split('&')[0]);
  assert.deepEqual([...new Set(named)].sort(), Object.keys(FAULTS).sort());
});

describe('before the first content the next engine answers', { concurrency: 8, ...TIMEOUT }, () => {
  for (const [fault, kinds, policy = {}] of SURVIVABLE) {
    for (const dialect of DIALECTS) {
      const kind = typeof kinds === 'string' ? kinds : kinds[dialect];
      if (kind === undefined) continue;
      test(`${fault}, ${dialect}`, async () => {
        for (const streamed of [true, false]) {
          const faulty = faultyOf(dialect, fault);
          /** @type {typeof ROOMY} */
          const healthy = kind === 'context_too_long' ? ROOMY : healthyOf(another(dialect));
          const answer = await answerTo(streamed, {
            model: faulty.id, spillway: { ...policy, chain: [faulty.id, healthy.id] },
          });
          assert.equal(answer.text, healthy.text, label(streamed));
          assert.equal(answer.finish, 'stop');
          assert.equal(engineOfAnswer(answer.headers), healthy.id);
          assert.deepEqual(attemptsOf(answer.headers), [[faulty.id, kind], [healthy.id, 'ok']]);
          assert.equal(upstream.of(faulty.model).length, 1);
        }
      });
    }
  }
});

describe('what no other engine would mend is told at once', { concurrency: 8, ...TIMEOUT }, () => {
  for (const [fault, type, status, code, outcome, policy, dialects] of TERMINAL) {
    for (const dialect of dialects) {
      test(`${fault}, ${dialect}`, async () => {
        for (const streamed of [true, false]) {
          const faulty = faultyOf(dialect, fault);
          const healthy = healthyOf(another(dialect));
          const chain = [faulty.id, healthy.id];
          const error = await refusalOf(streamed, { model: faulty.id, spillway: { chain } });
          assert.ok(error instanceof type, `${label(streamed)}: ${error}`);
          assert.equal(error.status, status);
          assert.equal(error.code, code);
          assert.ok(error.message.includes(faulty.id), error.message);
          const headers = /** @type {Headers} */ (error.headers);
          assert.deepEqual(attemptsOf(headers), [[faulty.id, outcome]]);
          assert.equal(upstream.of(healthy.model).length, 0);
          if (!policy) continue;
          const again = faultyOf(dialect, fault);
          const spillway = { ...policy, chain: [again.id, healthy.id] };
          const answer = await answerTo(streamed, { model: again.id, spillway });
          assert.equal(answer.text, healthy.text);
          assert.deepEqual(attemptsOf(answer.headers), [[again.id, outcome], [healthy.id, 'ok']]);
        }
      });
    }
  }

  test('a bad request names its field, and the message is the provider\'s', async () => {
    for (const dialect of DIALECTS) {
      const { id } = engineOf(dialect, 'fault=bad_request&param=top_p');
      const error = await refusalOf(true, { model: id });
      assert.match(error.message, /Invalid 'top_p': decimal above maximum value\./);
      assert.equal(error.type, 'invalid_request_error');
      // Only OpenAI's own name is the client's too.
      assert.equal(error.param || null, dialect === 'openai' ? 'top_p' : null);
    }
  });
});

describe('when no engine is left', { concurrency: 8, ...TIMEOUT }, () => {
  for (const [fault, type, status, code] of HOPELESS) {
    test(`${fault}: ${status} ${code}`, async () => {
      for (const streamed of [true, false]) {
        const faulty = [faultyOf('openai', fault), faultyOf('anthropic', fault)];
        const chain = faulty.map(({ id }) => id);
        const spillway = { ...(fault === 'silence' ? HEADERS : {}), chain };
        const error = await refusalOf(streamed, { model: chain[0], spillway });
        assert.ok(error instanceof type, `${label(streamed)}: ${error}`);
        assert.equal(error.status, status);
        assert.equal(error.code, code);
        const headers = /** @type {Headers} */ (error.headers);
        const attempts = attemptsOf(headers);
        // An engine whose window nobody knows may be larger.
        assert.deepEqual(attempts.map(([engine]) => engine), chain);
        assert.equal(headers.get('retry-after'), status === 429 && code[0] === 'r' ? '7' : null);
        assert.equal(error.requestID, headers.get('x-request-id'));
        const { message } = error;
        for (const id of chain) assert.ok(message.includes(id), message);
      }
    });
  }

  test('empty: the answer, when no engine says more', async () => {
    for (const streamed of [true, false]) {
      const chain = ['openai', 'anthropic', 'gemini'].map((dialect) =>
        faultyOf(/** @type {Dialect} */ (dialect), 'empty').id);
      const answer = await answerTo(streamed, { model: chain[0], spillway: { chain } });
      assert.equal(answer.text, '', label(streamed));
      const kinds = attemptsOf(answer.headers).map(([, kind]) => kind);
      assert.deepEqual(kinds, ['empty', 'empty', 'ok']);
    }
  });

  test('the most useful failure is the answer', async () => {
    const chain = ['server', 'context_too_long', 'overloaded'].map((fault, index) =>
      engineOf(DIALECTS[index], `fault=${fault}`).id);
    const error = await refusalOf(true, {
      model: 'standard', spillway: { chain: [chain[0], chain[2], chain[1]] },
    });
    assert.equal(error.code, 'context_length_exceeded');
    assert.deepEqual(attemptsOf(/** @type {Headers} */ (error.headers)).map(([, kind]) => kind),
      ['server', 'overloaded', 'context_too_long']);
  });

  test('the client does not ask again by itself when credit is out', async () => {
    const { id, model } = engineOf('openai', 'fault=insufficient_quota');
    const eager = worker.client({ maxRetries: 2 });
    await assert.rejects(ask(eager, { model: id }), RateLimitError);
    assert.equal(upstream.of(model).length, 1);
  });
});

describe('after the first content', { concurrency: 8, ...TIMEOUT }, () => {
  for (const [fault, kind, code, policy = {}] of LATE) {
    for (const { mode, dialect, include_usage } of MODES) {
      test(`${fault}, ${dialect}, ${mode}: the client's stream throws`, async () => {
        const faulty = faultyOf(dialect, fault + WORDS);
        const healthy = healthyOf(another(dialect));
        const answer = await stream(client, {
          model: faulty.id, stream_options: { include_usage },
          spillway: { ...policy, chain: [faulty.id, healthy.id], rescue: false },
        });
        const delivered = numberedWords(faulty.name, 3).join('');
        // A reset throws away what is still on the wire.
        if (fault.includes('rst=1')) assert.ok(delivered.startsWith(answer.text), answer.text);
        else assert.equal(answer.text, delivered);
        assert.equal(answer.finish, null);
        assert.equal(upstream.of(healthy.model).length, 0);
        // A spliced stream comes as the provider sent it, its errors too, and the client may have
        // left when the router reads its copy of them.
        const own = mode === 'splice' && (kind === 'protocol' || kind === 'overloaded');
        const type = own && kind === 'protocol' ? SyntaxError : APIError;
        assert.ok(answer.error instanceof type, String(answer.error));
        assert.ok(answer.error.message.length > 10, answer.error.message);
        const id = answer.headers.get('x-request-id');
        const event = await worker.events.find((each) => each.request_id === id);
        assert.equal(event.mode, mode);
        if (own) return assert.match(event.outcome, /^(cut|client_closed)$/);
        assert.equal(/** @type {any} */ (answer.error).code, code);
        assert.equal(event.outcome, 'cut');
        assert.equal(event.attempts.at(-1).outcome, kind);
      });
    }

    for (const { mode, dialect, include_usage } of MODES) {
      // What is piped has reached the client before the router reads its copy.
      if (mode === 'splice' && (kind === 'protocol' || kind === 'overloaded')) continue;
      test(`${fault}, ${dialect}, ${mode}: the next engine goes on`, async () => {
        const faulty = faultyOf(dialect, fault + WORDS);
        const healthy = engineOf(another(dialect), 'tokens=9');
        const answer = await stream(client, {
          model: faulty.id, stream_options: { include_usage },
          spillway: { ...policy, chain: [faulty.id, healthy.id] },
        });
        assert.equal(answer.text, numberedWords(faulty.name, 9).join(''));
        assert.equal(answer.finish, 'stop');
        assert.equal(answer.error, undefined);
        assert.equal(upstream.of(healthy.model).length, 1);
        const id = answer.headers.get('x-request-id');
        const event = await worker.events.find((each) => each.request_id === id);
        assert.equal(event.outcome, 'completed');
        assert.equal(event.rescues, 1);
        assert.deepEqual(event.attempts.map((/** @type {any} */ each) => [
          each.engine, each.outcome,
        ]), [[faulty.id, kind], [healthy.id, 'ok']]);
      });
    }

    for (const dialect of DIALECTS) {
      test(`${fault}, ${dialect}, not streamed: the next engine answers`, async () => {
        const faulty = faultyOf(dialect, fault + WORDS);
        const healthy = healthyOf(another(dialect));
        const answer = await ask(client, {
          model: faulty.id, spillway: { ...policy, chain: [faulty.id, healthy.id] },
        });
        assert.equal(answer.text, healthy.text);
        assert.deepEqual(attemptsOf(answer.headers), [[faulty.id, kind], [healthy.id, 'ok']]);
      });
    }
  }

  for (const { mode, dialect, include_usage } of MODES) {
    test(`filtered, ${dialect}, ${mode}: the finish reason says so`, async () => {
      const { id, name } = faultyOf(dialect, 'filtered&after=3');
      const answer = await answerTo(true, { model: id, stream_options: { include_usage } });
      assert.equal(answer.text, numberedWords(name, 3).join(''));
      assert.equal(answer.finish, 'content_filter');
    });
  }
});

describe('strange, and still a whole answer', { concurrency: 8, ...TIMEOUT }, () => {
  for (const fault of [...HARMLESS, 'oversized&bytes=300000']) {
    for (const dialect of DIALECTS) {
      test(`${fault}, ${dialect}`, async () => {
        for (const include_usage of [true, false, null]) {
          const { id, name } = faultyOf(dialect, fault);
          const usage = include_usage === null ? {} : { stream_options: { include_usage } };
          const answer = await answerTo(include_usage !== null, { model: id, ...usage });
          const text = fault.startsWith('oversized') ? 'x'.repeat(300_000)
            : numberedWords(name, 9).join('');
          assert.equal(answer.text, text);
          assert.equal(answer.finish, 'stop');
          assert.deepEqual(attemptsOf(answer.headers), [[id, 'ok']]);
        }
      });
    }
  }
});

describe('policies of one request', { concurrency: 8, ...TIMEOUT }, () => {
  test('a rate limit is waited out on the same engine', async () => {
    const { id, name } = engineOf('openai', 'fault=rate_limited_ms&ms=50&times=1&tokens=3');
    const answer = await answerTo(true, { model: id, spillway: { rate_limit_wait_ms: 5000 } });
    assert.equal(answer.text, numberedWords(name, 3).join(''));
    assert.deepEqual(attemptsOf(answer.headers), [[id, 'rate_limited'], [id, 'ok']]);
  });

  test('an engine gets another attempt', async () => {
    const { id, name } = engineOf('anthropic', 'fault=server&times=1&tokens=2');
    const answer = await answerTo(true, { model: id, spillway: { attempts_per_engine: 2 } });
    assert.equal(answer.text, numberedWords(name, 2).join(''));
    assert.deepEqual(attemptsOf(answer.headers), [[id, 'server'], [id, 'ok']]);
  });

  test('no more attempts than allowed', async () => {
    const chain = [faultyOf('openai', 'server').id, faultyOf('gemini', 'overloaded').id,
      healthyOf('anthropic').id];
    const spillway = { chain, attempts_max: 2 };
    const error = await refusalOf(true, { model: 'standard', spillway });
    assert.equal(error.code, 'overloaded');
    assert.equal(attemptsOf(/** @type {Headers} */ (error.headers)).length, 2);
  });

  test('the whole chat has a deadline', async () => {
    const chain = [faultyOf('openai', 'silence').id, faultyOf('gemini', 'silence').id];
    const timeouts = { headers_ms: 20_000, total_ms: 300 };
    const error = await refusalOf(false, { model: 'standard', spillway: { chain, timeouts } });
    assert.equal(error.status, 504);
    assert.match(error.message, /within 0\.3 s/);
  });

  test('a prompt that is too long goes to a larger window only', async () => {
    const chain = ['sim-openai:small?fault=context_too_long', 'sim-gemini:small',
      'sim-anthropic:steady'];
    const answer = await answerTo(true, { model: 'standard', spillway: { chain } });
    assert.deepEqual(attemptsOf(answer.headers),
      [[chain[0], 'context_too_long'], [chain[2], 'ok']]);
    assert.equal(upstream.of('small').length, 0);
  });

  test('many engines fail, the last one answers', async () => {
    const faults = ['server', 'reset', 'empty', 'not_a_stream', 'cut&after=0', 'too_large'];
    const faulty = faults.map((fault, index) => faultyOf(DIALECTS[index % 3], fault));
    const healthy = healthyOf('openai');
    const chain = [...faulty, healthy].map(({ id }) => id);
    const answer = await answerTo(true, { model: 'bulk', spillway: { chain, attempts_max: 7 } });
    assert.equal(answer.text, healthy.text);
    assert.deepEqual(attemptsOf(answer.headers).map(([, kind]) => kind),
      ['server', 'network', 'empty', 'protocol', 'network', 'too_large', 'ok']);
  });
});
