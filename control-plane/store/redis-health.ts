/**
 * Accounts and records of the mesh's circuits on Redis. Both lie in 64 shards, so that a Cluster can spread them; a small
 * index says which hold anything. An exchange is one pipeline: the index, and one script for each shard that this replica
 * writes or that held something the last time; shards that are new to it cost a second pipeline, once. An idle mesh costs one
 * command, an active one as many more as it has active shards, however many agents and circuits there are. May be repeated.
 */
import type {
  Exchanged,
  RecordWrite,
  StoredAccount,
  StoredRecord,
} from '../../core/coordination/contract.js';
import { MeshError } from '../../core/errors.js';
import {
  accountOf,
  checkRecord,
  type FaultLog,
  fitAccounts,
  fitHint,
  recordOf,
  SHARDS,
  shardOf,
} from './health-request.js';
import { HEALTH_TTL_MAX_MS, REGISTRY_EVENTS_MAX, SHARD_ENTRIES_MAX } from './limits.js';
import type { RedisConnection } from './redis-connection.js';
import type { RedisKeys } from './redis-keys.js';
import { pairs, type Reply, texts, unwrap } from './redis-replies.js';
import { runScripts, type ScriptCall } from './redis-scripts.js';
import type { HealthExchange } from './store.js';

/** The index outlives what it points at, which is written a moment later. */
const INDEX_SLACK_MS = 5000;

const everyShard: readonly number[] = Array.from({ length: SHARDS }, (_, n) => n);

export class RedisHealth {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #faults: FaultLog;
  readonly #index: string;
  /** Shards that held something when the index was last read. */
  #active: readonly number[] = [];

  constructor(connection: RedisConnection, keys: RedisKeys, faults: FaultLog) {
    this.#connection = connection;
    this.#keys = keys;
    this.#faults = faults;
    [this.#index = ''] = keys.of('shards');
  }

  async exchange(exchange: HealthExchange): Promise<Exchanged> {
    const fit = fitAccounts(exchange, (circuit, message) => this.#faults.say(circuit, message));
    const own = new Map<number, string[]>();
    for (const [circuit, body] of fit) {
      const n = shardOf(circuit);
      const args = own.get(n) ?? [];
      args.push(circuit, body);
      own.set(n, args);
    }
    const ttlMs = Math.round(exchange.ttlMs);
    const visit = (n: number): ScriptCall => ({
      name: 'exchange',
      keys: [this.#keys.shard('health', n), this.#keys.shard('circuits', n)],
      args: [exchange.replica, ttlMs, HEALTH_TTL_MAX_MS, SHARD_ENTRIES_MAX, ...(own.get(n) ?? [])],
    });
    const asked = [...new Set([...own.keys(), ...this.#active])];
    const [index, ...replies] = await runScripts(this.#connection, [
      this.#note([...own.keys()], ttlMs),
      ...asked.map(visit),
    ]);
    this.#active = this.#activeOf(index);
    const others = this.#active.filter((n) => !asked.includes(n));
    replies.push(...(await runScripts(this.#connection, others.map(visit))));
    const accounts: StoredAccount[] = [];
    const records: StoredRecord[] = [];
    for (const [i, n] of [...asked, ...others].entries()) this.#take(replies[i], n, { accounts, records });
    return { accounts, records };
  }

  async put(write: RecordWrite, ttlMs: number): Promise<StoredRecord | undefined> {
    checkRecord(write, ttlMs);
    const { circuit, expected, seq, body } = write;
    const n = shardOf(circuit);
    const [index, reply] = await runScripts(this.#connection, [
      this.#note([n], Math.round(ttlMs)),
      {
        name: 'record',
        keys: [this.#keys.shard('circuits', n)],
        args: [circuit, expected, seq, body, Math.round(ttlMs), HEALTH_TTL_MAX_MS, SHARD_ENTRIES_MAX],
      },
    ]);
    const present = unwrap(reply, this.#connection.description);
    // A record that the index doesn't know is seen by nobody else: not written until both are.
    this.#activeOf(index);
    if (present === null || present === undefined) return undefined;
    const [stored, text = ''] = texts(present);
    return { circuit, seq: Number(stored), body: text };
  }

  async hint(circuits: readonly string[]): Promise<void> {
    const named = fitHint(circuits);
    if (named.length === 0) return;
    const [reply] = await runScripts(this.#connection, [
      {
        name: 'hint',
        keys: this.#keys.of('registry', 'meta'),
        args: [REGISTRY_EVENTS_MAX, JSON.stringify({ kind: 'circuits', circuits: named })],
      },
    ]);
    unwrap(reply, this.#connection.description);
  }

  #note(shards: readonly number[], ttlMs: number): ScriptCall {
    const untilMs = ttlMs + INDEX_SLACK_MS;
    return {
      name: 'shards',
      keys: [this.#index],
      args: [SHARDS, HEALTH_TTL_MAX_MS + INDEX_SLACK_MS, ...shards.flatMap((n) => [n, untilMs])],
    };
  }

  /** With an index that is none, every shard may hold something. */
  #activeOf(reply: Reply | undefined): readonly number[] {
    const answer = this.#readable(reply, this.#index);
    if (!Array.isArray(answer)) return everyShard;
    for (const n of texts(answer[1]))
      this.#faults.say(
        `${this.#index} ${n}`,
        'is no deadline of ours; the shard is taken for active, delete the field',
      );
    return texts(answer[0]).map(Number);
  }

  #take(
    reply: Reply | undefined,
    n: number,
    into: { accounts: StoredAccount[]; records: StoredRecord[] },
  ): void {
    const health = this.#keys.shard('health', n);
    const circuits = this.#keys.shard('circuits', n);
    const answer = this.#readable(reply, health);
    const [accounts, records, damaged] = Array.isArray(answer) ? answer : [];
    for (const [field, body] of pairs(accounts)) {
      const account = accountOf(field, body, n);
      if (account) into.accounts.push(account);
      else this.#skipped(health, field);
    }
    const list = texts(records);
    for (let i = 0; i + 2 < list.length; i += 3) {
      const [circuit = '', seq, body = ''] = list.slice(i, i + 3);
      const record = recordOf(circuit, Number(seq), body, n);
      if (record) into.records.push(record);
      else this.#skipped(circuits, circuit);
    }
    for (const [key, field] of pairs(damaged)) this.#skipped(key, field);
  }

  #skipped(key: string, field: string): void {
    this.#faults.say(`${key} ${field}`, 'is not as we write it; it is skipped, delete the field');
  }

  /** Undefined where somebody else's data lies in our place: named, and the other shards go on. */
  #readable(reply: Reply | undefined, path: string): unknown {
    try {
      return unwrap(reply, this.#connection.description, path);
    } catch (error) {
      if (!(error instanceof MeshError && error.code === 'store_corrupt')) throw error;
      this.#faults.say(path, error.message);
      return undefined;
    }
  }
}
