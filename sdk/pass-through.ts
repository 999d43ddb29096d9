/**
 * The mesh under SWITCHGEAR_DISABLED=1: nothing is connected, refused, counted or kept; functions run and calls go out as if the
 * library were not there. For tests of an application, and for the day on which somebody suspects it. Without a registry a
 * client dials the callee's name as an ordinary address.
 */
import type * as grpc from '@grpc/grpc-js';
import type { GuardContext, GuardedFunction, GuardOptions } from '../agent/guarded-function.js';
import { makeClient } from './clients.js';
import { callee, placeOf } from './names.js';
import type { CircuitInfo, ClientClass, ClientOptions, Mesh, MeshStatus, RegisterOptions } from './types.js';

const open: CircuitInfo = { id: '', state: 'disabled', epoch: 0, retryAfterMs: 0 };

export class PassThroughMesh implements Mesh {
  readonly service: string;
  readonly instance: string;

  constructor({ service, instance }: { service: string; instance: string }) {
    this.service = service;
    this.instance = instance;
  }

  async register(options: RegisterOptions): Promise<void> {
    placeOf(options, '');
  }

  client<C extends grpc.Client>(type: ClientClass<C>, name: string, options: ClientOptions = {}): C {
    return makeClient(type, options, { target: callee(name) });
  }

  interceptor(name: string): grpc.Interceptor {
    callee(name);
    return (options, nextCall) => nextCall(options) as unknown as grpc.InterceptingCall;
  }

  async guard<T>(_name: string, fn: GuardedFunction<T>, options?: GuardOptions): Promise<T> {
    options?.signal?.throwIfAborted();
    return fn(new Unlimited(options?.signal));
  }

  circuit(): CircuitInfo {
    return open;
  }

  status(): MeshStatus {
    return {
      connected: false,
      stale: true,
      service: this.service,
      instance: this.instance,
      controlPlane: '',
      replica: '',
      mesh: '',
      dataset: '',
      revision: 0,
      digest: '',
      policies: 0,
      refused: [],
      callees: [],
      instances: {},
      registered: undefined,
      circuits: [],
      snapshot: undefined,
    };
  }

  on(): () => void {
    return () => {};
  }

  async close(): Promise<void> {}
}

/** The caller's own signal, or one that never aborts. */
class Unlimited implements GuardContext {
  readonly attempt = 1;
  readonly deadline = undefined;
  #signal: AbortSignal | undefined;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  get signal(): AbortSignal {
    this.#signal ??= new AbortController().signal;
    return this.#signal;
  }
}
