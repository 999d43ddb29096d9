/**
 * The form of a policy as JSON Schema (draft 2020-12), for OpenAPI and editors: made from the schema that the parser itself
 * uses, with its descriptions and defaults. What only the parser can say (ranges of durations, combinations) is in words.
 */
import * as z from 'zod';
import { documentSchema } from './schema.js';

export interface JsonSchema {
  readonly [keyword: string]: unknown;
}

/** Of the document as written: durations and rates are strings. */
export function policyJsonSchema(): JsonSchema {
  const { $schema: _, ...schema } = z.toJSONSchema(documentSchema(), { io: 'input', unrepresentable: 'any' });
  return { title: 'Policy', ...schema };
}
