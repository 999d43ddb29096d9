/**
 * The circuits of the mesh at the control plane, on a clock that a test moves: replicas' rooms around one store in memory that may be
 * slow or away, a mirror of policies that a test puts and removes, and agents that say what the test says.
 */
import type { Intake } from '../../control-plane/coordination/intake.js';
import { CircuitRoom, type CircuitRoomOptions } from '../../control-plane/coordination/room.js';
import type { ClusterChange, MirrorEvents } from '../../control-plane/ports.js';
import type { HealthExchange, Instance } from '../../control-plane/store/store.js';
import type {
  Exchanged,
  RecordWrite,
  StoredAccount,
  StoredRecord,
} from '../../core/coordination/contract.js';
import { MeshError } from '../../core/errors.js';
import type { PolicyRevision } from '../../core/policy/model.js';
import { parsePolicy } from '../../core/policy/parse.js';
import { targetsOf } from '../../core/policy/rollout.js';
import { seededRandom } from '../../core/random.js';
import type { Cell, ProbeResult } from '../../proto/messages.js';
import { keptLogger } from './logs.js';
import { settle } from './rates.js';
import type { VirtualClock } from './virtual-clock.js';

/** A mirror with nothing but policies, instances and events. */
export class CircuitMirror {
  dataset = 'd1';
  readonly #policies = new Map<string, PolicyRevision>();
  readonly #instances = new Map<string, Instance[]>();
  readonly #listeners = new Map<string, Set<(...args: never[]) => void>>();
  #revision = 0;

  policy(name: string): PolicyRevision | undefined {
    return this.#policies.get(name);
  }
  policies(): readonly PolicyRevision[] {
    return [...this.#policies.values()];
  }
  policiesTo(to: string): readonly PolicyRevision[] {
    return this.policies().filter((entry) => targetsOf(entry).some((match) => match.to === to));
  }
  instances(service: string): readonly Instance[] {
    return this.#instances.get(service) ?? [];
  }
  on<E extends keyof MirrorEvents>(event: E, listener: MirrorEvents[E]): () => void {
    const set = this.#listeners.get(event) ?? new Set();
    this.#listeners.set(event, set.add(listener as (...args: never[]) => void));
    return () => void set.delete(listener as (...args: never[]) => void);
  }
  emit<E extends keyof MirrorEvents>(event: E, ...args: Parameters<MirrorEvents[E]>): void {
    for (const listener of this.#listeners.get(event) ?? []) listener(...(args as never[]));
  }

  put(document: Record<string, unknown>, more: Partial<PolicyRevision> = {}): PolicyRevision {
    const parsed = parsePolicy(document);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
    const entry = { policy: parsed.policy, revision: ++this.#revision, ...more };
    const { name } = parsed.policy;
    const before = this.#policies.get(name);
    this.#policies.set(name, entry);
    this.emit('policies', [{ revision: entry.revision, name, before, after: entry }]);
    return entry;
  }
  remove(name: string): void {
    const before = this.#policies.get(name);
    this.#policies.delete(name);
    this.emit('policies', [{ revision: ++this.#revision, name, before, after: undefined }]);
  }
  register(service: string, ...addresses: string[]): void {
    const instances = addresses.map((address): Instance => {
      const common = { service, boot: 1, protocol: 'grpc', zone: '', version: '', weight: 1 };
      return {
        ...common,
        id: `${service}/${address}`,
        instance: address,
        address,
        registeredAt: 0,
        replica: 'r1',
      };
    });
    this.#instances.set(service, instances);
    this.emit('instances', new Set([service]));
  }
  /** Everything anew, of other data. */
  replace(dataset: string): void {
    this.dataset = dataset;
    this.emit('reset');
  }
}

/** What stores do for circuits, in memory; each question takes `delayMs` there and back. */
export class CircuitStore {
  readonly records = new Map<string, StoredRecord>();
  readonly exchanges: HealthExchange[] = [];
  readonly hints: (readonly string[])[] = [];
  writes = 0;
  /** Nothing arrives. */
  away = false;
  delayMs = 0;
  /** How long hints are on their way. */
  hintMs = 0;
  /** Under way, and the most there ever were. */
  under = 0;
  mostUnder = 0;
  readonly #accounts = new Map<string, StoredAccount & { readonly endsAt: number }>();

  constructor(
    private readonly clock: VirtualClock,
    private readonly mirrors: readonly CircuitMirror[],
  ) {}

  async exchangeHealth(exchange: HealthExchange): Promise<Exchanged> {
    this.exchanges.push(exchange);
    this.mostUnder = Math.max(this.mostUnder, ++this.under);
    try {
      await this.#passes();
    } finally {
      this.under--;
    }
    const now = this.clock.now();
    const { replica, accounts, ttlMs } = exchange;
    for (const [circuit, body] of accounts)
      this.#accounts.set(`${circuit}\n${replica}`, { circuit, replica, body, endsAt: now + ttlMs });
    const live = [...this.#accounts.values()].filter(({ endsAt }) => endsAt > now);
    return { accounts: live, records: [...this.records.values()] };
  }

  async putRecord({ circuit, expected, seq, body }: RecordWrite): Promise<StoredRecord | undefined> {
    await this.#passes();
    this.writes++;
    const present = this.records.get(circuit) ?? { circuit, seq: 0, body: '' };
    if (present.seq === seq && present.body === body) return undefined;
    if (present.seq !== expected) return present;
    this.records.set(circuit, { circuit, seq, body });
    return undefined;
  }

  async hintCircuits(circuits: readonly string[]): Promise<void> {
    await this.#passes();
    this.hints.push(circuits);
    const arrive = () => {
      for (const mirror of this.mirrors) mirror.emit('circuits', circuits);
    };
    if (this.hintMs === 0) arrive();
    else this.clock.after(this.hintMs, arrive);
  }

  async #passes(): Promise<void> {
    if (this.away) throw new MeshError('store_unavailable', 'the store is away');
    if (this.delayMs > 0) await new Promise<void>((resolve) => void this.clock.after(this.delayMs, resolve));
  }
}

export interface TestRoom {
  readonly room: CircuitRoom;
  readonly logger: ReturnType<typeof keptLogger>;
  readonly changes: ClusterChange[];
  readonly ignored: string[];
  readonly frozen: boolean[];
  /** A connection of `checkout/<instance>`. */
  agent(instance: string, hello?: { zone?: string; concurrency?: number }): TestAgent;
}

export class TestAgent {
  constructor(
    readonly name: string,
    private readonly intake: Intake,
    private readonly clock: VirtualClock,
  ) {}

  say(cells: readonly Partial<Cell>[], probes: readonly ProbeResult[] = [], elapsedMs = 1_000): void {
    this.intake.take({ elapsedMs, cells: cells.map(cell), probes }, this.clock.now());
  }
}

export function cell(given: Partial<Cell>): Cell {
  const counts = { ok: 0, failed: 0, slow: 0, rejected: 0, blocked: 0 };
  return { callee: 'inventory', method: '', endpoint: '', ...counts, latency: new Uint8Array(0), ...given };
}

export function testRoom(
  { clock, store, mirror }: { clock: VirtualClock; store: CircuitStore; mirror: CircuitMirror },
  replica = 'r1',
  options: Partial<CircuitRoomOptions> = {},
): TestRoom {
  const logger = keptLogger();
  const changes: ClusterChange[] = [];
  const ignored: string[] = [];
  const frozen: boolean[] = [];
  const room = new CircuitRoom({
    ...{ mirror, store, replica, clock, logger, random: seededRandom(7) },
    metrics: {
      ignored: (what) => void ignored.push(what),
      exchange() {},
      transition() {},
      frozen: (is) => void frozen.push(is),
    },
    ...options,
  });
  room.onTransition((change) => void changes.push(change));
  return {
    ...{ room, logger, changes, ignored, frozen },
    agent(instance, { zone = '', concurrency = 100 } = {}) {
      const agent = `checkout/${instance}`;
      const intake = room.intake({ agent, service: 'checkout', instance, zone, concurrency });
      return new TestAgent(agent, intake, clock);
    },
  };
}

/** Moves on in small steps, so that promises run in between. */
export async function moveOn(clock: VirtualClock, ms: number, stepMs = 10): Promise<void> {
  for (let passed = 0; passed < ms; passed += stepMs) {
    clock.advance(Math.min(stepMs, ms - passed));
    await settle();
  }
}
