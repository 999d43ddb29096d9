/**
 * A gRPC call under policies that only admit and limit: one attempt, one object, which is at once the call that the client drives
 * and the listener that the next call informs. What more there may be to a call (`grpc-call.ts`) extends `open`.
 */
import type * as grpc from '@grpc/grpc-js';
import type { Outcome } from '../core/resilience/outcome.js';
import { bound } from './bound-listener.js';
import { callerDeadlineAt, limitsOf } from './call-limits.js';
import { currentContext } from './context.js';
import type { Listener } from './deferred-call.js';
import { GrpcAttempt } from './grpc-attempt.js';
import { outgoing, ownRank, rankOfCall } from './outgoing.js';
import type { Target } from './target.js';
import type { Targets } from './targets.js';

export class GuardedCall extends GrpcAttempt {
  declare protected listener: Listener | undefined;

  constructor(targets: Targets, target: Target, options: grpc.InterceptorOptions, nextCall: grpc.NextCall) {
    super(targets, target, options, nextCall);
    this.listener = undefined;
  }

  start(metadata: grpc.Metadata, listener?: Listener): void {
    const { target, targets, options } = this;
    const now = targets.clock.now();
    target.lastUsedAt = now;
    // An interceptor before us may have kept the call for a while.
    this.held = target.compiled;
    this.plan = target.plan;
    const inherited = currentContext();
    this.listener = bound(listener, inherited);
    const { effective } = target;
    const inheritedAt = inherited === undefined ? Number.POSITIVE_INFINITY : inherited.deadlineAt;
    const asked = options.deadline !== undefined || options.parent !== undefined;
    const limited =
      !target.timeless || effective.streamTimeout !== undefined || inheritedAt !== Number.POSITIVE_INFINITY;
    if (asked || limited) {
      const { clock } = targets;
      const wallNow = clock.wallNow();
      if (asked) this.callerAt = callerDeadlineAt(options, wallNow, now);
      if (limited) this.time = limitsOf(effective, options, clock, now, this.callerAt, inheritedAt, wallNow);
    }
    const own = ownRank(metadata);
    const rank = rankOfCall(own, inherited);
    this.open(outgoing(metadata, own, rank, inherited), rank, now);
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
