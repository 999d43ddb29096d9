/**
 * What changes between two documents, path by path: for the dry run and `switchgear diff`. Compared is what was written, not
 * what it means: `1s` instead of `1000ms` is a change.
 */
import type { Policy } from './model.js';
import { canonical, isRecord, type Plain, pathOf } from './plain.js';

export interface Change {
  readonly path: string;
  /** Absent: it is new. */
  readonly before?: Plain;
  /** Absent: it goes. */
  readonly after?: Plain;
}

/** In the order of the paths; undefined is a policy that isn't there. Lists are compared whole. */
export function diffPolicies(before: Policy | undefined, after: Policy | undefined): readonly Change[] {
  return [...changes(documentOf(before), documentOf(after), [])];
}

function* changes(
  before: Plain | undefined,
  after: Plain | undefined,
  path: readonly string[],
): IterableIterator<Change> {
  // A record on one side and nothing on the other is told leaf by leaf, but an empty one has no leaf to tell.
  if (isBranch(before, after) && isBranch(after, before)) {
    const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(after ?? {})]);
    for (const key of [...keys].sort()) yield* changes(before?.[key], after?.[key], [...path, key]);
    return;
  }
  if (before === after) return;
  if (before !== undefined && after !== undefined && canonical(before) === canonical(after)) return;
  yield {
    path: pathOf(path),
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  };
}

function isBranch(
  value: Plain | undefined,
  other: Plain | undefined,
): value is { readonly [key: string]: Plain } | undefined {
  if (value === undefined) return isRecord(other) && Object.keys(other).length > 0;
  return isRecord(value) && (other !== undefined || Object.keys(value).length > 0);
}

function documentOf(policy: Policy | undefined): Plain | undefined {
  return policy === undefined ? undefined : (JSON.parse(policy.document) as Plain);
}
