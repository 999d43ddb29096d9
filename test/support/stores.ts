/**
 * The stores that the contract suite runs against, each behind one face: open it (twice, where several processes may), let
 * time pass, and clean up. And a recorder of what a watch says.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster, Redis } from 'ioredis';
import { openStore } from '../../control-plane/store/open.js';
import type {
  Instance,
  LogEntry,
  Operation,
  RegistryEvent,
  Store,
  WatchListener,
  WriteRequest,
} from '../../control-plane/store/store.js';
import { systemClock } from '../../core/clock.js';
import { type Random, systemRandom } from '../../core/random.js';
import { contractRedis, dropMesh, plainClient } from './redis.js';
import { contractCluster, dropFromCluster } from './redis-cluster.js';
import { until } from './until.js';
import { VirtualClock } from './virtual-clock.js';

/** One place with data, until `close`. */
export interface Place {
  /** Opens the store; where `shared`, every call gives another instance on the same data, in memory always new data. */
  open(mesh?: string): Promise<Store>;
  /** Lets leases of a few milliseconds run out a little further. */
  tick(): void;
  /** Makes it seem that nobody has called for so long. */
  away(ms: number): Promise<void>;
  close(): Promise<void>;
}

export interface Backend {
  readonly name: string;
  /** Several instances may have the same data open. */
  readonly shared: boolean;
  /** Survives closing. */
  readonly durable: boolean;
  place(): Promise<Place>;
}

function levelBackend(name: 'memory' | 'embedded'): Backend {
  return {
    name,
    shared: false,
    durable: name === 'embedded',
    async place() {
      const clock = new VirtualClock();
      const directory = name === 'embedded' ? mkdtempSync(join(tmpdir(), 'switchgear-store-')) : undefined;
      const url = directory === undefined ? 'memory' : `embedded:${directory}`;
      const opened: Store[] = [];
      return {
        async open(mesh = 'default') {
          const store = await openStore(url, { mesh, replica: 'r', clock });
          opened.push(store);
          return store;
        },
        tick: () => clock.advance(5),
        away: async (ms) => clock.advance(ms),
        async close() {
          await Promise.all(opened.map((store) => store.close()));
          if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
        },
      };
    },
  };
}

/** Where meshes of many names lie beside each other. `client`: that finds any key. */
interface Shared {
  readonly url: string;
  client(): Redis | Cluster;
  drop(mesh: string): Promise<void>;
}

function sharedBackend(name: 'redis' | 'redis-cluster', start: () => Promise<Shared>): Backend {
  return {
    name,
    shared: true,
    durable: true,
    async place() {
      const { url, client: connected, drop } = await start();
      const own = `t${systemRandom.hex(6)}`;
      const opened: Store[] = [];
      const meshes = new Set<string>();
      return {
        async open(mesh = 'default') {
          const named = `${own}-${mesh}`;
          meshes.add(named);
          const store = await openStore(url, {
            mesh: named,
            replica: `r${opened.length}`,
            clock: systemClock,
          });
          opened.push(store);
          return store;
        },
        tick() {},
        async away(ms) {
          const client = connected();
          for (const mesh of meshes) {
            await until(() => client.hincrby(`{sg:${mesh}}:meta`, 'expire', -ms), { what: 'Redis' });
            for (const id of await client.zrange(`{sg:${mesh}}:leases`, 0, '-1'))
              await client.zincrby(`{sg:${mesh}}:leases`, -ms, id);
          }
          client.disconnect();
        },
        async close() {
          await Promise.all(opened.map((store) => store.close()));
          for (const mesh of meshes) await drop(mesh);
        },
      };
    },
  };
}

const redisBackend = sharedBackend('redis', async () => {
  const url = await contractRedis();
  return { url, client: () => plainClient(url), drop: (mesh) => dropMesh(url, mesh) };
});

const clusterBackend = sharedBackend('redis-cluster', async () => {
  const cluster = await contractCluster();
  return {
    url: cluster.url,
    client: () => cluster.client(),
    drop: (mesh) => dropFromCluster(cluster, mesh),
  };
});

export const backends: readonly Backend[] = [
  levelBackend('memory'),
  levelBackend('embedded'),
  redisBackend,
  clusterBackend,
];

/** Runs the same tests against each store, each test in a place of its own. */
export function eachStore(
  title: string,
  tests: (given: { backend: Backend; place: () => Place; store: () => Store }) => void,
): void {
  for (const backend of backends)
    describe(`${title}: ${backend.name}`, () => {
      let place: Place;
      let store: Store;
      beforeEach(async () => {
        place = await backend.place();
        store = await place.open();
      });
      afterEach(() => place.close());
      tests({ backend, place: () => place, store: () => store });
    });
}

/** A document that a test can tell from others. */
export function document(value: number | string): string {
  return JSON.stringify({ value });
}

export function put(
  name: string,
  value: number | string,
  expected: Operation['expected'] = 'any',
): Operation {
  return { kind: 'put', name, document: document(value), expected };
}

export function del(name: string, expected: Operation['expected'] = 'any'): Operation {
  return { kind: 'delete', name, expected };
}

/** A write by somebody who has seen everything; what is given wins. */
export async function request(
  store: Store,
  operations: readonly Operation[],
  given: Partial<WriteRequest> & { random?: Random } = {},
): Promise<WriteRequest> {
  const { random = systemRandom, ...fields } = given;
  const { dataset, head } = fields.seen
    ? { dataset: fields.seen.dataset, head: fields.seen.revision }
    : await store.load();
  return {
    requestId: random.hex(8),
    author: 'ada',
    action: 'apply',
    at: 1_700_000_000_000,
    seen: { dataset, revision: head },
    operations,
    ...fields,
  };
}

export async function write(store: Store, ...operations: Operation[]) {
  return store.write(await request(store, operations));
}

export function instance(name: string, changes: Partial<Instance> = {}): Instance {
  const [service = '', id = ''] = name.split('/');
  return {
    id: name,
    service,
    instance: id,
    boot: 1,
    address: '127.0.0.1:50051',
    protocol: 'grpc',
    zone: '',
    version: '1.0.0',
    weight: 1,
    registeredAt: 1_700_000_000_000,
    replica: 'r',
    ...changes,
  };
}

/** Everything a watch said, in order. */
export class Recorder implements WatchListener {
  readonly entries: LogEntry[] = [];
  readonly events: RegistryEvent[] = [];
  readonly resets: string[] = [];
  readonly healths: { up: boolean; reason: string }[] = [];

  log(entries: readonly LogEntry[]): void {
    this.entries.push(...entries);
  }
  registry(events: readonly RegistryEvent[]): void {
    this.events.push(...events);
  }
  reset(reason: string): void {
    this.resets.push(reason);
  }
  health(up: boolean, reason: string): void {
    this.healths.push({ up, reason });
  }

  get revisions(): number[] {
    return this.entries.map(({ revision }) => revision);
  }
  get up(): boolean | undefined {
    return this.healths.at(-1)?.up;
  }
}

/** Watches from where things are now. */
export async function record(store: Store): Promise<Recorder> {
  const { dataset, head } = await store.load();
  const { cursor } = await store.loadRegistry();
  const recorder = new Recorder();
  store.watch({ dataset, revision: head, cursor }, recorder);
  return recorder;
}

/** The MeshError that a promise rejects with. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('it did not reject');
}

/** A put of a valid policy for the callee of its own name; `timeoutMs` tells one version from another. */
export function policyPut(name: string, timeoutMs: number) {
  const document = JSON.stringify({ match: { to: name }, policy: name, spec: { timeout: `${timeoutMs}ms` } });
  return { kind: 'put', name, document, expected: 'any' } as const satisfies Operation;
}
