/** Limits of the whole mesh over real sockets: demand comes in with reports, grants go out, also across two replicas on one Redis. */
import { expect } from 'chai';
import type { GrpcOptions } from '../../control-plane/grpc/server.js';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import { parsePolicy } from '../../core/policy/parse.js';
import { systemRandom } from '../../core/random.js';
import type { Hello, RateGrant } from '../../proto/messages.js';
import { contractRedis, dropMesh } from '../support/redis.js';
import { type Plane, startPlane } from '../support/stream/plane.js';
import { RawAgent } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';

const ID = 'inventory|limit';

/** An agent that reports ten times a second, as fast as it may. */
class AskingAgent {
  readonly raw: RawAgent;
  perSecond: number;
  readonly #timer: NodeJS.Timeout;
  #seq = 0;

  constructor(raw: RawAgent, perSecond: number, ids: readonly string[] = [ID]) {
    this.raw = raw;
    this.perSecond = perSecond;
    this.#timer = setInterval(() => {
      const rates = ids.map((id) => ({ id, asked: Math.round(this.perSecond / 10) }));
      const seq = ++this.#seq;
      raw.say({
        message: 'report',
        report: { seq, elapsedMs: 100, cells: [], probes: [], circuits: [], rates },
      });
    }, 100);
  }

  get grant(): RateGrant | undefined {
    return this.raw.last('grants')?.grants.find(({ id }) => id === ID);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

describe('stream: limits of the whole mesh', function () {
  this.timeout(30_000);
  const planes: Plane[] = [];
  const agents: AskingAgent[] = [];
  const stores: Store[] = [];
  let redis: { url: string; mesh: string } | undefined;

  const start = async (options: Partial<GrpcOptions> = {}) => {
    const plane = await startPlane(options);
    planes.push(plane);
    return plane;
  };
  const put = async (plane: Plane, rateLimit: object, name = 'limit') => {
    const parsed = parsePolicy({ policy: name, match: { to: 'inventory' }, spec: { rateLimit } });
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
    const { document } = parsed.policy;
    const operations = [{ kind: 'put', name, document, expected: 'any' }] as const;
    await plane.mirror.write({ requestId: systemRandom.hex(8), author: 'test', action: 'put', operations });
  };
  const asking = async (
    plane: Plane,
    instance: string,
    perSecond: number,
    { ids, hello }: { ids?: readonly string[]; hello?: Partial<Hello> } = {},
  ) => {
    const raw = await RawAgent.connect(plane.address, { service: 'shop', instance, ...hello });
    const agent = new AskingAgent(raw, perSecond, ids);
    agents.push(agent);
    return agent;
  };
  const near = (agent: AskingAgent, right: number) => Math.abs((agent.grant?.tokens ?? 0) - right) <= 30;
  const threeToOne = (busy: AskingAgent, calm: AskingAgent) =>
    until(() => near(busy, 300) && near(calm, 100), { what: 'grants of about 3 to 1' });
  const tokens = (...from: AskingAgent[]) => from.map(({ grant }) => grant?.tokens ?? Number.NaN);

  afterEach(async () => {
    for (const agent of agents.splice(0)) {
      agent.stop();
      agent.raw.close();
    }
    for (const plane of planes)
      await until(() => plane.face.roster.connected === 0, { what: 'the streams to go' });
    for (const plane of planes.splice(0)) await plane.close();
    for (const store of stores.splice(0)) await store.close();
    if (redis) await dropMesh(redis.url, redis.mesh);
    redis = undefined;
  });

  it('two agents are granted in proportion to what they are asked for, and never more than the limit', async () => {
    const plane = await start();
    await put(plane, { rate: 400, scope: 'cluster' });
    const [busy, calm] = [await asking(plane, 'a', 300), await asking(plane, 'b', 100)];
    await threeToOne(busy, calm);
    const [more = 0, less = 0] = tokens(busy, calm);
    expect(more + less).to.be.at.most(400);
    expect(busy.grant).to.include({ intervalMs: 1000, agents: 2 });
    expect(busy.raw.last('grants')?.ttlMs).to.equal(3000);
    expect(plane.tally.limits.limits).to.equal(1);
    expect(plane.tally.limits.grantedPerSecond).to.be.within(1, 400);
  });

  it('an agent that goes frees its part within two seconds', async () => {
    const plane = await start();
    await put(plane, { rate: 100, scope: 'cluster' });
    const [one, two] = [await asking(plane, 'a', 500), await asking(plane, 'b', 500)];
    await until(() => tokens(one, two).every((count) => count === 50), { what: 'an even split' });
    two.stop();
    two.raw.halfClose();
    await until(() => one.grant?.tokens === 100, { what: 'the whole', timeoutMs: 2000 });
    expect(one.grant?.agents).to.equal(1);
  });

  for (const kind of ['store', 'Redis'] as const)
    it(`two replicas over one ${kind} share one limit`, async () => {
      const mesh = `rates-${systemRandom.hex(4)}`;
      const url = kind === 'Redis' ? await contractRedis() : 'memory';
      if (kind === 'Redis') redis = { url, mesh };
      const open = async (replica: string) => {
        const store = await openStore(url, { mesh, replica });
        stores.push(store);
        return store;
      };
      const here = await open('r1');
      const there = kind === 'Redis' ? await open('r2') : here;
      const first = await start({ store: here, replica: 'r1', mesh });
      const second = await start({ store: there, replica: 'r2', mesh });
      await put(first, { rate: 400, scope: 'cluster' });
      await until(() => second.mirror.policy('limit'), { what: 'the policy at the other replica' });
      const busy = await asking(first, 'a', 300);
      const calm = await asking(second, 'b', 100);
      await threeToOne(busy, calm);
      expect([busy.grant?.agents, calm.grant?.agents]).to.deep.equal([2, 2]);
      const granted = first.tally.limits.grantedPerSecond + second.tally.limits.grantedPerSecond;
      expect(granted).to.be.at.most(400);
      busy.stop();
      busy.raw.halfClose();
      calm.perSecond = 500;
      await until(() => calm.grant?.tokens === 400, { what: 'the whole at the other', timeoutMs: 5000 });
      expect(await here.summaries()).to.have.length(2);
      expect(await here.summaries('rates')).to.have.length(2);
    });

  it('what a hostile agent says of limits is counted and costs nothing', async () => {
    const plane = await start();
    await put(plane, { rate: 100, scope: 'cluster' });
    await put(plane, { rate: 100 }, 'local');
    const strange = [
      'inventory|local',
      'inventory|none',
      'payments|limit',
      '*|limit',
      'inventory|limit|a.B/C',
      '|||',
    ];
    const ids = [...strange, ...Array.from({ length: 990 }, (_, i) => `c${i}|limit`)];
    const hostile = await asking(plane, 'evil', 42_949_672_950, { ids: [...ids, ID] });
    const honest = await asking(plane, 'good', 40);
    await until(() => honest.grant?.tokens === 40, { what: 'what the honest one asked for' });
    expect(hostile.raw.last('grants')?.grants.map(({ id }) => id)).to.deep.equal([ID]);
    expect(plane.tally.limits.limits).to.equal(1);
    expect(plane.tally.ignoredThings.filter((what) => what === 'rate').length % ids.length).to.equal(0);
    expect(plane.tally.ends).to.deep.equal([]);
  });

  it('an agent that speaks 1.0 is sent none, and neither is one that asks for nothing', async () => {
    const plane = await start();
    await put(plane, { rate: 100, scope: 'cluster' });
    const old = await asking(plane, 'old', 500, { hello: { protocol: { major: 1, minor: 0 } } });
    const quiet = await asking(plane, 'quiet', 500, { ids: [] });
    const young = await asking(plane, 'young', 500);
    await until(() => young.grant?.tokens === 100 && young.raw.all('grants').length > 1, {
      what: 'two grants',
    });
    expect(old.raw.all('grants')).to.deep.equal([]);
    expect(quiet.raw.all('grants')).to.deep.equal([]);
    expect(young.grant?.agents).to.equal(1);
  });

  it('an agent is told among how many it is divided before it has the policy, and when others come', async () => {
    const plane = await start();
    await put(plane, { rate: 80, scope: 'cluster' });
    const quiet = { ids: [], hello: { callees: ['inventory'] } };
    const first = await asking(plane, 'a', 0, quiet);
    const told = (agent: AskingAgent) => agent.raw.last('shares')?.shares;
    const alone = [{ id: ID, agents: 1 }];
    await until(() => told(first) !== undefined && first.raw.last('delta'), { what: 'a first word' });
    expect(told(first)).to.deep.equal(alone);
    const others = await Promise.all(['b', 'c', 'd'].map((name) => asking(plane, name, 0, quiet)));
    const old = await asking(plane, 'old', 0, { ...quiet, hello: { protocol: { major: 1, minor: 0 } } });
    await until(() => [first, ...others].every((one) => told(one)?.[0]?.agents === 5), {
      what: 'the others',
    });
    expect(old.raw.all('shares')).to.deep.equal([]);
    await put(plane, { rate: 80, scope: 'cluster' }, 'second');
    const heard = first.raw.heard;
    const has = (name: string) => first.raw.last('delta')?.upserts.some((one) => one.name === name);
    await until(() => told(first)?.length === 2 && has('second'), { what: 'another limit' });
    const at = (what: string) => heard.findLastIndex(({ message }) => message === what);
    expect(at('shares')).to.be.lessThan(at('delta'));
  });

  it('an agent is told nothing of it while no policy has such a limit', async () => {
    const plane = await start();
    await put(plane, { rate: 80 });
    const agent = await asking(plane, 'a', 0, { ids: [], hello: { callees: ['inventory'] } });
    await until(() => agent.raw.last('delta'), { what: 'the policy' });
    await put(plane, { rate: 80, scope: 'cluster' }, 'second');
    await until(() => agent.raw.last('shares'), { what: 'the shares' });
    expect(agent.raw.all('shares')).to.have.length(1);
  });
});
