/**
 * Revisions as entity tags (`"7"`) and the conditions that clients attach to a write. The store decides whether a condition
 * holds, in its atomic step; here it only becomes what the store is told to expect.
 */
import { MeshError } from '../../core/errors.js';
import type { Expected } from '../store/store.js';

export interface Conditions {
  readonly 'if-match'?: string | undefined;
  readonly 'if-none-match'?: string | undefined;
}

export function etagOf(revision: number): string {
  return `"${revision}"`;
}

/**
 * What a write expects of the policy's revision. `present` is what this replica knows (undefined: no such policy); it only
 * picks among the tags of a list and answers `If-Match: *`. Throws `invalid_request` for a header that has no meaning, and
 * `revision_conflict` for one that can't hold: `If-Match: *` on a policy that isn't there, or none but weak tags, which
 * If-Match never takes for the same (RFC 9110, 13.1.1).
 */
export function expectedOf(conditions: Conditions, name: string, present: number | undefined): Expected {
  const match = conditions['if-match'];
  const noneMatch = conditions['if-none-match'];
  if (match !== undefined && noneMatch !== undefined)
    throw new MeshError('invalid_request', 'send If-Match or If-None-Match, not both');
  if (noneMatch !== undefined) {
    if (noneMatch.trim() !== '*')
      throw new MeshError('invalid_request', 'If-None-Match of a write has one form: * (must not exist)');
    return null;
  }
  if (match === undefined) return 'any';
  if (match.trim() === '*') {
    if (present !== undefined) return present;
    throw new MeshError('revision_conflict', 'If-Match: * asks for a policy that exists, and there is none', {
      target: name,
      policy: name,
    });
  }
  const tags = tagsOf(match);
  if (tags.length === 0)
    throw new MeshError('invalid_request', 'If-Match has to be a revision in quotes, for example "7", or *');
  const revisions = tags.flatMap(({ weak, revision }) => (weak ? [] : [revision]));
  const [first] = revisions;
  if (first === undefined)
    throw new MeshError('revision_conflict', 'If-Match never holds for a weak tag (W/"7"): write "7"', {
      target: name,
      policy: name,
      revision: present,
    });
  return present !== undefined && revisions.includes(present) ? present : first;
}

/** Whether a GET may be answered with 304. */
export function isUnchanged(noneMatch: string | undefined, revision: number): boolean {
  if (noneMatch === undefined) return false;
  return noneMatch.trim() === '*' || tagsOf(noneMatch).some((tag) => tag.revision === revision);
}

const TAG = /^(W\/)?"(\d{1,15})"$/;

/** A list of tags; empty if one of them is no tag of ours. */
function tagsOf(list: string): { readonly weak: boolean; readonly revision: number }[] {
  const tags: { weak: boolean; revision: number }[] = [];
  for (const part of list.split(',')) {
    const match = TAG.exec(part.trim());
    if (!match) return [];
    tags.push({ weak: match[1] !== undefined, revision: Number(match[2]) });
  }
  return tags;
}
