/**
 * What opens a circuit, what opens it again and what closes it: the rates of a window and of a half-open round, held against the
 * policy. Answers the reason in words, with the figures that decided, or nothing.
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
function faultOfProbes(spec: CircuitSpec, { limit, failed, slow }: Probes): string | undefined {
  if (failed > 0 && failed + ROUNDING >= spec.failureRate * limit)
    return `${failed} of ${limit} probes failed`;
  const tooSlow = spec.slowCallMs !== undefined && slow > 0 && slow + ROUNDING >= spec.slowRate * limit;
  return tooSlow ? `${slow} of ${limit} probes were slow` : undefined;
}

/** What a half-open round comes to, and as of when. */
export interface Fate {
  readonly kind: 'open' | 'closed';
  readonly at: number;
  readonly reason: string;
}

/** Re-opens as soon as the probes can't close it any more; closes when the last of them is in. `at`: when that was. */
export function judgeRound(spec: CircuitSpec, probes: Probes, at: number): Fate | undefined {
  const fault = faultOfProbes(spec, probes);
  if (fault !== undefined) return { kind: 'open', at, reason: fault };
  if (!probes.complete) return undefined;
  const { limit, failed } = probes;
  return { kind: 'closed', at, reason: `${limit - failed} of ${limit} probes succeeded` };
}

/** Of the probes whose time is over by `now`, deals with the first: it has failed. `due`: there was one. */
export function judgeNextDue(
  spec: CircuitSpec,
  probes: Probes,
  now: number,
): { readonly due: boolean; readonly fate: Fate | undefined } {
  const { maxWaitMs } = spec.halfOpen;
  const due = probes.firstDue(now, maxWaitMs);
  if (!due) return { due: false, fate: undefined };
  const { row, at, afterMs, hung } = due;
  probes.settle(row, 'failure', afterMs >= (spec.slowCallMs ?? Number.POSITIVE_INFINITY));
  const reason = `a probe gave no answer within ${maxWaitMs} ms`;
  return { due: true, fate: hung ? { kind: 'open', at, reason } : judgeRound(spec, probes, at) };
}

function percent(rate: number): string {
  return `${Math.round(rate * 100_000) / 1_000} %`;
}
