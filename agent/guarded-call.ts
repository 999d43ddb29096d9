/**
 * A gRPC call under policies that only admit and limit: one attempt, one object, which is at once the call that the client drives
 * and the listener that the next call informs. What more there may be to a call (`grpc-call.ts`) extends `open`.
 */
import type * as grpc from '@grpc/grpc-js';
import { DEFAULT_RANK } from '../core/criticality.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { bound } from './bound-listener.js';
import { callerDeadlineAt, limitsOf } from './call-limits.js';
import { COARSE_LAG_MS } from './coarse-clock.js';
import { type CallContext, currentContext } from './context.js';
import type { Listener } from './deferred-call.js';
import { GrpcAttempt } from './grpc-attempt.js';
import { isEmpty, outgoing, ownRank, rankOfCall } from './outgoing.js';

const NEVER = Number.POSITIVE_INFINITY;
const RANK = DEFAULT_RANK;

export class GuardedCall extends GrpcAttempt {
  start(metadata: grpc.Metadata, listener?: Listener): void {
    const { target } = this;
    const inherited = currentContext();
    this.listener = bound(listener, inherited);
    // An interceptor before us may have kept the call for a while.
    this.held = target.compiled;
    this.plan = target.plan;
    const now =
      inherited === undefined && this.untimed() ? this.startCoarsely() : this.startExactly(inherited);
    target.lastUsedAt = now;
    if (inherited === undefined && isEmpty(metadata)) {
      this.open(metadata, RANK, now);
      return;
    }
    const own = ownRank(metadata);
    const rank = rankOfCall(own, inherited);
    this.open(outgoing(metadata, own, rank, inherited), rank, now);
  }

  /** No limit of ours, and nobody asks how long it takes. */
  private untimed(): boolean {
    const { target } = this;
    return (
      target.coarseStart &&
      target.timeless &&
      !target.tally.sampling &&
      target.effective.streamTimeout === undefined
    );
  }

  private get asked(): boolean {
    const { deadline, parent } = this.options;
    return deadline !== undefined || parent !== undefined;
  }

  private startCoarsely(): number {
    const { coarse, clock } = this.targets;
    const now = coarse.now();
    if (!this.asked) return now;
    this.callerAt = callerDeadlineAt(this.options, coarse.wallNow(), now);
    // Whether it is over already is a matter of now.
    return this.callerAt - now <= COARSE_LAG_MS ? clock.now() : now;
  }

  private startExactly(inherited: CallContext | undefined): number {
    const { targets, target, options, asked } = this;
    const { clock } = targets;
    const { effective } = target;
    const now = clock.now();
    const inheritedAt = inherited === undefined ? NEVER : inherited.deadlineAt;
    const limited = !target.timeless || effective.streamTimeout !== undefined || inheritedAt !== NEVER;
    if (!asked && !limited) return now;
    const wallNow = clock.wallNow();
    if (asked) this.callerAt = callerDeadlineAt(options, wallNow, now);
    if (limited) this.time = limitsOf(effective, options, clock, now, this.callerAt, inheritedAt, wallNow);
    return now;
  }

  /** The call begins, with what goes out of its metadata. */
  protected open(metadata: grpc.Metadata, rank: number, now: number): void {
    this.begin(metadata, rank, now);
  }

  override onReceiveMetadata(metadata: grpc.Metadata): void {
    this.listener?.onReceiveMetadata?.(metadata);
  }

  override onReceiveMessage(message: unknown): void {
    this.settleAtMessage(message);
    this.listener?.onReceiveMessage?.(message);
  }

  protected override ended(status: grpc.StatusObject, _outcome: Outcome, local: boolean): void {
    // grpc-js wants a message, or the word that there is none, before the status.
    if (local && !this.options.method_definition.responseStream) this.listener?.onReceiveMessage?.(null);
    this.listener?.onReceiveStatus?.(status);
  }
}
