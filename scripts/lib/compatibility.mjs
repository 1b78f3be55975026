/**
 * Which workerd the Worker is made for: what wrangler.toml says, for whoever starts workerd without
 * wrangler.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './machine.mjs';

const toml = readFileSync(join(root, 'wrangler.toml'), 'utf8');
const told = (/** @type {string} */ name) =>
  JSON.parse(new RegExp(`^${name} = (.*)$`, 'm').exec(toml)?.[1] ?? 'null');

export const compatibilityDate = /** @type {string} */ (told('compatibility_date'));
export const compatibilityFlags = /** @type {string[]} */ (told('compatibility_flags'));

/**
 * The same, as members of a worker in workerd's own configuration.
 * @param {string[]} [more] flags
 */
export function compatibilityMembers(more = []) {
  return `compatibilityDate = ${JSON.stringify(compatibilityDate)},
      compatibilityFlags = ${JSON.stringify([...compatibilityFlags, ...more])},`;
}
