/**
 * Circuits of the whole mesh, in the words that all parts of them share. The state of one is a record in the store; whoever changes
 * it does so by a compare-and-set on `seq`, so that nobody has to own it. What it is decided by are windows: what agents reported
 * over the last seconds, pooled by each replica and then over all replicas. What follows from it goes to agents as directives, which
 * only ever tighten and lapse by themselves.
 *
 * Time is handed in, monotonic, milliseconds. Between processes only durations travel: a record says how old its state was when it
 * was written, and whoever reads it counts on from there.
 */
import type { CircuitSpec, Source } from '../policy/model.js';

/** Attempts that have ended, of one agent, one endpoint or all; `failed` and `slow` may name the same attempt. */
export interface Counts {
  readonly calls: number;
  readonly failed: number;
  readonly slow: number;
}

/** What one agent says of one circuit in one report. */
export interface Heard extends Counts {
  /** `<service>/<instance>` of the connection, whatever the payload says. */
  readonly agent: string;
  readonly zone: string;
  /** Address that was called; empty: unknown, or several. */
  readonly endpoint: string;
  /** Calls that an open circuit turned away: demand. */
  readonly blocked: number;
}

/** Counts together with how many distinct agents they come from, and how many of those are over the policy's rates themselves. */
export interface Group extends Counts {
  readonly agents: number;
  readonly over: number;
}

export interface NamedGroup extends Group {
  /** Zone or endpoint. */
  readonly name: string;
}

/** One of the agents with the most calls: whoever weighs too much is cut down to size over all replicas. */
export interface Heavy extends Counts {
  readonly agent: string;
  readonly zone: string;
}

/** The last `ms` of a window, of one replica or of all. */
export interface Span extends Group {
  readonly ms: number;
  /** The heaviest, at most HEAVY_MAX, by calls. */
  readonly heavy: readonly Heavy[];
  /** At most ZONES_MAX, by calls; those without a zone are in none. */
  readonly zones: readonly NamedGroup[];
  /** At most ENDPOINTS_MAX, by failed and then by calls; unknown ones are in none. */
  readonly endpoints: readonly NamedGroup[];
}

export interface Demand {
  readonly agent: string;
  readonly zone: string;
  readonly blocked: number;
}

/** What reporters say of a circuit at present. */
export interface View {
  /** From the shortest to the whole of `cluster.window`: the same lengths at every replica. */
  readonly spans: readonly Span[];
  /** Agents that turned calls away over the whole window, at most DEMAND_MAX, by how many. */
  readonly demand: readonly Demand[];
  /** Of all agents. */
  readonly blocked: number;
  /** Agents over the threshold while all others together are not, for as long as the window: whose fault may be their own. */
  readonly suspects: readonly string[];
}

export const HEAVY_MAX = 5;
export const ZONES_MAX = 8;
export const ENDPOINTS_MAX = 32;
export const DEMAND_MAX = 32;
/** Parts of the window, by which suffixes are looked at: with a large pool the shortest says enough. */
export const SPANS = [1 / 8, 1 / 4, 1 / 2, 1] as const;

export type ClusterState = 'closed' | 'open' | 'half-open' | 'ramping';

/** What a probe came to. `lost`: nobody will say, and it counts for nothing. */
export type ProbeOutcome = 'ok' | 'failed' | 'lost';

/** A single-use permission to try, drawn for one agent in the record itself, so that nobody can draw it twice. */
export interface ProbePermit {
  /** `epoch * 256 + index`: says which half-open period it is of. */
  readonly permit: number;
  readonly agent: string;
  /** Absent: nobody has said yet. */
  readonly outcome?: ProbeOutcome;
}

/** An instance that is taken out of discovery. */
export interface Ejection {
  readonly endpoint: string;
  /** Of its time, as of the record's writing. */
  readonly leftMs: number;
  /** In a row, each twice as long as the one before. */
  readonly times: number;
}

/** The state of one circuit of the mesh, as it is in the store. */
export interface ClusterRecord {
  /** `<callee>|<policy>[|<method>]`, and `@<zone>` behind it where it is for the agents of one zone alone. */
  readonly id: string;
  readonly state: ClusterState;
  /** Grows with each transition. */
  readonly epoch: number;
  /** Grows with each write: what the compare-and-set compares. */
  readonly seq: number;
  /** How long it had been in this state when it was written; in `ramping`, in this step. */
  readonly ageMs: number;
  /** How long it stays open this time. */
  readonly openMs: number;
  /** In a row, without a healthy time between. */
  readonly openings: number;
  /** Of `cluster.ramp`, from 0; 0 unless ramping. */
  readonly step: number;
  readonly permits: readonly ProbePermit[];
  readonly ejections: readonly Ejection[];
  /** Why it is in this state, in words, with the figures that decided. */
  readonly reason: string;
  readonly policy: Source;
  /** While half-open: for how long a permit of this period can come to anything, from its beginning. */
  readonly permitMs?: number;
  /** Revision of the operator's override that holds; absent: none does. Taking one up, and leaving it, is a transition too. */
  readonly override?: number;
}

/** What a decision is made from. */
export interface Situation {
  readonly id: string;
  readonly spec: CircuitSpec;
  /** The policy that provides `spec`. */
  readonly source: Source;
  readonly view: View;
  /** Instances of the callee that are registered, by address. */
  readonly endpoints: readonly string[];
  /** Those of them that are out of discovery at present; absent: none are. With them, no more than half may be at fault. */
  readonly ejected?: readonly string[];
  /** No circuit opens: panic, or the kill switch. Why, in words; empty: it may. */
  readonly frozen: string;
  /** It has closed again for less long than it was open: in doubt it opens. Absent: it is well. */
  readonly healing?: boolean;
  /** For how long no agent has reported anything of this circuit. */
  readonly silentMs: number;
}

/** What a window asks for while a circuit is closed. */
export type Verdict =
  | { readonly kind: 'fine' }
  /** `zone`: for its agents alone; undefined: for all. */
  | { readonly kind: 'open'; readonly zone: string | undefined; readonly reason: string }
  | { readonly kind: 'eject'; readonly endpoints: readonly string[]; readonly reason: string };

/** What an agent is told of one circuit. All of a (epoch, seq) that is not greater than what it has seen of the dataset is stale. */
export interface ClusterDirective {
  /** Without a zone: the agent's own circuit. */
  readonly circuit: string;
  /** `closed`: the local circuit rules again. */
  readonly state: ClusterState | 'forced-open' | 'forced-closed';
  readonly epoch: number;
  readonly seq: number;
  /** Percent of calls that are let through; 100 unless ramping. */
  readonly admitPercent: number;
  /** Probe permits of this agent that it has not used yet. */
  readonly permits: readonly number[];
  /** Runs on the agent's monotonic clock from receipt; then the local circuit rules. */
  readonly ttlMs: number;
  readonly reason: string;
}
