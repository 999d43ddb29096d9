/**
 * Which instances a staged rollout reaches: a stable hash decides, so that an instance stays in when the percentage grows, and
 * two policies don't pick the same instances first.
 */
import { createHash } from 'node:crypto';

/** Where this instance stands in the rollout of this policy: from 0 to below 100, evenly spread. */
export function rolloutPlace(policy: string, instance: string): number {
  const digest = createHash('sha256').update(`${policy}\n${instance}`).digest();
  return (digest.readUInt32BE(0) / 2 ** 32) * 100;
}

/** Whether a rollout to `percent` reaches it: 0 nobody, 100 everybody. */
export function inRollout(percent: number, policy: string, instance: string): boolean {
  return rolloutPlace(policy, instance) < percent;
}
