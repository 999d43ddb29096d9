/**
 * The section `outlier` in the words of grpc-js's own outlier detection (gRPC A50), around `round_robin`, which is as before
 * without the section. What grpc-js (1.14) reads differently from what a policy says is put right here, as far as numbers can:
 *
 * - it ejects above the threshold, the policy at the rate or above: the threshold lies a hair lower;
 * - it compares the share of ejected instances with the maximum before it ejects one more, and so exceeds it, up to the last
 *   instance (Envoy had this, too): it is told the share that just as many whole instances are as the policy allows.
 */
import type { OutlierSpec } from '../core/policy/model.js';

/** Smaller than the difference that one call of a hundred million makes, in percent. */
const HAIR_PERCENT = 1e-7;
/** A fraction of a whole number of instances may come out this much below it. */
const ROUNDING = 1e-9;

const roundRobin = { round_robin: {} };

/** A list for `loadBalancingConfig`, best first: where somebody has switched outlier detection off, the next one holds. */
export function balancersFor(outlier: OutlierSpec | undefined, hosts: number): readonly object[] {
  if (outlier === undefined || hosts === 0) return [roundRobin];
  const { failureRate, minimumCalls, minimumHosts, intervalMs, ejectForMs, maxEjectForMs, maxEjected } =
    outlier;
  const ejectedMax = Math.floor(maxEjected * hosts + ROUNDING);
  const config = {
    interval: durationOf(intervalMs),
    base_ejection_time: durationOf(ejectForMs),
    max_ejection_time: durationOf(maxEjectForMs),
    // The same arithmetic as grpc-js's, so that the last one allowed compares as equal.
    max_ejection_percent: (ejectedMax * 100) / hosts,
    failure_percentage_ejection: {
      threshold: Math.max(0, failureRate * 100 - HAIR_PERCENT),
      enforcement_percentage: 100,
      minimum_hosts: minimumHosts,
      request_volume: minimumCalls,
    },
    child_policy: [roundRobin],
  };
  return [{ outlier_detection: config }, roundRobin];
}

function durationOf(ms: number): { seconds: number; nanos: number } {
  return { seconds: Math.floor(ms / 1_000), nanos: Math.round((ms % 1_000) * 1_000_000) };
}
