/**
 * Whether a replica knows what it would say. Its knowledge is as old as the question that the store last answered: after it was
 * stopped for a minute, an answer from before may still lie in its socket. And silence of the agents counts only while it listened.
 */
/** Older knowledge is not passed on. */
const FRESH_MS = 3_000;
/** Nothing was called for so long: the process was stopped, or its loop blocked. */
const GAP_MS = 5_000;

export class Listening {
  /** Since when it listens without a gap. */
  since = Number.NEGATIVE_INFINITY;
  hasLearnt = false;
  isFrozen = false;
  #awakeAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #confirmedAt = Number.NEGATIVE_INFINITY;
  /** The next answer may be to a question from before the gap. */
  #doubts = false;

  /** The store is asked now. */
  asking(now: number): void {
    this.wake(now);
    if (now - this.#askedAt > FRESH_MS && this.hasLearnt) this.#doubts = true;
    this.#askedAt = now;
  }

  /** `askedAt`: of the question; where it isn't known, the last one's is taken, and after a gap the first answer isn't trusted. */
  answered(now: number, askedAt: number | undefined): void {
    this.wake(now);
    if (this.isFrozen) this.since = now;
    this.isFrozen = false;
    this.hasLearnt = true;
    const trusted = askedAt !== undefined || !this.#doubts;
    this.#doubts = false;
    if (!trusted) return;
    const at = askedAt ?? (this.#askedAt === Number.NEGATIVE_INFINITY ? now : this.#askedAt);
    this.#confirmedAt = Math.max(this.#confirmedAt, Math.min(at, now));
  }

  wake(now: number): void {
    if (now - this.#awakeAt > GAP_MS) this.since = now;
    this.#awakeAt = Math.max(this.#awakeAt, now);
  }

  freeze(now: number): void {
    this.wake(now);
    this.isFrozen = true;
    this.#confirmedAt = Number.NEGATIVE_INFINITY;
  }

  isFresh(now: number): boolean {
    return !this.isFrozen && now - this.#confirmedAt <= FRESH_MS;
  }
}
