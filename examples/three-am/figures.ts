/** What the customers saw in one scene, endpoint by endpoint, in figures. */
export const endpoints = ['orders', 'catalogue'] as const;
export type Endpoint = (typeof endpoints)[number];

export interface Outcome {
  /** Undefined: no answer while the customer was there. */
  readonly status: number | undefined;
  readonly latencyMs: number;
  /** When it ended, from the phase's begin. */
  readonly atMs: number;
}

export interface Figures {
  readonly calls: number;
  readonly ok: number;
  /** Answered without what they came for: the basket was kept. */
  readonly degraded: number;
  readonly failed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** When the last failed call ended, from the phase's begin; 0: none failed. */
  readonly lastFailedAtMs: number;
}

export interface Scene extends Readonly<Record<Endpoint, Figures>> {
  /** Of the whole machine, whoever used them: a p99 of milliseconds is worth little where this nears 100. */
  readonly processorsBusyPercent: number;
}

/** All zero without calls. */
export function figuresOf(outcomes: readonly Outcome[]): Figures {
  const latenciesMs = outcomes.map(({ latencyMs }) => latencyMs);
  const degraded = outcomes.filter(({ status }) => status === 202).length;
  const failed = outcomes.filter(({ status = 500 }) => status >= 400);
  return {
    calls: outcomes.length,
    ok: outcomes.length - degraded - failed.length,
    degraded,
    failed: failed.length,
    p50Ms: shareOf(latenciesMs, 0.5),
    p99Ms: shareOf(latenciesMs, 0.99),
    lastFailedAtMs: Math.max(0, ...failed.map(({ atMs }) => atMs)),
  };
}

/** The value that so large a share stays at or below, by nearest rank; 0 of nothing. */
function shareOf(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}
