/**
 * Invariants of a circuit of the mesh with a hundred real agents at two replicas on one Redis: fewer than the quorum can't open it; at
 * most K probes get through in the whole cluster for each half-open period, counted at the callee; a service that starts during the
 * outage makes no call that fails; and once all reporters have died it still closes, after 2 × openFor. One outage, in this order.
 */
import { expect } from 'chai';
import { HeardDirectives } from '../support/heard-directives.js';
import { govern, Population, shown, TestCallee } from '../support/population.js';
import { RedisServer } from '../support/redis.js';
import { until } from '../support/until.js';
import { anyPort, type Up, up } from '../support/up.js';

const AGENTS = 100;
const PER_SECOND = 3;
const K = 3;
/** Below the quorum of 20 %, and enough for the rate of 10 %. */
const SICK = 14;
/** Twice `openFor`, 3 s at least. How soon after it: see test/simulation/scenarios/reporters-gone.txt. */
const SILENT_S = 3;

describe('a hundred agents at two replicas', function () {
  this.timeout(90_000);
  let redis: RedisServer;
  let replicas: Up[] = [];
  let heard: HeardDirectives;
  const callee = new TestCallee('inventory');
  const population = new Population([callee]);

  before(async () => {
    redis = await RedisServer.start();
    const start = (replica: string) => up([...anyPort, '--store', redis.url, '--replica', replica]);
    replicas = await Promise.all([start('a'), start('b')]);
    heard = new HeardDirectives();
    await govern(rest(), callee, circuit('1s'));
    await population.joinMany(AGENTS, addresses(), PER_SECOND);
    await until(async () => ((await shown(rest(), callee))?.window?.agents ?? 0) >= AGENTS - 5, {
      what: 'reports of all',
    });
  });

  after(async () => {
    heard.lift();
    await population.leave();
    await Promise.all(replicas.map((replica) => replica.kill()));
    await redis.close();
  });

  const rest = () => (replicas[0] as Up).rest;
  const addresses = () => replicas.map(({ grpc }) => grpc);
  const circuit = (openFor: string) => ({
    ...{ openFor, failureRate: '10%', halfOpen: { calls: K } },
    cluster: { window: '2s', quorum: '20%', minReporters: 3, ramp: ['100%'], rampStep: '1s' },
  });

  it('one that fails alone opens nothing, and each replica names it', async () => {
    const [liar] = population.members;
    if (!liar) throw new Error('nobody came');
    liar.failing = true;
    for (const replica of replicas)
      await until(async () => (await shown(replica.rest, callee))?.suspects.join() === 'checkout/c0', {
        what: 'the suspect by name',
      });
    expect(new Set(population.states(callee))).to.deep.equal(new Set(['closed']));
    liar.failing = false;
    await until(async () => (await shown(rest(), callee))?.suspects.length === 0, { what: 'no suspect' });
  });

  it('fewer than the quorum cannot open a circuit, though their calls are enough for the rate', async () => {
    for (const member of population.members.slice(0, SICK)) member.failing = true;
    const failed = () => population.members.reduce((sum, member) => sum + member.failed, 0);
    await until(() => failed() > 3 * 2 * SICK * PER_SECOND, { what: 'three windows of failures' });
    expect(new Set(population.states(callee))).to.deep.equal(new Set(['closed']));
    for (const member of population.members.slice(0, 2 * SICK)) member.failing = true;
    await population.all(callee, 'open');
    for (const replica of replicas)
      await until(async () => (await shown(replica.rest, callee))?.state !== 'closed', {
        what: 'the record',
      });
  });

  it(`at most ${K} probes get through in each half-open period, whoever asks`, async () => {
    callee.failing = true;
    await population.all(callee, 'open');
    const { reached } = callee;
    const before = heard.periods(callee.circuit);
    await until(() => heard.periods(callee.circuit) >= before + 2, {
      what: 'two periods',
      timeoutMs: 40_000,
    });
    await population.all(callee, 'open');
    const periods = heard.periods(callee.circuit) - before;
    expect(callee.reached - reached).to.be.within(periods, K * periods);
    expect(heard.mostPermits).to.be.at.most(K);
    expect(heard.backwards).to.deep.equal([]);
  });

  it('a service that starts during the outage makes no call that fails', async () => {
    expect(callee.failing).to.equal(true);
    await population.all(callee, 'open');
    const periods = heard.periods(callee.circuit);
    for (let i = 0; i < 4; i++) {
      const late = await population.join(addresses(), 'late');
      for (let call = 0; call < 50; call++) await late.call(callee);
      if (heard.periods(callee.circuit) > periods) break;
      expect(late.reached).to.equal(0);
    }
    expect(population.members.length).to.be.greaterThan(AGENTS + 1);
    expect(callee.strange).to.deep.equal([]);
  });

  it('once all reporters have died it still closes: nobody is calling', async () => {
    await population.leave();
    for (const replica of replicas)
      await until(async () => (await shown(replica.rest, callee))?.state === 'closed', {
        what: 'a closed circuit',
        timeoutMs: 20_000,
      });
    const reason = (await shown(rest(), callee))?.reason ?? '';
    const [, silentS] = /no agent has reported for (\S+?) ?s:/.exec(reason) ?? [];
    expect(Number(silentS), reason).to.be.within(SILENT_S, 3 * SILENT_S);
  });
});
