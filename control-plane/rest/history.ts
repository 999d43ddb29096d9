/**
 * …/revisions and …/rollback: what a policy has been, who made it so, and the way back. A rollback writes the old document as a
 * new revision; history only ever grows at its end. Both are read from the store, so they are 503 without one.
 */
import { z } from 'zod';
import { MeshError } from '../../core/errors.js';
import { parseDocument } from '../../core/policy/index.js';
import type { Policy } from '../../core/policy/model.js';
import type { HistoryEntry } from '../store/store.js';
import { readBodyFields } from './body.js';
import type { App, RestContext } from './context.js';
import { etagOf, expectedOf } from './etags.js';
import { answer } from './negotiate.js';
import { jsonSchemaOf, operation } from './operation.js';
import { limitParameter, policyParameters, readPath, readQuery, revisionParameter } from './parameters.js';
import { writeOne } from './policies.js';
import { documentOf, isoTime } from './present.js';
import { preview, previewAnswer, writeAnswer, writeHeaders, writeQuery } from './writes.js';

const entry = z.object({
  policy: z.string(),
  revision: z.int(),
  author: z.string(),
  action: z.string(),
  at: z.string().describe('ISO 8601'),
  deleted: z.boolean().describe('true: this revision is the deletion'),
});

const listed = entry.extend({
  sameAs: z
    .int()
    .optional()
    .describe('of a rollback: the newest revision before it that says the same, if it is on this page'),
});

export const revisionsAnswer = z.object({
  policy: z.string(),
  revisions: z.array(listed).describe('newest first'),
  next: z.int().nullable().describe('give it as `before` for the next page; null: this was the last'),
});

export const revisionAnswer = entry.extend({
  document: z.record(z.string(), z.unknown()).nullable().describe('null: the deletion'),
});

const listQuery = z.strictObject({
  limit: limitParameter(1000, 100),
  before: revisionParameter.optional().describe('only revisions below this one'),
});
const noQuery = z.strictObject({});
const revisionPath = policyParameters.extend({ revision: revisionParameter });
const rollbackBody = z.strictObject({ to: revisionParameter.describe('a revision of this policy') });

export function historyRoutes(app: App, context: RestContext): void {
  const { mirror } = context;
  const common = { tag: 'policies' } as const;

  app.get(
    '/v1/policies/:name/revisions',
    operation({
      ...common,
      access: 'viewer',
      summary: "A policy's history, deleted ones included",
      path: policyParameters,
      query: listQuery,
      answer: revisionsAnswer,
      problems: [404, 503],
    }),
    async (request, reply) => {
      const { limit, before } = readQuery(listQuery, request);
      const { name } = readPath(policyParameters, request);
      const entries = await mirror.history(name, { limit, ...(before === undefined ? {} : { before }) });
      if (entries.length === 0 && before === undefined)
        throw new MeshError('not_found', `there never was a policy ${name}`);
      return answer(request, reply, {
        policy: name,
        revisions: entries.map((row, at) => ({ ...describe(row), ...wentBack(row, entries.slice(at + 1)) })),
        next: entries.length < limit ? null : (entries.at(-1)?.revision ?? null),
      });
    },
  );

  app.get(
    '/v1/policies/:name/revisions/:revision',
    operation({
      ...common,
      access: 'viewer',
      summary: 'A policy as it was',
      path: revisionPath,
      query: noQuery,
      answer: revisionAnswer,
      problems: [404, 503],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const { name, revision } = readPath(revisionPath, request);
      const old = await historic(context, name, revision);
      const document = old.document === null ? null : documentOf(old.document);
      return answer(request, reply, { ...describe(old), document });
    },
  );

  app.post(
    '/v1/policies/:name/rollback',
    operation({
      ...common,
      access: 'operator',
      summary: 'Write an old revision as a new one',
      path: policyParameters,
      query: writeQuery,
      headers: writeHeaders,
      body: jsonSchemaOf(rollbackBody, 'input'),
      answer: z.union([writeAnswer, previewAnswer]),
      problems: [404, 409, 412, 413, 415, 422, 503],
    }),
    async (request, reply) => {
      const { dryRun } = readQuery(writeQuery, request);
      const { name } = readPath(policyParameters, request);
      const { to } = readBodyFields(request, rollbackBody);
      const { document } = await historic(context, name, to);
      if (document === null)
        throw new MeshError(
          'invalid_request',
          `revision ${to} is the deletion of ${name}; use DELETE for that`,
          {
            issues: [{ path: 'to', message: 'must be a revision with a document' }],
          },
        );
      const change = {
        name,
        after: stillValid(document, `revision ${to} of ${name}`),
        expected: expectedOf(request.headers, name, mirror.policy(name)?.revision),
      };
      if (dryRun === 'true') return answer(request, reply, await preview(context, change));
      const answered = await writeOne(context, request, 'rollback', change);
      return answer(request, reply.header('etag', etagOf(answered.revision)), answered);
    },
  );
}

async function historic({ mirror }: RestContext, name: string, revision: number): Promise<HistoryEntry> {
  const found = await mirror.historic(name, revision);
  if (found) return found;
  throw new MeshError(
    'not_found',
    `${name} has no revision ${revision} (any more); GET /v1/policies/${name}/revisions lists what is kept`,
  );
}

/** What was accepted once may be refused by a newer parser. Throws `invalid_policy`. */
function stillValid(document: string, what: string): Policy {
  const result = parseDocument(document);
  if (result.ok) return result.policy;
  throw new MeshError('invalid_policy', `${what} is not valid any more`, { issues: result.issues });
}

/** A rollback keeps no note of where it went back to; its document tells. */
function wentBack({ action, document }: HistoryEntry, before: readonly HistoryEntry[]): { sameAs?: number } {
  const found = action === 'rollback' && before.find((row) => row.document === document);
  return found ? { sameAs: found.revision } : {};
}

function describe({ name, revision, author, action, at, document }: HistoryEntry): z.infer<typeof entry> {
  return {
    policy: name,
    revision,
    author,
    action,
    at: isoTime(at),
    deleted: document === null,
  };
}
