/**
 * What the circuits of the mesh tell whoever counts.
 */
import type { ClusterState } from '../../core/coordination/model.js';

export interface CircuitMetrics {
  /** Counts of a report that can't be true. */
  ignored(what: 'cell'): void;
  /** One exchange with the store, and whatever it led to. */
  exchange(result: 'done' | 'failed', durationMs: number): void;
  /** A circuit of the mesh has changed, as this replica has made or seen it. */
  transition(state: ClusterState): void;
  /** Whether the store is away for so long that nothing is decided. */
  frozen(frozen: boolean): void;
}

export const noCircuitMetrics: CircuitMetrics = {
  ignored() {},
  exchange() {},
  transition() {},
  frozen() {},
};
