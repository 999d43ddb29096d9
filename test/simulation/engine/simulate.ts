/**
 * Runs one scenario under one seed: builds callees, agents, replicas and store, lets happen what the scenario says, and answers
 * what it came to. With local circuits alone there are no replicas, and everything else is the same.
 */
import { Coordinator } from '../../../core/coordination/coordinator.js';
import type { CircuitSpec } from '../../../core/policy/model.js';
import { Callee } from './callee.js';
import { Fleet } from './fleet.js';
import { Loop } from './loop.js';
import { Meter } from './meter.js';
import { Network } from './network.js';
import type { Outcome } from './outcome.js';
import { type Mesh, Replica } from './replica.js';
import type { Happening, Scenario } from './scenario.js';
import { Store } from './store.js';
import { STREAMS, Streams } from './streams.js';

export interface SimulateOptions {
  readonly seed: number;
  /** Every agent by its own circuit, without a control plane. */
  readonly local?: boolean;
}

const SAMPLES = 300;
/** From the first word of a replica that stops to the end of its process, and what its agents use of that. */
const DRAIN_MS = 1_000;
const MOVE_MS = 600;
const FIRST_MS = 1_000;

export function simulate(scenario: Scenario, { seed, local = false }: SimulateOptions): Outcome {
  return new Simulation(scenario, seed, local).run();
}

class Simulation {
  readonly #scenario: Scenario;
  readonly #loop: Loop;
  readonly #callees: Callee[];
  readonly #network: Network;
  readonly #store = new Store();
  readonly #meter: Meter;
  readonly #replicas: Replica[] = [];
  readonly #fleet: Fleet;
  readonly #streams: Streams;

  constructor(scenario: Scenario, seed: number, local: boolean) {
    this.#scenario = scenario;
    const { callers, agentLatency, storeLatency, loss, policy } = scenario;
    const loop = new Loop(seed);
    this.#loop = loop;
    this.#callees = scenario.callees.map(({ name, endpoints, answersMs }) => {
      const addresses = Array.from({ length: endpoints }, (_, i) => `${name}-${i + 1}:80`);
      return new Callee(name, addresses, answersMs, loop);
    });
    this.#network = new Network(loop, agentLatency, storeLatency);
    this.#network.loss = loss;
    const ids = this.#callees.map(({ name }) => `${name}|${policy.name}`);
    const idOf = (callee: number) => ids[callee] as string;
    const meter = new Meter(loop, this.#callees, idOf);
    this.#meter = meter;
    const spec = policy.spec.circuit as CircuitSpec;
    this.#fleet = new Fleet({ loop, callers, callees: this.#callees, spec, meter });
    const mesh = this.#mesh(spec, ids, idOf);
    for (let i = 0; i < (local ? 0 : scenario.replicas); i++) this.#replicas.push(new Replica(i, mesh));
    const calleeOf = new Map(ids.map((id, callee) => [id, callee]));
    this.#streams = new Streams(loop, this.#network, this.#fleet, this.#replicas, meter, calleeOf);
  }

  run(): Outcome {
    const { runMs, happenings } = this.#scenario;
    const loop = this.#loop;
    for (const replica of this.#replicas) replica.start();
    for (let agent = 0; agent < this.#fleet.size; agent++) {
      const fromMs = this.#fleet.groups[agent]?.fromMs ?? 0;
      loop.after(fromMs + loop.random.next() * FIRST_MS, () => this.#streams.start(agent));
      const toMs = this.#fleet.groups[agent]?.toMs ?? Number.POSITIVE_INFINITY;
      if (Number.isFinite(toMs)) loop.after(toMs, () => this.#streams.end(agent));
    }
    for (const happening of happenings)
      if (!this.#isLocal || happening.kind === 'callee' || happening.kind === 'capacity')
        loop.after(happening.atMs, () => this.#happen(happening));
    loop.every(runMs / SAMPLES, 0, () => this.#meter.sample());
    loop.run(runMs, (kind, a, b, c) => {
      if (kind < STREAMS) this.#fleet.handle(kind, a, b, c);
      else this.#streams.handle(kind, a, b);
    });
    return this.#meter.outcome(this.#store.operations);
  }

  get #isLocal(): boolean {
    return this.#replicas.length === 0;
  }

  #mesh(spec: CircuitSpec, ids: readonly string[], idOf: (callee: number) => string): Mesh {
    const loop = this.#loop;
    const callees = this.#callees;
    const source = { policy: this.#scenario.policy.name, revision: 1 };
    const governed = new Map(
      ids.map((id, i) => {
        const { name, endpoints } = callees[i] as Callee;
        return [id, { spec, source, callee: name, from: undefined, endpoints }];
      }),
    );
    return {
      loop,
      network: this.#network,
      store: this.#store,
      meter: this.#meter,
      idOf,
      calleeNames: new Set(callees.map(({ name }) => name)),
      coordinator: (replica) =>
        new Coordinator({
          replica,
          random: loop.random,
          governed: (circuit) => governed.get(circuit),
          override: () => undefined,
          frozen: () => '',
        }),
      hint: (from) => {
        for (const replica of this.#replicas) if (replica.index !== from) this.#hint(replica);
      },
    };
  }

  /** Best effort: what is cut off from the store hears nothing. */
  #hint(replica: Replica): void {
    this.#loop.after(this.#network.storeDelay(), () => {
      if (!this.#store.away && !this.#network.cutFromStore.has(replica.index)) replica.hinted();
    });
  }

  #happen(happening: Happening): void {
    if (happening.kind === 'store') {
      this.#store.away = happening.deed === 'away' || (this.#store.away && happening.deed === 'lost');
      if (happening.deed === 'lost') {
        this.#store.lose();
        this.#meter.lost();
      }
    } else if (happening.kind === 'replica') {
      this.#happenToReplica(happening.replica, happening.deed);
    } else {
      const callee = this.#callees.find(({ name }) => name === happening.callee) as Callee;
      if (happening.kind === 'capacity') callee.stand(happening.callsPerSecond);
      else if (happening.zone !== undefined) callee.becomeFor(happening.zone, happening.fate);
      else callee.become(happening.fate, ...(happening.endpoints ?? []));
      this.#meter.health();
    }
  }

  #happenToReplica(index: number, deed: (Happening & { kind: 'replica' })['deed']): void {
    const replica = this.#replicas[index] as Replica;
    const { cutFromAgents, cutFromStore } = this.#network;
    if (deed === 'started') {
      replica.start();
    } else if (deed === 'killed') {
      replica.kill();
      this.#streams.reset(index);
    } else if (deed === 'drained') {
      this.#streams.drain(index, MOVE_MS);
      this.#loop.after(DRAIN_MS, () => {
        replica.kill();
        this.#streams.reset(index);
        this.#store.leave(replica.name);
      });
    } else if (deed === 'stopped') {
      replica.stop();
      this.#streams.silence(index, () => replica.stopped);
    } else if (deed === 'continued') {
      replica.proceed();
    } else if (deed === 'cut from agents') {
      cutFromAgents.add(index);
      this.#streams.silence(index, () => cutFromAgents.has(index));
    } else if (deed === 'cut from store') {
      cutFromStore.add(index);
    } else {
      cutFromStore.delete(index);
      cutFromAgents.delete(index);
      this.#streams.healed(index);
    }
  }
}
