/**
 * The probes of one half-open round: how many were issued, who still has one, what the others came to. A probe that comes
 * back neutral can be issued again; one whose time is over has failed, and what it says later counts for nothing.
 *
 * Bounded by the policy's `halfOpen.calls`; lives for one round.
 */
import type { Outcome } from './outcome.js';

interface Probe {
  readonly issuedAt: number;
  readonly leaseEnd: number;
}

/** A probe whose time is over: at `at`, by its lease or (hung) by the longest time that any may take. */
export interface Due {
  readonly row: number;
  readonly at: number;
  readonly afterMs: number;
  readonly hung: boolean;
}

export class Probes {
  failed = 0;
  slow = 0;
  #decided = 0;
  /** Each probe that is out, by row. */
  readonly #out = new Map<number, Probe>();

  constructor(readonly limit: number) {}

  get available(): boolean {
    return this.#decided + this.#out.size < this.limit;
  }

  /** All are in. */
  get complete(): boolean {
    return this.#decided >= this.limit;
  }

  /** `leaseEnd`: the attempt's deadline, or Infinity. */
  issue(row: number, now: number, leaseEnd: number): boolean {
    if (!this.available) return false;
    this.#out.set(row, { issuedAt: now, leaseEnd });
    return true;
  }

  /** False: this probe is not out, its time was over before. */
  settle(row: number, outcome: Outcome, slow: boolean): boolean {
    if (!this.#out.delete(row)) return false;
    if (outcome === 'neutral') return true;
    this.#decided++;
    if (outcome === 'failure') this.failed++;
    if (slow) this.slow++;
    return true;
  }

  isOut(row: number): boolean {
    return this.#out.has(row);
  }

  /** Of the probes that are out, the one whose time is over first, if it is over by `now`. */
  firstDue(now: number, maxWaitMs: number): Due | undefined {
    let first: Due | undefined;
    for (const [row, probe] of this.#out) {
      const { issuedAt, leaseEnd } = probe;
      const waitEnd = issuedAt + maxWaitMs;
      const at = Math.min(leaseEnd, waitEnd);
      if (at > now || (first && first.at <= at)) continue;
      first = { row, at, afterMs: at - issuedAt, hung: waitEnd <= leaseEnd };
    }
    return first;
  }
}
