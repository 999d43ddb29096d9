/**
 * Which circuit of the mesh a cell of a report belongs to, and by which rules that circuit goes: both follow from the policies that
 * the mirror has, as the agents work them out for themselves. What was found is kept until policies change that it may follow from,
 * and nothing else is looked at for a change: an edit costs the same however many policies there are.
 *
 * Agents of one service may hold different revisions while a rollout is under way, so answers are kept for each way in which
 * instances fall into the rollouts. Bounds: 50,000 answers, 20,000 circuits, 10,000 callees; beyond them it is worked out anew.
 */
import type { Governed } from '../../core/coordination/contract.js';
import { type CircuitSpec, type Effective, merge, type PolicyRevision } from '../../core/policy/index.js';
import type { Mirror, PolicyChange } from '../ports.js';
import { HeldPolicies } from './held.js';

const ANSWERS_MAX = 50_000;
const CIRCUITS_MAX = 20_000;
const CALLEES_MAX = 10_000;

export type PolicyView = Pick<Mirror, 'policy' | 'policies' | 'policiesTo' | 'instances'>;

/** What was found for calls to one callee: by way and service, then by method. */
type Found = Map<string, Map<string, readonly string[]>>;

export class GovernedCircuits {
  readonly #mirror: PolicyView;
  readonly #held: HeldPolicies;
  /** By callee. */
  readonly #answers = new Map<string, Found>();
  #kept = 0;
  readonly #circuits = new Map<string, Governed | undefined>();
  /** Circuits of those, by the policy in their name. */
  readonly #byPolicy = new Map<string, Set<string>>();
  readonly #endpoints = new Map<string, readonly string[]>();
  /** Policies that ask for a circuit of the mesh. */
  readonly #asking = new Set<string>();

  constructor(mirror: PolicyView) {
    this.#mirror = mirror;
    this.#held = new HeldPolicies(mirror);
    this.reset();
  }

  /** Whether any policy asks for a circuit of the mesh. */
  get any(): boolean {
    return this.#asking.size > 0;
  }

  /** All policies may be others. */
  reset(): void {
    this.#asking.clear();
    for (const entry of this.#mirror.policies()) this.#ask(entry.policy.name, entry);
    this.#held.reset();
    this.#forget();
    this.#forgetCircuits();
  }

  /** These policies changed. */
  changed(changes: readonly PolicyChange[]): void {
    for (const { name, after } of changes) {
      this.#ask(name, after);
      for (const circuit of this.#byPolicy.get(name) ?? []) this.#circuits.delete(circuit);
      this.#byPolicy.delete(name);
    }
    if (this.#held.changed(changes)) this.#forget();
    else
      for (const { before, after } of changes)
        for (const entry of [before, after]) if (entry) this.#forget(entry.policy.match.to);
  }

  /**
   * The circuits that these calls of this instance belong to: that of the policy in force, and that of one in shadow, if it would
   * bring another. Empty: none.
   */
  circuitsOf(service: string, instance: string, callee: string, method: string): readonly string[] {
    if (!this.any) return none;
    const way = this.#held.way(instance);
    const key = way === '' ? service : `${service}|${way}`;
    const known = this.#answers.get(callee)?.get(key)?.get(method);
    if (known) return known;
    const found = this.#find(way, service, callee, method);
    if (this.#kept >= ANSWERS_MAX) this.#forget();
    this.#kept++;
    const its: Found = this.#answers.get(callee) ?? new Map();
    this.#answers.set(callee, its.set(key, (its.get(key) ?? new Map()).set(method, found)));
    return found;
  }

  #ask(name: string, entry: PolicyRevision | undefined): void {
    if (entry && revisionsOf(entry).some((one) => clusterSpec(one) !== undefined)) this.#asking.add(name);
    else this.#asking.delete(name);
  }

  /** Of calls to this callee; `*`: of all. */
  #forget(callee = '*'): void {
    if (callee === '*') {
      this.#answers.clear();
      this.#kept = 0;
      return;
    }
    for (const methods of this.#answers.get(callee)?.values() ?? []) this.#kept -= methods.size;
    this.#answers.delete(callee);
  }

  #forgetCircuits(): void {
    this.#circuits.clear();
    this.#byPolicy.clear();
  }

  /** Instances of these services changed; undefined: perhaps of all. */
  moved(services?: ReadonlySet<string>): void {
    if (!services) this.#endpoints.clear();
    else for (const service of services) this.#endpoints.delete(service);
  }

  /** Undefined: no policy makes it a circuit of the mesh (any more). `circuit`: without a zone. */
  governed(circuit: string): Governed | undefined {
    const known = this.#circuits.get(circuit);
    if (known || this.#circuits.has(circuit)) return known;
    const found = this.#govern(circuit);
    if (this.#circuits.size >= CIRCUITS_MAX) this.#forgetCircuits();
    this.#circuits.set(circuit, found);
    const { policy } = partsOf(circuit);
    this.#byPolicy.set(policy, (this.#byPolicy.get(policy) ?? new Set()).add(circuit));
    return found;
  }

  /**
   * A circuit that agents keep for themselves, as one of the mesh: while an operator says something of it. It is told and shown like
   * any other, and nothing is reported of it, so that nothing else is decided. Undefined: no policy makes such a circuit.
   */
  overridden(circuit: string): Governed | undefined {
    return this.#govern(circuit, ownSpec);
  }

  #govern(
    circuit: string,
    specOf: (entry: PolicyRevision) => CircuitSpec | undefined = clusterSpec,
  ): Governed | undefined {
    const { callee, policy: name, method } = partsOf(circuit);
    const entry = this.#mirror.policy(name);
    if (!entry) return undefined;
    for (const one of revisionsOf(entry)) {
      const spec = specOf(one);
      const { match, mode } = one.policy;
      if (!spec || (match.to !== '*' && match.to !== callee)) continue;
      if (method !== '' && spec.per !== 'method') continue;
      const endpoints = () => this.#endpointsOf(callee);
      return {
        spec,
        source: { policy: name, revision: one.revision },
        callee,
        from: match.from,
        get endpoints() {
          return endpoints();
        },
        shadow: mode === 'shadow',
      };
    }
    return undefined;
  }

  #endpointsOf(callee: string): readonly string[] {
    const known = this.#endpoints.get(callee);
    if (known) return known;
    const found = this.#mirror.instances(callee).map(({ address }) => address);
    if (this.#endpoints.size >= CALLEES_MAX) this.#endpoints.clear();
    this.#endpoints.set(callee, found);
    return found;
  }

  #find(way: string, service: string, callee: string, method: string): readonly string[] {
    // No id could be told apart with it.
    if (separators.test(callee) || separators.test(method)) return none;
    const matching = this.#held.matching(way, { from: service, to: callee, method });
    const enforced = idOf(merge(matching), callee, method);
    const beside = idOf(merge(matching, { shadow: true }), callee, method);
    const ids = [...new Set([enforced, beside])].filter((id) => id !== undefined);
    return ids.length === 0 ? none : ids;
  }
}

const none: readonly string[] = [];
const separators = /[|@]/;

/** The one for those that a rollout reaches, and the one for the others. */
function revisionsOf(entry: PolicyRevision): readonly PolicyRevision[] {
  const { previous } = entry.staged ?? {};
  return previous ? [entry, previous] : [entry];
}

/** Of a circuit's id without a zone. */
function partsOf(circuit: string): { callee: string; policy: string; method: string } {
  const [callee = '', policy = '', ...rest] = circuit.split('|');
  return { callee, policy, method: rest.join('|') };
}

function clusterSpec({ policy }: PolicyRevision): CircuitSpec | undefined {
  const { circuit } = policy.spec;
  return policy.mode !== 'off' && circuit?.scope === 'cluster' ? circuit : undefined;
}

function ownSpec({ policy }: PolicyRevision): CircuitSpec | undefined {
  const { circuit } = policy.spec;
  return policy.mode !== 'off' && circuit ? { ...circuit, scope: 'cluster' } : undefined;
}

/** As agents name their circuits. */
function idOf({ circuit }: Effective, callee: string, method: string): string | undefined {
  if (circuit?.value.scope !== 'cluster') return undefined;
  const whole = `${callee}|${circuit.source.policy}`;
  return circuit.value.per === 'method' && method !== '' ? `${whole}|${method}` : whole;
}
