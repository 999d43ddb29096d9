/**
 * Circuits and bulkheads as they are now, for whoever looks at them: reading changes nothing.
 */
import type { Effective } from '../core/policy/model.js';
import type { Bulkhead } from '../core/resilience/bulkhead.js';
import type { CircuitStateName } from '../core/resilience/circuit.js';
import { DIRECTED_RETRY_MS } from '../core/resilience/direction.js';
import { type CircuitChange, circuitId, describe, type Parts, type Use } from './parts.js';

export interface CircuitView {
  readonly id: string;
  readonly state: CircuitStateName;
  readonly epoch: number;
  readonly retryAfterMs: number;
  /** Policy and revision that ask for the circuit; absent: no policy does, and the state is `disabled`. */
  readonly policy?: string;
  readonly revision?: number;
}

/** A bulkhead as it is now. */
export interface BulkheadView {
  readonly callee: string;
  /** Empty: one for the whole callee. */
  readonly method: string;
  readonly policy: string;
  readonly revision: number;
  readonly inUse: number;
  readonly limit: number;
  readonly queued: number;
}

/** No policy asks for a circuit, or the calls are of those that have none. */
export const noCircuit: CircuitView = { id: '', state: 'disabled', epoch: 0, retryAfterMs: 0 };

/** Undefined: these policies ask for no circuit. `unmade`: what one is that nobody has called through yet. */
export function circuitView(
  parts: Parts,
  { callee, method, effective }: Use,
  now: number,
  unmade: (id: string) => CircuitStateName | undefined,
): CircuitView | undefined {
  const section = effective.circuit;
  if (!section) return undefined;
  const id = circuitId(callee, method, section.value, section.source);
  const circuit = parts.circuit(id)?.circuit;
  const state = circuit?.state(now) ?? unmade(id) ?? 'closed';
  const refuses = state === 'open' || state === 'forced-open';
  return {
    id,
    state,
    epoch: circuit?.epoch ?? 1,
    retryAfterMs: circuit?.retryAfterMs(now) ?? (refuses ? DIRECTED_RETRY_MS : 0),
    ...section.source,
  };
}

/** Of what policies in shadow ask for. */
export function shadowView(
  shadows: Parts,
  callee: string,
  method: string,
  effective: Effective | undefined,
): CircuitView {
  const section = effective?.circuit;
  if (!section) return noCircuit;
  const id = circuitId(callee, method, section.value, section.source);
  const epoch = shadows.circuit(id)?.circuit.epoch ?? 1;
  return { id, state: 'shadow', epoch, retryAfterMs: 0, ...section.source };
}

/** Every circuit of these parts; `from` and `to` are the same. */
export function circuitRows(parts: Parts, shadow: boolean, now: number): CircuitChange[] {
  return Array.from(parts.circuits(), (part) => {
    const { circuit } = part;
    const state = circuit.state(now);
    const reason = circuit.saying(now) ?? part.reason;
    const { epoch } = circuit;
    const retryAfterMs = circuit.retryAfterMs(now);
    return describe(part, { from: state, to: state, epoch, reason, retryAfterMs }, shadow);
  });
}

/** Every bulkhead that one of these uses. */
export function bulkheadRows(parts: Parts, used: readonly Use[]): BulkheadView[] {
  const rows = new Map<Bulkhead, BulkheadView>();
  for (const { callee, method, effective } of used) {
    const bulkhead = parts.bulkhead(callee, method, effective);
    const section = effective.bulkhead;
    if (!bulkhead || !section || rows.has(bulkhead)) continue;
    const { inUse, limit, queued } = bulkhead;
    const of = section.value.per === 'method' ? method : '';
    rows.set(bulkhead, { callee, method: of, ...section.source, inUse, limit, queued });
  }
  return [...rows.values()];
}
