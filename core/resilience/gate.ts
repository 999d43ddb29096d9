/**
 * The one small interface that every admitting policy implements, so that they compose by folding. A gate decides about an
 * attempt before it starts, and hears twice of an admitted one: when it is known what it came to, and when it is over.
 */
import type { CallCode } from '../errors.js';
import type { Outcome } from './outcome.js';

/** Let through, turned away, or told to wait in this gate's queue. */
export const ADMITTED = 0;
export const REFUSED = 1;
export const QUEUED = 2;
export type Verdict = typeof ADMITTED | typeof REFUSED | typeof QUEUED;

/** Whatever waits in a gate's queue. `granted` runs in the tick in which the place came free. */
export interface Waiter {
  granted(): void;
  /** It had to make room in the line for a more critical one, and is in it no more. */
  displaced(): void;
}

export interface Gate {
  /** Whether it would decide, at present, without looking at the time, and won't ask how long the attempt took. */
  readonly timeless: boolean;
  /** Decides about the attempt whose permit is in `row`; whatever the gate must remember of it goes into that row. */
  admit(row: number, now: number): Verdict;
  /** What the attempt came to: at its first message for a stream, at its end for the rest. Once for each admitted one. */
  settle?(row: number, outcome: Outcome, now: number): void;
  /**
   * The attempt is over and gives back what it held. Once for each admitted one, after `settle`; its row is free by then, and
   * `note` is what `Permits.note` had of it.
   */
  leave?(now: number, note: number): void;
  /**
   * An attempt that this gate admitted never started, since a gate further in turned it away or its caller gave up before: what
   * it took of a rate comes back. After `settle` (neutral), before `leave`; its row is still its own.
   */
  undo?(row: number, now: number): void;
  /** Puts a waiter at the end of the queue, right after `admit` answered QUEUED. */
  enqueue?(waiter: Waiter, row: number): void;
  /** Takes a waiter out of the queue; false if it wasn't there any more. */
  forget?(waiter: Waiter): boolean;
  /** Why it turned the last one away, for the rejection. */
  refusal(now: number): Refusal;
}

export interface Refusal {
  readonly code: CallCode;
  /** In words, with what to do: `retry in 1200 ms`. */
  readonly text: string;
  /** Milliseconds from `now`; absent: nobody knows. */
  readonly retryAfterMs?: number;
  /** Of the policy, which refused; absent: none did. Two of them say `overloaded`. */
  readonly section?: 'rateLimit' | 'admission' | 'bulkhead' | 'circuit';
}
