/**
 * The circuits that a replica knows of, by id, by callee and by policy. At most 10,000: one more is not taken up, and is left to the agents' own
 * circuits; those without traffic and without an open record make room at each tick.
 */
import { WatchedCircuit } from './watched-circuit.js';

const CIRCUITS_MAX = 10_000;
const none: ReadonlySet<WatchedCircuit> = new Set();

export class Watched {
  readonly #byId = new Map<string, WatchedCircuit>();
  readonly #byCallee = new Siblings();
  readonly #byPolicy = new Siblings();

  [Symbol.iterator](): IterableIterator<WatchedCircuit> {
    return this.#byId.values();
  }

  get(id: string): WatchedCircuit | undefined {
    return this.#byId.get(id);
  }

  of(callee: string): ReadonlySet<WatchedCircuit> {
    return this.#byCallee.of(callee);
  }

  /** Whose id names this policy. */
  ofPolicy(name: string): ReadonlySet<WatchedCircuit> {
    return this.#byPolicy.of(name);
  }

  /** Undefined: there is no room for another. */
  watch(id: string, now: number): WatchedCircuit | undefined {
    const known = this.#byId.get(id);
    if (known || this.#byId.size >= CIRCUITS_MAX) return known;
    const circuit = new WatchedCircuit(id, now);
    this.#byId.set(id, circuit);
    this.#byCallee.add(circuit.callee, circuit);
    this.#byPolicy.add(policyOf(circuit), circuit);
    return circuit;
  }

  drop(circuit: WatchedCircuit): void {
    this.#byId.delete(circuit.id);
    this.#byCallee.delete(circuit.callee, circuit);
    this.#byPolicy.delete(policyOf(circuit), circuit);
  }
}

class Siblings {
  readonly #sets = new Map<string, Set<WatchedCircuit>>();

  of(key: string): ReadonlySet<WatchedCircuit> {
    return this.#sets.get(key) ?? none;
  }

  add(key: string, circuit: WatchedCircuit): void {
    this.#sets.set(key, (this.#sets.get(key) ?? new Set()).add(circuit));
  }

  delete(key: string, circuit: WatchedCircuit): void {
    const set = this.#sets.get(key);
    set?.delete(circuit);
    if (set?.size === 0) this.#sets.delete(key);
  }
}

/** `<callee>|<policy>` or `<callee>|<policy>|<method>`. */
function policyOf({ id }: WatchedCircuit): string {
  return id.split('|', 2)[1] ?? '';
}
