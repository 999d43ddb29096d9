/**
 * Whose turn it is: the replica that ranks first for a circuit writes at once, the others when it should have and did not, each
 * after the one before. A hint that spares refused writes; nothing relies on it.
 */
import { ranked } from './rank.js';

/** Two ticks and a bit, for each rank before. */
const STEP_MS = 2_500;
/** From the third on anyone. */
const STEPS_MAX = 2;
const CIRCUITS_MAX = 20_000;

export class Ranks {
  #replicas: readonly string[] = [];
  /** By circuit; of the replicas as they are. */
  readonly #ranks = new Map<string, number>();

  constructor(private readonly replica: string) {}

  set(replicas: readonly string[]): void {
    const sorted = [...new Set(replicas)].sort();
    if (sorted.join('\n') === this.#replicas.join('\n')) return;
    this.#replicas = sorted;
    this.#ranks.clear();
  }

  /** For how long this replica leaves a write to others. */
  patienceMs(circuit: string): number {
    if (this.#replicas.length === 0) return 0;
    let rank = this.#ranks.get(circuit);
    if (rank === undefined) {
      rank = ranked(circuit, this.#replicas).indexOf(this.replica);
      if (this.#ranks.size >= CIRCUITS_MAX) this.#ranks.clear();
      this.#ranks.set(circuit, rank);
    }
    return STEP_MS * (rank < 0 ? STEPS_MAX : Math.min(rank, STEPS_MAX));
  }
}
