/**
 * The rows and figures of the fleet benchmark, as they come: medians of ours beside those of each bare server, and ratios round by round.
 */
import { type Figure, type Row, spread } from '../harness.js';

/** A bare server's name, and what it did. */
export type Bares<T> = readonly (readonly [string, readonly T[]])[];

export const median = <T>(list: readonly T[], key: keyof T) =>
  spread(list.map((each) => Number(each[key]))).median;

/** Median over the rounds. */
export function ratio<T>(
  ours: readonly T[],
  key: keyof T,
  theirs: readonly T[],
  theirKey: keyof T = key,
): number {
  return spread(ours.map((each, i) => Number(each[key]) / Number(theirs[i]?.[theirKey]))).median;
}

export class Table {
  readonly rows: Row[] = [];
  readonly figures: Figure[] = [];

  row(what: string, value: string, baseline = '', ratio = ''): void {
    this.rows.push({ what, value, baseline, ratio });
    console.error(`${what}: ${value} ${baseline} ${ratio}`);
  }

  /** Ours beside each of the bare servers. */
  beside<T>(
    what: string,
    ours: readonly T[],
    key: keyof T,
    bare: Bares<T>,
    theirKey: keyof T = key,
    unit = 'ms',
  ): void {
    for (const [name, theirs] of bare)
      this.row(
        what,
        `${median(ours, key).toFixed(0)} ${unit}`,
        `${name}: ${median(theirs, theirKey).toFixed(0)} ${unit}`,
        `${ratio(ours, key, theirs, theirKey).toFixed(2)} ×`,
      );
  }

  /** The same, of several in one row. */
  several<T>(
    what: string,
    ours: readonly T[],
    keys: readonly (keyof T)[],
    bare: Bares<T>,
    unit = 'ms',
  ): void {
    const all = (list: readonly T[]) =>
      `${keys.map((key) => median(list, key).toFixed(unit === 'KB' ? 1 : 0)).join(' / ')} ${unit}`;
    for (const [name, theirs] of bare) {
      const ratios = keys.map((key) => ratio(ours, key, theirs).toFixed(2));
      this.row(what, all(ours), `${name}: ${all(theirs)}`, `${ratios.join(' / ')} ×`);
    }
  }
}
