/**
 * A policy as the rest of the program knows it: parsed, complete with defaults, durations in milliseconds, rates as
 * fractions. `parse.ts` is the only maker of these values; nobody behind it validates again. Each value also keeps its
 * `document`, the canonical JSON of what the user wrote (no defaults filled in), which is what is stored, hashed and sent.
 */
import type { Criticality } from '../criticality.js';

export type Mode = 'enforce' | 'shadow' | 'off';

export interface Match {
  /** Callee service, guard resource, or `*`. */
  readonly to: string;
  /** Caller service; absent: every caller. */
  readonly from?: string;
  /** `pkg.Service/Method` exactly, or `pkg.Service/*`; absent: every method. */
  readonly method?: string;
}

/** A time window of `durationMs` in `buckets`, or a ring of the last `calls` outcomes. */
export type WindowSpec =
  | { readonly kind: 'time'; readonly durationMs: number; readonly buckets: number }
  | { readonly kind: 'count'; readonly calls: number };

export interface ClusterSpec {
  readonly windowMs: number;
  /** Fraction of the active reporters. */
  readonly quorum: number;
  readonly minReporters: number;
  /** Fractions, ascending, the last is 1. */
  readonly ramp: readonly number[];
  readonly rampStepMs: number;
}

export interface CircuitSpec {
  readonly window: WindowSpec;
  /** Fraction in (0, 1]; opens at ≥. */
  readonly failureRate: number;
  /** Duration from which a call counts as slow; absent: off. */
  readonly slowCallMs?: number;
  /** Fraction in (0, 1]. */
  readonly slowRate: number;
  readonly minimumCalls: number;
  readonly openForMs: number;
  readonly halfOpen: { readonly calls: number; readonly maxWaitMs: number };
  readonly per: 'service' | 'method';
  readonly scope: 'local' | 'cluster';
  readonly cluster: ClusterSpec;
}

export interface BulkheadSpec {
  /** Calls in flight, or `auto`: an adaptive limit. */
  readonly maxConcurrent: number | 'auto';
  readonly maxQueue: number;
  /** Absent: bounded by the call's remaining deadline alone. */
  readonly queueTimeoutMs?: number;
  /** Guaranteed part of the limit for each criticality, fractions; together at most 1. Idle parts are lent out. */
  readonly shares?: { readonly [C in Criticality]?: number };
  readonly per: 'service' | 'method';
}

/** Envoy's admission control, on the client: rejects with a probability that grows as the callee's success rate falls. */
export interface AdmissionSpec {
  /** Fraction below which calls begin to be rejected. */
  readonly successRate: number;
  /** Fraction of the calls that are rejected at most. */
  readonly maxRejection: number;
  readonly windowMs: number;
}

/** Ejection of single instances of a callee, by grpc-js's own outlier detection. */
export interface OutlierSpec {
  readonly intervalMs: number;
  /** Of an instance: at least this fraction of its calls failed, of at least so many in an interval. */
  readonly failureRate: number;
  readonly minimumCalls: number;
  /** Instances that must have had `minimumCalls` before any is ejected. */
  readonly minimumHosts: number;
  /** The first time; as many times as long as it was ejected before, up to `maxEjectForMs`. */
  readonly ejectForMs: number;
  readonly maxEjectForMs: number;
  /** Fraction of the instances. */
  readonly maxEjected: number;
}

/** What a status counts as, where it differs: gRPC status name, HTTP status, or the `code` or `name` of what a function threw. */
export type ClassifySpec = { readonly [status: string]: 'success' | 'failure' | 'neutral' };

export interface RetrySpec {
  /** Attempts, the first included. */
  readonly attempts: number;
  /** gRPC status names. */
  readonly on: readonly string[];
  readonly backoff: { readonly baseMs: number; readonly maxMs: number };
  /** Fraction of the active calls. */
  readonly budget: number;
}

export interface HedgeSpec {
  readonly delay:
    | { readonly kind: 'fixed'; readonly ms: number }
    /** `p` is a fraction: 0.95. */
    | { readonly kind: 'percentile'; readonly p: number };
  readonly extra: number;
}

export interface RateLimitSpec {
  readonly rate: number;
  readonly perMs: number;
  readonly burst: number;
  readonly scope: 'local' | 'cluster';
  /** One bucket for the callee, or one for each method. */
  readonly by: 'service' | 'method';
}

export type FallbackSpec =
  | { readonly kind: 'cache'; readonly maxAgeMs: number }
  | { readonly kind: 'static'; readonly value: unknown }
  | { readonly kind: 'target'; readonly to: string; readonly method?: string }
  | { readonly kind: 'handler'; readonly name: string }
  | { readonly kind: 'error'; readonly status: string; readonly message?: string };

/** The sections of a policy's `spec`; absent: not mentioned, `null`: removes what a more general policy says. */
export interface Sections {
  readonly timeout?: number | null;
  readonly attemptTimeout?: number | null;
  readonly streamTimeout?: number | null;
  readonly idempotent?: boolean | null;
  readonly retry?: RetrySpec | null;
  readonly hedge?: HedgeSpec | null;
  readonly circuit?: CircuitSpec | null;
  readonly bulkhead?: BulkheadSpec | null;
  readonly rateLimit?: RateLimitSpec | null;
  readonly admission?: AdmissionSpec | null;
  readonly outlier?: OutlierSpec | null;
  readonly classify?: ClassifySpec | null;
  readonly fallback?: readonly FallbackSpec[] | null;
}

export type SectionName = keyof Sections;

export const sectionNames: readonly SectionName[] = [
  'timeout',
  'attemptTimeout',
  'streamTimeout',
  'idempotent',
  'retry',
  'hedge',
  'circuit',
  'bulkhead',
  'rateLimit',
  'admission',
  'outlier',
  'classify',
  'fallback',
];

export interface Policy {
  readonly name: string;
  readonly match: Match;
  readonly priority: number;
  readonly mode: Mode;
  readonly spec: Sections;
  readonly rollout: { readonly percent: number };
  /** Canonical JSON of the document as written: sorted keys, no defaults. */
  readonly document: string;
  /** First 16 hexadecimal digits of the SHA-256 of `document`. */
  readonly hash: string;
}

/** A policy with the revision it has in the mesh. */
export interface PolicyRevision {
  readonly policy: Policy;
  readonly revision: number;
  /** Of a policy whose rollout is below 100 percent, as the control plane holds it; agents hold what is theirs. */
  readonly staged?: Staged;
}

/** A rollout that does not reach everybody. */
export interface Staged {
  /** The last revision before it that was for everybody: the others keep it. Undefined: they have nothing of this policy. */
  readonly previous: PolicyRevision | undefined;
  /** Its first revision: those since then say the same but for the percentage. */
  readonly since: number;
}

/** Who said a section: shown by explain and named in every rejection. */
export interface Source {
  readonly policy: string;
  readonly revision: number;
}

/** What holds for one (caller, callee, method): each section with its source; a section nobody gives is absent. */
export type Effective = {
  readonly [S in SectionName]?: { readonly value: NonNullable<Sections[S]>; readonly source: Source };
};
