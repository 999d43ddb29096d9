/**
 * Whoever made a call hears of it in the context in which it was made. grpc-js (1.14) starts all calls that waited for a connection
 * in the context of whichever event made it ready, and they are answered there: what a callback calls next would inherit the
 * deadline and the criticality of another call. Promises don't need this, callbacks do. Nothing is bound in a process that answers
 * no calls through us.
 */
import type * as grpc from '@grpc/grpc-js';
import { type CallContext, contextsExist, currentContext, withinContext, withoutContext } from './context.js';

type Listener = Partial<grpc.InterceptingListener>;

/** The listener itself where there are no contexts to mix up. */
export function bound(
  listener: Listener | undefined,
  context: CallContext | undefined,
): Listener | undefined {
  return listener === undefined || !contextsExist() ? listener : new BoundListener(listener, context);
}

class BoundListener implements Listener {
  readonly #listener: Listener;
  readonly #context: CallContext | undefined;

  constructor(listener: Listener, context: CallContext | undefined) {
    this.#listener = listener;
    this.#context = context;
  }

  onReceiveMetadata(metadata: grpc.Metadata): void {
    this.#within(() => this.#listener.onReceiveMetadata?.(metadata));
  }

  onReceiveMessage(message: unknown): void {
    this.#within(() => this.#listener.onReceiveMessage?.(message));
  }

  onReceiveStatus(status: grpc.StatusObject): void {
    this.#within(() => this.#listener.onReceiveStatus?.(status));
  }

  #within(tell: () => void): void {
    const context = this.#context;
    if (context === currentContext()) tell();
    else if (context === undefined) withoutContext(tell);
    else withinContext(context, tell);
  }
}
