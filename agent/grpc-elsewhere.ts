/**
 * Calls of fallbacks to other services (`fallback: [{ target: { to: catalogue-replica } }]`): one attempt each, under the other
 * service's own limits, circuit and bulkhead, without its retries and fallbacks, so that fallbacks never follow each other in a
 * ring. A channel is made with the first call to a service, found as `mesh.client` finds it, with the credentials of the client
 * whose call failed, and closed with the mesh.
 *
 * Bound: 100 channels; beyond, such a fallback is passed over.
 */
import * as grpc from '@grpc/grpc-js';
import type { Elsewhere, ElsewhereCall } from './call-tools.js';

const CHANNELS_MAX = 100;

export interface ElsewhereOptions {
  readonly channelOptions: grpc.ChannelOptions;
  /** Where instances of a service are found. */
  target(service: string): string;
  /** The policies of a service, for one attempt. */
  interceptor(service: string): grpc.Interceptor;
}

export class ElsewhereClients {
  readonly #options: ElsewhereOptions;
  readonly #clients = new Map<grpc.ChannelCredentials, Map<string, grpc.Client>>();
  #channels = 0;
  #closed = false;

  constructor(options: ElsewhereOptions) {
    this.#options = options;
  }

  /** The way for clients with these credentials. */
  with(credentials: grpc.ChannelCredentials): Elsewhere {
    return { call: (call, done) => this.#call(credentials, call, done) };
  }

  close(): void {
    this.#closed = true;
    for (const clients of this.#clients.values()) for (const client of clients.values()) client.close();
    this.#clients.clear();
  }

  #call(
    credentials: grpc.ChannelCredentials,
    call: ElsewhereCall,
    done: (reply: unknown) => void,
  ): () => void {
    const { method_definition: method, parent, propagate_flags, credentials: own } = call.options;
    const under = this.#client(credentials, call.to).makeUnaryRequest(
      call.path,
      method.requestSerialize,
      method.responseDeserialize,
      call.request,
      call.metadata,
      {
        ...(call.deadline === undefined ? {} : { deadline: call.deadline }),
        ...(parent === undefined ? {} : { parent }),
        ...(propagate_flags === undefined ? {} : { propagate_flags }),
        ...(own === undefined ? {} : { credentials: own }),
      },
      (error, reply) => done(error ? undefined : reply),
    );
    return () => under.cancel();
  }

  #client(credentials: grpc.ChannelCredentials, service: string): grpc.Client {
    const clients = this.#clients.get(credentials) ?? new Map<string, grpc.Client>();
    const known = clients.get(service);
    if (known) return known;
    if (this.#closed || this.#channels >= CHANNELS_MAX) throw new Error(`no way to ${service}`);
    const { channelOptions, target, interceptor } = this.#options;
    const client = new grpc.Client(target(service), credentials, {
      ...channelOptions,
      interceptors: [interceptor(service)],
    });
    this.#channels++;
    clients.set(service, client);
    this.#clients.set(credentials, clients);
    return client;
  }
}
