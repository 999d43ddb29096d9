/**
 * PUT and DELETE /v1/circuits/{id}/override: a circuit that an operator forces open or closed, for a time and with a reason.
 * GET, PUT and DELETE /v1/freeze: the kill switch, under which no circuit of the mesh opens. Both are one document of the store, with
 * revisions and audit like any policy's; what is over leaves it with the next write.
 */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import {
  type CircuitsChange,
  changedSetting,
  circuitIdPattern,
  circuitsName,
  freezeSchema,
  overrideSchema,
  parseCircuitsSetting,
  parseFreeze,
  parseOverride,
} from '../../core/coordination/overrides.js';
import { MeshError } from '../../core/errors.js';
import { SELF } from '../../core/policy/names.js';
import { canonical, type Plain } from '../../core/policy/plain.js';
import { readBodyDocument } from './body.js';
import { namesOf, presentCircuits } from './circuits.js';
import { leftMs, overrideShown, showOverride } from './cluster-circuits.js';
import type { App, RestContext } from './context.js';
import { answer } from './negotiate.js';
import { operation } from './operation.js';
import { readPath, readQuery, summaryOf, textParameter } from './parameters.js';
import { writeSetting } from './settings.js';
import { writeAnswer, writeHeaders } from './writes.js';

const written = {
  revision: z.int().nullable().describe('of the list of overrides; null: there never was one'),
  changed: z.boolean().describe('false: there was nothing to change'),
  durability: writeAnswer.shape.durability.nullable().describe('null: nothing was written'),
};

export const overrideAnswer = z.object({
  circuit: z.string(),
  override: overrideShown.nullable().describe('null: none holds'),
  ...written,
});

const freezeFields = {
  frozen: z.boolean().describe('true: no circuit of the mesh opens; those of single agents do'),
  reason: z.string().describe('empty while not frozen'),
  author: z.string().describe("a token's name, or anonymous"),
  ttlMs: z.int().nullable().describe('what is left of its time; null: until somebody thaws them'),
};

export const freezeAnswer = z.object(freezeFields);
export const freezeWriteAnswer = z.object({ ...freezeFields, ...written });

const noQuery = z.strictObject({});
const path = z.strictObject({ '*': textParameter('a circuit as callee|policy, then /override', 1024) });
const shownPath = z.strictObject({ id: textParameter('a circuit as callee|policy', 1024) });
const headers = writeHeaders.pick({ 'idempotency-key': true });

const SUFFIX = '/override';
const overridePath = '/v1/circuits/{id}/override';

export function overrideRoutes(app: App, context: RestContext): void {
  const common = { access: 'operator', tag: 'mesh', query: noQuery, headers } as const;

  // Ids have slashes in them, so the path is matched by a wildcard and its end looked at here.
  app.put(
    '/v1/circuits/*',
    operation({
      ...common,
      shownAs: overridePath,
      summary: 'Force a circuit open or closed',
      path: shownPath,
      body: overrideSchema().jsonSchema(),
      answer: overrideAnswer,
      problems: [404, 413, 415, 422, 503],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const circuit = circuitOf(request);
      const { fields } = readBodyDocument(request, parseOverride);
      await requireKnown(context, circuit);
      const change = { circuit, put: fields };
      return answer(request, reply, await writeOverride(context, request, change));
    },
  );

  app.delete(
    '/v1/circuits/*',
    operation({
      ...common,
      shownAs: overridePath,
      summary: 'Leave a circuit to itself again',
      path: shownPath,
      answer: overrideAnswer,
      problems: [404, 503],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const circuit = circuitOf(request);
      if (context.mirror.overrides?.setting.overrides.has(circuit) !== true)
        await requireKnown(context, circuit);
      const change = { circuit, put: undefined };
      return answer(request, reply, await writeOverride(context, request, change));
    },
  );

  app.get(
    '/v1/freeze',
    operation({
      access: 'viewer',
      tag: 'mesh',
      summary: 'Whether circuits of the mesh may open',
      query: noQuery,
      answer: freezeAnswer,
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      return answer(request, reply, showFreeze(context));
    },
  );

  app.put(
    '/v1/freeze',
    operation({
      ...common,
      summary: 'Let no circuit of the mesh open',
      body: freezeSchema().jsonSchema(),
      answer: freezeWriteAnswer,
      problems: [413, 415, 422, 503],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const { fields } = readBodyDocument(request, parseFreeze);
      const result = await write(context, request, { circuit: undefined, put: fields });
      return answer(request, reply, { ...showFreeze(context), ...result });
    },
  );

  app.delete(
    '/v1/freeze',
    operation({
      ...common,
      summary: 'Let circuits of the mesh open again',
      answer: freezeWriteAnswer,
      problems: [503],
    }),
    async (request, reply) => {
      readQuery(noQuery, request);
      const result = await write(context, request, { circuit: undefined, put: undefined });
      return answer(request, reply, { ...showFreeze(context), ...result });
    },
  );
}

function showFreeze({ overrides, clock }: RestContext): z.infer<typeof freezeAnswer> {
  const freeze = overrides.freeze();
  if (!freeze) return { frozen: false, reason: '', author: '', ttlMs: null };
  const { reason, author, endsAt } = freeze;
  return { frozen: true, reason, author, ttlMs: leftMs(endsAt, clock.now()) };
}

/** Throws `not_found` for a path that has no override. */
function circuitOf(request: FastifyRequest): string {
  const { '*': rest } = readPath(path, request);
  if (rest.endsWith(SUFFIX)) return rest.slice(0, -SUFFIX.length);
  throw new MeshError('not_found', `a circuit is not written; its override is: ${overridePath}`);
}

/** Throws `not_found` with what would be right. */
async function requireKnown(context: RestContext, id: string): Promise<void> {
  if (!circuitIdPattern.test(id)) {
    const [all = '', zone] = id.split('@');
    const hint = zone === undefined ? 'an id reads <callee>|<policy>' : `an override is of all zones: ${all}`;
    throw new MeshError('not_found', `there can be no override of ${id}; ${hint}`);
  }
  const reason = whyNone(context, id);
  if (reason === '' || (await presentCircuits(context)).some((circuit) => circuit.id === id)) return;
  throw new MeshError('not_found', `there is no circuit ${id}: ${reason}`);
}

/** Why no policy in force makes such a circuit; empty: one does, whether or not anybody has called yet. */
function whyNone({ mirror }: RestContext, id: string): string {
  const { callee, policy: name, method } = namesOf(id);
  if (callee === SELF) return 'calls into a service have no circuit';
  const found = mirror.policy(name)?.policy;
  if (!found) return `there is no policy ${name}; GET /v1/circuits lists those that agents report`;
  const { match, mode, spec } = found;
  if (mode === 'off') return `policy ${name} is off`;
  if (!spec.circuit) return `policy ${name} has no section circuit`;
  if (match.to !== '*' && match.to !== callee)
    return `policy ${name} is for calls to ${match.to}: ${match.to}|${name}`;
  const { per } = spec.circuit;
  if (per === 'method' && method === '')
    return `policy ${name} has a circuit for each method: ${callee}|${name}|<pkg.Service/Method>`;
  if (per === 'service' && method !== '')
    return `policy ${name} has one circuit for all methods: ${callee}|${name}`;
  const prefix = match.method?.replace(/\*$/, '') ?? '';
  const right = match.method?.endsWith('*') ? method.startsWith(prefix) : prefix === '' || method === prefix;
  return method === '' || right ? '' : `policy ${name} is for the method ${match.method}`;
}

async function writeOverride(
  context: RestContext,
  request: FastifyRequest,
  change: CircuitsChange & { readonly circuit: string },
): Promise<z.infer<typeof overrideAnswer>> {
  const { circuit } = change;
  const result = await write(context, request, change);
  const override = showOverride(context.overrides.override(circuit), context.clock.now());
  return { circuit, override, ...result };
}

/** Throws `invalid_policy` where there would be too many, `store_unavailable`. */
async function write(
  context: RestContext,
  request: FastifyRequest,
  change: CircuitsChange,
): Promise<{
  revision: number | null;
  changed: boolean;
  durability: 'memory' | 'fsync' | 'replicated' | null;
}> {
  refuseConditions(request);
  const { mirror, overrides, clock } = context;
  const base = { document: mirror.overrides?.setting.document, revision: mirror.overrides?.revision };
  const author = request.author;
  const result = await writeSetting(context, request, {
    ...{ name: circuitsName, what: 'overrides', base, wanted: 'any', ...actionOf(change) },
    intent: canonical([change.circuit ?? '', (change.put as unknown as Plain) ?? null]),
    merge: (onto) => {
      const wallNow = clock.wallNow();
      const isOver = (made: number) => overrides.isOver(made);
      const document = changedSetting(onto.document, change, { author, wallNow, isOver });
      const read = document === undefined ? undefined : parseCircuitsSetting(document);
      if (read?.ok === false)
        throw new MeshError('invalid_policy', summaryOf(read.issues), { issues: read.issues });
      return document;
    },
  });
  const [outcome] = result?.outcomes ?? [];
  if (!result || !outcome) return { revision: base.revision ?? null, changed: false, durability: null };
  return { revision: outcome.revision, changed: outcome.changed, durability: result.durability };
}

/** What the audit says was done; the list itself has many circuits in it. */
function actionOf(change: CircuitsChange): { action: string; counted: string } {
  if (change.circuit === undefined)
    return { action: `${change.put ? 'freeze' : 'thaw'} circuits${why(change)}`, counted: 'freeze' };
  const word = change.put?.state ?? 'auto';
  return { action: `circuit ${word} ${change.circuit}${why(change)}`, counted: 'override' };
}

function why({ put }: CircuitsChange): string {
  return put ? `: ${put.reason}` : '';
}

/** The list changes with every override, so that its revision says nothing about this one. */
function refuseConditions({ headers: sent }: FastifyRequest): void {
  for (const name of ['if-match', 'if-none-match'])
    if (sent[name] !== undefined)
      throw new MeshError('invalid_request', `${name} is not for overrides: the last one counts`, {
        issues: [{ path: `header.${name}`, message: 'must be left out: the last override counts' }],
      });
}
