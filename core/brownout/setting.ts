/**
 * The brownout setting of a mesh: the operator's level, which level switches which feature off, and the rules that raise the
 * level by themselves. It is one document, kept like a policy under a name that no policy can have; this is its one parser, for
 * what people send and for what the store holds. Never throws; a document has at most 64 KiB, 1,000 features and 50 rules.
 */
import type { Issue } from '../errors.js';
import { addIssues } from '../policy/issues.js';
import { canonical, DOCUMENT_BYTES_MAX, isRecord, type Plain, plainCopy } from '../policy/plain.js';
import { sentSchema, storedSchema } from './schema.js';

/** Its place in the store; no policy's name begins with a tilde. */
export const brownoutName = '~brownout';

export interface LatencyLimit {
  /** As it is written, for example `p99`. */
  readonly name: string;
  /** A fraction. */
  readonly p: number;
  readonly limitMs: number;
}

/** All that is named has to hold. */
export interface When {
  /** So many circuits are open somewhere in the mesh. */
  readonly openCircuits?: number;
  /** A circuit to this callee is open... */
  readonly circuit?: string;
  /** ...at so many agents. */
  readonly agents?: number;
  /** Of the calls to this service over the last ten seconds... */
  readonly callee?: string;
  /** ...at least this part was slow, */
  readonly slowRate?: number;
  /** at least this part failed, */
  readonly failureRate?: number;
  /** each of these percentiles was at least as long as its limit, */
  readonly latency?: readonly LatencyLimit[];
  /** and there were at least so many. */
  readonly minimumCalls: number;
}

export interface Rule {
  /** What it is recognised by after a change of the setting: a rule that says the same keeps its state. */
  readonly key: string;
  readonly level: number;
  readonly when: When;
  readonly forMs: number;
  readonly clearAfterMs: number;
}

export interface OperatorLevel {
  readonly level: number;
  readonly reason: string;
  /** Whose token it was; empty at level 0. */
  readonly author: string;
  /** Undefined: until somebody says otherwise. */
  readonly ttlMs: number | undefined;
  /** Wall-clock milliseconds at which the time began; undefined without one. */
  readonly setAt: number | undefined;
}

export interface BrownoutSetting {
  readonly operator: OperatorLevel;
  readonly features: ReadonlyMap<string, number>;
  readonly rules: readonly Rule[];
  /** As it is written, in canonical JSON. */
  readonly document: string;
}

export type SettingResult =
  | { readonly ok: true; readonly setting: BrownoutSetting }
  | { readonly ok: false; readonly issues: readonly Issue[] };

/** What a PUT names, as it was written; what it leaves away stays as it was. */
export type BrownoutFields = Readonly<Record<string, Plain>>;

export type FieldsResult =
  | { readonly ok: true; readonly fields: BrownoutFields }
  | { readonly ok: false; readonly issues: readonly Issue[] };

/** Checks what a person sends; all faults at once. */
export function parseFields(input: unknown): FieldsResult {
  const issues: Issue[] = [];
  const plain = plainCopy(input, issues);
  if (plain === undefined) return { ok: false, issues };
  addIssues(sentSchema().read(plain).wrong, issues);
  if (issues.length > 0 || !isRecord(plain)) return { ok: false, issues: issues.slice(0, 100) };
  return { ok: true, fields: plain as BrownoutFields };
}

/**
 * The setting after a PUT of these fields, as text for the store. A level and its reason and time belong together: a new level
 * replaces all three. At level 0 there is no reason left to show.
 */
export function merged(
  before: string | undefined,
  put: BrownoutFields,
  { author, wallNow }: { author: string; wallNow: number },
): string {
  const old = before === undefined ? {} : (JSON.parse(before) as Record<string, Plain>);
  const next: Record<string, Plain> = { ...old, ...put };
  if (put.level !== undefined) {
    for (const field of ['reason', 'ttl', 'author', 'setAt']) delete next[field];
    if (put.level !== 0) {
      next.author = author;
      next.reason = String(put.reason).trim();
      if (put.ttl !== undefined) Object.assign(next, { ttl: put.ttl, setAt: wallNow });
    }
  }
  return canonical(next);
}

/** A stored document, or one about to be. */
export function parseSetting(document: string): SettingResult {
  const issues: Issue[] = [];
  if (Buffer.byteLength(document) > DOCUMENT_BYTES_MAX)
    return {
      ok: false,
      issues: [{ path: '', message: `is too large; at most ${DOCUMENT_BYTES_MAX / 1024} KiB` }],
    };
  let plain: Plain | undefined;
  try {
    plain = plainCopy(JSON.parse(document), issues);
  } catch {
    return { ok: false, issues: [{ path: '', message: 'is no JSON' }] };
  }
  if (plain === undefined) return { ok: false, issues };
  const { value, wrong } = storedSchema().read(plain);
  addIssues(wrong, issues);
  if (!value || issues.length > 0) return { ok: false, issues };
  const { level = 0, reason = '', author = '', ttl, setAt, features = {}, rules = [] } = value;
  const written = isRecord(plain) && Array.isArray(plain.rules) ? (plain.rules as Plain[]) : [];
  return {
    ok: true,
    setting: {
      operator: { level, reason, author, ttlMs: ttl, setAt },
      features: new Map(Object.entries(features)),
      rules: rules.map(({ level: raised, when: condition, for: forMs, clearAfter }, i) => ({
        key: canonical(written[i] ?? null),
        level: raised,
        when: condition,
        forMs,
        clearAfterMs: clearAfter,
      })),
      document,
    },
  };
}
