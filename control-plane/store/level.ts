/**
 * The store of one process over an ordered key-value database: `embedded` on classic-level, where an acknowledged write is on
 * the disk, and `memory`, which forgets. State is held in memory and compared there; the database is what survives. Nothing
 * is told to a writer or a watcher before it is down.
 */
import type { Clock } from '../../core/clock.js';
import type { Exchanged, RecordWrite, StoredRecord } from '../../core/coordination/contract.js';
import { type Issue, MeshError, messageOf } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import type { Logger } from '../telemetry/logger.js';
import { FaultLog, fitHint } from './health-request.js';
import type { Change, Database } from './level-database.js';
import { LevelHealth } from './level-health.js';
import { decode, isIssue, keys, under } from './level-keys.js';
import { LevelRegistry } from './level-registry.js';
import { LevelWatch, type WatchSource } from './level-watch.js';
import { LevelWriter } from './level-writer.js';
import { checkRequest } from './request.js';
import { isAuditEntry, isHistoryEntry, isJsonObject, isLogEntry } from './shapes.js';
import type {
  AuditEntry,
  Board,
  HealthExchange,
  HistoryEntry,
  Instance,
  RegistrySnapshot,
  ReplicaSummary,
  Snapshot,
  Store,
  Watch,
  WatchListener,
  WriteRequest,
  WriteResult,
} from './store.js';

interface Options {
  readonly kind: 'memory' | 'embedded';
  readonly description: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Reads what the database holds; rejects if it cannot. The store closes the database with itself. */
export async function openLevelStore(db: Database, options: Options): Promise<Store> {
  const watches = new Set<LevelWatch>();
  const { description, clock, random, logger } = options;
  const writer = await LevelWriter.open({
    ...{ db, description, clock, random },
    settled: () => {
      for (const watch of watches) watch.wake();
    },
    failed: (error) => logger.error({ error, store: description }, 'the store could not write'),
  });
  return new LevelStore(db, writer, watches, options);
}

class LevelStore implements Store {
  readonly kind: 'memory' | 'embedded';
  readonly description: string;
  readonly #db: Database;
  readonly #writer: LevelWriter;
  readonly #watches: Set<LevelWatch>;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #logger: Logger;
  readonly #registry = new LevelRegistry();
  readonly #health: LevelHealth;
  /** Batches of records go down one after the other: the disk must not end with an older one. */
  #recordsKept: Promise<void> = Promise.resolve();
  readonly #source: WatchSource;
  #closed: Promise<void> | undefined;

  constructor(
    db: Database,
    writer: LevelWriter,
    watches: Set<LevelWatch>,
    { kind, description, clock, random, logger }: Options,
  ) {
    this.kind = kind;
    this.description = description;
    this.#db = db;
    this.#writer = writer;
    this.#watches = watches;
    this.#clock = clock;
    this.#random = random;
    this.#logger = logger;
    this.#registry.restore(writer.loaded, clock.now());
    this.#health = new LevelHealth(new FaultLog(logger, description));
    this.#health.restore(writer.loaded.circuits, clock.now());
    this.#source = {
      dataset: () => writer.ledger.dataset,
      head: () => writer.ledger.head,
      logAfter: (revision, head, limit) => this.#logAfter(revision, head, limit),
      registryAfter: (cursor) => this.#registry.since(cursor),
      health: () => ({ up: writer.broken === '', reason: writer.broken }),
    };
  }

  async write(request: WriteRequest): Promise<WriteResult> {
    checkRequest(request);
    this.#assertOpen();
    return this.#writer.write(request);
  }

  async load(): Promise<Snapshot> {
    this.#assertOpen();
    const { dataset, head, rows, damaged } = this.#writer.ledger;
    const faults: Issue[] = [...damaged.values()];
    const documents = [...rows.values()].flatMap(({ name, revision, document }) => {
      if (document === null) return [];
      if (isJsonObject(document)) return [{ name, revision, document }];
      faults.push({ path: name, message: 'the stored document is not a JSON object; it is skipped' });
      return [];
    });
    return { dataset, head, documents, faults };
  }

  async history(name: string, options: { before?: number; limit: number }): Promise<readonly HistoryEntry[]> {
    this.#assertOpen();
    const { before = Number.MAX_SAFE_INTEGER, limit } = options;
    const revisions = (this.#writer.ledger.rows.get(name)?.history ?? [])
      .filter((revision) => revision < before)
      .slice(-limit)
      .reverse();
    const wanted = revisions.map((revision) => keys.history(name, revision));
    const texts = await this.#read(() => this.#db.getMany(wanted));
    return texts.flatMap((text, i) => parsed(wanted[i] ?? '', text, isHistoryEntry));
  }

  async revision(name: string, revision: number): Promise<HistoryEntry | undefined> {
    this.#assertOpen();
    const key = keys.history(name, revision);
    const [text] = await this.#read(() => this.#db.getMany([key]));
    return parsed(key, text, isHistoryEntry)[0];
  }

  async audit({ before, limit }: { before?: string; limit: number }): Promise<readonly AuditEntry[]> {
    this.#assertOpen();
    if (before !== undefined && !/^\d{1,16}$/.test(before)) return [];
    const number = Number(before ?? Number.MAX_SAFE_INTEGER);
    const range = { gt: under('audit').gt, lt: keys.audit(number), reverse: true, limit };
    const entries = await this.#read(() => this.#db.range(range));
    return entries.flatMap(([key, text]) => parsed(key, text, isAuditEntry));
  }

  watch(from: { dataset: string; revision: number; cursor: string }, listener: WatchListener): Watch {
    const watch = new LevelWatch(this.#source, from, listener, {
      error: (error) => this.#logger.error({ error }, 'a watch of the store stopped'),
      close: (closed) => this.#watches.delete(closed),
    });
    this.#watches.add(watch);
    watch.wake();
    return watch;
  }

  async loadRegistry(): Promise<RegistrySnapshot> {
    this.#assertOpen();
    return { ...this.#registry.snapshot(this.#clock.now()), faults: this.#writer.faults };
  }

  async lease(instances: readonly Instance[], ttlMs: number): Promise<readonly ('held' | 'stale')[]> {
    this.#assertOpen();
    const { answers, changes } = this.#registry.lease(instances, ttlMs, this.#clock.now());
    await this.#keep(changes);
    return answers;
  }

  async release(id: string, boot: number): Promise<void> {
    this.#assertOpen();
    await this.#keep(this.#registry.release(id, boot));
  }

  async expire(): Promise<number> {
    this.#assertOpen();
    const changes = this.#registry.expire(this.#clock.now());
    await this.#keep(changes);
    return changes.length;
  }

  async learn(service: string, callees: readonly string[]): Promise<void> {
    this.#assertOpen();
    await this.#keep(this.#registry.learn(service, callees));
  }

  async publishSummaries(
    summaries: readonly ReplicaSummary[],
    ttlMs: number,
    board: Board = 'roster',
  ): Promise<void> {
    this.#assertOpen();
    this.#registry.publishSummaries(summaries, ttlMs, this.#clock.now(), board);
  }

  async summaries(board: Board = 'roster', only?: readonly string[]): Promise<readonly ReplicaSummary[]> {
    this.#assertOpen();
    return this.#registry.summaries(this.#clock.now(), board, only);
  }

  async exchangeHealth(exchange: HealthExchange): Promise<Exchanged> {
    this.#assertOpen();
    const { exchanged, changes } = this.#health.exchange(exchange, this.#clock.now());
    if (changes.length > 0) await this.#keepRecords(changes, false);
    return exchanged;
  }

  /** Synced: what agents were told must not be taken back by a power cut. A batch that failed is written by the repeat. */
  async putRecord(write: RecordWrite, ttlMs: number): Promise<StoredRecord | undefined> {
    this.#assertOpen();
    const answer = this.#health.put(write, ttlMs, this.#clock.now());
    if (!('type' in answer)) return answer;
    await this.#keepRecords([answer], true);
    return undefined;
  }

  async hintCircuits(circuits: readonly string[]): Promise<void> {
    this.#assertOpen();
    this.#registry.hint(fitHint(circuits));
    this.#wake();
  }

  async settleDataset(seen: { dataset: string; revision: number }): Promise<string> {
    this.#assertOpen();
    if (seen.dataset === this.#writer.ledger.dataset && this.#writer.ledger.head < seen.revision) {
      const dataset = this.#random.hex(8);
      await this.#read(() =>
        this.#db.batch([{ type: 'put', key: keys.dataset, value: dataset }], { sync: true }),
      );
      this.#writer.ledger.dataset = dataset;
      this.#wake();
    }
    return this.#writer.ledger.dataset;
  }

  async ping(): Promise<void> {
    this.#assertOpen();
    await this.#read(() => this.#db.getMany([keys.dataset]));
  }

  close(): Promise<void> {
    this.#closed ??= (async () => {
      await this.#writer.idle();
      await this.#recordsKept;
      await Promise.all([...this.#watches].map((watch) => watch.close()));
      await this.#db.close();
    })();
    return this.#closed;
  }

  /** Unsynced: what the registry loses in a crash, the agents' streams bring back. */
  async #keep(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0) return;
    this.#wake();
    await this.#read(() => this.#db.batch(changes, { sync: false }));
  }

  #keepRecords(changes: readonly Change[], sync: boolean): Promise<void> {
    const kept = this.#recordsKept.then(() => this.#read(() => this.#db.batch(changes, { sync })));
    this.#recordsKept = kept.catch(() => {});
    return kept;
  }

  async #logAfter(revision: number, head: number, limit: number) {
    const range = { gt: keys.log(revision), lt: keys.log(head + 1), limit };
    const entries = await this.#db.range(range);
    return entries.flatMap(([key, text]) => parsed(key, text, isLogEntry));
  }

  async #read<T>(read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      throw new MeshError('store_unavailable', messageOf(error), { target: this.description, cause: error });
    }
  }

  #wake(): void {
    for (const watch of this.#watches) watch.wake();
  }

  #assertOpen(): void {
    if (this.#closed)
      throw new MeshError('store_unavailable', 'the store is closed', { target: this.description });
  }
}

function parsed<T>(key: string, text: string | undefined, check: (value: unknown) => value is T): T[] {
  if (text === undefined) return [];
  const value = decode(key, text, check);
  return typeof value === 'object' && value !== null && isIssue(value) ? [] : [value as T];
}
