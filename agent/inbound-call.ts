/**
 * One call into this service under the policies of `self`: it is admitted before its handler hears of it, holds its permit until
 * it is over, and runs its handler within what the calls made there inherit. One object of our own, which is at once the call
 * that the handler answers and the listener that the wire informs.
 *
 * Rules that grpc-js imposes (1.14): a stream that is gone before `start` informs nobody, so the permit is taken with the
 * metadata; `onCancel` comes after every end; its DEADLINE_EXCEEDED goes past `sendStatus`; unary handlers run in the half-close
 * and streaming ones with the metadata, so each event runs within the context.
 *
 * It ends once, in `#end`. A call in line has asked for no message, so HTTP/2's flow control bounds what is kept for it.
 */
import { AsyncResource } from 'node:async_hooks';
import * as grpc from '@grpc/grpc-js';
import { DEFAULT_RANK } from '../core/criticality.js';
import type { MeshError } from '../core/errors.js';
import type { Effective } from '../core/policy/model.js';
import type { Waiter } from '../core/resilience/gate.js';
import { type Outcome, outcomeOfStatus } from '../core/resilience/outcome.js';
import { type Plan, TURNED_AWAY, WAITING } from '../core/resilience/plan.js';
import { type CallContext, withinContext } from './context.js';
import { inheritedFrom } from './inherited.js';
import { statusOfError } from './rejection-status.js';
import { ServerCall, type Wire } from './server-call.js';
import type { Shadow } from './shadow.js';
import type { Target } from './target.js';
import type { Pending, Targets } from './targets.js';

type Listener = Parameters<Wire['start']>[0];
type Status = Parameters<Wire['sendStatus']>[0];

/** A caller whose deadline is over cancels so much before our own clock says so. */
const EARLY_MS = 10;
const noMetadata = new grpc.Metadata();
/** Of a call whose metadata hasn't come. */
const noContext: CallContext = { deadlineAt: Number.POSITIVE_INFINITY, rank: DEFAULT_RANK, trace: [] };

export class InboundCall extends ServerCall implements Waiter, Pending {
  /**
   * `arriving`: its metadata hasn't come, or the gates decide. `granted`: it has its place, and begins on a stack of its own.
   * `refused`: its handler never hears of it.
   */
  #stage: 'arriving' | 'waiting' | 'granted' | 'running' | 'ended' | 'refused' = 'arriving';
  readonly #targets: Targets;
  readonly #target: Target;
  /** What held when the call arrived: a change meanwhile concerns the next. */
  #plan: Plan;
  #effective: Effective;
  #handle = TURNED_AWAY;
  #startedAt = 0;
  #shadow: Shadow | undefined = undefined;
  #shadowHandle = TURNED_AWAY;
  #listener: Listener | undefined = undefined;
  #context: CallContext = noContext;
  #metadata: grpc.Metadata = noMetadata;
  #held: ((listener: Listener) => void)[] | undefined = undefined;
  #resource: AsyncResource | undefined = undefined;

  constructor(targets: Targets, target: Target, wire: Wire) {
    super(wire);
    this.#targets = targets;
    this.#target = target;
    this.#plan = target.plan;
    this.#effective = target.effective;
  }

  // --- the wire informs us

  onReceiveMetadata(metadata: grpc.Metadata): void {
    if (this.#refused) return;
    const target = this.#target;
    const now = this.#targets.clock.now();
    target.lastUsedAt = now;
    this.#startedAt = now;
    this.#plan = target.plan;
    this.#effective = target.effective;
    this.#metadata = metadata;
    const context = inheritedFrom(metadata, this.#deadlineAt(now));
    this.#context = context;
    if (context.deadlineAt <= now) {
      this.#refuse(target.reject('deadline_exceeded', 'the deadline was over before the call began'));
      return;
    }
    const handle = this.#plan.admit(now, context.deadlineAt, context.rank);
    this.#handle = handle;
    if (handle === WAITING) this.#queue(now);
    else if (this.#refused) this.#plan.finish(handle, 'neutral', now);
    else if (handle < 0) this.#refuse(target.rejection(this.#plan, now));
    else this.#run(now);
  }

  onReceiveMessage(message: unknown): void {
    this.#pass((listener) => listener.onReceiveMessage(message));
  }

  onReceiveHalfClose(): void {
    this.#pass((listener) => listener.onReceiveHalfClose());
  }

  /** The caller gave up, its deadline is over, the connection is lost; or all is well and over. */
  onCancel(): void {
    this.#leave();
    if (this.#stage === 'running') {
      const late = this.#targets.clock.now() >= this.#context.deadlineAt - EARLY_MS;
      this.#end(late ? grpc.status.DEADLINE_EXCEEDED : grpc.status.CANCELLED);
    }
    // Those between us and the handler have to hear of the end, though the handler may never have heard of the beginning.
    this.#within((listener) => listener.onCancel());
  }

  // --- the handler answers

  start(listener: Listener): void {
    this.#listener = listener;
    this.wire.start(this);
  }

  sendStatus(status: Status): void {
    this.#leave();
    if (this.#stage === 'running') this.#end(status.code ?? grpc.status.UNKNOWN);
    this.wire.sendStatus(status);
  }

  // --- the line and the limits

  granted(): void {
    const now = this.#targets.clock.now();
    this.#targets.timeouts.lift(this);
    this.#targets.settled(this);
    const deadlineAt = this.#context.deadlineAt;
    const handle = this.#plan.resume(this.#handle, now, deadlineAt);
    this.#handle = handle;
    if (handle === WAITING) {
      this.#queue(now);
    } else if (handle < 0) {
      this.#refuse(this.#target.rejection(this.#plan, now, this.#effective));
    } else if (deadlineAt <= now) {
      this.#plan.finish(handle, 'neutral', now);
      this.#refuse(this.#target.lateInLine(undefined, this.#effective));
    } else {
      this.#target.waited(now - this.#startedAt);
      this.#beginSoon();
    }
  }

  displaced(): void {
    if (this.#stage !== 'waiting') return;
    this.#targets.timeouts.lift(this);
    this.#targets.settled(this);
    this.#plan.displaced(this.#handle, this.#targets.clock.now());
    this.#refuse(this.#target.displaced(this.#effective));
  }

  expire(): void {
    if (this.#stage === 'waiting') {
      this.#giveBack();
      const late = this.#context.deadlineAt <= this.#targets.clock.now();
      const effective = this.#effective;
      this.#refuse(late ? this.#target.lateInLine(undefined, effective) : this.#target.noSlot(effective));
    } else if (this.#stage === 'running') {
      this.#end(grpc.status.DEADLINE_EXCEEDED);
    }
  }

  /** The mesh closes while we wait: whoever comes after it has closed is let through, so who came before is, too. */
  cancel(): void {
    if (this.#stage !== 'waiting') return;
    this.#giveBack();
    this.#beginSoon();
  }

  // --- stages

  #queue(now: number): void {
    const plan = this.#plan;
    this.#handle = plan.waiting;
    this.#resource ??= new AsyncResource('switchgear.line');
    if (this.#refused || !this.#targets.pending(this)) {
      plan.displaced(this.#handle, now);
      if (!this.#refused) this.#beginSoon();
      return;
    }
    this.#stage = 'waiting';
    const remainingMs = this.#context.deadlineAt - now;
    const queueTimeoutMs = this.#target.queueTimeoutMs(this.#effective);
    this.#targets.timeouts.set(this, now, Math.min(queueTimeoutMs, remainingMs));
    // Last: who has to make room for it may end another call, whose place is its own in that same tick.
    plan.wait(this);
  }

  /** It ends before its handler has heard of it. */
  #leave(): void {
    if (this.#stage === 'waiting' || this.#stage === 'granted') this.#giveBack();
    else if (this.#stage !== 'arriving') return;
    this.#over('refused');
  }

  /** Its place in the line, or what it was granted since. */
  #giveBack(): void {
    const now = this.#targets.clock.now();
    this.#targets.timeouts.lift(this);
    this.#targets.settled(this);
    if (!this.#plan.abandon(this.#handle, this, now)) this.#plan.finish(this.#handle, 'neutral', now);
  }

  /** We are called where another call ends; the handler starts in its own call's context, and not on that stack. */
  #beginSoon(): void {
    this.#stage = 'granted';
    queueMicrotask(() => this.#resource?.runInAsyncScope(this.#begin, this));
  }

  #begin(): void {
    if (this.#stage !== 'granted') return;
    this.#run(this.#targets.clock.now());
  }

  #run(now: number): void {
    this.#stage = 'running';
    this.#startedAt = now;
    const metadata = this.#metadata;
    this.#metadata = noMetadata;
    // grpc-js tells of a deadline only once all that was written is read; a caller that reads no more would keep its permit.
    this.#targets.timeouts.set(this, now, this.#context.deadlineAt - now);
    const shadow = this.#target.surround?.shadow;
    if (shadow && !this.#beginShadow(shadow, now)) return;
    this.#within((listener) => listener.onReceiveMetadata(metadata));
    // What these make come in comes behind them.
    if (this.#held) for (const event of this.#held) this.#within(event);
    this.#held = undefined;
  }

  /** Answers whether the call goes on: whoever hears of a transition there may end it. */
  #beginShadow(shadow: Shadow, now: number): boolean {
    const { deadlineAt, rank } = this.#context;
    const handle = shadow.begin(now, deadlineAt, rank, this.#target);
    if (this.#stage === 'running') {
      this.#shadow = shadow;
      this.#shadowHandle = handle;
      return true;
    }
    shadow.end(handle, 'neutral', '', now, now, this.#target);
    this.#over('refused');
    return false;
  }

  #pass(event: (listener: Listener) => void): void {
    if (this.#refused) return;
    const begun = this.#stage === 'running' || this.#stage === 'ended';
    if (begun && this.#held === undefined) {
      this.#within(event);
    } else {
      // Somebody between us and the wire reads by itself.
      this.#held ??= [];
      this.#held.push(event);
    }
  }

  #within(event: (listener: Listener) => void): void {
    const listener = this.#listener;
    if (listener) withinContext(this.#context, () => event(listener));
  }

  #end(code: grpc.status): void {
    const now = this.#targets.clock.now();
    this.#over('ended');
    const sample = sampleOf(code);
    this.#plan.finish(this.#handle, sample, now);
    // Of a shadow only what admits is asked, as of a policy that is enforced here: no limits of time, no status to try again.
    this.#shadow?.end(this.#shadowHandle, sample, '', now, now, this.#target);
    const outcome = code === grpc.status.CANCELLED ? 'neutral' : outcomeOfStatus(code);
    this.#target.count(outcome, now - this.#startedAt);
  }

  #refuse(error: MeshError): void {
    // Whoever heard of it has ended the call.
    if (this.#refused) return;
    this.#over('refused');
    this.wire.sendStatus(statusOfError(error));
  }

  /** Asked anew each time: what was called meanwhile may have changed it. */
  get #refused(): boolean {
    return this.#stage === 'refused';
  }

  #over(stage: 'ended' | 'refused'): void {
    this.#stage = stage;
    this.#targets.timeouts.lift(this);
    if (stage === 'refused') this.#held = undefined;
    this.#metadata = noMetadata;
  }

  /** A deadline on the wall clock, which may jump: taken once, as what remains of it. */
  #deadlineAt(now: number): number {
    const deadline = this.wire.getDeadline();
    const at = typeof deadline === 'number' ? deadline : deadline.getTime();
    return at === Number.POSITIVE_INFINITY ? at : now + (at - this.#targets.clock.wallNow());
  }
}

/**
 * What an end says about how much this service can take: one in time is a sample, a deadline that is over a loss. An error says
 * nothing, since a dependency that is down makes errors fast and this service no slower; nor does a cancel.
 */
function sampleOf(code: grpc.status): Outcome {
  if (code === grpc.status.DEADLINE_EXCEEDED) return 'failure';
  if (code === grpc.status.CANCELLED) return 'neutral';
  return outcomeOfStatus(code) === 'failure' ? 'neutral' : 'success';
}
