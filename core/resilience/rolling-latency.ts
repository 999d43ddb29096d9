/**
 * The latency of the recent past, for hedges that start when a call takes longer than most: a ring of histograms, one for each
 * part of the span, and their sum. Parts expire by elapsed steps on read and on write, so an hour of idleness forgets them all
 * at once. Recording allocates nothing. Memory: parts + 1 histograms, 3.4 kB at three parts; keep one only where it is asked.
 */
import { LatencyHistogram, latencyBucket } from './latency.js';

/** Below so many samples the 95th percentile would be the slowest call alone, or made up. */
export const LATENCY_SAMPLES_MIN = 20;

export class RollingLatency {
  readonly #parts: readonly LatencyHistogram[];
  readonly #sum = new LatencyHistogram();
  readonly #partMs: number;
  /** Number of the current part since time zero, and when it ends. */
  #part: number;
  #endsAt: number;

  /** Between `spanMs` and a part less is remembered. */
  constructor(now: number, spanMs = 30_000, parts = 3) {
    this.#parts = Array.from({ length: parts }, () => new LatencyHistogram());
    this.#partMs = spanMs / parts;
    this.#part = Math.floor(now / this.#partMs);
    this.#endsAt = (this.#part + 1) * this.#partMs;
  }

  /** A call took `ms` and ended at `now`. */
  record(ms: number, now: number): void {
    this.#expire(now);
    const bucket = latencyBucket(ms);
    this.#current().recordIn(bucket);
    this.#sum.recordIn(bucket);
  }

  /** Undefined below `LATENCY_SAMPLES_MIN` samples: nothing is known. `p` is a fraction. */
  percentile(p: number, now: number): number | undefined {
    this.#expire(now);
    return this.#sum.count < LATENCY_SAMPLES_MIN ? undefined : this.#sum.percentile(p);
  }

  /** Samples remembered. */
  count(now: number): number {
    this.#expire(now);
    return this.#sum.count;
  }

  #current(): LatencyHistogram {
    return this.#parts[this.#part % this.#parts.length] as LatencyHistogram;
  }

  #expire(now: number): void {
    if (now < this.#endsAt) return;
    const part = Math.floor(now / this.#partMs);
    const steps = Math.min(this.#parts.length, part - this.#part);
    for (let i = 0; i < steps; i++) {
      this.#part++;
      const oldest = this.#current();
      this.#sum.subtract(oldest);
      oldest.clear();
    }
    // After a long idleness fewer steps were taken than time has passed: every part is empty, so any number fits.
    if (steps > 0) this.#part = part;
    this.#endsAt = (this.#part + 1) * this.#partMs;
  }
}
