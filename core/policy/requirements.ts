/**
 * What an agent must be able to do to enforce a policy. An agent refuses, whole and by name, a policy that needs more than it
 * can do: half a policy would protect in a way that nobody wrote.
 */
import { type Policy, sectionNames } from './model.js';

/**
 * Names of capabilities, for example `['circuit', 'bulkhead', 'bulkhead.auto', 'shadow']`. A policy that is off needs none, unless
 * only some are to switch it off.
 */
export function requirements(policy: Policy): string[] {
  if (policy.mode === 'off') return policy.rollout.percent < 100 ? ['rollout'] : [];
  const needed: string[] = sectionNames.filter((section) => (policy.spec[section] ?? null) !== null);
  const { bulkhead } = policy.spec;
  if (bulkhead?.maxConcurrent === 'auto') needed.push('bulkhead.auto');
  if (bulkhead?.shares !== undefined) needed.push('bulkhead.shares');
  if (bulkhead?.per === 'method') needed.push('bulkhead.per');
  if (policy.mode === 'shadow') needed.push('shadow');
  if (policy.rollout.percent < 100) needed.push('rollout');
  return needed;
}

/** Those of its requirements that an agent of these capabilities doesn't meet. */
export function unmet(policy: Policy, capabilities: Iterable<string>): string[] {
  const able = new Set(capabilities);
  return requirements(policy).filter((name) => !able.has(name));
}
