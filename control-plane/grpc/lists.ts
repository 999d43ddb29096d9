/**
 * Lists of names that many agents say in the same words, kept once: ten thousand agents of one release have the same capabilities.
 * Bound: 256 lists; beyond them all are forgotten, and those that come are kept anew.
 */

const LISTS_MAX = 256;

export class Lists {
  readonly #known = new Map<string, readonly string[]>();

  /** The same names in the same order are the same list. */
  shared(items: readonly string[]): readonly string[] {
    const key = items.join('\n');
    const known = this.#known.get(key);
    // Names with line breaks in them may have the key of others.
    if (known?.every((item, at) => item === items[at])) return known;
    if (this.#known.size >= LISTS_MAX) this.#known.clear();
    this.#known.set(key, items);
    return items;
  }
}
