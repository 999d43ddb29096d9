/**
 * Query strings and path parameters, read once into typed values. The schemas serve the OpenAPI page too, so what is documented
 * is what is checked. Unknown parameters are refused: a misspelt `dryrun=true` must never turn a question into a write.
 */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { type Issue, MeshError } from '../../core/errors.js';
import { policyNamePattern } from '../../core/policy/names.js';

export const NAME_LENGTH_MAX = 256;

export const dryRunParameter = z
  .enum(['true', 'false'], { error: 'must be true or false' })
  .optional()
  .describe('true: answer what would change and for which agents, and write nothing');

/** A whole number from `min` to `max`. */
export function wholeNumber(min: number, max: number) {
  const error = `must be a whole number from ${min} to ${max}`;
  return z.coerce.number({ error }).int({ error }).min(min, { error }).max(max, { error });
}

export const revisionParameter = wholeNumber(1, Number.MAX_SAFE_INTEGER);

export const limitParameter = (most: number, usual: number) =>
  wholeNumber(1, most).default(usual).describe(`how many at most; ${usual} if it is left away`);

/** A name that comes from outside and is only looked up: a service, an instance, a method. */
export function textParameter(what: string, lengthMax = NAME_LENGTH_MAX) {
  const error = `must be ${what}, up to ${lengthMax} characters`;
  return z.string({ error }).min(1, { error }).max(lengthMax, { error });
}

/** The name of a policy in a path. */
export const policyParameters = z.strictObject({
  name: z.string().regex(policyNamePattern, {
    error: 'must be the name of a policy: 1 to 128 of a-z 0-9 . _ - that begin with a letter or digit',
  }),
});

/** The request's query. Throws `invalid_request` with an issue for each parameter that is wrong or unknown. */
export function readQuery<S extends z.ZodObject>(schema: S, request: FastifyRequest): z.output<S> {
  return read(schema, request.query, 'query');
}

/** The request's path parameters. Throws `invalid_request`. */
export function readPath<S extends z.ZodObject>(schema: S, request: FastifyRequest): z.output<S> {
  return read(schema, request.params, 'path');
}

/** A value from outside by its schema. Throws `invalid_request` with all issues, their paths below `root`. */
export function read<S extends z.ZodObject>(schema: S, value: unknown, root: string): z.output<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issues = result.error.issues.flatMap((issue) => issuesOf(issue, root, Object.keys(schema.shape)));
  throw new MeshError('invalid_request', summaryOf(issues), { issues });
}

/** The first fault in words, and how many more there are. */
export function summaryOf([first, ...others]: readonly Issue[]): string {
  if (!first) return 'not valid';
  const what = first.path === '' ? first.message : `${first.path} ${first.message}`;
  return others.length === 0 ? what : `${what} (and ${others.length} more)`;
}

const KEY_SHOWN_MAX = 64;

function issuesOf(issue: z.core.$ZodIssue, root: string, known: readonly string[]): Issue[] {
  const path = issue.path.map(String).reduce(below, root);
  if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
  const right = known.length === 0 ? 'none is known here' : `known here: ${known.join(', ')}`;
  return issue.keys
    .slice(0, 10)
    .map((key) => ({ path: below(path, key.slice(0, KEY_SHOWN_MAX)), message: `is unknown; ${right}` }));
}

function below(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}
