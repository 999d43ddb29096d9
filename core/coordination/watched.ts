/**
 * The circuits that a replica knows of, by id and by callee. At most 10,000: one more is not taken up, and is left to the agents' own
 * circuits; those without traffic and without an open record make room at each tick.
 */
import { WatchedCircuit } from './watched-circuit.js';

const CIRCUITS_MAX = 10_000;
const none: ReadonlySet<WatchedCircuit> = new Set();

export class Watched {
  readonly #byId = new Map<string, WatchedCircuit>();
  readonly #byCallee = new Map<string, Set<WatchedCircuit>>();

  [Symbol.iterator](): IterableIterator<WatchedCircuit> {
    return this.#byId.values();
  }

  get(id: string): WatchedCircuit | undefined {
    return this.#byId.get(id);
  }

  of(callee: string): ReadonlySet<WatchedCircuit> {
    return this.#byCallee.get(callee) ?? none;
  }

  /** Undefined: there is no room for another. */
  watch(id: string, now: number): WatchedCircuit | undefined {
    const known = this.#byId.get(id);
    if (known || this.#byId.size >= CIRCUITS_MAX) return known;
    const circuit = new WatchedCircuit(id, now);
    this.#byId.set(id, circuit);
    const siblings = this.#byCallee.get(circuit.callee) ?? new Set();
    this.#byCallee.set(circuit.callee, siblings.add(circuit));
    return circuit;
  }

  drop(circuit: WatchedCircuit): void {
    this.#byId.delete(circuit.id);
    const siblings = this.#byCallee.get(circuit.callee);
    siblings?.delete(circuit);
    if (siblings?.size === 0) this.#byCallee.delete(circuit.callee);
  }
}
