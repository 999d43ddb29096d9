/**
 * When a replica exchanges with the others: each second everything, and in between, as soon as something has turned bad or changed,
 * what that was. One exchange at a time, its beginning at least 50 ms behind the one before; whatever is asked for in the meantime
 * becomes one more. It holds one timer and two flags.
 */
import type { Clock, Timer } from '../../core/clock.js';

const APART_MS = 50;

export type Extent = 'all' | 'urgent';

export class Pacer {
  readonly #clock: Clock;
  readonly #run: (extent: Extent) => Promise<void>;
  #wanted: Extent | undefined;
  #running: Promise<void> | undefined;
  #timer: Timer | undefined;
  #startedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** `run` never rejects. */
  constructor(clock: Clock, run: (extent: Extent) => Promise<void>) {
    this.#clock = clock;
    this.#run = run;
  }

  ask(extent: Extent): void {
    if (this.#closed) return;
    this.#wanted = this.#wanted === 'all' ? 'all' : extent;
    this.#next();
  }

  /** Resolves once nothing runs any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#running;
  }

  #next(): void {
    if (this.#closed || this.#running || this.#timer || !this.#wanted) return;
    const waitMs = this.#startedAt + APART_MS - this.#clock.now();
    if (waitMs <= 0) this.#start(this.#wanted);
    else
      this.#timer = this.#clock.after(waitMs, () => {
        this.#timer = undefined;
        if (this.#wanted) this.#start(this.#wanted);
      });
  }

  #start(extent: Extent): void {
    this.#wanted = undefined;
    this.#startedAt = this.#clock.now();
    this.#running = this.#run(extent).finally(() => {
      this.#running = undefined;
      this.#next();
    });
  }
}
