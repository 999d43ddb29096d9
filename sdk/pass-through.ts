/**
 * The mesh under SWITCHGEAR_DISABLED=1: nothing is connected, refused, counted or kept; functions run and calls go out as if the
 * library were not there. For tests of an application, and for the day on which somebody suspects it. Without a registry a
 * client dials the callee's name as an ordinary address.
 */
import type * as grpc from '@grpc/grpc-js';
import type { Dispatcher } from 'undici';
import type { GuardContext, GuardedFunction, GuardOptions } from '../agent/guarded-function.js';
import { checkPath, type FetchInit } from '../agent/http/fetch-call.js';
import { loadUndici } from '../agent/http/pool.js';
import { makeClient, passed } from './clients.js';
import { callee, checkFeature, placeOf } from './names.js';
import type {
  CircuitInfo,
  ClientClass,
  ClientOptions,
  Mesh,
  MeshStats,
  MeshStatus,
  RegisterOptions,
} from './types.js';

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

  fallback(): () => void {
    return () => {};
  }

  serverInterceptor(): grpc.ServerInterceptor {
    return (_method, call) => passed(call);
  }

  async guard<T>(_name: string, fn: GuardedFunction<T>, options?: GuardOptions<T>): Promise<T> {
    options?.signal?.throwIfAborted();
    return fn(new Unlimited(options?.signal));
  }

  async fetch(service: string, path: string, init: FetchInit = {}): Promise<Response> {
    checkPath(path);
    const { key: _key, criticality: _criticality, fallback: _fallback, signal, ...request } = init;
    return globalThis.fetch(`http://${callee(service)}${path}`, { ...request, signal: signal ?? null });
  }

  dispatcher(service: string): Dispatcher {
    callee(service);
    return loadUndici().getGlobalDispatcher();
  }

  circuit(): CircuitInfo {
    return open;
  }

  dim(feature: string): boolean {
    checkFeature(feature);
    return true;
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
      brownout: { level: 0, reason: '', ttlMs: undefined, off: [] },
      snapshot: undefined,
    };
  }

  stats(): MeshStats {
    return {};
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
