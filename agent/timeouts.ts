/**
 * All time limits of an agent's calls behind one timer. Limits of equal length run out in the order in which they were set,
 * so each length has a list of its own, setting and lifting one costs a few pointer writes, and a single sweeper wakes for
 * the earliest. (A timer of the system for each call costs more than the rest of the call's protection together.)
 *
 * Bound: an entry for each call under way. While 64 lists are in use, further lengths are rounded up by at most 1/32 (and
 * 1/32 ms), so that a thousand different remaining deadlines don't make a thousand lists: 32 for each power of two, 1,100 in
 * all up to the 25 days that a timer can wait.
 */
import type { Clock, Timer } from '../core/clock.js';

/** What runs out. Extended by what waits, so that a limit needs no object of its own. */
export abstract class Expiry {
  /** @internal */ expiresAt = 0;
  /** @internal */ before: Expiry | undefined = undefined;
  /** @internal */ after: Expiry | undefined = undefined;
  /** @internal */ list: List | undefined = undefined;
  /** Called once when the time is over, never after `lift`. Must not throw. */
  abstract expire(): void;
}

interface List {
  readonly lengthMs: number;
  head: Expiry | undefined;
  tail: Expiry | undefined;
}

const EXACT_LISTS = 64;

export class Timeouts {
  readonly #clock: Clock;
  readonly #lists = new Map<number, List>();
  #timer: Timer | undefined;
  #wakesAt = Number.POSITIVE_INFINITY;
  #sweeping = false;
  #entries = 0;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Lists that are in use; for tests of the bound. */
  get lists(): number {
    return this.#lists.size;
  }

  /** Expires `entry` no earlier than `lengthMs` after `now`, unless lifted before. Infinity: never. */
  set(entry: Expiry, now: number, lengthMs: number): void {
    if (lengthMs === Number.POSITIVE_INFINITY) return;
    const list = this.#listFor(lengthMs);
    entry.expiresAt = now + list.lengthMs;
    entry.list = list;
    entry.before = list.tail;
    entry.after = undefined;
    if (list.tail) list.tail.after = entry;
    else list.head = entry;
    list.tail = entry;
    this.#entries++;
    if (entry.expiresAt < this.#wakesAt) this.#wake(entry.expiresAt, now);
  }

  /** Ends the limit. Nothing happens if it has run out or was never set. */
  lift(entry: Expiry): void {
    const list = entry.list;
    if (!list) return;
    const { before, after } = entry;
    if (before) before.after = after;
    else list.head = after;
    if (after) after.before = before;
    else list.tail = before;
    entry.list = entry.before = entry.after = undefined;
    this.#entries--;
    if (this.#closed && this.#entries === 0) this.#sleep();
  }

  /** Keeps no timer beyond the last limit that is set. Until here it may sleep on: the next call would only set it again. */
  close(): void {
    this.#closed = true;
    if (this.#entries === 0) this.#sleep();
  }

  #listFor(lengthMs: number): List {
    let rounded = Math.max(0, lengthMs);
    let list = this.#lists.get(rounded);
    if (list) return list;
    if (this.#lists.size >= EXACT_LISTS) {
      const step = 2 ** (Math.floor(Math.log2(Math.max(1, rounded))) - 5);
      rounded = Math.ceil(rounded / step) * step;
      list = this.#lists.get(rounded);
      if (list) return list;
    }
    list = { lengthMs: rounded, head: undefined, tail: undefined };
    this.#lists.set(rounded, list);
    return list;
  }

  #wake(at: number, now: number): void {
    if (this.#sweeping) return;
    this.#timer?.cancel();
    this.#wakesAt = at;
    this.#timer = this.#clock.after(Math.max(0, at - now), () => this.#sweep());
  }

  #sleep(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#wakesAt = Number.POSITIVE_INFINITY;
  }

  #sweep(): void {
    const now = this.#clock.now();
    this.#timer = undefined;
    this.#wakesAt = Number.POSITIVE_INFINITY;
    this.#sweeping = true;
    try {
      for (const list of this.#lists.values()) {
        for (let entry = list.head; entry && entry.expiresAt <= now; entry = list.head) {
          this.lift(entry);
          entry.expire();
        }
      }
    } finally {
      this.#sweeping = false;
      this.#wakeForEarliest(now);
    }
  }

  /** What an expiry set meanwhile counts as well, in whichever list it stands; lists that are empty go. */
  #wakeForEarliest(now: number): void {
    let earliest = Number.POSITIVE_INFINITY;
    for (const [lengthMs, { head }] of this.#lists) {
      if (head) earliest = Math.min(earliest, head.expiresAt);
      else this.#lists.delete(lengthMs);
    }
    if (earliest !== Number.POSITIVE_INFINITY) this.#wake(earliest, now);
  }
}
