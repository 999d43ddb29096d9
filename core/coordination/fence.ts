/**
 * What keeps an agent from going back: of each circuit the greatest (epoch, seq) that it has accepted. A directive that was
 * overtaken on its way, or that a replica sends which has slept, is smaller and changes nothing. The same one again renews the time
 * of what it said. Numbers of another dataset aren't comparable: with it everything starts anew.
 *
 * At most 10,000 circuits, those heard of longest ago out first; one that isn't heard of for ten minutes is forgotten: its directive
 * has lapsed long before, and any that comes so late would have lapsed on its way.
 */
import type { ClusterDirective } from './model.js';

const CIRCUITS_MAX = 10_000;
const FORGOTTEN_MS = 600_000;

interface Seen {
  readonly epoch: number;
  readonly seq: number;
  readonly at: number;
}

export class Fence {
  /** Heard of longest ago first. */
  readonly #seen = new Map<string, Seen>();
  #dataset = '';

  get size(): number {
    return this.#seen.size;
  }

  /**
   * True: it holds from now on, for its TTL. That includes one that says again what holds already; its permits that have been used
   * stay used.
   */
  accept(
    dataset: string,
    { circuit, epoch, seq }: Pick<ClusterDirective, 'circuit' | 'epoch' | 'seq'>,
    now: number,
  ): boolean {
    if (!(Number.isSafeInteger(epoch) && Number.isSafeInteger(seq))) return false;
    if (dataset !== this.#dataset) this.#seen.clear();
    this.#dataset = dataset;
    this.#forget(now);
    const seen = this.#seen.get(circuit);
    if (seen && (epoch < seen.epoch || (epoch === seen.epoch && seq < seen.seq))) return false;
    this.#seen.delete(circuit);
    this.#seen.set(circuit, { epoch, seq, at: now });
    return true;
  }

  #forget(now: number): void {
    for (const [circuit, { at }] of this.#seen) {
      if (this.#seen.size <= CIRCUITS_MAX - 1 && now - at < FORGOTTEN_MS) return;
      this.#seen.delete(circuit);
    }
  }
}
