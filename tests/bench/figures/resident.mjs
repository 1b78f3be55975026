/**
 * What open streams take of the machine's memory: growth of the server process (RSS) over what it
 * held after some requests, before any stream. A new process for each contestant; each stream gets
 * a token a second. A contestant that breaks a stream off, or
 * does not begin one in time, has no figure for so many.
 */

import { Stop } from '../../../scripts/lib/terminal.mjs';
import { firstWord } from '../asks.mjs';
import { Conversation } from '../client.mjs';
import { summarize } from '../measure.mjs';

const kStreams = [1, 100, 1000];
const kWarmUps = 30;
/** Opened at once: no more than a listening socket lets wait. */
const kAtOnce = 50;
/** One that has no first token by then does not get one. */
const kBeginMs = 10_000;
/** All streams have had a token or two in this time, and a spliced one its slices. */
const kLooks = 8;
const kLookMs = 250;

const short = { tokens: 4 };
const long = { tokens: 600, interval_ms: 1000 };

/** @param {number} ms */
const passed = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

/**
 * @param {import('../setting.mjs').Setting} setting
 * @param {import('../contestants.mjs').Contestant} contestant
 */
async function growth(setting, { name, server, ask }) {
  const { url } = await setting.upstream();
  const { port, cpuAtRest, resident, stop } = await setting.start(server);
  /** @type {Conversation[]} */
  const open = [];
  let lost = 0;
  const lose = () => { lost += 1; };
  try {
    for (let left = kWarmUps; left > 0; --left) {
      await new Conversation(port, ask(short, url), firstWord()).answer;
    }
    await cpuAtRest();
    const idle = resident();
    /** @type {import('../measure.mjs').Summary[]} */
    const grown = [];
    for (const streams of kStreams) {
      setting.progress(`${name}: ${streams} streams`);
      while (open.length < streams) {
        const more = Array.from({ length: Math.min(kAtOnce, streams - open.length) },
          () => new Conversation(port, ask(long, url), firstWord()));
        open.push(...more);
        // One that ends early, whoever ends it, ends the measurement of this contestant.
        for (const { answer } of more) answer.then(lose, lose);
        const begun = Promise.allSettled(more.map((each) => each.begun)).then(() => true);
        const inTime = await Promise.race([begun, passed(kBeginMs).then(() => false)]);
        if (lost > 0 || !inTime) return { idle: idle / 1e6, grown };
      }
      const looks = [];
      while (looks.length < kLooks) {
        await passed(kLookMs);
        looks.push((resident() - idle) / 1e6);
      }
      if (lost === 0) grown.push(summarize(looks));
    }
    return { idle: idle / 1e6, grown };
  } finally {
    for (const conversation of open) conversation.leave();
    stop();
  }
}

/** @type {import('../bench.mjs').Figure} */
export const resident = {
  name: 'resident',
  about: 'Memory of the process with open streams, over idle',
  async measure(setting) {
    /** @type {import('../measure.mjs').Row[]} */
    const rows = [];
    for (const contestant of setting.contestants) {
      const { name, about, server } = contestant;
      const { idle, grown } = await growth(setting, contestant);
      rows.push({
        label: `${about}, idle`, unit: 'MB', summary: summarize([idle]),
        cell: { contestant: name, column: 'resident-idle' },
      });
      for (const [index, summary] of grown.entries()) {
        const streams = kStreams[index];
        rows.push({
          label: `${about}, ${streams} streams`, unit: 'MB', summary,
          cell: { contestant: name, column: `resident-${streams}` },
        });
      }
      if (server !== 'spillway') continue;
      const summary = grown[kStreams.indexOf(1000)];
      if (summary === undefined) throw new Stop(`${name} does not hold 1000 streams`);
      rows.push({ label: `${about}, 1000 streams`, unit: 'MB', target: 32, summary });
    }
    return rows;
  },
};
