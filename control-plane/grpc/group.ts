/**
 * The streams of one caller service: they share an interest, the bodies made of it, and a log of the callees whose instances
 * changed. What each stream keeps of all this are two places in two logs.
 */
import { Interest, type PolicySource } from '../../core/sync/interest.js';
import { TouchLog } from '../../core/sync/touch-log.js';
import { DeltaBodies, type Encode } from './bodies.js';
import type { Urgent, Worker } from './pump.js';

/** What a group knows of its streams. */
export interface Member extends Worker, Urgent {
  /** The mesh's data were replaced by others: revisions start anew. */
  forgetRevisions(): void;
}

export class Group {
  readonly interest: Interest;
  readonly deltas: DeltaBodies;
  /** Callees whose instances changed, or whose instances nobody has been told of yet. */
  readonly endpoints = new TouchLog();
  readonly members = new Set<Member>();
  readonly #source: PolicySource;
  #callees: readonly string[] = [];

  constructor(service: string, source: PolicySource, encode: Encode) {
    this.interest = new Interest(service);
    this.#source = source;
    this.deltas = new DeltaBodies(this.interest, source, encode);
  }

  /** The callees as one list that all who show it share. */
  get callees(): readonly string[] {
    if (this.#callees.length !== this.interest.callees.size) this.#callees = [...this.interest.callees];
    return this.#callees;
  }

  /** Answers the callees that are new. */
  add(callees: Iterable<string>): readonly string[] {
    const added = this.interest.add(callees, this.#source);
    for (const callee of added) this.endpoints.touch(callee);
    return added;
  }

  /** Callees whose instances changed behind `position`; of all of them, if that lies too far back. */
  endpointsSince(position: number): readonly string[] {
    return this.endpoints.since(position) ?? this.callees;
  }

  /** Answers whether any of these is a callee of this service. */
  noteInstances(services: ReadonlySet<string>): boolean {
    let concerned = false;
    for (const service of services) {
      if (!this.interest.callees.has(service)) continue;
      this.endpoints.touch(service);
      concerned = true;
    }
    return concerned;
  }
}
