/**
 * Accounts and records of the mesh's circuits in the level store, kept in memory. Records also go to the disk: their numbers
 * must not begin anew under a dataset that the agents know. Deadlines are on the monotonic clock, which no restart survives:
 * then each record gets its whole time again. Accounts are of the moment, and forgotten. At most SHARD_ENTRIES_MAX of each.
 */
import type {
  Exchanged,
  RecordWrite,
  StoredAccount,
  StoredRecord,
} from '../../core/coordination/contract.js';
import { MeshError } from '../../core/errors.js';
import { checkRecord, type FaultLog, fitAccounts, recordOf } from './health-request.js';
import type { Change } from './level-database.js';
import { encode, keys } from './level-keys.js';
import { HEALTH_TTL_MAX_MS, SHARD_ENTRIES_MAX } from './limits.js';
import type { HealthExchange } from './store.js';

/** As it is on the disk. */
export interface KeptRecord {
  readonly circuit: string;
  readonly seq: number;
  readonly body: string;
  readonly ttlMs: number;
}

export class LevelHealth {
  readonly #faults: FaultLog;
  /** By `<replica>\n<circuit>`. */
  readonly #accounts = new Map<string, StoredAccount & { readonly deadline: number }>();
  readonly #records = new Map<string, StoredRecord & { readonly deadline: number }>();

  constructor(faults: FaultLog) {
    this.#faults = faults;
  }

  restore(records: readonly KeptRecord[], now: number): void {
    for (const { circuit, seq, body, ttlMs } of records)
      if (recordOf(circuit, seq, body) && ttlMs >= 1 && ttlMs <= HEALTH_TTL_MAX_MS)
        this.#records.set(circuit, { circuit, seq, body, deadline: now + ttlMs });
      else this.#faults.say(keys.circuit(circuit), 'is not a record as we write it; it is skipped');
  }

  /** `changes`: records that ran out, for the disk. */
  exchange(exchange: HealthExchange, now: number): { exchanged: Exchanged; changes: Change[] } {
    const { replica, ttlMs } = exchange;
    const fit = fitAccounts(exchange, (circuit, message) => this.#faults.say(circuit, message));
    for (const [field, { deadline }] of this.#accounts) if (deadline <= now) this.#accounts.delete(field);
    for (const [circuit, body] of fit) {
      const field = `${replica}\n${circuit}`;
      if (this.#accounts.has(field) || this.#accounts.size < SHARD_ENTRIES_MAX)
        this.#accounts.set(field, { circuit, replica, body, deadline: now + ttlMs });
      else this.#faults.say('accounts', `there are ${SHARD_ENTRIES_MAX}, and no more are taken`);
    }
    const changes: Change[] = [];
    for (const [circuit, { deadline }] of this.#records)
      if (deadline <= now) {
        this.#records.delete(circuit);
        changes.push({ type: 'del', key: keys.circuit(circuit) });
      }
    const accounts = [...this.#accounts.values()].map(({ circuit, replica, body }) => ({
      circuit,
      replica,
      body,
    }));
    const records = [...this.#records.values()].map(({ circuit, seq, body }) => ({ circuit, seq, body }));
    return { exchanged: { accounts, records }, changes };
  }

  /** What is there instead, or the change that makes it last. */
  put(write: RecordWrite, ttlMs: number, now: number): StoredRecord | Change {
    checkRecord(write, ttlMs);
    const { circuit, expected, seq, body } = write;
    const found = this.#records.get(circuit);
    const present = found && found.deadline > now ? found : { circuit, seq: 0, body: '' };
    const repeated = present.seq === seq && present.body === body;
    if (!repeated && present.seq !== expected) return { circuit, seq: present.seq, body: present.body };
    if (!found && this.#records.size >= SHARD_ENTRIES_MAX)
      throw new MeshError('store_corrupt', `has ${SHARD_ENTRIES_MAX} records of circuits, and takes no more`);
    this.#records.set(circuit, { circuit, seq, body, deadline: now + ttlMs });
    const kept: KeptRecord = { circuit, seq, body, ttlMs };
    return { type: 'put', key: keys.circuit(circuit), value: encode(kept) };
  }
}
