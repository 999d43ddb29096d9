/**
 * The store as the control plane sees it: documents with one sequence of revisions, and the registry of instances. Two
 * implementations (Redis, embedded) hold to one contract suite. A write is one atomic step: compare, then document, history,
 * audit and log together, or nothing. A timeout means *unknown*, so every write carries a request id and may be repeated.
 */
import type { Exchanged, RecordWrite, StoredRecord } from '../../core/coordination/contract.js';
import type { Issue } from '../../core/errors.js';

/** How far an acknowledged write is safe: in memory, on disk, or on a replica as well. */
export type Durability = 'memory' | 'fsync' | 'replicated';

/** What a writer expects of the present revision: a number, `null` (must not exist), or `any`. */
export type Expected = number | null | 'any';

export type Operation =
  | {
      readonly kind: 'put';
      readonly name: string;
      readonly document: string;
      readonly expected: Expected;
      /** What its writer wants, where the document is made anew at each try: this, and not the document, is what a repeat is known by. */
      readonly intent?: string;
    }
  | { readonly kind: 'delete'; readonly name: string; readonly expected: Expected };

export interface WriteRequest {
  /** Unique for the intent: the same id applied twice is applied once and answers the same. Remembered for 10 minutes. */
  readonly requestId: string;
  /** Who asked: a token's name, or `anonymous`. */
  readonly author: string;
  /** What it was: `put`, `delete`, `apply`, `rollback`. */
  readonly action: string;
  /** Wall-clock milliseconds, for people. */
  readonly at: number;
  /** Last revision this writer's replica has seen of `dataset`; a log behind it refuses the write. */
  readonly seen: { readonly dataset: string; readonly revision: number };
  /** 1 to 1,000, names distinct. A put whose document equals the stored one changes nothing and keeps its revision. */
  readonly operations: readonly Operation[];
}

export interface WriteOutcome {
  readonly name: string;
  /** The document's revision after the write; of a delete, the revision of the deletion. */
  readonly revision: number;
  readonly changed: boolean;
}

export interface WriteResult {
  readonly outcomes: readonly WriteOutcome[];
  /** Head of the log after the write. */
  readonly head: number;
  readonly durability: Durability;
}

export interface StoredDocument {
  readonly name: string;
  readonly revision: number;
  readonly document: string;
}

/** One line of the log: a document's new content, or its deletion (`document` null). */
export interface LogEntry {
  readonly revision: number;
  readonly name: string;
  readonly document: string | null;
}

export interface HistoryEntry {
  readonly revision: number;
  readonly name: string;
  /** `null`: the deletion. */
  readonly document: string | null;
  readonly author: string;
  readonly action: string;
  readonly at: number;
}

export interface AuditEntry {
  readonly id: string;
  readonly at: number;
  readonly author: string;
  readonly action: string;
  readonly changes: readonly {
    readonly name: string;
    readonly revision: number;
    readonly previous: number | null;
  }[];
}

/** Everything at one moment. */
export interface Snapshot {
  readonly dataset: string;
  readonly head: number;
  readonly documents: readonly StoredDocument[];
  /** What could not be read: foreign or damaged entries, each named; they are skipped, never deleted. */
  readonly faults: readonly Issue[];
}

export interface Instance {
  /** `<service>/<instance>`. */
  readonly id: string;
  readonly service: string;
  readonly instance: string;
  /** Of the process: the newer boot replaces the older. */
  readonly boot: number;
  readonly address: string;
  readonly protocol: string;
  readonly zone: string;
  readonly version: string;
  readonly weight: number;
  /** Wall-clock milliseconds of registration, for people. */
  readonly registeredAt: number;
  /** Replica that holds the stream. */
  readonly replica: string;
}

export interface LeasedInstance extends Instance {
  /** Milliseconds left on the store's own clock when it was read. */
  readonly remainingMs: number;
}

export type RegistryEvent =
  | { readonly kind: 'up'; readonly instance: Instance }
  | {
      readonly kind: 'down';
      readonly id: string;
      readonly service: string;
      readonly reason: 'released' | 'expired';
    }
  | { readonly kind: 'interest'; readonly service: string; readonly callees: readonly string[] }
  /** The records of these circuits have just changed: a hint, for certain it is known by the next exchange. */
  | { readonly kind: 'circuits'; readonly circuits: readonly string[] };

/** What a watcher is told, in order. */
export interface WatchListener {
  log(entries: readonly LogEntry[]): void;
  /** `cursor`: where a watch would go on after these. */
  registry(events: readonly RegistryEvent[], cursor: string): void;
  /** The past is gone or another: load everything anew and watch from there; this watch says nothing more. */
  reset(reason: string): void;
  /** Whether the store answers at present. Called on each change. */
  health(up: boolean, reason: string): void;
}

export interface Watch {
  close(): Promise<void>;
}

export interface RegistrySnapshot {
  readonly instances: readonly LeasedInstance[];
  /** Callees that instances of a service have used: service → names. */
  readonly interests: ReadonlyMap<string, readonly string[]>;
  /** Where `watch` has to start so that nothing is missed. */
  readonly cursor: string;
  /** What could not be read, as in a `Snapshot`. */
  readonly faults: readonly Issue[];
}

/**
 * Where summaries are put up: each board is read by itself. How replicas are; who is connected to them, in pages with a summary each;
 * what they claim of limits of the mesh.
 */
export type Board = 'roster' | 'pages' | 'rates';

/** A replica's account of itself, for the others' answers. Replaced whole, expires after `ttlMs`. */
export interface ReplicaSummary {
  /** Or what else it is known by on its board. */
  readonly replica: string;
  readonly body: string;
}

/** A replica's accounts of circuits of the mesh: circuit → body. */
export interface HealthExchange {
  /** 1 to 200 characters in one line. */
  readonly replica: string;
  /** 1 ms to a day, on the store's clock; what is not named again is left to run out. */
  readonly ttlMs: number;
  /** At most 10,000, of at most 16 KiB each. */
  readonly accounts: ReadonlyMap<string, string>;
}

/**
 * Every method may reject with a MeshError: `store_unavailable` (nothing is known of the write, repeat it with its id),
 * `revision_conflict` (with `issues`: one for each operation that met another revision, its `path` the document's name),
 * `invalid_request` (a malformed write, or a request id of another one), `store_corrupt` (naming what cannot be read).
 */
export interface Store {
  readonly kind: 'memory' | 'embedded' | 'redis';
  /** For people: where it is, without secrets. */
  readonly description: string;

  write(request: WriteRequest): Promise<WriteResult>;
  load(): Promise<Snapshot>;
  /** History of one document, newest first, revisions below `before`. At least the last 100 revisions are kept. */
  history(name: string, options: { before?: number; limit: number }): Promise<readonly HistoryEntry[]>;
  revision(name: string, revision: number): Promise<HistoryEntry | undefined>;
  /** Newest first; `before` is an entry's id. At least the last 10,000 entries are kept. */
  audit(options: { before?: string; limit: number }): Promise<readonly AuditEntry[]>;

  /** Follows log and registry from (exclusive) these places on, without a gap: one reader for each replica. */
  watch(from: { dataset: string; revision: number; cursor: string }, listener: WatchListener): Watch;

  loadRegistry(): Promise<RegistrySnapshot>;
  /** Registers or renews; answers what holds. `stale`: a newer boot of the same id is there. */
  lease(instances: readonly Instance[], ttlMs: number): Promise<readonly ('held' | 'stale')[]>;
  release(id: string, boot: number): Promise<void>;
  /**
   * Ends leases that ran out on the store's clock; each is told to all watchers once. Any replica may call it at any time,
   * and some should every few seconds: after 15 s without a call nobody could reach the store, so nobody could renew, and
   * the first call ends nothing but gives every lease 60 s to be renewed in.
   */
  expire(): Promise<number>;
  /** Adds names to a service's interests (at most 1,000 are kept). */
  learn(service: string, callees: readonly string[]): Promise<void>;

  /** Without a board: the roster's. */
  publishSummaries(summaries: readonly ReplicaSummary[], ttlMs: number, board?: Board): Promise<void>;
  /** Those that hold; `only`: of these replicas, of none if empty. */
  summaries(board?: Board, only?: readonly string[]): Promise<readonly ReplicaSummary[]>;

  /**
   * Writes a replica's accounts and answers all that has not run out, of every replica, with the records of all circuits. An
   * account that is too large, or one too many, is left out and named in the log, as is what cannot be read: the others
   * go on. May be repeated. Accounts and records go with the data they lie in: after a loss an exchange answers what was
   * written since, and numbers are not compared across datasets.
   */
  exchangeHealth(exchange: HealthExchange): Promise<Exchanged>;
  /**
   * Compares and sets in one step; undefined: it was written, else what is there, and `seq` 0 with an empty body where
   * nothing is. A repeat of a write that is there answers as the first did and gives the record its whole time anew; what
   * has run out or cannot be read counts as nothing. `ttlMs` as in an exchange.
   */
  putRecord(write: RecordWrite, ttlMs: number): Promise<StoredRecord | undefined>;
  /** Tells all watchers that these circuits' records have changed; at most 1,000, the rest is left to the next exchange. */
  hintCircuits(circuits: readonly string[]): Promise<void>;

  /** If the data is behind what this replica has seen, gives the dataset a new name; answers the present one. */
  settleDataset(seen: { dataset: string; revision: number }): Promise<string>;
  ping(): Promise<void>;
  close(): Promise<void>;
}
