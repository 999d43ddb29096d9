/**
 * Tells listeners in order of their registration. A listener's error is logged and reaches neither the teller nor the other
 * listeners.
 */
import { messageOf } from '../../core/errors.js';
import type { MirrorEvents } from '../ports.js';
import type { Logger } from '../telemetry/logger.js';

type Listeners = { readonly [E in keyof MirrorEvents]: Set<MirrorEvents[E]> };

export class MirrorEmitter {
  readonly #logger: Logger;
  readonly #listeners: Listeners = {
    policies: new Set(),
    brownout: new Set(),
    overrides: new Set(),
    rollouts: new Set(),
    reset: new Set(),
    instances: new Set(),
    interest: new Set(),
    circuits: new Set(),
    health: new Set(),
  };

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  on<E extends keyof MirrorEvents>(event: E, listener: MirrorEvents[E]): () => void {
    this.#listeners[event].add(listener);
    return () => void this.#listeners[event].delete(listener);
  }

  emit<E extends keyof MirrorEvents>(event: E, ...details: Parameters<MirrorEvents[E]>): void {
    for (const listener of [...this.#listeners[event]]) {
      try {
        (listener as (...details: Parameters<MirrorEvents[E]>) => void)(...details);
      } catch (error) {
        this.#logger.error({ event, error: messageOf(error) }, 'a listener of the mirror failed');
      }
    }
  }
}
