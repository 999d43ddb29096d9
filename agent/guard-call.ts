/**
 * A guarded call that has come to need more than one attempt at once or in turn, a fallback, or an ear for its caller's signal:
 * pauses and further attempts by the rules of `core/resilience/retry.ts` and `hedge.ts`. A call that hedges does not retry. It ends
 * once, in `#end`, and with it every attempt, pause and listener.
 *
 * Bound: as many attempts as the policy names (5 at most), one pause. Each extra attempt holds a slot of the budget from its
 * pause to its end.
 */

import { AsyncResource } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import type { RetrySpec } from '../core/policy/model.js';
import type { AttemptBudget } from '../core/resilience/budget.js';
import { HedgePlan, hedgeDelayMs } from '../core/resilience/hedge.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { noPushback, parsePushback } from '../core/resilience/pushback.js';
import { type AttemptFailure, decideRetry } from '../core/resilience/retry.js';
import { cacheNameOf } from './cache-name.js';
import { Attempt, type Coordinator, coordinateBy } from './guard-attempt.js';
import { fallBack } from './guard-fallback.js';
import { LINGERING } from './guard-rare.js';
import type { Judgement } from './guarded-function.js';
import type { Pending } from './targets.js';
import { Expiry } from './timeouts.js';

/** Of a policy that hedges and says nothing of retries. */
const usualStatuses: readonly string[] = ['UNAVAILABLE'];

const localFailure: AttemptFailure = {
  status: 'UNAVAILABLE',
  unsent: true,
  shed: false,
  local: true,
  pushback: noPushback,
};

/** An answer that counted as a failure. */
interface FailedAnswer<T> {
  readonly attempt: Attempt<T>;
  readonly value: T;
  readonly judgement: Judgement;
}

export class GuardCall<T> extends Expiry implements Coordinator<T>, Pending {
  readonly #first: Attempt<T>;
  /** Further attempts that are under way. */
  readonly #running = new Set<Attempt<T>>();
  /** Further attempts run in the context of the call, not of the timer that starts them. */
  readonly #resource: AsyncResource;
  #attempts = 1;
  #backoffs = 0;
  #hedging: HedgePlan | undefined = undefined;
  /** A retry is due when the pause is over; its slot of the budget is held. */
  #pausing = false;
  /** What the call is answered unless something better comes. It holds no slot once the call goes on. */
  #failedAnswer: FailedAnswer<T> | undefined = undefined;
  /** The last failure where that was no answer, and whether an attempt that began has failed. */
  #error: unknown = undefined;
  #failed = false;
  #onAbort: (() => void) | undefined = undefined;
  #done = false;

  constructor(first: Attempt<T>) {
    super();
    this.#first = first;
    this.#resource = first.resource ?? new AsyncResource('switchgear.call');
  }

  get done(): boolean {
    return this.#done;
  }

  /** Ends the call when its caller gives up. */
  listen(signal: AbortSignal): void {
    // One signal for many calls at a time is ordinary; from the eleventh on Node would warn of a leak.
    if (signal instanceof AbortSignal) setMaxListeners(0, signal);
    this.#onAbort = () => this.#aborted(signal);
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Copies will be sent, if it is known after how long. */
  hedge(now: number): void {
    const { held, target, targets, options } = this.#first;
    const spec = held.surround?.hedge?.value;
    const delayMs = spec && hedgeDelayMs(spec, target.latency, now);
    if (!spec || delayMs === undefined || options.repeatable === false) return;
    const nonFatal = held.surround?.retry?.value.on ?? usualStatuses;
    this.#hedging = new HedgePlan(spec.extra, delayMs, nonFatal, now);
    targets.timeouts.set(this, now, delayMs);
  }

  // --- what attempts tell

  answered(attempt: Attempt<T>, value: T, judgement: Judgement | undefined): void {
    const { options, resolve } = this.#first;
    if (this.#done) {
      options.discard?.(value);
      return;
    }
    if (judgement === undefined || judgement.outcome === 'success') {
      this.#budget?.succeeded();
      if (this.#keeps) this.#keep(value);
      this.#giveUpAnswer();
      this.#end(attempt);
      resolve(value);
      return;
    }
    const { status, shed, pushback, outcome } = judgement;
    const failure = { status, shed, unsent: false, local: false, pushback: parsePushback(pushback) };
    this.#giveUpAnswer();
    const answer = { attempt, value, judgement };
    this.#failedAnswer = answer;
    const goesOn = this.#goesOn(attempt, undefined, failure, false);
    if (this.#done) return;
    if (goesOn) letGo(answer);
    else this.#conclude(undefined, outcome);
  }

  failed(
    attempt: Attempt<T>,
    error: unknown,
    failure: AttemptFailure,
    outcome: Outcome,
    final: boolean,
  ): void {
    if (this.#done) return;
    // What never left this process says nothing that would be better than an answer.
    if (!failure.local) this.#giveUpAnswer();
    if (!this.#goesOn(attempt, error, failure, final)) this.#conclude(error, outcome);
  }

  refused(attempt: Attempt<T>, error: unknown): void {
    if (this.#done) return;
    this.#left(attempt);
    if (this.#hedging !== undefined) {
      if (!this.#failed) this.#error = error;
      if (!this.#hedgeGoesOn(this.#hedging, localFailure)) this.#conclude(this.#error, 'neutral');
    } else if (this.#failed) {
      // A retry that is turned away ends the call as its last real failure did.
      this.#conclude(this.#error, 'failure');
    } else {
      this.#conclude(error, 'neutral');
    }
  }

  // --- timers

  /** The pause is over, or a copy is due. */
  expire(): void {
    if (this.#done) return;
    const { targets } = this.#first;
    if (this.#pausing) {
      this.#pausing = false;
      targets.settled(this);
      this.#another();
    } else if (this.#hedging !== undefined) {
      this.#startHedges(this.#hedging);
    }
  }

  /** The mesh closes during a pause. */
  cancel(): void {
    if (!this.#done) this.#conclude(this.#error, 'failure');
  }

  #aborted(signal: AbortSignal): void {
    if (this.#done) return;
    const reason: unknown = signal.reason;
    this.#giveUpAnswer();
    this.#end(undefined, reason);
    this.#first.reject(reason);
  }

  // --- what follows

  #goesOn(attempt: Attempt<T>, error: unknown, failure: AttemptFailure, final: boolean): boolean {
    this.#error = error;
    this.#failed = true;
    this.#left(attempt);
    const budget = this.#budget;
    if (final || budget === undefined) return false;
    return this.#hedging === undefined
      ? this.#retry(failure, budget)
      : this.#hedgeGoesOn(this.#hedging, failure);
  }

  #retry(failure: AttemptFailure, budget: AttemptBudget): boolean {
    const { held, targets, target, wholeAt, options } = this.#first;
    const { surround } = held;
    const retry = surround?.retry;
    if (!retry) return false;
    const now = targets.clock.now();
    const decision = decideRetry(
      {
        spec: options.repeatable === false ? onceOnly(retry.value) : retry.value,
        idempotent: surround.idempotent,
        failure,
        attempts: this.#attempts,
        committed: false,
        remainingMs: wholeAt - now,
        backoffs: this.#backoffs,
      },
      budget,
      targets.random,
    );
    if (decision.kind === 'stop') {
      const { why } = decision;
      // What nobody meant to try again.
      if (why !== 'status')
        target.decide('give-up', retry.source, why, `after attempt ${this.#attempts}: ${why}`);
      return false;
    }
    this.#backoffs = decision.backoffs;
    this.#pausing = true;
    target.tally.retries++;
    const text = `attempt ${this.#attempts + 1} in ${Math.round(decision.afterMs)} ms`;
    target.decide('retry', retry.source, failure.status, text);
    // Whoever hears of it may have ended the call.
    if (this.#done) return true;
    if (targets.pending(this)) targets.timeouts.set(this, now, decision.afterMs);
    else this.cancel();
    return true;
  }

  #hedgeGoesOn(plan: HedgePlan, failure: AttemptFailure): boolean {
    const budget = this.#budget;
    if (budget === undefined || plan.failed(failure, this.#first.targets.clock.now(), budget) === 'over')
      return false;
    this.#startHedges(plan);
    return true;
  }

  /** Copies that are due start; the next one is waited for. */
  #startHedges(plan: HedgePlan): void {
    const { targets, target, held, wholeAt } = this.#first;
    const source = held.surround?.hedge?.source;
    const now = targets.clock.now();
    const remainingMs = wholeAt - now;
    while (plan.due(now, remainingMs) && !this.#done) {
      const conditions = { halfOpen: target.plan.halfOpen(now), remainingMs };
      const { why } = plan;
      const start = plan.start(now, conditions, this.#budget as AttemptBudget);
      if (start === 'started') {
        target.tally.hedges++;
        target.decide('hedge', source, why, `attempt ${this.#attempts + 1} beside`);
        if (this.#done) this.#budget?.extraEnded();
        else this.#another();
      } else {
        target.decide('give-up', source, start, `no hedge: ${start}`);
      }
    }
    if (this.#done) return;
    // One that failed at once has come through here meanwhile, and may have set it.
    targets.timeouts.lift(this);
    if (plan.over) this.#conclude(this.#error, 'failure');
    else if (plan.nextAt !== Number.POSITIVE_INFINITY)
      targets.timeouts.set(this, now, Math.max(0, plan.nextAt - now));
  }

  /** One more, in the slot of the budget that was taken for it. */
  #another(): void {
    const { target, targets, fn, options, resolve, reject, wholeAt } = this.#first;
    const now = targets.clock.now();
    if (wholeAt <= now) {
      // The timer came late.
      this.#budget?.extraEnded();
      this.#conclude(this.#error, 'failure');
      return;
    }
    const attempt = new Attempt<T>(targets, target, fn, options);
    attempt.resolve = resolve;
    attempt.reject = reject;
    attempt.follow(++this.#attempts, this.#first);
    attempt.coordinator = this;
    this.#running.add(attempt);
    if (this.#failedAnswer !== undefined) letGo(this.#failedAnswer);
    this.#resource.runInAsyncScope(() => attempt.begin(now, attempt.lengthMs(now)));
  }

  #left(attempt: Attempt<T>): void {
    if (this.#running.delete(attempt)) this.#budget?.extraEnded();
  }

  // --- the end

  /** As its last failed answer, if it has one: for that the caller's own fallback isn't asked. */
  #conclude(error: unknown, outcome: Outcome): void {
    if (this.#done) return;
    const { held, options, reject, resolve } = this.#first;
    const answer = this.#failedAnswer;
    this.#failedAnswer = undefined;
    this.#end();
    const chain = held.surround?.fallback;
    if (answer !== undefined) {
      const { value, judgement } = answer;
      if (chain === undefined) resolve(value);
      else resolve(this.#fallBack(this.#errorOf(judgement), judgement.outcome, value));
    } else if (chain === undefined && options.fallback === undefined) {
      reject(error);
    } else {
      resolve(this.#fallBack(error, outcome));
    }
  }

  /** Something else has come. */
  #giveUpAnswer(): void {
    const answer = this.#failedAnswer;
    this.#failedAnswer = undefined;
    if (answer !== undefined) this.#first.options.discard?.(answer.value);
  }

  /** What a fallback is told: the callee's failure, and no rejection of ours. */
  #errorOf({ status, text }: Judgement): Error {
    return Object.assign(new Error(`${this.#first.target.callee} ${text}`), { code: status });
  }

  #fallBack(error: unknown, outcome: Outcome, failedValue?: T): Promise<T> {
    return this.#resource.runInAsyncScope(() => fallBack(this.#first, error, outcome, failedValue));
  }

  /** Every attempt but the one that answered is dropped. */
  #end(winner?: Attempt<T>, reason: unknown = LOST): void {
    const { targets, options } = this.#first;
    const budget = this.#budget;
    this.#done = true;
    targets.timeouts.lift(this);
    targets.settled(this);
    if (this.#pausing) budget?.extraEnded();
    this.#pausing = false;
    budget?.callEnded(this.#first.upstreamRetry);
    if (this.#onAbort !== undefined) options.signal?.removeEventListener('abort', this.#onAbort);
    for (const attempt of this.#running) {
      budget?.extraEnded();
      if (attempt !== winner) attempt.drop(reason);
    }
    this.#running.clear();
    if (winner !== this.#first) this.#first.drop(reason);
  }

  get #budget(): AttemptBudget | undefined {
    return this.#first.held.surround?.budget;
  }

  // --- the cache

  /** Whether good answers are kept: a policy falls back to them, and the call says what it is about. */
  get #keeps(): boolean {
    const { held, options } = this.#first;
    const chain = held.surround?.fallback?.value;
    return chain !== undefined && options.key !== undefined && chain.some(({ kind }) => kind === 'cache');
  }

  #keep(value: T): void {
    const { options, targets, target } = this.#first;
    const bytes = options.bytesOf === undefined ? CACHED_BYTES : options.bytesOf(value);
    const name = bytes === undefined ? undefined : cacheNameOf(target.callee, options);
    if (bytes !== undefined && name !== undefined)
      targets.responses.put(name, value, bytes, targets.clock.now());
  }
}

export function makeCall<T>(first: Attempt<T>): GuardCall<T> {
  return new GuardCall(first);
}

coordinateBy(makeCall);

/** Its slot is free for the attempts that follow, though nobody may have read it to its end. */
function letGo<T>({ attempt }: FailedAnswer<T>): void {
  const { held, handle, targets } = attempt;
  if (attempt.stage === LINGERING) held.plan.finish(handle, 'neutral', targets.clock.now());
}

/** What can't be sent a second time isn't. */
function onceOnly(spec: RetrySpec): RetrySpec {
  return { ...spec, attempts: 1 };
}

/** Nobody knows how large a function's answer is. */
const CACHED_BYTES = 1_024;
/** What the signal of an attempt aborts with that was overtaken. */
const LOST = new DOMException('another attempt has answered', 'AbortError');
