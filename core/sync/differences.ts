/**
 * What lies between two states of all policies: for the moment when a replica has loaded everything anew and can't tell how it
 * came to be. Equal is who has both the same content and the same revision.
 */
import type { PolicyRevision } from '../policy/model.js';

export interface Difference {
  readonly name: string;
  readonly before: PolicyRevision | undefined;
  readonly after: PolicyRevision | undefined;
}

export function differences(
  before: ReadonlyMap<string, PolicyRevision>,
  after: ReadonlyMap<string, PolicyRevision>,
): readonly Difference[] {
  const found: Difference[] = [];
  for (const [name, old] of before) {
    const now = after.get(name);
    if (!now || now.revision !== old.revision || now.policy.hash !== old.policy.hash)
      found.push({ name, before: old, after: now });
  }
  for (const [name, now] of after) if (!before.has(name)) found.push({ name, before: undefined, after: now });
  return found;
}
