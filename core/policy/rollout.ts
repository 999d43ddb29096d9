/**
 * Which instances a staged rollout reaches, and what the others keep. A stable hash decides, so that an instance stays in when the
 * percentage grows, and two policies don't pick the same instances first. What a rollout started from follows from the policy's
 * revisions in their order alone, so every replica comes to the same.
 */
import { createHash } from 'node:crypto';
import type { Match, Policy, PolicyRevision, Staged } from './model.js';
import { canonical, type Plain } from './plain.js';

/** Where this instance stands in the rollout of this policy: from 0 to below 100, evenly spread. */
export function rolloutPlace(policy: string, instance: string): number {
  const digest = createHash('sha256').update(`${policy}\n${instance}`).digest();
  return (digest.readUInt32BE(0) / 2 ** 32) * 100;
}

/** Whether a rollout to `percent` reaches it: 0 nobody, 100 everybody. */
export function inRollout(percent: number, policy: string, instance: string): boolean {
  return rolloutPlace(policy, instance) < percent;
}

/** Whether this revision is for this instance. */
export function reaches({ name, rollout }: Policy, instance: string): boolean {
  return rollout.percent >= 100 || inRollout(rollout.percent, name, instance);
}

/** What an instance of this name holds of a policy; undefined: nothing. */
export function revisionFor(entry: PolicyRevision, instance: string): PolicyRevision | undefined {
  return !entry.staged || reaches(entry.policy, instance) ? entry : entry.staged.previous;
}

/** Whom it is for: of a staged rollout also whom the revision is for that the others keep. */
export function targetsOf({ policy, staged }: PolicyRevision): readonly Match[] {
  return staged?.previous ? [policy.match, staged.previous.policy.match] : [policy.match];
}

/** A revision together with what follows from the one before it (undefined: there was none, or it was the deletion). */
export function staged(
  before: PolicyRevision | undefined,
  { policy, revision }: PolicyRevision,
): PolicyRevision {
  if (policy.rollout.percent >= 100) return { policy, revision };
  return { policy, revision, staged: stagedAfter(before, policy, revision) };
}

function stagedAfter(before: PolicyRevision | undefined, policy: Policy, revision: number): Staged {
  if (!before?.staged) return { previous: before, since: revision };
  const { previous, since } = before.staged;
  return { previous, since: differsInPercentAlone(before.policy, policy) ? since : revision };
}

/** Whether two revisions say the same but for how many they are for. */
export function differsInPercentAlone(a: Policy, b: Policy): boolean {
  return contentOf(a) === contentOf(b);
}

function contentOf({ document }: Policy): string {
  const { rollout: _, ...content } = JSON.parse(document) as { readonly [key: string]: Plain };
  return canonical(content);
}

/** Whether a stored document may be a staged one: looked at before it is parsed, so it answers true for some that are not. */
export function mayBeStaged(document: string): boolean {
  return document.includes('"rollout":');
}
