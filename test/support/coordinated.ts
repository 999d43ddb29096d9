/**
 * Replicas around one store, in memory and under a time that tests set: real coordinators, a store that compares and sets, and agents
 * that call, report, hold back and probe as they are told. Replicas can be stopped, cut off and lose answers.
 */
import type {
  ClusterTransition,
  Exchanged,
  Governed,
  Override,
  RecordWrite,
  StoredAccount,
  StoredRecord,
} from '../../core/coordination/contract.js';
import { Coordinator } from '../../core/coordination/coordinator.js';
import { Fence } from '../../core/coordination/fence.js';
import type { ClusterDirective, ClusterRecord } from '../../core/coordination/model.js';
import { decodeRecord } from '../../core/coordination/record-text.js';
import type { CircuitSpec } from '../../core/policy/model.js';
import { type Random, seededRandom } from '../../core/random.js';
import { inventory, source } from './cluster-records.js';
import { circuitSpec } from './specs.js';

const ACCOUNT_TTL_MS = 5_000;

export class FakeCircuitStore {
  readonly records = new Map<string, StoredRecord>();
  readonly #accounts = new Map<string, StoredAccount & { readonly endsAt: number }>();
  /** Every write that was made, in order. */
  readonly written: ClusterRecord[] = [];

  exchange(replica: string, bodies: ReadonlyMap<string, string>, now: number): Exchanged {
    for (const [circuit, body] of bodies)
      this.#accounts.set(`${circuit}\n${replica}`, { circuit, replica, body, endsAt: now + ACCOUNT_TTL_MS });
    const accounts = [...this.#accounts.values()].filter(({ endsAt }) => endsAt > now);
    return { accounts, records: [...this.records.values()] };
  }

  put({ circuit, expected, seq, body }: RecordWrite): StoredRecord | undefined {
    const present = this.records.get(circuit) ?? { circuit, seq: 0, body: '' };
    if (present.seq === seq && present.body === body) return undefined;
    if (present.seq !== expected) return present;
    this.records.set(circuit, { circuit, seq, body });
    const record = decodeRecord(circuit, body);
    if (record?.seq !== seq) throw new Error(`a record that cannot be read was written: ${body}`);
    this.written.push(record);
    return undefined;
  }
}

/** One replica and what carries its words. */
export class FakeReplica {
  readonly coordinator: Coordinator;
  readonly transitions: ClusterTransition[] = [];
  running = true;
  /** The store is out of its reach. */
  cutOff = false;

  constructor(
    readonly name: string,
    readonly store: FakeCircuitStore,
    mesh: Mesh,
    random: Random,
  ) {
    this.coordinator = new Coordinator({
      replica: name,
      random,
      governed: (circuit) => mesh.governed.get(circuit),
      override: (circuit) => mesh.overrides.get(circuit),
      overridden: () => mesh.overrides.keys(),
      frozen: () => mesh.frozen,
    });
  }

  /** As the control plane does it: publish, learn, decide, write. `lost`: what is written, and whose answer doesn't come. */
  tick(now: number, urgent = false, lost = false): void {
    if (!this.running) return;
    const accounts = this.coordinator.accounts(now, urgent);
    if (this.cutOff) {
      this.coordinator.freeze(now);
      return;
    }
    const exchanged = this.store.exchange(this.name, accounts, now);
    this.transitions.push(...this.coordinator.learn(exchanged, now));
    for (const write of this.coordinator.decide(now, urgent)) {
      const present = this.store.put(write);
      if (lost) continue;
      const made = this.coordinator.wrote(write, present, now);
      if (made) this.transitions.push(made);
    }
  }
}

export interface Mesh {
  readonly governed: Map<string, Governed>;
  readonly overrides: Map<string, Override>;
  frozen: string;
}

/** An agent that makes so many calls a second, and does as it is told. */
export class FakeAgent {
  readonly fence = new Fence();
  /** What holds, and until when. */
  held: { readonly directive: ClusterDirective; readonly endsAt: number } | undefined;
  readonly used = new Set<number>();
  wasted = 0;
  calling = true;

  constructor(
    readonly name: string,
    readonly zone: string,
    public replica: FakeReplica,
    readonly callsPerSecond: number,
  ) {}

  /** A second of calls, and the report of it. True: it is urgent. */
  second(ok: () => boolean, now: number, circuit = inventory): boolean {
    if (!this.calling) return false;
    if (this.held && now >= this.held.endsAt) this.held = undefined;
    const directive = this.held?.directive;
    const { coordinator } = this.replica;
    let blocked = this.callsPerSecond;
    let calls = 0;
    let failed = 0;
    for (const permit of directive?.state === 'half-open' ? directive.permits : []) {
      if (this.used.has(permit) || blocked === 0) continue;
      this.used.add(permit);
      blocked--;
      if (this.replica.running) coordinator.probed(circuit, this.name, permit, ok(), now);
    }
    const state = directive?.state ?? 'closed';
    if (state === 'closed' || state === 'ramping' || state === 'forced-closed') {
      calls = Math.round((blocked * (directive?.admitPercent ?? 100)) / 100);
      for (let i = 0; i < calls; i++) if (!ok()) failed++;
      blocked -= calls;
    }
    this.wasted += failed;
    if (!this.replica.running) return false;
    const counts = { calls, failed, slow: 0, blocked };
    return coordinator.heard(circuit, { agent: this.name, zone: this.zone, endpoint: '', ...counts }, now);
  }

  listen(now: number): void {
    if (!this.replica.running) return;
    const [service = ''] = this.name.split('/');
    const callees = new Set(['inventory']);
    for (const each of this.replica.coordinator.directives(this.name, service, this.zone, callees, now))
      if (this.fence.accept('d', each, now)) this.held = { directive: each, endsAt: now + each.ttlMs };
  }
}

export interface FleetOptions {
  readonly agents?: number;
  readonly replicas?: number;
  readonly spec?: Partial<CircuitSpec>;
  readonly shadow?: boolean;
  readonly callsPerSecond?: number;
  readonly seed?: number;
}

/** Agents of `checkout` that call `inventory`, spread over the replicas, under one circuit of scope `cluster`. */
export class CoordinatedFleet {
  readonly store = new FakeCircuitStore();
  readonly mesh: Mesh = { governed: new Map(), overrides: new Map(), frozen: '' };
  readonly replicas: FakeReplica[];
  readonly agents: FakeAgent[];
  now = 1_000_000;
  healthy = true;

  constructor({
    agents = 10,
    replicas = 2,
    spec = {},
    shadow = false,
    callsPerSecond = 10,
    seed = 1,
  }: FleetOptions = {}) {
    const governed = { spec: circuitSpec({ scope: 'cluster', ...spec }), source, callee: 'inventory' };
    this.mesh.governed.set(inventory, { ...governed, from: undefined, endpoints: [], shadow });
    const random = seededRandom(seed);
    this.replicas = Array.from(
      { length: replicas },
      (_, i) => new FakeReplica(`r${i}`, this.store, this.mesh, random),
    );
    this.agents = Array.from({ length: agents }, (_, i) => {
      const replica = this.replicas[i % replicas] as FakeReplica;
      return new FakeAgent(`checkout/${i}`, Math.floor(i / 2) % 2 === 0 ? 'a' : 'b', replica, callsPerSecond);
    });
    for (const { coordinator } of this.replicas)
      coordinator.setReplicas(
        this.replicas.map(({ name }) => name),
        this.now,
      );
  }

  get record(): ClusterRecord | undefined {
    const stored = this.store.records.get(inventory);
    return stored && decodeRecord(inventory, stored.body);
  }

  get state(): string {
    return this.record?.state ?? 'closed';
  }

  /** A second: agents report, replicas tick, agents are told. */
  second(): void {
    this.now += 1_000;
    for (const agent of this.agents)
      if (agent.second(() => this.healthy, this.now)) agent.replica.tick(this.now, true);
    for (const replica of this.replicas) replica.tick(this.now);
    for (const agent of this.agents) agent.listen(this.now);
  }

  seconds(count: number): void {
    for (let i = 0; i < count; i++) this.second();
  }

  /** The seconds it took; throws if it did not come to that. */
  until(reached: () => boolean, secondsMax: number): number {
    for (let i = 1; i <= secondsMax; i++) {
      this.second();
      if (reached()) return i;
    }
    throw new Error(`not reached within ${secondsMax} s: ${this.state}, ${this.record?.reason ?? ''}`);
  }
}
