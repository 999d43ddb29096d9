/**
 * The end of grpc-js's chain of interceptors without a wire: it keeps what it was asked to do, and answers when, and as, the
 * test says.
 */
import * as grpc from '@grpc/grpc-js';
import { GuardedCall } from '../../agent/guarded-call.js';
import type { Targets } from '../../agent/targets.js';

type Listener = Partial<grpc.InterceptingListener>;

export class NullCall {
  started = false;
  /** Without `undefined`: what came before the start. */
  readonly deeds: string[] = [];
  metadata: grpc.Metadata | undefined;
  listener: Listener | undefined;
  cancelled: { code: grpc.status; details: string } | undefined;
  /** Whether a cancel is answered at once, as grpc-js does on its next tick. */
  answersCancel = true;

  constructor(readonly options: grpc.InterceptorOptions) {}

  start(metadata: grpc.Metadata, listener?: Listener): void {
    this.started = true;
    this.metadata = metadata;
    this.listener = listener;
  }

  sendMessage(message: unknown): void {
    this.deeds.push(`message ${String(message)}`);
  }

  sendMessageWithContext(_context: unknown, message: unknown): void {
    this.deeds.push(`message ${String(message)}`);
  }

  startRead(): void {
    this.deeds.push('read');
  }

  halfClose(): void {
    this.deeds.push('half-close');
  }

  cancelWithStatus(code: grpc.status, details: string): void {
    this.cancelled = { code, details };
    if (this.answersCancel) process.nextTick(() => this.end(code, details));
  }

  getPeer(): string {
    return 'null';
  }

  getAuthContext(): null {
    return null;
  }

  message(message: unknown): void {
    this.listener?.onReceiveMessage?.(message);
  }

  end(code: grpc.status, details = '', metadata = new grpc.Metadata()): void {
    this.listener?.onReceiveStatus?.({ code, details, metadata });
  }
}

/** What the client of a call was told, in order. */
export class ClientSide {
  readonly heard: string[] = [];
  readonly listener: Listener = {
    onReceiveMetadata: () => void this.heard.push('metadata'),
    onReceiveMessage: (message: unknown) => void this.heard.push(`message ${String(message)}`),
    onReceiveStatus: (status) => {
      this.status = status;
      this.heard.push(`status ${grpc.status[status.code]}`);
    },
  };
  status: grpc.StatusObject | undefined;
}

export interface StubbedCall {
  readonly call: GuardedCall;
  readonly client: ClientSide;
  /** Undefined until the call reaches the transport; the last attempt's. */
  readonly wire: () => NullCall | undefined;
  /** One for each attempt that reached the transport. */
  readonly wires: readonly NullCall[];
}

export interface StubOptions {
  readonly callee?: string;
  readonly path?: string;
  readonly responseStream?: boolean;
  readonly requestStream?: boolean;
  readonly deadline?: grpc.Deadline;
  readonly parent?: grpc.CallOptions['parent'];
  readonly metadata?: grpc.Metadata;
  readonly message?: unknown;
  readonly nextCall?: (options: grpc.InterceptorOptions) => NullCall;
  /** Without a start the test makes it itself. */
  readonly start?: boolean;
}

export function definition(path: string, requestStream = false, responseStream = false) {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: (value: unknown) => Buffer.from(String(value)),
    responseDeserialize: (bytes: Buffer) => bytes.toString(),
  };
}

/** A call as grpc-js's client makes it: start, and for one request its message and the half-close. */
export function stubbedCall(
  targets: Targets,
  interceptor: grpc.Interceptor | undefined,
  options: StubOptions = {},
): StubbedCall {
  const path = options.path ?? '/shop.v1.Inventory/Get';
  const callOptions: grpc.InterceptorOptions = {
    method_definition: definition(path, options.requestStream, options.responseStream),
    ...(options.deadline === undefined ? {} : { deadline: options.deadline }),
    ...(options.parent === undefined ? {} : { parent: options.parent }),
  };
  const wires: NullCall[] = [];
  const nextCall = (next: grpc.InterceptorOptions) => {
    const wire = options.nextCall?.(next) ?? new NullCall(next);
    wires.push(wire);
    return wire as unknown as grpc.InterceptingCall;
  };
  const call = interceptor
    ? (interceptor(callOptions, nextCall) as unknown as GuardedCall)
    : new GuardedCall(
        targets,
        targets.get(options.callee ?? 'inventory', path.slice(1)),
        callOptions,
        nextCall,
      );
  const client = new ClientSide();
  if (options.start !== false) {
    call.start(options.metadata ?? new grpc.Metadata(), client.listener);
    if (!options.requestStream) {
      call.sendMessage(options.message ?? 'request');
      call.halfClose();
    }
  }
  return { call, client, wire: () => wires.at(-1), wires };
}
