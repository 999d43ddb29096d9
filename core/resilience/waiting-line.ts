/**
 * Who waits for a slot: one linked list for each criticality, so that the most critical goes first, equals go in the order
 * they came, and leaving from the middle costs nothing. It has no limit of its own; its bulkhead bounds it.
 */
import { criticalities } from '../criticality.js';
import type { Waiter } from './gate.js';

export interface Place {
  readonly waiter: Waiter;
  readonly rank: number;
  /** Of its permit. */
  readonly row: number;
  before: Place | undefined;
  after: Place | undefined;
}

const RANKS = criticalities.length;

export class WaitingLine {
  #size = 0;
  readonly #heads: (Place | undefined)[] = new Array(RANKS).fill(undefined);
  readonly #tails: (Place | undefined)[] = new Array(RANKS).fill(undefined);
  readonly #places = new Map<Waiter, Place>();

  get size(): number {
    return this.#size;
  }

  /** Who has waited longest of this rank. */
  head(rank: number): Place | undefined {
    return this.#heads[rank];
  }

  /** Who has waited longest of the most critical. */
  first(): Place | undefined {
    for (let rank = 0; rank < RANKS; rank++) {
      const head = this.#heads[rank];
      if (head) return head;
    }
    return undefined;
  }

  /** The youngest of the least critical, if less critical than `rank`: who must make room for it. */
  lastBelow(rank: number): Place | undefined {
    for (let below = RANKS - 1; below > rank; below--) {
      const tail = this.#tails[below];
      if (tail) return tail;
    }
    return undefined;
  }

  join(waiter: Waiter, rank: number, row: number): void {
    const before = this.#tails[rank];
    const place: Place = { waiter, rank, row, before, after: undefined };
    if (before) before.after = place;
    else this.#heads[rank] = place;
    this.#tails[rank] = place;
    this.#places.set(waiter, place);
    this.#size++;
  }

  /** False if it wasn't there any more. */
  forget(waiter: Waiter): boolean {
    const place = this.#places.get(waiter);
    if (place) this.remove(place);
    return place !== undefined;
  }

  remove({ waiter, rank, before, after }: Place): void {
    if (before) before.after = after;
    else this.#heads[rank] = after;
    if (after) after.before = before;
    else this.#tails[rank] = before;
    this.#places.delete(waiter);
    this.#size--;
  }
}
