/**
 * What the rooms of the control plane ask of each other. REST reads the mirror and the roster and writes through the mirror;
 * the gRPC sessions read the mirror and keep the roster; the store knows nobody. `main.ts` puts the implementations together.
 */
import type { BrownoutSetting, Rule } from '../core/brownout/setting.js';
import type { ClusterTransition, ClusterView, Override } from '../core/coordination/contract.js';
import type { CircuitsSetting } from '../core/coordination/overrides.js';
import type { Issue } from '../core/errors.js';
import type { Halts } from '../core/policy/halts.js';
import type { PolicyRevision } from '../core/policy/model.js';
import type { LatencyHistogram } from '../core/resilience/latency.js';
import type { Brownout as BrownoutMessage } from '../proto/messages.js';
import type { AuditEntry, HistoryEntry, Instance, Operation, WriteResult } from './store/store.js';

/** A policy came, changed or went. */
export interface PolicyChange {
  readonly revision: number;
  readonly name: string;
  readonly before: PolicyRevision | undefined;
  readonly after: PolicyRevision | undefined;
}

/** A setting of the mesh, of a revision in the same sequence as the policies'. */
export interface SettingRevision<S> {
  readonly revision: number;
  readonly setting: S;
}

export type BrownoutRevision = SettingRevision<BrownoutSetting>;

export interface MirrorHealth {
  readonly up: boolean;
  /** Why it is not, in words; empty while up. */
  readonly reason: string;
}

/** Events of the mirror, delivered in order, after its state has changed; a listener's error is logged and goes no further. */
export interface MirrorEvents {
  /** Policies changed; in order of revision. */
  policies: (changes: readonly PolicyChange[]) => void;
  /** The brownout setting is another: it was just written, or it was found when everything was loaded. */
  brownout: (how: 'told' | 'loaded') => void;
  /** What operators have decided of circuits is something else; how it came here likewise. */
  overrides: (how: 'told' | 'loaded') => void;
  /** Rollouts were halted, or one goes on. */
  rollouts: () => void;
  /** Everything was loaded anew, perhaps of another dataset: compare by hash. */
  reset: () => void;
  /** The instances of these services changed. */
  instances: (services: ReadonlySet<string>) => void;
  /** Instances of `service` now also use `callees`. */
  interest: (service: string, callees: readonly string[]) => void;
  /** Records of these circuits of the mesh have just changed, perhaps here: a hint to read them, which may also be lost. */
  circuits: (ids: readonly string[]) => void;
  health: (health: MirrorHealth) => void;
}

/** This replica's copy of the store in memory, fed by one watch: all reads are answered from it, also while the store is away. */
export interface Mirror {
  readonly dataset: string;
  /** Head of the log as seen here. */
  readonly revision: number;
  readonly health: MirrorHealth;
  /** What is in the store and can't be read (foreign keys, damaged documents). */
  readonly faults: readonly Issue[];

  policy(name: string): PolicyRevision | undefined;
  /** All, by name. */
  policies(): readonly PolicyRevision[];
  /**
   * Those whose `match.to` is this name (`*` for the general ones), or was in the revision that a staged rollout leaves with the
   * others.
   */
  policiesTo(to: string): readonly PolicyRevision[];
  /** Changes with a greater revision, oldest first; undefined if it can't be told any more (the last 10,000 are kept). */
  changesSince(revision: number): readonly PolicyChange[] | undefined;

  /** Undefined: nobody has set any. */
  readonly brownout: BrownoutRevision | undefined;
  /** What operators have decided of circuits; undefined: nobody ever did. */
  readonly overrides: SettingRevision<CircuitsSetting> | undefined;
  /** Halted rollouts, with the revision of the document that they are in (0: there is none). */
  readonly halts: { readonly halts: Halts; readonly revision: number };

  /** Live instances by service. */
  services(): ReadonlyMap<string, readonly Instance[]>;
  instances(service: string): readonly Instance[];
  interests(): ReadonlyMap<string, ReadonlySet<string>>;

  /**
   * One atomic write; repeated with the same request id within `timeoutMs` (2 s) if the store gave no answer. Resolves when
   * this mirror has seen it, so that the writer reads what it wrote. Rejects with `store_unavailable`, `revision_conflict`.
   */
  write(request: {
    requestId: string;
    author: string;
    action: string;
    operations: readonly Operation[];
  }): Promise<WriteResult>;
  history(name: string, options: { before?: number; limit: number }): Promise<readonly HistoryEntry[]>;
  historic(name: string, revision: number): Promise<HistoryEntry | undefined>;
  audit(options: { before?: string; limit: number }): Promise<readonly AuditEntry[]>;

  on<E extends keyof MirrorEvents>(event: E, listener: MirrorEvents[E]): () => void;
  close(): Promise<void>;
}

export interface AgentRow {
  /** `<service>/<instance>`. */
  readonly agent: string;
  readonly service: string;
  readonly instance: string;
  readonly zone: string;
  readonly version: string;
  readonly replica: string;
  readonly protocol: string;
  readonly capabilities: readonly string[];
  readonly callees: readonly string[];
  readonly dataset: string;
  /** Revision up to which the agent has been sent, has acknowledged, and has applied without a refusal. */
  readonly sent: number;
  readonly acked: number;
  readonly applied: number;
  /** Milliseconds for which the oldest push has been waiting for its acknowledgement; 0: up to date. */
  readonly staleMs: number;
  readonly connectedMs: number;
  readonly refused: readonly {
    readonly policy: string;
    readonly revision: number;
    readonly reason: string;
  }[];
  /** Something for a person to see to, such as two processes under one instance name. */
  readonly notice?: string;
}

export interface PolicyStatus {
  readonly policy: string;
  readonly revision: number;
  /** Those that a staged rollout does not reach, and that have heard so, are in `total` alone. */
  readonly agents: {
    readonly total: number;
    readonly applied: number;
    readonly pending: number;
    readonly refused: readonly { readonly agent: string; readonly reason: string }[];
  };
}

/** A circuit as one agent reports it. */
export interface CircuitRow {
  /** `<callee>|<policy>` or `<callee>|<policy>|<method>`. */
  readonly id: string;
  readonly callee: string;
  readonly method: string;
  readonly policy: string;
  readonly revision: number;
  readonly agent: string;
  readonly state: string;
  readonly epoch: number;
  readonly retryAfterMs: number;
  readonly reason: string;
  /** Milliseconds since the agent said so. */
  readonly ageMs: number;
}

export interface CircuitChange {
  readonly agent: string;
  readonly before: string;
  readonly row: CircuitRow;
  /** The agent said so as it connected: when it changed is not known. */
  readonly found?: true;
}

/** Calls of one instance's service as its callers reported them over the last 10 s, for health in `GET /v1/services`. */
export interface ServiceHealth {
  readonly calls: number;
  readonly failed: number;
  /** Of all of them. */
  readonly slow: number;
  readonly rejected: number;
}

/** Who is connected, to this replica (live) and to the others (from their summaries, at most 2 s old). */
export interface Roster {
  agents(): Promise<readonly AgentRow[]>;
  agent(id: string): Promise<AgentRow | undefined>;
  status(policy: PolicyRevision): Promise<PolicyStatus>;
  /** Agents whose interest has a policy with this match: what a dry run names. */
  concerned(match: { to: string; from?: string }): Promise<readonly string[]>;
  /** Circuits that any agent reports in a state other than closed, and the closed ones of agents of this replica. */
  circuits(): Promise<readonly CircuitRow[]>;
  /** Of those, how many there are in each state. */
  circuitStates(): ReadonlyMap<string, number>;
  health(service: string): ServiceHealth;
  /** Of those calls, how long they took; nothing is known of a service that no brownout rule asks for. */
  latency(service: string): LatencyHistogram;
  /** Streams of this replica. */
  readonly connected: number;
  on(event: 'circuit', listener: (change: CircuitChange) => void): () => void;
  on(
    event: 'agent',
    listener: (row: AgentRow, kind: 'connected' | 'disconnected' | 'refused') => void,
  ): () => void;
}

/** A rollout was halted, or goes on. */
export interface RolloutChange {
  readonly policy: string;
  /** That is in force, and how many it is for. */
  readonly revision: number;
  readonly percent: number;
  readonly change: 'halted' | 'resumed';
  /** Why it was halted. */
  readonly reason: string;
}

/** Halts staged rollouts. */
export interface Rollouts {
  onChange(listener: (change: RolloutChange) => void): () => void;
  /** From here on it watches these agents. */
  observe(roster: Pick<Roster, 'agents' | 'agent' | 'circuits' | 'on'>): void;
  close(): void;
}

/** Who set the present level: `none` is level 0. */
export type BrownoutSource = 'operator' | 'rule' | 'none';

export interface BrownoutView {
  /** The higher of the operator's and the rules'. */
  readonly level: number;
  readonly source: BrownoutSource;
  readonly reason: string;
  /** Until the operator's level ends by itself; undefined: it does not. */
  readonly ttlMs: number | undefined;
  /** Undefined: nobody has set any. */
  readonly setting: BrownoutRevision | undefined;
  readonly rules: readonly { readonly rule: Rule; readonly on: boolean; readonly evidence: string }[];
}

export interface BrownoutChange {
  readonly before: number;
  readonly view: BrownoutView;
}

/** Which optional features of the mesh are off at present, as this replica sees it. */
export interface Brownout {
  /** Grows with all that agents have to hear; undefined: there is nothing to tell them yet. */
  readonly version: number | undefined;
  /** As of now: what is left of a time is in it. */
  message(): BrownoutMessage;
  view(): BrownoutView;
  /** Calls `listener` after each change of level, source, reason or setting. */
  onChange(listener: (change: BrownoutChange) => void): () => void;
  /** Calls `listener` whenever the version has grown: also where nothing changed and agents have to hear so. */
  onVersion(listener: () => void): () => void;
  /** From here on the rules look at this mesh. */
  observe(roster: Pick<Roster, 'circuits' | 'health' | 'latency'>, circuits: Pick<Circuits, 'views'>): void;
  close(): void;
}

/** A change of a circuit of the mesh. */
export interface ClusterChange extends ClusterTransition {
  /** Of one in shadow: nobody is told what would follow from it. */
  readonly shadow: boolean;
}

/** The circuits of the mesh, as this replica sees them. */
export interface Circuits {
  /** Of which there is a record or a report, by id; of one in shadow, what it would have done. */
  views(): readonly ClusterView[];
  /** Why nothing is decided at present, in words: the store is away, or somebody has said so; empty: it is. */
  readonly frozen: string;
  /** Addresses of a callee that its circuits have taken out of discovery at present. */
  ejected(callee: string): ReadonlySet<string>;
  /** Calls `listener` after each change of state, or of what an operator says, that this replica has made or seen. */
  onTransition(listener: (change: ClusterChange) => void): () => void;
  /** What an operator says of a circuit, or of all, is another: decide at once, not at the next second. */
  wake(): void;
}

/** What operators have decided of circuits and what of it still holds, as this replica's monotonic clock has it. */
export interface Overrides {
  override(circuit: string): Override | undefined;
  /** By circuit; at most 1,000. */
  all(): ReadonlyMap<string, Override>;
  /** Circuits of which something holds, or did within the last minute: agents have to hear that it is over. */
  lately(): ReadonlySet<string>;
  /** The kill switch, in words; empty: circuits may open. */
  frozen(): string;
  freeze(): Omit<Override, 'state'> | undefined;
  /** Whether the time of the decision of that change is over. Of one that this replica has not seen: no. */
  isOver(change: number): boolean;
  /** Calls `listener` whenever something was decided or has ended by itself, with the circuits concerned. */
  onChange(listener: (circuits: ReadonlySet<string>) => void): () => void;
  close(): void;
}
