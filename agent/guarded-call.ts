/**
 * One gRPC call under policies: waits for its turn, starts the next call with the right deadline, reads the outcome, and
 * turns what a policy decided into a status that says so. `timeout` bounds a call with one response as a whole; of a call
 * that streams responses it bounds the time to the first message, and `streamTimeout` the whole.
 *
 * It ends once, in `#end`, where its permit is given back; what arrives later is passed on and counted no more.
 */
import { AsyncResource } from 'node:async_hooks';
import * as grpc from '@grpc/grpc-js';
import { type MeshError, messageOf } from '../core/errors.js';
import type { Effective } from '../core/policy/model.js';
import type { Waiter } from '../core/resilience/gate.js';
import { type Outcome, outcomeOfStatus } from '../core/resilience/outcome.js';
import { type Plan, TURNED_AWAY, WAITING } from '../core/resilience/plan.js';
import { type CallLimits, limitsOf } from './call-limits.js';
import { isOurFault, isShed, statusOfError } from './rejection-status.js';
import type { Target } from './target.js';
import type { Pending, Targets } from './targets.js';
import { Expiry } from './timeouts.js';

/** grpc-js's own name for this interface isn't exported. */
type Call = ReturnType<grpc.NextCall>;
type Listener = Partial<grpc.InterceptingListener>;
type MessageContext = Parameters<grpc.InterceptingCall['sendMessageWithContext']>[0];

/** A timer of grpc-js, or the callee's view of the same deadline, may be over so much before our clock says so. */
const EARLY_MS = 10;
const noMetadata = new grpc.Metadata();

/** What the client did while the call waited in line, in order. Bounded by the client's own flow control. */
type Deed = (call: Call) => void;

export class GuardedCall extends Expiry implements Waiter, Pending {
  #stage: 'admitting' | 'waiting' | 'running' | 'over' = 'admitting';
  readonly #targets: Targets;
  readonly #target: Target;
  readonly #options: grpc.InterceptorOptions;
  readonly #nextCall: grpc.NextCall;
  #plan: Plan;
  /** What held when the call began: a change meanwhile concerns the next. */
  #effective: Effective;
  #handle = TURNED_AWAY;
  #startedAt = 0;
  #limits: CallLimits | undefined = undefined;
  #metadata: grpc.Metadata = noMetadata;
  #listener: Listener | undefined = undefined;
  #call: Call | undefined = undefined;
  #deeds: Deed[] | undefined = undefined;
  #resource: AsyncResource | undefined = undefined;
  /** What it came to is known and counted; it may still be under way. */
  #settled = false;
  /** Why this call ended by a limit of ours. */
  #error: MeshError | undefined = undefined;
  /** It was cancelled before its start, or while the gates decided (by whoever hears of their transitions). */
  #cancelled: grpc.StatusObject | undefined = undefined;

  constructor(targets: Targets, target: Target, options: grpc.InterceptorOptions, nextCall: grpc.NextCall) {
    super();
    this.#targets = targets;
    this.#target = target;
    this.#options = options;
    this.#nextCall = nextCall;
    this.#plan = target.plan;
    this.#effective = target.effective;
  }

  // --- the client drives the call

  start(metadata: grpc.Metadata, listener?: Listener): void {
    this.#metadata = metadata;
    this.#listener = listener;
    if (this.#cancelled) {
      this.#deliver(this.#cancelled);
      return;
    }
    const target = this.#target;
    const now = this.#targets.clock.now();
    this.#startedAt = now;
    target.lastUsedAt = now;
    this.#plan = target.plan;
    this.#effective = target.effective;
    let attemptEndsAt = Number.POSITIVE_INFINITY;
    const { deadline, parent } = this.#options;
    if (
      !target.timeless ||
      target.effective.streamTimeout !== undefined ||
      deadline !== undefined ||
      parent !== undefined
    ) {
      this.#limits = limitsOf(target.effective, this.#options, this.#targets.clock, now);
      attemptEndsAt = this.#limits.attemptEndsAt;
      if (this.#limits.startsBefore <= now) {
        this.#refuse(target.reject('deadline_exceeded', 'the deadline was over before the call began'));
        return;
      }
    }
    const handle = this.#plan.admit(now, attemptEndsAt);
    this.#handle = handle;
    if (handle === WAITING) this.#queue();
    else if (handle < 0) this.#refuse(target.rejection(this.#plan, now));
    else if (this.#cancelled) this.#giveBack(this.#cancelled);
    else this.#run(handle);
  }

  sendMessageWithContext(context: MessageContext, message: unknown): void {
    if (this.#call) this.#call.sendMessageWithContext(context, message);
    else this.#later((call) => call.sendMessageWithContext(context, message));
  }

  sendMessage(message: unknown): void {
    if (this.#call) this.#call.sendMessage(message);
    else this.#later((call) => call.sendMessage(message));
  }

  startRead(): void {
    if (this.#call) this.#call.startRead();
    else this.#later((call) => call.startRead());
  }

  halfClose(): void {
    if (this.#call) this.#call.halfClose();
    else this.#later((call) => call.halfClose());
  }

  cancelWithStatus(code: grpc.status, details: string): void {
    if (this.#stage === 'running') {
      // The caller gave up: what comes of it from here on says nothing about the target.
      this.#settle('neutral');
      // Without a call this comes from within its start.
      if (this.#call) this.#call.cancelWithStatus(code, details);
      else this.#later((call) => call.cancelWithStatus(code, details));
    } else if (this.#stage === 'admitting') {
      this.#cancelled = { code, details, metadata: new grpc.Metadata() };
    } else if (this.#stage === 'waiting') {
      const now = this.#targets.clock.now();
      this.#plan.abandon(this.#handle, this, now);
      this.#targets.settled(this);
      // It may have been granted in this very tick: then the slot is ours.
      this.#giveBack({ code, details, metadata: new grpc.Metadata() });
    }
  }

  getPeer(): string {
    return this.#call?.getPeer() ?? 'unknown';
  }

  getAuthContext(): ReturnType<grpc.InterceptingCall['getAuthContext']> {
    return this.#call?.getAuthContext() ?? null;
  }

  // --- the next call informs us

  onReceiveMetadata(metadata: grpc.Metadata): void {
    this.#listener?.onReceiveMetadata?.(metadata);
  }

  onReceiveMessage(message: unknown): void {
    // A stream has shown what it is worth: its probe and its slowness are decided; its slot is held to the end.
    if (!this.#settled && message !== null && this.#options.method_definition.responseStream) {
      this.#settle('success');
    }
    this.#listener?.onReceiveMessage?.(message);
  }

  onReceiveStatus(status: grpc.StatusObject): void {
    const delivered = this.#end(status);
    this.#listener?.onReceiveStatus?.(delivered);
  }

  // --- the line and the limits

  /** A slot came free and is ours; the circuit may still turn us away. */
  granted(): void {
    const now = this.#targets.clock.now();
    this.#targets.timeouts.lift(this);
    this.#targets.settled(this);
    this.#limits?.restart(now);
    this.#startedAt = now;
    this.#stage = 'admitting';
    const limits = this.#limits;
    const handle = this.#plan.resume(this.#handle, now, limits?.attemptEndsAt ?? Number.POSITIVE_INFINITY);
    this.#handle = handle;
    if (handle === WAITING) {
      this.#queue();
    } else if (handle < 0) {
      this.#refuse(this.#target.rejection(this.#plan, now, this.#effective));
    } else if (this.#cancelled) {
      this.#giveBack(this.#cancelled);
    } else if (limits && limits.startsBefore <= now) {
      this.#giveBack(statusOfError(this.#target.lateInLine(limits.startsBeforeBy, this.#effective)));
    } else {
      this.#stage = 'waiting';
      // We are called where another call ends; ours starts in its own caller's context, and not on that stack.
      queueMicrotask(() => this.#resource?.runInAsyncScope(this.#startGranted, this));
    }
  }

  expire(): void {
    const now = this.#targets.clock.now();
    if (this.#stage === 'waiting') {
      this.#plan.abandon(this.#handle, this, now);
      this.#targets.settled(this);
      const limits = this.#limits;
      const late = limits !== undefined && limits.startsBefore <= now;
      const effective = this.#effective;
      this.#refuse(
        late ? this.#target.lateInLine(limits.startsBeforeBy, effective) : this.#target.noSlot(effective),
      );
    } else if (this.#stage === 'running' && this.#call) {
      const section = this.#limits?.firstMessageBy ?? 'timeout';
      this.#error = this.#target.timedOut(section, 'no first message', this.#effective);
      this.#settle('failure');
      this.#call.cancelWithStatus(grpc.status.DEADLINE_EXCEEDED, this.#error.message);
    }
  }

  /** The mesh closes while we wait. */
  cancel(): void {
    if (this.#stage !== 'waiting') return;
    this.#targets.timeouts.lift(this);
    this.#plan.abandon(this.#handle, this, this.#targets.clock.now());
    this.#refuse(this.#target.meshClosed());
  }

  // --- stages

  #run(handle: number): void {
    this.#stage = 'running';
    this.#handle = handle;
    const limits = this.#limits;
    const deadline = limits?.wireDeadline;
    const options = deadline === undefined ? this.#options : { ...this.#options, deadline };
    let call: Call;
    try {
      call = this.#nextCall(options);
      call.start(this.#metadata, this as unknown as grpc.InterceptingListener);
    } catch (error) {
      this.#over();
      this.#plan.finish(handle, 'neutral', this.#targets.clock.now());
      throw error;
    }
    this.#call = call;
    const deeds = this.#deeds;
    this.#deeds = undefined;
    // It may have ended within its start.
    if (!this.#running) return;
    if (limits && limits.firstMessageMs !== Number.POSITIVE_INFINITY && !this.#settled) {
      this.#targets.timeouts.set(this, this.#startedAt, limits.firstMessageMs);
    }
    if (deeds) for (const deed of deeds) deed(call);
  }

  get #running(): boolean {
    return this.#stage === 'running';
  }

  readonly #startGranted = (): void => {
    if (this.#stage !== 'waiting') return;
    try {
      this.#run(this.#handle);
    } catch (error) {
      // Nobody is above us on this stack but the event loop.
      this.#giveBack({
        code: grpc.status.INTERNAL,
        details: messageOf(error),
        metadata: new grpc.Metadata(),
      });
    }
  };

  #queue(): void {
    this.#handle = this.#plan.wait(this);
    this.#stage = 'waiting';
    this.#resource ??= new AsyncResource('switchgear.line');
    if (!this.#targets.pending(this)) {
      this.#plan.abandon(this.#handle, this, this.#startedAt);
      this.#refuse(this.#target.meshClosed());
      return;
    }
    const remainingMs = (this.#limits?.startsBefore ?? Number.POSITIVE_INFINITY) - this.#startedAt;
    const queueTimeoutMs = this.#target.queueTimeoutMs(this.#effective);
    this.#targets.timeouts.set(this, this.#startedAt, Math.min(queueTimeoutMs, remainingMs));
    if (this.#cancelled) this.cancelWithStatus(this.#cancelled.code, this.#cancelled.details);
  }

  #later(deed: Deed): void {
    if (this.#stage === 'over') return;
    this.#deeds ??= [];
    this.#deeds.push(deed);
  }

  /** What the call came to, known before it is over. What it says later is passed on and counted no more. */
  #settle(outcome: Outcome): void {
    if (this.#settled || this.#stage !== 'running') return;
    this.#settled = true;
    this.#targets.timeouts.lift(this);
    const now = this.#targets.clock.now();
    this.#plan.settle(this.#handle, outcome, now);
    this.#target.count(outcome, now - this.#startedAt);
  }

  /** The call is over. Answers the status for the client, in our words where a limit of ours ended it. */
  #end(status: grpc.StatusObject): grpc.StatusObject {
    if (this.#stage === 'over') return status;
    const now = this.#targets.clock.now();
    this.#over();
    const outcome = this.#outcomeOf(status);
    this.#plan.finish(this.#handle, outcome, now);
    if (!this.#settled) this.#target.count(outcome, now - this.#startedAt);
    if (status.code !== grpc.status.DEADLINE_EXCEEDED) return status;
    if (!this.#error) this.#error = this.#wireDeadlineOver(now);
    return this.#error ? { ...status, details: this.#error.message } : status;
  }

  /** Undefined where the deadline on the wire wasn't ours, or isn't over: then these are the callee's words. */
  #wireDeadlineOver(now: number): MeshError | undefined {
    const section = this.#limits?.wireDeadlineBy;
    if (section === undefined || now < (this.#limits?.wireEndsAt ?? 0) - EARLY_MS) return undefined;
    return this.#target.timedOut(section, 'no answer', this.#effective);
  }

  #outcomeOf(status: grpc.StatusObject): Outcome {
    // The call that this one is part of was cancelled, and grpc-js passed that on.
    if (status.code === grpc.status.CANCELLED && this.#options.parent !== undefined) return 'neutral';
    const outcome = outcomeOfStatus(status.code);
    return outcome === 'failure' && (isShed(status) || isOurFault(status)) ? 'neutral' : outcome;
  }

  /** Admitted, but it won't start. A permit that has ended is none. */
  #giveBack(status: grpc.StatusObject): void {
    this.#plan.finish(this.#handle, 'neutral', this.#targets.clock.now());
    this.#deliver(status);
  }

  #refuse(error: MeshError): void {
    this.#deliver(statusOfError(error));
  }

  /** Ends a call that never reached the next one; never within `start`, which grpc-js's streams can't bear. */
  #deliver(status: grpc.StatusObject): void {
    this.#over();
    this.#deeds = undefined;
    const listener = this.#listener;
    const unary = !this.#options.method_definition.responseStream;
    const tell = () => {
      if (unary) listener?.onReceiveMessage?.(null);
      listener?.onReceiveStatus?.(status);
    };
    const resource = this.#resource;
    process.nextTick(resource ? () => resource.runInAsyncScope(tell) : tell);
  }

  #over(): void {
    this.#stage = 'over';
    this.#targets.timeouts.lift(this);
  }
}
