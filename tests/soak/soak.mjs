/**
 * Many short chats in the real runtime: `npm run soak`.
 *
 * The bundle that is deployed, in workerd; simulated providers on 127.0.0.1, a share of them
 * failing; clients of whom some leave. The chats come in rounds: after each round everything must
 * be over, at the router and at the providers, and the memory is looked at. Every answer is checked
 * word by word. Fails when a word is lost or doubled, when something stays open, or when memory
 * still grows once it is warm.
 */

import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { parseArgs } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { ensureModules } from '../../scripts/lib/machine.mjs';
import { Stop, runMain, say } from '../../scripts/lib/terminal.mjs';
import { simulatorConfig } from '../../scripts/simulator/config.mjs';
import { numberedWords } from '../../scripts/simulator/model.mjs';
import { startSimulator } from '../../scripts/simulator/server.mjs';
import { startDeployed } from '../e2e/support/worker.js';

const kChats = 100_000;
const kRounds = 50;
const kAtOnce = 32;
const kWords = 9;
/** Of those who leave: there is time to do so. */
const kLeaverArgs = 'tokens=40&interval_ms=2';
/** Who has left is noticed long before; cancelled exchanges close with it. */
const kQuietMs = 5000;
/**
 * Until then memory may grow: V8 lets its heap grow first, and the health of 4096 engines (each
 * chat here has its own, and a fifth of them fail) is remembered.
 */
const kWarmChats = 30_000;
/** How much the second half of what is warm may be above the first. */
const kRssGrowthBytesMax = 8 * 2 ** 20;
const kFaultsShare = 0.2;
const kLeaversShare = 0.1;

const kFaults = [
  'reset', 'cut&after=0', 'cut&after=4', 'cut&after=4&rst=1', 'cut_head', 'cut_clean&after=4',
  'cut_at&bytes=900', 'error_inside', 'error_after&after=4', 'bad_json&after=0', 'server',
  'rate_limited', 'overloaded', 'empty', 'not_a_stream', 'bad_gateway_html',
  // Strange, and whole.
  'drip&bytes=40', 'split', 'missing_terminator', 'double_terminator', 'unknown_events',
];

const usage = `usage: npm run soak [-- --chats N]

  --chats N   how many (default ${kChats})`;

const kDialects = /** @type {const} */ (['openai', 'anthropic', 'gemini']);

/**
 * told: broken off and said so. An answer that another engine has gone on with is whole.
 * @typedef {'whole' | 'failed_over' | 'told' | 'left'} Ending
 */

/** Numbers that look random, the same every time. @param {number} seed */
function random(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One chat: what is asked for, and what the client does. @param {number} serial */
function plan(serial) {
  const next = random(serial);
  /** @template Item @param {readonly Item[]} items */
  const one = (items) => items[Math.floor(next() * items.length)];
  const dialect = one(kDialects);
  const stream = next() < 0.8;
  const draw = next();
  const leaves = draw < kLeaversShare;
  const fault = draw > 1 - kFaultsShare ? one(kFaults) : undefined;
  const name = `s${serial}`;
  const other = one(kDialects.filter((each) => each !== dialect));
  // Half of the broken answers come in pieces, so that the client has some of it.
  const pace = fault && next() < 0.5 ? '&interval_ms=2' : '';
  const args = leaves ? kLeaverArgs : `tokens=${kWords}${pace}`;
  const first = `sim-${dialect}:${name}?${fault ? `fault=${fault}&` : ''}${args}`;
  return {
    stream, fault, leaves,
    // Zero: before anything has come. Silent leaving is only noticed with the next byte.
    leave_bytes: stream ? Math.floor(next() * 4000) : 0,
    reset: !stream || next() < 0.5,
    text: numberedWords(name, kWords).join(''),
    body: {
      model: first, stream, messages: [{ role: 'user', content: 'Hello' }],
      ...(stream && next() < 0.5 ? { stream_options: { include_usage: true } } : {}),
      // It says the same words, so it can go on in the middle of one.
      spillway: { chain: [first, `sim-${other}:${name}?${args}`] },
    },
  };
}

/** The text of an answer, and whether it is told as finished. @param {string} body */
function read(body) {
  let text = '';
  let finish = null;
  let error = null;
  const lines = body.startsWith('{') ? [body]
    : body.split('\n').filter((line) => /^data: ?\{/.test(line)).map((line) => line.slice(5));
  for (const line of lines) {
    let chunk;
    try {
      chunk = JSON.parse(line);
    } catch {
      error ??= `no JSON: ${line}`; // of a provider's own, piped
      continue;
    }
    error ??= chunk.error ?? null;
    const choice = chunk.choices?.[0];
    text += choice?.delta?.content ?? choice?.message?.content ?? '';
    finish ??= choice?.finish_reason ?? null;
  }
  return { text, finish, error };
}

class Soak {
  /** @type {Record<Ending, number>} */
  endings = { whole: 0, failed_over: 0, told: 0, left: 0 };
  agent = new Agent({ keepAlive: true, maxSockets: kAtOnce });
  logged = 0;
  rescues = 0;

  /**
   * @param {import('../e2e/support/worker.js').Worker} worker
   * @param {import('../../scripts/simulator/server.mjs').Simulator} upstream
   */
  constructor(worker, upstream) {
    this.worker = worker;
    this.upstream = upstream;
  }

  /** @param {number} serial @returns {Promise<Ending>} */
  async chat(serial) {
    const { body, text: whole, fault, leaves, leave_bytes, reset } = plan(serial);
    const call = request(`${this.worker.url}/v1/chat/completions`, {
      method: 'POST', agent: this.agent,
      headers: { 'content-type': 'application/json', authorization: 'Bearer sim-client' },
    });
    call.end(JSON.stringify(body));
    if (leaves) {
      const gone = new Promise((resolve) => { call.once('close', resolve); });
      call.on('error', () => {});
      const leave = () => (reset ? call.socket?.resetAndDestroy() : call.destroy());
      call.once('response', (response) => {
        let seen = 0;
        response.on('error', () => {});
        response.on('data', (piece) => ((seen += piece.length) > leave_bytes && leave()));
      });
      if (leave_bytes < 500) {
        await once(call, 'socket');
        await delay(leave_bytes / 100);
        call.socket?.resetAndDestroy();
      }
      await gone;
      return 'left';
    }
    const [response] = /** @type {[import('node:http').IncomingMessage]} */ (
      await once(call, 'response'));
    const { text, finish, error } = read(Buffer.concat(await response.toArray()).toString());
    const about = `chat ${serial}: ${JSON.stringify({ body, text, finish, error })}`;
    if (error) {
      if (!fault || finish !== null || !whole.startsWith(text)) throw new Stop(about);
      return 'told';
    }
    if (text !== whole || finish !== 'stop') throw new Stop(about);
    const attempts = String(response.headers['x-spillway-attempts'] ?? '').split(', ').length;
    return attempts > 1 ? 'failed_over' : 'whole';
  }

  /** So many chats, a few at once. @param {number} from @param {number} to */
  async round(from, to) {
    let serial = from;
    await Promise.all(Array.from({ length: kAtOnce }, async () => {
      while (serial < to) this.endings[await this.chat(serial++)] += 1;
    }));
  }

  /** What is there when nothing is asked for. */
  async look() {
    const until = performance.now() + kQuietMs;
    for (;;) {
      const { chats_open, memories_bytes } = await this.worker.probe();
      const exchanges_open = this.upstream.open().length;
      const late = performance.now() > until;
      if (late && (chats_open > 0 || exchanges_open > 0)) {
        throw new Stop(`left open: ${chats_open} chats, ${exchanges_open} exchanges`);
      }
      if (chats_open > 0 || exchanges_open > 0) continue;
      return {
        rss_bytes: this.worker.rss_bytes(),
        module_bytes: memories_bytes.reduce((sum, bytes) => sum + bytes, 0),
        connections: await this.upstream.connections(),
      };
    }
  }
}

/** @param {number[]} values */
const medianOf = (values) => values.toSorted((a, b) => a - b)[values.length >> 1];
/** @param {number} bytes */
const megabytes = (bytes) => (bytes / 2 ** 20).toFixed(1);

/** @param {number} chats */
async function soak(chats) {
  const upstream = await startSimulator();
  /** @type {Soak | undefined} */
  let running;
  const worker = await startDeployed({
    config: simulatorConfig(upstream.url), vars: { SPILLWAY_KEYS: 'sim-client' }, probe: true,
    hear({ event, rescues }) {
      if (!running || event !== 'chat') return;
      running.logged += 1;
      running.rescues += rescues > 0 ? 1 : 0;
    },
  });
  try {
    running = new Soak(worker, upstream);
    const began = performance.now();
    const looks = [];
    say('   chats   per s   RSS MB   module KB   provider sockets   open chats, exchanges');
    for (let round = 0; round < kRounds; round++) {
      const started = performance.now();
      const [from, to] = [round, round + 1].map((each) => Math.round(each * chats / kRounds));
      await running.round(from, to);
      const rate = (to - from) / (performance.now() - started) * 1000;
      const look = await running.look();
      looks.push(look);
      say([
        String(to).padStart(8), rate.toFixed(0).padStart(7),
        megabytes(look.rss_bytes).padStart(8), String(look.module_bytes / 1024).padStart(11),
        String(look.connections).padStart(18), '0, 0'.padStart(23),
      ].join(' '));
    }
    const { endings, logged, rescues } = running;
    say(`${JSON.stringify(endings)}, of them gone on with by another engine: ${rescues}; `
      + `${logged} log lines; ${((performance.now() - began) / 1000).toFixed(0)} s`);
    const warm = looks.slice(Math.ceil(kWarmChats / chats * kRounds));
    if (warm.length < 2) {
      say(`memory is not judged before ${kWarmChats} chats`);
      return 0;
    }
    const half = warm.length >> 1;
    const [early, late] = [warm.slice(0, half), warm.slice(half)].map((each) =>
      medianOf(each.map((look) => look.rss_bytes)));
    say(`RSS, median of the first half after ${kWarmChats} chats ${megabytes(early)} MB, `
      + `of the second ${megabytes(late)} MB`);
    if (late - early > kRssGrowthBytesMax) throw new Stop('the memory of workerd still grows');
    if (warm[warm.length - 1].module_bytes > warm[0].module_bytes) {
      throw new Stop('the memory of the module still grows');
    }
    return 0;
  } finally {
    await worker.stop();
    await upstream.close();
  }
}

await runMain(async () => {
  const { values } = parseArgs({
    options: { chats: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) {
    say(usage);
    return 0;
  }
  const chats = Number(values.chats ?? kChats);
  if (!Number.isInteger(chats) || chats < kRounds) throw new Stop(`--chats: ${kRounds} or more`);
  await ensureModules();
  return soak(chats);
});
