/**
 * What a run came to: figures that bounds are held against, how the mesh's circuits changed, and samples over time for a picture.
 */
import type { ClusterState } from '../../../core/coordination/model.js';

export interface Metrics {
  /** Attempts that failed or were slow because the callee was sick, probes left out. */
  readonly wasted: number;
  /** Attempts that failed, probes and all. */
  readonly failed: number;
  /** Failed attempts, no probes, of a callee that was well: it could not stand so many. */
  readonly 'failed-when-well': number;
  /** Failed attempts, no probes, of callers that began later than the others. */
  readonly 'newcomers-failed': number;
  /** Calls that were turned away. */
  readonly rejected: number;
  /** The same, while the callee was well. */
  readonly 'rejected-when-well': number;
  /** The most attempts that permits of one half-open period let through. */
  readonly 'probes-per-epoch': number;
  /** Attempts without a permit, while the mesh's circuit was open or half-open and after all callers had heard of it. */
  readonly strays: number;
  /** Circuits of the mesh that were open at any time. */
  readonly opened: number;
  /** Changes of the mesh's circuits to open, and changes at all. */
  readonly openings: number;
  readonly transitions: number;
  /** From when the first callee fell sick until each of its callers turned calls away; Infinity: some never did. */
  readonly 'all-open': number;
  /** From when the last callee was well again until all circuits of the mesh were closed; Infinity: one never was. */
  readonly healed: number;
  /** Age of the oldest directive that an agent accepted: how long ago the circuit had moved on. */
  readonly stale: number;
  /** Instances out of discovery at the same time, at most. */
  readonly ejections: number;
  /** Streams that agents had to open again. */
  readonly reconnects: number;
  readonly 'store-operations-per-second': number;
  /** Compare-and-sets that found another record than they expected. */
  readonly 'lost-races': number;
}

export const metricNames: readonly string[] = [
  'wasted',
  'failed',
  'failed-when-well',
  'newcomers-failed',
  'rejected',
  'rejected-when-well',
  'probes-per-epoch',
  'strays',
  'opened',
  'openings',
  'transitions',
  'all-open',
  'healed',
  'stale',
  'ejections',
  'reconnects',
  'store-operations-per-second',
  'lost-races',
] satisfies readonly (keyof Metrics)[];

/** Of a circuit of the mesh, as the store had it from then on. */
export interface Moment {
  readonly atMs: number;
  readonly circuit: string;
  readonly state: ClusterState;
  readonly epoch: number;
  readonly ejected: number;
  readonly reason: string;
}

export interface Sample {
  readonly atMs: number;
  readonly wasted: number;
  readonly failed: number;
  readonly rejected: number;
  /** Fraction of the callers whose circuit lets not every call through. */
  readonly open: number;
}

export interface Outcome {
  readonly metrics: Metrics;
  readonly moments: readonly Moment[];
  readonly samples: readonly Sample[];
  /** Events of the simulation, for its pace. */
  readonly events: number;
}
