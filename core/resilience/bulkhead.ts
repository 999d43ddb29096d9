/**
 * At most so many calls in flight, and so many more waiting in line. A slot that comes free passes directly to the head of
 * the line, in the same tick, so nobody who comes later can slip in between; whoever gives up leaves the line at once.
 *
 * The line is a linked list, so leaving from its middle costs nothing; it is bounded by `maxQueue`.
 */
import type { BulkheadSpec } from '../policy/model.js';
import { ADMITTED, type Gate, QUEUED, REFUSED, type Refusal, type Verdict, type Waiter } from './gate.js';

interface Place {
  readonly waiter: Waiter;
  before: Place | undefined;
  after: Place | undefined;
}

export class Bulkhead implements Gate {
  readonly timeless = true;
  #limit: number;
  #maxQueue: number;
  #inUse = 0;
  #queued = 0;
  #head: Place | undefined;
  #tail: Place | undefined;
  readonly #places = new Map<Waiter, Place>();
  /** Slots that came free and have not been passed on yet. */
  #freed = 0;
  #passing = false;

  constructor(spec: BulkheadSpec) {
    this.#limit = limitOf(spec);
    this.#maxQueue = spec.maxQueue;
  }

  get inUse(): number {
    return this.#inUse;
  }

  get queued(): number {
    return this.#queued;
  }

  get limit(): number {
    return this.#limit;
  }

  admit(_row: number, _now: number): Verdict {
    if (this.#inUse < this.#limit && this.#queued === 0) {
      this.#inUse++;
      return ADMITTED;
    }
    return this.#queued < this.#maxQueue ? QUEUED : REFUSED;
  }

  leave(): void {
    if (this.#queued === 0 && !this.#passing) {
      this.#inUse--;
      return;
    }
    this.#freed++;
    this.#passOn();
  }

  enqueue(waiter: Waiter): void {
    const place: Place = { waiter, before: this.#tail, after: undefined };
    if (this.#tail) this.#tail.after = place;
    else this.#head = place;
    this.#tail = place;
    this.#places.set(waiter, place);
    this.#queued++;
  }

  forget(waiter: Waiter): boolean {
    const place = this.#places.get(waiter);
    if (!place) return false;
    this.#unlink(place);
    return true;
  }

  refusal(): Refusal {
    const text = `${this.#inUse} of ${this.#limit} calls in flight and ${this.#queued} of ${this.#maxQueue} waiting`;
    return { code: 'bulkhead_full', text: `${text}; slow down or raise maxConcurrent` };
  }

  /** Shrinking lets running calls drain and turns new ones away at once; growing wakes the line in order. */
  reconfigure(spec: BulkheadSpec): void {
    this.#limit = limitOf(spec);
    this.#maxQueue = spec.maxQueue;
    this.#passOn();
  }

  /**
   * Gives free slots to the line. A waiter that was granted one may give it back before this returns (its circuit is open):
   * that is counted, and served by this same loop, so that a long line never becomes a deep stack.
   */
  #passOn(): void {
    if (this.#passing) return;
    this.#passing = true;
    try {
      for (;;) {
        this.#inUse -= this.#freed;
        this.#freed = 0;
        const head = this.#head;
        if (!head || this.#inUse >= this.#limit) return;
        this.#unlink(head);
        this.#inUse++;
        head.waiter.granted();
      }
    } finally {
      this.#passing = false;
      this.#inUse -= this.#freed;
      this.#freed = 0;
    }
  }

  #unlink(place: Place): void {
    const { before, after } = place;
    if (before) before.after = after;
    else this.#head = after;
    if (after) after.before = before;
    else this.#tail = before;
    this.#places.delete(place.waiter);
    this.#queued--;
  }
}

function limitOf(spec: BulkheadSpec): number {
  // An adaptive limit is a gate of its own; whoever composes a plan chooses between the two.
  if (spec.maxConcurrent === 'auto') throw new RangeError('Bulkhead: maxConcurrent is adaptive');
  return spec.maxConcurrent;
}
