/**
 * Makes clients of the application's own classes: what the mesh adds to a client's options, and the one fault that is hard to
 * find otherwise, a class that belongs to another copy of grpc-js.
 */
import * as grpc from '@grpc/grpc-js';
import { MeshError } from '../core/errors.js';
import type { ClientClass, ClientOptions } from './types.js';

/** What the mesh adds; absent parts are left as the application has them. */
export interface Additions {
  readonly target: string;
  readonly channelOptions?: grpc.ChannelOptions;
  readonly interceptor?: grpc.Interceptor;
}

/** Throws `invalid_configuration` if `type` is no client class of our grpc-js. */
export function makeClient<C extends grpc.Client>(
  type: ClientClass<C>,
  { credentials = grpc.credentials.createInsecure(), options = {} }: ClientOptions,
  { target, channelOptions = {}, interceptor }: Additions,
): C {
  checkClass(type);
  const { interceptors, interceptor_providers: providers, ...rest } = options;
  const own = interceptor === undefined ? [] : [interceptor];
  return new type(target, credentials, {
    ...rest,
    ...channelOptions,
    // grpc-js takes either list, not both; the application's stand outside of the policies.
    ...(providers === undefined
      ? { interceptors: [...(interceptors ?? []), ...own] }
      : { interceptor_providers: [...providers, ...own.map((one) => () => one)] }),
  });
}

/** Throws `invalid_configuration` if `type` is no client class of our grpc-js. */
export function checkClass(type: unknown): void {
  if (typeof type === 'function' && type.prototype instanceof grpc.Client) return;
  const why =
    typeof type === 'function'
      ? 'if it is one, it belongs to another copy of @grpc/grpc-js than Switchgear uses (see `npm ls @grpc/grpc-js`): install one for both'
      : `this is ${type === null ? 'null' : `of type ${typeof type}`}`;
  throw new MeshError(
    'invalid_configuration',
    `mesh.client takes a client class of @grpc/grpc-js as its first argument; ${why}`,
  );
}

/** A call of a server as it is: the interface is all that grpc-js asks of what an interceptor returns; its type names the class. */
export function passed(call: grpc.ServerInterceptingCallInterface): grpc.ServerInterceptingCall {
  return call as unknown as grpc.ServerInterceptingCall;
}

/** The methods of a generated client, with the types of their messages; undefined: a class written by hand. */
export function serviceOf(type: ClientClass<grpc.Client>): grpc.ServiceDefinition | undefined {
  const { service } = type as { service?: unknown };
  return typeof service === 'object' && service !== null ? (service as grpc.ServiceDefinition) : undefined;
}
