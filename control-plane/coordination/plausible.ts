/**
 * What one connection can have had of calls at most: as many at a time as its Hello declared, none shorter than a millisecond, for as
 * long as has passed here since it came. Counts beyond that are a mistake or a lie, and are not counted. What wasn't used is kept for
 * a moment, since reports may be late, or come in several messages of which the first one names the time.
 */

/** What an agent has in flight that has not said how much: the agents of this project declare as much. */
const CONCURRENCY_DEFAULT = 10_000;
const CONCURRENCY_MAX = 100_000;
/** A report may be a little early by our clock. */
const EARLY_MS = 1_000;
const UNCLAIMED_MAX_MS = 65_000;
const KEPT_MS = 5_000;

export class Plausible {
  readonly #concurrency: number;
  /** Passed here, and not claimed by any report so far. */
  #unclaimedMs = EARLY_MS;
  #at: number;
  #calls: number;

  /** `concurrency`: as declared; 0: it was not. */
  constructor(concurrency: number, now: number) {
    this.#concurrency = Math.min(concurrency === 0 ? CONCURRENCY_DEFAULT : concurrency, CONCURRENCY_MAX);
    this.#at = now;
    // Those that were in flight may all end at once.
    this.#calls = this.#concurrency;
  }

  /** A report that speaks of so long. */
  elapsed(elapsedMs: number, now: number): void {
    this.#unclaimedMs = Math.min(UNCLAIMED_MAX_MS, this.#unclaimedMs + Math.max(0, now - this.#at));
    this.#at = now;
    const claimedMs = Math.min(elapsedMs, this.#unclaimedMs);
    this.#unclaimedMs -= claimedMs;
    const most = this.#concurrency * Math.max(KEPT_MS, claimedMs + 1);
    this.#calls = Math.min(most, this.#calls + this.#concurrency * claimedMs);
  }

  /** Whether so many calls can have ended; then they have. */
  spend(calls: number): boolean {
    if (calls > this.#calls) return false;
    this.#calls -= calls;
    return true;
  }
}
