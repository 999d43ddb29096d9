/**
 * Whether a failed attempt is followed by another, and when: gRFC A6 with this project's own limits (idempotence, budget,
 * shedding). Decided anew after each failure from the facts alone, so that a changed policy or a lost token counts at once.
 *
 * Whose the budget's slot is: a `retry` has taken one, which covers the pause and the attempt after it. The engine returns it
 * by one `extraEnded`, when that attempt ends, the pause is called off, or the call is cancelled. A `stop` holds none.
 */
import type { RetrySpec } from '../policy/model.js';
import type { Random } from '../random.js';
import { backoffMs } from './backoff.js';
import type { AttemptBudget } from './budget.js';
import type { Pushback } from './pushback.js';

/** How one attempt failed. */
export interface AttemptFailure {
  /** gRPC status name; for a function, what its error was classified as. */
  readonly status: string;
  /** Provably never left this process, or never seen by the callee's handler. */
  readonly unsent: boolean;
  /** The callee's own shedding: the answer carries `switchgear-reject`. */
  readonly shed: boolean;
  /** Our own rejection: open circuit, full bulkhead, rate limit, deadline over. */
  readonly local: boolean;
  readonly pushback: Pushback;
}

export interface RetryState {
  readonly spec: RetrySpec;
  readonly idempotent: boolean;
  readonly failure: AttemptFailure;
  /** Attempts made, the failed one included. */
  readonly attempts: number;
  /** Response headers had arrived: the application may have seen them. */
  readonly committed: boolean;
  /** Until the call's deadline; Infinity without one. */
  readonly remainingMs: number;
  /** Backoffs since the call began or the callee last named a wait: the `backoffs` of the last decision, 0 at first. */
  readonly backoffs: number;
}

export type RetryStop =
  /** Our own rejection: the same target would be refused again. */
  | 'rejected'
  /** The callee sheds load. */
  | 'shed'
  /** Not among the statuses that are tried again. */
  | 'status'
  | 'pushback'
  | 'committed'
  | 'not-idempotent'
  | 'attempts'
  /** What remains is no longer than the pause: fail now, with this failure. */
  | 'deadline'
  | 'budget'
  | 'throttled';

export type RetryDecision =
  /** Wait, then try again; a slot of the budget is taken. `backoffs` is for the next decision. */
  | { readonly kind: 'retry'; readonly afterMs: number; readonly backoffs: number }
  | { readonly kind: 'stop'; readonly why: RetryStop };

/**
 * To be called once for each failed attempt, the last one too: it also tells the budget of the failure, first of all, so that
 * failures count that are not tried again for another reason (A6, "Throttling Retry Attempts").
 */
export function decideRetry(state: RetryState, budget: AttemptBudget, random: Random): RetryDecision {
  const { spec, failure } = state;
  countFailure(failure, spec.on, budget);
  const why = obstacle(state);
  if (why !== undefined) return { kind: 'stop', why };

  const told = failure.pushback.kind === 'wait';
  const backoffs = told ? 0 : state.backoffs + 1;
  const afterMs =
    failure.pushback.kind === 'wait' ? failure.pushback.ms : backoffMs(spec.backoff, backoffs, random);
  if (state.remainingMs <= afterMs) return { kind: 'stop', why: 'deadline' };

  const verdict = budget.tryExtra();
  return verdict === 'ok' ? { kind: 'retry', afterMs, backoffs } : { kind: 'stop', why: verdict };
}

/** A token for a failure that may be tried again, or that said "don't". Our own rejections say nothing about the callee. */
export function countFailure(
  { local, status, pushback }: AttemptFailure,
  retryable: readonly string[],
  budget: AttemptBudget,
): void {
  if (!local && (pushback.kind === 'stop' || retryable.includes(status))) budget.failedRetryably();
}

function obstacle({ spec, idempotent, failure, attempts, committed }: RetryState): RetryStop | undefined {
  if (failure.local) return 'rejected';
  if (failure.shed) return 'shed';
  if (failure.pushback.kind === 'stop') return 'pushback';
  if (!spec.on.includes(failure.status)) return 'status';
  if (committed) return 'committed';
  if (!idempotent && !failure.unsent) return 'not-idempotent';
  if (attempts >= spec.attempts) return 'attempts';
  return undefined;
}

/** Sent with each attempt but the first: how many were made before it. */
export const previousAttemptsHeader = 'grpc-previous-rpc-attempts';

/** Its value for an attempt that comes after so many; undefined: the first one doesn't carry it. */
export function previousAttempts(attempts: number): string | undefined {
  return attempts === 0 ? undefined : String(attempts);
}

/** Whether a call that arrived with these values is a retry of somebody above. */
export function isUpstreamRetry(values: readonly unknown[]): boolean {
  return values.some((value) => typeof value === 'string' && /^[1-9]\d*$/.test(value));
}
