/**
 * Lets new streams in at a rate that the event loop can bear: when a replica dies, all its agents come at once. A token bucket,
 * refilled lazily, without a timer. Who is turned away gets the next free place in a line and is told when that is: by then there
 * is a token for it, unless somebody new has come and taken it. The line itself is one number, and has an end: beyond it, any moment
 * within it.
 */
import type { Random } from '../../core/random.js';

export interface AdmissionOptions {
  /** Streams at once. */
  readonly burst: number;
  readonly perSecond: number;
}

export const defaultAdmission: AdmissionOptions = { burst: 10_000, perSecond: 2_000 };

/** Nobody is told to wait longer. */
const LINE_MS = 30_000;

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #random: Random;
  #tokens: number;
  #atMs: number;
  /** The last place that was given away. */
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(options: AdmissionOptions, random: Random, now: number) {
    this.#options = options;
    this.#random = random;
    this.#tokens = options.burst;
    this.#atMs = now;
  }

  /** Undefined: come in. A number: try again after so many milliseconds. */
  admit(now: number): number | undefined {
    const { burst, perSecond } = this.#options;
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#atMs) * perSecond) / 1000);
    this.#atMs = now;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return undefined;
    }
    const nextMs = Math.max(now + ((1 - this.#tokens) * 1000) / perSecond, this.#lastMs + 1000 / perSecond);
    if (nextMs - now > LINE_MS) return Math.ceil(this.#random.next() * LINE_MS);
    this.#lastMs = nextMs;
    return Math.ceil(nextMs - now);
  }
}
