/** Instances on the stream: registered, told to their callers, renewed, given back; and what the replicas know of each other. */
import { expect } from 'chai';
import type { GrpcOptions } from '../../control-plane/grpc/server.js';
import { leaseTtlMs } from '../../control-plane/registry/leases.js';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import { MeshError } from '../../core/errors.js';
import { AgentSession } from '../../core/sync/session.js';
import type { Lease, LeaseResult } from '../../proto/messages.js';
import { documentOf, policyRevision } from '../support/policies.js';
import { type Plane, startPlane } from '../support/stream/plane.js';
import { RawAgent } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

let requests = 0;
const lease = (more: Partial<Lease> = {}): Lease => ({
  requestId: `r${++requests}`,
  release: false,
  address: '10.0.0.7:50051',
  protocol: 'grpc',
  version: '',
  weight: 1,
  ...more,
});

/** A store whose every method can be made to fail, as if it were away. */
function flaky(store: Store): { store: Store; away: boolean; calls: string[] } {
  const state = { away: false, calls: [] as string[], store };
  state.store = new Proxy(store, {
    get(target, key) {
      const value: unknown = Reflect.get(target, key);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]) => {
        if (key === 'lease') state.calls.push((given[0] as { id: string }[]).map(({ id }) => id).join());
        const refuse = state.away && key !== 'watch' && key !== 'close';
        if (refuse) return Promise.reject(new MeshError('store_unavailable', 'the store is away'));
        return Reflect.apply(value, target, given);
      };
    },
  });
  return state;
}

describe('stream: the registry', () => {
  const planes: Plane[] = [];
  const agents: RawAgent[] = [];
  const stores: Store[] = [];
  const open = async () => {
    const store = await openStore('memory', { mesh: 'test', replica: 'r1' });
    stores.push(store);
    return store;
  };
  const start = async (options: Partial<GrpcOptions> = {}) => {
    const plane = await startPlane(options);
    planes.push(plane);
    return plane;
  };
  const connect = async (plane: Plane, service: string, instance: string, callees: string[] = []) => {
    const agent = await RawAgent.connect(plane.address, { service, instance, callees });
    agents.push(agent);
    return agent;
  };
  const say = async (agent: RawAgent, asked: Lease): Promise<LeaseResult> => {
    agent.say({ message: 'lease', lease: asked });
    return until(() => agent.all('lease').find(({ requestId }) => requestId === asked.requestId), {
      what: 'a lease',
    });
  };
  const seen = (agent: RawAgent, service: string) =>
    agent
      .all('endpoints')
      .filter((one) => one.service === service)
      .at(-1)
      ?.instances.map(({ address }) => address);

  afterEach(async () => {
    for (const agent of agents.splice(0)) agent.close();
    for (const plane of planes)
      await until(() => plane.face.roster.connected === 0, { what: 'the streams to go' });
    for (const plane of planes.splice(0)) await plane.close();
    for (const store of stores.splice(0)) await store.close();
  });

  it('a lease is answered once it is stored, and callers are told of the instance', async () => {
    const plane = await start();
    const caller = await connect(plane, 'checkout', 'c1', ['inventory']);
    await until(() => seen(caller, 'inventory')?.length === 0, { what: 'the empty list' });
    const callee = await connect(plane, 'inventory', 'v1');
    expect(await say(callee, lease({ version: '2.0' }))).to.include({
      ttlMs: leaseTtlMs,
      error: '',
      code: '',
    });
    await until(() => seen(caller, 'inventory')?.length === 1, { what: 'the instance' });
    expect(caller.last('endpoints')).to.deep.equal({
      service: 'inventory',
      instances: [
        {
          instance: 'v1',
          address: '10.0.0.7:50051',
          zone: 'z1',
          version: '2.0',
          protocol: 'grpc',
          weight: 1,
        },
      ],
    });
  });

  it('takes the host that the stream comes from where only a port is said', async () => {
    const plane = await start();
    const callee = await connect(plane, 'inventory', 'v1');
    await say(callee, lease({ address: ':50052' }));
    await until(() => plane.mirror.instances('inventory').length === 1, { what: 'the instance' });
    expect(plane.mirror.instances('inventory')[0]?.address).to.equal('127.0.0.1:50052');
  });

  for (const address of ['', 'nowhere', 'host:0', 'host:70000', 'two words:80', 'a/b:80']) {
    it(`refuses the address "${address}" without ending the stream`, async () => {
      const plane = await start();
      const callee = await connect(plane, 'inventory', 'v1');
      const result = await say(callee, lease({ address }));
      expect(result).to.include({ ttlMs: 0, code: 'invalid_request' });
      expect(result.error).to.contain(`lease.address "${address}": write host:port`);
      expect(await say(callee, lease())).to.include({ ttlMs: leaseTtlMs });
    });
  }

  it('giving it back takes the instance out at once', async () => {
    const plane = await start();
    const caller = await connect(plane, 'checkout', 'c1', ['inventory']);
    const callee = await connect(plane, 'inventory', 'v1');
    await say(callee, lease());
    await until(() => seen(caller, 'inventory')?.length === 1, { what: 'the instance' });
    expect(await say(callee, lease({ release: true }))).to.include({ ttlMs: 0, error: '' });
    await until(() => seen(caller, 'inventory')?.length === 0, { what: 'its end' });
  });

  it('the end of a stream takes nobody out: the lease lives on', async () => {
    const plane = await start();
    const callee = await connect(plane, 'inventory', 'v1');
    await say(callee, lease());
    callee.close();
    await until(() => plane.face.roster.connected === 0, { what: 'the stream to go' });
    expect(plane.mirror.instances('inventory')).to.have.length(1);
  });

  it('renews all instances of this replica in one call, and none whose stream has gone', async () => {
    const clock = new VirtualClock();
    const state = flaky(await open());
    const plane = await start({ clock, store: state.store });
    const [one, two, three] = [
      await connect(plane, 'inventory', 'v1'),
      await connect(plane, 'inventory', 'v2'),
      await connect(plane, 'inventory', 'v3'),
    ];
    for (const agent of [one, two, three]) await say(agent, lease());
    three.close();
    await until(() => plane.face.roster.connected === 2, { what: 'the third to go' });
    state.calls.length = 0;
    clock.advance(20_000);
    await until(() => state.calls.length > 0, { what: 'the renewal' });
    expect(state.calls).to.deep.equal(['inventory/v1,inventory/v2']);
  });

  it('a store that is away is said so, and the lease stored when it is back', async () => {
    const clock = new VirtualClock();
    const state = flaky(await open());
    const plane = await start({ clock, store: state.store });
    const callee = await connect(plane, 'inventory', 'v1');
    state.away = true;
    const asked = lease();
    expect(await say(callee, asked)).to.include({ ttlMs: 0, code: 'store_unavailable' });
    state.away = false;
    clock.advance(1000);
    await until(() => callee.all('lease').length === 2, { what: 'the second answer' });
    expect(callee.last('lease')).to.include({ requestId: asked.requestId, ttlMs: leaseTtlMs, error: '' });
  });

  it('a replica that has not seen the store yet takes nothing from an agent, and tells all once it has', async () => {
    const state = flaky(await open());
    state.away = true;
    const plane = await start({ store: state.store });
    const session = new AgentSession({ capabilities: ['timeout'] });
    const upserts = [documentOf(policyRevision({ name: 'a', to: 'inventory' }, 7))];
    session.apply({ dataset: 'd', revision: 7, complete: true, upserts, removals: [] });
    const agent = await RawAgent.connect(plane.address, {}, { session });
    agents.push(agent);
    agent.ack(99);
    await until(() => plane.tally.ignoredThings.includes('ack'), { what: 'some turns' });
    expect(agent.heard.map(({ message }) => message)).to.deep.equal(['welcome']);
    expect(agent.held).to.deep.equal(['a@7']);
    state.away = false;
    await until(() => agent.deltas.length === 1 && agent.all('endpoints').length === 1, {
      what: 'the first delta',
    });
    expect(agent.session.dataset).to.equal(plane.mirror.dataset);
    expect(agent.held).to.deep.equal([]);
  });

  it('an older process under the same name is told that it is not registered', async () => {
    const store = await open();
    const plane = await start({ store });
    const newer = {
      id: 'inventory/v1',
      service: 'inventory',
      instance: 'v1',
      boot: 5,
      address: 'h:1',
      protocol: 'grpc',
      zone: '',
      version: '',
      weight: 1,
      registeredAt: 0,
      replica: 'r9',
    };
    await store.lease([newer], 60_000);
    const older = await connect(plane, 'inventory', 'v1');
    const result = await say(older, lease());
    expect(result).to.include({ ttlMs: 0, code: 'revision_conflict' });
    expect(result.error).to.contain('give each process an instance name of its own');
  });

  it('many changes of instances are told at once first, then no more often than every 100 ms', async () => {
    const clock = new VirtualClock();
    const plane = await start({ clock });
    const caller = await connect(plane, 'checkout', 'c1', ['inventory']);
    const callees = await Promise.all(
      Array.from({ length: 10 }, (_, i) => connect(plane, 'inventory', `v${i}`)),
    );
    await until(() => seen(caller, 'inventory')?.length === 0, { what: 'the empty list' });
    for (const callee of callees) await say(callee, lease());
    await until(() => caller.all('endpoints').length === 2, { what: 'the first change' });
    expect(caller.all('endpoints')).to.have.length(2);
    clock.advance(100);
    await until(() => seen(caller, 'inventory')?.length === 10, { what: 'all of them' });
    expect(caller.all('endpoints')).to.have.length(3);
  });

  describe('two replicas', () => {
    const pair = async () => {
      const store = await open();
      const one = await start({ replica: 'r1', store });
      const two = await start({ replica: 'r2', store });
      return { one, two };
    };

    it('a write and an instance of either reach the agents of both', async () => {
      const { one, two } = await pair();
      const here = await connect(one, 'checkout', 'c1', ['inventory']);
      const there = await connect(two, 'checkout', 'c2', ['inventory']);
      await one.put({ name: 'a', to: 'inventory' });
      await two.put({ name: 'b', to: 'inventory' });
      await until(() => here.held.length === 2 && there.held.length === 2, { what: 'both policies on both' });
      expect(here.session.digest()).to.equal(there.session.digest());
      await say(await connect(two, 'inventory', 'v1'), lease());
      await until(() => seen(here, 'inventory')?.length === 1, { what: 'the instance at the other replica' });
    });

    it('each tells of the agents, circuits and calls of the other', async () => {
      const { one, two } = await pair();
      const agent = await connect(one, 'checkout', 'c1', ['inventory']);
      await one.put({ name: 'p', to: 'inventory' });
      await until(() => agent.held.length === 1, { what: 'the policy' });
      const cell = {
        callee: 'inventory',
        method: '',
        endpoint: '',
        ok: 3,
        failed: 1,
        slow: 2,
        rejected: 2,
        blocked: 2,
        latency: new Uint8Array(),
      };
      const circuit = {
        id: 'inventory|p',
        callee: 'inventory',
        method: '',
        state: 'open',
        policy: 'p',
        revision: 1,
        epoch: 1,
        retryAfterMs: 9,
        reason: 'why',
      };
      agent.say({
        message: 'report',
        report: { seq: 1, elapsedMs: 1, cells: [cell], probes: [], circuits: [circuit], rates: [] },
      });
      const { roster } = two.face;
      const row = await until(
        async () => {
          const found = await roster.agent('checkout/c1');
          return found?.acked === 1 && (await roster.circuits()).length === 1 ? found : undefined;
        },
        { what: 'the summary' },
      );
      expect(row).to.deep.include({
        replica: 'r1',
        sent: 1,
        applied: 1,
        callees: ['inventory'],
        refused: [],
      });
      expect((await roster.circuits())[0]).to.include({
        id: 'inventory|p',
        agent: 'checkout/c1',
        state: 'open',
        reason: 'why',
      });
      expect(roster.health('inventory')).to.deep.equal({
        calls: 4,
        failed: 1,
        slow: 2,
        rejected: 2,
      });
      expect(await roster.concerned({ to: 'inventory' })).to.deep.equal(['checkout/c1']);
      const policy = two.mirror.policy('p');
      if (!policy) throw new Error('p is there');
      expect((await roster.status(policy)).agents).to.deep.equal({
        total: 1,
        applied: 1,
        pending: 0,
        refused: [],
      });
      expect(roster.connected).to.equal(0);
    });

    it('a newer process on the other replica ends the older one here', async () => {
      const { one, two } = await pair();
      const older = await RawAgent.connect(one.address, { boot: 1 });
      const newer = await RawAgent.connect(two.address, { boot: 2 });
      agents.push(older, newer);
      expect((await older.ended()).details).to.contain('give each process an instance name of its own');
      expect(newer.status).to.equal(undefined);
    });

    it('a replica that has stopped is out of the answers', async () => {
      const { one, two } = await pair();
      await connect(one, 'checkout', 'c1');
      await until(() => two.face.roster.agent('checkout/c1'), { what: 'the summary' });
      await one.face.close();
      await until(async () => !(await two.face.roster.agent('checkout/c1')), { what: 'its end' });
    });
  });
});
