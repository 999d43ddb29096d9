/**
 * The mesh's probe permits of one circuit of this agent. Each lets one attempt through, once: a directive that is said again names
 * permits that are out, or whose result is still on its way, and they stay used. What the attempts came to is told by the permit.
 *
 * Bound: the permits of one half-open period, and those of earlier ones whose attempts are still under way.
 */

/** Of an attempt that was let through by a permit. */
export interface ProbeOut {
  readonly permit: number;
  /** Of the circuit when it began; 0: the circuit itself counts it not. */
  readonly epoch: number;
}

export class ProbePermits {
  /** Of the half-open period that the permits are for. */
  #period = -1;
  #free: number[] = [];
  readonly #used = new Set<number>();
  readonly #out = new Map<number, ProbeOut>();

  get available(): boolean {
    return this.#free.length > 0;
  }

  /** What the mesh says at present; a new period ends the permits of the one before. */
  offer(period: number, permits: readonly number[]): void {
    if (period !== this.#period) this.#used.clear();
    this.#period = period;
    this.#free = [...new Set(permits)].filter((permit) => !this.#used.has(permit));
  }

  /** The mesh isn't probing any more. */
  withdraw(): void {
    this.#free = [];
  }

  /** Undefined: there is none left. */
  draw(): number | undefined {
    const permit = this.#free.shift();
    if (permit !== undefined) this.#used.add(permit);
    return permit;
  }

  began(row: number, probe: ProbeOut): void {
    this.#out.set(row, probe);
  }

  ended(row: number): ProbeOut | undefined {
    const probe = this.#out.get(row);
    this.#out.delete(row);
    return probe;
  }
}
