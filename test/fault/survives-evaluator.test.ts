/**
 * Invariant: the replica that evaluates may die or sleep, in every state of a circuit. Two replicas on one Redis, real agents, and three
 * circuits that the same replica evaluates, one open, one half-open with its probes under way, one ramping, when it is killed, or
 * stopped and let go on (6 s here, 60 s by `npm run test:long`): no stale directive is accepted, no half-open period has more than K
 * probes, and every circuit closes.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'chai';
import { ranked } from '../../core/coordination/rank.js';
import { HeardDirectives } from '../support/heard-directives.js';
import { govern, Population, shown, TestCallee } from '../support/population.js';
import { RedisServer } from '../support/redis.js';
import { until } from '../support/until.js';
import { anyPort, type Up, up } from '../support/up.js';

const STOPPED_MS = process.env.SWITCHGEAR_TEST_LONG ? 60_000 : 6_000;
const AGENTS = 8;
const PER_SECOND = 10;
const K = 3;

/** Of such names one whose circuit replica a evaluates while it is there. */
function ofReplicaA(kind: string): TestCallee {
  for (let i = 0; ; i++) {
    const callee = new TestCallee(`${kind}-${i}`);
    if (ranked(callee.circuit, ['a', 'b'])[0] === 'a') return callee;
  }
}

describe('the replica that evaluates', function () {
  this.timeout(90_000 + STOPPED_MS);
  let redis: RedisServer;
  let a: Up;
  let b: Up;
  let heard: HeardDirectives;
  let population: Population;
  const open = ofReplicaA('open');
  const halfOpen = ofReplicaA('half-open');
  const ramping = ofReplicaA('ramping');
  let release = () => {};

  beforeEach(async () => {
    redis = await RedisServer.start();
    const start = (replica: string) => up([...anyPort, '--store', redis.url, '--replica', replica]);
    [a, b] = await Promise.all([start('a'), start('b')]);
    heard = new HeardDirectives();
    for (const callee of [open, halfOpen, ramping])
      Object.assign(callee, { probes: 0, failing: false, gate: undefined });
    population = new Population([open, halfOpen, ramping]);
    const short = { window: '2s', ramp: ['100%'], rampStep: '1s' };
    await govern(b.rest, open, { openFor: '5s', halfOpen: { calls: K }, cluster: short });
    await govern(b.rest, halfOpen, { openFor: '1s', halfOpen: { calls: K }, cluster: short });
    const slow = { ...short, ramp: ['50%', '100%'], rampStep: '3s' };
    await govern(b.rest, ramping, { openFor: '1s', halfOpen: { calls: K }, cluster: slow });
    await population.joinMany(AGENTS, [a.grpc, b.grpc], PER_SECOND);
  });

  afterEach(async () => {
    release();
    heard.lift();
    a.child.kill('SIGCONT');
    await population.leave();
    await Promise.all([a.kill(), b.kill()]);
    await redis.close();
  });

  /** One circuit in each state; the probes of the half-open one hang. */
  async function inEveryState(): Promise<void> {
    for (const callee of population.callees) callee.failing = true;
    await Promise.all(population.callees.map((callee) => population.all(callee, 'open')));
    ramping.failing = false;
    halfOpen.gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    await population.all(ramping, 'ramping');
    await population.all(halfOpen, 'half-open');
    expect(population.states(open)).to.include('open');
    await until(() => halfOpen.probes > 0, { what: 'a probe under way' });
  }

  function heal(): void {
    for (const callee of population.callees) callee.failing = false;
    halfOpen.gate = undefined;
    release();
  }

  async function allClose(): Promise<void> {
    for (const callee of population.callees) {
      await population.all(callee, 'closed', 40_000);
      const state = async () => (await shown(b.rest, callee))?.state === 'closed';
      await until(state, { what: `${callee.name} closed in the record as well` });
    }
  }

  function held(): void {
    expect(heard.backwards).to.deep.equal([]);
    expect(heard.mostPermits).to.be.within(1, K);
    for (const callee of population.callees) {
      const { circuit, probes, strange } = callee;
      expect(probes, `probes of ${callee.name}`).to.be.within(1, K * heard.periods(circuit));
      expect(strange).to.deep.equal([]);
    }
  }

  it('may be killed while circuits are open, half-open and ramping', async () => {
    await inEveryState();
    await a.kill();
    await until(() => population.members.every(({ mesh }) => mesh.status().connected), {
      what: 'all agents at the other replica',
    });
    heal();
    await allClose();
    held();
  });

  it(`may sleep for ${STOPPED_MS / 1_000} s meanwhile, and nobody believes what it knew`, async () => {
    await inEveryState();
    a.child.kill('SIGSTOP');
    heal();
    await pause(STOPPED_MS);
    const epochs = new Map<TestCallee, number>();
    for (const callee of population.callees) epochs.set(callee, (await shown(b.rest, callee))?.epoch ?? 0);
    const woken = performance.now();
    a.child.kill('SIGCONT');
    await allClose();
    await until(async () => (await fetch(`${a.rest}/readyz`)).ok, { what: 'the sleeper to be ready' });
    held();
    for (const [{ circuit }, epoch] of epochs) {
      expect(epoch).to.be.greaterThan(0);
      expect(heard.leastEpochSince(circuit, woken), circuit).to.be.at.least(epoch);
    }
  });
});
