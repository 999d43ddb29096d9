/**
 * Retries without anything around them: what a test of the decision needs to say, and a layer that retries by it on a virtual
 * clock, so that layers can be nested and the attempts that reach the bottom counted.
 */
import type { RetrySpec } from '../../core/policy/model.js';
import type { Random } from '../../core/random.js';
import { AttemptBudget } from '../../core/resilience/budget.js';
import { noPushback, parsePushback } from '../../core/resilience/pushback.js';
import {
  type AttemptFailure,
  decideRetry,
  isUpstreamRetry,
  previousAttempts,
  type RetryState,
} from '../../core/resilience/retry.js';
import type { VirtualClock } from './virtual-clock.js';

export function retrySpec(changes: Partial<RetrySpec> = {}): RetrySpec {
  return {
    attempts: 3,
    on: ['UNAVAILABLE'],
    backoff: { baseMs: 25, maxMs: 250 },
    budget: 0.2,
    ...changes,
  };
}

export function failure(changes: Partial<AttemptFailure> = {}): AttemptFailure {
  return {
    status: 'UNAVAILABLE',
    unsent: false,
    shed: false,
    local: false,
    pushback: noPushback,
    ...changes,
  };
}

/** A failure that came with these values of `grpc-retry-pushback-ms`. */
export function pushedBack(...values: string[]): AttemptFailure {
  return failure({ pushback: parsePushback(values) });
}

/** The first attempt of an idempotent call has failed, and there is time. */
export function retryState(changes: Partial<RetryState> = {}): RetryState {
  return {
    spec: retrySpec(),
    idempotent: true,
    failure: failure(),
    attempts: 1,
    committed: false,
    remainingMs: Number.POSITIVE_INFINITY,
    backoffs: 0,
    ...changes,
  };
}

/** A budget with nothing under way that has this many tokens, 0 to 10. */
export function budgetWithTokens(tokens: number, budget = 0.2): AttemptBudget {
  const it = new AttemptBudget(budget);
  for (let i = 10; i > Math.floor(tokens); i--) it.failedRetryably();
  for (let i = 0; i < Math.round((tokens % 1) * 10); i++) it.succeeded();
  return it;
}

/** One attempt of something: told what `grpc-previous-rpc-attempts` it carries, it answers once, at once or later. */
export type Callee = (previous: string | undefined, answer: (ok: boolean) => void) => void;

/** Calls a callee with retries, and can itself be called. */
export class RetryingLayer {
  readonly budget: AttemptBudget;
  calls = 0;
  attempts = 0;
  readonly #spec: RetrySpec;
  readonly #callee: Callee;
  readonly #clock: VirtualClock;
  readonly #random: Random;

  constructor(spec: RetrySpec, callee: Callee, clock: VirtualClock, random: Random) {
    this.budget = new AttemptBudget(spec.budget);
    this.#spec = spec;
    this.#callee = callee;
    this.#clock = clock;
    this.#random = random;
  }

  /** Answers the cancel of this call. */
  call(previous: string | undefined, answer: (ok: boolean) => void): () => void {
    const upstream = isUpstreamRetry(previous === undefined ? [] : [previous]);
    const { budget } = this;
    let attempts = 0;
    let backoffs = 0;
    let holdsSlot = false;
    let cancelPause = () => {};
    let over = false;
    this.calls++;
    budget.callBegan(upstream);

    const returnSlot = () => {
      if (holdsSlot) budget.extraEnded();
      holdsSlot = false;
    };
    const end = (ok: boolean | undefined) => {
      if (over) return;
      over = true;
      cancelPause();
      returnSlot();
      budget.callEnded(upstream);
      if (ok !== undefined) answer(ok);
    };
    const attempt = () => {
      this.attempts++;
      this.#callee(previousAttempts(attempts++), (ok) => {
        if (over) return;
        returnSlot();
        if (ok) {
          budget.succeeded();
          return end(true);
        }
        const decision = decideRetry(
          retryState({ spec: this.#spec, attempts, backoffs }),
          budget,
          this.#random,
        );
        if (decision.kind === 'stop') return end(false);
        holdsSlot = true;
        ({ backoffs } = decision);
        cancelPause = this.#clock.after(decision.afterMs, attempt).cancel;
      });
    };
    attempt();
    return () => end(undefined);
  }
}
