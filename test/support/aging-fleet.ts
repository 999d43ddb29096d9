/**
 * Replicas and agents as `control-plane/grpc/age.ts` sees them, on a virtual clock: an agent that is told moves within a second,
 * to the next address or to whichever worker has its turn, and replicas know of each other what was true a while ago.
 */
import { ConnectionAge, type Why } from '../../control-plane/grpc/age.js';
import type { Random } from '../../core/random.js';
import { VirtualClock } from './virtual-clock.js';

export interface AgingReplica {
  readonly age: ConnectionAge<AgingAgent>;
  readonly agents: Set<AgingAgent>;
  /** As the others read it. */
  published: number;
  up: boolean;
}

/** One stream: an agent that moves is a new one. */
export interface AgingAgent {
  readonly name: string;
}

export interface AgingFleetOptions {
  readonly replicas: number;
  readonly ageMs: number;
  readonly random: Random;
  /** Where an agent goes that was told at one replica. */
  readonly next: (from: number) => number;
}

/** What one replica tells another is so old. */
const LAG_MS = 2000;

export class AgingFleet {
  readonly clock = new VirtualClock();
  readonly replicas: AgingReplica[];
  /** Of each second: how many streams each replica told. */
  readonly told: number[][] = [];
  readonly why: Record<Why, number> = { age: 0, share: 0 };
  /** How often each agent was told. */
  readonly moves = new Map<string, number>();
  readonly #options: AgingFleetOptions;

  constructor(options: AgingFleetOptions) {
    this.#options = options;
    this.replicas = Array.from({ length: options.replicas }, () => this.#fresh());
  }

  get counts(): number[] {
    return this.replicas.map(({ agents }) => agents.size);
  }

  connect(name: string, at: number): void {
    const replica = this.replicas[at];
    if (!replica?.up) return;
    const agent = { name };
    replica.agents.add(agent);
    replica.age.came(agent, this.clock.now());
  }

  /** Its agents go to the others, in turn. */
  stop(at: number): void {
    const replica = this.replicas[at] as AgingReplica;
    replica.up = false;
    const others = this.replicas.flatMap(({ up }, other) => (up ? [other] : []));
    for (const [i, { name }] of [...replica.agents].entries())
      this.connect(name, others[i % others.length] ?? 0);
    replica.agents.clear();
  }

  start(at: number): void {
    this.replicas[at] = this.#fresh();
  }

  run(seconds: number): void {
    for (let i = 0; i < seconds; i++) this.#second();
  }

  #fresh(): AgingReplica {
    const { ageMs, random } = this.#options;
    const age = new ConnectionAge<AgingAgent>({ ageMs, random, ready: () => true });
    return { age, agents: new Set(), published: 0, up: true };
  }

  #second(): void {
    const now = this.clock.now();
    const told = this.replicas.map((replica, at) => {
      if (!replica.up) return 0;
      const others = this.replicas.filter((one) => one !== replica && one.up).map((one) => one.published);
      const { tell } = replica.age.turn(now, others);
      for (const { stream, why } of tell) {
        this.why[why]++;
        this.moves.set(stream.name, (this.moves.get(stream.name) ?? 0) + 1);
        this.clock.after(this.#options.random.next() * 1000, () => this.#move(stream, replica, at));
      }
      return tell.length;
    });
    this.told.push(told);
    for (const replica of this.replicas) {
      const { size } = replica.agents;
      this.clock.after(LAG_MS, () => {
        replica.published = size;
      });
    }
    this.clock.advance(1000);
  }

  #move(agent: AgingAgent, from: AgingReplica, at: number): void {
    if (!from.agents.delete(agent)) return;
    this.connect(agent.name, this.#options.next(at));
    from.age.left(agent);
  }
}
