/**
 * The form of a policy as JSON Schema (draft 2020-12), for OpenAPI and editors: made from the form that the parser itself reads with,
 * with its descriptions and defaults. What only the parser can say (ranges of durations, combinations) is in words.
 */
import type { JsonSchema } from './form.js';
import { documentSchema } from './schema.js';

export type { JsonSchema } from './form.js';

/** Of the document as written: durations and rates are strings. */
export function policyJsonSchema(): JsonSchema {
  return { title: 'Policy', ...documentSchema().jsonSchema() };
}
