/**
 * When a worker that has ended is started again, and when no more: at once the first time, then after 0.5 s doubled each time. One
 * that ends again and again within a minute has a cause that a restart doesn't remove. Pure; the timer is the caller's.
 */
const WITHIN_MS = 60_000;
const FIRST_WAIT_MS = 500;

/** The fifth within a minute is the last. */
export const endsMax = 5;
export const withinSeconds = WITHIN_MS / 1000;

export class Restarts {
  #ends: readonly number[] = [];

  /** It has ended: milliseconds to wait, or undefined to give up. */
  ended(now: number): number | undefined {
    this.#ends = [...this.#ends.filter((at) => now - at < WITHIN_MS), now];
    const ends = this.#ends.length;
    if (ends >= endsMax) return undefined;
    return ends === 1 ? 0 : FIRST_WAIT_MS * 2 ** (ends - 2);
  }
}
