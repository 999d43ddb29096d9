/**
 * The store that all replicas share, as one place that answers at once when it is asked: records by compare-and-set, accounts that
 * run out, and who is alive. It can be away (nobody is answered) and it can lose everything.
 */
import type {
  Exchanged,
  RecordWrite,
  StoredAccount,
  StoredRecord,
} from '../../../core/coordination/contract.js';

/** An account of a replica that says nothing more is dropped after so long; so is a replica that has gone. */
const ACCOUNT_MS = 5_000;
const REPLICA_MS = 5_000;

const NAME = 'dataset-';
const EPOCHS_MAX = 2 ** 32;

interface Account extends StoredAccount {
  readonly endsAt: number;
}

export class Store {
  away = false;
  /** Accounts that were written, and comparisons that were made. */
  operations = 0;
  /** Names its content: another one after it was lost. */
  dataset = `${NAME}1`;
  #losses = 1;
  /** By circuit and replica. */
  readonly #accounts = new Map<string, Account>();
  readonly #records = new Map<string, StoredRecord>();
  readonly #replicas = new Map<string, number>();

  /** A half-open period as one number: epochs begin anew with another dataset. */
  static periodOf(dataset: string, epoch: number): number {
    return Number(dataset.slice(NAME.length)) * EPOCHS_MAX + epoch;
  }

  exchange(replica: string, accounts: ReadonlyMap<string, string>, now: number): Exchanged {
    this.operations += accounts.size;
    this.#replicas.set(replica, now + REPLICA_MS);
    for (const [circuit, body] of accounts)
      this.#accounts.set(`${circuit} ${replica}`, { circuit, replica, body, endsAt: now + ACCOUNT_MS });
    for (const [key, { endsAt }] of this.#accounts) if (endsAt <= now) this.#accounts.delete(key);
    return { accounts: [...this.#accounts.values()], records: [...this.#records.values()] };
  }

  /** Undefined: it is written; else what is there instead. */
  compareAndSet({ circuit, expected, seq, body }: RecordWrite): StoredRecord | undefined {
    this.operations++;
    const present = this.#records.get(circuit) ?? { circuit, seq: 0, body: '' };
    if (present.seq !== expected) return present;
    this.#records.set(circuit, { circuit, seq, body });
    return undefined;
  }

  replicas(now: number): string[] {
    for (const [name, endsAt] of this.#replicas) if (endsAt <= now) this.#replicas.delete(name);
    return [...this.#replicas.keys()].sort();
  }

  /** It says goodbye. */
  leave(replica: string): void {
    this.#replicas.delete(replica);
  }

  /** It comes back without what it held. */
  lose(): void {
    this.#accounts.clear();
    this.#records.clear();
    this.#replicas.clear();
    this.dataset = `${NAME}${++this.#losses}`;
  }
}
