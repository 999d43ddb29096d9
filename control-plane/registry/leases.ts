/**
 * Keeps the leases of the instances whose streams end at this replica. Registering and renewing go to the store in batches, one
 * at a time, so the store's work grows with replicas, not with instances. A lease outlives its stream and this replica: it is
 * given back only when the instance says so, and otherwise lapses after its 60 s. While the store is away everything is kept
 * wanted and tried again. Bounded by the streams: one entry each.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { MeshError, messageOf, toMeshError } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import type { Instance, Store } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';

export const leaseTtlMs = 60_000;
const RENEW_EVERY_MS = 20_000;
const RETRY_AFTER_MS = 1000;
const EXPIRE_EVERY_MS = 5000;
const BATCH_MAX = 500;

/** What an instance is told: its lease holds for so long, or why it doesn't (`store_unavailable`: it is still being tried). */
export type LeaseAnswer = { readonly ttlMs: number } | { readonly error: MeshError };
export type Tell = (answer: LeaseAnswer) => void;

interface Entry {
  readonly instance: Instance;
  /** To be told once it is stored; undefined: nobody waits. */
  tell: Tell | undefined;
  /** The store was away, and the instance knows. */
  toldAway: boolean;
}

export class Leases {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #entries = new Map<string, Entry>();
  /** Ids to be stored or renewed next. */
  readonly #due = new Set<string>();
  readonly #timers: Timer[];
  #expiry: Timer;
  #retry: Timer | undefined;
  #working: Promise<void> | undefined;
  #closed = false;

  constructor({
    store,
    clock,
    random,
    logger,
  }: { store: Store; clock: Clock; random: Random; logger: Logger }) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
    this.#timers = [clock.every(RENEW_EVERY_MS, () => this.renew())];
    const expire = (): Timer =>
      clock.after(EXPIRE_EVERY_MS + random.next() * 1000, () => {
        store
          .expire()
          .catch((error: unknown) => logger.debug({ error: messageOf(error) }, 'leases not expired'));
        this.#expiry = expire();
      });
    this.#expiry = expire();
  }

  /** Registers or changes, and renews from now on. `tell` is called once it is stored, and before that once if the store is away. */
  hold(instance: Instance, tell: Tell): void {
    this.#entries.set(instance.id, { instance, tell, toldAway: false });
    this.#due.add(instance.id);
    this.#work();
  }

  /** The stream has ended: no more renewals. The lease itself stays until it lapses. */
  drop(id: string, boot: number): void {
    if (this.#entries.get(id)?.instance.boot !== boot) return;
    this.#entries.delete(id);
    this.#due.delete(id);
  }

  /** Gives a lease back, behind whatever is under way. */
  async release(id: string, boot: number, tell: Tell): Promise<void> {
    this.drop(id, boot);
    try {
      await this.#working;
      await this.#store.release(id, boot);
      tell({ ttlMs: 0 });
    } catch (error) {
      tell({ error: toMeshError(error, 'store_unavailable') });
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers) timer.cancel();
    this.#expiry.cancel();
    this.#retry?.cancel();
    await this.#working;
  }

  /** All of them, now: the store may have lost them. */
  renew(): void {
    for (const id of this.#entries.keys()) this.#due.add(id);
    this.#work();
  }

  #work(): void {
    if (this.#working || this.#closed) return;
    this.#working = this.#drain().finally(() => {
      this.#working = undefined;
      if (this.#due.size > 0 && !this.#retry) this.#work();
    });
  }

  /** One batch after the other until nothing is due, or the store fails. */
  async #drain(): Promise<void> {
    // A turn of the loop for others to join the batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#due.size > 0 && !this.#closed) {
      const ids = [...this.#due].slice(0, BATCH_MAX);
      const batch = ids.flatMap((id) => this.#entries.get(id) ?? []);
      for (const id of ids) this.#due.delete(id);
      if (batch.length === 0) continue;
      try {
        const results = await this.#store.lease(
          batch.map(({ instance }) => instance),
          leaseTtlMs,
        );
        batch.forEach((entry, at) => {
          this.#stored(entry, results[at] ?? 'held');
        });
      } catch (error) {
        for (const entry of batch) this.#away(entry, toMeshError(error, 'store_unavailable'));
        this.#retryLater();
        return;
      }
    }
  }

  #stored(entry: Entry, result: 'held' | 'stale'): void {
    const { tell, instance } = entry;
    entry.tell = undefined;
    if (result === 'held') {
      tell?.({ ttlMs: leaseTtlMs });
      return;
    }
    if (this.#entries.get(instance.id) === entry) this.#entries.delete(instance.id);
    this.#logger.warn({ instance: instance.id, boot: instance.boot }, 'a newer process holds the lease');
    tell?.({
      error: new MeshError(
        'revision_conflict',
        'a newer process is registered under this name: give each process an instance name of its own',
        { target: instance.id },
      ),
    });
  }

  #away(entry: Entry, error: MeshError): void {
    if (this.#entries.get(entry.instance.id) !== entry) return;
    this.#due.add(entry.instance.id);
    if (entry.toldAway || !entry.tell) return;
    entry.toldAway = true;
    entry.tell({ error });
  }

  #retryLater(): void {
    if (this.#closed) return;
    this.#retry = this.#clock.after(RETRY_AFTER_MS, () => {
      this.#retry = undefined;
      this.#work();
    });
  }
}
