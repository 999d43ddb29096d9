/**
 * The next call of grpc-js's chain, which may not be there yet: it starts a deadline's timer and delivers nothing when cancelled
 * before its start, so it is made late. Whatever the client does until then is kept and repeated, in order.
 *
 * A call that succeeds at once is one object, so its fields are few, plain and set in one constructor, that of `GrpcAttempt`; what few calls need stands
 * in `Rare`. Bound: what is kept is bounded by the client's own flow control; once nothing will be made, nothing is kept.
 */
import type { AsyncResource } from 'node:async_hooks';
import type * as grpc from '@grpc/grpc-js';
import type { MeshError } from '../core/errors.js';
import { Expiry } from './timeouts.js';

/** grpc-js's own name for this interface isn't exported. */
type Call = ReturnType<grpc.NextCall>;
export type Listener = Partial<grpc.InterceptingListener>;
export type MessageContext = Parameters<grpc.InterceptingCall['sendMessageWithContext']>[0];
type Deed = (call: Call) => void;

/** No permit of a shadow's. */
export const NO_SHADOW = -1;

/** What a call needs that waits, runs out of time, is cancelled early or has a policy in shadow beside it. */
export class Rare extends Expiry {
  deeds: Deed[] | undefined = undefined;
  /** Of the context in which a call in line was made. */
  resource: AsyncResource | undefined = undefined;
  metadata: grpc.Metadata | undefined = undefined;
  rank = 0;
  /** Why it ended by a limit of ours. */
  error: MeshError | undefined = undefined;
  /** It was cancelled before its start, or while the gates decided (by whoever hears of their transitions). */
  cancelled: grpc.StatusObject | undefined = undefined;
  shadow = NO_SHADOW;
  /** A policy in shadow would have let it through, and waits for its end. */
  shadowed = false;

  constructor(readonly owner: { expire(): void }) {
    super();
  }

  override expire(): void {
    this.owner.expire();
  }
}

export abstract class DeferredCall {
  declare options: grpc.InterceptorOptions;
  declare nextCall: grpc.NextCall;
  declare protected rare: Rare | undefined;
  declare protected call: Call | undefined;

  abstract onReceiveMetadata(metadata: grpc.Metadata): void;
  abstract onReceiveMessage(message: unknown): void;
  abstract onReceiveStatus(status: grpc.StatusObject): void;
  /** A limit of time is over. */
  abstract expire(): void;
  /** It has ended; if there is no call by then, there will be none. */
  protected abstract get over(): boolean;

  sendMessageWithContext(context: MessageContext, message: unknown): void {
    if (this.call) this.call.sendMessageWithContext(context, message);
    else this.later((call) => call.sendMessageWithContext(context, message));
  }

  sendMessage(message: unknown): void {
    if (this.call) this.call.sendMessage(message);
    else this.later((call) => call.sendMessage(message));
  }

  startRead(): void {
    if (this.call) this.call.startRead();
    else this.later((call) => call.startRead());
  }

  halfClose(): void {
    if (this.call) this.call.halfClose();
    else this.later((call) => call.halfClose());
  }

  getPeer(): string {
    return this.call?.getPeer() ?? 'unknown';
  }

  /** Of this very attempt, as grpc-js names it; empty: it isn't made. */
  get instance(): string {
    try {
      return this.call?.getPeer() ?? '';
    } catch {
      // A call of somebody's own, which may do anything.
      return '';
    }
  }

  getAuthContext(): ReturnType<grpc.InterceptingCall['getAuthContext']> {
    return this.call?.getAuthContext() ?? null;
  }

  protected rarely(): Rare {
    this.rare ??= new Rare(this);
    return this.rare;
  }

  protected get made(): boolean {
    return this.call !== undefined;
  }

  /** Makes and starts it; it may end within its start. `deadline`: instead of the options' own. */
  protected make(metadata: grpc.Metadata, deadline: number | undefined): void {
    const call = this.nextCall(deadline === undefined ? this.options : { ...this.options, deadline });
    call.start(metadata, this as unknown as grpc.InterceptingListener);
    this.call = call;
  }

  /** Does to it what the client did before. */
  protected repeat(): void {
    const { call, rare } = this;
    const deeds = rare?.deeds;
    if (rare === undefined || deeds === undefined || call === undefined) return;
    rare.deeds = undefined;
    for (const deed of deeds) deed(call);
  }

  protected cancelNext(code: grpc.status, details: string): void {
    if (this.call) this.call.cancelWithStatus(code, details);
    else this.later((call) => call.cancelWithStatus(code, details));
  }

  private later(deed: Deed): void {
    if (this.over) return;
    const rare = this.rarely();
    rare.deeds ??= [];
    rare.deeds.push(deed);
  }
}
