/**
 * Real agents in this process that call several callees, each under a circuit of the mesh of its own. A callee is a function here: a
 * test lets it fail or hang, and sees what reaches it and in which state its caller's circuit was. And what a control plane says of a
 * circuit, as its REST face shows it.
 */
import { connect, type Mesh } from '../../sdk/index.js';
import { type ClusterCircuit, clusterPolicy } from './cluster-mesh.js';
import { keptLogger } from './logs.js';
import { until } from './until.js';
import { putPolicy } from './up.js';

export class TestCallee {
  failing = false;
  /** Calls wait for it. */
  gate: Promise<unknown> | undefined;
  reached = 0;
  failed = 0;
  /** Calls that came while their caller's circuit was open or half-open: by a permit, or by mistake. */
  probes = 0;
  /** Calls that ended in an error that is neither the callee's nor the circuit's refusal. */
  readonly strange: string[] = [];
  /** Calls that a circuit turned away. */
  refused = 0;

  constructor(readonly name: string) {}

  get circuit(): string {
    return `${this.name}|${this.name}`;
  }

  async answer(state: string): Promise<void> {
    this.reached++;
    if (state === 'open' || state === 'half-open') this.probes++;
    await this.gate;
    if (!this.failing) return;
    this.failed++;
    throw new Error('out of order');
  }

  ended(error: Error & { code?: string }): void {
    if (error.code === 'circuit_open') this.refused++;
    else if (error.message !== 'out of order') this.strange.push(`${error.code ?? ''} ${error.message}`);
  }
}

export class Member {
  /** Of its own. */
  reached = 0;
  failed = 0;
  /** For this one alone. */
  failing = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    readonly mesh: Mesh,
    private readonly callees: readonly TestCallee[],
  ) {}

  async call(callee: TestCallee): Promise<void> {
    const call = this.mesh.guard(callee.name, async () => {
      this.reached++;
      try {
        await callee.answer(this.mesh.circuit(callee.name).state);
        if (this.failing) throw new Error('out of order');
      } catch (error) {
        this.failed++;
        throw error;
      }
    });
    await call.catch((error: Error) => callee.ended(error));
  }

  load(perSecond: number): this {
    clearInterval(this.#timer);
    const round = () => {
      for (const callee of this.callees) void this.call(callee);
    };
    if (perSecond > 0) this.#timer = setInterval(round, 1_000 / perSecond);
    return this;
  }
}

export class Population {
  readonly members: Member[] = [];

  constructor(readonly callees: readonly TestCallee[]) {}

  /** `addresses`: of all replicas; every other member begins with the other end of the list. */
  async join(addresses: readonly string[], service = 'checkout'): Promise<Member> {
    const index = this.members.length;
    const order = index % 2 === 0 ? addresses : [...addresses].reverse();
    const mesh = await connect({
      ...{ service, instance: `c${index}`, controlPlane: order.join(','), snapshot: false },
      callees: this.callees.map(({ name }) => name),
      logger: keptLogger(),
    });
    const member = new Member(mesh, this.callees);
    this.members.push(member);
    return member;
  }

  async joinMany(count: number, addresses: readonly string[], perSecond: number): Promise<void> {
    for (let i = 0; i < count; i++) await this.join(addresses);
    for (const member of this.members) member.load(perSecond);
  }

  states({ name }: TestCallee): string[] {
    return this.members.map(({ mesh }) => mesh.circuit(name).state);
  }

  all(callee: TestCallee, state: string, timeoutMs = 30_000): Promise<unknown> {
    return until(() => this.states(callee).every((each) => each === state), {
      what: `all agents ${state} for ${callee.name}`,
      timeoutMs,
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}; they are ${this.states(callee).join()}`);
    });
  }

  async leave(): Promise<void> {
    for (const member of this.members) member.load(0);
    await Promise.all(this.members.splice(0).map(({ mesh }) => mesh.close()));
  }
}

/** A circuit for the callee of the same name, that no agent's own calls would open: 5 s of them are less than `minimumCalls`. */
export async function govern(rest: string, { name }: TestCallee, circuit: ClusterCircuit): Promise<void> {
  const { spec } = clusterPolicy({ window: '5s', minimumCalls: 60, ...circuit });
  const answer = await putPolicy(rest, name, { match: { to: name }, spec });
  if (answer.status >= 300) throw new Error(`PUT ${name}: ${answer.status} ${JSON.stringify(answer.body)}`);
}

export interface ShownCircuit {
  readonly state: string;
  readonly epoch: number;
  readonly reason: string;
  readonly window: { readonly calls: number; readonly agents: number; readonly over: number } | null;
  /** Agents that fail where all others don't. */
  readonly suspects: readonly string[];
}

/** What this replica says of the mesh's circuit; undefined: nothing. */
export async function shown(rest: string, { circuit }: TestCallee): Promise<ShownCircuit | undefined> {
  const response = await fetch(`${rest}/v1/circuits/${encodeURIComponent(circuit)}`);
  if (!response.ok) return undefined;
  return ((await response.json()) as { cluster: ShownCircuit | null }).cluster ?? undefined;
}
