/**
 * Who forces a circuit open, and until when. Each hold is its owner's own: nobody else's release ends it, only its time does.
 * Time is handed in; a hold whose time is over is dropped by `expire`, and counts for nothing before.
 */
export class Holds {
  /** When the last of them ends; -Infinity: there is none. */
  endsAt = Number.NEGATIVE_INFINITY;
  readonly #ends = new Map<number, number>();
  #next = 1;

  get size(): number {
    return this.#ends.size;
  }

  /** A hold until `endsAt` (Infinity: until it is removed), by its number. */
  add(endsAt: number): number {
    const hold = this.#next++;
    this.#ends.set(hold, endsAt);
    this.endsAt = Math.max(this.endsAt, endsAt);
    return hold;
  }

  /** False: it had ended. */
  remove(hold: number): boolean {
    const removed = this.#ends.delete(hold);
    if (removed) this.#recount();
    return removed;
  }

  expire(now: number): void {
    for (const [hold, endsAt] of this.#ends) if (now >= endsAt) this.#ends.delete(hold);
    this.#recount();
  }

  #recount(): void {
    this.endsAt = Number.NEGATIVE_INFINITY;
    for (const endsAt of this.#ends.values()) this.endsAt = Math.max(this.endsAt, endsAt);
  }
}
