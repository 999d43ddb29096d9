/**
 * What an agent tells the application when it happens, and when it is asked.
 */
import type { Decision } from './decisions.js';
import type { CircuitChange } from './parts.js';

/** A policy that this agent can't use, and why, in words; the last good one of the name stays in force. */
export interface RefusedPolicy {
  readonly policy: string;
  readonly revision: number;
  readonly reason: string;
}

/** Policies came, changed, went or were refused. */
export interface PolicyEvent {
  /** Up to which everything of this service's interest is in force now. */
  readonly revision: number;
  readonly dataset: string;
  /** Names that came into force or were confirmed. */
  readonly applied: readonly string[];
  readonly removed: readonly string[];
  readonly refused: readonly RefusedPolicy[];
}

/** The stream to the control plane came about or ended. */
export interface ConnectionEvent {
  readonly connected: boolean;
  /** `host:port` of the replica. */
  readonly controlPlane: string;
  /** Its name; empty: it never said. */
  readonly replica: string;
  /** Why it ended, in words; empty while connected. */
  readonly reason: string;
}

/** Optional features are switched off, or on again: the level is another, or the reason for it. */
export interface BrownoutEvent {
  /** 0: everything runs; at 4 all that is optional is off. */
  readonly level: number;
  /** Empty at level 0. */
  readonly reason: string;
}

export interface BrownoutStatus extends BrownoutEvent {
  /** Until the level is 0 again by itself; undefined: until the control plane says otherwise. */
  readonly ttlMs: number | undefined;
  /** Features that are off: named ones, and of those that nobody has named the first 1,000 that this process asked for. */
  readonly off: readonly string[];
}

export type AgentEvents = {
  readonly circuit: CircuitChange;
  readonly policy: PolicyEvent;
  readonly connection: ConnectionEvent;
  readonly brownout: BrownoutEvent;
  readonly decision: Decision;
};

/** A circuit as it is now. */
export interface CircuitStatus extends Omit<CircuitChange, 'from' | 'to'> {
  readonly state: CircuitChange['to'];
}

export interface AgentStatus {
  /** Whether there is a stream to the control plane; false as soon as it has ended. */
  readonly connected: boolean;
  /** What is held may be older than what the control plane has: not connected, or not told everything yet. */
  readonly stale: boolean;
  readonly service: string;
  readonly instance: string;
  /** `host:port` of the replica that is connected, or is tried next. */
  readonly controlPlane: string;
  /** Name of the replica that was connected last; empty: none yet. */
  readonly replica: string;
  /** Name of the mesh; empty: nobody has said yet. */
  readonly mesh: string;
  /** Of the data held; empty: none. */
  readonly dataset: string;
  /** Up to which everything of this service's interest is held; 0: none. */
  readonly revision: number;
  /** Of all that is held: equal in all agents of a service that have converged. 16 hexadecimal digits. */
  readonly digest: string;
  /** Policies in force. */
  readonly policies: number;
  readonly refused: readonly RefusedPolicy[];
  /** Names it calls, as far as it knows. */
  readonly callees: readonly string[];
  /** Live instances by callee, as last told. */
  readonly instances: { readonly [service: string]: number };
  /** The address held in the registry (`:port`: as the control plane sees it); undefined: none. */
  readonly registered: string | undefined;
  readonly circuits: readonly CircuitStatus[];
  readonly brownout: BrownoutStatus;
  /** Undefined: none is kept. */
  readonly snapshot:
    | {
        readonly path: string;
        /** Milliseconds since it was written, by this process or one before; undefined: there is no file. */
        readonly ageMs: number | undefined;
        /** Whether this process began with it. */
        readonly restored: boolean;
      }
    | undefined;
}
