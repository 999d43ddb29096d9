/**
 * How long a circuit stays open: `openFor` at first, twice as long each time that it opens again before it has healed, at most
 * a minute, and never quite the same, so that a fleet doesn't come back in one step.
 */
import type { Random } from '../random.js';
import type { SavedCircuit } from './circuit-state.js';

/** A period doubles up to this, or up to `openFor` itself, if that is longer. */
const OPEN_MAX_MS = 60_000;
const OPEN_JITTER = 0.2;

export class OpenPeriod {
  /** Openings in a row, without a healthy time between them; each doubles the period. */
  openings = 0;
  /** How long the latest was to last. */
  #lastMs = 0;

  constructor(private readonly random: Random) {}

  /** Milliseconds for the next one, of a circuit that has been closed for so long (0: it was half-open). */
  next(openForMs: number, closedForMs: number): number {
    // It healed if it stayed closed for as long as it last was open; otherwise this is the same trouble, and it waits longer.
    const healed = closedForMs > 0 && closedForMs >= this.#lastMs;
    this.openings = healed ? 1 : this.openings + 1;
    this.#lastMs = this.#evenMs(openForMs) * (1 + OPEN_JITTER * (2 * this.random.next() - 1));
    return this.#lastMs;
  }

  /** Goes on where a former process was so long ago. Answers what is left, as far as a period of this circuit can last. */
  restore(openForMs: number, { openings, remainingMs: savedMs }: SavedCircuit, elapsedMs: number): number {
    const remainingMs = savedMs - (Number.isFinite(elapsedMs) ? Math.max(0, elapsedMs) : 0);
    this.openings = Number.isFinite(openings) ? Math.max(1, openings) : 1;
    this.#lastMs = this.#evenMs(openForMs);
    const longestMs = Math.max(OPEN_MAX_MS, openForMs) * (1 + OPEN_JITTER);
    return remainingMs > 0 ? Math.min(remainingMs, longestMs) : 0;
  }

  #evenMs(openForMs: number): number {
    return Math.min(openForMs * 2 ** (this.openings - 1), Math.max(OPEN_MAX_MS, openForMs));
  }
}
