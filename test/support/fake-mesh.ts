/**
 * All policies of a mesh in a map, with one sequence of revisions: what a mirror is to the rules of sync, and nothing more.
 */
import type { PolicyRevision } from '../../core/policy/index.js';
import type { PolicySource } from '../../core/sync/interest.js';
import { type PolicySketch, policyRevision } from './policies.js';

export interface FakeChange {
  name: string;
  revision: number;
  before: PolicyRevision | undefined;
  after: PolicyRevision | undefined;
}

export class FakeMesh implements PolicySource {
  dataset: string;
  revision = 0;
  readonly #policies = new Map<string, PolicyRevision>();

  constructor(dataset: string) {
    this.dataset = dataset;
  }

  policy(name: string): PolicyRevision | undefined {
    return this.#policies.get(name);
  }

  policies(): readonly PolicyRevision[] {
    return [...this.#policies.values()].sort((a, b) => (a.policy.name < b.policy.name ? -1 : 1));
  }

  policiesTo(to: string): readonly PolicyRevision[] {
    return this.policies().filter(({ policy }) => policy.match.to === to);
  }

  put(sketch: PolicySketch): FakeChange {
    const before = this.policy(sketch.name);
    const after = policyRevision(sketch, ++this.revision);
    this.#policies.set(sketch.name, after);
    return { name: sketch.name, revision: this.revision, before, after };
  }

  remove(name: string): FakeChange {
    const before = this.policy(name);
    this.#policies.delete(name);
    return { name, revision: ++this.revision, before, after: undefined };
  }

  /** Everything anew, as after a loss of data: other numbers, another dataset. */
  replace(dataset: string, sketches: readonly PolicySketch[]): void {
    this.dataset = dataset;
    this.revision = 0;
    this.#policies.clear();
    for (const sketch of sketches) this.put(sketch);
  }
}
