/**
 * Contradictions that merging brings about: each document was right by itself, and another call may need it as it is. So they
 * are told and refuse nothing.
 */
import type { Effective } from './model.js';
import { pathOf } from './plain.js';
import { breaches, factsOf } from './rules.js';
import { givers } from './sources.js';

export interface Conflict {
  readonly path: string;
  /** What would be right. */
  readonly message: string;
  /** Between which policies: `inventory-default@7`. */
  readonly policies: readonly string[];
}

/** Contradictions that no document has by itself. */
export function conflicts(held: Effective): Conflict[] {
  return breaches(factsOf(held))
    .map(({ path, message, sections, refused }) => ({
      refused,
      path: pathOf(path),
      message,
      policies: givers(held, sections),
    }))
    .filter(({ refused, policies }) => refused || policies.length > 1)
    .map(({ path, message, policies }) => ({ path, message, policies }));
}
