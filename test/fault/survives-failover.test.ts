/**
 * Invariant: a failover that loses acknowledged writes is noticed. Three Sentinels, a master and a replica on loopback, two replicas
 * of the control plane and their agents: the data go on under another name (dataset), agents converge by hash and not by number, and
 * the lost revision is shown as a conflict until somebody decides.
 */
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { keptLogger } from '../support/logs.js';
import { plainClient, RedisServer } from '../support/redis.js';
import { until } from '../support/until.js';
import { anyPort, putPolicy, type Up, up } from '../support/up.js';

const SENTINELS = 3;
const QUORUM = 2;

describe('a Sentinel failover that loses acknowledged writes', function () {
  this.timeout(120_000);
  const opened: (() => Promise<unknown> | unknown)[] = [];

  after(async () => {
    for (const close of opened.splice(0).reverse()) await close();
  });

  async function server(options: Parameters<typeof RedisServer.start>[0]): Promise<RedisServer> {
    const redis = await RedisServer.start(options);
    opened.push(() => redis.close());
    return redis;
  }

  async function following(master: RedisServer): Promise<RedisServer> {
    const args = ['--replicaof', '127.0.0.1', String(master.port), '--repl-diskless-sync-delay', '0'];
    const replica = await server({ args });
    const client = plainClient(master.url);
    await until(() => client.set('probe', 1).then(() => client.wait(1, 100)), {
      what: 'the replica to follow',
    });
    client.disconnect();
    return replica;
  }

  async function sentinel(master: RedisServer): Promise<RedisServer> {
    return server({
      sentinel: [
        `sentinel monitor shop 127.0.0.1 ${master.port} ${QUORUM}`,
        'sentinel down-after-milliseconds shop 1000',
        'sentinel failover-timeout shop 5000',
      ],
    });
  }

  /** Each knows the replica, and the other Sentinels. */
  async function agreed(sentinels: readonly RedisServer[]): Promise<void> {
    for (const one of sentinels) {
      const client = plainClient(one.url);
      const count = async (what: string) =>
        ((await client.call('sentinel', what, 'shop')) as unknown[]).length;
      await until(
        async () => (await count('replicas')) === 1 && (await count('sentinels')) === SENTINELS - 1,
        {
          what: 'the Sentinels to know each other',
          timeoutMs: 40_000,
        },
      );
      client.disconnect();
    }
  }

  const policy = (minimumCalls: number) => ({
    match: { to: 'inventory' },
    spec: { circuit: { minimumCalls } },
  });

  it('agents converge to what is there, by hash, and the lost revision is a conflict', async () => {
    const master = await server({ args: ['--repl-diskless-sync-delay', '0'] });
    const replica = await following(master);
    const sentinels: RedisServer[] = [];
    for (let i = 0; i < SENTINELS; i++) sentinels.push(await sentinel(master));
    await agreed(sentinels);
    const store = `redis-sentinel://${sentinels.map(({ port }) => `127.0.0.1:${port}`).join(',')}/shop`;
    const planes: Up[] = [];
    for (const name of ['a', 'b']) {
      const plane = await up([...anyPort, '--store', store, '--replica', name]);
      opened.push(() => plane.kill());
      planes.push(plane);
    }
    const [first, second] = planes as [Up, Up];
    const meshes: Mesh[] = [];
    for (const [i, plane] of planes.entries()) {
      const mesh = await connect({
        service: 'checkout',
        instance: `agent-${i}`,
        controlPlane: plane.grpc,
        callees: ['inventory'],
        snapshot: false,
        logger: keptLogger(),
      });
      opened.push(() => mesh.close());
      meshes.push(mesh);
    }
    const kept = await putPolicy(first.rest, 'inventory-default', policy(11));
    expect(kept.body.durability).to.equal('replicated');
    await until(() => meshes.every((mesh) => mesh.circuit('inventory').revision === 1), {
      what: 'revision 1',
    });
    const { dataset } = (meshes[0] as Mesh).status();

    // Cut off as well: what waits for it in a socket would still reach it when it thaws.
    replica.freeze();
    const client = plainClient(master.url);
    await client.call('client', 'kill', 'type', 'replica');
    client.disconnect();
    const lost = await putPolicy(first.rest, 'inventory-default', policy(12));
    expect(lost.status).to.equal(200);
    expect(lost.body.durability, 'what the answer promised').not.to.equal('replicated');
    await until(() => meshes.every((mesh) => mesh.circuit('inventory').revision === 2), {
      what: 'revision 2',
    });
    await master.kill();
    replica.thaw();

    // Somebody writes after the failover, and the numbers meet again.
    const other = await until(
      async () => {
        const answer = await putPolicy(second.rest, 'other', {
          match: { to: 'inventory' },
          spec: { bulkhead: { maxConcurrent: 5 } },
        });
        return answer.status === 201 && answer;
      },
      { what: 'a write after the failover', timeoutMs: 60_000 },
    );
    expect(other.body.revision).to.be.greaterThan(0);
    await until(() => meshes.every((mesh) => mesh.status().dataset !== dataset && !mesh.status().stale), {
      what: 'another dataset at the agents',
      timeoutMs: 30_000,
    });
    await until(() => meshes.every((mesh) => mesh.circuit('inventory').revision === 1), {
      what: 'the agents back at what is there',
      timeoutMs: 30_000,
    });
    const names = new Set(meshes.map((mesh) => mesh.status().dataset));
    expect(names.size, 'one dataset for all').to.equal(1);
    const shown = await until(
      async () => {
        for (const { rest } of planes) {
          const answer = (await (await fetch(`${rest}/v1/policies`)).json()) as {
            faults: { path: string; message: string }[];
          };
          const fault = answer.faults.find(({ path }) => path === 'inventory-default');
          if (fault) return fault.message;
        }
        return undefined;
      },
      { what: 'the conflict, for an operator' },
    );
    expect(shown).to.match(/revision 2/);
  });
});
