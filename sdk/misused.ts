/**
 * `interceptors: [mesh.serverInterceptor]`, without the parentheses: then grpc-js calls, with a call, what was to make an
 * interceptor. Each such call ends with the word that is missing; a throw there would end the server's process.
 */
import * as grpc from '@grpc/grpc-js';
import { statusOfError } from '../agent/rejection-status.js';
import { MeshError } from '../core/errors.js';
import { refusedCall } from './closed-call.js';

/** `second`: of the arguments of `mesh.interceptor`. Undefined: it was called as it should be. */
export function asInterceptor(second: unknown): grpc.Interceptor | undefined {
  if (typeof second !== 'function') return undefined;
  const error = notCalled("mesh.interceptor('inventory')");
  return refusedCall(error, {
    ...statusOfError(error),
    code: grpc.status.INTERNAL,
  }) as unknown as grpc.Interceptor;
}

/** `given`: the arguments of `mesh.serverInterceptor`, which has none. */
export function asInbound(given: readonly unknown[]): grpc.ServerInterceptor | undefined {
  if (given.length === 0) return undefined;
  const error = notCalled('mesh.serverInterceptor()');
  const wire = given[1] as grpc.ServerInterceptingCallInterface | undefined;
  if (typeof wire?.sendStatus !== 'function') throw error;
  // No metadata that says who refused: to its callers this service is broken.
  const status = { code: grpc.status.INTERNAL, details: error.message };
  const call = new grpc.ServerInterceptingCall(wire, {
    start: (next) => next({ onReceiveMetadata: () => wire.sendStatus(status) }),
  });
  return call as unknown as grpc.ServerInterceptor;
}

function notCalled(call: string): MeshError {
  return new MeshError(
    'invalid_configuration',
    `what makes an interceptor was given in place of one; call it: ${call}`,
  );
}
