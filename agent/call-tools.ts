/**
 * What an interceptor knows beside the policies, for fallbacks: the types of the messages, which grpc-js keeps from interceptors,
 * and a way to call another service. Either may be missing; what needs it is skipped then. One for each interceptor.
 */
import type * as grpc from '@grpc/grpc-js';

export interface ElsewhereCall {
  readonly to: string;
  /** With its slash: `/shop.v1.Inventory/List`. */
  readonly path: string;
  readonly request: unknown;
  readonly metadata: grpc.Metadata;
  /** Of the call that failed: the same types of messages, the same parent. */
  readonly options: grpc.InterceptorOptions;
  /** On the wall clock; undefined: none. */
  readonly deadline: number | undefined;
}

export interface Elsewhere {
  /** One attempt under that service's own policies. Answers the way to call it off. `done` comes once, never within `call`. */
  call(call: ElsewhereCall, done: (reply: unknown) => void): () => void;
}

type Codec = Pick<grpc.MethodDefinition<unknown, unknown>, 'responseSerialize' | 'responseDeserialize'>;

let interceptors = 0;

export class CallTools {
  /** Tells the answers that one client was given from those of another, who may have other credentials. */
  readonly id = ++interceptors;
  readonly elsewhere: Elsewhere | undefined;
  readonly #codecs = new Map<string, Codec>();

  constructor(service?: grpc.ServiceDefinition, elsewhere?: Elsewhere) {
    this.elsewhere = elsewhere;
    for (const method of Object.values(service ?? {}))
      if (typeof method?.responseSerialize === 'function') this.#codecs.set(method.path, method);
  }

  /** Both directions of a method's response; undefined: not known. */
  codec(path: string): Codec | undefined {
    return this.#codecs.get(path);
  }
}
