/**
 * The policies this agent holds, ready to be asked what holds for a call. It is replaced whole when they change, so that nobody
 * ever sees half of a change; the answers are compiled once per target (`targets.ts`), not once per call.
 */
import { type Effective, effective, PolicyIndex, type PolicyRevision } from '../core/policy/index.js';

export class PolicyCache {
  #index = new PolicyIndex();
  readonly #service: string;

  /** `service`: the caller. */
  constructor(service: string) {
    this.#service = service;
  }

  get size(): number {
    return this.#index.size;
  }

  use(policies: ReadonlyMap<string, PolicyRevision>): void {
    this.#index = new PolicyIndex(policies.values());
  }

  /** What holds for this callee and method (empty: every method). */
  effective(to: string, method: string): Effective {
    return effective(this.#index, { from: this.#service, to, method });
  }
}
