/**
 * What a circuit shows of itself: its states by name, its transitions, what survives a restart, and who is told.
 */
import type { Random } from '../random.js';
import type { Refusal } from './gate.js';
import type { Permits } from './permits.js';

export type CircuitMode = 'enforce' | 'shadow' | 'disabled';
/** `ramping` and `forced-closed` come from directions of the mesh, `shadow` from a policy in shadow. */
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
  /** An attempt that a probe permit of the mesh let through has come to something: `ok`, neither failed nor slow. */
  probed?(permit: number, ok: boolean): void;
}

/** What survives a restart of the process. */
export interface SavedCircuit {
  /** Of the open period, when it was saved. */
  readonly remainingMs: number;
  /** Openings in a row that led to it. */
  readonly openings: number;
}

export interface CircuitOptions {
  readonly permits: Permits;
  readonly random: Random;
  readonly now: number;
  /** Absent: `enforce`. */
  readonly mode?: CircuitMode;
  readonly listener?: CircuitListener;
}
