/**
 * What a gRPC call needs once one attempt isn't enough: pauses and further attempts by the rules of `core/resilience/retry.ts` and
 * `hedge.ts`. A call that hedges does not retry. Each further attempt is admitted anew, says how many came before it, and holds a
 * slot of the budget from its pause to its end.
 *
 * Bound: as many attempts as the policy names (5 at most), one pause; all end with the call.
 */
import * as grpc from '@grpc/grpc-js';
import { messageOf } from '../core/errors.js';
import type { AttemptBudget } from '../core/resilience/budget.js';
import { HedgePlan } from '../core/resilience/hedge.js';
import type { Outcome } from '../core/resilience/outcome.js';
import {
  type AttemptFailure,
  countFailure,
  decideRetry,
  previousAttempts,
  previousAttemptsHeader,
} from '../core/resilience/retry.js';
import { GrpcAttempt } from './grpc-attempt.js';
import type { Compiled } from './target.js';
import type { Pending } from './targets.js';
import { Expiry } from './timeouts.js';

/** An attempt, as far as what it was answered is concerned. */
export interface Answered {
  /** Response headers; undefined: none came. */
  headers: grpc.Metadata | undefined;
  /** The one response message; null: none came. */
  reply: unknown;
}

/** The call, as far as it is told of here. Its first attempt is itself. */
export interface ExtraOwner extends GrpcAttempt {
  readonly done: boolean;
  /** What held when it began. */
  readonly compiled: Compiled;
  readonly metadata: grpc.Metadata;
  readonly rank: number;
  /** Runs it in the context in which the call was made. */
  within<T>(fn: () => T): T;
  /** What the client has said so far, said to another attempt. */
  repeatTo(attempt: GrpcAttempt): void;
  gotHeaders(attempt: GrpcAttempt & Answered, metadata: grpc.Metadata): void;
  gotMessage(attempt: GrpcAttempt & Answered, message: unknown): void;
  attemptEnded(
    attempt: GrpcAttempt & Answered,
    status: grpc.StatusObject,
    outcome: Outcome,
    local: boolean,
  ): void;
  /** No attempt is under way and none will be. */
  giveUp(): void;
}

class FurtherAttempt extends GrpcAttempt implements Answered {
  headers: grpc.Metadata | undefined = undefined;
  reply: unknown = null;
  readonly #call: ExtraOwner;
  #dropped = false;

  constructor(call: ExtraOwner, now: number) {
    const { targets, target, options, nextCall } = call;
    super(targets, target, options, nextCall);
    this.#call = call;
    this.held = call.compiled;
    this.time = call.limits?.again(now);
  }

  /** What comes of it from here on is nobody's business. */
  drop(code: grpc.status, details: string): void {
    this.#dropped = true;
    this.cancelWithStatus(code, details);
  }

  override onReceiveMetadata(metadata: grpc.Metadata): void {
    if (!this.#dropped) this.#call.gotHeaders(this, metadata);
  }

  override onReceiveMessage(message: unknown): void {
    this.settleAtMessage(message);
    if (!this.#dropped) this.#call.gotMessage(this, message);
  }

  protected override ended(status: grpc.StatusObject, outcome: Outcome, local: boolean): void {
    if (!this.#dropped) this.#call.attemptEnded(this, status, outcome, local);
  }
}

/** Of a policy that hedges and says nothing of retries. */
const usualStatuses: readonly string[] = ['UNAVAILABLE'];

export class GrpcExtra extends Expiry implements Pending {
  readonly #call: ExtraOwner;
  readonly #budget: AttemptBudget;
  readonly #running = new Set<FurtherAttempt>();
  #attempts = 1;
  #backoffs = 0;
  #hedging: HedgePlan | undefined;
  /** A retry is due when the pause is over; its slot of the budget is held. */
  #pausing = false;

  constructor(call: ExtraOwner, budget: AttemptBudget) {
    super();
    this.#call = call;
    this.#budget = budget;
  }

  /** The attempts that are under way beside, or after, the first. */
  get running(): Iterable<GrpcAttempt> {
    return this.#running;
  }

  /** Copies follow the first attempt, which began at `startedAt`, at this distance. */
  hedge(extra: number, delayMs: number, startedAt: number): void {
    const nonFatal = this.#call.surround?.retry?.value.on ?? usualStatuses;
    this.#hedging ??= new HedgePlan(extra, delayMs, nonFatal, startedAt);
  }

  /** An attempt failed, or never began; answers whether the call goes on. `remainingMs`: until the deadline of the whole. */
  failed(attempt: GrpcAttempt, failure: AttemptFailure, committed: boolean, remainingMs: number): boolean {
    this.#left(attempt);
    const plan = this.#hedging;
    if (plan === undefined) return this.#retry(failure, committed, remainingMs);
    if (plan.failed(failure, this.#call.targets.clock.now(), this.#budget) === 'over') return false;
    this.startDue();
    return this.#call.done || !plan.over;
  }

  expire(): void {
    if (this.#call.done) return;
    if (this.#pausing) {
      this.#pausing = false;
      this.#call.targets.settled(this);
      this.#another();
    } else {
      this.startDue();
    }
  }

  /** The mesh closes during a pause. */
  cancel(): void {
    this.#call.giveUp();
  }

  /** The call is over: for the client, by `code` if it isn't the answer of `winner`. */
  end(winner: unknown, code: grpc.status, details: string): void {
    const { targets } = this.#call;
    targets.timeouts.lift(this);
    targets.settled(this);
    this.#hedging?.succeeded();
    if (this.#pausing) this.#budget.extraEnded();
    this.#pausing = false;
    for (const attempt of this.#running) {
      this.#budget.extraEnded();
      if (attempt !== winner) attempt.drop(code, details);
    }
    this.#running.clear();
  }

  /** Copies that are due start; the next one is waited for. */
  startDue(): void {
    const plan = this.#hedging;
    if (plan === undefined) return;
    const { targets, target, surround, limits } = this.#call;
    const now = targets.clock.now();
    const source = surround?.hedge?.source;
    const remainingMs = limits === undefined ? Number.POSITIVE_INFINITY : limits.startsBefore - now;
    while (!this.#call.done && plan.due(now, remainingMs)) {
      const conditions = { halfOpen: target.plan.halfOpen(now), remainingMs };
      const { why } = plan;
      const start = plan.start(now, conditions, this.#budget);
      if (start !== 'started') {
        target.decide('give-up', source, start, `no hedge: ${start}`);
        continue;
      }
      target.tally.hedges++;
      target.decide('hedge', source, why, `attempt ${this.#attempts + 1} beside`);
      // Whoever hears of it may have ended the call.
      if (this.#call.done) this.#budget.extraEnded();
      else this.#another();
    }
    if (this.#call.done) return;
    targets.timeouts.lift(this);
    if (plan.over) this.#call.giveUp();
    else if (plan.nextAt !== Number.POSITIVE_INFINITY) targets.timeouts.set(this, now, plan.nextAt - now);
  }

  #retry(failure: AttemptFailure, committed: boolean, remainingMs: number): boolean {
    const { surround, target, targets } = this.#call;
    const retry = surround?.retry;
    if (!retry) {
      countFailure(failure, usualStatuses, this.#budget);
      return false;
    }
    // The same target would turn it away again; that was told as a rejection.
    if (failure.local) return false;
    const attempts = this.#attempts;
    const decision = decideRetry(
      {
        spec: retry.value,
        idempotent: surround.idempotent,
        failure,
        attempts,
        committed,
        remainingMs,
        backoffs: this.#backoffs,
      },
      this.#budget,
      targets.random,
    );
    if (decision.kind === 'stop') {
      // The callee's proper answer, which nobody meant to try again.
      if (decision.why === 'status') return false;
      target.decide('give-up', retry.source, decision.why, `after attempt ${attempts}: ${decision.why}`);
      return false;
    }
    this.#backoffs = decision.backoffs;
    this.#pausing = true;
    if (!targets.pending(this)) {
      this.#call.giveUp();
      return true;
    }
    target.tally.retries++;
    const text = `attempt ${attempts + 1} in ${Math.round(decision.afterMs)} ms`;
    target.decide('retry', retry.source, failure.status, text);
    // Whoever hears of it may have ended the call.
    if (!this.#call.done) targets.timeouts.set(this, targets.clock.now(), decision.afterMs);
    return true;
  }

  #another(): void {
    const call = this.#call;
    const now = call.targets.clock.now();
    const metadata = call.metadata.clone();
    const before = previousAttempts(this.#attempts++);
    if (before !== undefined) metadata.set(previousAttemptsHeader, before);
    const attempt = new FurtherAttempt(call, now);
    this.#running.add(attempt);
    try {
      call.within(() => {
        attempt.begin(metadata, call.rank, now);
        call.repeatTo(attempt);
      });
    } catch (error) {
      // Nobody is above us on this stack but the event loop.
      const status = {
        code: grpc.status.INTERNAL,
        details: messageOf(error),
        metadata: new grpc.Metadata(),
      };
      call.attemptEnded(attempt, status, 'neutral', true);
    }
  }

  #left(attempt: GrpcAttempt): void {
    if (this.#running.delete(attempt as FurtherAttempt)) this.#budget.extraEnded();
  }
}
