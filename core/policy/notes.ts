/**
 * What is true of an explanation and doesn't show in its fields: nothing protects the call, agents refuse a policy or approximate
 * it, a setting has no effect, a section is about some kinds of calls alone. Each note names the policy to look at. It looks, and
 * decides nothing: what agents do is written where they do it.
 */
import { criticalities } from '../criticality.js';
import { grantIntervalMs } from '../resilience/rate.js';
import { slotsOf } from '../resilience/shares.js';
import { conflicts } from './conflicts.js';
import { merge } from './match.js';
import { type Effective, type Policy, type PolicyRevision, type SectionName, sectionNames } from './model.js';
import { SELF } from './names.js';
import { isRecord, pathOf } from './plain.js';
import { unmet } from './requirements.js';
import { breaches, factsOf } from './rules.js';
import { givers, nameOf, winnerOf, writtenOf } from './sources.js';
import { formatRate } from './units.js';

/**
 * Something true of the answer that its fields don't show. `partial`: a section is about some of these calls alone; `interplay`: two
 * that are right by themselves harm each other.
 */
export interface Note {
  readonly kind:
    | 'unprotected'
    | 'refused'
    | 'approximated'
    | 'idle'
    | 'partial'
    | 'interplay'
    | 'shadow'
    | 'rollout';
  readonly message: string;
}

export interface NotesQuery {
  readonly matching: readonly PolicyRevision[];
  /** What they merge to. */
  readonly held: Effective;
  /** What of it is enforced for such calls; of most it is all. */
  readonly enforced: Effective;
  /** Of the agents concerned, those that can do the same together; undefined: all are taken to be able to do everything. */
  readonly able: readonly Able[] | undefined;
  /** Of a policy in a staged rollout, how many of the agents concerned it is for; absent: nobody has counted. */
  readonly reached?: Reached | undefined;
}

/** Agents that can do the same. */
export interface Able {
  readonly capabilities: Iterable<string>;
  /** In words: how many of how many, and of which release; absent: whoever they are. */
  readonly who?: string | undefined;
  /** What those of them go on with that refuse this policy, in words; absent: the revision they had. */
  readonly keep?: ((policy: string) => string) | undefined;
}

export type Reached = (entry: PolicyRevision) => { readonly reached: number; readonly total: number };

/** Sections that are enforced for calls into the service itself. */
const inbound: readonly SectionName[] = ['bulkhead', 'rateLimit'];

/** Of these, what is enforced for calls into the service itself. */
export function inboundOf({ bulkhead, rateLimit }: Effective): Effective {
  return { ...(bulkhead && { bulkhead }), ...(rateLimit && { rateLimit }) };
}

/** Sections of a policy for `self` alone that do nothing there. */
export function idleInbound({ match, mode, spec }: Policy): SectionName[] {
  if (match.to !== SELF || mode === 'off') return [];
  return sectionNames.filter((section) => spec[section] && !inbound.includes(section));
}

export function* notesOf({ matching, held, enforced, able, reached }: NotesQuery): IterableIterator<Note> {
  if (Object.keys(held).length === 0)
    yield {
      kind: 'unprotected',
      message: 'no policy in force says anything about these calls: they run unprotected',
    };
  for (const entry of matching) {
    const { policy, revision } = entry;
    const name = nameOf({ policy: policy.name, revision });
    if (policy.mode === 'shadow')
      yield { kind: 'shadow', message: shadowMessage(name, policy, matching, held) };
    if (policy.rollout.percent < 100)
      yield { kind: 'rollout', message: rolloutMessage(name, entry, reached) };
    for (const { capabilities: can, who, keep } of able ?? []) {
      const lacking = unmet(policy, can);
      if (lacking.length === 0) continue;
      const those = who === undefined ? "agents that can't" : `${who}, which can't`;
      const kept = keep?.(policy.name) ?? 'they keep the revision they had';
      const message = `${name} is refused whole by ${those} enforce ${lacking.join(', ')}; ${kept}`;
      yield { kind: 'refused', message };
    }
  }
  for (const group of able ?? []) yield* approximations(enforced, matching, group);
  for (const message of idleOutside(held, enforced)) yield { kind: 'idle', message };
  for (const message of idleFields(enforced, matching)) yield { kind: 'idle', message };
  for (const message of partialSections(enforced)) yield { kind: 'partial', message };
  for (const message of hedgedOutliers(enforced, matching)) yield { kind: 'interplay', message };
}

function rolloutMessage(name: string, entry: PolicyRevision, reached: NotesQuery['reached']): string {
  const here = reached?.(entry);
  const { policy, staged } = entry;
  const count = here ? `: ${here.reached} of ${here.total} here` : '';
  const others = !staged
    ? ''
    : staged.previous
      ? `; the others keep ${nameOf({ policy: policy.name, revision: staged.previous.revision })}`
      : '; the others have nothing of it';
  return `${name} reaches ${policy.rollout.percent} % of the instances${count}${others}`;
}

function shadowMessage(
  name: string,
  policy: Policy,
  matching: readonly PolicyRevision[],
  held: Effective,
): string {
  const beside = merge(matching, { shadow: true });
  const changed = sectionNames.filter(
    (section) => policy.spec[section] !== undefined && beside[section]?.value !== held[section]?.value,
  );
  const would = changed.length === 0 ? 'nothing' : changed.join(', ');
  return `${name} is in shadow: enforced, it would change ${would}`;
}

/** Who refuses the policy whole doesn't approximate it either. */
function* approximations(
  held: Effective,
  matching: readonly PolicyRevision[],
  { capabilities, who }: Able,
): IterableIterator<Note> {
  const able = new Set(capabilities);
  const each = who === undefined ? 'each agent' : `${who}, each`;
  for (const section of approximable) {
    const found = held[section];
    if (found?.value.scope !== 'cluster' || able.has(`${section}.cluster`)) continue;
    const policy = winnerOf(section, held, matching)?.policy;
    if (policy && unmet(policy, able).length > 0) continue;
    yield {
      kind: 'approximated',
      message: `${section}.scope: cluster of ${nameOf(found.source)} is enforced by ${each} for itself`,
    };
  }
}

const approximable = ['circuit', 'rateLimit'] as const;

/** Of policies to `self`, or to `*`, for calls into the service. */
function* idleOutside(held: Effective, enforced: Effective): IterableIterator<string> {
  const idle = sectionNames.filter((section) => held[section] && !enforced[section]);
  if (idle.length === 0) return;
  yield `${idle.join(', ')} of ${givers(held, idle).join(', ')} ${idle.length > 1 ? 'do' : 'does'} nothing for calls into the service itself: only bulkhead and rateLimit are enforced there`;
}

function* idleFields(held: Effective, matching: readonly PolicyRevision[]): IterableIterator<string> {
  const merged = new Set(conflicts(held).map(({ message }) => message));
  for (const { path, message, sections } of breaches(factsOf(held)))
    if (!merged.has(message)) yield `${pathOf(path)} of ${givers(held, sections).join(', ')} ${message}`;
  yield* idleRetries(held);
  yield* idleShares(held);
  yield* idleBurst(held, matching);
  const written = writtenOf('circuit', held, matching);
  const { circuit, outlier } = held;
  if (circuit?.value.scope === 'local' && isRecord(written) && written.cluster !== undefined)
    yield `circuit.cluster of ${nameOf(circuit.source)} has no effect while scope is local`;
  if (outlier && winnerOf('outlier', held, matching)?.policy.match.method !== undefined)
    yield `outlier of ${nameOf(outlier.source)} has no effect: it is about instances, and is taken from policies without match.method alone`;
}

function* idleRetries({ retry, hedge, idempotent }: Effective): IterableIterator<string> {
  if (!retry) return;
  const name = nameOf(retry.source);
  if (retry.value.attempts === 1) yield `retry of ${name} tries nothing again with attempts: 1`;
  else if (idempotent?.value !== true)
    yield `retry of ${name} repeats only what was provably never sent, since idempotent is not true`;
  else if (hedge)
    yield `retry of ${name} tries no call again that is hedged (by ${nameOf(hedge.source)}); its on and budget hold for the hedges`;
}

function* idleShares({ bulkhead }: Effective): IterableIterator<string> {
  const { maxConcurrent, shares } = bulkhead?.value ?? {};
  if (!bulkhead || !shares || typeof maxConcurrent !== 'number') return;
  const empty = criticalities.filter((name) => comesToNothing(shares[name], maxConcurrent));
  if (empty.length === 0) return;
  const told = empty.map((name) => `${name} (${formatRate(shares[name] ?? 0)})`);
  yield `bulkhead.shares of ${nameOf(bulkhead.source)} guarantee nothing to ${told.join(', ')}: less than one call of maxConcurrent ${maxConcurrent}`;
}

function comesToNothing(share: number | undefined, limit: number): boolean {
  return share !== undefined && slotsOf(share, limit) === 0;
}

/** Under a cluster scope nobody may save up more than the grants of one interval. */
function* idleBurst(held: Effective, matching: readonly PolicyRevision[]): IterableIterator<string> {
  const { rateLimit } = held;
  if (rateLimit?.value.scope !== 'cluster') return;
  const { rate, perMs, burst } = rateLimit.value;
  const written = writtenOf('rateLimit', held, matching);
  const most = Math.floor((rate * grantIntervalMs(rateLimit.value)) / perMs);
  if (isRecord(written) && written.burst !== undefined && burst > most)
    yield `rateLimit.burst of ${nameOf(rateLimit.source)} has no effect above ${most}, what the mesh is granted at a time with scope: cluster`;
}

/** grpc-js counts every status but OK against an instance: also the cancel that ends a hedge which came second. */
function* hedgedOutliers(held: Effective, matching: readonly PolicyRevision[]): IterableIterator<string> {
  const { hedge, idempotent } = held;
  const { outlier } = merge(matching.filter(({ policy }) => policy.match.method === undefined));
  if (!hedge || idempotent?.value !== true || !outlier) return;
  yield `outlier of ${nameOf(outlier.source)} counts each attempt that hedge of ${nameOf(hedge.source)} cancels, since another came first, as a failure of its instance, and may leave well ones out: take one of the two, or a hedge.delay that few calls reach and a higher outlier.failureRate`;
}

/** The sections that are not about every kind of call. Which kind a method is, no policy says. */
const kinds: readonly (readonly [SectionName, string])[] = [
  ['streamTimeout', 'is about calls whose response streams'],
  [
    'retry',
    'is about unary calls and server streams, until response headers arrive; no other stream is tried again',
  ],
  ['hedge', 'is about unary calls; no stream is hedged'],
  ['outlier', 'is about clients of mesh.client, which choose among the instances'],
];

function* partialSections(held: Effective): IterableIterator<string> {
  for (const [section, text] of kinds) {
    const source = held[section]?.source;
    if (source) yield `${section} of ${nameOf(source)} ${text}`;
  }
  const { fallback } = held;
  if (!fallback) return;
  const name = nameOf(fallback.source);
  const found = new Set(fallback.value.map(({ kind }) => kind));
  const answering = [...found].filter((kind) => kind !== 'error');
  if (answering.length > 0)
    yield `fallback (${answering.join(', ')}) of ${name} is about unary calls; a stream falls back to error alone`;
  if (found.has('target'))
    yield `fallback (target) of ${name} is about mesh.client, mesh.fetch and mesh.dispatcher, which know where the target is; elsewhere it is passed over`;
}
