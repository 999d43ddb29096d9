/**
 * The policies this agent holds, ready to be asked what holds for a call. It is replaced whole when they change, so that nobody
 * ever sees half of a change; the answers are compiled once per target (`targets.ts`), not once per call.
 */
import {
  type Effective,
  effective,
  merge,
  PolicyIndex,
  type PolicyRevision,
  sectionNames,
} from '../core/policy/index.js';

export class PolicyCache {
  #index = new PolicyIndex();
  readonly #service: string;
  #anyShadow = false;

  /** `service`: the caller. */
  constructor(service: string) {
    this.#service = service;
  }

  get size(): number {
    return this.#index.size;
  }

  use(policies: ReadonlyMap<string, PolicyRevision>): void {
    this.#index = new PolicyIndex(policies.values());
    this.#anyShadow = [...policies.values()].some(({ policy }) => policy.mode === 'shadow');
  }

  /** What holds for this callee and method (empty: every method). */
  effective(to: string, method: string): Effective {
    return effective(this.#index, { from: this.#service, to, method });
  }

  /** The sections that policies in shadow would bring or replace; undefined: none. */
  shadowed(to: string, method: string): Effective | undefined {
    if (!this.#anyShadow) return undefined;
    const matching = this.#index.matching({ from: this.#service, to, method });
    const enforced = merge(matching);
    const beside = merge(matching, { shadow: true });
    const changed = sectionNames.filter(
      (name) => beside[name] && beside[name]?.value !== enforced[name]?.value,
    );
    if (changed.length === 0) return undefined;
    return Object.fromEntries(changed.map((name) => [name, beside[name]])) as Effective;
  }
}
