/** Yardstick: a bare read() and write() loop in JavaScript that looks at nothing. */

export default {
  /** @param {Request} request @param {{ UPSTREAM: string }} env @param {any} ctx */
  async fetch(request, { UPSTREAM }, ctx) {
    const { pathname } = new URL(request.url);
    const { method, headers, body } = request;
    const answer = await fetch(UPSTREAM + pathname, { method, headers, body });
    const { readable, writable } = new (/** @type {any} */ (globalThis)).IdentityTransformStream();
    ctx.waitUntil(copy(/** @type {any} */ (answer.body), writable));
    return new Response(readable, answer);
  },
};

/** @param {ReadableStream<Uint8Array>} from @param {WritableStream<Uint8Array>} to */
async function copy(from, to) {
  const reader = from.getReader();
  const writer = to.getWriter();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    await writer.write(value);
  }
  await writer.close();
}
