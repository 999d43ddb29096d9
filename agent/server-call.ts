/**
 * A server's call as its handler sees it, handed on to the wire as it is: what an interceptor of ours has no opinion about. It
 * exists so that such an interceptor is one object and no chain of grpc-js's own. It keeps nothing but the wire.
 */
import type * as grpc from '@grpc/grpc-js';
import { Expiry } from './timeouts.js';

export type Wire = grpc.ServerInterceptingCallInterface;

export abstract class ServerCall extends Expiry implements Wire {
  constructor(protected readonly wire: Wire) {
    super();
  }

  abstract start(listener: Parameters<Wire['start']>[0]): void;

  abstract sendStatus(status: Parameters<Wire['sendStatus']>[0]): void;

  sendMetadata(metadata: grpc.Metadata): void {
    this.wire.sendMetadata(metadata);
  }

  sendMessage(message: unknown, callback: () => void): void {
    this.wire.sendMessage(message, callback);
  }

  startRead(): void {
    this.wire.startRead();
  }

  getPeer(): string {
    return this.wire.getPeer();
  }

  getDeadline(): grpc.Deadline {
    return this.wire.getDeadline();
  }

  getHost(): string {
    return this.wire.getHost();
  }

  getAuthContext(): ReturnType<Wire['getAuthContext']> {
    return this.wire.getAuthContext();
  }

  getConnectionInfo(): ReturnType<Wire['getConnectionInfo']> {
    return this.wire.getConnectionInfo();
  }

  getMetricsRecorder(): ReturnType<Wire['getMetricsRecorder']> {
    return this.wire.getMetricsRecorder();
  }
}
