/**
 * A clock that may lag a little, for what is counted in buckets of a second: under load it is read once for many calls, since a
 * reading costs as much as half of the rest of a call's protection. It lags by at most 63 uses, and by at most 20 ms and whatever
 * keeps the event loop from its timers; below some fifty thousand uses a second, where a reading is nothing, every use is one. Durations and limits of time
 * are never taken from it.
 *
 * Bound: one timer, only under load, gone after 20 ms.
 */
import type { Clock, Timer } from '../core/clock.js';

/** How far it may lag, milliseconds: whoever counts in finer steps must not use it. */
export const COARSE_LAG_MS = 20;
/** Readings within that time from which on it is worth it. */
const BUSY_READINGS = 1_024;
const USES_PER_READING = 64;

export class CoarseClock {
  /** How far behind the last answer may have been: 0 if it was read for it. */
  lagMs = 0;
  readonly #clock: Clock;
  #value = 0;
  /** The wall clock at that reading; not a number: the last answer was not kept. */
  #wall = Number.NaN;
  /** Uses that the last reading is still good for. */
  #left = 0;
  #readings = 0;
  #periodEndsAt = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): number {
    if (this.#left === 0) return this.#read();
    this.#left--;
    this.lagMs = COARSE_LAG_MS;
    return this.#value;
  }

  /** The wall clock as of the last answer of `now`. */
  wallNow(): number {
    const wall = this.#wall;
    return Number.isNaN(wall) ? this.#clock.wallNow() : wall;
  }

  close(): void {
    this.#closed = true;
    this.#left = 0;
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #read(): number {
    const now = this.#clock.now();
    this.lagMs = 0;
    if (now >= this.#periodEndsAt) {
      this.#periodEndsAt = now + COARSE_LAG_MS;
      this.#readings = 0;
    }
    this.#wall = Number.NaN;
    if (++this.#readings < BUSY_READINGS || this.#closed) return now;
    this.#value = now;
    this.#wall = this.#clock.wallNow();
    this.#left = USES_PER_READING - 1;
    this.#timer ??= this.#clock.after(COARSE_LAG_MS, () => {
      this.#timer = undefined;
      this.#left = 0;
    });
    return now;
  }
}
