/**
 * A provider that waits on purpose: it asks the simulator, then passes its stream on event by
 * event, as the test says. So a test knows what upstream has sent when the client reads something.
 */

import { createServer } from 'node:http';
import { Feed } from './feed.js';

/** One answer on its way. */
class Passage {
  #sent = 0;

  /** @param {string[]} events @param {import('node:http').ServerResponse} reply */
  constructor(events, reply) {
    this.events = events;
    this.reply = reply;
  }

  /** Sends everything up to the first event with this text in it. @param {string} text */
  sendUntil(text) {
    const end = this.events.findIndex((event, at) => at >= this.#sent && event.includes(text));
    if (end < 0) throw new Error(`no event with ${text} is left`);
    this.reply.write(this.events.slice(this.#sent, end + 1).join(''));
    this.#sent = end + 1;
  }

  finish() {
    this.reply.end(this.events.slice(this.#sent).join(''));
    this.#sent = this.events.length;
  }

  get finished() {
    return this.reply.writableEnded;
  }
}

/** @param {string} target  the simulator's address */
export async function startGate(target) {
  /** @type {Feed<Passage>} */
  const passages = new Feed();
  const server = createServer(async (request, reply) => {
    const body = Buffer.concat(await request.toArray());
    const answer = await fetch(`${target}${request.url}`, {
      method: request.method,
      headers: Object.entries(request.headers).filter(([name]) =>
        /^(content-type|accept|authorization|x-.*|anthropic-.*)$/.test(name),
      ).map(([name, value]) => [name, String(value)]),
      body,
    });
    const events = (await answer.text()).match(/[^]*?\r?\n\r?\n/g) ?? [];
    reply.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
    passages.push(new Passage(events, reply));
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    /** The next answer that nobody has taken. */
    async next() {
      const passage = await passages.find(() => true);
      passages.items.splice(passages.items.indexOf(passage), 1);
      return passage;
    },
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}
