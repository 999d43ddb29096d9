/**
 * A gRPC call that has more to it than gates: retries, hedges, fallbacks. It is its own first attempt, so that a call that succeeds
 * at once is one object; what further attempts need (`grpc-extra.ts`) is made with the first failure, or when a hedge is due, and
 * what a fallback needs (`grpc-fallback.ts`) once nothing else is left. The client is told once, from the attempt that answered or
 * the last one that failed.
 *
 * What streams: a request that streams is sent once. A response that streams is the client's from its headers on. One response
 * is held until its status, and so are its headers where another attempt or a fallback may still answer in its place.
 */
import { AsyncResource } from 'node:async_hooks';
import * as grpc from '@grpc/grpc-js';
import { hedgeDelayMs } from '../core/resilience/hedge.js';
import type { Outcome } from '../core/resilience/outcome.js';
import { isUpstreamRetry, previousAttemptsHeader } from '../core/resilience/retry.js';
import { EARLY_MS } from './call-limits.js';
import type { CallTools } from './call-tools.js';
import { asIn, type CallContext, currentContext } from './context.js';
import type { MessageContext } from './deferred-call.js';
import { type GrpcAttempt, noMetadata } from './grpc-attempt.js';
import { type Answered, type ExtraOwner, GrpcExtra } from './grpc-extra.js';
import { type FallbackOwner, GrpcFallback } from './grpc-fallback.js';
import { keepReply } from './grpc-replies.js';
import { GuardedCall } from './guarded-call.js';
import { failureOf } from './rejection-status.js';
import type { Compiled, Target } from './target.js';
import type { Targets } from './targets.js';

const { CANCELLED, DEADLINE_EXCEEDED, OK, UNIMPLEMENTED } = grpc.status;
const OVERTAKEN = 'another attempt has answered';

interface Failed {
  readonly attempt: Answered;
  readonly status: grpc.StatusObject;
  readonly outcome: Outcome;
}

export class SurroundedCall extends GuardedCall implements Answered, ExtraOwner, FallbackOwner {
  declare headers: grpc.Metadata | undefined;
  declare reply: unknown;
  declare metadata: grpc.Metadata;
  declare rank: number;
  declare request: unknown;
  declare readonly tools: CallTools;
  /** Nothing more comes of its attempts. */
  declare done: boolean;
  declare private requested: boolean;
  declare private halfClosed: boolean;
  declare private reads: number;
  /** The client has seen a part of the response. */
  declare private shown: boolean;
  declare private cancelled: boolean;
  /** The client has been told the end. */
  declare private told: boolean;
  /** The first attempt is over, or of no interest. */
  declare private firstOver: boolean;
  /** How the budget counts it; undefined: not, or no more. */
  declare private upstream: boolean | undefined;
  /** Undefined: it isn't hedged. */
  declare private hedgeMs: number | undefined;
  declare private context: CallContext | undefined;
  /** What a timer starts has to find the context of the call again; where none can, that of its first failure does. */
  declare private resource: AsyncResource | undefined;
  declare private last: Failed | undefined;
  declare private further: GrpcAttempt | undefined;
  declare private extra: GrpcExtra | undefined;
  declare private fallback: GrpcFallback | undefined;

  constructor(
    targets: Targets,
    target: Target,
    options: grpc.InterceptorOptions,
    nextCall: grpc.NextCall,
    tools: CallTools,
  ) {
    super(targets, target, options, nextCall);
    this.headers = undefined;
    this.reply = null;
    this.metadata = noMetadata;
    this.rank = 0;
    this.request = undefined;
    this.tools = tools;
    this.done = false;
    this.requested = false;
    this.halfClosed = false;
    this.reads = 0;
    this.shown = false;
    this.cancelled = false;
    this.told = false;
    this.firstOver = false;
    this.upstream = undefined;
    this.hedgeMs = undefined;
    this.context = undefined;
    this.resource = undefined;
    this.last = undefined;
    this.further = undefined;
    this.extra = undefined;
    this.fallback = undefined;
  }

  protected override open(metadata: grpc.Metadata, rank: number, now: number): void {
    this.metadata = metadata;
    this.rank = rank;
    this.context = currentContext();
    const budget = this.surround?.budget;
    if (budget !== undefined) {
      this.upstream =
        isUpstreamRetry(metadata.get(previousAttemptsHeader)) || this.context?.upstreamRetry === true;
      budget.callBegan(this.upstream);
    }
    try {
      super.open(metadata, rank, now);
    } catch (error) {
      this.finishAll(this, CANCELLED, OVERTAKEN);
      this.told = true;
      throw error;
    }
  }

  get compiled(): Compiled {
    return this.held;
  }

  // --- the client drives it

  override sendMessageWithContext(context: MessageContext, message: unknown): void {
    this.keep(message);
    if (!this.firstOver) super.sendMessageWithContext(context, message);
    if (this.extra !== undefined) for (const attempt of this.extra.running) attempt.sendMessage(message);
  }

  override sendMessage(message: unknown): void {
    this.keep(message);
    if (!this.firstOver) super.sendMessage(message);
    if (this.extra !== undefined) for (const attempt of this.extra.running) attempt.sendMessage(message);
  }

  override startRead(): void {
    if (!this.shown) this.reads++;
    if (!this.firstOver) super.startRead();
    if (this.extra !== undefined) for (const attempt of this.extra.running) attempt.startRead();
  }

  override halfClose(): void {
    this.halfClosed = true;
    if (!this.firstOver) super.halfClose();
    if (this.extra !== undefined) for (const attempt of this.extra.running) attempt.halfClose();
  }

  override cancelWithStatus(code: grpc.status, details: string): void {
    if (this.told || this.cancelled) return;
    this.cancelled = true;
    if (this.fallback === undefined && this.extra === undefined) {
      super.cancelWithStatus(code, details);
      return;
    }
    this.fallback?.stop();
    if (!this.done) this.finishAll(undefined, code, details);
    process.nextTick(() => this.tell(undefined, null, { code, details, metadata: new grpc.Metadata() }));
  }

  /** Of the attempt that has answered, or is the last to try. */
  override getPeer(): string {
    return this.further === undefined ? super.getPeer() : this.further.getPeer();
  }

  override getAuthContext(): ReturnType<grpc.InterceptingCall['getAuthContext']> {
    return this.further === undefined ? super.getAuthContext() : this.further.getAuthContext();
  }

  repeatTo(attempt: GrpcAttempt): void {
    this.further = attempt;
    if (this.requested) attempt.sendMessage(this.request);
    if (this.halfClosed) attempt.halfClose();
    for (let i = 0; i < this.reads; i++) attempt.startRead();
  }

  // --- its first attempt informs it

  override onReceiveMetadata(metadata: grpc.Metadata): void {
    if (!this.firstOver) this.gotHeaders(this, metadata);
  }

  override onReceiveMessage(message: unknown): void {
    this.settleAtMessage(message);
    if (!this.firstOver) this.gotMessage(this, message);
  }

  protected override ended(status: grpc.StatusObject, outcome: Outcome, local: boolean): void {
    if (this.firstOver) return;
    this.firstOver = true;
    this.attemptEnded(this, status, outcome, local);
  }

  protected override launched(): void {
    const { surround, target, options } = this;
    const { requestStream, responseStream } = options.method_definition;
    if (!surround?.hedge || !surround.idempotent || requestStream || responseStream) return;
    this.hedgeMs = hedgeDelayMs(surround.hedge.value, target.latency, this.startedAt);
    if (this.hedgeMs === undefined) return;
    this.resource = new AsyncResource('switchgear.call');
    this.alarm(this.startedAt, this.hedgeMs);
  }

  /** A copy is due beside it, or its time in line or for a first message is over. */
  override expire(): void {
    if (this.running && this.hedgeMs !== undefined) this.extraFor()?.startDue();
    else super.expire();
  }

  // --- any of its attempts informs it

  gotHeaders(attempt: Answered, metadata: grpc.Metadata): void {
    attempt.headers = metadata;
    if (this.holds) return;
    this.shown = true;
    this.listener?.onReceiveMetadata?.(metadata);
  }

  gotMessage(attempt: GrpcAttempt & Answered, message: unknown): void {
    const { requestStream, responseStream } = this.options.method_definition;
    if (responseStream) {
      this.shown ||= message !== null;
      this.listener?.onReceiveMessage?.(message);
    } else if (message !== null && attempt.reply !== null) {
      // What grpc-js's client would do, if it saw them.
      this.cancelOne(attempt, UNIMPLEMENTED, 'Too many responses received');
    } else if (message !== null) {
      attempt.reply = message;
      // The client of such a call would, and its end doesn't come before.
      if (requestStream) super.startRead();
    }
  }

  attemptEnded(
    attempt: GrpcAttempt & Answered,
    status: grpc.StatusObject,
    outcome: Outcome,
    local: boolean,
  ): void {
    if (this.done) return;
    if (status.code === OK) {
      this.further = attempt === this ? undefined : attempt;
      this.surround?.budget?.succeeded();
      this.finishAll(attempt, CANCELLED, OVERTAKEN);
      if (this.surround?.fallback !== undefined) keepReply(this, attempt.reply);
      this.tell(attempt.headers, attempt.reply, status);
      return;
    }
    // grpc-js passes the cancel of the call that this one is part of on as it is.
    if (status.code === CANCELLED && this.options.parent !== undefined) this.cancelled = true;
    if (!local || this.last === undefined) this.last = { attempt, status, outcome };
    const extra = this.cancelled ? undefined : this.extraFor();
    const { requestStream } = this.options.method_definition;
    const committed = requestStream || this.shown || attempt.headers !== undefined;
    if (extra?.failed(attempt, failureOf(status, local), committed, this.remainingOf(status))) return;
    this.giveUp();
  }

  giveUp(): void {
    if (this.done || this.last === undefined) return;
    const { status, outcome } = this.last;
    this.finishAll(undefined, CANCELLED, 'the call is over');
    // A stream that has begun is not begun again.
    const streamed = this.shown && this.options.method_definition.responseStream;
    if (this.surround?.fallback !== undefined && !this.cancelled && !streamed) {
      this.fallback = new GrpcFallback(this, status);
      if (this.fallback.begin(outcome)) return;
    }
    this.fail();
  }

  within<T>(fn: () => T): T {
    const run = () => asIn(this.context, fn);
    return this.resource === undefined ? run() : this.resource.runInAsyncScope(run);
  }

  // --- the end

  /** It fails as it did. */
  fail(): void {
    if (this.last) this.tell(this.last.attempt.headers, this.last.attempt.reply, this.last.status);
  }

  /** A fallback answers. */
  answer(headers: grpc.Metadata | undefined, reply: unknown, status: grpc.StatusObject): void {
    this.tell(headers, reply, status);
  }

  private tell(headers: grpc.Metadata | undefined, reply: unknown, status: grpc.StatusObject): void {
    if (this.told) return;
    this.told = true;
    const { listener } = this;
    if (headers !== undefined && this.holds) listener?.onReceiveMetadata?.(headers);
    if (!this.options.method_definition.responseStream) listener?.onReceiveMessage?.(reply);
    listener?.onReceiveStatus?.(status);
  }

  private finishAll(winner: unknown, code: grpc.status, details: string): void {
    this.done = true;
    this.lift();
    if (this.upstream !== undefined) this.surround?.budget?.callEnded(this.upstream);
    this.upstream = undefined;
    this.extra?.end(winner, code, details);
    if (this.firstOver) return;
    this.firstOver = true;
    if (winner !== this) super.cancelWithStatus(code, details);
  }

  private cancelOne(attempt: GrpcAttempt, code: grpc.status, details: string): void {
    if (attempt === this) super.cancelWithStatus(code, details);
    else attempt.cancelWithStatus(code, details);
  }

  private keep(message: unknown): void {
    if (this.options.method_definition.requestStream) return;
    this.request = message;
    this.requested = true;
  }

  private extraFor(): GrpcExtra | undefined {
    const budget = this.surround?.budget;
    if (budget === undefined) return undefined;
    this.resource ??= new AsyncResource('switchgear.call');
    this.extra ??= new GrpcExtra(this, budget);
    const extra = this.surround?.hedge?.value.extra;
    if (this.hedgeMs !== undefined && extra !== undefined)
      this.extra.hedge(extra, this.hedgeMs, this.startedAt);
    return this.extra;
  }

  /** A deadline of the whole that grpc-js says is over is over, whatever our own clock says. */
  private remainingOf({ code }: grpc.StatusObject): number {
    if (this.limits === undefined) return Number.POSITIVE_INFINITY;
    const remainingMs = this.limits.startsBefore - this.targets.clock.now();
    return code === DEADLINE_EXCEEDED && remainingMs <= EARLY_MS ? 0 : remainingMs;
  }

  /** Headers wait for the status: another attempt or a fallback may answer in place of this one. */
  private get holds(): boolean {
    const { requestStream, responseStream } = this.options.method_definition;
    const { surround } = this;
    return (
      !requestStream && !responseStream && (surround?.hedge !== undefined || surround?.fallback !== undefined)
    );
  }
}
