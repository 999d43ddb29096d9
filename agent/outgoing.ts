/**
 * What a call over gRPC tells those further down beside its request: how much it matters, and the trace that it is part of. Both
 * are inherited from the call that this process is answering; the application's own word holds, except that nobody may claim to
 * matter more than whoever he works for. The application's metadata object is its own: it is copied before anything is added.
 */
import type * as grpc from '@grpc/grpc-js';
import { criticalityOf, DEFAULT_RANK, rankOf } from '../core/criticality.js';
import type { CallContext } from './context.js';
import { CRITICALITY_KEY } from './inherited.js';

/** Most calls have no metadata, and `get` makes a string and a list each time; grpc-js has no other way to ask. */
export function isEmpty(metadata: grpc.Metadata): boolean {
  const { internalRepr } = metadata as unknown as { readonly internalRepr?: unknown };
  return internalRepr instanceof Map && internalRepr.size === 0;
}

/** Rank that the call says of itself; undefined: it says nothing. */
export function ownRank(metadata: grpc.Metadata): number | undefined {
  if (isEmpty(metadata)) return undefined;
  const values = metadata.get(CRITICALITY_KEY);
  return values.length === 0 ? undefined : rankOf(values[0]);
}

export function rankOfCall(own: number | undefined, inherited: CallContext | undefined): number {
  if (inherited === undefined) return own ?? DEFAULT_RANK;
  return own === undefined ? inherited.rank : Math.max(own, inherited.rank);
}

/** The metadata that goes out: the same object where there is nothing to add. */
export function outgoing(
  metadata: grpc.Metadata,
  own: number | undefined,
  rank: number,
  inherited: CallContext | undefined,
): grpc.Metadata {
  const silent = own === undefined && rank === DEFAULT_RANK;
  const trace = inherited === undefined ? noTrace : missingTrace(metadata, inherited);
  if ((silent || own === rank) && trace.length === 0) return metadata;
  const copy = metadata.clone();
  if (!silent) copy.set(CRITICALITY_KEY, criticalityOf(rank));
  for (const [key, value] of trace) copy.set(key, value);
  return copy;
}

const noTrace: CallContext['trace'] = [];

/** A `tracestate` belongs to its `traceparent`: without the one the other says nothing. */
function missingTrace(metadata: grpc.Metadata, { trace }: CallContext): CallContext['trace'] {
  if (trace.length === 0) return trace;
  return trace.filter(([key]) => {
    const decisive = key === 'tracestate' ? 'traceparent' : key;
    return metadata.get(decisive).length === 0;
  });
}
