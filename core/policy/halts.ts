/**
 * Staged rollouts that were halted: of each the percentage that is frozen, and why. They are one document, kept like a policy under
 * a name that no policy can have; this is its one parser and its one writer. A halt holds for the rollout it was met in, that is
 * until the policy says something else, and not for what comes after it. At most `HALTS_MAX`, of reasons up to 500 characters.
 */
import type { Issue } from '../errors.js';
import { fieldsOf, listOf } from './form.js';
import { addIssues } from './issues.js';
import { count, must, number, text } from './leaves.js';
import type { PolicyRevision } from './model.js';
import { canonical, type Plain, plainCopy } from './plain.js';

/** Its place in the store; no policy's name begins with a tilde. */
export const haltsName = '~rollouts';

/** Beyond these the oldest are forgotten. */
export const HALTS_MAX = 200;
const REASON_LENGTH_MAX = 500;

export interface Halt {
  readonly policy: string;
  /** That was in force. */
  readonly revision: number;
  readonly percent: number;
  readonly reason: string;
  /** Wall-clock milliseconds, for people. */
  readonly at: number;
  /** Absent: it holds. */
  readonly resumed?: { readonly author: string; readonly at: number };
}

/** By policy. */
export type Halts = ReadonlyMap<string, Halt>;

export type HaltsResult =
  | { readonly ok: true; readonly halts: Halts }
  | { readonly ok: false; readonly issues: readonly Issue[] };

const object = must('an object');
const halt = fieldsOf(
  {
    policy: text(must('text'), [256, 'must have at most 256 characters']),
    revision: count(),
    percent: number(),
    reason: text(),
    at: number(),
    resumed: fieldsOf({ author: text(), at: number() }, object).optional(),
  },
  object,
);
const halts = listOf(halt, must('a list'), { most: [HALTS_MAX, `must be at most ${HALTS_MAX}`] });
const form = fieldsOf({ halts }, object);

/** A stored document. Never throws. */
export function parseHalts(document: string): HaltsResult {
  const issues: Issue[] = [];
  let plain: Plain | undefined;
  try {
    plain = plainCopy(JSON.parse(document), issues);
  } catch {
    return { ok: false, issues: [{ path: '', message: 'is no JSON' }] };
  }
  const { value, wrong } = form.read(plain);
  addIssues(wrong, issues);
  if (!value || issues.length > 0) return { ok: false, issues };
  return { ok: true, halts: new Map(value.halts.map((one) => [one.policy, one])) };
}

/** The document with this halt in it, if there is one, and without those that hold for nothing any more. */
export function formatHalts(
  halts: Halts,
  halt: Halt | undefined,
  present: (name: string) => PolicyRevision | undefined,
): string {
  const next = new Map(halts);
  if (halt) next.set(halt.policy, { ...halt, reason: halt.reason.slice(0, REASON_LENGTH_MAX) });
  const kept = [...next.values()]
    .filter((one) => one.policy === halt?.policy || isOf(present(one.policy), one))
    .sort((a, b) => b.at - a.at)
    .slice(0, HALTS_MAX)
    .sort((a, b) => (a.policy < b.policy ? -1 : 1));
  return canonical({ halts: kept as unknown as Plain });
}

/** The halt of a policy's present rollout, also one after which it was resumed; undefined: there was none. */
export function haltOf(halts: Halts, entry: PolicyRevision | undefined): Halt | undefined {
  const halt = entry && halts.get(entry.policy.name);
  return halt && isOf(entry, halt) ? halt : undefined;
}

/** What keeps the percentage of this policy from growing at present. */
export function haltInForce(halts: Halts, entry: PolicyRevision | undefined): Halt | undefined {
  const halt = haltOf(halts, entry);
  return halt?.resumed === undefined ? halt : undefined;
}

function isOf(entry: PolicyRevision | undefined, { revision }: Halt): boolean {
  return entry?.staged !== undefined && revision >= entry.staged.since;
}
