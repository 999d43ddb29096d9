/**
 * Concurrency limits that find themselves, after Netflix's concurrency-limits. `Gradient2` watches latency and suits the
 * server, which sees its own queueing; `Aimd` watches losses and suits the client, whose latency has many causes. Neither
 * counts calls in flight: whoever admits does, and tells with each sample.
 *
 * Each whole step of the limit begins an epoch, and a sample carries the epoch in which its call began. A latency from before
 * the last step says nothing about the limit as it is now (Envoy took such samples for its floor once) and changes nothing. A
 * loss may come late, a timeout always does: it counts if its call began after the limit last fell, so that one congestion is
 * answered once, however many calls it costs.
 */

export interface AdaptiveLimit {
  /** Calls in flight, at most; not always a whole number. */
  readonly limit: number;
  /** At present, from 0 to `EPOCHS` - 1. */
  readonly epoch: number;
  /**
   * A call has ended that began in `epoch`. `inflight` counts it too. `dropped`: it was lost to overload, its time says
   * nothing. A time that is no number is ignored.
   */
  sample(epoch: number, rttMs: number, inflight: number, dropped: boolean, now: number): void;
}

/** Epochs go round after so many, so that one fits into a permit's note. */
export const EPOCHS = 1 << 21;

const MIN_LIMIT = 4;
const MAX_LIMIT = 1_000;
const START_LIMIT = 20;
/** What a drop leaves of the limit. */
const BACKOFF = 0.9;

/** A limit with its epoch, and which samples it still listens to. */
class Level {
  limit = START_LIMIT;
  epoch = 0;
  #fellAt = 0;

  /** Whether a latency of that epoch was measured under the limit as it is. */
  isCurrent(epoch: number): boolean {
    return epoch === this.epoch;
  }

  move(limit: number): void {
    const before = Math.floor(this.limit);
    this.limit = Math.min(MAX_LIMIT, Math.max(MIN_LIMIT, limit));
    const after = Math.floor(this.limit);
    if (after !== before) this.#next(after < before);
  }

  /** False if the limit has fallen since the dropped call began: that was the answer. */
  drop(epoch: number): boolean {
    if (this.#age(epoch) > this.#age(this.#fellAt)) return false;
    this.limit = Math.max(MIN_LIMIT, this.limit * BACKOFF);
    this.#next(true);
    return true;
  }

  #next(fell: boolean): void {
    this.epoch = (this.epoch + 1) % EPOCHS;
    if (fell) this.#fellAt = this.epoch;
  }

  #age(epoch: number): number {
    return (this.epoch - epoch + EPOCHS) % EPOCHS;
  }
}

/** Additive increase, multiplicative decrease: one more for each round trip that went well, a tenth less for a lost one. */
export class Aimd implements AdaptiveLimit {
  readonly #level = new Level();
  readonly #timeoutMs: number;

  /** A call that takes longer than `timeoutMs` counts as dropped. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  get limit(): number {
    return this.#level.limit;
  }

  get epoch(): number {
    return this.#level.epoch;
  }

  sample(epoch: number, rttMs: number, inflight: number, dropped: boolean): void {
    const level = this.#level;
    if (dropped || rttMs > this.#timeoutMs) level.drop(epoch);
    else if (rttMs >= 0 && level.isCurrent(epoch) && inflight >= level.limit / 2) level.move(level.limit + 1);
  }
}

/** A window closes when it has so many samples and is so old. */
const WINDOW_SAMPLES_MIN = 10;
const WINDOW_MS = 1_000;
const LONG_WINDOWS = 600;
const WARM_UP_WINDOWS = 10;
const TOLERANCE = 1.5;
const SMOOTHING = 0.2;
/** Calls that may queue in the callee before its latency counts as grown. */
const QUEUE = 4;
/** The long average comes down faster where it lies so far above the present: an overload has passed. */
const RECOVERED = 2;
const RECOVERY = 0.95;

/**
 * Compares the latency of the last window with its long-term average. As in concurrency-limits, one window is one sample of
 * that average: by calls, 600 of them would be over within a busy second, and nothing would ever look slow.
 */
export class Gradient2 implements AdaptiveLimit {
  readonly #level = new Level();
  #longMs = 0;
  #windows = 0;
  #openedAt = 0;
  #samples = 0;
  #sumMs = 0;
  #inflightMax = 0;

  get limit(): number {
    return this.#level.limit;
  }

  get epoch(): number {
    return this.#level.epoch;
  }

  sample(epoch: number, rttMs: number, inflight: number, dropped: boolean, now: number): void {
    if (dropped) {
      // What the window holds was measured before.
      if (this.#level.drop(epoch)) this.#empty();
      return;
    }
    if (!this.#level.isCurrent(epoch) || !(rttMs >= 0 && rttMs < Number.POSITIVE_INFINITY)) return;
    if (this.#samples === 0) this.#openedAt = now;
    this.#samples++;
    this.#sumMs += rttMs;
    if (inflight > this.#inflightMax) this.#inflightMax = inflight;
    if (this.#samples >= WINDOW_SAMPLES_MIN && now - this.#openedAt >= WINDOW_MS) this.#close();
  }

  #close(): void {
    const shortMs = this.#sumMs / this.#samples;
    const longMs = this.#average(shortMs);
    // No time at all: nothing is slow.
    const ratio = shortMs > 0 ? longMs / shortMs : 1;
    if (ratio > RECOVERED) this.#longMs *= RECOVERY;
    const { limit } = this.#level;
    // A limit that nobody comes near says nothing.
    if (this.#inflightMax >= limit / 2) {
      const gradient = Math.min(1, Math.max(0.5, TOLERANCE * ratio));
      this.#level.move((1 - SMOOTHING) * limit + SMOOTHING * (limit * gradient + QUEUE));
    }
    this.#empty();
  }

  /** Exponential over 600 windows; the plain mean of the first ten. */
  #average(shortMs: number): number {
    const weight = this.#windows < WARM_UP_WINDOWS ? 1 / ++this.#windows : 2 / (LONG_WINDOWS + 1);
    this.#longMs += (shortMs - this.#longMs) * weight;
    return this.#longMs;
  }

  #empty(): void {
    this.#samples = this.#sumMs = this.#inflightMax = 0;
  }
}
