/**
 * Listeners of the application. They run after the fact and never within a decision, in the order of what happened; what a
 * listener throws, or rejects with, is logged and goes no further.
 */
import { messageOf } from '../core/errors.js';
import type { Logger } from './logger.js';

/** Shape of an emitter's events: name → what is told. */
type Events = { readonly [name: string]: unknown };

export class Emitter<E extends Events> {
  readonly #listeners = new Map<keyof E, Set<(event: never) => unknown>>();
  readonly #logger: Logger;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /** Answers the way to leave. The same function given twice is called twice. */
  on<N extends keyof E>(name: N, listener: (event: E[N]) => unknown): () => void {
    let listeners = this.#listeners.get(name);
    if (!listeners) {
      listeners = new Set();
      this.#listeners.set(name, listeners);
    }
    const own = (event: E[N]) => listener(event);
    listeners.add(own);
    return () => void listeners.delete(own);
  }

  /** Whether anybody listens: what nobody hears needn't be put into words. */
  hears<N extends keyof E>(name: N): boolean {
    return (this.#listeners.get(name)?.size ?? 0) > 0;
  }

  /** Tells everybody who listens now, in a microtask of its own. */
  emit<N extends keyof E>(name: N, event: E[N]): void {
    const listeners = this.#listeners.get(name);
    if (!listeners || listeners.size === 0) return;
    queueMicrotask(() => {
      for (const listener of [...listeners]) if (listeners.has(listener)) this.#tell(name, listener, event);
    });
  }

  clear(): void {
    for (const listeners of this.#listeners.values()) listeners.clear();
  }

  #tell<N extends keyof E>(name: N, listener: (event: never) => unknown, event: E[N]): void {
    const complain = (error: unknown) =>
      this.#logger.error({ event: String(name), error: messageOf(error) }, 'a listener of the mesh failed');
    try {
      const answer = listener(event as never);
      if (answer instanceof Promise) answer.catch(complain);
    } catch (error) {
      complain(error);
    }
  }
}
