/**
 * A transport that answers each unary call at once, in this process, without a network: what remains is the cost of the
 * client's code and of what intercepts it.
 */
import * as grpc from '@grpc/grpc-js';

const answer = Buffer.from([0x0a, 0x01, 0x31]);

/** `channelOverride` for a client. */
export function nullChannel(): grpc.Channel {
  const channel: Partial<grpc.Channel> = {
    close() {},
    getTarget: () => 'null:///',
    getConnectivityState: () => grpc.connectivityState.READY,
    watchConnectivityState() {},
    createCall: () => new NullCall() as unknown as ReturnType<grpc.Channel['createCall']>,
  };
  return channel as grpc.Channel;
}

class NullCall {
  #listener: grpc.InterceptingListener | undefined;

  start(_metadata: grpc.Metadata, listener: grpc.InterceptingListener): void {
    this.#listener = listener;
  }

  sendMessageWithContext(context: { callback?: (error?: Error | null) => void }): void {
    context.callback?.();
  }

  sendMessage(): void {}
  startRead(): void {}
  setCredentials(): void {}
  cancelWithStatus(): void {}

  getPeer(): string {
    return 'null';
  }

  getCallNumber(): number {
    return 0;
  }

  getAuthContext(): null {
    return null;
  }

  halfClose(): void {
    const listener = this.#listener;
    queueMicrotask(() => {
      listener?.onReceiveMetadata(new grpc.Metadata());
      listener?.onReceiveMessage(answer);
      listener?.onReceiveStatus({ code: grpc.status.OK, details: '', metadata: new grpc.Metadata() });
    });
  }
}
