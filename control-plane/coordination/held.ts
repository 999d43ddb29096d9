/**
 * Which policies an instance holds that could match a call: those in force, but where a staged rollout does not reach it, the revision
 * before. Instances that fall into the rollouts in the same way hold the same, and are asked for by that way.
 *
 * Policies are indexed by callee when one is first asked for, and a change is put into the indexes that are there: an edit costs the same
 * among a hundred thousand policies as among a hundred. Bounds: 64 ways, 20,000 instances; beyond them it is worked out anew.
 */
import { PolicyIndex, type PolicyRevision, type Query } from '../../core/policy/index.js';
import { NamedPolicies } from '../../core/policy/named.js';
import { reaches } from '../../core/policy/rollout.js';
import type { Mirror, PolicyChange } from '../ports.js';

const INSTANCES_MAX = 20_000;
const WAYS_MAX = 64;
/** Staged policies with circuits that are told apart; instances are taken to hold the new revision of the others. */
const STAGED_MAX = 16;

/** By the callee that policies are `to`; those of every callee under `*`. */
type Indexes = Map<string, PolicyIndex>;

export class HeldPolicies {
  readonly #mirror: Pick<Mirror, 'policies' | 'policiesTo'>;
  /** All staged policies with circuits. */
  readonly #staged = new NamedPolicies();
  /** Those that are told apart. */
  #told: readonly PolicyRevision[] = [];
  /** One character for each of those: whether it reaches the instance. */
  readonly #byInstance = new Map<string, string>();
  readonly #byWay = new Map<string, Indexes>();

  constructor(mirror: Pick<Mirror, 'policies' | 'policiesTo'>) {
    this.#mirror = mirror;
  }

  /** Everything may be another. */
  reset(): void {
    this.#staged.clear();
    for (const entry of this.#mirror.policies()) if (isTold(entry)) this.#staged.set(entry);
    this.#begin(this.#staged.list().slice(0, STAGED_MAX));
  }

  /** Answers whether ways mean something else now. */
  changed(changes: readonly PolicyChange[]): boolean {
    for (const { name, after } of changes)
      if (after && isTold(after)) this.#staged.set(after);
      else this.#staged.delete(name);
    const told = this.#staged.list().slice(0, STAGED_MAX);
    if (told.length !== this.#told.length || told.some((entry, at) => entry !== this.#told[at])) {
      this.#begin(told);
      return true;
    }
    for (const change of changes) this.#note(change);
    return false;
  }

  /** Of this instance, for `matching`. */
  way(instance: string): string {
    if (this.#told.length === 0) return '';
    const known = this.#byInstance.get(instance);
    if (known !== undefined) return known;
    const way = this.#told.map(({ policy }) => (reaches(policy, instance) ? '1' : '0')).join('');
    if (this.#byInstance.size >= INSTANCES_MAX) this.#byInstance.clear();
    this.#byInstance.set(instance, way);
    return way;
  }

  /** Whatever matches, of every mode, from general to specific. */
  matching(way: string, query: Query): readonly PolicyRevision[] {
    const general = this.#index(way, '*').matching(query);
    return query.to === '*' ? general : [...general, ...this.#index(way, query.to).matching(query)];
  }

  #begin(told: readonly PolicyRevision[]): void {
    this.#told = told;
    this.#byInstance.clear();
    this.#byWay.clear();
  }

  /** A change of a policy that is not told apart, before or after: all hold its newest revision. */
  #note({ name, before, after }: PolicyChange): void {
    for (const indexes of this.#byWay.values()) {
      const to = before?.policy.match.to ?? '';
      const former = indexes.get(to);
      if (to !== after?.policy.match.to && former?.delete(name) && former.size === 0) indexes.delete(to);
      if (after) indexes.get(after.policy.match.to)?.set(after);
    }
  }

  #index(way: string, to: string): PolicyIndex {
    let indexes = this.#byWay.get(way);
    if (!indexes) {
      if (this.#byWay.size >= WAYS_MAX) this.#byWay.clear();
      indexes = new Map();
      this.#byWay.set(way, indexes);
    }
    const known = indexes.get(to);
    if (known) return known;
    const index = new PolicyIndex(this.#held(way, to));
    // Agents may name any callee; those without policies are not kept.
    if (index.size > 0) indexes.set(to, index);
    return index;
  }

  #held(way: string, to: string): readonly PolicyRevision[] {
    const outside = new Map<string, PolicyRevision | undefined>();
    for (const [at, { policy, staged }] of this.#told.entries())
      if (way[at] === '0') outside.set(policy.name, staged?.previous);
    return this.#mirror.policiesTo(to).flatMap((entry) => {
      const { name } = entry.policy;
      const held = outside.has(name) ? outside.get(name) : entry;
      return held?.policy.match.to === to ? [held] : [];
    });
  }
}

function isTold(entry: PolicyRevision): boolean {
  if (!entry.staged) return false;
  return [entry, entry.staged.previous].some((one) => one?.policy.spec.circuit !== undefined);
}
