/**
 * Lets new streams in at a rate that the event loop can bear: when a replica dies, all its agents come at once. A token bucket,
 * refilled lazily, without a timer. Who is turned away is told when to come again, spread so that they don't come together.
 */
import type { Random } from '../../core/random.js';

export interface AdmissionOptions {
  /** Streams at once. */
  readonly burst: number;
  readonly perSecond: number;
}

export const defaultAdmission: AdmissionOptions = { burst: 2000, perSecond: 500 };

/** Who is turned away is spread over at most this much more than the wait itself. */
const SPREAD_MS = 2000;

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #random: Random;
  #tokens: number;
  #atMs: number;

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
    return Math.ceil(((1 - this.#tokens) * 1000) / perSecond + this.#random.next() * SPREAD_MS);
  }
}
