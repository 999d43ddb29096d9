/**
 * A guarded call that may have to wait in line, may run out of time, or may be aborted. One object is its place in line, its
 * entry among the time limits, its listener on the caller's signal and its context, so that there is one place where it ends,
 * and it ends once: what its function says later is heard by nobody and is no unhandled rejection.
 */
import { AsyncResource } from 'node:async_hooks';
import { setMaxListeners } from 'node:events';
import type { Effective } from '../core/policy/model.js';
import { attemptDeadlineAt, type Deadline, effectiveDeadline } from '../core/resilience/deadline.js';
import type { Waiter } from '../core/resilience/gate.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { type Plan, TURNED_AWAY, WAITING } from '../core/resilience/plan.js';
import { type GuardContext, type GuardedFunction, outcomeOfThrown } from './guarded-function.js';
import type { Target } from './target.js';
import type { Pending, Targets } from './targets.js';
import { Expiry } from './timeouts.js';

/** `alreadyWaiting`: the target's plan has just answered WAITING to this call's `admit` (which then has no signal). */
export function runFully<T>(
  targets: Targets,
  target: Target,
  fn: GuardedFunction<T>,
  signal: AbortSignal | undefined,
  alreadyWaiting = false,
): Promise<T> {
  return new Promise((resolve, reject) => {
    new Work(targets, target, fn, signal, resolve, reject).start(alreadyWaiting);
  });
}

class Work<T> extends Expiry implements Waiter, Pending, GuardContext {
  #stage: 'admitting' | 'waiting' | 'running' | 'over' = 'admitting';
  readonly #plan: Plan;
  /** What held when the call began: a change meanwhile concerns the next. */
  readonly #effective: Effective;
  #handle = TURNED_AWAY;
  #startedAt: number;
  readonly #deadline: Deadline;
  #attemptEndsAt = Number.POSITIVE_INFINITY;
  #resource: AsyncResource | undefined = undefined;
  #controller: AbortController | undefined = undefined;
  /** Set once the call is over before its function: what a signal that is read only then aborts with. */
  #abortedWith: { readonly reason: unknown } | undefined = undefined;
  readonly attempt = 1;

  constructor(
    readonly targets: Targets,
    readonly target: Target,
    readonly fn: GuardedFunction<T>,
    readonly callerSignal: AbortSignal | undefined,
    readonly resolve: (value: T) => void,
    readonly reject: (reason: unknown) => void,
  ) {
    super();
    this.#plan = target.plan;
    this.#effective = target.effective;
    this.#startedAt = targets.clock.now();
    target.lastUsedAt = this.#startedAt;
    this.#deadline = effectiveDeadline(
      this.#startedAt,
      Number.POSITIVE_INFINITY,
      target.effective.timeout?.value,
    );
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.#abortedWith) this.#controller.abort(this.#abortedWith.reason);
    }
    return this.#controller.signal;
  }

  get deadline(): number | undefined {
    if (this.#attemptEndsAt === Number.POSITIVE_INFINITY) return undefined;
    const { clock } = this.targets;
    return clock.wallNow() + (this.#attemptEndsAt - clock.now());
  }

  start(alreadyWaiting: boolean): void {
    const { callerSignal } = this;
    if (callerSignal?.aborted) {
      this.#fail(callerSignal.reason);
      return;
    }
    // One signal for many calls at a time is ordinary; from the eleventh on Node would warn of a leak.
    if (callerSignal instanceof AbortSignal) setMaxListeners(0, callerSignal);
    callerSignal?.addEventListener('abort', this.#onAbort, { once: true });
    this.#advance(
      alreadyWaiting ? WAITING : this.#plan.admit(this.#startedAt, this.#attemptEnd(this.#startedAt)),
    );
  }

  /** A slot came free and is ours; the rest of the gates may still turn us away. */
  granted(): void {
    const now = this.targets.clock.now();
    this.targets.timeouts.lift(this);
    this.targets.settled(this);
    this.#startedAt = now;
    // While the rest of the gates decide, an abort by whoever hears of their transitions has to wait.
    this.#stage = 'admitting';
    this.#handle = this.#plan.resume(this.#handle, now, this.#attemptEnd(now));
    if (this.#handle < 0) {
      this.#advance(this.#handle);
    } else if (this.callerSignal?.aborted) {
      this.#giveBack(this.callerSignal.reason);
    } else if (now >= this.#deadline.at) {
      this.#giveBack(this.target.lateInLine('timeout', this.#effective));
    } else {
      this.#stage = 'waiting';
      // We are called where another call ends; our function runs in its own caller's context, and not on that stack.
      queueMicrotask(() => this.#resource?.runInAsyncScope(this.#advance, this, this.#handle));
    }
  }

  /** Our time is over: in line, or under way. */
  expire(): void {
    const now = this.targets.clock.now();
    if (this.#stage === 'waiting') {
      this.#plan.abandon(this.#handle, this, now);
      this.targets.settled(this);
      this.#fail(
        now >= this.#deadline.at
          ? this.target.lateInLine('timeout', this.#effective)
          : this.target.noSlot(this.#effective),
      );
    } else if (this.#stage === 'running') {
      const whole = this.#deadline.at <= this.#attemptEndsAt;
      const section = whole ? 'timeout' : 'attemptTimeout';
      const error = this.target.timedOut(section, 'no answer', this.#effective);
      this.#finish('failure', now);
      this.#abort(error);
      this.reject(error);
    }
  }

  /** The mesh closes while we wait. */
  cancel(): void {
    if (this.#stage !== 'waiting') return;
    this.targets.timeouts.lift(this);
    this.#plan.abandon(this.#handle, this, this.targets.clock.now());
    this.#fail(this.target.meshClosed());
  }

  readonly #advance = (handle: number): void => {
    if (this.#stage === 'over') return;
    if (handle >= 0) {
      this.#handle = handle;
      this.#run();
    } else if (handle === WAITING) {
      this.#queue();
    } else {
      this.#fail(this.target.rejection(this.#plan, this.targets.clock.now(), this.#effective));
    }
  };

  #queue(): void {
    const { targets } = this;
    this.#handle = this.#plan.wait(this);
    this.#stage = 'waiting';
    this.#resource ??= new AsyncResource('switchgear.line');
    if (!targets.pending(this)) {
      this.#plan.abandon(this.#handle, this, this.#startedAt);
      this.#fail(this.target.meshClosed());
      return;
    }
    const remainingMs = this.#deadline.at - this.#startedAt;
    const queueTimeoutMs = this.target.queueTimeoutMs(this.#effective);
    targets.timeouts.set(this, this.#startedAt, Math.min(queueTimeoutMs, remainingMs));
    if (this.callerSignal?.aborted) this.#onAbort();
  }

  #run(): void {
    if (this.callerSignal?.aborted) {
      // By somebody who heard of a transition that this very call made.
      this.#giveBack(this.callerSignal.reason);
      return;
    }
    this.#stage = 'running';
    this.targets.timeouts.set(this, this.#startedAt, this.#attemptEndsAt - this.#startedAt);
    try {
      const answer = this.fn(this);
      // A `then` that throws is caught here as well; what it answered before that stands.
      if (isPromise(answer)) answer.then(this.#answered, this.#threw);
      else this.#answered(answer);
    } catch (error) {
      this.#threw(error);
    }
  }

  readonly #answered = (value: T): void => {
    if (this.#stage !== 'running') return;
    this.#finish('success', this.targets.clock.now());
    this.resolve(value);
  };

  readonly #threw = (error: unknown): void => {
    if (this.#stage !== 'running') return;
    this.#finish(outcomeOfThrown(error), this.targets.clock.now());
    this.reject(error);
  };

  readonly #onAbort = (): void => {
    const reason: unknown = this.callerSignal?.reason;
    const now = this.targets.clock.now();
    if (this.#stage === 'waiting') {
      this.#plan.abandon(this.#handle, this, now);
      this.targets.settled(this);
      this.targets.timeouts.lift(this);
      // Granted in this very tick: the slot is ours and goes back.
      this.#plan.finish(this.#handle, 'neutral', now);
      this.#fail(reason);
    } else if (this.#stage === 'running') {
      this.#finish('neutral', now);
      this.#abort(reason);
      this.reject(reason);
    }
  };

  #finish(outcome: Outcome, now: number): void {
    this.#over();
    this.#plan.finish(this.#handle, outcome, now);
    this.target.count(outcome, now - this.#startedAt);
  }

  /** Admitted, but it won't start. */
  #giveBack(reason: unknown): void {
    this.#plan.finish(this.#handle, 'neutral', this.#startedAt);
    this.#fail(reason);
  }

  #fail(reason: unknown): void {
    this.#over();
    this.#abortedWith = { reason };
    this.reject(reason);
  }

  #over(): void {
    this.#stage = 'over';
    this.targets.timeouts.lift(this);
    this.callerSignal?.removeEventListener('abort', this.#onAbort);
  }

  #abort(reason: unknown): void {
    this.#abortedWith = { reason };
    this.#controller?.abort(reason);
  }

  #attemptEnd(now: number): number {
    const attemptTimeoutMs = this.#effective.attemptTimeout?.value;
    this.#attemptEndsAt = attemptDeadlineAt(now, this.#deadline.at, attemptTimeoutMs);
    return this.#attemptEndsAt;
  }
}

function isPromise<T>(answer: Promise<T> | T): answer is Promise<T> {
  return typeof answer === 'object' && answer !== null && typeof (answer as Promise<T>).then === 'function';
}
