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

/** What runs out: a link in a list, so that a limit needs no object of its own. */
export interface Expiring {
  expiresAt: number;
  before: Expiring | undefined;
  after: Expiring | undefined;
  list: List | undefined;
  /** Called once when the time is over, never after `lift`. Must not throw. */
  expire(): void;
}

/** For what waits to extend. */
export abstract class Expiry implements Expiring {
  /** @internal */ expiresAt = 0;
  /** @internal */ before: Expiring | undefined = undefined;
  /** @internal */ after: Expiring | undefined = undefined;
  /** @internal */ list: List | undefined = undefined;
  /** Called once when the time is over, never after `lift`. Must not throw. */
  abstract expire(): void;
}

export interface List {
  readonly lengthMs: number;
  /** In the table; one that was empty at a sweep is not. */
  kept: boolean;
  head: Expiring | undefined;
  tail: Expiring | undefined;
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
  /** The list that was used last: most limits are of one length. */
  #last: List = { lengthMs: Number.NaN, kept: false, head: undefined, tail: undefined };

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Lists that are in use; for tests of the bound. */
  get lists(): number {
    return this.#lists.size;
  }

  /**
   * Expires `entry` no earlier than `lengthMs` after `now`, unless lifted before. Infinity: never. One that is set already is set
   * anew: an entry is a link in one list. Where the limit is a setting, give
   * the setting: a difference of two times is a hair off, and each hair would be a length of its own.
   */
  set(entry: Expiring, now: number, lengthMs: number): void {
    if (entry.list !== undefined) this.lift(entry);
    if (lengthMs === Number.POSITIVE_INFINITY) return;
    const list = this.#listOf(lengthMs);
    entry.expiresAt = now + list.lengthMs;
    this.#append(entry, list);
  }

  #listOf(lengthMs: number): List {
    const last = this.#last;
    return last.lengthMs === lengthMs && last.kept ? last : this.#listFor(lengthMs);
  }

  #append(entry: Expiring, list: List): void {
    const { tail } = list;
    entry.list = list;
    entry.before = tail;
    if (tail !== undefined) tail.after = entry;
    else list.head = entry;
    list.tail = entry;
    this.#entries++;
    if (entry.expiresAt < this.#wakesAt) this.#wake(entry.expiresAt, entry.expiresAt - list.lengthMs);
  }

  /** Ends the limit. Nothing happens if it has run out or was never set. */
  lift(entry: Expiring): void {
    const list = entry.list;
    if (!list) return;
    const { before, after } = entry;
    if (before) before.after = after;
    else list.head = after;
    if (after) after.before = before;
    else list.tail = before;
    entry.list = undefined;
    entry.before = undefined;
    entry.after = undefined;
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
    if (list) {
      this.#last = list;
      return list;
    }
    if (this.#lists.size >= EXACT_LISTS) {
      const step = 2 ** (Math.floor(Math.log2(Math.max(1, rounded))) - 5);
      rounded = Math.ceil(rounded / step) * step;
      list = this.#lists.get(rounded);
      if (list) return list;
    }
    list = { lengthMs: rounded, kept: true, head: undefined, tail: undefined };
    this.#lists.set(rounded, list);
    this.#last = list;
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
    for (const [lengthMs, list] of this.#lists) {
      if (list.head) {
        earliest = Math.min(earliest, list.head.expiresAt);
        continue;
      }
      list.kept = false;
      this.#lists.delete(lengthMs);
    }
    if (earliest !== Number.POSITIVE_INFINITY) this.#wake(earliest, now);
  }
}
