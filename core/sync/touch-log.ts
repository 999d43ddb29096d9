/**
 * A log of names, each the name of something that changed, whose only question is: what has changed since this place? Whoever
 * follows it keeps one number, however much it is behind, so a slow reader costs no memory. The last `entriesMax` touches are
 * kept; for a place before them the answer is `undefined`: take everything.
 */

const ENTRIES_MAX = 4096;

export class TouchLog {
  readonly #entriesMax: number;
  #names: (string | undefined)[] = [];
  /** Touches that are forgotten. */
  #floor = 0;

  constructor(entriesMax = ENTRIES_MAX) {
    this.#entriesMax = entriesMax;
  }

  /** The place behind the last touch: how many there have been. */
  get position(): number {
    return this.#floor + this.#names.length;
  }

  /** Without a name: nothing changed that has one, but followers have to come by. */
  touch(name?: string): void {
    this.#names.push(name);
    if (this.#names.length < 2 * this.#entriesMax) return;
    this.#floor += this.#names.length - this.#entriesMax;
    this.#names = this.#names.slice(-this.#entriesMax);
  }

  /** Distinct names touched behind `position`, sorted. */
  since(position: number): readonly string[] | undefined {
    if (position < this.#floor) return undefined;
    const names = new Set<string>();
    for (let at = position - this.#floor; at < this.#names.length; at++) {
      const name = this.#names[at];
      if (name !== undefined) names.add(name);
    }
    return [...names].sort();
  }
}
