/**
 * The names this agent calls: those it was told of at the start, those of its snapshot, and those it learnt as they were used.
 * The control plane is told of new ones once a tick. A name that no policy could have (an odd character, too long) stays under
 * `*` here and never travels.
 *
 * Bound: 1,000 names, as many as the control plane keeps for a service; further ones stay under `*`, with one warning.
 */
import { serviceNamePattern } from '../core/policy/names.js';
import { calleesMax } from '../proto/bounds.js';
import type { Logger } from './logger.js';

export class Callees {
  readonly #names: string[] = [];
  readonly #known = new Set<string>();
  #scheduled = false;
  #full = false;
  readonly #logger: Logger;
  readonly #onFresh: () => void;

  /** `onFresh`: there are new names; called once for all of a tick. */
  constructor(options: { logger: Logger; onFresh(): void }) {
    this.#logger = options.logger;
    this.#onFresh = options.onFresh;
  }

  get size(): number {
    return this.#names.length;
  }

  /** In the order in which they were added, without the first `from` of them. */
  since(from: number): readonly string[] {
    return this.#names.slice(from);
  }

  /** Answers whether it is new. Never throws. */
  add(name: string): boolean {
    if (name === '*' || this.#known.has(name) || !serviceNamePattern.test(name)) return false;
    if (this.#names.length >= calleesMax) {
      if (!this.#full)
        this.#logger.warn(
          { callee: name, calleesMax },
          'too many callees: this one and further ones are under the policies of * alone',
        );
      this.#full = true;
      return false;
    }
    this.#known.add(name);
    this.#names.push(name);
    this.#schedule();
    return true;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#onFresh();
    });
  }
}
