/**
 * When copies of a call that takes long are sent, and when a failure of one ends them all (gRFC A6, "Hedging Policy"). One plan
 * for each hedged call; the engine asks it at `nextAt`, and after each failure, whether the next copy may start, and tells it of
 * every attempt that failed. Idempotent unary calls only. It never ends an attempt that is under way because of the budget or a pushback: those
 * stop what has not started.
 *
 * Whose the budget's slot is: a copy that `start` let through has one, which the engine returns by one `extraEnded` when that
 * copy ends or is cancelled. The first attempt has none. A call that was hedged is not retried afterwards.
 */
import type { HedgeSpec } from '../policy/model.js';
import type { AttemptBudget } from './budget.js';
import { type AttemptFailure, countFailure } from './retry.js';
import type { RollingLatency } from './rolling-latency.js';

export type HedgeRefusal =
  /** Not yet, none left, or one of its attempts ended the hedging. */
  | 'not-due'
  /** The circuit probes: a probe's copy would be a second probe. */
  | 'half-open'
  /** Nothing remains of the call's time, or won't when the wait that a callee asked for is over. */
  | 'deadline'
  | 'budget'
  | 'throttled';

/** `started`: send it, a slot of the budget is taken. */
export type HedgeStart = 'started' | HedgeRefusal;

/** `wait`: others run or come at `nextAt`. `over`: fail the call with the failure at hand and cancel whatever still runs. */
export type HedgeVerdict = 'wait' | 'over';

export interface HedgeConditions {
  readonly halfOpen: boolean;
  /** Until the call's deadline; Infinity without one. */
  readonly remainingMs: number;
}

/** Pause between two copies; undefined: too few latencies are known, so this call isn't hedged. */
export function hedgeDelayMs(
  { delay }: HedgeSpec,
  latency: RollingLatency | undefined,
  now: number,
): number | undefined {
  return delay.kind === 'fixed' ? delay.ms : latency?.percentile(delay.p, now);
}

export class HedgePlan {
  readonly #delayMs: number;
  readonly #nonFatal: readonly string[];
  #left: number;
  /** The first attempt runs from the beginning. */
  #running = 1;
  #nextAt: number;
  #afterFailure = false;
  /** A callee asked for quiet until then. */
  #quietUntil = Number.NEGATIVE_INFINITY;

  /** `nonFatal`: statuses after which another copy may still succeed, the policy's `retry.on`. */
  constructor(extra: number, delayMs: number, nonFatal: readonly string[], now: number) {
    this.#left = extra;
    this.#delayMs = delayMs;
    this.#nonFatal = nonFatal;
    this.#nextAt = now + delayMs;
  }

  /** When to call `start` again; Infinity: no more copies. May be now or past. */
  get nextAt(): number {
    return this.#left > 0 ? this.#nextAt : Number.POSITIVE_INFINITY;
  }

  /** Whether to ask `start` now: the next copy is due, or its turn comes too late for the call, of which nothing runs meanwhile. */
  due(now: number, remainingMs: number): boolean {
    const { nextAt } = this;
    if (nextAt === Number.POSITIVE_INFINITY) return false;
    return nextAt <= now || (this.#running === 0 && nextAt - now >= remainingMs);
  }

  /** Why the next copy is sent: what runs takes long, or one of the attempts failed. To be read before `start`. */
  get why(): 'slow' | 'failed' {
    return this.#afterFailure ? 'failed' : 'slow';
  }

  /** Attempts under way, the first included. */
  get running(): number {
    return this.#running;
  }

  /** Whether nothing runs and nothing will start: the call fails with the last failure. */
  get over(): boolean {
    return this.#running === 0 && this.#left === 0;
  }

  /**
   * Starts the copy that is due (`due`). A copy that is refused is not sent later ("the hedged request is cancelled"): the next
   * one has its own turn, unless nothing runs any more; then the plan is over.
   */
  start(now: number, conditions: HedgeConditions, budget: AttemptBudget): HedgeStart {
    if (!this.due(now, conditions.remainingMs)) return 'not-due';
    const waitMs = Math.max(0, this.#nextAt - now);
    this.#left--;
    this.#nextAt = now + this.#delayMs;
    this.#afterFailure = false;
    const refusal = refusalOf(conditions, waitMs, budget);
    if (refusal === undefined) {
      this.#running++;
      return 'started';
    }
    if (this.#running === 0) this.#left = 0;
    return refusal;
  }

  /** One of the attempts failed. Once for each; also tells the budget. */
  failed(failure: AttemptFailure, now: number, budget: AttemptBudget): HedgeVerdict {
    this.#running--;
    countFailure(failure, this.#nonFatal, budget);
    const { pushback } = failure;
    if (failure.local || failure.shed) {
      // Whoever turned it away would turn its copies away; what already runs was let through.
      this.#left = 0;
    } else if (!this.#nonFatal.includes(failure.status)) {
      this.#left = 0;
      return 'over';
    } else if (pushback.kind === 'stop') {
      this.#left = 0;
    } else {
      if (pushback.kind === 'wait') this.#quietUntil = Math.max(this.#quietUntil, now + pushback.ms);
      // At once, or when the quiet that was asked for is over; later copies follow at the usual pause.
      this.#nextAt = Math.max(now, this.#quietUntil);
      this.#afterFailure = true;
    }
    return this.over ? 'over' : 'wait';
  }

  /** One of the attempts succeeded: cancel the others, start no more. */
  succeeded(): void {
    this.#left = 0;
  }
}

/** Looks at the budget last, so that a refusal for another reason takes no slot. */
function refusalOf(
  { halfOpen, remainingMs }: HedgeConditions,
  waitMs: number,
  budget: AttemptBudget,
): HedgeRefusal | undefined {
  if (remainingMs <= waitMs) return 'deadline';
  if (halfOpen) return 'half-open';
  const verdict = budget.tryExtra();
  return verdict === 'ok' ? undefined : verdict;
}
