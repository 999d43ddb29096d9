/**
 * The mesh that enforces: a thin face over the agent, which does the work. What an application may hold on to is here; what it
 * may not break is behind it.
 */
import * as grpc from '@grpc/grpc-js';
import type { Dispatcher } from 'undici';
import type { Agent } from '../agent/agent.js';
import { SELF } from '../agent/callee-name.js';
import type { FallbackHandler } from '../agent/fallback-handlers.js';
import { ElsewhereClients } from '../agent/grpc-elsewhere.js';
import { guard } from '../agent/guard.js';
import type { GuardedFunction, GuardOptions } from '../agent/guarded-function.js';
import { HttpClient } from '../agent/http/client.js';
import type { FetchInit } from '../agent/http/fetch-init.js';
import { closedError } from '../agent/http/parts.js';
import { createInterceptor, type InterceptorSettings } from '../agent/interceptor.js';
import { MESH_OPTION, targetOf } from '../agent/resolver.js';
import { createServerInterceptor } from '../agent/server-interceptor.js';
import { systemRandom } from '../core/random.js';
import { checkClass, makeClient, passed, serviceOf } from './clients.js';
import { refusedCall } from './closed-call.js';
import { asInbound, asInterceptor } from './misused.js';
import { callee, checkFeature, checkListener, notCallable, placeOf } from './names.js';
import type {
  CircuitInfo,
  ClientClass,
  ClientOptions,
  InterceptorOptions,
  Mesh,
  MeshEvents,
  MeshStats,
  MeshStatus,
  RegisterOptions,
} from './types.js';

export class LiveMesh implements Mesh {
  readonly service: string;
  readonly instance: string;
  readonly #agent: Agent;
  readonly #http: HttpClient;
  readonly #version: string;
  /** Fallbacks to other services. */
  readonly #elsewhere: ElsewhereClients;
  readonly #insecure = grpc.credentials.createInsecure();
  #closed = false;

  constructor(agent: Agent, { instance, version }: { instance: string; version: string }) {
    this.#agent = agent;
    const { targets, directory } = agent;
    this.#http = new HttpClient({ targets, directory, random: systemRandom });
    this.#elsewhere = new ElsewhereClients({
      channelOptions: { [MESH_OPTION]: agent.id },
      target: targetOf,
      interceptor: (other) => this.#guarded(other, { once: true }),
    });
    this.service = agent.service;
    this.instance = instance;
    this.#version = version;
    // Handed over without being called they are called by grpc-js, and have to be able to say so.
    this.interceptor = this.interceptor.bind(this);
    this.serverInterceptor = this.serverInterceptor.bind(this);
  }

  async register(options: RegisterOptions): Promise<void> {
    await this.#agent.register(placeOf(options, this.#version));
  }

  client<C extends grpc.Client>(type: ClientClass<C>, name: string, options: ClientOptions = {}): C {
    checkClass(type);
    const { credentials = this.#insecure } = options;
    const elsewhere = this.#elsewhere.with(credentials);
    return makeClient(
      type,
      { ...options, credentials },
      {
        target: targetOf(callee(name)),
        channelOptions: { [MESH_OPTION]: this.#agent.id },
        interceptor: this.#guarded(name, { service: serviceOf(type), elsewhere }),
      },
    );
  }

  interceptor(name: string, options: InterceptorOptions = {}): grpc.Interceptor {
    return asInterceptor(options) ?? this.#guarded(callee(name), { service: options.service });
  }

  #guarded(name: string, settings: InterceptorSettings): grpc.Interceptor {
    this.#agent.learn(name);
    const guarded = createInterceptor(this.#agent.targets, name, settings);
    return (options, nextCall) =>
      this.#closed ? refusedCall(closedError(name)) : guarded(options, nextCall);
  }

  fallback(name: string, handler: FallbackHandler): () => void {
    return this.#agent.targets.handlers.set(name, handler);
  }

  serverInterceptor(...given: readonly unknown[]): grpc.ServerInterceptor {
    const misused = asInbound(given);
    if (misused) return misused;
    this.#agent.learn(SELF);
    const inbound = createServerInterceptor(this.#agent.targets);
    return (method, call) => (this.#closed ? passed(call) : inbound(method, call));
  }

  guard<T>(name: string, fn: GuardedFunction<T>, options?: GuardOptions<T>): Promise<T> {
    if (typeof fn !== 'function')
      return Promise.reject(notCallable(`guard: what to run for ${String(name)}`, fn));
    if (this.#closed) return Promise.reject(closedError(name));
    return guard(this.#agent.targets, name, fn, options);
  }

  fetch(service: string, path: string, init?: FetchInit): Promise<Response> {
    return this.#http.fetch(service, path, init);
  }

  dispatcher(service: string): Dispatcher {
    this.#agent.learn(callee(service));
    return this.#http.dispatcher(service);
  }

  circuit(name: string, method?: string): CircuitInfo {
    // As the paths of gRPC's definitions are written, too.
    return this.#agent.targets.circuit(name, method?.replace(/^\//, ''));
  }

  dim(feature: string): boolean {
    checkFeature(feature);
    return this.#agent.runs(feature);
  }

  status(): MeshStatus {
    return this.#agent.status();
  }

  stats(): MeshStats {
    return this.#agent.stats();
  }

  on<N extends keyof MeshEvents>(event: N, listener: (event: MeshEvents[N]) => unknown): () => void {
    checkListener(event, listener);
    return this.#agent.on(event, listener);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#elsewhere.close();
    await Promise.all([this.#http.close(), this.#agent.close()]);
  }
}
