/**
 * Among how many agents each limit of the mesh is divided while there is no grant of it, as the control plane last said, or, for
 * a process that has not heard from it yet, as it said to the one before. Who is connected and has heard nothing at all waits
 * for the word, which is a moment away, with a token each interval; who is not connected doesn't wait for anybody.
 *
 * Bound: as many limits as the wire carries, 1,000.
 */

import type { Clock } from '../core/clock.js';
import type { Sharers } from '../core/resilience/rate.js';
import { rateSharesMax } from '../proto/bounds.js';
import type { RateShares as Word } from '../proto/messages.js';

/** In the snapshot, of limits that nothing was said of by name; no limit's id is like it. */
const OTHERS = '*';

export class RateShares {
  #byId = new Map<string, Sharers>();
  /** Of limits that nothing was said of by name. */
  #others: Sharers | undefined;
  /** A control plane that knows this word is at the other end. */
  #online = false;
  readonly #clock: Clock;
  readonly #listeners: (() => void)[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `listener` after each change. Of those who live as long as this. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Without a word the time is now. */
  of(id: string): Sharers {
    const [callee, policy] = id.split('|', 2);
    const known = this.#byId.get(`${callee}|${policy}`) ?? this.#others;
    return known ?? { agents: this.#online ? Number.POSITIVE_INFINITY : 1, sinceMs: this.#clock.now() };
  }

  online(is: boolean): void {
    this.#online = is;
    this.#changed();
  }

  /** Replaces what was said before; a share that somebody knew of already is as old as it was. */
  take({ shares, agents }: Word): void {
    const now = this.#clock.now();
    const before = this.#byId;
    const since = (known: Sharers | undefined) => known?.sinceMs ?? now;
    this.#byId = new Map(
      shares.map((share) => [share.id, { agents: share.agents, sinceMs: since(before.get(share.id)) }]),
    );
    this.#others = { agents, sinceMs: since(this.#others) };
    this.#changed();
  }

  save(): { readonly [id: string]: number } {
    const saved: Record<string, number> = Object.create(null);
    for (const [id, { agents }] of this.#byId) saved[id] = agents;
    if (this.#others) saved[OTHERS] = this.#others.agents;
    return saved;
  }

  /** What a former process had been told. */
  restore(saved: { readonly [id: string]: number }): void {
    const now = this.#clock.now();
    for (const [id, agents] of Object.entries(saved).slice(0, rateSharesMax + 1))
      if (id === OTHERS) this.#others = { agents, sinceMs: now };
      else this.#byId.set(id, { agents, sinceMs: now });
    this.#changed();
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}
