/**
 * A value that satisfies a JSON schema, and the same for Gemini's OpenAPI subset (upper-case
 * types). It covers what response formats and tool parameters use; it is no validator.
 */

/** Deep enough for any real schema; a recursive one ends here with null. */
const DEPTH_MAX = 12;

const FORMATS = /** @type {Record<string, string>} */ ({
  date: '2026-01-31',
  'date-time': '2026-01-31T12:00:00Z',
  time: '12:00:00Z',
  email: 'someone@example.com',
  uri: 'https://example.com/',
  uuid: '00000000-0000-4000-8000-000000000000',
});

/**
 * @param {unknown} schema
 * @returns {unknown}
 */
export const exampleOf = (schema) => example(schema, schema, 0);

/**
 * @param {any} schema
 * @param {any} root  where `$ref` points into
 * @param {number} depth
 * @returns {unknown}
 */
function example(schema, root, depth) {
  if (schema === null || typeof schema !== 'object' || depth > DEPTH_MAX) return null;
  if (typeof schema.$ref === 'string') return example(resolve(schema.$ref, root), root, depth + 1);
  if ('const' in schema) return schema.const;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  const choices = schema.anyOf ?? schema.oneOf;
  if (Array.isArray(choices)) return example(choices[0], root, depth + 1);
  if (Array.isArray(schema.allOf)) {
    return Object.assign({}, ...schema.allOf.map((/** @type {any} */ each) =>
      example(each, root, depth + 1)));
  }
  switch (typeOf(schema)) {
    case 'object': {
      const fields = Object.entries(schema.properties ?? {});
      return Object.fromEntries(fields.map(([name, each]) =>
        [name, example(each, root, depth + 1)]));
    }
    case 'array': {
      const length = Math.max(1, Number(schema.minItems ?? 1));
      return Array.from({ length }, () => example(schema.items ?? {}, root, depth + 1));
    }
    case 'string': {
      const text = FORMATS[schema.format] ?? 'sample';
      return text.padEnd(Number(schema.minLength ?? 0), '.').slice(0, schema.maxLength ?? Infinity);
    }
    case 'integer':
    case 'number':
      return numberFor(schema);
    case 'boolean':
      return true;
    default:
      return null;
  }
}

/** @param {any} schema */
function typeOf(schema) {
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (typeof type === 'string') return type.toLowerCase();
  return schema.properties ? 'object' : schema.items ? 'array' : 'string';
}

/** @param {any} schema */
function numberFor(schema) {
  if (schema.minimum !== undefined) return schema.minimum;
  if (schema.exclusiveMinimum !== undefined) return Number(schema.exclusiveMinimum) + 1;
  return Math.min(1, schema.maximum ?? 1);
}

/** @param {string} pointer `#/$defs/Name` @param {any} root */
function resolve(pointer, root) {
  const steps = pointer.replace(/^#\/?/, '').split('/').filter((step) => step !== '');
  return steps.reduce((value, step) => value?.[step.replace(/~1/g, '/').replace(/~0/g, '~')], root);
}
