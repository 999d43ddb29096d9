/**
 * What a call that arrives says for those that follow from it, in the words of the wire: how much it matters, its trace, and
 * whether it is a retry. Whoever calls on writes the same headers. A header that is missing or makes no sense is as good as none;
 * nothing here throws.
 */
import type * as grpc from '@grpc/grpc-js';
import { DEFAULT_RANK, rankOf } from '../core/criticality.js';
import { isUpstreamRetry, previousAttemptsHeader } from '../core/resilience/retry.js';
import type { CallContext } from './context.js';

/** Metadata that carries a word of `core/criticality.ts`. */
export const CRITICALITY_KEY = 'switchgear-criticality';

/** Of W3C trace context, and OpenCensus's. */
const traceKeys = ['traceparent', 'tracestate', 'grpc-trace-bin'] as const;
const noTrace: CallContext['trace'] = [];

/** Metadata, or headers, that differ from call to call whoever asks, and that no answer depends on. */
export const volatileNames: ReadonlySet<string> = new Set([
  CRITICALITY_KEY,
  previousAttemptsHeader,
  ...traceKeys,
  'x-request-id',
]);

/**
 * An object of its own and not the call itself: whatever a handler leaves behind (a timer, a socket) keeps it, and must not keep
 * the call's stream and messages with it.
 */
export function inheritedFrom(metadata: grpc.Metadata, deadlineAt: number): CallContext {
  const rank = rankOf(metadata.get(CRITICALITY_KEY)[0]) ?? DEFAULT_RANK;
  const inherited = { deadlineAt, rank, trace: traceOf(metadata) };
  const upstreamRetry = isUpstreamRetry(metadata.get(previousAttemptsHeader));
  return upstreamRetry ? { ...inherited, upstreamRetry } : inherited;
}

function traceOf(metadata: grpc.Metadata): CallContext['trace'] {
  let trace: (readonly [string, string | Buffer])[] | undefined;
  for (const key of traceKeys) {
    const [value] = metadata.get(key);
    if (value === undefined) continue;
    trace ??= [];
    trace.push([key, value]);
  }
  return trace ?? noTrace;
}
