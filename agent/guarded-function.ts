/**
 * What `guard` runs: a function, what it is given, and how its throwing reads as the health of its target.
 */
import type { Criticality } from '../core/criticality.js';
import { MeshError } from '../core/errors.js';
import type { FallbackSpec } from '../core/policy/model.js';
import type { Outcome } from '../core/resilience/outcome.js';

export interface GuardContext {
  /** Aborted when the attempt's time is over, its caller gives up, or another attempt has answered. Made only when read. */
  readonly signal: AbortSignal;
  /** 1 for the first. */
  readonly attempt: number;
  /** When the attempt must be over, milliseconds since 1970 (as gRPC deadlines are); undefined: no limit. */
  readonly deadline: number | undefined;
}

export interface GuardOptions<T = unknown> {
  /** Ends the call when aborted: it rejects with `signal.reason`, and counts neither for nor against the target. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Which part of the resource this call is about (a tenant, a table): policies that say `per: method` keep a circuit, a bulkhead
   * or a rate for each, and the fallback `cache` keeps an answer for each; without a key it keeps none.
   */
  readonly key?: string | undefined;
  /**
   * What is answered when the call has failed or was refused, after the policy's own fallbacks; not for the caller's own abort.
   * What it throws is what the call rejects with.
   */
  readonly fallback?: ((error: unknown) => T | Promise<T>) | undefined;
  /** How much the call matters; default: as the call that is being answered, else `critical`. May only be lowered on the way. */
  readonly criticality?: Criticality | undefined;
  /** Whether what was thrown counts against the target; default: the policy's `classify`, else that it does. */
  readonly isFailure?: ((error: unknown) => boolean) | undefined;
}

export type GuardedFunction<T> = (context: GuardContext) => Promise<T> | T;

/** What a returned value says of its attempt, for callers whose failures are values, such as an HTTP response. */
export interface Judgement {
  readonly outcome: Outcome;
  /** A gRPC status name, for the policy's `retry.on`. */
  readonly status: string;
  /** The callee shed it by a policy of its own. */
  readonly shed: boolean;
  /** It asks to be left alone for so long, as `grpc-retry-pushback-ms` does. */
  readonly pushback: readonly string[];
  /** What was answered, for people: `answered 503`. */
  readonly text: string;
}

/** What only the agent's own callers of the engine say. */
export interface EngineOptions<T> extends GuardOptions<T> {
  /** Undefined: a success. Called once for each value that an attempt returns. */
  readonly judge?: ((value: T) => Judgement | undefined) | undefined;
  /** A value that another attempt's, or a fallback's, replaces. A failed one stays while nothing has. */
  readonly discard?: ((value: T) => void) | undefined;
  /**
   * When an attempt that has answered is really over (a response's body has ended): until then it holds its slot, unless it failed
   * and the call goes on.
   */
  readonly until?: ((value: T) => Promise<unknown> | undefined) | undefined;
  /** What an answer of the policy's fallback is to the caller; `marker` says that it is one. Default: the answer as it is. */
  readonly degraded?: ((answer: unknown, marker: string) => T) | undefined;
  /** Which request a good answer is kept under, where the call has a key; undefined: none is kept. Default: the key alone. */
  readonly request?: (() => readonly string[] | undefined) | undefined;
  /** What an answer takes in the cache of a policy's fallback; undefined: it can't be kept. Default: nobody knows, a guess. */
  readonly bytesOf?: ((value: T) => number | undefined) | undefined;
  /**
   * Makes the call at another target, for `fallback: target`; undefined: can't. `signal` is the fallback's: aborted when its time is
   * over, the mesh closes or the caller gives up before it has answered.
   */
  readonly elsewhere?:
    | ((
        entry: FallbackSpec & { readonly kind: 'target' },
        signal: AbortSignal,
      ) => Promise<{ readonly value: T } | undefined>)
    | undefined;
  /** Whether a thrown error proves that nothing was sent. */
  readonly unsent?: ((error: unknown) => boolean) | undefined;
  /** Whether it can be made more than once (its body can be sent again). Default true. */
  readonly repeatable?: boolean | undefined;
}

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

/** An answer that is still to come. */
export function isThenable<T>(answer: Promise<T> | T): answer is Promise<T> {
  return typeof answer === 'object' && answer !== null && typeof (answer as Promise<T>).then === 'function';
}
