/**
 * Connections to HTTP instances: one pool of undici's for each mesh, made at the first call. `import 'switchgear'` must not load
 * undici, and a dispatcher is wanted at once and not by promise, so it is required and not imported.
 *
 * Bound: connections are those of the calls under way, and for some seconds (undici's keep-alive, 4 s, or what the server says)
 * those that may be used again; an origin that has no connection left is forgotten. They don't keep a process alive.
 */
import { createRequire } from 'node:module';
import type * as Undici from 'undici';
import { type Clock, wait } from '../../core/clock.js';

const require = createRequire(import.meta.url);
/** What is under way when a mesh closes may take so long to its end. */
const CLOSE_MS = 1_000;

export function loadUndici(): typeof Undici {
  return require('undici');
}

export class Pool {
  #agent: Undici.Agent | undefined;
  #closed = false;
  /** Exchanges under way. */
  #open = 0;
  #onIdle = () => {};

  get agent(): Undici.Agent {
    if (!this.#agent) {
      this.#agent = new (loadUndici().Agent)();
      // A call that had been admitted before the mesh closed: it hears so from undici.
      if (this.#closed) void this.#agent.destroy();
    }
    return this.#agent;
  }

  /** Loads what connects, at the first call: it takes longer than some attempts may, and is not their time. */
  load(): void {
    void this.agent;
  }

  /** An exchange begins, and is under way until then. */
  holds(over: Promise<void>): void {
    this.#open++;
    void over.then(() => {
      this.#open--;
      if (this.#open === 0) this.#onIdle();
    });
  }

  /** Lets what is under way come to its end, for a second; then there is no connection any more. */
  async close(clock: Clock): Promise<void> {
    this.#closed = true;
    const controller = new AbortController();
    this.#onIdle = () => controller.abort();
    if (this.#open > 0) await wait(clock, CLOSE_MS, controller.signal);
    await this.#agent?.destroy();
  }
}
