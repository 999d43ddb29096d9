/**
 * Permits as integers: a row of parallel typed arrays, so that admitting a call allocates nothing. A handle is the row and the
 * generation in which it was issued, in one small integer (31 bits: more would be a number on the heap); a handle that was
 * ended before finds another generation in its row, so ending a permit twice does nothing. One slab serves all circuits and
 * bulkheads of an agent.
 *
 * Bounds: 262,144 permits out at a time; beyond, `take` refuses. A handle is told from the 8,191 that follow it in its row;
 * nobody keeps one for longer, since whoever ends a permit knows that it did.
 */
const ROW_BITS = 18;
const ROWS_MAX = 1 << ROW_BITS;
const ROW_MASK = ROWS_MAX - 1;
const GENERATION_MAX = (1 << 13) - 1;

/** No handle: every permit is out, or the handle's permit has ended. */
export const NONE = -1;

export class Permits {
  /** When the permit was given, by row. */
  starts: Float64Array;
  /** When the attempt must be over, by row; Infinity: never. */
  deadlines: Float64Array;
  /** The circuit's epoch at the time, by row; 0: the circuit doesn't count this call. */
  epochs: Uint32Array;
  /** How far through its gates the attempt is, by row: the plan's own. */
  held: Int32Array;
  private generations: Int32Array;
  /** Free rows, a stack. */
  private freeRows: Int32Array;
  private freeCount: number;

  constructor(initialRows = 64) {
    this.starts = new Float64Array(initialRows);
    this.deadlines = new Float64Array(initialRows);
    this.epochs = new Uint32Array(initialRows);
    this.held = new Int32Array(initialRows);
    this.generations = new Int32Array(initialRows);
    this.freeRows = new Int32Array(initialRows);
    this.freeCount = initialRows;
    for (let i = 0; i < initialRows; i++) this.freeRows[i] = initialRows - 1 - i;
  }

  /** Permits that are out. */
  get out(): number {
    return this.starts.length - this.freeCount;
  }

  /** A permit that starts at `now` and must be over by `deadline`; NONE if all 262,144 are out. */
  take(now: number, deadline: number): number {
    if (this.freeCount === 0 && !this.grow()) return NONE;
    const row = this.freeRows[--this.freeCount] as number;
    this.starts[row] = now;
    this.deadlines[row] = deadline;
    this.epochs[row] = 0;
    this.held[row] = 0;
    return ((this.generations[row] as number) << ROW_BITS) | row;
  }

  /** The row of a permit that is out, or NONE. */
  row(handle: number): number {
    const row = handle & ROW_MASK;
    return this.generations[row] === handle >>> ROW_BITS ? row : NONE;
  }

  /**
   * Ends a permit: its handle finds nothing from here on. The row keeps what it says until `free`, for those who still have to
   * hear of it; whatever they start meanwhile can neither end it again nor get its row.
   */
  end(row: number): void {
    const generation = this.generations[row] as number;
    this.generations[row] = generation === GENERATION_MAX ? 0 : generation + 1;
  }

  /** Gives the row of an ended permit to whoever comes next. */
  free(row: number): void {
    this.freeRows[this.freeCount++] = row;
  }

  private grow(): boolean {
    const rows = this.starts.length;
    if (rows >= ROWS_MAX) return false;
    const more = rows * 2;
    this.starts = extended(this.starts, new Float64Array(more));
    this.deadlines = extended(this.deadlines, new Float64Array(more));
    this.epochs = extended(this.epochs, new Uint32Array(more));
    this.held = extended(this.held, new Int32Array(more));
    this.generations = extended(this.generations, new Int32Array(more));
    this.freeRows = new Int32Array(more);
    for (let i = 0; i < rows; i++) this.freeRows[i] = more - 1 - i;
    this.freeCount = rows;
    return true;
  }
}

function extended<T extends Float64Array | Uint32Array | Int32Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
