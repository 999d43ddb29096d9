/**
 * The limits of time of attempts that hold a permit, which has the deadline in its row already: an attempt that begins leaves its
 * name in its row and one that ends takes it out, and nothing else is done for it. One timer wakes for the earliest and looks
 * through the rows. (A list in the order of expiry costs several pointer writes for each call; nearly no call runs out.)
 *
 * Bound: a reference for each permit that is out. A look costs 1 to 2 ns a row, of as many rows as permits were ever out at once.
 */
import type { Clock, Timer } from '../core/clock.js';
import { layout, type Permits } from '../core/resilience/permits.js';

/** What runs out. */
export interface Deadlined {
  /** Called once when its time is over, never after `lift`. Must not throw. */
  expire(): void;
}

const { ROW_MASK } = layout;
const NEVER = Number.POSITIVE_INFINITY;

export class Deadlines {
  readonly #clock: Clock;
  readonly #permits: Permits;
  readonly #owners: (Deadlined | undefined)[] = [];
  #timer: Timer | undefined = undefined;
  #wakesAt = NEVER;
  #watched = 0;
  #sweeping = false;
  #closed = false;

  constructor(clock: Clock, permits: Permits) {
    this.#clock = clock;
    this.#permits = permits;
  }

  /** Attempts that have a limit. */
  get size(): number {
    return this.#watched;
  }

  /** Expires `owner` once the deadline of its permit, `endsAt`, is over; that is `lengthMs` from now. */
  watch(handle: number, owner: Deadlined, endsAt: number, lengthMs: number): void {
    const row = handle & ROW_MASK;
    const owners = this.#owners;
    while (owners.length <= row) owners.push(undefined);
    owners[row] = owner;
    this.#watched++;
    if (endsAt < this.#wakesAt && !this.#sweeping) this.#wake(endsAt, lengthMs);
  }

  /** Ends the limit; to be called before its permit is given back. Nothing happens if there is none. */
  lift(handle: number, owner: Deadlined): void {
    const row = handle & ROW_MASK;
    if (this.#owners[row] !== owner) return;
    this.#owners[row] = undefined;
    this.#watched--;
    if (this.#closed && this.#watched === 0) this.#sleep();
  }

  /** Keeps no timer beyond the last limit. Until here it may sleep on: the next call would only set it again. */
  close(): void {
    this.#closed = true;
    if (this.#watched === 0) this.#sleep();
  }

  #wake(at: number, delayMs: number): void {
    this.#timer?.cancel();
    this.#wakesAt = at;
    this.#timer = this.#clock.after(Math.max(0, delayMs), () => this.#sweep());
  }

  #sleep(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wakesAt = NEVER;
  }

  #sweep(): void {
    const now = this.#clock.now();
    this.#timer = undefined;
    this.#wakesAt = NEVER;
    this.#sweeping = true;
    try {
      for (let row = 0; row < this.#owners.length; row++) {
        const owner = this.#owners[row];
        if (owner === undefined || (this.#permits.deadlines[row] as number) > now) continue;
        this.#owners[row] = undefined;
        this.#watched--;
        owner.expire();
      }
    } finally {
      this.#sweeping = false;
      this.#wakeForEarliest(now);
    }
  }

  /** What an expiry began meanwhile counts as well. */
  #wakeForEarliest(now: number): void {
    let earliest = NEVER;
    for (let row = 0; row < this.#owners.length; row++)
      if (this.#owners[row] !== undefined)
        earliest = Math.min(earliest, this.#permits.deadlines[row] as number);
    if (earliest !== NEVER) this.#wake(earliest, earliest - now);
  }
}
