/**
 * Whose turn it is among the HTTP instances of one callee: smooth weighted round robin (nginx's), so that an instance of weight 2
 * has every other turn of three and never two in a row. Pure: the place to begin and the time are arguments.
 *
 * HTTP has no standing connections whose loss would tell that an instance is gone. So one that could not be connected to rests
 * for a while, and is asked again only if nobody else is left. Bound: a row for each instance of the list it was made for.
 */

export interface Weighted {
  /** `host:port`. */
  readonly address: string;
  /** At least 1. */
  readonly weight: number;
}

interface Row extends Weighted {
  /** What it has saved up for its next turn. */
  credit: number;
  /** Connections in a row that failed. */
  failures: number;
  restsUntil: number;
}

const REST_MS = 1_000;
/** Half of a lease: what is gone for good has left the list by then. */
const REST_MAX_MS = 30_000;

const none: ReadonlySet<string> = new Set();

export class Balance {
  readonly #rows: readonly Row[];

  /** `start`: a fraction; each process begins at a place of its own, or all would go to the first. */
  constructor(instances: readonly Weighted[], start: number) {
    const at = Math.floor(start * instances.length);
    this.#rows = [...instances.slice(at), ...instances.slice(0, at)].map((instance) => ({
      ...instance,
      credit: 0,
      failures: 0,
      restsUntil: Number.NEGATIVE_INFINITY,
    }));
  }

  get size(): number {
    return this.#rows.length;
  }

  /**
   * The address whose turn it is: never one of `refused`, rather none of `tried`, and none that rests if there is another.
   * Undefined: all are among `refused`.
   */
  pick(
    now: number,
    tried: ReadonlySet<string> = none,
    refused: ReadonlySet<string> = none,
  ): string | undefined {
    let best = 3;
    let chosen: Row | undefined;
    let total = 0;
    for (const row of this.#rows) {
      if (refused.has(row.address)) continue;
      const rank = (tried.has(row.address) ? 2 : 0) + (row.restsUntil > now ? 1 : 0);
      if (rank > best) continue;
      if (rank < best) {
        best = rank;
        chosen = undefined;
      }
      if (!chosen || row.credit + row.weight > chosen.credit + chosen.weight) chosen = row;
    }
    if (!chosen) return undefined;
    for (const row of this.#rows) {
      const rank = (tried.has(row.address) ? 2 : 0) + (row.restsUntil > now ? 1 : 0);
      if (rank !== best || refused.has(row.address)) continue;
      row.credit += row.weight;
      total += row.weight;
    }
    chosen.credit -= total;
    return chosen.address;
  }

  has(address: string): boolean {
    return this.#row(address) !== undefined;
  }

  /** A connection to it came about. */
  reached(address: string): void {
    const row = this.#row(address);
    if (!row || row.failures === 0) return;
    row.failures = 0;
    row.restsUntil = Number.NEGATIVE_INFINITY;
  }

  /** No connection to it came about: it rests, twice as long each time. */
  unreachable(address: string, now: number): void {
    const row = this.#row(address);
    if (!row) return;
    row.restsUntil = now + Math.min(REST_MAX_MS, REST_MS * 2 ** row.failures);
    row.failures = Math.min(row.failures + 1, 10);
  }

  #row(address: string): Row | undefined {
    return this.#rows.find((row) => row.address === address);
  }
}
