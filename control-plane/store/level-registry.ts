/**
 * Instances, their leases, interests and summaries of the level store: kept in memory, with the last events for watchers that
 * are behind. Instances and interests also go to the disk, unsynced: after a restart they spare the callers an empty list,
 * and each lease begins anew, since no monotonic clock survives the process. Everything is bounded by `limits.ts` or, for
 * instances, by who is connected.
 */
import type { Change } from './level-database.js';
import { encode, keys } from './level-keys.js';
import {
  EXPIRE_GAP_MS,
  INTEREST_SERVICES_MAX,
  INTERESTS_MAX,
  LEASE_GRACE_MS,
  REGISTRY_EVENTS_MAX,
} from './limits.js';
import type { Board, Instance, RegistryEvent, RegistrySnapshot, ReplicaSummary } from './store.js';

interface Lease {
  readonly instance: Instance;
  /** On the monotonic clock. */
  readonly deadline: number;
}

export class LevelRegistry {
  readonly #leases = new Map<string, Lease>();
  readonly #interests = new Map<string, Set<string>>();
  readonly #boards: { readonly [B in Board]: Map<string, { body: string; deadline: number }> } = {
    roster: new Map(),
    pages: new Map(),
    rates: new Map(),
  };
  /** The last events; the number of the first one kept is `#number - #events.length + 1`. */
  readonly #events: RegistryEvent[] = [];
  #number = 0;
  /** When leases were last looked through. */
  #asked: number | undefined;

  restore({ instances, interests }: RegistryState, now: number): void {
    for (const { instance, ttlMs } of instances)
      this.#leases.set(instance.id, { instance, deadline: now + ttlMs });
    for (const [service, callees] of interests) this.#interests.set(service, new Set(callees));
  }

  snapshot(now: number): Omit<RegistrySnapshot, 'faults'> {
    return {
      instances: [...this.#leases.values()].map(({ instance, deadline }) => ({
        ...instance,
        remainingMs: Math.max(0, deadline - now),
      })),
      interests: new Map([...this.#interests].map(([service, callees]) => [service, [...callees]])),
      cursor: String(this.#number),
    };
  }

  /** Events after a cursor and the cursor behind them; undefined if they are no longer known. */
  since(cursor: string): { events: readonly RegistryEvent[]; cursor: string } | undefined {
    const missing = this.#number - Number(cursor);
    if (!(missing >= 0 && missing <= this.#events.length)) return undefined;
    const events = missing === 0 ? [] : this.#events.slice(-missing);
    return { events, cursor: String(this.#number) };
  }

  lease(
    instances: readonly Instance[],
    ttlMs: number,
    now: number,
  ): { answers: ('held' | 'stale')[]; changes: Change[] } {
    // From the first lease on it is known since when nobody has looked through them.
    this.#asked ??= now;
    const changes: Change[] = [];
    const answers = instances.map((instance) => {
      const held = this.#leases.get(instance.id);
      if (held && held.instance.boot > instance.boot) return 'stale';
      this.#leases.set(instance.id, { instance, deadline: now + ttlMs });
      if (!held || encode(held.instance) !== encode(instance)) {
        changes.push({ type: 'put', key: keys.instance(instance.id), value: encode({ instance, ttlMs }) });
        this.#tell({ kind: 'up', instance });
      }
      return 'held';
    });
    return { answers, changes };
  }

  release(id: string, boot: number): Change[] {
    const held = this.#leases.get(id);
    if (!held || held.instance.boot > boot) return [];
    return [this.#end(held.instance, 'released')];
  }

  expire(now: number): Change[] {
    const gap = now - (this.#asked ?? now);
    this.#asked = now;
    if (gap > EXPIRE_GAP_MS) {
      for (const [id, { instance, deadline }] of this.#leases)
        this.#leases.set(id, { instance, deadline: Math.max(deadline, now + LEASE_GRACE_MS) });
      return [];
    }
    const ended = [...this.#leases.values()].filter(({ deadline }) => deadline <= now);
    return ended.map(({ instance }) => this.#end(instance, 'expired'));
  }

  learn(service: string, callees: readonly string[]): Change[] {
    const known = this.#interests.get(service) ?? new Set();
    if (!this.#interests.has(service) && this.#interests.size >= INTEREST_SERVICES_MAX) return [];
    const fresh = [...new Set(callees)]
      .filter((callee) => !known.has(callee))
      .slice(0, Math.max(0, INTERESTS_MAX - known.size));
    if (fresh.length === 0) return [];
    for (const callee of fresh) known.add(callee);
    this.#interests.set(service, known);
    this.#tell({ kind: 'interest', service, callees: fresh });
    return [{ type: 'put', key: keys.interest(service), value: encode([...known]) }];
  }

  /** Tells the watchers; nothing is kept of it. */
  hint(circuits: readonly string[]): void {
    if (circuits.length > 0) this.#tell({ kind: 'circuits', circuits });
  }

  publishSummaries(all: readonly ReplicaSummary[], ttlMs: number, now: number, board: Board): void {
    this.summaries(now, board, []);
    for (const { replica, body } of all) this.#boards[board].set(replica, { body, deadline: now + ttlMs });
  }

  /** Those of these, or all, that still hold; those that don't are forgotten. */
  summaries(now: number, board: Board, only?: readonly string[]): ReplicaSummary[] {
    const summaries = this.#boards[board];
    for (const [replica, { deadline }] of summaries) if (deadline <= now) summaries.delete(replica);
    return [...(only ?? summaries.keys())].flatMap((replica) => {
      const held = summaries.get(replica);
      return held ? [{ replica, body: held.body }] : [];
    });
  }

  #end({ id, service }: Instance, reason: 'released' | 'expired'): Change {
    this.#leases.delete(id);
    this.#tell({ kind: 'down', id, service, reason });
    return { type: 'del', key: keys.instance(id) };
  }

  #tell(event: RegistryEvent): void {
    this.#number += 1;
    this.#events.push(event);
    // Cut in larger pieces, so that most events cost nothing.
    if (this.#events.length > REGISTRY_EVENTS_MAX + 1000)
      this.#events.splice(0, this.#events.length - REGISTRY_EVENTS_MAX);
  }
}

/** What a restart finds on the disk. */
export interface RegistryState {
  readonly instances: readonly { readonly instance: Instance; readonly ttlMs: number }[];
  readonly interests: readonly (readonly [service: string, callees: readonly string[]])[];
}
