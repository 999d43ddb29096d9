/**
 * The limits of time of a guarded call and of its attempts, what is said when one runs out, and the policies in shadow that watch an
 * attempt. Everything here is for calls that have such a limit or such a policy.
 */
import { rankOf } from '../core/criticality.js';
import type { FallbackSpec } from '../core/policy/model.js';
import { effectiveDeadline } from '../core/resilience/deadline.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { noPushback } from '../core/resilience/pushback.js';
import type { AttemptFailure } from '../core/resilience/retry.js';
import { cacheNameOf } from './cache-name.js';
import { type CallContext, currentContext } from './context.js';
import { NO_SHADOW, type Rare } from './guard-rare.js';
import type { EngineOptions } from './guarded-function.js';
import { rankOfCall } from './outgoing.js';
import type { Shadow } from './shadow.js';
import type { Compiled, Target } from './target.js';
import type { Targets } from './targets.js';

/** An attempt, as far as its limits are concerned. */
export interface Limited {
  readonly targets: Targets;
  readonly target: Target;
  readonly held: Compiled;
  readonly options: Pick<
    EngineOptions<unknown>,
    'criticality' | 'key' | 'request' | 'repeatable' | 'elsewhere'
  >;
  readonly handle: number;
  readonly rank: number;
  /** When all attempts and pauses of the call together must be over; Infinity: never. */
  readonly wholeAt: number;
  readonly rare: Rare | undefined;
  readonly over: boolean;
  rarely(): Rare;
}

const NEVER = Number.POSITIVE_INFINITY;

/** What an attempt that ran out of time is to the rules of retries. */
export const timedOutFailure: AttemptFailure = {
  status: 'DEADLINE_EXCEEDED',
  unsent: false,
  shed: false,
  local: false,
  pushback: noPushback,
};

/**
 * Limits the whole call from `now` on, by the policy and by the call that this one is part of. Answers the length left. `lagMs`: so
 * much later it may be than `now`.
 */
export function limitWhole(first: Limited, now: number, lagMs: number): number {
  const { timeout, attemptTimeout } = first.held.effective;
  const { criticality } = first.options;
  const own = criticality === undefined ? undefined : rankOf(criticality);
  const inherited = currentContext();
  if (inherited !== undefined) return inherit(first, inherited, own, now);
  if (own !== undefined) first.rarely().rank = own;
  const wholeMs = timeout === undefined ? NEVER : timeout.value;
  if (attemptTimeout !== undefined) first.rarely().wholeAt = now + wholeMs + lagMs;
  return wholeMs;
}

function inherit(first: Limited, context: CallContext, own: number | undefined, now: number): number {
  const rare = first.rarely();
  const { deadlineAt, upstreamRetry } = context;
  const timeoutMs = first.held.effective.timeout?.value;
  rare.rank = rankOfCall(own, context);
  rare.upstreamRetry = upstreamRetry === true;
  const { at, by } = effectiveDeadline(now, deadlineAt, timeoutMs);
  rare.wholeAt = at;
  rare.inherited = by === 'caller';
  return by === 'policy' ? (timeoutMs ?? NEVER) : at - now;
}

/** What an attempt that begins now may take. */
export function lengthMs({ held, wholeAt }: Limited, now: number): number {
  return Math.min(held.effective.attemptTimeout?.value ?? NEVER, wholeAt - now);
}

/** `final`: the time of the whole is over, not that of the attempt alone. */
export function timedOut({ target, held, rare }: Limited, final: boolean): unknown {
  if (final && rare?.inherited === true)
    return target.error('deadline_exceeded', 'the call that this one is part of ran out of time');
  return target.timedOut(final ? 'timeout' : 'attemptTimeout', 'no answer', held.effective);
}

/** Answers whether the attempt goes on: whoever hears of a transition there may end it. */
export function beginShadow(attempt: Limited, shadow: Shadow): boolean {
  const { held, handle, wholeAt, rank, target } = attempt;
  const startedAt = held.plan.startedAt(handle);
  attempt.rarely().shadow = shadow.begin(startedAt, wholeAt, rank, target);
  if (!attempt.over) return true;
  endShadow(attempt, 'neutral', 'CANCELLED', startedAt, startedAt);
  return false;
}

/** `unsent`: it provably never reached the target. */
export function endShadow(
  attempt: Limited,
  outcome: Outcome,
  status: string,
  startedAt: number,
  now: number,
  unsent = false,
): void {
  const { held, target, rare, options } = attempt;
  if (rare === undefined || rare.shadow === NO_SHADOW) return;
  const { shadow } = rare;
  // Whoever hears what it would have done may end the call.
  rare.shadow = NO_SHADOW;
  held.surround?.shadow?.end(shadow, outcome, status, startedAt, now, target, {
    repeatable: options.repeatable !== false,
    streams: false,
    unsent,
    canAnswer: (entry) => canAnswer(attempt, entry),
  });
}

/** Whether the cache has an answer isn't known: it keeps none for a policy in shadow. */
function canAnswer({ target, targets, options }: Limited, entry: FallbackSpec): boolean {
  if (entry.kind === 'cache') return cacheNameOf(target.callee, options) !== undefined;
  if (entry.kind === 'handler') return targets.handlers.has(entry.name);
  return entry.kind !== 'target' || options.elsewhere !== undefined;
}
