/**
 * Which circuit of the mesh a cell of a report belongs to, and by which rules that circuit goes: both follow from the policies that
 * the mirror has, as the agents work them out for themselves. What was found is kept until policies change.
 *
 * Agents of one service may hold different revisions while a rollout is under way, so answers are kept for each way in which
 * instances fall into the rollouts. Bounds: 64 such ways, 20,000 instances, 50,000 answers, 20,000 circuits, 10,000 callees; beyond
 * them it is worked out anew.
 */
import type { Governed } from '../../core/coordination/contract.js';
import {
  type CircuitSpec,
  type Effective,
  merge,
  PolicyIndex,
  type PolicyRevision,
} from '../../core/policy/index.js';
import { reaches } from '../../core/policy/rollout.js';
import type { Mirror } from '../ports.js';

const ANSWERS_MAX = 50_000;
const INSTANCES_MAX = 20_000;
const INDEXES_MAX = 64;
const CIRCUITS_MAX = 20_000;
const CALLEES_MAX = 10_000;
/** Staged policies with circuits of the mesh that are told apart; instances are taken to hold the new revision of the others. */
const STAGED_MAX = 16;

export type PolicyView = Pick<Mirror, 'policy' | 'policies' | 'instances'>;

interface Ways {
  /** One character for each staged policy: whether it reaches the instance. */
  readonly byInstance: Map<string, string>;
  readonly indexes: Map<string, PolicyIndex>;
}

/** What was found for the callers of one service that hold the same revisions: by callee, then by method. */
type Found = Map<string, Map<string, readonly string[]>>;

export class GovernedCircuits {
  readonly #mirror: PolicyView;
  /** By way and service. */
  #answers = new Map<string, Found>();
  #kept = 0;
  readonly #circuits = new Map<string, Governed | undefined>();
  readonly #endpoints = new Map<string, readonly string[]>();
  #ways: Ways = { byInstance: new Map(), indexes: new Map() };
  #staged: readonly PolicyRevision[] = [];
  #any = false;

  constructor(mirror: PolicyView) {
    this.#mirror = mirror;
    this.changed();
  }

  /** Whether any policy asks for a circuit of the mesh. */
  get any(): boolean {
    return this.#any;
  }

  /** Policies changed. */
  changed(): void {
    const all = this.#mirror.policies();
    this.#any = all.some((entry) => revisionsOf(entry).some((one) => clusterSpec(one) !== undefined));
    const staged = all.filter((entry) => entry.staged && revisionsOf(entry).some(hasCircuit));
    this.#staged = this.#any ? staged.slice(0, STAGED_MAX) : [];
    this.#forget();
    this.#circuits.clear();
    this.#ways = { byInstance: new Map(), indexes: new Map() };
  }

  /**
   * The circuits that these calls of this instance belong to: that of the policy in force, and that of one in shadow, if it would
   * bring another. Empty: none.
   */
  circuitsOf(service: string, instance: string, callee: string, method: string): readonly string[] {
    if (!this.#any) return none;
    const way = this.#way(instance);
    const known = this.#of(way, service).get(callee)?.get(method);
    if (known) return known;
    const found = this.#find(way, service, callee, method);
    if (this.#kept >= ANSWERS_MAX) this.#forget();
    this.#kept++;
    const its = this.#of(way, service);
    its.set(callee, (its.get(callee) ?? new Map()).set(method, found));
    return found;
  }

  #of(way: string, service: string): Found {
    const key = way === '' ? service : `${service}|${way}`;
    const known = this.#answers.get(key);
    if (known) return known;
    const made: Found = new Map();
    this.#answers.set(key, made);
    return made;
  }

  #forget(): void {
    this.#answers = new Map();
    this.#kept = 0;
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
    if (this.#circuits.size >= CIRCUITS_MAX) this.#circuits.clear();
    this.#circuits.set(circuit, found);
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
    const [callee = '', name = '', ...rest] = circuit.split('|');
    const method = rest.join('|');
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
    const matching = this.#index(way).matching({ from: service, to: callee, method });
    const enforced = idOf(merge(matching), callee, method);
    const beside = idOf(merge(matching, { shadow: true }), callee, method);
    const ids = [...new Set([enforced, beside])].filter((id) => id !== undefined);
    return ids.length === 0 ? none : ids;
  }

  #index(way: string): PolicyIndex {
    const { indexes } = this.#ways;
    const known = indexes.get(way);
    if (known) return known;
    const previous = new Map<string, PolicyRevision | undefined>();
    for (const [at, entry] of this.#staged.entries())
      if (way[at] === '0') previous.set(entry.policy.name, entry.staged?.previous);
    const held = this.#mirror.policies().flatMap((entry) => {
      const { name } = entry.policy;
      const one = previous.has(name) ? previous.get(name) : entry;
      return one ? [one] : [];
    });
    const index = new PolicyIndex(held);
    if (indexes.size >= INDEXES_MAX) indexes.clear();
    indexes.set(way, index);
    return index;
  }

  #way(instance: string): string {
    if (this.#staged.length === 0) return '';
    const { byInstance } = this.#ways;
    const known = byInstance.get(instance);
    if (known !== undefined) return known;
    const way = this.#staged.map(({ policy }) => (reaches(policy, instance) ? '1' : '0')).join('');
    if (byInstance.size >= INSTANCES_MAX) byInstance.clear();
    byInstance.set(instance, way);
    return way;
  }
}

const none: readonly string[] = [];
const separators = /[|@]/;

/** The one for those that a rollout reaches, and the one for the others. */
function revisionsOf(entry: PolicyRevision): readonly PolicyRevision[] {
  const { previous } = entry.staged ?? {};
  return previous ? [entry, previous] : [entry];
}

function hasCircuit({ policy }: PolicyRevision): boolean {
  return policy.spec.circuit !== undefined;
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
