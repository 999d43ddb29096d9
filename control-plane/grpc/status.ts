/**
 * How a stream ends, in gRPC's words: the one place where codes of ours become statuses, and where text that a peer had a hand
 * in is made fit for a header.
 */
import { Metadata, type StatusObject, status } from '@grpc/grpc-js';
import type { ErrorCode, MeshError } from '../../core/errors.js';

/** Milliseconds after which a refused agent may come again. */
export const retryAfterHeader = 'switchgear-retry-after-ms';

const byCode: Partial<Record<ErrorCode, status>> = {
  invalid_request: status.INVALID_ARGUMENT,
  invalid_configuration: status.FAILED_PRECONDITION,
  unauthenticated: status.UNAUTHENTICATED,
  permission_denied: status.PERMISSION_DENIED,
  rate_limited_request: status.RESOURCE_EXHAUSTED,
  revision_conflict: status.ALREADY_EXISTS,
  unavailable: status.UNAVAILABLE,
};

const DETAILS_LENGTH_MAX = 1000;

export function statusOf(error: MeshError): StatusObject {
  const metadata = new Metadata();
  if (error.retryAfterMs !== undefined) metadata.set(retryAfterHeader, String(Math.ceil(error.retryAfterMs)));
  return { code: byCode[error.code] ?? status.INTERNAL, details: printable(error.message), metadata };
}

/** Bounded, and without what can't stand in a header (a lone surrogate would make grpc-js throw). */
function printable(text: string): string {
  return text.slice(0, DETAILS_LENGTH_MAX).replace(/\p{C}/gu, '?');
}
