/**
 * Virtual time: a queue of what is due, run in order, each at its own time. What happens millions of times is an event of a kind
 * with three numbers; what happens rarely is a function. Whoever needs chance draws it here, so that a seed repeats all of it.
 */
import { type Random, seededRandom } from '../../../core/random.js';
import { EventQueue } from './queue.js';

/** The kind of an event that calls a function; all others are handed to whoever runs the loop. */
const FUNCTION = 0;

export interface Pending {
  cancel(): void;
}

/** A function that is due once; called off, it does nothing. */
class Due implements Pending {
  #fn: (() => void) | undefined;

  constructor(fn: () => void) {
    this.#fn = fn;
  }

  cancel(): void {
    this.#fn = undefined;
  }

  run(): void {
    this.#fn?.();
  }
}

export class Loop {
  now = 0;
  /** Events that have happened. */
  events = 0;
  readonly random: Random;
  readonly #queue = new EventQueue();
  readonly #due: (Due | undefined)[] = [];
  readonly #free: number[] = [];

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  /** `kind` from 1 up. */
  post(delayMs: number, kind: number, a: number, b = 0, c = 0): void {
    this.#queue.push(this.now + delayMs, kind, a, b, c);
  }

  after(delayMs: number, fn: () => void): Pending {
    const slot = this.#free.pop() ?? this.#due.length;
    const due = new Due(fn);
    this.#due[slot] = due;
    this.#queue.push(this.now + Math.max(0, delayMs), FUNCTION, slot, 0, 0);
    return due;
  }

  /** First after `firstMs`. */
  every(intervalMs: number, firstMs: number, fn: () => void): Pending {
    let pending: Pending;
    const again = () => {
      pending = this.after(intervalMs, again);
      fn();
    };
    pending = this.after(firstMs, again);
    return { cancel: () => pending.cancel() };
  }

  /** Runs all that is due until `endMs`, and stands there. */
  run(endMs: number, handle: (kind: number, a: number, b: number, c: number) => void): void {
    const queue = this.#queue;
    while (queue.next <= endMs) {
      queue.pop();
      this.now = queue.time;
      this.events++;
      if (queue.kind === FUNCTION) this.#call(queue.a);
      else handle(queue.kind, queue.a, queue.b, queue.c);
    }
    this.now = endMs;
  }

  #call(slot: number): void {
    const due = this.#due[slot];
    this.#due[slot] = undefined;
    this.#free.push(slot);
    due?.run();
  }

  /** Around a mean, as calls of a crowd come: exponential. */
  exponential(mean: number): number {
    return -Math.log(1 - this.random.next()) * mean;
  }
}
