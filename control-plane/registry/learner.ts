/**
 * Tells the store which callees the instances of a service use, so that other replicas, and the next life of this one, send
 * the right policies from the first message on. Best effort: agents repeat their callees whenever they connect, so nothing is
 * lost for good while the store is away. Bounded by what is connected: names wait at most once for each service.
 */
import type { Clock, Timer } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import type { Store } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';

const RETRY_AFTER_MS = 2000;
const SERVICES_MAX = 10_000;

export class Learner {
  readonly #store: Store;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #waiting = new Map<string, Set<string>>();
  #working = false;
  #retry: Timer | undefined;
  #closed = false;

  constructor({ store, clock, logger }: { store: Store; clock: Clock; logger: Logger }) {
    this.#store = store;
    this.#clock = clock;
    this.#logger = logger;
  }

  learn(service: string, callees: readonly string[]): void {
    if (callees.length === 0) return;
    const known = this.#waiting.get(service);
    if (!known && this.#waiting.size >= SERVICES_MAX) return;
    this.#waiting.set(service, new Set([...(known ?? []), ...callees]));
    if (!this.#working && !this.#retry) void this.#work();
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
  }

  async #work(): Promise<void> {
    this.#working = true;
    try {
      for (const [service, callees] of this.#waiting) {
        if (this.#closed) break;
        await this.#store.learn(service, [...callees]);
        // More may have come meanwhile; that is a set of its own.
        if (this.#waiting.get(service) === callees) this.#waiting.delete(service);
      }
    } catch (error) {
      this.#logger.debug({ error: messageOf(error) }, 'callees not stored; trying again');
      this.#retryLater();
    } finally {
      this.#working = false;
    }
  }

  #retryLater(): void {
    if (this.#closed) return;
    this.#retry = this.#clock.after(RETRY_AFTER_MS, () => {
      this.#retry = undefined;
      void this.#work();
    });
  }
}
