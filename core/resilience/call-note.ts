/**
 * What a bulkhead notes of a call in its permit, packed into one integer: two bits of the call's rank, eight of the bulkhead's
 * shape, 21 of its adaptive limit's epoch. A shape is a number that changes whenever the bulkhead becomes of another kind, so
 * that after a live change the notes from before are known as such. 0 is no note: whoever issues permits clears them.
 */
const RANK_MASK = 0b11;
const SHAPE_SHIFT = 2;
const SHAPE_MASK = 0xff;
const EPOCH_SHIFT = 10;

export const NO_NOTE = 0;
export const FIRST_SHAPE = 1;

export function noteOf(rank: number, shape: number, epoch: number): number {
  return rank | (shape << SHAPE_SHIFT) | (epoch << EPOCH_SHIFT);
}

export function rankIn(note: number): number {
  return note & RANK_MASK;
}

export function shapeIn(note: number): number {
  return (note >>> SHAPE_SHIFT) & SHAPE_MASK;
}

export function epochIn(note: number): number {
  return note >>> EPOCH_SHIFT;
}

/** From 1 to 255, and round. */
export function nextShape(shape: number): number {
  return (shape % SHAPE_MASK) + 1;
}
