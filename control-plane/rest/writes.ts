/**
 * What all writes have in common: who and under which id, the one call of the mirror, what is answered, and the dry run that
 * answers instead. A write is decided by the store alone; a dry run compares with what this replica knows at present.
 */
import { createHash } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { MeshError, toMeshError } from '../../core/errors.js';
import { haltsName } from '../../core/policy/halts.js';
import { diffPolicies, requirements, unmet } from '../../core/policy/index.js';
import type { Match, Policy } from '../../core/policy/model.js';
import { reaches } from '../../core/policy/rollout.js';
import type { AgentRow, Mirror } from '../ports.js';
import { OutcomeUnknown, RequestIdReused } from '../store/request.js';
import type { Expected, Operation, WriteResult } from '../store/store.js';
import type { RestContext } from './context.js';
import { dryRunParameter } from './parameters.js';
import { previewRollout, refuseHalted, resumeParameter, resumption, rolloutPreview } from './rollout.js';

export const writeAnswer = z.object({
  policy: z.string(),
  revision: z.int().describe('of the policy after the write; of a deletion, its own'),
  changed: z.boolean().describe('false: it said the same already, and keeps its revision'),
  durability: z.enum(['memory', 'fsync', 'replicated']).describe('how far the write is safe'),
});

export const previewAnswer = z.object({
  dryRun: z.literal(true),
  policy: z.string(),
  revision: z.int().nullable().describe('the present one; null: it does not exist'),
  changed: z.boolean(),
  changes: z.array(
    z.object({
      path: z.string(),
      before: z.unknown().optional().describe('absent: new'),
      after: z.unknown().optional().describe('absent: removed'),
    }),
  ),
  agents: z.array(z.string()).describe('connected agents that would be told'),
  refusedBy: z
    .array(z.object({ agent: z.string(), missing: z.array(z.string()).describe('capabilities, by name') }))
    .describe('those of them that would refuse it, since they can not enforce it'),
  rollout: rolloutPreview.optional().describe('where it is below 100 percent'),
});

export type Preview = z.infer<typeof previewAnswer>;

export const writeQuery = z.strictObject({ dryRun: dryRunParameter });

/** Of writes that may let a rollout grow. */
export const putQuery = z.strictObject({ dryRun: dryRunParameter, resume: resumeParameter });

export const writeHeaders = z.object({
  'if-match': z
    .string()
    .optional()
    .describe('write only over this revision, for example "7"; * if it exists'),
  'if-none-match': z.string().optional().describe('*: write only if it does not exist'),
  'idempotency-key': z.string().optional().describe('the same key and request are one write, for 10 minutes'),
});

/** What a write would make of one policy: `after` undefined is its deletion. */
export interface Change {
  readonly name: string;
  readonly after: Policy | undefined;
  readonly expected: Expected;
}

/** Times that a halt may come between. */
const RESUME_TRIES = 5;

/**
 * Writes all or nothing; the answer's outcomes are those of `changes`, in their order. `resume`: halted rollouts among them go on.
 * Throws `revision_conflict` with the present revision, `rollout_halted`, `store_unavailable`.
 */
export async function commit(
  context: RestContext,
  request: FastifyRequest,
  action: 'put' | 'delete' | 'apply' | 'rollback',
  changes: readonly Change[],
  resume = false,
): Promise<WriteResult> {
  for (let tries = 1; ; tries++) {
    refuseHalted(context.mirror, changes, resume);
    const lift = resume ? resumption(context, request, changes) : undefined;
    const operations = [...changes.map(operationOf), ...(lift ? [lift] : [])];
    try {
      const result = await commitOperations(context, request, action, operations);
      return { ...result, outcomes: result.outcomes.slice(0, changes.length) };
    } catch (error) {
      const between = error instanceof MeshError && error.issues?.every(({ path }) => path === haltsName);
      if (!lift || !between || tries >= RESUME_TRIES) throw error;
    }
  }
}

/** The same, of documents that need not be policies. */
export async function commitOperations(
  { mirror, random, telemetry }: Pick<RestContext, 'mirror' | 'random' | 'telemetry'>,
  request: FastifyRequest,
  action: string,
  operations: readonly Operation[],
  /** Under which name it is counted, one of few. */
  counted = action,
): Promise<WriteResult> {
  try {
    const result = await mirror.write({
      requestId: requestIdOf(request, () => random.hex(16)),
      author: request.author,
      action,
      operations,
    });
    telemetry.write(counted, result.outcomes.some(({ changed }) => changed) ? 'changed' : 'unchanged');
    return result;
  } catch (thrown) {
    const error = toMeshError(thrown);
    const result = { revision_conflict: 'conflict', store_unavailable: 'unavailable' } as const;
    telemetry.write(counted, result[error.code as keyof typeof result] ?? 'failed');
    const [change] = operations;
    const key = request.headers['idempotency-key'];
    if (error instanceof RequestIdReused) throw reusedKey(String(key), error);
    if (error instanceof OutcomeUnknown) throw withRemedy(key !== undefined, error);
    throw error.code === 'revision_conflict' && change
      ? await withPresent(mirror, change.name, error)
      : error;
  }
}

/** In the word that the client used: the request id is ours. */
function reusedKey(key: string, cause: MeshError): MeshError {
  const message = `"${key}" belongs to another write of the last ten minutes; use a new key`;
  return new MeshError('invalid_request', `Idempotency-Key ${message}`, {
    issues: [{ path: 'header.idempotency-key', message }],
    cause,
  });
}

function withRemedy(hasKey: boolean, cause: OutcomeUnknown): MeshError {
  const remedy = hasKey
    ? 'repeat it with the same Idempotency-Key'
    : 'look before you repeat it, and send an Idempotency-Key, so that a repeat is the same write';
  const text = cause.message.replace(/^\[\w+\] /, '');
  return new MeshError('store_unavailable', `${text}; it may have been written all the same; ${remedy}`, {
    cause,
  });
}

/** The conflict with the revision that the store has now; this replica may not have seen it yet. */
async function withPresent(mirror: Mirror, name: string, error: MeshError): Promise<MeshError> {
  const known = mirror.policy(name)?.revision;
  const revision = await mirror.history(name, { limit: 1 }).then(
    ([newest]) => (newest === undefined || newest.document === null ? undefined : newest.revision),
    () => known,
  );
  const text = error.issues?.[0]?.message ?? 'another revision is there';
  return new MeshError('revision_conflict', text, {
    target: name,
    policy: name,
    revision,
    issues: error.issues,
    cause: error,
  });
}

/** What would change and who would be told, of each. Throws `revision_conflict` as the write would. */
export async function previewAll(
  { mirror, roster }: RestContext,
  changes: readonly Change[],
  resume = false,
): Promise<Preview[]> {
  refuseHalted(mirror, changes, resume);
  const concerned = new Map<string, Promise<readonly string[]>>();
  const agentsOf = (match: Match) => {
    const key = `${match.to}\n${match.from ?? ''}`;
    const known = concerned.get(key) ?? roster.concerned(match);
    concerned.set(key, known);
    return known;
  };
  const rows = await roster.agents();
  const able = new Map(rows.map((row) => [row.agent, row]));
  const previews: Preview[] = [];
  for (const change of changes) {
    const { name, after } = change;
    const rollout = after && previewRollout(mirror.policy(name), after, rows);
    previews.push({ ...(await previewOf(mirror, change, agentsOf, able)), ...(rollout && { rollout }) });
    // A thousand documents for ten thousand agents are work; others have their turn in between.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return previews;
}

export async function preview(context: RestContext, change: Change, resume = false): Promise<Preview> {
  const [only] = await previewAll(context, [change], resume);
  if (only) return only;
  throw new MeshError('internal', 'no preview of a change');
}

async function previewOf(
  mirror: Mirror,
  { name, after, expected }: Change,
  agentsOf: (match: Match) => Promise<readonly string[]>,
  able: ReadonlyMap<string, AgentRow>,
): Promise<Preview> {
  const present = mirror.policy(name);
  if (expected !== 'any' && expected !== (present?.revision ?? null))
    throw conflict(name, expected, present?.revision);
  const before = present?.policy;
  const changed = before?.document !== after?.document;
  const keeping = changed && after !== undefined ? await agentsOf(after.match) : [];
  const agents = new Set(keeping);
  if (changed && before !== undefined) for (const agent of await agentsOf(before.match)) agents.add(agent);
  return {
    dryRun: true,
    policy: name,
    revision: present?.revision ?? null,
    changed,
    changes: changed ? [...diffPolicies(before, after)] : [],
    agents: [...agents].sort(),
    refusedBy: after === undefined ? [] : refusals(after, [...keeping].sort(), able),
  };
}

/**
 * An agent that has gone meanwhile, or that another replica hasn't told of yet, is not said to refuse anything; one that a rollout
 * does not reach refuses only where it doesn't know what a rollout is.
 */
function refusals(
  policy: Policy,
  agents: readonly string[],
  able: ReadonlyMap<string, AgentRow>,
): Preview['refusedBy'] {
  return agents.flatMap((agent) => {
    const { capabilities = requirements(policy), instance = '' } = able.get(agent) ?? {};
    const outside = capabilities.includes('rollout') && !reaches(policy, instance);
    const missing = outside ? [] : unmet(policy, capabilities);
    return missing.length === 0 ? [] : [{ agent, missing }];
  });
}

function conflict(name: string, expected: number | null, present: number | undefined): MeshError {
  const wanted = expected === null ? 'it must not exist' : `revision ${expected} was expected`;
  const found = present === undefined ? 'there is none' : `revision ${present} is there`;
  return new MeshError('revision_conflict', `${wanted}, ${found}`, {
    target: name,
    policy: name,
    revision: present,
  });
}

function operationOf({ name, after, expected }: Change): Operation {
  if (after === undefined) return { kind: 'delete', name, expected };
  return { kind: 'put', name, document: after.document, expected };
}

const KEY = /^[\x21-\x7e]{1,255}$/;

/**
 * The id under which the store remembers this write for 10 minutes. A client that sends `Idempotency-Key` gets the same one for the
 * same key, so a repeat after a lost answer is one write; the store refuses the key of another write. Authors can't meet.
 */
function requestIdOf({ headers, author }: FastifyRequest, fresh: () => string): string {
  const key = headers['idempotency-key'];
  if (key === undefined) return fresh();
  if (typeof key !== 'string' || !KEY.test(key))
    throw new MeshError('invalid_request', 'Idempotency-Key has to be 1 to 255 visible characters', {
      issues: [{ path: 'header.idempotency-key', message: 'must be 1 to 255 visible ASCII characters' }],
    });
  return createHash('sha256')
    .update(JSON.stringify([author, key]))
    .digest('hex')
    .slice(0, 32);
}
