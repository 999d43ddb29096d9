/**
 * What forms find wrong, as issues: each with its path as people write it (`spec.circuit.window`) and what would be right. For every
 * document that is read with the leaves of `leaves.ts`.
 */
import type { Issue } from '../errors.js';
import type { Wrong } from './form.js';
import { pathOf } from './plain.js';

/** One issue for each place, the first that was found there. */
export function addIssues(found: readonly Wrong[], issues: Issue[]): void {
  const places = new Set(issues.map(({ path }) => path));
  for (const { path: parts, message } of found) {
    const path = pathOf(parts);
    if (places.has(path)) continue;
    places.add(path);
    issues.push({ path, message });
  }
}
