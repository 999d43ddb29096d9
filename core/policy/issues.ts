/**
 * Faults as zod finds them, as issues of ours: each with its path as people write it (`spec.circuit.window`) and what would be
 * right. For every document that is read with the leaves of `leaves.ts`.
 */
import type * as z from 'zod';
import type { Issue } from '../errors.js';
import { type Path, pathOf } from './plain.js';

/** One issue for each place, the first that was found there. */
export function addIssues(found: readonly z.core.$ZodIssue[], issues: Issue[]): void {
  const places = new Set(issues.map(({ path }) => path));
  for (const { path, message } of found.flatMap((issue) => flatten(issue, []))) {
    if (places.has(path)) continue;
    places.add(path);
    issues.push({ path, message });
  }
}

function flatten(issue: z.core.$ZodIssue, base: Path): Issue[] {
  const path = [...base, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split('\n');
    return issue.keys.map((key, i) => ({
      path: pathOf([...path, key]),
      message: messages[i] ?? 'unknown field',
    }));
  }
  if (issue.code === 'invalid_union') {
    // The alternative that was meant is the one whose type is right; its own faults say more.
    const meant = issue.errors.find((faults) => !faults.some(isOfType));
    if (meant) return meant.flatMap((fault) => flatten(fault, path));
  }
  return [{ path: pathOf(path), message: issue.message }];
}

function isOfType(issue: z.core.$ZodIssue): boolean {
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value');
}
