/**
 * /v1/policies and /v1/policies/{name}: a policy's life, one document at a time. The entity tag is the revision, so whoever read
 * a policy can write it back only over what they read.
 */
import { z } from 'zod';
import { MeshError } from '../../core/errors.js';
import { readBodyPolicy } from './body.js';
import type { App, RestContext } from './context.js';
import { etagOf, expectedOf, isUnchanged } from './etags.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { policyParameters, readPath, readQuery } from './parameters.js';
import { documentOf, presentPolicy } from './present.js';
import { listedRollout, listedRolloutOf } from './rollout.js';
import {
  type Change,
  commit,
  preview,
  previewAnswer,
  putQuery,
  writeAnswer,
  writeHeaders,
  writeQuery,
} from './writes.js';

const policyReference = { $ref: 'Policy#' };

export const policiesAnswer = z.object({
  policies: z.array(
    z.object({
      policy: z.string(),
      revision: z.int(),
      match: z.object({ to: z.string(), from: z.string().optional(), method: z.string().optional() }),
      mode: z.enum(['enforce', 'shadow', 'off']),
      document: z.record(z.string(), z.unknown()),
      rollout: listedRollout.optional().describe('while it is below 100 percent'),
    }),
  ),
  dataset: z.string().describe('revisions of another dataset are not comparable'),
  revision: z.int().describe('head of the log'),
  faults: z
    .array(z.object({ path: z.string(), message: z.string() }))
    .describe('of the store: what can not be read, and acknowledged revisions that it has lost'),
});

/** Of the store's faults, so many are shown. */
const FAULTS_MAX = 100;

const noQuery = z.strictObject({});

export function policyRoutes(app: App, context: RestContext): void {
  const { mirror } = context;
  const common = { tag: 'policies', path: policyParameters } as const;

  app.get(
    '/v1/policies',
    operation({
      access: 'viewer',
      tag: 'policies',
      summary: 'All policies',
      query: noQuery,
      answer: policiesAnswer,
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      return answer(request, reply, {
        policies: mirror.policies().map((entry) => {
          const { policy, revision } = entry;
          const { name, match, mode } = policy;
          const rollout = listedRolloutOf(mirror, entry);
          const document = documentOf(policy.document);
          return { policy: name, revision, match, mode, document, ...(rollout && { rollout }) };
        }),
        dataset: mirror.dataset,
        revision: mirror.revision,
        faults: mirror.faults.slice(0, FAULTS_MAX),
      });
    },
  );

  app.get(
    '/v1/policies/:name',
    operation({
      ...common,
      access: 'viewer',
      summary: 'One policy',
      query: noQuery,
      answer: policyReference,
      problems: [404],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const { policy, revision } = presentPolicy(mirror, readPath(policyParameters, request).name);
      reply.header('etag', etagOf(revision));
      if (isUnchanged(request.headers['if-none-match'], revision)) return reply.code(304).send();
      return answer(request, reply, documentOf(policy.document));
    },
  );

  app.put(
    '/v1/policies/:name',
    operation({
      ...common,
      access: 'operator',
      summary: 'Create or replace a policy',
      query: putQuery,
      headers: writeHeaders,
      body: policyReference,
      answer: z.union([writeAnswer, previewAnswer]),
      alsoStatus: [201],
      problems: [409, 412, 413, 415, 422, 503],
    }),
    async (request, reply) => {
      const { dryRun, resume } = readQuery(putQuery, request);
      const { name } = readPath(policyParameters, request);
      const after = readBodyPolicy(request, name);
      const present = mirror.policy(name);
      const change = { name, after, expected: expectedOf(request.headers, name, present?.revision) };
      if (dryRun === 'true') return answer(request, reply, await preview(context, change, resume === 'true'));
      const answered = await writeOne(context, request, 'put', change, resume === 'true');
      if (!present && answered.changed) reply.code(201).header('location', `/v1/policies/${name}`);
      return answer(request, reply.header('etag', etagOf(answered.revision)), answered);
    },
  );

  app.delete(
    '/v1/policies/:name',
    operation({
      ...common,
      access: 'operator',
      summary: 'Delete a policy; its history stays',
      query: writeQuery,
      headers: writeHeaders,
      answer: z.union([writeAnswer, previewAnswer]),
      problems: [404, 412, 503],
    }),
    async (request, reply) => {
      const { dryRun } = readQuery(writeQuery, request);
      const { name } = readPath(policyParameters, request);
      const expected = expectedOf(request.headers, name, mirror.policy(name)?.revision);
      const change = { name, after: undefined, expected };
      if (dryRun === 'true') {
        if (expected === 'any') presentPolicy(mirror, name);
        return answer(request, reply, await preview(context, change));
      }
      const answered = await writeOne(context, request, 'delete', change);
      if (!answered.changed) throw new MeshError('not_found', `there is no policy ${name}`);
      return answer(request, reply, answered);
    },
  );
}

/** A write of one policy, and what is answered to it. */
export async function writeOne(
  context: RestContext,
  request: Parameters<typeof commit>[1],
  action: Parameters<typeof commit>[2],
  change: Change,
  resume = false,
): Promise<z.infer<typeof writeAnswer>> {
  const { outcomes, durability } = await commit(context, request, action, [change], resume);
  const [outcome] = outcomes;
  if (!outcome) throw new MeshError('internal', 'the store answered a write without an outcome');
  return { policy: change.name, revision: outcome.revision, changed: outcome.changed, durability };
}
