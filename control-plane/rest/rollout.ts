/**
 * Staged rollouts as REST tells and guards them: which of the agents have the new revision, and that a halted one grows only if
 * somebody says so (`resume=true`), in the same write that lifts the halt.
 */
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { MeshError } from '../../core/errors.js';
import { formatHalts, haltInForce, haltsName } from '../../core/policy/halts.js';
import type { Match, Policy, PolicyRevision } from '../../core/policy/model.js';
import { differsInPercentAlone, reaches, staged, targetsOf } from '../../core/policy/rollout.js';
import { concerns } from '../../core/sync/interest.js';
import type { AgentRow, Mirror } from '../ports.js';
import type { Operation } from '../store/store.js';
import type { RestContext } from './context.js';
import { isoTime } from './present.js';

const reach = {
  percent: z.int().describe('of the instances, by a stable hash of instance and policy'),
  reached: z.int().describe('connected agents that have it'),
  total: z.int().describe('connected agents that it would concern at 100 percent'),
  previous: z.int().nullable().describe('revision that the others keep; null: they have nothing of it'),
};

const halted = z
  .object({ reason: z.string(), at: z.string().describe('ISO 8601'), revision: z.int() })
  .optional()
  .describe('the percentage is frozen; absent: it may grow');

export const rolloutAnswer = z.object({ ...reach, halted });

/** What a list of policies says of it. */
export const listedRollout = z.object({ percent: reach.percent, previous: reach.previous, halted });

export const rolloutPreview = z.object({
  ...reach,
  reached: z.int().describe('connected agents that it would reach'),
});

export const agentRollouts = z
  .array(
    z.object({
      policy: z.string(),
      revision: z.int(),
      percent: z.int(),
      reached: z.boolean().describe('whether it is for this agent'),
      previous: z.int().nullable().describe('what it keeps if not; null: nothing'),
    }),
  )
  .describe('staged rollouts of policies that concern it');

export const resumeParameter = z
  .enum(['true', 'false'], { error: 'must be true or false' })
  .optional()
  .describe('true: a rollout that was halted goes on; without it a halted one can not grow');

/** The rollout of a policy as its status tells it; undefined: it is for everybody. */
export function rolloutStatus(
  mirror: Mirror,
  entry: PolicyRevision,
  rows: readonly AgentRow[],
): z.infer<typeof rolloutAnswer> | undefined {
  if (!entry.staged) return undefined;
  const { name } = entry.policy;
  const has = ({ acked, refused }: AgentRow) =>
    acked >= entry.revision && !refused.some(({ policy }) => policy === name);
  return { ...reachOf(entry, rows, has), ...haltedOf(mirror, entry) };
}

/** The same without its agents. */
export function listedRolloutOf(
  mirror: Mirror,
  entry: PolicyRevision,
): z.infer<typeof listedRollout> | undefined {
  if (!entry.staged) return undefined;
  const { percent } = entry.policy.rollout;
  return { percent, previous: entry.staged.previous?.revision ?? null, ...haltedOf(mirror, entry) };
}

function haltedOf({ halts }: Mirror, entry: PolicyRevision): Pick<z.infer<typeof rolloutAnswer>, 'halted'> {
  const halt = haltInForce(halts.halts, entry);
  if (!halt) return {};
  const { reason, at, revision } = halt;
  return { halted: { reason, at: isoTime(at), revision } };
}

/** Whom a policy would reach if it were written over the present one. */
export function previewRollout(
  present: PolicyRevision | undefined,
  policy: Policy,
  rows: readonly AgentRow[],
): z.infer<typeof rolloutPreview> | undefined {
  const entry = staged(present, { policy, revision: (present?.revision ?? 0) + 1 });
  return entry.staged ? reachOf(entry, rows) : undefined;
}

/** How far it comes among these agents; undefined: it is for everybody. */
export function reachOf(
  entry: PolicyRevision,
  rows: readonly AgentRow[],
  has: (row: AgentRow) => boolean = () => true,
): z.infer<typeof rolloutPreview> {
  const concerned = rows.filter((row) => targetsOf(entry).some((match) => isConcerned(row, match)));
  return {
    percent: entry.policy.rollout.percent,
    reached: concerned.filter((row) => reaches(entry.policy, row.instance) && has(row)).length,
    total: concerned.length,
    previous: entry.staged?.previous?.revision ?? null,
  };
}

/** Of each staged rollout among these policies that concerns an agent, whether it is for it. */
export function rolloutsOf(
  policies: readonly PolicyRevision[],
): (row: AgentRow) => z.infer<typeof agentRollouts> {
  const staged = policies.filter((entry) => entry.staged);
  return (row) => staged.flatMap((entry) => rolloutOf(entry, row));
}

function rolloutOf(entry: PolicyRevision, row: AgentRow): z.infer<typeof agentRollouts> {
  if (!targetsOf(entry).some((match) => isConcerned(row, match))) return [];
  const { policy, revision, staged } = entry;
  return [
    {
      policy: policy.name,
      revision,
      percent: policy.rollout.percent,
      reached: reaches(policy, row.instance),
      previous: staged?.previous?.revision ?? null,
    },
  ];
}

function isConcerned({ service, callees }: AgentRow, match: Match): boolean {
  return concerns(match, service, { has: (callee) => callees.includes(callee) });
}

/** What a write would make of a policy; `after` undefined is its deletion. */
interface Wanted {
  readonly name: string;
  readonly after: Policy | undefined;
}

/** Throws `rollout_halted` for the first that would let a halted rollout grow, unless `resume`. */
export function refuseHalted(mirror: Mirror, changes: readonly Wanted[], resume: boolean): void {
  if (resume) return;
  for (const { name, after } of changes) {
    const present = mirror.policy(name);
    const halt = haltInForce(mirror.halts.halts, present);
    if (!halt || !present || !after || !differsInPercentAlone(present.policy, after)) continue;
    const { percent } = present.policy.rollout;
    if (after.rollout.percent <= percent) continue;
    throw new MeshError(
      'rollout_halted',
      `the rollout of ${name} is halted at ${percent} %: ${halt.reason}. Write a policy that says something else (a new rollout), roll back (delete it, if it is new), or let it go on with resume=true (switchgear apply --resume)`,
      { target: name, policy: name, revision: present.revision },
    );
  }
}

/**
 * The operation that lets those of these rollouts go on that are halted; undefined: none is. Of a request that may be repeated it is
 * always there, since the repeat has to be the same write, and finds them going on.
 */
export function resumption(
  { mirror, clock }: Pick<RestContext, 'mirror' | 'clock'>,
  { author, headers }: Pick<FastifyRequest, 'author' | 'headers'>,
  changes: readonly Wanted[],
): Operation | undefined {
  const { halts, revision } = mirror.halts;
  let next = halts;
  for (const { name, after } of changes) {
    const present = mirror.policy(name);
    const halt = haltInForce(next, present);
    if (!halt || !present || !after || !differsInPercentAlone(present.policy, after)) continue;
    next = new Map(next).set(name, { ...halt, resumed: { author, at: clock.wallNow() } });
  }
  if (next === halts && headers['idempotency-key'] === undefined) return undefined;
  const document = formatHalts(next, undefined, (other) => mirror.policy(other));
  return { kind: 'put', name: haltsName, document, expected: revision || null, intent: 'resume' };
}
