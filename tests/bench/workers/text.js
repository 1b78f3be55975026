/**
 * Yardstick: the least that a Worker does which answers from a stream when that is over. The
 * runtime reads it without JavaScript; what is answered is about as long as an answer.
 */

export default {
  /** @param {Request} request @param {{ UPSTREAM: string }} env */
  async fetch(request, { UPSTREAM }) {
    const { pathname } = new URL(request.url);
    const { method, headers } = request;
    const body = await request.arrayBuffer();
    const answer = await fetch(UPSTREAM + pathname, { method, headers, body });
    return new Response((await answer.text()).slice(-1000));
  },
};
