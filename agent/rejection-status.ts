/**
 * A rejection as the status of a gRPC call: the same text, the standard code, and metadata that names the reason, so that a
 * caller further up knows that this was a policy and not the callee.
 */
import * as grpc from '@grpc/grpc-js';
import type { ErrorCode, MeshError } from '../core/errors.js';

const REJECT_KEY = 'switchgear-reject';

const statusOfCode: { readonly [C in ErrorCode]?: grpc.status } = {
  circuit_open: grpc.status.UNAVAILABLE,
  no_instances: grpc.status.UNAVAILABLE,
  mesh_closed: grpc.status.UNAVAILABLE,
  bulkhead_full: grpc.status.RESOURCE_EXHAUSTED,
  bulkhead_timeout: grpc.status.RESOURCE_EXHAUSTED,
  rate_limited: grpc.status.RESOURCE_EXHAUSTED,
  overloaded: grpc.status.RESOURCE_EXHAUSTED,
  deadline_exceeded: grpc.status.DEADLINE_EXCEEDED,
  cancelled: grpc.status.CANCELLED,
};

export function statusOfError(error: MeshError): grpc.StatusObject {
  const metadata = new grpc.Metadata();
  metadata.set(REJECT_KEY, error.code);
  return { code: statusOfCode[error.code] ?? grpc.status.UNAVAILABLE, details: error.message, metadata };
}

/** An answer that is no answer: the callee shed the call by a policy of its own, or there was nobody to call. */
export function isShed({ details, metadata }: grpc.StatusObject): boolean {
  return metadata.get(REJECT_KEY).length > 0 || details.startsWith('[no_instances]');
}

/** A request that couldn't be written down never left this process: grpc-js 1.14 says so in these words alone. */
export function isOurFault({ code, details }: grpc.StatusObject): boolean {
  return code === grpc.status.INTERNAL && details.startsWith('Request message serialization failure');
}
