/**
 * Takes turns: everything that has something to do for many streams goes through here, in slices of the event loop that end
 * after a few milliseconds, so that ten thousand writes delay nobody. A stream that has to wait says until when; one timer
 * serves them all. It never holds more than two places for a stream: one in the line, one among those that go first.
 */
import type { Clock, Timer } from '../../core/clock.js';

/** `work` does what can be done now and answers when to come back: undefined if an event will tell. Never throws. */
export interface Worker {
  work(now: number): number | undefined;
}

/** One with something to say that goes past whatever else there is to do. Never throws. */
export interface Urgent {
  hasten(now: number): void;
}

/** Far below the 15 ms that may pass between two turns of the loop: what the slice before made others say comes in between. */
const SLICE_MS = 2;
/** Pieces between two looks at the clock. */
const PIECES = 8;

export class Pump {
  readonly #clock: Clock;
  readonly #ready = new Set<Worker>();
  readonly #urgent = new Set<Urgent>();
  readonly #waiting = new Map<Worker, number>();
  #timer: { readonly atMs: number; readonly timer: Timer } | undefined;
  #scheduled = false;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Gives it a turn, soon, in the order of asking. */
  wake(worker: Worker): void {
    if (this.#closed) return;
    this.#ready.add(worker);
    this.#schedule();
  }

  /** Gives it a turn of its own kind before all that wait for theirs. */
  hasten(urgent: Urgent): void {
    if (this.#closed) return;
    this.#urgent.add(urgent);
    this.#schedule();
  }

  /** Gives it a turn at once: for work that is small, and was asked for by what is paced already. */
  now(worker: Worker): void {
    if (this.#closed) return;
    this.forget(worker);
    const now = this.#clock.now();
    const untilMs = worker.work(now);
    if (untilMs === undefined || this.#closed) return;
    if (untilMs <= now) this.wake(worker);
    else this.#wait(worker, untilMs);
  }

  forget(worker: Worker & Partial<Urgent>): void {
    this.#urgent.delete(worker as Urgent);
    this.#ready.delete(worker);
    this.#waiting.delete(worker);
  }

  close(): void {
    this.#closed = true;
    this.#urgent.clear();
    this.#ready.clear();
    this.#waiting.clear();
    this.#timer?.timer.cancel();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      // A slice each: however much is urgent, the others get on.
      this.#first();
      this.#slice();
      if (this.#ready.size + this.#urgent.size > 0) this.#schedule();
    });
  }

  #first(): void {
    if (this.#urgent.size === 0) return;
    let now = this.#clock.now();
    const end = now + SLICE_MS;
    let pieces = 0;
    for (const urgent of this.#urgent) {
      this.#urgent.delete(urgent);
      urgent.hasten(now);
      if (++pieces % PIECES > 0) continue;
      now = this.#clock.now();
      if (now >= end) return;
    }
  }

  #slice(): void {
    const end = this.#clock.now() + SLICE_MS;
    const again: Worker[] = [];
    let pieces = 0;
    for (const worker of this.#ready) {
      this.#ready.delete(worker);
      this.#waiting.delete(worker);
      const now = this.#clock.now();
      const untilMs = worker.work(now);
      if (this.#closed) return;
      if (untilMs !== undefined && untilMs <= now) again.push(worker);
      else if (untilMs !== undefined) this.#wait(worker, untilMs);
      if (++pieces % PIECES === 0 && this.#clock.now() >= end) break;
    }
    for (const worker of again) this.#ready.add(worker);
  }

  #wait(worker: Worker, untilMs: number): void {
    this.#waiting.set(worker, untilMs);
    if (this.#timer && this.#timer.atMs <= untilMs) return;
    this.#timer?.timer.cancel();
    const timer = this.#clock.after(Math.max(0, untilMs - this.#clock.now()), () => this.#due());
    this.#timer = { atMs: untilMs, timer };
  }

  #due(): void {
    this.#timer = undefined;
    const now = this.#clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const [worker, untilMs] of this.#waiting) {
      if (untilMs <= now) this.wake(worker);
      else next = Math.min(next, untilMs);
    }
    for (const worker of this.#ready) this.#waiting.delete(worker);
    if (next === Number.POSITIVE_INFINITY) return;
    this.#timer = { atMs: next, timer: this.#clock.after(next - now, () => this.#due()) };
  }
}
