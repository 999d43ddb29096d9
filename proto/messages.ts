/**
 * The messages of `agents.proto` as TypeScript knows them: what the wire gives after `codec.ts` has looked at it, every field
 * present, numbers as numbers. A message is one of a union told apart by `message`, the name of the oneof's member, so the
 * decoded object is used as it is and no second copy is made.
 */

export interface ProtocolVersion {
  readonly major: number;
  readonly minor: number;
}

/**
 * Of this release. Another major is refused; a minor one apart is understood. Brownout, grants, shares and demands came with 1.1: an
 * agent of 1.0 would end its stream over them, so it is not sent any. With 1.2 circuits of the mesh came into use: directives and probe
 * results, which earlier ones understand and make nothing of, and the instance in a cell.
 */
export const protocolVersion: ProtocolVersion = { major: 1, minor: 2 };

export interface PolicyHash {
  readonly name: string;
  readonly hash: string;
  readonly revision: number;
}

export interface Hello {
  readonly agent: string;
  readonly service: string;
  readonly instance: string;
  readonly boot: number;
  readonly zone: string;
  readonly version: string;
  readonly protocol: ProtocolVersion;
  readonly capabilities: readonly string[];
  readonly dataset: string;
  readonly revision: number;
  readonly hashes: readonly PolicyHash[];
  readonly callees: readonly string[];
  readonly concurrency: number;
}

export interface Subscribe {
  readonly callees: readonly string[];
}

export interface Rejected {
  readonly name: string;
  readonly reason: string;
  readonly revision: number;
}

export interface Ack {
  readonly nonce: number;
  readonly applied: readonly string[];
  readonly rejected: readonly Rejected[];
}

export interface Cell {
  readonly callee: string;
  readonly method: string;
  readonly endpoint: string;
  readonly ok: number;
  readonly failed: number;
  readonly slow: number;
  readonly rejected: number;
  readonly blocked: number;
  readonly latency: Uint8Array;
}

export interface ProbeResult {
  readonly circuit: string;
  readonly permit: number;
  readonly ok: boolean;
}

export interface CircuitState {
  readonly id: string;
  readonly callee: string;
  readonly method: string;
  readonly state: string;
  readonly policy: string;
  readonly revision: number;
  readonly epoch: number;
  readonly retryAfterMs: number;
  readonly reason: string;
}

export interface Report {
  readonly seq: number;
  readonly elapsedMs: number;
  readonly cells: readonly Cell[];
  readonly probes: readonly ProbeResult[];
  readonly circuits: readonly CircuitState[];
  readonly rates: readonly RateDemand[];
}

export interface RateDemand {
  /** `<callee>|<policy>`, and `|<method>` where the policy says `by: method`. */
  readonly id: string;
  /** Attempts since the last report, those that were turned away among them. */
  readonly asked: number;
}

export interface Lease {
  readonly requestId: string;
  readonly release: boolean;
  /** `host:port`; `:port` stands for the address that the control plane sees. */
  readonly address: string;
  readonly protocol: string;
  readonly version: string;
  readonly weight: number;
}

export type Heartbeat = Readonly<Record<string, never>>;

export interface Intervals {
  readonly heartbeatMs: number;
  readonly reportMs: number;
  readonly urgentReportMs: number;
}

export interface Welcome {
  readonly mesh: string;
  readonly dataset: string;
  readonly protocol: ProtocolVersion;
  readonly replica: string;
  readonly intervals: Intervals;
  readonly error: string;
}

export interface PolicyDocument {
  readonly name: string;
  readonly revision: number;
  readonly document: string;
  readonly hash: string;
  /** Of a staged rollout: what agents that it does not reach hold. Came with 1.2; a control plane before that sends none. */
  readonly previous?: PreviousDocument | null | undefined;
}

export interface PreviousDocument {
  /** 0: nothing, and then the texts are empty. */
  readonly revision: number;
  readonly document: string;
  readonly hash: string;
}

export interface Delta {
  readonly dataset: string;
  readonly revision: number;
  readonly nonce: number;
  readonly complete: boolean;
  readonly upserts: readonly PolicyDocument[];
  readonly removals: readonly string[];
}

export interface Endpoint {
  readonly instance: string;
  readonly address: string;
  readonly zone: string;
  readonly version: string;
  readonly protocol: string;
  readonly weight: number;
}

export interface Endpoints {
  readonly service: string;
  readonly instances: readonly Endpoint[];
}

export interface LeaseResult {
  readonly requestId: string;
  readonly ttlMs: number;
  readonly error: string;
  readonly code: string;
}

export interface Directive {
  readonly circuit: string;
  readonly state: string;
  readonly circuitEpoch: number;
  readonly seq: number;
  readonly admitPercent: number;
  readonly permits: readonly number[];
  readonly ttlMs: number;
  readonly reason: string;
}

export interface Directives {
  readonly directives: readonly Directive[];
}

export interface Feature {
  readonly name: string;
  /** That switches it off. */
  readonly level: number;
}

export interface Brownout {
  /** 0: everything runs. */
  readonly level: number;
  readonly features: readonly Feature[];
  /** 0: until the next word. */
  readonly ttlMs: number;
  readonly reason: string;
  /** Of the document that set it; 0: a rule, or nobody yet. */
  readonly revision: number;
}

export interface RateGrant {
  readonly id: string;
  /** For each interval. */
  readonly tokens: number;
  readonly intervalMs: number;
  /** That use this limit, this one included. */
  readonly agents: number;
}

export interface RateGrants {
  readonly grants: readonly RateGrant[];
  readonly ttlMs: number;
}

/** Of a limit without a grant, which is each agent's to use in even parts. */
export interface RateShare {
  /** `<callee>|<policy>`, whatever the method. */
  readonly id: string;
  /** That could use it, this one included. */
  readonly agents: number;
}

export interface RateShares {
  readonly shares: readonly RateShare[];
  /** In the whole mesh: for limits that no share names. */
  readonly agents: number;
}

export interface Drain {
  readonly afterMs: number;
}

export interface AgentBodies {
  readonly hello: Hello;
  readonly subscribe: Subscribe;
  readonly ack: Ack;
  readonly report: Report;
  readonly lease: Lease;
  readonly heartbeat: Heartbeat;
}

export interface ControlBodies {
  readonly welcome: Welcome;
  readonly delta: Delta;
  readonly endpoints: Endpoints;
  readonly lease: LeaseResult;
  readonly directives: Directives;
  readonly drain: Drain;
  readonly brownout: Brownout;
  readonly grants: RateGrants;
  readonly shares: RateShares;
  readonly heartbeat: Heartbeat;
}

/** `{ message: 'hello', hello: Hello } | …` */
type OneOf<Bodies> = {
  readonly [K in keyof Bodies]: { readonly message: K } & { readonly [P in K]: Bodies[P] };
}[keyof Bodies];

export type AgentMessage = OneOf<AgentBodies>;
export type ControlMessage = OneOf<ControlBodies>;
