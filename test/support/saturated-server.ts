/**
 * A server in virtual time that works on so many calls at once and lets the rest wait, before clients who always have one more
 * call than the limit lets through. What an adaptive limit makes of it shows where it settles.
 */
import type { AdaptiveLimit } from '../../core/resilience/adaptive.js';

interface Running {
  readonly startedAt: number;
  readonly epoch: number;
  readonly endsAt: number;
}

export class Simulation {
  serviceMs: number;
  readonly #capacity: number;
  readonly #limit: AdaptiveLimit;
  #now = 0;
  /** In the order in which they end. */
  readonly #inflight: Running[] = [];
  /** When each of the server's places is free. */
  readonly #places: number[];
  readonly #ended: { readonly at: number; readonly limit: number }[] = [];

  constructor(limit: AdaptiveLimit, server: { capacity: number; serviceMs: number }) {
    this.#limit = limit;
    this.#capacity = server.capacity;
    this.serviceMs = server.serviceMs;
    this.#places = new Array(this.#capacity).fill(0);
  }

  get limit(): number {
    return this.#limit.limit;
  }

  run(until: number): void {
    this.#fill();
    for (;;) {
      const next = this.#inflight[0];
      if (!next || next.endsAt > until) break;
      this.#now = next.endsAt;
      const inflight = this.#inflight.length;
      this.#inflight.shift();
      this.#limit.sample(next.epoch, this.#now - next.startedAt, inflight, false, this.#now);
      this.#ended.push({ at: this.#now, limit: this.#limit.limit });
      this.#fill();
    }
    this.#now = until;
  }

  /** The limit after each call that ended since. */
  limits(since: number): number[] {
    return this.#ended.filter(({ at }) => at >= since).map(({ limit }) => limit);
  }

  /** Calls that ended in each second since. */
  perSecond(since: number): number {
    return (this.limits(since).length * 1_000) / (this.#now - since);
  }

  #fill(): void {
    while (this.#inflight.length < Math.floor(this.#limit.limit)) {
      const place = this.#places.indexOf(Math.min(...this.#places));
      const endsAt = Math.max(this.#now, this.#places[place] ?? 0) + this.serviceMs;
      this.#places[place] = endsAt;
      let at = this.#inflight.length;
      while ((this.#inflight[at - 1]?.endsAt ?? 0) > endsAt) at--;
      this.#inflight.splice(at, 0, { startedAt: this.#now, epoch: this.#limit.epoch, endsAt });
    }
  }
}
