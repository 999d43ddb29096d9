/**
 * Documents, revisions and remembered requests of the level store in memory, and the step from one state to the next. A
 * `Stage` gathers the effects of any number of writes on top of a ledger, each all or nothing, as one batch for the disk;
 * only when that is down does `commit` make them the ledger's state. No IO, no clock.
 */
import type { Issue } from '../../core/errors.js';
import type { Change } from './level-database.js';
import { encode, keys } from './level-keys.js';
import { AUDIT_ENTRIES_MAX, DELETED_MAX, HISTORY_MAX, LOG_ENTRIES_MAX, REQUEST_TTL_MS } from './limits.js';
import { behind, conflict, fingerprint, holds, type Present, RequestIdReused } from './request.js';
import type {
  AuditEntry,
  HistoryEntry,
  LogEntry,
  Operation,
  WriteOutcome,
  WriteRequest,
  WriteResult,
} from './store.js';

/** A name that has or had a document (`null`: deleted), with the revisions of it that are kept, oldest first. */
export interface Row {
  readonly name: string;
  readonly revision: number;
  readonly document: string | null;
  readonly history: readonly number[];
}

/** The answer to a request id. */
export interface Answer {
  readonly fingerprint: string;
  readonly outcomes: readonly WriteOutcome[];
  readonly head: number;
}

/** As it is on the disk: with the wall clock, the only one that survives a restart. */
export interface StoredAnswer extends Answer {
  readonly at: number;
}

/** As it is in memory: until when on the monotonic clock. */
export interface Remembered extends Answer {
  readonly expiresAt: number;
}

/** The two clocks at the moment of a write. */
export interface Time {
  readonly now: number;
  readonly wallNow: number;
}

export interface Ledger {
  dataset: string;
  head: number;
  /** Number of the last audit entry. */
  audits: number;
  readonly rows: Map<string, Row>;
  /** Names of the rows without a document, longest deleted first. */
  readonly deleted: Set<string>;
  /** Names whose row could not be read. */
  readonly damaged: Map<string, Issue>;
  /** Oldest first. */
  readonly requests: Map<string, Remembered>;
}

export class Stage {
  readonly changes: Change[] = [];
  readonly #ledger: Ledger;
  readonly #rows = new Map<string, Row>();
  readonly #requests = new Map<string, Remembered>();
  #head: number;
  #audits: number;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
    this.#head = ledger.head;
    this.#audits = ledger.audits;
  }

  /** Adds one write, or throws its refusal and adds nothing. */
  write(request: WriteRequest, time: Time): Omit<WriteResult, 'durability'> {
    const known = this.#remembered(request.requestId, time.now);
    const print = fingerprint(request);
    if (known) {
      if (known.fingerprint !== print) throw new RequestIdReused(request.requestId);
      return { outcomes: known.outcomes, head: known.head };
    }
    const { seen } = request;
    if (seen.dataset !== this.#ledger.dataset || this.#head < seen.revision)
      throw behind(seen, { dataset: this.#ledger.dataset, head: this.#head });
    const mismatches = request.operations
      .map(({ name, expected }) => ({ name, expected, present: this.#present(name) }))
      .filter(({ expected, present }) => !holds(expected, present));
    if (mismatches.length > 0) throw conflict(mismatches);

    const changes: AuditEntry['changes'][number][] = [];
    const outcomes = request.operations.map((operation) => this.#apply(operation, request, changes));
    if (changes.length > 0) this.#audit(request, changes);
    this.#remember(request.requestId, { fingerprint: print, outcomes, head: this.#head }, time);
    return { outcomes, head: this.#head };
  }

  /** The batch is on the disk: from now on this is how things are. */
  commit(): void {
    const { rows, deleted, damaged, requests } = this.#ledger;
    for (const [name, row] of this.#rows) {
      rows.set(name, row);
      damaged.delete(name);
      deleted.delete(name);
      if (row.document === null) deleted.add(name);
    }
    for (const [id, remembered] of this.#requests) requests.set(id, remembered);
    this.#ledger.head = this.#head;
    this.#ledger.audits = this.#audits;
  }

  /** Drops what the ledger need not keep any longer; part of the same batch. */
  tidy(now: number): void {
    const { requests, deleted, rows } = this.#ledger;
    for (const [id, { expiresAt }] of requests) {
      if (expiresAt > now) break;
      requests.delete(id);
      this.changes.push({ type: 'del', key: keys.request(id) });
    }
    for (const name of deleted) {
      if (deleted.size <= DELETED_MAX) break;
      if (this.#rows.has(name)) continue;
      for (const revision of rows.get(name)?.history ?? [])
        this.changes.push({ type: 'del', key: keys.history(name, revision) });
      this.changes.push({ type: 'del', key: keys.record(name) });
      deleted.delete(name);
      rows.delete(name);
    }
  }

  #apply(
    operation: Operation,
    request: WriteRequest,
    changes: AuditEntry['changes'][number][],
  ): WriteOutcome {
    const { name } = operation;
    const before = this.#row(name);
    const damaged = this.#present(name) === 'damaged';
    const document = operation.kind === 'put' ? operation.document : null;
    if (!damaged && (before?.document ?? null) === document)
      return { name, revision: before?.revision ?? 0, changed: false };
    const revision = ++this.#head;
    const previous = before && before.document !== null ? before.revision : null;
    const history = [...(before?.history ?? []), revision];
    const dropped = history.splice(0, Math.max(0, history.length - HISTORY_MAX));
    const row: Row = { name, revision, document, history };
    const entry: LogEntry = { revision, name, document };
    const { author, action, at } = request;
    const past: HistoryEntry = { revision, name, document, author, action, at };
    this.#rows.set(name, row);
    this.changes.push(
      { type: 'put', key: keys.record(name), value: encode(row) },
      { type: 'put', key: keys.log(revision), value: encode(entry) },
      { type: 'put', key: keys.history(name, revision), value: encode(past) },
      ...dropped.map((old): Change => ({ type: 'del', key: keys.history(name, old) })),
    );
    if (revision > LOG_ENTRIES_MAX)
      this.changes.push({ type: 'del', key: keys.log(revision - LOG_ENTRIES_MAX) });
    changes.push({ name, revision, previous });
    return { name, revision, changed: true };
  }

  #audit({ at, author, action }: WriteRequest, changes: AuditEntry['changes']): void {
    const number = ++this.#audits;
    const entry: AuditEntry = { id: String(number), at, author, action, changes };
    this.changes.push({ type: 'put', key: keys.audit(number), value: encode(entry) });
    if (number > AUDIT_ENTRIES_MAX)
      this.changes.push({ type: 'del', key: keys.audit(number - AUDIT_ENTRIES_MAX) });
  }

  #remember(id: string, answer: Answer, { now, wallNow }: Time): void {
    this.#requests.set(id, { ...answer, expiresAt: now + REQUEST_TTL_MS });
    const stored: StoredAnswer = { ...answer, at: wallNow };
    this.changes.push({ type: 'put', key: keys.request(id), value: encode(stored) });
  }

  #remembered(id: string, now: number): Remembered | undefined {
    const found = this.#requests.get(id) ?? this.#ledger.requests.get(id);
    return found && found.expiresAt > now ? found : undefined;
  }

  #row(name: string): Row | undefined {
    return this.#rows.get(name) ?? this.#ledger.rows.get(name);
  }

  #present(name: string): Present {
    if (!this.#rows.has(name) && this.#ledger.damaged.has(name)) return 'damaged';
    const row = this.#row(name);
    return row && row.document !== null ? row.revision : null;
  }
}
