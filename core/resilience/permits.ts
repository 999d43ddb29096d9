/**
 * Permits as integers: a row of parallel typed arrays, so that admitting a call allocates nothing. A handle is the row and the
 * generation in which it was issued, in one small integer (31 bits: more would be a number on the heap); a handle that was
 * ended before finds another generation in its row, so ending a permit twice does nothing. One slab serves all circuits and
 * bulkheads of an agent.
 *
 * What every permit touches lies together in `slots`: each array that is read costs a load and a check of its bounds, and this is
 * the innermost part of the hot path.
 *
 * Bounds: 262,144 permits out at a time; beyond, `take` refuses. A handle is told from the 8,191 that follow it in its row;
 * nobody keeps one for longer, since whoever ends a permit knows that it did.
 */
import { DEFAULT_RANK } from '../criticality.js';

// Numbers of the innermost loop are constants of each module that uses them: a name that is exported, or imported, is read from
// memory each time, and nothing that is computed from it is known beforehand.
const ROW_BITS = 18;
const ROWS_MAX = 1 << ROW_BITS;
const ROW_MASK = ROWS_MAX - 1;
const NEXT_GENERATION = 1 << ROW_BITS;
const HANDLE_MASK = 0x7fffffff;
/** Fields of a row's slot (its present handle is the first), and how many there are, as a shift. */
const EPOCH = 1;
const NEXT_FREE = 2;
const RANK = 3;
const HELD = 4;
const NOTE = 5;
const SLOT_SHIFT = 3;
const NO_ROW = -1;

/** No handle: every permit is out, or the handle's permit has ended. */
export const NONE = NO_ROW;

/** For `Circuit` and `Plan`, which write the common case out. */
export const layout = {
  ROW_MASK,
  NEXT_GENERATION,
  HANDLE_MASK,
  EPOCH,
  NEXT_FREE,
  RANK,
  HELD,
  NOTE,
  SLOT_SHIFT,
} as const;

export class Permits {
  /**
   * By row: its handle, of the permit that is out or will be next; the circuit's epoch when the permit was given (0: no circuit
   * counts this call); of a free row, the handle of the next free one; how much the call matters (a rank of `criticality.ts`); how far through its gates
   * the attempt is (the plan's own); what the bulkhead must remember of it (the bulkhead's own).
   */
  slots: Int32Array;
  /** When the permit was given, by row. */
  starts: Float64Array;
  /** When the attempt must be over, by row; Infinity: never. */
  deadlines: Float64Array;
  /** Handle that is given next; the others follow through the slots. NONE: all are out. */
  free = 0;

  constructor(initialRows = 64) {
    this.slots = new Int32Array(initialRows << SLOT_SHIFT);
    this.starts = new Float64Array(initialRows);
    this.deadlines = new Float64Array(initialRows);
    this.#link(0, initialRows);
  }

  /** Permits that are out; counts them. */
  get out(): number {
    let free = 0;
    for (let at = this.free; at !== NO_ROW; free++)
      at = this.slots[((at & ROW_MASK) << SLOT_SHIFT) + NEXT_FREE] as number;
    return this.starts.length - free;
  }

  /** A permit that starts at `now` and must be over by `deadline`; NONE if all 262,144 are out. */
  take(now: number, deadline: number, rank: number = DEFAULT_RANK): number {
    if (this.free === NO_ROW && !this.#grow()) return NO_ROW;
    const handle = this.free;
    const row = handle & ROW_MASK;
    const slots = this.slots;
    const slot = row << SLOT_SHIFT;
    this.free = slots[slot + NEXT_FREE] as number;
    slots[slot + EPOCH] = 0;
    slots[slot + RANK] = rank;
    slots[slot + HELD] = 0;
    slots[slot + NOTE] = 0;
    this.starts[row] = now;
    this.deadlines[row] = deadline;
    return handle;
  }

  /** The row of a permit that is out, or NONE. */
  row(handle: number): number {
    const row = handle & ROW_MASK;
    return this.slots[row << SLOT_SHIFT] === handle ? row : NO_ROW;
  }

  epoch(row: number): number {
    return this.slots[(row << SLOT_SHIFT) + EPOCH] as number;
  }

  setEpoch(row: number, epoch: number): void {
    this.slots[(row << SLOT_SHIFT) + EPOCH] = epoch;
  }

  rank(row: number): number {
    return this.slots[(row << SLOT_SHIFT) + RANK] as number;
  }

  held(row: number): number {
    return this.slots[(row << SLOT_SHIFT) + HELD] as number;
  }

  setHeld(row: number, held: number): void {
    this.slots[(row << SLOT_SHIFT) + HELD] = held;
  }

  note(row: number): number {
    return this.slots[(row << SLOT_SHIFT) + NOTE] as number;
  }

  setNote(row: number, note: number): void {
    this.slots[(row << SLOT_SHIFT) + NOTE] = note;
  }

  /**
   * Ends a permit: its handle finds nothing from here on. The row keeps what it says until `giveBack`, for those who still have to
   * hear of it; whatever they start meanwhile can neither end it again nor get its row.
   */
  end(row: number): void {
    const slot = row << SLOT_SHIFT;
    this.slots[slot] = ((this.slots[slot] as number) + NEXT_GENERATION) & HANDLE_MASK;
  }

  /** Gives the row of an ended permit to whoever comes next. */
  giveBack(row: number): void {
    const slot = row << SLOT_SHIFT;
    this.slots[slot + NEXT_FREE] = this.free;
    this.free = this.slots[slot] as number;
  }

  #grow(): boolean {
    const rows = this.starts.length;
    if (rows >= ROWS_MAX) return false;
    const more = rows * 2;
    this.slots = extended(this.slots, new Int32Array(more << SLOT_SHIFT));
    this.starts = extended(this.starts, new Float64Array(more));
    this.deadlines = extended(this.deadlines, new Float64Array(more));
    this.#link(rows, more);
    return true;
  }

  /** Rows `from` up to (exclusive) `to` are new and free, and come next, in order. */
  #link(from: number, to: number): void {
    for (let row = from; row < to; row++) {
      this.slots[row << SLOT_SHIFT] = row;
      this.slots[(row << SLOT_SHIFT) + NEXT_FREE] = row + 1 === to ? NO_ROW : row + 1;
    }
    this.free = from;
  }
}

function extended<T extends Float64Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
