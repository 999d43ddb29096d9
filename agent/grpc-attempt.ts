/**
 * One attempt of a gRPC call: waits for its turn, starts the next call with the right deadline, reads the outcome, and turns what a
 * policy decided into a status that says so. `timeout` bounds a call with one response as a whole; of a call that streams
 * responses it bounds the time to the first message, and `streamTimeout` the whole. What follows from an attempt's end is for those
 * who extend it.
 *
 * It ends once, in `finish`, where its permit is given back; what arrives later is passed on and counted no more.
 */
import { AsyncResource } from 'node:async_hooks';
import * as grpc from '@grpc/grpc-js';
import { type MeshError, messageOf } from '../core/errors.js';
import type { Effective } from '../core/policy/model.js';
import type { Waiter } from '../core/resilience/gate.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { type Plan, TURNED_AWAY, WAITING } from '../core/resilience/plan.js';
import { type CallLimits, EARLY_MS, limitsOf } from './call-limits.js';
import { DeferredCall, type Listener, NO_SHADOW } from './deferred-call.js';
import { shadowEnds, shadowLeaves } from './grpc-shadow.js';
import { outcomeOfEnd, statusOfError } from './rejection-status.js';
import type { Surround } from './surround.js';
import type { Compiled, Target } from './target.js';
import type { Pending, Targets } from './targets.js';

export const noMetadata = new grpc.Metadata();
// Constants of this module: what is imported is read from memory each time.
const NEVER = Number.POSITIVE_INFINITY;
const ADMITTING = 0;
const WAITING_IN_LINE = 1;
const RUNNING = 2;
const OVER = 3;
const { OK } = grpc.status;

export abstract class GrpcAttempt extends DeferredCall implements Waiter, Pending {
  declare readonly targets: Targets;
  declare readonly target: Target;
  /** What held when the call began: a change meanwhile concerns the next. */
  declare protected held: Compiled;
  /** The present plan is a further attempt's, whatever held when the call began. */
  declare protected plan: Plan;
  /** Undefined: the caller's deadline, if any, is all there is. */
  declare protected time: CallLimits | undefined;
  /** Monotonic. */
  declare protected callerAt: number;
  declare startedAt: number;
  declare private stage: number;
  declare private handle: number;
  /** What it came to is known and counted; it may still be under way. */
  declare private known: boolean;
  /** Whoever is told, where that is one. */
  declare protected listener: Listener | undefined;

  /** The only constructor of the chain, or nearly: each link costs as much as a field. */
  constructor(targets: Targets, target: Target, options: grpc.InterceptorOptions, nextCall: grpc.NextCall) {
    super();
    this.options = options;
    this.nextCall = nextCall;
    this.rare = undefined;
    this.call = undefined;
    this.listener = undefined;
    this.targets = targets;
    this.target = target;
    this.held = target.compiled;
    this.plan = target.plan;
    this.time = undefined;
    this.callerAt = NEVER;
    this.startedAt = 0;
    this.stage = ADMITTING;
    this.handle = TURNED_AWAY;
    this.known = false;
  }

  get effective(): Effective {
    return this.held.effective;
  }

  get surround(): Surround | undefined {
    return this.held.surround;
  }

  /** Its limits of time, where anybody asks: undefined, it has none. */
  get limits(): CallLimits | undefined {
    if (this.time === undefined && this.callerAt !== NEVER) {
      const { effective, options, targets, startedAt, callerAt } = this;
      this.time = limitsOf(effective, options, targets.clock, startedAt, callerAt);
    }
    return this.time;
  }

  /** It runs, and nothing has ended it within its own start. */
  protected launched(): void {}

  /** It is over. `local`: it never reached the next call. May be told again by a transport that says it twice. */
  protected abstract ended(status: grpc.StatusObject, outcome: Outcome, local: boolean): void;

  /** Asks the gates, and runs or waits. Throws what the next call throws. */
  begin(metadata: grpc.Metadata, rank: number, now: number): void {
    this.startedAt = now;
    const { time, target, plan } = this;
    if (this.rare?.cancelled) {
      this.deliver(this.rare.cancelled);
      return;
    }
    if ((time === undefined ? this.callerAt : time.startsBefore) <= now) {
      this.refuse(target.reject('deadline_exceeded', 'the deadline was over before the call began'));
      return;
    }
    const handle = plan.admit(now, time === undefined ? this.callerAt : time.attemptEndsAt, rank);
    this.handle = handle;
    if (handle === WAITING) this.queue(metadata, rank);
    else if (handle < 0) this.refuse(target.rejection(plan, now, this.effective));
    else if (this.rare?.cancelled) this.giveBack(this.rare.cancelled);
    else this.run(metadata, rank);
  }

  // --- the client gives up

  cancelWithStatus(code: grpc.status, details: string): void {
    this.leave(code, details);
  }

  private leave(code: grpc.status, details: string): void {
    if (this.stage === RUNNING) {
      // The caller gave up: what comes of it from here on says nothing about the target.
      this.settle('neutral');
      // It isn't made yet if this comes from within its start.
      this.cancelNext(code, details);
    } else if (this.stage === ADMITTING) {
      this.rarely().cancelled = { code, details, metadata: new grpc.Metadata() };
    } else if (this.stage === WAITING_IN_LINE) {
      this.leaveLine(this.targets.clock.now());
      // It may have been granted in this very tick: then the slot is ours.
      this.giveBack({ code, details, metadata: new grpc.Metadata() });
    }
  }

  // --- the next call informs us

  /** A stream has shown what it is worth: its probe and its slowness are decided; its slot is held to the end. */
  protected settleAtMessage(message: unknown): void {
    if (!this.known && message !== null && this.options.method_definition.responseStream) {
      this.settle('success');
    }
  }

  override onReceiveStatus(status: grpc.StatusObject): void {
    const { target } = this;
    if (
      status.code === OK &&
      this.stage === RUNNING &&
      !this.known &&
      this.rare === undefined &&
      target.brief &&
      !target.tally.sampling
    ) {
      // What `finish` comes to for nearly every call, in one go.
      this.stage = OVER;
      const now = this.targets.coarse.now();
      this.plan.finish(this.handle, 'success', now);
      target.succeeded(now);
      this.ended(status, 'success', false);
      return;
    }
    const outcome = outcomeOfEnd(status, this.surround?.classify, this.options.parent !== undefined);
    this.ended(this.finish(status, outcome), outcome, false);
  }

  // --- the line and the limits

  /** A slot came free and is ours; the circuit may still turn us away. */
  granted(): void {
    const now = this.targets.clock.now();
    this.lift();
    this.targets.settled(this);
    this.target.waited(now - this.startedAt);
    this.limits?.restart(now);
    this.startedAt = now;
    this.stage = ADMITTING;
    const { limits, effective } = this;
    const handle = this.plan.resume(this.handle, now, limits?.attemptEndsAt ?? NEVER);
    this.handle = handle;
    if (handle === WAITING) {
      this.queue(this.rare?.metadata ?? noMetadata, this.rare?.rank ?? 0);
    } else if (handle < 0) {
      this.refuse(this.target.rejection(this.plan, now, effective));
    } else if (this.rare?.cancelled) {
      this.giveBack(this.rare.cancelled);
    } else if (limits && limits.startsBefore <= now) {
      this.giveBack(statusOfError(this.target.lateInLine(limits.startsBeforeBy, effective)));
    } else {
      this.stage = WAITING_IN_LINE;
      // We are called where another call ends; ours starts in its own caller's context, and not on that stack.
      queueMicrotask(() => this.rare?.resource?.runInAsyncScope(this.startGranted, this));
    }
  }

  displaced(): void {
    this.stage = ADMITTING;
    this.lift();
    this.targets.settled(this);
    this.plan.displaced(this.handle, this.targets.clock.now());
    this.refuse(this.target.displaced(this.effective));
  }

  expire(): void {
    const { target, effective, limits } = this;
    const now = this.targets.clock.now();
    if (this.stage === WAITING_IN_LINE) {
      this.leaveLine(now);
      const late = limits !== undefined && limits.startsBefore <= now;
      this.refuse(late ? target.lateInLine(limits.startsBeforeBy, effective) : target.noSlot(effective));
    } else if (this.stage === RUNNING && this.made) {
      const section = limits?.firstMessageBy ?? 'timeout';
      const error = target.timedOut(section, 'no first message', effective);
      // Whoever hears of it may have ended the call.
      if (this.known || !this.running) return;
      this.rarely().error = error;
      this.settle('failure');
      this.cancelNext(grpc.status.DEADLINE_EXCEEDED, error.message);
    }
  }

  /** The mesh closes while we wait. */
  cancel(): void {
    if (this.stage !== WAITING_IN_LINE) return;
    this.leaveLine(this.targets.clock.now());
    this.giveBack(statusOfError(this.target.meshClosed()));
  }

  // --- stages

  protected override get over(): boolean {
    return this.stage === OVER;
  }

  protected get running(): boolean {
    return this.stage === RUNNING;
  }

  private run(metadata: grpc.Metadata, rank: number): void {
    const { time, surround } = this;
    if (surround !== undefined && surround.shadow !== undefined && !this.beginShadow(surround.shadow, rank))
      return;
    this.stage = RUNNING;
    try {
      this.make(metadata, time === undefined ? undefined : time.wireDeadline(this.startedAt));
    } catch (error) {
      this.ends();
      const now = this.targets.clock.now();
      this.plan.finish(this.handle, 'neutral', now);
      shadowEnds(this, this.rare, 'neutral', now);
      throw error;
    }
    // It may have ended within its start.
    if (!this.running) return;
    if (time !== undefined && time.firstMessageMs !== NEVER && !this.known)
      this.alarm(this.startedAt, time.firstMessageMs);
    if (!this.known) this.launched();
    if (this.rare !== undefined) this.repeat();
  }

  private startGranted(): void {
    if (this.stage !== WAITING_IN_LINE) return;
    try {
      this.run(this.rare?.metadata ?? noMetadata, this.rare?.rank ?? 0);
    } catch (error) {
      // Nobody is above us on this stack but the event loop.
      const details = messageOf(error);
      this.giveBack({ code: grpc.status.INTERNAL, details, metadata: new grpc.Metadata() });
    }
  }

  private queue(metadata: grpc.Metadata, rank: number): void {
    const { plan, targets, startedAt } = this;
    this.handle = plan.waiting;
    const rare = this.rarely();
    if (rare.cancelled !== undefined || !targets.pending(this)) {
      plan.displaced(this.handle, startedAt);
      this.deliver(rare.cancelled ?? statusOfError(this.target.meshClosed()));
      return;
    }
    rare.metadata = metadata;
    rare.rank = rank;
    rare.resource ??= new AsyncResource('switchgear.line');
    this.stage = WAITING_IN_LINE;
    const remainingMs = this.limits?.remainingMs(startedAt) ?? NEVER;
    this.alarm(startedAt, Math.min(this.target.queueTimeoutMs(this.effective), remainingMs));
    // Last: who has to make room for it may end another call, whose slot is its own in that same tick.
    plan.wait(this);
  }

  /** Out of the line, if it stands there yet. What it is told is settled: a cancel by whoever hears of it finds nothing to end. */
  private leaveLine(now: number): void {
    this.stage = ADMITTING;
    this.plan.abandon(this.handle, this, now);
    this.targets.settled(this);
  }

  /** Calls `expire` after so long, unless lifted before; one at a time. */
  protected alarm(now: number, lengthMs: number): void {
    if (lengthMs !== NEVER) this.targets.timeouts.set(this.rarely(), now, lengthMs);
  }

  protected lift(): void {
    if (this.rare !== undefined) this.targets.timeouts.lift(this.rare);
  }

  /** What the attempt came to, known before it is over. What it says later is passed on and counted no more. */
  private settle(outcome: Outcome): void {
    if (this.known || this.stage !== RUNNING) return;
    this.known = true;
    this.lift();
    const now = this.targets.clock.now();
    this.plan.settle(this.handle, outcome, now);
    this.target.countAt(this, outcome, now - this.startedAt);
    if (this.rare !== undefined) shadowEnds(this, this.rare, outcome, now);
  }

  /** It is over. Answers the status for the client, in our words where a limit of ours ended it. */
  private finish(status: grpc.StatusObject, outcome: Outcome): grpc.StatusObject {
    if (this.stage === OVER) return status;
    const now = outcome === 'success' ? this.endOfCall() : this.targets.clock.now();
    this.ends();
    this.plan.finish(this.handle, outcome, now);
    if (!this.known) {
      const tookMs = now - this.startedAt;
      this.target.countAt(this, outcome, tookMs);
      if (outcome === 'success') this.target.recordLatency(tookMs, now);
    }
    if (this.rare !== undefined) {
      shadowEnds(this, this.rare, outcome, now, status);
      shadowLeaves(this, this.rare, status.code, now);
    }
    if (status.code !== grpc.status.DEADLINE_EXCEEDED) return status;
    const error = this.rare?.error ?? this.wireDeadlineOver(now);
    return error ? { ...status, details: error.message } : status;
  }

  /** The time, as exactly as somebody asks for it. */
  private endOfCall(): number {
    const { target, targets } = this;
    return target.coarse && !target.tally.sampling ? targets.coarse.now() : targets.clock.now();
  }

  /** Undefined where the deadline on the wire wasn't ours, or isn't over: then these are the callee's words. */
  private wireDeadlineOver(now: number): MeshError | undefined {
    const section = this.time?.wireDeadlineBy;
    if (section === undefined || now < (this.time?.wireEndsAt ?? 0) - EARLY_MS) return undefined;
    return this.target.timedOut(section, 'no answer', this.effective);
  }

  // --- policies in shadow

  /** Answers whether the attempt goes on: whoever hears of a transition there may end it. */
  private beginShadow(shadow: NonNullable<Surround['shadow']>, rank: number): boolean {
    this.stage = ADMITTING;
    const rare = this.rarely();
    const endsAt = this.limits?.attemptEndsAt ?? NEVER;
    rare.shadow = shadow.begin(this.startedAt, endsAt, rank, this.target);
    if (rare.cancelled === undefined) {
      rare.shadowed = rare.shadow !== NO_SHADOW;
      return true;
    }
    shadowEnds(this, rare, 'neutral', this.startedAt);
    this.giveBack(rare.cancelled);
    return false;
  }

  // --- ends that never reached the next call

  /** Admitted, but it won't start. A permit that has ended is none. */
  private giveBack(status: grpc.StatusObject): void {
    this.plan.finish(this.handle, 'neutral', this.targets.clock.now());
    this.deliver(status);
  }

  private refuse(error: MeshError): void {
    // Whoever hears of it may have cancelled the call.
    this.deliver(this.rare?.cancelled ?? statusOfError(error));
  }

  /** Never within `start`, which grpc-js's streams can't bear. */
  private deliver(status: grpc.StatusObject): void {
    this.ends();
    if (this.rare !== undefined) this.rare.deeds = undefined;
    const resource = this.rare?.resource;
    const tell = () => this.ended(status, 'neutral', true);
    process.nextTick(resource ? () => resource.runInAsyncScope(tell) : tell);
  }

  private ends(): void {
    this.stage = OVER;
    this.lift();
  }
}
