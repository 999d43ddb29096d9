/**
 * How a route describes itself: one value that says who may call it, what it takes and what it answers. It becomes the route's
 * options for fastify and, through @fastify/swagger, its place in /openapi.json. Nothing here checks or shapes anything at run
 * time: fastify's own validation and serialisation are off (see server.ts), since our parsers name each fault with its path.
 */
import type { FastifyContextConfig, FastifySchema } from 'fastify';
import { z } from 'zod';
import { controlCodes } from '../../core/errors.js';
import type { Form } from '../documents.js';

export interface Operation {
  readonly access: NonNullable<FastifyContextConfig['access']>;
  readonly forms?: readonly Form[];
  /** Has an answer before the store was ever read. */
  readonly storeless?: boolean;
  readonly tag: 'policies' | 'mesh' | 'events' | 'operation';
  readonly summary: string;
  /** Its path in the description, where the router needs another. */
  readonly shownAs?: string;
  readonly path?: z.ZodObject;
  readonly query?: z.ZodObject;
  readonly headers?: z.ZodObject;
  /** JSON Schema of the body, the same for every content type. */
  readonly body?: object;
  /** Of success: zod, or JSON Schema. */
  readonly answer: z.ZodType | object;
  readonly answerTypes?: readonly string[];
  /** Successes beside 200 that look like it. */
  readonly alsoStatus?: readonly number[];
  /** Statuses of the problems that are special to it; 400, 401, 403, 406 and 500 are everybody's. */
  readonly problems?: readonly (404 | 409 | 412 | 413 | 415 | 422 | 503)[];
}

const textTypes = ['application/json', 'application/yaml'] as const;

/** JSON Schema of a zod schema, without the dialect's name, which OpenAPI 3.1 states once. */
export function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output' = 'output'): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    // What JavaScript can count to says nothing to a reader.
    override: ({ jsonSchema }) => {
      if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
      if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
    },
  });
  return rest;
}

export const problemSchema = z.object({
  type: z.string().describe('urn:switchgear:error:<code>'),
  title: z.string(),
  status: z.int(),
  detail: z.string().describe('what is wrong and what would be right'),
  code: z.enum(controlCodes).describe('what programs rely on; docs/errors.md has a row for each'),
  instance: z.string().describe('path of the request'),
  issues: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  policy: z.string().optional(),
  revision: z
    .int()
    .nullable()
    .optional()
    .describe('of a conflict: the present revision; null: there is none'),
});

const problemTitles: Record<number, string> = {
  400: 'The request is not valid',
  401: 'A token is needed',
  403: 'This is not allowed',
  404: 'There is no such thing',
  406: 'None of the types asked for can be given',
  409: 'The rollout of this policy is halted',
  412: 'The policy has another revision',
  413: 'The body is larger than 1 MiB',
  415: 'The content type is not understood',
  422: 'The document is not valid',
  500: 'Something is wrong in the control plane',
  503: 'The store does not answer; see Retry-After',
};

/** The options of a fastify route. */
export function operation(about: Operation): { config: FastifyContextConfig; schema: FastifySchema } {
  const { access, tag, summary, path, query, headers, body } = about;
  return {
    config: {
      access,
      needsStore: (tag === 'policies' || tag === 'mesh') && about.storeless !== true,
      ...(about.forms === undefined ? {} : { forms: about.forms }),
      ...(about.shownAs === undefined ? {} : { shownAs: about.shownAs }),
    },
    schema: {
      tags: [tag],
      summary,
      ...(path === undefined ? {} : { params: jsonSchemaOf(path, 'input') }),
      ...(query === undefined ? {} : { querystring: jsonSchemaOf(query, 'input') }),
      ...(headers === undefined ? {} : { headers: jsonSchemaOf(headers, 'input') }),
      ...(body === undefined ? {} : { body: { content: contentOf(body, textTypes) } }),
      response: responsesOf(about),
      ...(access === 'open' ? { security: [] } : {}),
    },
  };
}

function responsesOf({
  access,
  answer,
  answerTypes = textTypes,
  alsoStatus = [],
  problems = [],
}: Operation): object {
  const schema = answer instanceof z.ZodType ? jsonSchemaOf(answer) : answer;
  const success = { description: 'Success', content: contentOf(schema, answerTypes) };
  const ofAll = access === 'open' ? [500] : [400, 401, 403, 406, 500];
  const failures = [...ofAll, ...problems].sort((a, b) => a - b);
  return Object.fromEntries([
    ...[200, ...alsoStatus].map((status) => [status, success]),
    ...failures.map((status) => [
      status,
      {
        description: problemTitles[status],
        content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
      },
    ]),
  ]);
}

function contentOf(schema: object, types: readonly string[]): object {
  return Object.fromEntries(types.map((type) => [type, { schema: structuredClone(schema) }]));
}
