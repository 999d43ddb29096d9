/**
 * Parts of a concurrency limit that are guaranteed to the classes of criticality. A class within its part gets a slot while
 * there is one; beyond, it may use what no other class is entitled to. The part of a class of which nobody came within the
 * last second, and nobody waits, is lent out; it comes back as calls end, never by ending one.
 */
import { type Criticality, criticalities } from '../criticality.js';
import type { WaitingLine } from './waiting-line.js';

const IDLE_AFTER_MS = 1_000;
/** 0.07 × 100 is 7.000000000000001, and 0.29 × 100 is 28.999999999999996: that is a part of 29. */
const ROUNDING = 1e-9;

export type ShareSpec = { readonly [C in Criticality]?: number };

export class Shares {
  #fractions: readonly number[];
  /** Slots guaranteed, calls in flight and the latest arrival, by rank. */
  #slots: readonly number[] = [];
  readonly #inUse = criticalities.map(() => 0);
  readonly #arrivedAt = criticalities.map(() => Number.NEGATIVE_INFINITY);

  constructor(spec: ShareSpec, limit: number) {
    this.#fractions = fractionsOf(spec);
    this.resize(limit);
  }

  reconfigure(spec: ShareSpec, limit: number): void {
    this.#fractions = fractionsOf(spec);
    this.resize(limit);
  }

  resize(limit: number): void {
    this.#slots = this.#fractions.map((fraction) => slotsOf(fraction, limit));
  }

  arrived(rank: number, now: number): void {
    this.#arrivedAt[rank] = now;
  }

  began(rank: number): void {
    this.#inUse[rank] = (this.#inUse[rank] as number) + 1;
  }

  ended(rank: number): void {
    this.#inUse[rank] = Math.max(0, (this.#inUse[rank] as number) - 1);
  }

  /** Whether the class still has a slot of its own to take. */
  isOwed(rank: number): boolean {
    return (this.#inUse[rank] as number) < (this.#slots[rank] as number);
  }

  /** Slots that the other classes are entitled to and don't use. */
  keptFrom(rank: number, now: number, line: WaitingLine): number {
    let kept = 0;
    for (let other = 0; other < this.#slots.length; other++) {
      const unused = (this.#slots[other] as number) - (this.#inUse[other] as number);
      if (other !== rank && unused > 0 && !this.#isIdle(other, now, line)) kept += unused;
    }
    return kept;
  }

  #isIdle(rank: number, now: number, line: WaitingLine): boolean {
    return now - (this.#arrivedAt[rank] as number) >= IDLE_AFTER_MS && line.head(rank) === undefined;
  }
}

/** Whole slots of a limit that a part comes to. */
export function slotsOf(fraction: number, limit: number): number {
  return Math.floor(fraction * limit + ROUNDING);
}

function fractionsOf(spec: ShareSpec): number[] {
  return criticalities.map((criticality) => spec[criticality] ?? 0);
}
