/**
 * What a scenario consists of once it is read: who calls whom under which policy, what happens to them, and what must hold.
 * Durations are milliseconds from the beginning.
 */
import type { Policy } from '../../../core/policy/model.js';
import type { Fate } from './callee.js';
import type { Latency } from './network.js';

export interface Callers {
  readonly count: number;
  readonly service: string;
  /** Spread evenly over these; `['']`: they say none. */
  readonly zones: readonly string[];
  readonly callsPerSecond: number;
  /** By a clock of their own instead of by chance. */
  readonly evenly: boolean;
  readonly fromMs: number;
  /** Then their processes end; Infinity: never. */
  readonly toMs: number;
  /** They report failures, fifty a second, whatever they see. */
  readonly lying: boolean;
}

export interface CalleeSpec {
  readonly name: string;
  readonly endpoints: number;
  readonly answersMs: number;
}

export type ReplicaDeed =
  /** Its process is gone at once. */
  | 'killed'
  /** It ends its streams, and is gone. */
  | 'drained'
  | 'started'
  /** SIGSTOP, and SIGCONT. */
  | 'stopped'
  | 'continued'
  | 'cut from store'
  | 'cut from agents'
  | 'healed';

export const replicaDeeds: readonly ReplicaDeed[] = [
  'killed',
  'drained',
  'started',
  'stopped',
  'continued',
  'cut from store',
  'cut from agents',
  'healed',
];

export type StoreDeed = 'away' | 'back' | 'lost';
export const storeDeeds: readonly StoreDeed[] = ['away', 'back', 'lost'];

export type Happening = { readonly atMs: number } & (
  | {
      readonly kind: 'callee';
      readonly callee: string;
      readonly fate: Fate;
      /** First and last, from 0; undefined: all. */
      readonly endpoints: readonly [number, number] | undefined;
      /** For callers of this zone alone. */
      readonly zone: string | undefined;
    }
  | { readonly kind: 'capacity'; readonly callee: string; readonly callsPerSecond: number }
  | { readonly kind: 'store'; readonly deed: StoreDeed }
  /** `replica` from 0. */
  | { readonly kind: 'replica'; readonly replica: number; readonly deed: ReplicaDeed }
);

/** A bound, with the line of the scenario that states it. */
export type Expectation = { readonly line: number; readonly text: string } & (
  | {
      readonly kind: 'metric';
      readonly metric: string;
      readonly sign: '<=' | '>=' | '=';
      /** Of what local circuits alone come to, if `ofLocal`. */
      readonly value: number;
      readonly ofLocal: boolean;
    }
  /** Of the circuit `<callee>`, or `<callee>@<zone>`. */
  | { readonly kind: 'state'; readonly circuit: string; readonly state: string; readonly atMs: number }
  | { readonly kind: 'ejected'; readonly callee: string; readonly count: number; readonly atMs: number }
  | { readonly kind: 'never'; readonly circuit: string; readonly state: string }
);

export interface Scenario {
  /** Of the file, without its ending. */
  readonly name: string;
  readonly title: string;
  readonly policy: Policy;
  readonly callers: readonly Callers[];
  readonly callees: readonly CalleeSpec[];
  readonly replicas: number;
  readonly seeds: number;
  /** It takes a second or two, and is part of the suite. */
  readonly quick: boolean;
  readonly agentLatency: Latency;
  readonly storeLatency: Latency;
  readonly loss: number;
  readonly runMs: number;
  readonly happenings: readonly Happening[];
  readonly expectations: readonly Expectation[];
}
