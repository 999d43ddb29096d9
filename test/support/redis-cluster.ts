/**
 * A Redis Cluster of three masters on the loopback, without replicas: each has a third of the slots, and those of one that is down are
 * away until it is back, while the others go on.
 */
import { rmSync } from 'node:fs';
import { Cluster, type Redis } from 'ioredis';
import { plainClient, RedisServer } from './redis.js';
import { until } from './until.js';

const SLOTS = 16_384;
const MASTERS = 3;

export class RedisCluster {
  private constructor(readonly nodes: readonly RedisServer[]) {}

  static async start(): Promise<RedisCluster> {
    const args = [
      ...['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', '--cluster-node-timeout', '1000'],
      ...['--cluster-require-full-coverage', 'no'],
    ];
    const nodes = await Promise.all(
      Array.from({ length: MASTERS }, () => RedisServer.start({ fsync: 'always', args })),
    );
    const cluster = new RedisCluster(nodes);
    await cluster.#join();
    return cluster;
  }

  get url(): string {
    return `redis-cluster://${this.nodes.map(({ port }) => `127.0.0.1:${port}`).join(',')}`;
  }

  /** That finds each key's node; the caller disconnects it. */
  client(): Cluster {
    return new Cluster(
      this.nodes.map(({ port }) => ({ host: '127.0.0.1', port })),
      { redisOptions: { maxRetriesPerRequest: 0, protocol: 2 } },
    );
  }

  async slotOf(key: string): Promise<number> {
    return Number(await this.#ask(0, (client) => client.call('cluster', 'keyslot', key)));
  }

  /** The node that has this slot, by its own word. */
  async masterOf(slot: number): Promise<number> {
    for (let at = 0; at < MASTERS; at++) {
      const own = await this.#ask(at, (client) => client.call('cluster', 'nodes'));
      const [line = ''] = String(own)
        .split('\n')
        .filter((each) => each.includes('myself'));
      const ranges = line
        .split(' ')
        .slice(8)
        .filter((each) => !each.startsWith('['));
      const holds = ranges.some((range) => {
        const [from = Number.NaN, to = from] = range.split('-').map(Number);
        return slot >= from && slot <= to;
      });
      if (holds) return at;
    }
    throw new Error(`no node has slot ${slot}`);
  }

  /** Keys of these patterns on each node. */
  async keysPerNode(pattern: string): Promise<readonly number[]> {
    const counts = this.nodes.map((_, at) => this.#ask(at, (client) => client.keys(pattern)));
    return (await Promise.all(counts)).map((keys) => keys.length);
  }

  /** Moves a slot with all its keys, in the steps of the manual: whoever asks meanwhile is redirected. */
  async move(slot: number, to: number): Promise<void> {
    const from = await this.masterOf(slot);
    const [source, target] = await Promise.all([from, to].map((at) => this.#idOf(at)));
    await this.#ask(to, (client) => client.call('cluster', 'setslot', slot, 'importing', source as string));
    await this.#ask(from, (client) => client.call('cluster', 'setslot', slot, 'migrating', target as string));
    const { port } = this.nodes[to] as RedisServer;
    await this.#ask(from, async (client) => {
      for (;;) {
        const keys = (await client.call('cluster', 'getkeysinslot', slot, 1000)) as string[];
        if (keys.length === 0) break;
        await client.call('migrate', '127.0.0.1', port, '', 0, 5_000, 'keys', ...keys);
      }
    });
    for (const at of [to, from, ...this.nodes.keys()])
      await this.#ask(at, (client) => client.call('cluster', 'setslot', slot, 'node', target as string));
  }

  /** Starts again what is down. */
  async revive(): Promise<void> {
    for (const node of this.nodes) if (!node.running) await node.restart();
    await this.ready();
  }

  /** All nodes know all slots. */
  async ready(): Promise<void> {
    for (const at of this.nodes.keys())
      await until(
        async () => {
          const info = String(await this.#ask(at, (client) => client.cluster('INFO')));
          return /cluster_state:ok/.test(info) && /cluster_slots_ok:16384/.test(info);
        },
        { what: `node ${at} of the cluster`, timeoutMs: 20_000 },
      );
  }

  /** Lets this process end while the servers run. */
  detach(): void {
    for (const node of this.nodes) node.detach();
  }

  /** At the end of this process, which doesn't wait. */
  end(): void {
    for (const node of this.nodes) {
      void node.kill();
      rmSync(node.directory, { recursive: true, force: true });
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.close()));
  }

  async #join(): Promise<void> {
    const share = Math.ceil(SLOTS / MASTERS);
    for (const at of this.nodes.keys()) {
      const last = Math.min(SLOTS, (at + 1) * share) - 1;
      await this.#ask(at, (client) => client.call('cluster', 'addslotsrange', at * share, last));
      await this.#ask(at, (client) => client.call('cluster', 'set-config-epoch', at + 1));
    }
    for (const { port } of this.nodes.slice(1))
      await this.#ask(0, (client) => client.call('cluster', 'meet', '127.0.0.1', port));
    await this.ready();
  }

  async #idOf(at: number): Promise<string> {
    return String(await this.#ask(at, (client) => client.call('cluster', 'myid')));
  }

  async #ask<T>(at: number, ask: (client: Redis) => Promise<T>): Promise<T> {
    const client = plainClient((this.nodes[at] as RedisServer).url);
    try {
      await until(() => client.status === 'ready', { what: `node ${at}` });
      return await ask(client);
    } finally {
      client.disconnect();
    }
  }
}

let shared: Promise<RedisCluster> | undefined;

/** One that suites share; each uses a mesh name of its own. */
export function contractCluster(): Promise<RedisCluster> {
  shared ??= RedisCluster.start().then((cluster) => {
    cluster.detach();
    process.once('exit', () => cluster.end());
    return cluster;
  });
  return shared;
}

/** Removes everything of a mesh. */
export async function dropFromCluster(cluster: RedisCluster, mesh: string): Promise<void> {
  for (const node of cluster.nodes) {
    const client = node.client();
    try {
      for await (const keys of client.scanStream({ match: `{sg:${mesh}[:}]*`, count: 1000 }))
        for (const key of keys) await client.unlink(key);
    } finally {
      client.disconnect();
    }
  }
}
