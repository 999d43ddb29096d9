/**
 * Lowest first: while calls of some class are being turned away, those that matter less are kept out a little earlier, so that
 * what comes free goes to the more critical. For each class that was turned away within the last second, a tenth of the limit
 * (rounded up) is closed to the classes below it.
 *
 * Time matters only from the first such refusal until a second after the last one. The first may happen where nobody has read
 * the clock; it counts as of the next reading.
 */
import { criticalities } from '../criticality.js';

const MEMORY_MS = 1_000;
const PART = 0.1;
const LEAST_CRITICAL = criticalities.length - 1;

export class Shedding {
  /** When a call was last turned away, by rank; NaN: at a time that nobody has read yet. */
  readonly #turnedAwayAt = criticalities.map(() => Number.NEGATIVE_INFINITY);
  #active = false;

  /** Whether anybody is kept out, as of the last `pass`. */
  get active(): boolean {
    return this.#active;
  }

  turnedAway(rank: number, now: number): void {
    // Nobody is below the least critical.
    if (rank >= LEAST_CRITICAL) return;
    this.#turnedAwayAt[rank] = now;
    this.#active = true;
  }

  /** Forgets what is over by now. */
  pass(now: number): void {
    if (!this.#active || Number.isNaN(now)) return;
    this.#active = false;
    for (let rank = 0; rank < LEAST_CRITICAL; rank++) {
      if (Number.isNaN(this.#turnedAwayAt[rank])) this.#turnedAwayAt[rank] = now;
      if (now - (this.#turnedAwayAt[rank] as number) < MEMORY_MS) this.#active = true;
      else this.#turnedAwayAt[rank] = Number.NEGATIVE_INFINITY;
    }
  }

  /** Slots of `limit` that are closed to this class, as of the last `pass`. */
  closedTo(rank: number, limit: number): number {
    let closed = 0;
    for (let above = 0; above < rank; above++) {
      if (this.#turnedAwayAt[above] !== Number.NEGATIVE_INFINITY) closed += Math.ceil(limit * PART);
    }
    return closed;
  }
}
