/**
 * The circuits and bulkheads of an agent, by identity: callee and the policy that asks for it (and the method, where the
 * policy says `per: method`). Targets share them; a policy's new revision finds them again and keeps their state. A part that
 * no target refers to any more goes, with whatever it held.
 */
import type { Clock } from '../core/clock.js';
import type { BulkheadSpec, CircuitSpec, Effective, Source } from '../core/policy/model.js';
import type { Random } from '../core/random.js';
import { Bulkhead } from '../core/resilience/bulkhead.js';
import { Circuit, type CircuitStateName, type SavedCircuit } from '../core/resilience/circuit.js';
import type { Gate } from '../core/resilience/gate.js';
import { Permits } from '../core/resilience/permits.js';

/** A circuit changed its state, or is as it is. */
export interface CircuitChange {
  /** `<callee>|<policy>`, and `|<method>` where the policy says `per: method`. */
  readonly id: string;
  readonly callee: string;
  /** Empty for a circuit per service. */
  readonly method: string;
  readonly from: CircuitStateName;
  readonly to: CircuitStateName;
  readonly policy: string;
  readonly revision: number;
  readonly epoch: number;
  readonly retryAfterMs: number;
  /** In words, with the figures that decided. */
  readonly reason: string;
}

export interface CircuitPart {
  readonly id: string;
  readonly callee: string;
  readonly method: string;
  readonly circuit: Circuit;
  source: Source;
  spec: CircuitSpec;
  /** Why it is in its state. */
  reason: string;
}

interface BulkheadPart {
  readonly bulkhead: Bulkhead;
  spec: BulkheadSpec;
}

export interface PartsOptions {
  readonly clock: Clock;
  readonly random: Random;
  onCircuit(change: CircuitChange): void;
}

/** Saved circuits that no policy has asked for yet are kept up to this many. */
const SAVED_MAX = 10_000;
/** So long after its open period a circuit that nobody asked for is history. */
const SAVED_STALE_MS = 10 * 60_000;

export class Parts {
  readonly permits = new Permits();
  readonly #circuits = new Map<string, CircuitPart>();
  readonly #bulkheads = new Map<string, BulkheadPart>();
  readonly #saved = new Map<string, { saved: SavedCircuit; elapsedMs: number; at: number }>();
  readonly #options: PartsOptions;
  /** Circuits that were ever made. */
  circuitsMade = 0;

  constructor(options: PartsOptions) {
    this.#options = options;
  }

  /** The gates that these policies ask for, outermost first. */
  gates(callee: string, method: string, effective: Effective): readonly Gate[] {
    const gates: Gate[] = [];
    const { bulkhead, circuit } = effective;
    if (bulkhead) gates.push(this.#bulkheadFor(callee, bulkhead.value, bulkhead.source));
    if (circuit) gates.push(this.#circuitFor(callee, method, circuit.value, circuit.source));
    return gates;
  }

  circuit(id: string): CircuitPart | undefined {
    return this.#circuits.get(id);
  }

  circuits(): Iterable<CircuitPart> {
    return this.#circuits.values();
  }

  /** Whether something would be lost by dropping what this target alone may be using. */
  busy(callee: string, method: string, effective: Effective, now: number): boolean {
    const { bulkhead, circuit } = effective;
    const held = bulkhead && this.#bulkheads.get(bulkheadId(callee, bulkhead.source))?.bulkhead;
    if (held && held.inUse + held.queued > 0) return true;
    const part = circuit && this.#circuits.get(circuitId(callee, method, circuit.value, circuit.source));
    return part !== undefined && part.circuit.state(now) !== 'closed';
  }

  /** Drops all that none of these refers to. */
  retain(used: Iterable<{ callee: string; method: string; effective: Effective }>): void {
    const circuits = new Set<string>();
    const bulkheads = new Set<string>();
    for (const { callee, method, effective } of used) {
      const { bulkhead, circuit } = effective;
      if (bulkhead) bulkheads.add(bulkheadId(callee, bulkhead.source));
      if (circuit) circuits.add(circuitId(callee, method, circuit.value, circuit.source));
    }
    for (const id of this.#circuits.keys()) if (!circuits.has(id)) this.#circuits.delete(id);
    for (const id of this.#bulkheads.keys()) if (!bulkheads.has(id)) this.#bulkheads.delete(id);
  }

  /** Circuits that are not closed, for the snapshot; those of a former process that nobody has asked for yet among them. */
  save(): { readonly [id: string]: SavedCircuit } {
    const now = this.#options.clock.now();
    const saved: Record<string, SavedCircuit> = Object.create(null);
    for (const [id, former] of this.#saved) {
      const remainingMs = former.saved.remainingMs - former.elapsedMs - (now - former.at);
      if (remainingMs > -SAVED_STALE_MS)
        saved[id] = { ...former.saved, remainingMs: Math.max(0, remainingMs) };
      else this.#saved.delete(id);
    }
    for (const part of this.#circuits.values()) {
      const state = part.circuit.save(now);
      if (state) saved[part.id] = state;
    }
    return saved;
  }

  /** Circuits as a former process left them `elapsedMs` ago; each opens when its policy asks for it. */
  restore(saved: { readonly [id: string]: SavedCircuit }, elapsedMs: number): void {
    const at = this.#options.clock.now();
    // The wall clock, which `elapsedMs` comes from, may have gone back; what passes from here on counts all the same.
    const former = { elapsedMs: Math.max(0, elapsedMs), at };
    for (const [id, state] of Object.entries(saved).slice(0, SAVED_MAX)) {
      this.#saved.set(id, { saved: state, ...former });
      const known = this.#circuits.get(id);
      if (known) this.#revive(id, known.circuit, at);
    }
  }

  #circuitFor(callee: string, method: string, spec: CircuitSpec, source: Source): Circuit {
    const id = circuitId(callee, method, spec, source);
    const now = this.#options.clock.now();
    const known = this.#circuits.get(id);
    if (known) {
      // By identity, not by revision: after the data were replaced the same number may mean another document.
      if (known.spec !== spec) known.circuit.reconfigure(spec, now);
      known.source = source;
      known.spec = spec;
      return known.circuit;
    }
    const { random } = this.#options;
    const circuit: Circuit = new Circuit(spec, {
      permits: this.permits,
      random,
      now,
      listener: {
        transition: (transition) => {
          // Dropped with its policy: calls from before may still end in it, but it is nobody's circuit any more.
          if (this.#circuits.get(id) !== part) return;
          part.reason = transition.reason;
          this.#options.onCircuit(describe(part, transition));
        },
      },
    });
    const part: CircuitPart = {
      id,
      callee,
      method: spec.per === 'method' ? method : '',
      circuit,
      source,
      spec,
      reason: '',
    };
    this.#circuits.set(id, part);
    this.circuitsMade++;
    this.#revive(id, circuit, now);
    return circuit;
  }

  #revive(id: string, circuit: Circuit, now: number): void {
    const former = this.#saved.get(id);
    if (!former) return;
    this.#saved.delete(id);
    circuit.restore(former.saved, former.elapsedMs + (now - former.at), now);
  }

  #bulkheadFor(callee: string, spec: BulkheadSpec, source: Source): Bulkhead {
    const id = bulkheadId(callee, source);
    const known = this.#bulkheads.get(id);
    if (known) {
      if (known.spec !== spec) known.bulkhead.reconfigure(spec);
      known.spec = spec;
      return known.bulkhead;
    }
    const bulkhead = new Bulkhead(spec);
    this.#bulkheads.set(id, { bulkhead, spec });
    return bulkhead;
  }
}

export function describe(
  part: CircuitPart,
  change: {
    from: CircuitStateName;
    to: CircuitStateName;
    epoch: number;
    reason: string;
    retryAfterMs: number;
  },
): CircuitChange {
  const { id, callee, method, source } = part;
  return { id, callee, method, policy: source.policy, revision: source.revision, ...change };
}

/** Identity of the circuit that this section asks for. */
export function circuitId(callee: string, method: string, spec: CircuitSpec, source: Source): string {
  const whole = `${callee}|${source.policy}`;
  return spec.per === 'method' && method !== '' ? `${whole}|${method}` : whole;
}

function bulkheadId(callee: string, source: Source): string {
  return `${callee}|${source.policy}`;
}
