/**
 * The mesh that enforces: a thin face over the agent, which does the work. What an application may hold on to is here; what it
 * may not break is behind it.
 */
import type * as grpc from '@grpc/grpc-js';
import type { Agent } from '../agent/agent.js';
import { guard } from '../agent/guard.js';
import type { GuardedFunction, GuardOptions } from '../agent/guarded-function.js';
import { createInterceptor } from '../agent/interceptor.js';
import { MESH_OPTION, targetOf } from '../agent/resolver.js';
import { MeshError } from '../core/errors.js';
import { makeClient } from './clients.js';
import { refusedCall } from './closed-call.js';
import { callee, checkListener, notCallable, placeOf } from './names.js';
import type {
  CircuitInfo,
  ClientClass,
  ClientOptions,
  Mesh,
  MeshEvents,
  MeshStatus,
  RegisterOptions,
} from './types.js';

export class LiveMesh implements Mesh {
  readonly service: string;
  readonly instance: string;
  readonly #agent: Agent;
  readonly #version: string;
  #closed = false;

  constructor(agent: Agent, { instance, version }: { instance: string; version: string }) {
    this.#agent = agent;
    this.service = agent.service;
    this.instance = instance;
    this.#version = version;
  }

  async register(options: RegisterOptions): Promise<void> {
    await this.#agent.register(placeOf(options, this.#version));
  }

  client<C extends grpc.Client>(type: ClientClass<C>, name: string, options: ClientOptions = {}): C {
    return makeClient(type, options, {
      target: targetOf(callee(name)),
      channelOptions: { [MESH_OPTION]: this.#agent.id },
      interceptor: this.interceptor(name),
    });
  }

  interceptor(name: string): grpc.Interceptor {
    this.#agent.learn(callee(name));
    const guarded = createInterceptor(this.#agent.targets, name);
    return (options, nextCall) =>
      this.#closed ? refusedCall(closedError(name)) : guarded(options, nextCall);
  }

  guard<T>(name: string, fn: GuardedFunction<T>, options?: GuardOptions): Promise<T> {
    if (typeof fn !== 'function')
      return Promise.reject(notCallable(`guard: what to run for ${String(name)}`, fn));
    if (this.#closed) return Promise.reject(closedError(name));
    return guard(this.#agent.targets, name, fn, options);
  }

  circuit(name: string, method?: string): CircuitInfo {
    // As the paths of gRPC's definitions are written, too.
    return this.#agent.targets.circuit(name, method?.replace(/^\//, ''));
  }

  status(): MeshStatus {
    return this.#agent.status();
  }

  on<N extends keyof MeshEvents>(event: N, listener: (event: MeshEvents[N]) => unknown): () => void {
    checkListener(event, listener);
    return this.#agent.on(event, listener);
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#agent.close();
  }
}

function closedError(target: string): MeshError {
  return new MeshError('mesh_closed', 'the mesh was closed before this call: close it last', { target });
}
