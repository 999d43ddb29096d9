/**
 * GET and PUT /v1/brownout: which optional features are off, why, and for how long. The setting is a document of the store like any
 * policy, with revision, conditions, history and audit. A PUT names what it changes: a level with its reason and time, the
 * features, the rules; what it doesn't name stays, and what somebody else wrote meanwhile is never lost over it.
 */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { levelMax, sentSchema } from '../../core/brownout/schema.js';
import {
  type BrownoutFields,
  type BrownoutSetting,
  brownoutName,
  merged,
  parseFields,
  parseSetting,
} from '../../core/brownout/setting.js';
import { MeshError } from '../../core/errors.js';
import { canonical } from '../../core/policy/plain.js';
import type { WriteResult } from '../store/store.js';
import { readBodyDocument } from './body.js';
import { brownoutNotes, holdingNotes, ruleNotes } from './brownout-notes.js';
import type { App, RestContext } from './context.js';
import { etagOf, expectedOf } from './etags.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { readQuery, summaryOf } from './parameters.js';
import { type Base, writeSetting } from './settings.js';
import { writeAnswer, writeHeaders, writeQuery } from './writes.js';

const level = z.int().min(0).max(levelMax);

const present = {
  level: level.describe('the higher one of the operator and the rules; 0: everything runs'),
  source: z.enum(['operator', 'rule', 'none']).describe('who set that level'),
  reason: z.string().describe('why; empty at level 0'),
  ttlMs: z.int().nullable().describe("what is left of the operator's level; null: it has no end"),
  revision: z.int().nullable().describe('of the setting; null: nobody has set any'),
  operator: z
    .object({
      level: level.describe('as it was set, also where its time is over'),
      reason: z.string(),
      author: z.string().describe("a token's name, or anonymous; empty at level 0"),
      ttl: z.string().nullable().describe('as it was set; null: it has no end'),
    })
    .describe('what an operator has set'),
  features: z.record(z.string(), level).describe('the level that switches each off; one not named here: 2'),
  rules: z.array(
    z.object({
      level,
      when: z.record(z.string(), z.unknown()),
      for: z.string().optional(),
      clearAfter: z.string().optional(),
      on: z.boolean(),
      evidence: z.string().describe('what was seen when it turned on; empty while off'),
    }),
  ),
  notes: brownoutNotes,
};

export const brownoutAnswer = z.object(present);

export const brownoutWriteAnswer = z.object({
  ...present,
  changed: z.boolean().describe('false: it said the same already, and keeps its revision'),
  durability: writeAnswer.shape.durability,
});

export const brownoutPreview = z.object({
  dryRun: z.literal(true),
  revision: z.int().nullable().describe('the present one; null: nobody has set any'),
  changed: z.boolean(),
  setting: z.record(z.string(), z.unknown()).describe('what would be stored'),
  notes: brownoutNotes,
});

const noQuery = z.strictObject({});

export function brownoutRoutes(app: App, context: RestContext): void {
  app.get(
    '/v1/brownout',
    operation({
      access: 'viewer',
      tag: 'mesh',
      summary: 'Which optional features are off, why, and for how long',
      query: noQuery,
      answer: brownoutAnswer,
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const { revision } = context.brownout.view().setting ?? {};
      if (revision !== undefined) reply.header('etag', etagOf(revision));
      return answer(request, reply, await presentOf(context));
    },
  );

  app.put(
    '/v1/brownout',
    operation({
      access: 'operator',
      tag: 'mesh',
      summary: 'Set the level, the features, the rules; what is not named stays',
      query: writeQuery,
      headers: writeHeaders,
      body: sentSchema().jsonSchema(),
      answer: z.union([brownoutWriteAnswer, brownoutPreview]),
      problems: [412, 413, 415, 422, 503],
    }),
    async (request, reply) => {
      const { dryRun } = readQuery(writeQuery, request);
      const { fields } = readBodyDocument(request, parseFields);
      if (dryRun === 'true') return answer(request, reply, await preview(context, request, fields));
      const { outcomes, durability } = await write(context, request, fields);
      const [outcome] = outcomes;
      if (!outcome) throw new MeshError('internal', 'the store answered a write without an outcome');
      const { revision, changed } = outcome;
      reply.header('etag', etagOf(revision));
      return answer(request, reply, { ...(await presentOf(context)), revision, changed, durability });
    },
  );
}

async function presentOf({ brownout, mirror, roster }: RestContext): Promise<z.infer<typeof brownoutAnswer>> {
  const view = brownout.view();
  const { level, source, reason, ttlMs, setting, rules } = view;
  const { operator } = setting?.setting ?? {};
  const written = JSON.parse(setting?.setting.document ?? '{}') as Written;
  return {
    level,
    source,
    reason,
    ttlMs: ttlMs === undefined ? null : Math.ceil(ttlMs),
    revision: setting?.revision ?? null,
    operator: {
      level: operator?.level ?? 0,
      reason: operator?.reason ?? '',
      author: operator?.author ?? '',
      ttl: written.ttl ?? null,
    },
    features: written.features ?? {},
    rules: (written.rules ?? []).map((rule, i) => {
      const { on = false, evidence = '' } = rules[i] ?? {};
      return { ...rule, on, evidence };
    }),
    notes: [...holdingNotes(view), ...ruleNotes(setting?.setting.rules ?? [], mirror, await roster.agents())],
  };
}

interface Written {
  readonly ttl?: string;
  readonly features?: Record<string, number>;
  readonly rules?: readonly { level: number; when: Record<string, unknown> }[];
}

function presentBase({ mirror }: RestContext): Base {
  return { document: mirror.brownout?.setting.document, revision: mirror.brownout?.revision };
}

/** Throws `invalid_policy` where the parts are right and too much together. */
function mergedOver(
  base: Base,
  context: RestContext,
  request: FastifyRequest,
  fields: BrownoutFields,
): BrownoutSetting {
  const wallNow = context.clock.wallNow();
  const document = merged(base.document, fields, { author: request.author, wallNow });
  const result = parseSetting(document);
  if (result.ok) return result.setting;
  throw new MeshError('invalid_policy', summaryOf(result.issues), { issues: result.issues });
}

async function write(
  context: RestContext,
  request: FastifyRequest,
  fields: BrownoutFields,
): Promise<WriteResult> {
  const { 'if-match': match, 'if-none-match': noneMatch } = request.headers;
  const base = presentBase(context);
  const result = await writeSetting(context, request, {
    ...{ name: brownoutName, what: 'brownout', action: 'brownout', base },
    wanted: expectedOf(request.headers, 'brownout', base.revision),
    intent: JSON.stringify([canonical(fields), match ?? '', noneMatch ?? '']),
    merge: (onto) => mergedOver(onto, context, request, fields).document,
  });
  if (result) return result;
  throw new MeshError('internal', 'a brownout setting came to no document');
}

async function preview(
  context: RestContext,
  request: FastifyRequest,
  fields: BrownoutFields,
): Promise<z.infer<typeof brownoutPreview>> {
  const base = presentBase(context);
  const wanted = expectedOf(request.headers, 'brownout', base.revision);
  if (wanted !== 'any' && wanted !== (base.revision ?? null))
    throw new MeshError('revision_conflict', 'another revision is there', {
      target: 'brownout',
      revision: base.revision,
    });
  const { document, rules } = mergedOver(base, context, request, fields);
  const { setAt: _, ...setting } = JSON.parse(document) as Record<string, unknown>;
  const changed = document !== base.document;
  const notes = ruleNotes(rules, context.mirror, await context.roster.agents());
  return { dryRun: true, revision: base.revision ?? null, changed, setting, notes };
}
