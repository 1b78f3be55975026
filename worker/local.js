/**
 * Whether a request comes from this machine to `wrangler dev`. Such a request is served without a
 * client key, so this must never be true of a deployed Worker, nor for anyone but the developer.
 * All of these must hold (read in wrangler and miniflare 4.164, each tried):
 *
 *  1. The bundle was made by `wrangler dev`. wrangler puts a constant in the place of
 *     process.env.NODE_ENV: "development" for dev, "production" for deploy. It is fixed in the
 *     bundle: no request, variable or secret of a deployed Worker can change it. A deploy from a
 *     shell that sets NODE_ENV=development makes it true, therefore also:
 *  2. The address names loopback. Cloudflare's edge finds the Worker by host name, so a deployed
 *     one never sees such an address, nor does `wrangler dev --remote`. Under dev this stops DNS
 *     rebinding: a web page whose name is made to point to 127.0.0.1 still sends its own name.
 *  3. The peer is loopback. Cloudflare's edge replaces cf-connecting-ip by the client's address;
 *     dev fills in the peer's. A service binding of a deployed Worker may forge it, not 1.
 *  4. Nothing has forwarded it. The edge always adds cf-ray (and so does a tunnel to dev); other
 *     tunnels and proxies on this machine add one of the rest.
 *  5. If it comes from a page in a browser, that page is on this machine too: other sites can make
 *     a browser post to localhost, but not without their Origin.
 *
 * What is left: dev accepts a cf-connecting-ip that the client sends. Whoever starts dev with an
 * `--ip` other than loopback (the default) lets the network reach it, and forge 2 and 3: set
 * SPILLWAY_KEYS then.
 */

const LOOPBACK = /^(localhost|(::ffff:)?127(\.\d{1,3}){3}|\[::1\]|::1)$/;
const FORWARDED = [
  'cf-ray', 'cdn-loop', 'forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip',
];

/** @param {Request} request */
function comesFromHere({ url, headers }) {
  const origin = headers.get('origin');
  return LOOPBACK.test(hostOf(url))
    && LOOPBACK.test(headers.get('cf-connecting-ip') ?? '')
    && (origin === null || LOOPBACK.test(hostOf(origin)))
    && !FORWARDED.some((name) => headers.has(name));
}

/** @param {string} url */
function hostOf(url) {
  return URL.canParse(url) ? new URL(url).hostname : '';
}

/** @type {((request: Request) => boolean) | undefined} of 1; a deployed bundle has none of this */
export const isLocal = process.env.NODE_ENV === 'development' ? comesFromHere : undefined;
