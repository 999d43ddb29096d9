/**
 * Who makes room where there are too many targets: the least recently used that hold nothing. Looking at all of them has its price,
 * so that a tenth leaves at once, and where none could leave, nobody looks again for a second.
 */
import type { Target } from './target.js';

const LEAVING_AT_ONCE = 0.1;
const FULL_FOR_MS = 1_000;

const none: readonly Target[] = [];

export class Room {
  readonly #busy: (target: Target, now: number) => boolean;
  #fullUntil = Number.NEGATIVE_INFINITY;

  /** `busy`: something would be lost with it. */
  constructor(busy: (target: Target, now: number) => boolean) {
    this.#busy = busy;
  }

  /** Those of them that have to leave; none: every one holds something. */
  leaving(all: () => readonly Target[], now: number): readonly Target[] {
    if (now < this.#fullUntil) return none;
    const targets = all();
    const idle = targets.filter((target) => !this.#busy(target, now));
    if (idle.length === 0) this.#fullUntil = now + FULL_FOR_MS;
    idle.sort((a, b) => a.lastUsedAt - b.lastUsedAt);
    return idle.slice(0, Math.max(1, Math.floor(targets.length * LEAVING_AT_ONCE)));
  }
}
