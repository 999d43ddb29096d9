/**
 * What the parts of the mesh's circuits ask of each other: the pure part of a replica (`coordinator.ts`), the store that holds
 * records and accounts, and whoever carries words between them (the control plane, or a simulation).
 */
import type { CircuitSpec, Source } from '../policy/model.js';
import type { ClusterDirective, ClusterRecord, Heard, View } from './model.js';

/** A record as a store holds it. */
export interface StoredRecord {
  readonly circuit: string;
  readonly seq: number;
  readonly body: string;
}

/** One replica's account of one circuit: a compact text (`blob.ts`). */
export interface StoredAccount {
  readonly circuit: string;
  readonly replica: string;
  readonly body: string;
}

/** What the store answers to an exchange: accounts of all replicas that have not run out, and records. */
export interface Exchanged {
  readonly accounts: readonly StoredAccount[];
  readonly records: readonly StoredRecord[];
}

/** A compare-and-set: `body` takes the place of the record whose seq is `expected` (0: there is none). */
export interface RecordWrite {
  readonly circuit: string;
  readonly expected: number;
  readonly seq: number;
  readonly body: string;
}

/** A circuit of scope `cluster` as the policies in force have it. */
export interface Governed {
  readonly spec: CircuitSpec;
  readonly source: Source;
  readonly callee: string;
  /** Only callers of this service; undefined: all. */
  readonly from: string | undefined;
  /** Addresses of the callee's registered instances. */
  readonly endpoints: readonly string[];
  /** The policy is in shadow: it is decided and shown, and nobody is told. Absent: it is enforced. */
  readonly shadow?: boolean;
}

/** What an operator has decided, and until when on this replica's monotonic clock. */
export interface Override {
  readonly state: 'open' | 'closed';
  readonly reason: string;
  readonly author: string;
  /** Of the document that says so: grows with each change. */
  readonly revision: number;
  /** Infinity: until somebody says otherwise. */
  readonly endsAt: number;
}

export interface CoordinatorOptions {
  readonly replica: string;
  readonly random: { next(): number };
  /** Undefined: no policy in force makes it a circuit of the mesh (any more). Without a zone. */
  governed(circuit: string): Governed | undefined;
  override(circuit: string): Override | undefined;
  /** Circuits that operators have overridden: they are taken up even if nobody has ever reported of them. */
  overridden?(): Iterable<string>;
  /** The kill switch, in words; empty: circuits may open. */
  frozen(): string;
}

/** A change that this replica has made or seen. */
export interface ClusterTransition {
  readonly before: ClusterRecord | undefined;
  readonly after: ClusterRecord;
}

/** What people are shown. */
export interface ClusterView {
  readonly record: ClusterRecord;
  readonly ageMs: number;
  /** Until the next step, if nothing else happens; Infinity: there is none. */
  readonly nextStepMs: number;
  readonly view: View;
  readonly override: Override | undefined;
  /** In shadow: what it would have done; it publishes nothing. */
  readonly shadow: boolean;
}

/** One replica's part in the circuits of the mesh: no IO, no clock. Implemented by `Coordinator`. */
export interface CoordinatorPart {
  /** One report of one agent about one circuit. True: it turned bad, flush and evaluate at once. */
  heard(circuit: string, heard: Heard, now: number): boolean;
  /** What a probe came to. */
  probed(circuit: string, agent: string, permit: number, ok: boolean, now: number): void;
  left(agent: string): void;
  /** Replicas that are alive, this one included: who ranks first for a circuit evaluates it at each tick. */
  setReplicas(replicas: readonly string[], now: number): void;
  /** Circuits to publish, with what this replica's agents say of them. `urgent`: only those that turned bad since the last time. */
  accounts(now: number, urgent: boolean): ReadonlyMap<string, string>;
  /** The same one by one, each made when it is asked for: others may be heard in between. */
  eachAccount(now: number, urgent: boolean): Iterable<readonly [circuit: string, body: string]>;
  /**
   * What the store answered; answers the transitions that others have made. `askedAt`: when it was asked, since an answer that lay
   * in a socket while the process was stopped is as old as the question. Directives go by it.
   */
  learn(exchanged: Exchanged, now: number, askedAt?: number): readonly ClusterTransition[];
  /** What has to be written; `urgent`: only of circuits that turned bad. Each is then told to `wrote`. */
  decide(now: number, urgent: boolean): readonly RecordWrite[];
  /** `present`: what the store holds instead, if the comparison failed (seq 0: nothing); undefined: it was written. */
  wrote(write: RecordWrite, present: StoredRecord | undefined, now: number): ClusterTransition | undefined;
  /** The store has not answered for too long: nothing is decided, and directives are no longer renewed. */
  freeze(now: number): void;
  /** Everything that this agent has to be told of these callees' circuits at present; not closed, or overridden. */
  directives(
    agent: string,
    service: string,
    zone: string,
    callees: ReadonlySet<string>,
    now: number,
  ): readonly ClusterDirective[];
  /** Endpoints of a callee that are taken out of discovery at present. */
  ejected(callee: string, now: number): ReadonlySet<string>;
  views(now: number): readonly ClusterView[];
  /**
   * A policy is gone, or another dataset is here: these circuits and all that hangs on them go. `policies`: only circuits of these are
   * asked for; absent: all.
   */
  forget(gone: (circuit: string) => boolean, policies?: Iterable<string>): void;
}
