/**
 * Counts held against a policy's rates, and how many reporters it takes: the rules that windows and decisions share, here and at
 * every place that judges a group of agents, of a zone or of an endpoint.
 */
import type { CircuitSpec } from '../policy/model.js';
import type { Counts } from './model.js';

/** Rates are fractions like 0.07, and 0.07 × 100 is 7.000000000000001: without this, 7 of 100 would not be 7 %. */
const ROUNDING = 1e-9;
/** With a large pool so many agree by chance never; a share of it would only take longer. */
const QUORUM_MAX = 50;
/** A dead service crosses its threshold with all its parts near it, half of them below: those are not what is healthy. */
const HEALTHY_SHARE = 0.5;

export type Fault = 'failed' | 'slow';

/**
 * By which rate it is over; undefined: by none, or there were no calls.
 * @param margin how far above the rate, in standard deviations of that many calls at exactly the rate; all calls are always enough
 */
export function faultOf(spec: CircuitSpec, { calls, failed, slow }: Counts, margin = 0): Fault | undefined {
  if (calls <= 0) return undefined;
  if (reaches(failed, spec.failureRate, calls, margin)) return 'failed';
  return spec.slowCallMs !== undefined && reaches(slow, spec.slowRate, calls, margin) ? 'slow' : undefined;
}

/** There were calls, and less than half of what would be too much failed or was slow. */
export function isHealthy(spec: CircuitSpec, { calls, failed, slow }: Counts): boolean {
  if (calls <= 0 || reaches(failed, HEALTHY_SHARE * spec.failureRate, calls)) return false;
  return spec.slowCallMs === undefined || !reaches(slow, HEALTHY_SHARE * spec.slowRate, calls);
}

/** How many distinct agents have to be over the threshold themselves, of so many that had calls in the whole window. */
export function reportersNeeded({ cluster }: CircuitSpec, agents: number): number {
  const share = Math.ceil(cluster.quorum * agents - ROUNDING);
  return Math.max(cluster.minReporters, Math.min(QUORUM_MAX, share));
}

/** Whether it is at least so much; sums of cut counts are fractions too. */
export function atLeast(count: number, least: number): boolean {
  return count + ROUNDING * Math.max(1, least) >= least;
}

function reaches(part: number, rate: number, calls: number, margin = 0): boolean {
  const deviation = margin > 0 ? Math.sqrt(calls * rate * (1 - rate)) : 0;
  return part > 0 && atLeast(part, Math.min(calls, rate * calls + margin * deviation));
}
