/**
 * Circuits of the mesh over two replicas and one Redis: what the agents of either report opens all; the replica that evaluates may
 * die while a circuit is open; without the store nothing is decided, and agents go by their own circuits.
 */
import { expect } from 'chai';
import { ranked } from '../../core/coordination/rank.js';
import { ClusterFleet, clusterPolicy } from '../support/cluster-mesh.js';
import { RedisServer } from '../support/redis.js';
import { until } from '../support/until.js';
import { anyPort, putPolicy, type Up, up } from '../support/up.js';

const ID = 'inventory|inventory-default';

describe('circuits of the mesh over two replicas', function () {
  this.timeout(120_000);
  let redis: RedisServer;
  let replicas: Map<string, Up>;
  let fleet: ClusterFleet;

  beforeEach(async () => {
    redis = await RedisServer.start();
    const names = ['a', 'b'];
    const started = await Promise.all(
      names.map((replica) => up([...anyPort, '--store', redis.url, '--replica', replica])),
    );
    replicas = new Map(names.map((name, i) => [name, started[i] as Up]));
    fleet = new ClusterFleet();
  });

  afterEach(async () => {
    await fleet.close();
    await Promise.all([...replicas.values()].map((replica) => replica.kill()));
    await redis.close();
  });

  const replica = (name: string) => replicas.get(name) as Up;
  const policy = async (changes: Parameters<typeof clusterPolicy>[0]) => {
    const { status } = await putPolicy(
      replica('a').rest,
      'inventory-default',
      clusterPolicy({ minimumCalls: 20, ...changes }),
    );
    expect(status).to.be.lessThan(300);
  };
  /** Two agents on each. */
  const join = async () => {
    for (const [i, name] of ['a', 'b', 'a', 'b'].entries()) {
      const [first, second] = name === 'a' ? ['a', 'b'] : ['b', 'a'];
      const caller = await fleet.join(`i${i}`, `${replica(first).grpc},${replica(second).grpc}`);
      caller.load(20);
    }
    // So many that no agent's own circuit opens by itself before the mesh does.
    await until(() => fleet.callee.reached > 240, { what: 'calls that succeed' });
  };
  const seenBy = async (name: string): Promise<string> => {
    const response = await fetch(`${replica(name).rest}/v1/circuits/${encodeURIComponent(ID)}`);
    const { cluster } = (await response.json()) as { cluster: { state: string; epoch: number } | null };
    return cluster ? `${cluster.state} ${cluster.epoch}` : 'none';
  };
  const figure = async (name: string, metric: string): Promise<number> => {
    const text = await (await fetch(`${replica(name).rest}/metrics`)).text();
    return Number(new RegExp(`^${metric}{[^}]*} (\\S+)$`, 'm').exec(text)?.[1]);
  };

  it('are seen alike by both, and close again', async () => {
    await policy({ openFor: '3s' });
    await join();
    fleet.callee.failing = true;
    await fleet.all('open');
    const [a, b] = await Promise.all([seenBy('a'), seenBy('b')]);
    expect(a).to.equal(b);
    expect(a).to.match(/^open /);
    const before = fleet.callee.reached;
    fleet.callee.failing = false;
    await until(async () => (await seenBy('a')).startsWith('ramping') || fleet.callee.reached > before + 3, {
      what: 'probes that succeed',
      timeoutMs: 20_000,
    });
    await fleet.all('closed', 'all closed again', 30_000);
  });

  it('close although the replica that evaluates was killed while they were open', async () => {
    await policy({ openFor: '4s' });
    await join();
    fleet.callee.failing = true;
    await fleet.all('open');
    const [first = 'a', second = 'b'] = ranked(ID, ['a', 'b']);
    await replica(first).kill();
    expect(await seenBy(second)).to.match(/^open /);
    const before = fleet.callee.reached;
    await until(async () => /^(half-open|open) [2-9]/.test(await seenBy(second)), {
      what: 'a period of probes that the other one decides',
      timeoutMs: 30_000,
    });
    fleet.callee.failing = false;
    await until(async () => (await seenBy(second)).startsWith('closed'), {
      what: 'the circuit closed',
      timeoutMs: 60_000,
    });
    await fleet.all('closed', 'all closed again', 30_000);
    expect(fleet.callee.reached).to.be.greaterThan(before);
  });

  it('are frozen without the store, and directives lapse', async () => {
    await policy({ openFor: '60s' });
    await join();
    fleet.callee.failing = true;
    await fleet.all('open');
    const epoch = await seenBy('a');
    await redis.kill();
    fleet.callee.failing = false;
    for (const name of ['a', 'b'])
      await until(async () => (await figure(name, 'switchgear_cluster_circuits_frozen')) === 1, {
        what: `${name} frozen`,
        timeoutMs: 6_000,
      });
    await fleet.all('closed', 'directives lapsed, and the circuits of the agents rule', 20_000);
    const { reached } = fleet.callee;
    await until(() => fleet.callee.reached > reached + 20, { what: 'calls that pass' });
    expect(epoch).to.equal('open 1');
    await redis.restart();
    for (const name of ['a', 'b'])
      await until(async () => (await figure(name, 'switchgear_cluster_circuits_frozen')) === 0, {
        what: `${name} going on`,
        timeoutMs: 20_000,
      });
  });
});
