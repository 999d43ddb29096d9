/**
 * A clock that stands still until a test moves it. `advance` runs what falls due, in order, each at its own time, so a test
 * of an hour takes no time; `wallOffset` lets the wall clock jump without the monotonic one noticing.
 */
import type { Clock, Timer } from '../../core/clock.js';

interface Entry {
  at: number;
  order: number;
  fn: () => void;
  everyMs: number | undefined;
}

export class VirtualClock implements Clock {
  /** Added to the wall clock's reading: the jump of a clock that somebody set. */
  wallOffset = 0;
  #now: number;
  #order = 0;
  readonly #entries = new Set<Entry>();

  constructor(start = 0) {
    this.#now = start;
  }

  now(): number {
    return this.#now;
  }

  wallNow(): number {
    return 1_700_000_000_000 + this.#now + this.wallOffset;
  }

  after(delayMs: number, fn: () => void): Timer {
    return this.#add({ at: this.#now + Math.max(0, delayMs), order: this.#order++, fn, everyMs: undefined });
  }

  every(intervalMs: number, fn: () => void): Timer {
    const everyMs = Math.max(1, intervalMs);
    return this.#add({ at: this.#now + everyMs, order: this.#order++, fn, everyMs });
  }

  /** Timers that are set: 0 at the end of a test that cleans up. */
  get pendingTimers(): number {
    return this.#entries.size;
  }

  /** Moves on by `ms`, running all that falls due on the way. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      let next: Entry | undefined;
      for (const entry of this.#entries) {
        if (entry.at > end) continue;
        if (!next || entry.at < next.at || (entry.at === next.at && entry.order < next.order)) next = entry;
      }
      if (!next) break;
      this.#now = Math.max(this.#now, next.at);
      if (next.everyMs === undefined) this.#entries.delete(next);
      else next.at += next.everyMs;
      next.fn();
    }
    this.#now = end;
  }

  /** Moves on by `ms` while nothing runs: something keeps the event loop from its timers, which are late at the next `advance`. */
  stall(ms: number): void {
    this.#now += ms;
  }

  #add(entry: Entry): Timer {
    this.#entries.add(entry);
    return { cancel: () => void this.#entries.delete(entry) };
  }
}
