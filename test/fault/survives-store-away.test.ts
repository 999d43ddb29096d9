/**
 * Invariants of circuits of the mesh when their store goes away while one is open. Two replicas on one Redis that syncs its writes, and
 * real agents: without the store the coordinator is frozen, directives lapse, local circuits rule and no error is added; and Redis may
 * be killed and come back with its data or with none, and agents converge.
 */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { HeardDirectives } from '../support/heard-directives.js';
import { govern, Population, shown, TestCallee } from '../support/population.js';
import { RedisServer } from '../support/redis.js';
import { until } from '../support/until.js';
import { anyPort, type Up, up } from '../support/up.js';

const AGENTS = 6;
const PER_SECOND = 10;

describe('circuits of the mesh, while one is open', function () {
  this.timeout(90_000);
  let redis: RedisServer;
  let replicas: Up[] = [];
  let heard: HeardDirectives;
  let population: Population;
  let sick: TestCallee;
  let well: TestCallee;
  /** Well until the store is away. */
  let later: TestCallee;
  let test = 0;

  before(async () => {
    redis = await RedisServer.start({ fsync: 'always' });
    const start = (replica: string) => up([...anyPort, '--store', redis.url, '--replica', replica]);
    replicas = await Promise.all([start('a'), start('b')]);
  });

  after(async () => {
    redis.thaw();
    await Promise.all(replicas.map((replica) => replica.kill()));
    await redis.close();
  });

  beforeEach(() => {
    heard = new HeardDirectives();
    sick = new TestCallee(`sick-${++test}`);
    well = new TestCallee(`well-${test}`);
    later = new TestCallee(`later-${test}`);
    population = new Population([sick, well, later]);
  });

  afterEach(async () => {
    redis.thaw();
    heard.lift();
    await population.leave();
  });

  const rest = () => (replicas[0] as Up).rest;
  const addresses = () => replicas.map(({ grpc }) => grpc);
  const cluster = { window: '2s', ramp: ['100%'], rampStep: '1s' };

  async function opened(openFor: string): Promise<void> {
    for (const callee of [sick, well]) await govern(rest(), callee, { openFor, cluster });
    // So few that an agent's own calls are enough.
    await govern(rest(), later, { openFor: '500ms', minimumCalls: 5, cluster });
    await population.joinMany(AGENTS, addresses(), PER_SECOND);
    sick.failing = true;
    await population.all(sick, 'open');
  }

  const datasets = () => [...new Set(population.members.map(({ mesh }) => mesh.status().dataset))];

  async function revisionOf(policy: string): Promise<number> {
    const { headers } = await fetch(`${rest()}/v1/policies/${policy}`);
    return Number(headers.get('etag')?.replaceAll('"', ''));
  }

  /** What a replica says is wrong with a policy in its store. */
  async function faultOf({ rest }: Up, policy: string): Promise<string | undefined> {
    const { faults } = (await (await fetch(`${rest}/v1/policies`)).json()) as {
      faults: { path: string; message: string }[];
    };
    return faults.find(({ path }) => path === policy)?.message;
  }

  /** The healthy callee: nothing of this was its fault. */
  function unharmed(): void {
    expect(well.strange).to.deep.equal([]);
    expect(well.refused).to.equal(0);
    expect(well.failed).to.equal(0);
    expect(sick.strange).to.deep.equal([]);
    expect(heard.backwards).to.deep.equal([]);
  }

  it('cut off from the store: frozen, directives lapse, local circuits rule, no error is added', async () => {
    await opened('1m');
    const open = async ({ rest: its }: Up) => (await shown(its, sick))?.state === 'open';
    for (const replica of replicas) await until(() => open(replica), { what: 'a replica that knows' });
    redis.freeze();
    sick.failing = false;
    await population.all(sick, 'closed');
    const { refused, reached } = sick;
    const calls = well.reached;
    await until(() => sick.reached > reached + 50 && well.reached > calls + 50, { what: 'calls' });
    expect(sick.refused).to.equal(refused);
    for (const replica of replicas) expect((await shown(replica.rest, sick))?.state).to.equal('open');
    later.failing = true;
    await population.all(later, 'open');
    await until(() => later.refused > 0, { what: 'calls that local circuits turn away' });
    for (const replica of replicas)
      expect((await shown(replica.rest, later))?.state ?? 'closed').to.equal('closed');
    later.failing = false;
    await population.all(later, 'closed');
    redis.thaw();
    // What was open is still open for those who remember; nobody fails any more, so it heals.
    await until(async () => (await fetch(`${rest()}/readyz`)).ok, { what: 'a replica that is ready' });
    await population.all(sick, 'open');
    unharmed();
  });

  it('Redis killed and back with its data: nothing crashes, and the circuit recovers', async () => {
    await opened('3s');
    const epoch = (await shown(rest(), sick))?.epoch ?? 0;
    await redis.kill();
    await redis.restart();
    sick.failing = false;
    await population.all(sick, 'ramping');
    await population.all(sick, 'closed');
    expect((await shown(rest(), sick))?.epoch).to.be.greaterThan(epoch);
    expect(replicas.map(({ child }) => child.exitCode)).to.deep.equal([null, null]);
    unharmed();
  });

  it('Redis killed and back without data: nothing crashes, agents converge, and it opens and closes anew', async () => {
    await opened('3s');
    const [dataset] = datasets();
    const revisions = new Map<string, number>();
    for (const { name } of [sick, well, later]) revisions.set(name, await revisionOf(name));
    await redis.kill();
    for (const name of readdirSync(redis.directory)) rmSync(join(redis.directory, name), { recursive: true });
    await redis.restart();
    sick.failing = false;
    // Its policy went with the data: no circuit, no directive.
    await until(() => population.states(sick).every((state) => state === 'disabled' || state === 'closed'), {
      what: 'agents without what is lost',
      timeoutMs: 30_000,
    });
    expect(datasets()).to.have.length(1);
    expect(datasets()).to.not.include(dataset);
    for (const replica of replicas)
      for (const [name, revision] of revisions)
        expect(await faultOf(replica, name)).to.contain(`revision ${revision}, which replica`);
    for (const callee of [sick, well]) await govern(rest(), callee, { openFor: '1s', cluster });
    for (const { name } of [sick, well]) expect(await faultOf(replicas[0] as Up, name)).to.equal(undefined);
    sick.failing = true;
    await population.all(sick, 'open');
    sick.failing = false;
    await population.all(sick, 'closed');
    expect(replicas.map(({ child }) => child.exitCode)).to.deep.equal([null, null]);
    unharmed();
  });
});
