/**
 * Which revision of which policy did what to the calls of a target, and how often. It is written on the slow path alone (a
 * rejection, a retry, a fallback), where the same thing tends to happen again: the last entry is tried first, the rest are few.
 *
 * Bound: 100 entries. Over it, those of revisions that a later one has replaced are added up under revision 0; what finds no
 * place even then is counted without a policy, by kind alone. No count is ever lost, and none goes down.
 */
import type { Source } from '../core/policy/model.js';
import type { DecisionKind } from './decisions.js';

export interface Entry {
  readonly kind: DecisionKind;
  readonly code: string;
  /** Empty: of no policy, such as the caller's own deadline. */
  readonly policy: string;
  /** 0: of no policy, or of revisions before the ones that are told apart. */
  readonly revision: number;
  count: number;
  /** How many of them the ledger of telemetry has taken. */
  told: number;
}

const ENTRIES_MAX = 100;
/** As OpenTelemetry calls what isn't told apart. */
export const OTHER = '_OTHER';

export class Book {
  #entries: Entry[] = [];
  #last: Entry | undefined;
  /** Revision at which there was no room to be made: an older one makes none either. */
  #fullAt = 0;

  get entries(): readonly Entry[] {
    return this.#entries;
  }

  add(kind: DecisionKind, code: string, source: Source | undefined): void {
    const policy = source === undefined ? '' : source.policy;
    const revision = source === undefined ? 0 : source.revision;
    const last = this.#last;
    const entry =
      last !== undefined && matches(last, kind, code, policy, revision)
        ? last
        : this.#entry(kind, code, policy, revision);
    entry.count++;
    this.#last = entry;
  }

  #entry(kind: DecisionKind, code: string, policy: string, revision: number): Entry {
    const known = this.#find(kind, code, policy, revision);
    if (known) return known;
    if (this.#entries.length < ENTRIES_MAX || this.#makeRoom(revision))
      return this.#append(kind, code, policy, revision);
    return this.#find(kind, OTHER, '', 0) ?? this.#append(kind, OTHER, '', 0);
  }

  #find(kind: DecisionKind, code: string, policy: string, revision: number): Entry | undefined {
    return this.#entries.find((entry) => matches(entry, kind, code, policy, revision));
  }

  #append(kind: DecisionKind, code: string, policy: string, revision: number): Entry {
    const entry = { kind, code, policy, revision, count: 0, told: 0 };
    this.#entries.push(entry);
    return entry;
  }

  #makeRoom(revision: number): boolean {
    if (revision <= this.#fullAt) return false;
    const newest = new Map<string, number>();
    for (const entry of this.#entries)
      newest.set(entry.policy, Math.max(entry.revision, newest.get(entry.policy) ?? 0));
    const before = this.#entries;
    this.#entries = before.filter((entry) => entry.revision === newest.get(entry.policy));
    for (const old of before) {
      if (old.revision === newest.get(old.policy)) continue;
      const { kind, code, policy } = old;
      const sum = this.#find(kind, code, policy, 0) ?? this.#append(kind, code, policy, 0);
      sum.count += old.count;
      sum.told += old.told;
    }
    if (this.#entries.length < ENTRIES_MAX) return true;
    this.#fullAt = revision;
    return false;
  }
}

function matches(entry: Entry, kind: DecisionKind, code: string, policy: string, revision: number): boolean {
  return entry.code === code && entry.kind === kind && entry.policy === policy && entry.revision === revision;
}
