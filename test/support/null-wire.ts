/**
 * A call that arrives at a server without a wire: it says what the test says, and keeps what it is answered. `arrive` makes one
 * that goes through the server interceptor to a handler that only listens.
 */
import * as grpc from '@grpc/grpc-js';
import { type CallContext, currentContext } from '../../agent/context.js';
import type { Wire } from '../../agent/server-call.js';

type Listener = Parameters<Wire['start']>[0];
type Status = Parameters<Wire['sendStatus']>[0];

export class NullWire implements Wire {
  readonly metadata = new grpc.Metadata();
  readonly sent: string[] = [];
  readonly statuses: Status[] = [];
  reads = 0;
  listener: Listener | undefined;

  constructor(readonly deadline: grpc.Deadline) {}

  start(listener: Listener): void {
    this.listener = listener;
    listener.onReceiveMetadata(this.metadata);
  }

  sendMetadata(): void {
    this.sent.push('metadata');
  }

  sendMessage(message: unknown, callback: () => void): void {
    this.sent.push(`message ${String(message)}`);
    callback();
  }

  sendStatus(status: Status): void {
    this.statuses.push(status);
  }

  startRead(): void {
    this.reads++;
  }

  getPeer(): string {
    return 'null';
  }

  getDeadline(): grpc.Deadline {
    return this.deadline;
  }

  getHost(): string {
    return 'shop';
  }

  getAuthContext(): ReturnType<Wire['getAuthContext']> {
    return {};
  }

  getConnectionInfo(): ReturnType<Wire['getConnectionInfo']> {
    return {};
  }

  getMetricsRecorder(): never {
    throw new Error('nobody asks');
  }
}

export interface Arrival {
  readonly wire: NullWire;
  /** What the handler answers through. */
  readonly call: Wire;
  /** What the handler heard, in order. */
  readonly heard: string[];
  /** The context of each of these. */
  readonly contexts: (CallContext | undefined)[];
  /** The handler's answer. */
  end(code?: grpc.status): void;
  /** What the wire says at every end. */
  cancel(): void;
}

export interface ArrivalOptions {
  readonly path?: string;
  readonly deadline?: grpc.Deadline;
  readonly headers?: Readonly<Record<string, string | Buffer>>;
  /** Where it comes from; its deadline is the call's. Absent: one that says nothing by itself. */
  readonly wire?: NullWire;
  /** Called with each event at the handler, and what it answers through. */
  readonly onEvent?: (event: string, call: Wire) => void;
  /** Called with its wire before anything is heard of it. */
  readonly onWire?: (wire: NullWire) => void;
}

export function arrive(interceptor: grpc.ServerInterceptor, options: ArrivalOptions = {}): Arrival {
  const wire = options.wire ?? new NullWire(options.deadline ?? Number.POSITIVE_INFINITY);
  for (const [key, value] of Object.entries(options.headers ?? {})) wire.metadata.set(key, value);
  options.onWire?.(wire);
  const heard: string[] = [];
  const contexts: (CallContext | undefined)[] = [];
  const hear = (event: string) => {
    heard.push(event);
    contexts.push(currentContext());
    options.onEvent?.(event, call);
  };
  const path = options.path ?? '/shop.v1.Inventory/Get';
  const definition = { path, requestStream: false, responseStream: false };
  const call = interceptor(definition as Parameters<grpc.ServerInterceptor>[0], wire) as unknown as Wire;
  call.start({
    onReceiveMetadata: () => hear('metadata'),
    onReceiveMessage: (message: unknown) => hear(`message ${String(message)}`),
    onReceiveHalfClose: () => hear('half-close'),
    onCancel: () => hear('cancel'),
  });
  return {
    wire,
    call,
    heard,
    contexts,
    end: (code = grpc.status.OK) => call.sendStatus({ code, details: '' }),
    cancel: () => wire.listener?.onCancel(),
  };
}
