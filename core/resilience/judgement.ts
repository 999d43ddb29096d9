/**
 * What opens a circuit, and what opens it again: the rates of a window and of a half-open round, held against the policy. Answers
 * the reason in words, with the figures that decided, or nothing.
 */
import type { CircuitSpec } from '../policy/model.js';
import type { Probes } from './probes.js';
import type { Window } from './window.js';

/** Rates are fractions like 0.07, and 0.07 × 100 is 7.000000000000001: without this, 7 of 100 would not be 7 %. */
const ROUNDING = 1e-9;

export function faultOfWindow(spec: CircuitSpec, { calls, failed, slow }: Window): string | undefined {
  if (calls < spec.minimumCalls) return undefined;
  if (failed + ROUNDING >= spec.failureRate * calls)
    return `${failed} of ${calls} calls failed (opens at ${percent(spec.failureRate)})`;
  if (spec.slowCallMs === undefined || slow + ROUNDING < spec.slowRate * calls) return undefined;
  const text = `${slow} of ${calls} calls took ${spec.slowCallMs} ms or more`;
  return `${text} (opens at ${percent(spec.slowRate)})`;
}

/** As soon as failures make closing impossible, whatever the probes that are still out say. */
export function faultOfProbes(spec: CircuitSpec, { limit, failed, slow }: Probes): string | undefined {
  if (failed > 0 && failed + ROUNDING >= spec.failureRate * limit)
    return `${failed} of ${limit} probes failed`;
  const tooSlow = spec.slowCallMs !== undefined && slow > 0 && slow + ROUNDING >= spec.slowRate * limit;
  return tooSlow ? `${slow} of ${limit} probes were slow` : undefined;
}

function percent(rate: number): string {
  return `${Math.round(rate * 100_000) / 1_000} %`;
}
