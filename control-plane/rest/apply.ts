/**
 * Several documents at once: POST /v1/apply (all or nothing), POST /v1/validate (only look), GET /v1/export (everything, in the
 * form that apply takes back). Revisions play no part here: whoever applies a set of files means what they say.
 */
import { z } from 'zod';
import { MeshError } from '../../core/errors.js';
import type { Policy } from '../../core/policy/model.js';
import { formatDocuments } from '../documents.js';
import { readBodyPolicies } from './body.js';
import type { App, RestContext } from './context.js';
import { answer, answerYaml } from './negotiate.js';
import { operation } from './operation.js';
import { readQuery } from './parameters.js';
import { documentOf } from './present.js';
import {
  type Change,
  commit,
  previewAll,
  previewAnswer,
  putQuery,
  writeAnswer,
  writeHeaders,
} from './writes.js';

export const applyAnswer = z.object({
  results: z.array(writeAnswer).describe('in the order of the documents'),
  revision: z.int().describe('head of the log after the write'),
  durability: writeAnswer.shape.durability,
});

export const applyPreview = z.object({ dryRun: z.literal(true), results: z.array(previewAnswer) });

export const validateAnswer = z.object({
  valid: z.literal(true),
  policies: z.array(z.string()).describe('names, in the order of the documents'),
});

const documentsBody = {
  description: 'One document or several: a YAML stream, or a JSON list',
  oneOf: [{ $ref: 'Policy#' }, { type: 'array', items: { $ref: 'Policy#' } }],
};

const noQuery = z.strictObject({});

export function applyRoutes(app: App, context: RestContext): void {
  const { mirror } = context;

  app.post(
    '/v1/apply',
    operation({
      access: 'operator',
      tag: 'policies',
      summary: 'Write several policies, all or nothing',
      query: putQuery,
      headers: writeHeaders.pick({ 'idempotency-key': true }),
      body: documentsBody,
      answer: z.union([applyAnswer, applyPreview]),
      problems: [409, 413, 415, 422, 503],
    }),
    async (request, reply) => {
      const { dryRun, resume } = readQuery(putQuery, request);
      if (request.headers['if-match'] !== undefined || request.headers['if-none-match'] !== undefined)
        throw new MeshError(
          'invalid_request',
          'apply takes no If-Match; PUT one policy to write over a known revision',
        );
      const changes = readBodyPolicies(request).map(toChange);
      if (dryRun === 'true') {
        return answer(request, reply, {
          dryRun: true,
          results: await previewAll(context, changes, resume === 'true'),
        });
      }
      const { outcomes, head, durability } = await commit(
        context,
        request,
        'apply',
        changes,
        resume === 'true',
      );
      return answer(request, reply, {
        results: outcomes.map(({ name, revision, changed }) => ({
          policy: name,
          revision,
          changed,
          durability,
        })),
        revision: head,
        durability,
      });
    },
  );

  app.post(
    '/v1/validate',
    operation({
      access: 'viewer',
      storeless: true,
      tag: 'policies',
      summary: 'Check documents without writing them',
      query: noQuery,
      body: documentsBody,
      answer: validateAnswer,
      problems: [413, 415, 422],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      return answer(request, reply, {
        valid: true,
        policies: readBodyPolicies(request).map(({ name }) => name),
      });
    },
  );

  app.get(
    '/v1/export',
    operation({
      access: 'viewer',
      forms: ['yaml', 'json'],
      tag: 'policies',
      summary: 'All policies as one stream that apply takes back',
      query: noQuery,
      answer: documentsBody,
      answerTypes: ['application/yaml', 'application/json'],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const documents = mirror.policies().map(({ policy }) => policy.document);
      if (request.form === 'json') return answer(request, reply, documents.map(documentOf));
      return answerYaml(reply, formatDocuments(documents));
    },
  );
}

function toChange(policy: Policy): Change {
  return { name: policy.name, after: policy, expected: 'any' };
}
