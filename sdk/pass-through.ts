/**
 * The mesh under SWITCHGEAR_DISABLED=1: nothing is connected, refused, counted or kept; functions run and calls go out as if the
 * library were not there. For tests of an application, and for the day on which somebody suspects it. Without a registry a
 * client dials the callee's name as an ordinary address.
 */
import type * as grpc from '@grpc/grpc-js';
import type { Dispatcher } from 'undici';
import { checkHandler, type FallbackHandler } from '../agent/fallback-handlers.js';
import type { GuardContext, GuardedFunction, GuardOptions } from '../agent/guarded-function.js';
import { checkPath, type FetchInit, requestOf } from '../agent/http/fetch-init.js';
import { loadUndici } from '../agent/http/pool.js';
import { makeClient, passed } from './clients.js';
import { asInbound, asInterceptor } from './misused.js';
import { callee, checkFeature, checkListener, notCallable, placeOf } from './names.js';
import type {
  CircuitInfo,
  ClientClass,
  ClientOptions,
  InterceptorOptions,
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

  interceptor(name: string, options?: InterceptorOptions): grpc.Interceptor {
    const misused = asInterceptor(options);
    if (misused) return misused;
    callee(name);
    return (options, nextCall) => nextCall(options) as unknown as grpc.InterceptingCall;
  }

  fallback(name: string, handler: FallbackHandler): () => void {
    checkHandler(name, handler);
    return () => {};
  }

  serverInterceptor(...given: readonly unknown[]): grpc.ServerInterceptor {
    return asInbound(given) ?? ((_method, call) => passed(call));
  }

  async guard<T>(name: string, fn: GuardedFunction<T>, options?: GuardOptions<T>): Promise<T> {
    if (typeof fn !== 'function') throw notCallable(`guard: what to run for ${String(name)}`, fn);
    const { signal, fallback } = options ?? {};
    signal?.throwIfAborted();
    return orElse(async () => fn(new Unlimited(signal)), fallback, signal);
  }

  async fetch(service: string, path: string, init: FetchInit = {}): Promise<Response> {
    checkPath(path);
    const { fallback, signal = null } = init;
    const url = `http://${callee(service)}${path}`;
    return orElse(() => globalThis.fetch(url, { ...requestOf(init), signal }), fallback, signal);
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

  on(event?: unknown, listener?: unknown): () => void {
    checkListener(event, listener);
    return () => {};
  }

  async close(): Promise<void> {}
}

/** The caller's own answer is a part of the application, and there without any policy: never for his own abort. */
async function orElse<T>(
  call: () => Promise<T>,
  fallback: GuardOptions<T>['fallback'],
  signal: AbortSignal | null | undefined,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (fallback === undefined || signal?.aborted) throw error;
    return fallback(error);
  }
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
