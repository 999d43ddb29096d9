/**
 * What a control plane has opened, in order, so that it can be closed in the opposite one: by `close()`, or half-way through a
 * start that failed. Every step is tried, whatever the one before it did; together they take at most a given time, after
 * which the rest is left to the end of the process.
 */
import { type Clock, wait } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import type { Logger } from './telemetry/logger.js';

interface Step {
  readonly what: string;
  readonly close: () => unknown;
}

export class Resources {
  readonly #steps: Step[] = [];
  readonly #clock: Clock;
  readonly #logger: Logger;
  #closing: Promise<void> | undefined;

  constructor(clock: Clock, logger: Logger) {
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Remembers how to close something that has just been opened. */
  opened(what: string, close: () => unknown): void {
    this.#steps.push({ what, close });
  }

  /** Closes the last opened first. The second call waits for the first. */
  closeAll(withinMs: number): Promise<void> {
    this.#closing ??= this.#close(withinMs);
    return this.#closing;
  }

  async #close(withinMs: number): Promise<void> {
    const over = new AbortController();
    const late = wait(this.#clock, withinMs, over.signal).then(() => 'late' as const);
    for (const { what, close } of this.#steps.reverse()) {
      const outcome = await Promise.race([late, this.#attempt(what, close)]);
      if (outcome === 'late')
        this.#logger.warn({ what, withinMs }, 'closing took too long; going on without');
    }
    over.abort();
  }

  async #attempt(what: string, close: () => unknown): Promise<void> {
    try {
      await close();
    } catch (error) {
      this.#logger.error({ what, error: messageOf(error) }, 'closing failed');
    }
  }
}
