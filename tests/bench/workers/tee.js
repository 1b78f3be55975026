/**
 * Yardstick: the least that a Worker does which lets the runtime pipe an answer and yet sees it, as
 * a splice must: it reads the request, looks at the beginning of the answer, hands that on, then
 * tees. It looks at the copy every two seconds, and drops it.
 */

const kFirstReads = 2; // the role, and the first word
const kPauseMs = 2000;

export default {
  /** @param {Request} request @param {{ UPSTREAM: string }} env @param {any} ctx */
  async fetch(request, { UPSTREAM }, ctx) {
    const { pathname } = new URL(request.url);
    const { method, headers } = request;
    const body = await request.arrayBuffer();
    const answer = await fetch(UPSTREAM + pathname, { method, headers, body });
    const upstream = /** @type {any} */ (answer.body);
    const reader = upstream.getReader();
    const begun = [];
    while (begun.length < kFirstReads) begun.push((await reader.read()).value);
    reader.releaseLock();
    const { readable, writable } = new /** @type {any} */ (globalThis).IdentityTransformStream();
    ctx.waitUntil(pipe(upstream, writable, begun));
    return new Response(readable, answer);
  },
};

/** @param {any} upstream @param {any} writable @param {Uint8Array<ArrayBuffer>[]} begun */
async function pipe(upstream, writable, begun) {
  const writer = writable.getWriter();
  for (const bytes of begun) await writer.write(bytes);
  writer.releaseLock();
  const [main, copy] = upstream.tee();
  const piped = main.pipeTo(writable);
  const reader = copy.getReader({ mode: 'byob' });
  let buffer = new ArrayBuffer(8192);
  for (;;) {
    const { value, done } = await reader.readAtLeast(1, new Uint8Array(buffer));
    if (done) break;
    buffer = value.buffer;
    if (value.length === buffer.byteLength) continue;
    await Promise.race([piped, new Promise((resolve) => { setTimeout(resolve, kPauseMs); })]);
  }
  await piped;
}
