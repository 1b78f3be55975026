/**
 * Spillway as a Cloudflare Worker. The router is made when the module is loaded, so a config that
 * is refused stops `wrangler dev` and `wrangler deploy` at once, and no request finds it first.
 *
 * The bundle holds the project's spillway.config.json; the variable SPILLWAY_CONFIG comes after it.
 * The compatibility flag `enable_request_signal` lets the runtime say that a client has left.
 */

import config from '../dist/spillway.config.json';
import { createSpillway } from '../js/workerd.js';
import { isLocal } from './local.js';

/** @import { RequestContext } from '../js/spillway.js' */

const spillway = createSpillway({ config, local: isLocal });

export default {
  /** @param {Request} request @param {unknown} _env @param {RequestContext} ctx */
  fetch: (request, _env, ctx) => spillway.fetch(request, ctx),
};
