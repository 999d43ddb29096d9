/**
 * What `guard` runs: a function, what it is given, and how its throwing reads as the health of its target.
 */
import { MeshError } from '../core/errors.js';
import type { Outcome } from '../core/resilience/outcome.js';

export interface GuardContext {
  /** Aborted when the call's time is over or its caller gives up. Made only when read. */
  readonly signal: AbortSignal;
  /** 1 for the first. */
  readonly attempt: number;
  /** When the attempt must be over, milliseconds since 1970 (as gRPC deadlines are); undefined: no limit. */
  readonly deadline: number | undefined;
}

export interface GuardOptions {
  /** Ends the call when aborted: it rejects with `signal.reason`, and counts neither for nor against the target. */
  readonly signal?: AbortSignal | undefined;
}

export type GuardedFunction<T> = (context: GuardContext) => Promise<T> | T;

const rejections: ReadonlySet<string> = new Set([
  'circuit_open',
  'bulkhead_full',
  'bulkhead_timeout',
  'rate_limited',
  'overloaded',
  'no_instances',
  'mesh_closed',
]);

/** A throw is a failure, unless it is a rejection that never left this process: that says nothing about the target. */
export function outcomeOfThrown(error: unknown): Outcome {
  return error instanceof MeshError && rejections.has(error.code) ? 'neutral' : 'failure';
}
