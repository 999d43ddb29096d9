/**
 * Policies by name, with a list in order that is made when somebody asks for it and never changed, so that whoever got one keeps what
 * was true then. A few changes are put into a copy of the list before; after many it is sorted anew, so that a load of thousands
 * sorts once, and an edit among a hundred thousand sorts nothing.
 */
import type { PolicyRevision } from './model.js';

/** Changes that are put in one by one; each moves half of the list on average, which is cheaper than a comparison of each. */
const FEW = 64;

export class NamedPolicies {
  readonly #byName = new Map<string, PolicyRevision>();
  /** As of the changes before `#since`; undefined: there were many. */
  #sorted: readonly PolicyRevision[] | undefined = [];
  readonly #since = new Set<string>();

  get size(): number {
    return this.#byName.size;
  }

  get(name: string): PolicyRevision | undefined {
    return this.#byName.get(name);
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  names(): IterableIterator<string> {
    return this.#byName.keys();
  }

  [Symbol.iterator](): IterableIterator<PolicyRevision> {
    return this.#byName.values();
  }

  set(entry: PolicyRevision): void {
    this.#byName.set(entry.policy.name, entry);
    this.#touch(entry.policy.name);
  }

  delete(name: string): boolean {
    if (!this.#byName.delete(name)) return false;
    this.#touch(name);
    return true;
  }

  clear(): void {
    this.#byName.clear();
    this.#since.clear();
    this.#sorted = [];
  }

  /** By name. */
  list(): readonly PolicyRevision[] {
    if (this.#sorted && this.#since.size === 0) return this.#sorted;
    this.#sorted = this.#sorted ? this.#mended(this.#sorted) : [...this.#byName.values()].sort(byName);
    this.#since.clear();
    return this.#sorted;
  }

  #mended(sorted: readonly PolicyRevision[]): readonly PolicyRevision[] {
    const list = sorted.slice();
    for (const name of this.#since) {
      const at = placeOf(name, list);
      const present = list[at]?.policy.name === name ? 1 : 0;
      const entry = this.#byName.get(name);
      if (entry && present) list[at] = entry;
      else list.splice(at, present, ...(entry ? [entry] : []));
    }
    return list;
  }

  #touch(name: string): void {
    if (!this.#sorted) return;
    this.#since.add(name);
    if (this.#since.size <= FEW) return;
    this.#sorted = undefined;
    this.#since.clear();
  }
}

function byName(a: PolicyRevision, b: PolicyRevision): number {
  return a.policy.name < b.policy.name ? -1 : 1;
}

/** Where it is or would be, by halves. */
function placeOf(name: string, list: readonly PolicyRevision[]): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const there = list[middle];
    if (there && there.policy.name < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
