/**
 * Policies as values, for tests of what enforces them: the defaults of the reference, changed where a test says so. Tests of
 * the parser have no use for this; tests of the engine have no use for the parser.
 */
import type { BulkheadSpec, CircuitSpec, Effective, Sections, Source } from '../../core/policy/model.js';
import type { Random } from '../../core/random.js';

export function circuitSpec(changes: Partial<CircuitSpec> = {}): CircuitSpec {
  return {
    window: { kind: 'time', durationMs: 10_000, buckets: 10 },
    failureRate: 0.5,
    slowRate: 1,
    minimumCalls: 20,
    openForMs: 5_000,
    halfOpen: { calls: 3, maxWaitMs: 30_000 },
    per: 'service',
    scope: 'local',
    cluster: { windowMs: 2_000, quorum: 0.2, minReporters: 3, ramp: [0.05, 0.25, 0.5, 1], rampStepMs: 2_000 },
    ...changes,
  };
}

export function bulkheadSpec(maxConcurrent: number, changes: Partial<BulkheadSpec> = {}): BulkheadSpec {
  return { maxConcurrent, maxQueue: 0, per: 'service', ...changes };
}

/** Sections as one policy gives them. */
export function effectiveOf(
  sections: { [S in keyof Sections]: NonNullable<Sections[S]> },
  source: Source = { policy: 'inventory-default', revision: 7 },
): Effective {
  return Object.fromEntries(Object.entries(sections).map(([name, value]) => [name, { value, source }]));
}

/** No jitter: the middle of the range, always. */
export const evenRandom: Random = { next: () => 0.5, hex: (bytes) => '00'.repeat(bytes) };
