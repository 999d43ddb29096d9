/**
 * Too many circuits at once: when most of what is called seems to be down, what is down is more likely the one who says so, and
 * opening everything would finish it. Of at least ten circuits over at least three callees, more than half have opened, or want to,
 * within a minute, and these too are of at least three callees: one dead callee with a circuit for each method is no panic.
 *
 * Bounds: 10,000 circuits that wanted to open within the last minute; further ones are not noted.
 */
const CIRCUITS_MIN = 10;
const CALLEES_MIN = 3;
const WITHIN_MS = 60_000;
const WANTING_MAX = 10_000;

export class Panic {
  /** When it last did; the longest ago first. */
  readonly #wanted = new Map<string, number>();

  /**
   * It has gone from closed to open, or would if it might. Not: back from half-open. Zones of one circuit count once: it is passed
   * without.
   */
  wants(circuit: string, now: number): void {
    this.#forget(now);
    this.#wanted.delete(circuit);
    if (this.#wanted.size < WANTING_MAX) this.#wanted.set(circuit, now);
  }

  /** Why no circuit may open, in words; empty: they may. `circuits`: the callee of each that is active. */
  reason(circuits: ReadonlyMap<string, string>, now: number): string {
    this.#forget(now);
    if (circuits.size < CIRCUITS_MIN || new Set(circuits.values()).size < CALLEES_MIN) return '';
    const callees = new Set<string>();
    let wanting = 0;
    for (const circuit of this.#wanted.keys()) {
      const callee = circuits.get(circuit);
      if (callee === undefined) continue;
      wanting++;
      callees.add(callee);
    }
    if (2 * wanting <= circuits.size || callees.size < CALLEES_MIN) return '';
    const which = `${wanting} of ${circuits.size} circuits, of ${callees.size} callees,`;
    return `panic: ${which} opened or want to open within a minute: the fault is more likely ours than theirs, none opens`;
  }

  #forget(now: number): void {
    for (const [circuit, at] of this.#wanted) {
      if (now - at < WITHIN_MS) return;
      this.#wanted.delete(circuit);
    }
  }
}
