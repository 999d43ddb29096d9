/**
 * What both stores think of a write before and after it: whether it is well formed, what identifies it, and the words of each
 * refusal. Shared so that a user meets the same message whichever store is behind; knows nothing of either.
 */
import { createHash } from 'node:crypto';
import { type Issue, MeshError } from '../../core/errors.js';
import { OPERATIONS_MAX } from './limits.js';
import type { Expected, WriteRequest } from './store.js';

const loneSurrogate = /\p{Surrogate}/u;

/** Throws `invalid_request` for what no store could keep faithfully: too many, twice the same, or not encodable names. */
export function checkRequest({ requestId, operations }: WriteRequest): void {
  if (requestId === '' || requestId.length > 200)
    throw new MeshError('invalid_request', 'the request id must have 1 to 200 characters');
  if (operations.length === 0 || operations.length > OPERATIONS_MAX)
    throw new MeshError(
      'invalid_request',
      `a write has 1 to ${OPERATIONS_MAX} operations, this one ${operations.length}`,
    );
  const issues: Issue[] = [];
  const seen = new Set<string>();
  for (const { name } of operations) {
    if (name === '' || loneSurrogate.test(name))
      issues.push({ path: name, message: 'a name must be a non-empty, well-formed string' });
    if (seen.has(name)) issues.push({ path: name, message: 'named twice in one write; name it once' });
    seen.add(name);
  }
  if (issues.length > 0) throw new MeshError('invalid_request', 'the write is malformed', { issues });
}

/** 16 hexadecimal digits of what the write does: a request id belongs to one of these only. */
export function fingerprint({ action, operations }: WriteRequest): string {
  const text = JSON.stringify([
    action,
    operations.map((operation) =>
      operation.kind === 'put' && operation.intent !== undefined
        ? [operation.kind, operation.name, operation.intent]
        : [
            operation.kind,
            operation.name,
            operation.expected,
            operation.kind === 'put' ? operation.document : null,
          ],
    ),
  ]);
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** Present state of a document as a writer's expectation meets it; `damaged` cannot be read and is only overwritten by `any`. */
export type Present = number | null | 'damaged';

/** An expectation that did not hold. */
export interface Mismatch {
  readonly name: string;
  readonly expected: Expected;
  readonly present: Present;
}

export function holds(expected: Expected, present: Present): boolean {
  return expected === 'any' || expected === present;
}

/** The refusal of a write: `revision_conflict` with an issue for each mismatch, and the revision that is there. */
export function conflict(mismatches: readonly Mismatch[]): MeshError {
  const issues = mismatches.map((one): Issue => ({ path: one.name, message: describe(one) }));
  const [first] = mismatches;
  const more = issues.length > 1 ? ` (and ${issues.length - 1} more)` : '';
  const revision = typeof first?.present === 'number' ? first.present : undefined;
  return new MeshError('revision_conflict', `${issues[0]?.message ?? 'another revision is there'}${more}`, {
    target: first?.name,
    policy: first?.name,
    revision,
    issues,
  });
}

function describe({ expected, present }: Mismatch): string {
  const wanted = expected === null ? 'it must not exist' : `revision ${expected} was expected`;
  if (present === null) return `${wanted}, there is none`;
  if (present === 'damaged')
    return `${wanted}, what is stored cannot be read; write without an expected revision to replace it`;
  return `${wanted}, revision ${present} is there`;
}

/** The store lost data that this writer has seen, or is another one: nothing is written before the writer has loaded anew. */
export function behind(seen: WriteRequest['seen'], present: { dataset: string; head: number }): MeshError {
  const detail =
    seen.dataset === present.dataset
      ? `its log is at ${present.head}, behind ${seen.revision} that this replica has seen: data was lost`
      : `it holds dataset ${present.dataset}, this replica knows ${seen.dataset || 'none'}`;
  return new MeshError(
    'store_unavailable',
    `the write was refused, ${detail}; try again once all is loaded anew`,
  );
}

/** The request id is that of another write. A face that made the id of its clients' word for it says it in that word. */
export class RequestIdReused extends MeshError {
  constructor(requestId: string) {
    super(
      'invalid_request',
      `request id ${requestId} belongs to another write of the last ten minutes; use a new one`,
    );
  }
}

/**
 * The write was sent and has no answer: it may be stored. Every other `store_unavailable` of a write means that this attempt
 * changed nothing.
 */
export class OutcomeUnknown extends MeshError {
  /** `error`: the `store_unavailable` that says why there is no answer. */
  constructor(error: MeshError) {
    const { target } = error;
    const prefix = `[${error.code}] ${target === undefined ? '' : `${target}: `}`;
    super('store_unavailable', error.message.slice(prefix.length), { target, cause: error });
  }
}
