/**
 * Checks a request body against a table of shapes and names the first thing that is wrong. The
 * dialects own the tables and the words: what OpenAI calls an unknown parameter, Anthropic calls
 * an extra input and Gemini an unknown name.
 *
 * Real providers take null for an optional field, and so does this.
 */

/**
 * @typedef {string                                       // a type name, see TYPES
 *   | string[]                                           // one of these strings
 *   | { type: string, min?: number, max?: number, pattern?: RegExp }
 *   | { items: Shape, min?: number, max?: number }
 *   | { fields: Record<string, Shape>, required?: string[] }
 *   | { either: Shape[] }                                // the first whose JSON type fits
 *   | { tag: string, cases: Record<string, Shape> }      // chosen by a field's value
 * } Shape
 *
 * A path is made of keys, indexes, and `#tag` for the chosen case of a tagged shape.
 * @typedef {(string | number)[]} Path
 *
 * @typedef {object} Violation
 * @property {'unknown' | 'missing' | 'type' | 'value' | 'below' | 'above' | 'pattern'} problem
 * @property {Path} path
 * @property {string} expected
 * @property {unknown} value
 */

/** @type {Record<string, (value: unknown) => boolean>} */
const TYPES = {
  any: () => true,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  object: isObject,
  array: Array.isArray,
};

/** @param {unknown} value @returns {value is Record<string, unknown>} */
export function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/**
 * @param {unknown} value
 * @param {Shape} shape
 * @param {Path} [path]
 * @returns {Violation | null}
 */
export function check(value, shape, path = []) {
  const fail = (/** @type {Violation['problem']} */ problem, /** @type {unknown} */ expected) =>
    ({ problem, path, expected: String(expected), value });
  if (!fits(value, shape)) return fail('type', typeName(shape));
  if (typeof shape === 'string') return null;
  if (Array.isArray(shape)) {
    return shape.includes(/** @type {string} */ (value)) ? null : fail('value', shape.join(', '));
  }
  if ('type' in shape) {
    const size = typeof value === 'string' ? value.length : Number(value);
    if (shape.min !== undefined && size < shape.min) return fail('below', shape.min);
    if (shape.max !== undefined && size > shape.max) return fail('above', shape.max);
    const matches = !shape.pattern || shape.pattern.test(String(value));
    return matches ? null : fail('pattern', shape.pattern?.source);
  }
  if ('either' in shape) {
    const fitting = shape.either.find((each) => fits(value, each));
    return check(value, /** @type {Shape} */ (fitting), path);
  }
  if ('items' in shape) return checkItems(/** @type {unknown[]} */ (value), shape, path, fail);
  if ('fields' in shape) return checkFields(/** @type {object} */ (value), shape, path);
  const tag = /** @type {Record<string, any>} */ (value)[shape.tag];
  const at = [...path, shape.tag];
  if (tag === undefined) return { problem: 'missing', path: at, expected: '', value: tag };
  if (Object.hasOwn(shape.cases, tag)) return check(value, shape.cases[tag], [...path, `#${tag}`]);
  return { problem: 'value', path: at, expected: Object.keys(shape.cases).join(', '), value: tag };
}

/**
 * @param {unknown[]} value
 * @param {{ items: Shape, min?: number, max?: number }} shape
 * @param {Path} path
 * @param {(problem: Violation['problem'], expected: unknown) => Violation} fail
 */
function checkItems(value, shape, path, fail) {
  if (value.length < (shape.min ?? 0)) return fail('below', shape.min);
  if (value.length > (shape.max ?? Infinity)) return fail('above', shape.max);
  for (const [index, each] of value.entries()) {
    const found = check(each, shape.items, [...path, index]);
    if (found) return found;
  }
  return null;
}

/**
 * @param {object} value
 * @param {{ fields: Record<string, Shape>, required?: string[] }} shape
 * @param {Path} path
 * @returns {Violation | null}
 */
function checkFields(value, shape, path) {
  const required = shape.required ?? [];
  for (const [key, each] of Object.entries(value)) {
    const at = [...path, key];
    if (!Object.hasOwn(shape.fields, key)) {
      return { problem: 'unknown', path: at, expected: '', value: each };
    }
    if (each === null && !required.includes(key)) continue;
    const found = check(each, shape.fields[key], at);
    if (found) return found;
  }
  const missing = required.find((key) => !Object.hasOwn(value, key));
  if (missing === undefined) return null;
  return { problem: 'missing', path: [...path, missing], expected: '', value: undefined };
}

/** @param {unknown} value @param {Shape} shape @returns {boolean} by JSON type alone */
function fits(value, shape) {
  if (typeof shape === 'object' && 'either' in shape) {
    return shape.either.some((each) => fits(value, each));
  }
  return TYPES[typeName(shape)](value);
}

/** @param {Shape} shape @returns {string} */
function typeName(shape) {
  if (typeof shape === 'string') return shape;
  if (Array.isArray(shape)) return 'string';
  if ('type' in shape) return shape.type;
  if ('items' in shape) return 'array';
  if ('either' in shape) return shape.either.map(typeName).join(' or ');
  return 'object';
}

/**
 * `messages[0].content` (tags left out).
 * @param {Path} path
 */
export const bracketPath = (path) => path
  .filter((step) => !String(step).startsWith('#'))
  .map((step, index) => (typeof step === 'number' ? `[${step}]` : index === 0 ? step : `.${step}`))
  .join('');
