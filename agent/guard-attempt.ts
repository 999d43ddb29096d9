/**
 * One attempt of a guarded call: what its function is given, its admission, its limits of time and its permit. A call that succeeds
 * at the first attempt is this one object and nothing else, so its fields are few, plain, and made in one constructor; what few calls
 * need stands in `Rare`, its time in a line in `guard-line.ts`, and what follows from a failure (another attempt, a fallback) is a
 * `GuardCall`, made when it is needed.
 *
 * It ends once: what its function says later is heard by nobody and is no unhandled rejection.
 */
import { AsyncResource } from 'node:async_hooks';
import { DEFAULT_RANK } from '../core/criticality.js';
import type { Waiter } from '../core/resilience/gate.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { TURNED_AWAY, WAITING } from '../core/resilience/plan.js';
import type { AttemptFailure } from '../core/resilience/retry.js';
import { readThrown } from './classify.js';
import type { Deadlined } from './deadlines.js';
import { beginShadow, endShadow, lengthMs, timedOut, timedOutFailure } from './guard-limits.js';
import { cancelled, displaced, granted, lineUp, outOfPatience } from './guard-line.js';
import * as rare from './guard-rare.js';
import {
  type EngineOptions,
  type GuardContext,
  type GuardedFunction,
  isThenable,
} from './guarded-function.js';
import type { Compiled, Target } from './target.js';
import type { Pending, Targets } from './targets.js';

export type Resolve<T> = (value: T | PromiseLike<T>) => void;
export type Reject = (reason: unknown) => void;

export type Coordinator<T> = rare.Coordinator<T, Attempt<T>>;

/** Makes the coordinator of a call by its first attempt, when it comes to need one. */
export type MakeCoordinator = <T>(first: Attempt<T>) => Coordinator<T>;

/** Given by the module that knows how, which imports this one. */
let makeCoordinator: MakeCoordinator = () => {
  throw new Error('guard-call.ts has not been loaded');
};

export function coordinateBy(make: MakeCoordinator): void {
  makeCoordinator = make;
}

// Constants of this module: what is imported is read from memory each time.
const { ADMITTING, LINED_UP, RUNNING, LINGERING, OVER, Rare } = rare;
const NEVER = Number.POSITIVE_INFINITY;

export class Attempt<T> implements Deadlined, Waiter, Pending, GuardContext {
  /** When this attempt must be over; Infinity: never. */
  /** @internal */ endsAt: number;
  readonly targets: Targets;
  readonly target: Target;
  /** The policies it began under: a change meanwhile concerns the next. */
  readonly held: Compiled;
  readonly fn: GuardedFunction<T>;
  readonly options: EngineOptions<T>;
  /** Given right after it is made, by whoever makes it. */
  resolve: Resolve<T>;
  reject: Reject;
  coordinator: Coordinator<T> | undefined;
  /** @internal */ stage: number;
  /** @internal */ handle: number;
  /** @internal */ rare: rare.Rare | undefined;

  constructor(targets: Targets, target: Target, fn: GuardedFunction<T>, options: EngineOptions<T>) {
    this.endsAt = NEVER;
    this.targets = targets;
    this.target = target;
    this.held = target.compiled;
    this.fn = fn;
    this.options = options;
    this.resolve = undefined as unknown as Resolve<T>;
    this.reject = undefined as unknown as Reject;
    this.coordinator = undefined;
    this.stage = ADMITTING;
    this.handle = TURNED_AWAY;
    this.rare = undefined;
  }

  // --- what the function is given

  get attempt(): number {
    return this.rare === undefined ? 1 : this.rare.attempt;
  }

  get signal(): AbortSignal {
    const rare = this.rarely();
    if (!rare.controller) {
      rare.controller = new AbortController();
      if (rare.abortedWith) rare.controller.abort(rare.abortedWith.reason);
    }
    return rare.controller.signal;
  }

  get deadline(): number | undefined {
    if (this.endsAt === NEVER) return undefined;
    const { clock } = this.targets;
    return clock.wallNow() + (this.endsAt - clock.now());
  }

  // --- for whoever coordinates

  /** When all attempts and pauses of the call together must be over; Infinity: never. */
  get wholeAt(): number {
    const apart = this.rare === undefined ? Number.NaN : this.rare.wholeAt;
    return Number.isNaN(apart) ? this.endsAt : apart;
  }

  get rank(): number {
    return this.rare === undefined ? DEFAULT_RANK : this.rare.rank;
  }

  /** The call that this one is part of is a retry of somebody above. */
  get upstreamRetry(): boolean {
    return this.rare?.upstreamRetry === true;
  }

  get resource(): AsyncResource | undefined {
    return this.rare?.resource;
  }

  keepContext(): void {
    this.rarely().resource ??= new AsyncResource('switchgear.call');
  }

  /** A further attempt of the same call. */
  follow(number: number, first: Attempt<T>): void {
    this.coordinator = first.coordinator;
    const rare = this.rarely();
    rare.wholeAt = first.wholeAt;
    rare.attempt = number;
    rare.rank = first.rank;
    rare.inherited = first.rare?.inherited ?? false;
    rare.resource = first.resource;
  }

  lengthMs(now: number): number {
    return lengthMs(this, now);
  }

  rarely(): rare.Rare {
    this.rare ??= new Rare();
    return this.rare;
  }

  /** Asks the gates. `lengthMs`: its limit of time; Infinity: none. `lagMs`: so much later it may be than `now`. */
  begin(now: number, lengthMs: number, lagMs = 0): void {
    const endsAt = now + lengthMs + lagMs;
    this.endsAt = endsAt;
    const handle = this.held.plan.admit(now, endsAt, this.rank);
    if (handle < 0 || this.stage !== ADMITTING) {
      this.advance(handle, now, lengthMs);
      return;
    }
    this.handle = handle;
    this.run(lengthMs);
  }

  /** The plan has just answered WAITING to this very call. */
  beginWaiting(now: number, lengthMs: number): void {
    this.endsAt = now + lengthMs;
    lineUp(this, now);
  }

  /** The time of the whole was over before it began. */
  late(): void {
    this.refuse(this.target.reject('deadline_exceeded', 'the deadline was over before the call began'));
  }

  get over(): boolean {
    return this.stage >= LINGERING;
  }

  /** Its caller gave up, another attempt has answered, or the whole is over: it counts neither for nor against the target. */
  drop(reason: unknown): void {
    const { targets, held } = this;
    const now = targets.clock.now();
    if (this.stage === LINED_UP) {
      held.plan.abandon(this.handle, this, now);
      targets.settled(this);
      // Granted in this very tick: the slot is ours and goes back.
      held.plan.finish(this.handle, 'neutral', now);
    } else if (this.stage === RUNNING) {
      this.finish('neutral', 'CANCELLED', now);
    } else if (this.stage !== ADMITTING) {
      return;
    }
    this.end();
    this.abort(reason);
  }

  // --- the line

  granted(): void {
    granted(this);
  }

  displaced(): void {
    displaced(this);
  }

  /** The mesh closes while we wait. */
  cancel(): void {
    cancelled(this);
  }

  /** Our time is over: in line, or under way. */
  expire(): void {
    const { targets, wholeAt } = this;
    const now = targets.clock.now();
    if (this.stage === LINED_UP) {
      outOfPatience(this, now);
    } else if (this.stage === RUNNING) {
      const final = wholeAt <= this.endsAt;
      this.finish('failure', timedOutFailure.status, now);
      const error = timedOut(this, final);
      this.abort(error);
      const unsent = this.options.unsent?.(error) === true;
      this.fail(error, unsent ? { ...timedOutFailure, unsent } : timedOutFailure, 'failure', final);
    }
  }

  // --- under way

  /** What the gates said, where it wasn't simply yes. */
  /** @internal */ advance(handle: number, now: number, lengthMs: number): void {
    const { held, target, targets } = this;
    if (handle === WAITING) {
      lineUp(this, now);
    } else if (handle < 0) {
      if (!this.over) this.refuse(target.rejection(held.plan, targets.clock.now(), held.effective));
    } else if (this.over) {
      held.plan.finish(handle, 'neutral', now);
    } else {
      this.handle = handle;
      this.run(lengthMs);
    }
  }

  /** The gates have let it through. `lengthMs`: until `expiresAt`. */
  /** @internal */ run(lengthMs: number): void {
    const { surround } = this.held;
    this.stage = RUNNING;
    if (lengthMs !== NEVER) this.targets.deadlines.watch(this.handle, this, this.endsAt, lengthMs);
    if (surround !== undefined && surround.shadow !== undefined && !beginShadow(this, surround.shadow))
      return;
    let answer: Promise<T> | T;
    try {
      answer = this.fn(this);
      if (isThenable(answer)) {
        // A `then` that throws is caught here as well; what it answered before that stands.
        answer.then(
          (value) => this.answered(value),
          (error) => this.threw(error),
        );
        return;
      }
    } catch (error) {
      this.threw(error);
      return;
    }
    this.answered(answer);
  }

  /** @internal */ answered(value: T): void {
    const { target, held, options } = this;
    const { surround } = held;
    const plain = this.coordinator === undefined && this.rare === undefined && options.judge === undefined;
    const fallsBack = surround !== undefined && surround.fallback !== undefined;
    if (this.stage !== RUNNING || !plain || !target.coarse || target.tally.sampling || fallsBack) {
      this.answeredFully(value);
      return;
    }
    // What `answeredFully` comes to for nearly every call, in one go.
    const { targets, handle } = this;
    this.stage = OVER;
    if (this.endsAt !== NEVER) targets.deadlines.lift(handle, this);
    const now = targets.coarse.now();
    held.plan.finish(handle, 'success', now);
    target.succeeded(now);
    if (surround !== undefined && surround.budget !== undefined) {
      surround.budget.succeeded();
      surround.budget.callEnded(false);
    }
    this.resolve(value);
  }

  /** @internal */ answeredFully(value: T): void {
    const { options, targets } = this;
    if (this.stage !== RUNNING) {
      options.discard?.(value);
      return;
    }
    const judgement = options.judge?.(value);
    const until = options.until?.(value);
    const outcome = judgement?.outcome ?? 'success';
    const status = judgement?.status ?? 'OK';
    const now = targets.clock.now();
    if (until === undefined) this.finish(outcome, status, now);
    else this.linger(until, outcome, status, now);
    const { surround } = this.held;
    if (this.coordinator !== undefined || outcome !== 'success' || surround?.fallback !== undefined) {
      this.coordinate().answered(this, value, judgement);
      return;
    }
    surround?.budget?.succeeded();
    surround?.budget?.callEnded(this.upstreamRetry);
    this.resolve(value);
  }

  /** @internal */ threw(error: unknown): void {
    if (this.stage !== RUNNING) return;
    const { options, held, targets } = this;
    const { outcome, failure } = readThrown(error, held.surround?.classify, options.isFailure);
    // Who knows what was sent has the last word: after a redirect a refused connection says nothing of that.
    const known = options.unsent === undefined ? failure : { ...failure, unsent: options.unsent(error) };
    this.finish(outcome, known.status, targets.clock.now(), known.unsent);
    this.fail(error, known, outcome, false);
  }

  /** @internal */ fail(error: unknown, failure: AttemptFailure, outcome: Outcome, final: boolean): void {
    if (this.alone()) this.reject(error);
    else this.coordinate().failed(this, error, failure, outcome, final);
  }

  /** @internal */ refuse(error: unknown): void {
    this.end();
    this.rarely().abortedWith = { reason: error };
    if (this.alone()) this.reject(error);
    else this.coordinate().refused(this, error);
  }

  /** Nothing follows from its failure. */
  /** @internal */ alone(): boolean {
    return (
      this.coordinator === undefined &&
      this.held.surround === undefined &&
      this.options.fallback === undefined
    );
  }

  /** @internal */ coordinate(): Coordinator<T> {
    this.coordinator ??= makeCoordinator(this);
    return this.coordinator;
  }

  /** What it came to is known; its slot is free once what it answered with is used up. */
  /** @internal */ linger(until: Promise<unknown>, outcome: Outcome, status: string, now: number): void {
    const { targets, handle } = this;
    const { plan } = this.held;
    const startedAt = plan.startedAt(handle);
    this.lift();
    plan.settle(handle, outcome, now);
    this.count(outcome, status, startedAt, now);
    this.stage = LINGERING;
    const end = () => plan.finish(handle, outcome, targets.clock.now());
    until.then(end, end);
  }

  /** @internal */ finish(outcome: Outcome, status: string, now: number, unsent = false): void {
    const { plan } = this.held;
    const startedAt = plan.startedAt(this.handle);
    this.end();
    plan.finish(this.handle, outcome, now);
    this.count(outcome, status, startedAt, now, unsent);
  }

  /** @internal */ count(outcome: Outcome, status: string, began: number, now: number, unsent = false): void {
    const { target } = this;
    target.lastUsedAt = now;
    target.count(outcome, now - began);
    if (outcome === 'success' && target.hedgesByPercentile) target.recordLatency(now - began, now);
    if (this.rare !== undefined) endShadow(this, outcome, status, began, now, unsent);
  }

  /** @internal */ abort(reason: unknown): void {
    const rare = this.rarely();
    rare.abortedWith = { reason };
    rare.controller?.abort(reason);
  }

  /** @internal */ end(): void {
    this.stage = OVER;
    this.lift();
  }

  /** @internal */ lift(): void {
    const { timeouts, deadlines } = this.targets;
    if (this.endsAt !== NEVER) deadlines.lift(this.handle, this);
    if (this.rare?.patience !== undefined) timeouts.lift(this.rare.patience);
  }
}
