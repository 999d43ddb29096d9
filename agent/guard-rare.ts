/**
 * The stages of a guarded attempt, what only few attempts need and therefore stands apart from it, and who coordinates them.
 */
import type { AsyncResource } from 'node:async_hooks';
import { DEFAULT_RANK } from '../core/criticality.js';
import type { Outcome } from '../core/resilience/outcome.js';
import type { AttemptFailure } from '../core/resilience/retry.js';
import type { Deadlined } from './deadlines.js';
import type { Judgement } from './guarded-function.js';
import { Expiry } from './timeouts.js';

export const ADMITTING = 0;
export const LINED_UP = 1;
export const RUNNING = 2;
/** It has answered, and holds its slot until what it answered with is used up. */
export const LINGERING = 3;
export const OVER = 4;
/** No permit of a shadow's. */
export const NO_SHADOW = -1;

/** What only few attempts need. */
export class Rare {
  /** 1 for the first. */
  attempt = 1;
  rank = DEFAULT_RANK;
  /** The limit of the whole is that of the call that this one is part of. */
  inherited = false;
  /** The call that this one is part of is a retry of somebody above: it spends of the budget. */
  upstreamRetry = false;
  /** Of the context in which the call was made, for what runs from a timer or another call's end. */
  resource: AsyncResource | undefined = undefined;
  controller: AbortController | undefined = undefined;
  /** Set once it is over: what a signal that is read only then aborts with. */
  abortedWith: { readonly reason: unknown } | undefined = undefined;
  shadow = NO_SHADOW;
  linedUpAt = 0;
  /** Its time in line. */
  patience: Patience | undefined = undefined;
  /** When the whole must be over, where that isn't `endsAt` of the first attempt; not a number: it is. */
  wholeAt = Number.NaN;
}

/** An attempt's time in line, which has no permit to be found by. */
export class Patience extends Expiry {
  constructor(private readonly attempt: Deadlined) {
    super();
  }

  expire(): void {
    this.attempt.expire();
  }
}

/** What coordinates the attempts of a call that needs more than one, or a fallback, or has a caller who may give up. */
export interface Coordinator<T, A> {
  readonly done: boolean;
  answered(attempt: A, value: T, judgement: Judgement | undefined): void;
  /** It began and failed. `final`: the time of the whole is over. */
  failed(attempt: A, error: unknown, failure: AttemptFailure, outcome: Outcome, final: boolean): void;
  /** It never began. */
  refused(attempt: A, error: unknown): void;
}
