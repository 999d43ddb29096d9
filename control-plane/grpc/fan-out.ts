/**
 * From a change of the mirror to the streams it concerns. It keeps one group for each caller service that is connected, notes
 * changes in the group's log, and gives the group's streams a turn at the pump; what each of them then lacks, it derives from
 * its place in the log. Changes of other services cost a stream nothing, not even a look,
 * and those of callees that a service does not use cost its group none either.
 */
import type { PolicyRevision } from '../../core/policy/model.js';
import { targetsOf } from '../../core/policy/rollout.js';
import { differences } from '../../core/sync/differences.js';
import type { Mirror } from '../ports.js';
import { type Encode, EndpointBodies } from './bodies.js';
import { Group, type Member } from './group.js';
import type { Pump } from './pump.js';

export class FanOut {
  readonly endpoints: EndpointBodies;
  readonly #mirror: Mirror;
  readonly #encode: Encode;
  readonly #pump: Pump;
  readonly #groups = new Map<string, Group>();
  /** The same by each of the callees that they use. */
  readonly #users = new Map<string, Set<Group>>();
  /** All policies as last seen, to tell what a reset changed. The values are the mirror's own. */
  readonly #known: Map<string, PolicyRevision>;
  #dataset: string;
  readonly #stops: (() => void)[];

  /** `ejected`: addresses of a callee that are taken out of discovery at present. */
  constructor({
    mirror,
    encode,
    pump,
    ejected,
  }: {
    mirror: Mirror;
    encode: Encode;
    pump: Pump;
    ejected?: ((callee: string) => ReadonlySet<string>) | undefined;
  }) {
    this.#mirror = mirror;
    this.#encode = encode;
    this.#pump = pump;
    this.#dataset = mirror.dataset;
    this.#known = byName(mirror);
    this.endpoints = new EndpointBodies(
      ejected ? { instances: (callee) => mirror.instances(callee), ejected } : mirror,
      encode,
    );
    this.#stops = [
      mirror.on('policies', (changes) => {
        for (const { name, before, after } of changes) this.#note(name, before, after);
      }),
      mirror.on('reset', () => this.#reset()),
      mirror.on('instances', (services) => this.instances(services)),
      mirror.on('interest', (service, callees) => this.add(service, callees)),
    ];
  }

  /** Of the services that are connected here. */
  groups(): Iterable<Group> {
    return this.#groups.values();
  }

  /** Takes a stream into the group of its service. */
  join(service: string, member: Member): Group {
    let group = this.#groups.get(service);
    if (!group) {
      group = new Group(service, this.#mirror, this.#encode);
      this.#groups.set(service, group);
      this.#add(group, this.#mirror.interests().get(service) ?? []);
    }
    group.members.add(member);
    return group;
  }

  leave(service: string, member: Member): void {
    this.#pump.forget(member);
    const group = this.#groups.get(service);
    if (!group?.members.delete(member) || group.members.size > 0) return;
    this.#groups.delete(service);
    for (const callee of group.interest.callees) {
      const users = this.#users.get(callee);
      users?.delete(group);
      if (users?.size === 0) this.#users.delete(callee);
    }
  }

  /** Instances of `service` also use these. Answers those that were not known here. */
  add(service: string, callees: Iterable<string>): readonly string[] {
    const group = this.#groups.get(service);
    const added = group ? this.#add(group, callees) : [];
    if (group && added.length > 0) this.#wake(group);
    return added;
  }

  /** Of these services others are there to be called. */
  instances(services: ReadonlySet<string>): void {
    this.endpoints.forget(services);
    for (const group of this.#using(services)) if (group.noteInstances(services)) this.#wake(group);
  }

  /** Gives the streams that have any of these callees an urgent turn. */
  hasten(callees: ReadonlySet<string>): void {
    for (const group of this.#using(callees)) for (const member of group.members) this.#pump.hasten(member);
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  #note(name: string, before: PolicyRevision | undefined, after: PolicyRevision | undefined): void {
    if (after) this.#known.set(name, after);
    else this.#known.delete(name);
    const callees = new Set(
      [before, after].flatMap((entry) => (entry ? targetsOf(entry) : [])).map(({ to }) => to),
    );
    for (const group of callees.has('*') ? this.#groups.values() : this.#using(callees))
      if (group.interest.note(name, before, after)) this.#wake(group);
  }

  #reset(): void {
    const before = new Map(this.#known);
    for (const change of differences(before, byName(this.#mirror)))
      this.#note(change.name, change.before, change.after);
    this.endpoints.forgetAll();
    const replaced = this.#mirror.dataset !== this.#dataset;
    this.#dataset = this.#mirror.dataset;
    const interests = this.#mirror.interests();
    for (const [service, group] of this.#groups) {
      this.#add(group, interests.get(service) ?? []);
      for (const callee of group.interest.callees) group.endpoints.touch(callee);
      if (replaced) {
        // Every agent has to learn the new name, also one for whom nothing else changed.
        group.interest.log.touch();
        for (const member of group.members) member.forgetRevisions();
      }
      this.#wake(group);
    }
  }

  /** Answers the callees that are new. */
  #add(group: Group, callees: Iterable<string>): readonly string[] {
    const added = group.add(callees);
    for (const callee of added) this.#users.set(callee, (this.#users.get(callee) ?? new Set()).add(group));
    return added;
  }

  /** Each once. */
  #using(callees: ReadonlySet<string>): ReadonlySet<Group> {
    const [only = ''] = callees;
    if (callees.size === 1) return this.#users.get(only) ?? none;
    const found = new Set<Group>();
    for (const callee of callees) for (const group of this.#users.get(callee) ?? none) found.add(group);
    return found;
  }

  #wake(group: Group): void {
    for (const member of group.members) this.#pump.wake(member);
  }
}

const none: ReadonlySet<Group> = new Set();

function byName(mirror: Mirror): Map<string, PolicyRevision> {
  return new Map(mirror.policies().map((entry) => [entry.policy.name, entry]));
}
