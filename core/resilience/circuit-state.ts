/**
 * What a circuit shows of itself: its states by name, its transitions, what survives a restart, and who is told.
 */
import type { Refusal } from './gate.js';

export type CircuitMode = 'enforce' | 'shadow' | 'disabled';
/** `ramping` and `forced-closed` come from holds of the mesh, `shadow` from a policy in shadow. */
export type CircuitStateName =
  | 'closed'
  | 'open'
  | 'half-open'
  | 'ramping'
  | 'forced-open'
  | 'forced-closed'
  | 'disabled'
  | 'shadow';

export interface Transition {
  readonly from: CircuitStateName;
  readonly to: CircuitStateName;
  /** Of the new state. */
  readonly epoch: number;
  /** In words, with the figures that decided. */
  readonly reason: string;
  readonly retryAfterMs: number;
}

/** Told after the fact. What a listener throws, or does to the circuit, changes nothing that was decided. */
export interface CircuitListener {
  transition?(transition: Transition): void;
  /** In shadow mode: this call would have been turned away. */
  wouldReject?(refusal: Refusal): void;
}

/** What survives a restart of the process. */
export interface SavedCircuit {
  /** Of the open period, when it was saved. */
  readonly remainingMs: number;
  /** Openings in a row that led to it. */
  readonly openings: number;
}
