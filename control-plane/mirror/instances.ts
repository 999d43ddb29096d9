/**
 * The instances and interests of the mirror, by service. Lists are made when first asked for after a change, so that a storm of
 * registrations costs no sort each; and never changed, so that whoever got one keeps what was true then. Pure state, like
 * `policies.ts`.
 */
import type { Instance, RegistryEvent, RegistrySnapshot } from '../store/store.js';

/** What a step changed: services whose instances are others, callees that are new to a service, and hints. */
export interface RegistryChange {
  readonly services: ReadonlySet<string>;
  readonly interests: readonly { readonly service: string; readonly callees: readonly string[] }[];
  /** Circuits whose records are said to have changed: passed on, nothing of it is kept here. */
  readonly circuits: readonly string[];
}

const none: readonly Instance[] = [];

export class MirroredInstances {
  cursor = '';
  readonly #byService = new Map<string, Map<string, Instance>>();
  /** The lists handed out, of the services not in `#stale`. */
  readonly #lists = new Map<string, readonly Instance[]>();
  readonly #stale = new Set<string>();
  readonly #interests = new Map<string, Set<string>>();

  services(): ReadonlyMap<string, readonly Instance[]> {
    for (const service of this.#stale) this.#list(service);
    this.#stale.clear();
    return this.#lists;
  }

  of(service: string): readonly Instance[] {
    if (this.#stale.delete(service)) this.#list(service);
    return this.#lists.get(service) ?? none;
  }

  interests(): ReadonlyMap<string, ReadonlySet<string>> {
    return this.#interests;
  }

  apply(events: readonly RegistryEvent[], cursor: string): RegistryChange {
    const services = new Set<string>();
    const interests: { service: string; callees: readonly string[] }[] = [];
    const circuits = new Set<string>();
    for (const event of events) {
      if (event.kind === 'interest') {
        const callees = this.#learn(event.service, event.callees);
        if (callees.length > 0) interests.push({ service: event.service, callees });
      } else if (event.kind === 'up') {
        this.#put(event.instance);
        services.add(event.instance.service);
      } else if (event.kind === 'circuits') {
        for (const circuit of event.circuits) circuits.add(circuit);
      } else if (this.#drop(event)) services.add(event.service);
    }
    this.cursor = cursor;
    return { services, interests, circuits: [...circuits] };
  }

  adopt(snapshot: RegistrySnapshot): RegistryChange {
    const services = new Set<string>();
    const fresh = new Set<string>();
    for (const { remainingMs: _, ...instance } of snapshot.instances) {
      fresh.add(instance.id);
      if (same(this.#byService.get(instance.service)?.get(instance.id), instance)) continue;
      this.#put(instance);
      services.add(instance.service);
    }
    for (const instances of [...this.#byService.values()])
      for (const instance of [...instances.values()])
        if (!fresh.has(instance.id) && this.#drop(instance)) services.add(instance.service);
    const interests = [...snapshot.interests].flatMap(([service, names]) => {
      const callees = this.#learn(service, names);
      return callees.length > 0 ? [{ service, callees }] : [];
    });
    this.cursor = snapshot.cursor;
    return { services, interests, circuits: [] };
  }

  #put(instance: Instance): void {
    const instances = this.#byService.get(instance.service) ?? new Map<string, Instance>();
    instances.set(instance.id, instance);
    this.#byService.set(instance.service, instances);
    this.#stale.add(instance.service);
  }

  #drop({ id, service }: { readonly id: string; readonly service: string }): boolean {
    const instances = this.#byService.get(service);
    if (!instances?.delete(id)) return false;
    if (instances.size === 0) this.#byService.delete(service);
    this.#stale.add(service);
    return true;
  }

  #list(service: string): void {
    const instances = this.#byService.get(service);
    if (instances) this.#lists.set(service, [...instances.values()].sort(byId));
    else this.#lists.delete(service);
  }

  #learn(service: string, names: readonly string[]): string[] {
    const known = this.#interests.get(service) ?? new Set<string>();
    const callees = names.filter((name) => !known.has(name));
    for (const name of callees) known.add(name);
    if (callees.length > 0) this.#interests.set(service, known);
    return callees;
  }
}

function byId(a: Instance, b: Instance): number {
  return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;
}

const fields = [
  'id',
  'instance',
  'boot',
  'address',
  'protocol',
  'zone',
  'version',
  'weight',
  'registeredAt',
  'replica',
] as const satisfies readonly (keyof Instance)[];

function same(a: Instance | undefined, b: Instance): boolean {
  return a !== undefined && fields.every((field) => a[field] === b[field]);
}
