/**
 * What a policy in shadow needs to know of a gRPC attempt that has ended, so that it tells only of retries, copies and fallbacks that
 * this kind of call has. Asked where there is such a policy, and nowhere else.
 */
import * as grpc from '@grpc/grpc-js';
import type { FallbackHandlers } from './fallback-handlers.js';
import type { Shadowed } from './shadow.js';

export function shadowedOf(
  { requestStream, responseStream }: grpc.InterceptorOptions['method_definition'],
  handlers: FallbackHandlers,
  unsent: boolean,
): Shadowed {
  return {
    repeatable: !requestStream,
    streams: responseStream,
    unsent,
    canAnswer(entry) {
      if (requestStream || responseStream) return entry.kind === 'error';
      return entry.kind !== 'handler' || handlers.has(entry.name);
    },
  };
}

/** For policies in shadow, of what ends or is decided before its status. */
export const codeOf = {
  success: grpc.status.OK,
  failure: grpc.status.DEADLINE_EXCEEDED,
  neutral: grpc.status.CANCELLED,
} as const;
