/**
 * The store on Redis, shared by all replicas of a mesh. What must be atomic is a Lua script, what may be repeated carries a
 * request id, and nothing is ever repeated here: a write without an answer is `store_unavailable`, which means *unknown*, and
 * its writer repeats it. Three connections: for reads and leases, for writes, and for the watch. Never deletes or overwrites what it cannot read; an expected revision never matches it.
 */
import type { Clock } from '../../core/clock.js';
import type { Exchanged, RecordWrite, StoredRecord } from '../../core/coordination/contract.js';
import type { Random } from '../../core/random.js';
import type { Logger } from '../telemetry/logger.js';
import { FaultLog } from './health-request.js';
import { REGISTRY_EVENTS_MAX } from './limits.js';
import { type RedisClients, RedisConnection, type RedisLocation } from './redis-connection.js';
import { RedisHealth } from './redis-health.js';
import { RedisKeys } from './redis-keys.js';
import { loadStored } from './redis-load.js';
import { auditEntry, foreignKeys, historyEntry, storedDocuments } from './redis-read.js';
import { RedisRegistry } from './redis-registry.js';
import { streamEntries, unwrap } from './redis-replies.js';
import { runScript, type ScriptName } from './redis-scripts.js';
import { RedisWatch } from './redis-watch.js';
import { RedisWriter } from './redis-writer.js';
import { checkRequest } from './request.js';
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

/** For one command; the mirror repeats a write within 2 s. */
const COMMAND_TIMEOUT_MS = 1500;
interface Options {
  readonly clients: RedisClients;
  readonly mesh: string;
  readonly replica: string;
  readonly description: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Never fails: a Redis that is away is told by each method and by the watch. */
export function openRedisStore(location: RedisLocation, options: Options): Store {
  return new RedisStore(location, options);
}

/** A place in the log that this replica has seen, with the request that is there: a number alone is never trusted. */
interface Tip {
  readonly dataset: string;
  readonly revision: number;
  readonly request: string;
}

class RedisStore implements Store {
  readonly kind = 'redis';
  readonly description: string;
  readonly #location: RedisLocation;
  readonly #options: Options;
  readonly #keys: RedisKeys;
  readonly #reads: RedisConnection;
  readonly #writes: RedisConnection;
  readonly #writer: RedisWriter;
  readonly #registry: RedisRegistry;
  readonly #health: RedisHealth;
  readonly #watches = new Set<RedisWatch>();
  #loaded: Tip = { dataset: '', revision: 0, request: '' };
  #watched: Tip = this.#loaded;

  constructor(location: RedisLocation, options: Options) {
    this.description = options.description;
    this.#location = location;
    this.#options = options;
    this.#keys = new RedisKeys(options.mesh);
    this.#reads = this.#connect('reads', COMMAND_TIMEOUT_MS);
    this.#writes = this.#connect('writes', COMMAND_TIMEOUT_MS);
    this.#writer = new RedisWriter(this.#writes, this.#keys);
    this.#registry = new RedisRegistry(this.#keys, (name, keys, args) => this.#read(name, keys, args));
    const faults = new FaultLog(options.logger, options.description);
    this.#health = new RedisHealth(this.#reads, this.#keys, faults);
  }

  async write(request: WriteRequest): Promise<WriteResult> {
    checkRequest(request);
    return this.#writer.write(request, this.#requestAt(request.seen));
  }

  async load(): Promise<Snapshot> {
    const [meta = '', key = '', log = ''] = this.#keys.of('meta', 'documents', 'log');
    const keys = { meta, documents: key, log };
    const { stored, ...tip } = await loadStored(this.#reads, keys, this.#options.random.hex(8));
    const { documents, faults } = storedDocuments(key, stored);
    this.#loaded = tip;
    // In a Cluster a SCAN would need every node; a look around is not worth a load that fails.
    const look = this.#location.kind !== 'cluster';
    const foreign = look ? await foreignKeys(this.#reads, this.#keys).catch(() => []) : [];
    return { dataset: tip.dataset, head: tip.revision, documents, faults: [...faults, ...foreign] };
  }

  async history(
    name: string,
    { before, limit }: { before?: number; limit: number },
  ): Promise<readonly HistoryEntry[]> {
    const from = before === undefined ? '+' : `(${before}-0`;
    return this.#history(name, from, '-', limit);
  }

  async revision(name: string, revision: number): Promise<HistoryEntry | undefined> {
    if (!Number.isSafeInteger(revision) || revision < 1) return undefined;
    return (await this.#history(name, `${revision}-0`, `${revision}-0`, 1))[0];
  }

  async audit({ before, limit }: { before?: string; limit: number }): Promise<readonly AuditEntry[]> {
    if (before !== undefined && !/^\d{1,16}$/.test(before)) return [];
    const [key = ''] = this.#keys.of('audit');
    const entries = await this.#reverse(key, before === undefined ? '+' : `(${before}-0`, '-', limit);
    return entries.flatMap((entry) => auditEntry(entry) ?? []);
  }

  watch(from: { dataset: string; revision: number; cursor: string }, listener: WatchListener): Watch {
    const watch = new RedisWatch({
      connect: (timeoutMs) => this.#connect('watch', timeoutMs),
      keys: this.#keys,
      from,
      request: this.#requestAt(from),
      listener,
      seen: (tip) => {
        this.#watched = { dataset: from.dataset, ...tip };
      },
      closed: () => this.#watches.delete(watch),
      clock: this.#options.clock,
      random: this.#options.random,
      logger: this.#options.logger,
    });
    this.#watches.add(watch);
    return watch;
  }

  loadRegistry(): Promise<RegistrySnapshot> {
    return this.#registry.load();
  }

  lease(instances: readonly Instance[], ttlMs: number): Promise<readonly ('held' | 'stale')[]> {
    return this.#registry.lease(instances, ttlMs);
  }

  release(id: string, boot: number): Promise<void> {
    return this.#registry.release(id, boot);
  }

  expire(): Promise<number> {
    return this.#registry.expire();
  }

  learn(service: string, callees: readonly string[]): Promise<void> {
    return this.#registry.learn(service, callees);
  }

  publishSummaries(
    summaries: readonly ReplicaSummary[],
    ttlMs: number,
    board: Board = 'roster',
  ): Promise<void> {
    return this.#registry.publishSummaries(summaries, ttlMs, board);
  }

  summaries(board: Board = 'roster', only?: readonly string[]): Promise<readonly ReplicaSummary[]> {
    return this.#registry.summaries(board, only);
  }

  exchangeHealth(exchange: HealthExchange): Promise<Exchanged> {
    return this.#health.exchange(exchange);
  }

  putRecord(write: RecordWrite, ttlMs: number): Promise<StoredRecord | undefined> {
    return this.#health.put(write, ttlMs);
  }

  hintCircuits(circuits: readonly string[]): Promise<void> {
    return this.#health.hint(circuits);
  }

  async settleDataset(seen: { dataset: string; revision: number }): Promise<string> {
    const answer = await this.#read('settle', this.#keys.of('meta', 'log', 'registry'), [
      this.#options.random.hex(8),
      seen.dataset,
      seen.revision,
      this.#requestAt(seen),
      REGISTRY_EVENTS_MAX,
    ]);
    return String(answer);
  }

  async ping(): Promise<void> {
    const [reply] = await this.#reads.send(['hget', this.#keys.of('meta')[0] ?? '', 'dataset']);
    unwrap(reply, this.description);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#watches].map((watch) => watch.close()));
    this.#reads.close();
    this.#writes.close();
  }

  #connect(purpose: string, timeoutMs: number): RedisConnection {
    const { clients, replica, clock, random } = this.#options;
    // CLIENT SETNAME takes no blanks.
    const name = `switchgear:${replica.replace(/[^!-~]/g, '_')}:${purpose}`;
    return new RedisConnection(this.#location, { clients, name, timeoutMs, clock, random });
  }

  /** The request id at a place that was loaded or read last; empty for any other. */
  #requestAt({ dataset, revision }: { dataset: string; revision: number }): string {
    const tips = [this.#watched, this.#loaded];
    return tips.find((tip) => tip.dataset === dataset && tip.revision === revision)?.request ?? '';
  }

  async #history(name: string, from: string, to: string, limit: number): Promise<HistoryEntry[]> {
    const entries = await this.#reverse(this.#keys.history(name), from, to, limit);
    return entries.flatMap((entry) => historyEntry(name, entry) ?? []);
  }

  async #reverse(key: string, from: string, to: string, limit: number) {
    if (limit < 1) return [];
    const [reply] = await this.#reads.send(['xrevrange', key, from, to, 'count', limit]);
    return streamEntries(unwrap(reply, this.description, key));
  }

  async #read(
    name: ScriptName,
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<unknown> {
    const [reply] = await runScript(this.#reads, name, keys, args);
    return unwrap(reply, this.description);
  }
}
