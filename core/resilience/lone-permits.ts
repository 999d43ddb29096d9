/**
 * Permits of a circuit that is used on its own, without a plan around it: taken and ended by hand. Which circuit decides is for
 * whoever extends this.
 */
import { ADMITTED, type Verdict } from './gate.js';
import type { Outcome } from './outcome.js';
import { layout, NONE, type Permits } from './permits.js';

// Constants of this module, as `permits.ts` says why.
const { ROW_MASK, NEXT_GENERATION, HANDLE_MASK, EPOCH, NEXT_FREE, SLOT_SHIFT } = layout;

export abstract class LonePermits {
  /** The epoch while it lets through, over time, with no slow calls to tell: a success is just one more. Else -1. @internal */
  swift = -1;

  constructor(protected readonly permits: Permits) {}

  /** Decides about the attempt whose permit is in `row`. */
  abstract admit(row: number, now: number): Verdict;
  /** What it came to. */
  abstract settle(row: number, outcome: Outcome, now: number): void;
  /** A success of the `swift` epoch. The judging stands apart, so that this is inlined. @internal */
  abstract succeed(now: number): void;

  /**
   * A permit of its own for one call, without a plan: a handle, or NONE if the circuit turns it away. What `Permits` and `admit` do
   * for a closed circuit is written out here and in `end`: called one by one they cost three times as much.
   */
  tryAcquire(now: number, deadline = Number.POSITIVE_INFINITY): number {
    const permits = this.permits;
    const handle = permits.free;
    const epoch = this.swift;
    if (epoch < 0 || handle < 0) return this.#tryAcquireSlowly(now, deadline);
    const slots = permits.slots;
    const row = handle & ROW_MASK;
    const slot = row << SLOT_SHIFT;
    permits.free = slots[slot + NEXT_FREE] as number;
    slots[slot + EPOCH] = epoch;
    // Nobody asks at present how long calls take; a policy may come to ask before this one ends.
    permits.starts[row] = now;
    return handle;
  }

  /** Ends a permit of `tryAcquire`. A second end, even by a listener that hears of the first, does nothing. */
  end(handle: number, outcome: Outcome, now: number): void {
    const permits = this.permits;
    const slots = permits.slots;
    const row = handle & ROW_MASK;
    const slot = row << SLOT_SHIFT;
    if (slots[slot] !== handle) return;
    const next = (handle + NEXT_GENERATION) & HANDLE_MASK;
    slots[slot] = next;
    if (outcome === 'success' && slots[slot + EPOCH] === this.swift) {
      slots[slot + NEXT_FREE] = permits.free;
      permits.free = next;
      this.succeed(now);
      return;
    }
    this.settle(row, outcome, now);
    permits.giveBack(row);
  }

  #tryAcquireSlowly(now: number, deadline: number): number {
    const handle = this.permits.take(now, deadline);
    if (handle === NONE) return NONE;
    const row = this.permits.row(handle);
    if (this.admit(row, now) === ADMITTED) return handle;
    this.permits.end(row);
    this.permits.giveBack(row);
    return NONE;
  }
}
