/**
 * The level as one replica works it out: the operator's while its time lasts, the rules' over the mesh, the higher of the two; and
 * what agents are to hear of it and when. Store and mirror are real, time and agents are the test's.
 */
import { expect } from 'chai';
import { createBrownout } from '../../../control-plane/brownout.js';
import { openMirror } from '../../../control-plane/mirror.js';
import type { Brownout, BrownoutChange, Mirror } from '../../../control-plane/ports.js';
import { openStore } from '../../../control-plane/store/open.js';
import type { Store } from '../../../control-plane/store/store.js';
import { silentLogger } from '../../../control-plane/telemetry/logger.js';
import { brownoutName, merged } from '../../../core/brownout/setting.js';
import type { ClusterView } from '../../../core/coordination/contract.js';
import { LatencyHistogram } from '../../../core/resilience/latency.js';
import { clusterView } from '../../support/cluster-view.js';
import { circuitRow, FakeRoster } from '../../support/fake-roster.js';
import { policyPut } from '../../support/stores.js';
import { until } from '../../support/until.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const openRule = { level: 2, when: { openCircuits: 1 }, for: '10s', clearAfter: '60s' };

describe('brownout of a replica', () => {
  let store: Store;
  let mirror: Mirror;
  let clock: VirtualClock;
  let roster: FakeRoster;
  let brownout: Brownout;
  let changes: BrownoutChange[];
  let views: readonly ClusterView[];
  let opened: { close(): void }[];

  beforeEach(async () => {
    clock = new VirtualClock(1000);
    store = await openStore('memory', { mesh: 'm', replica: 'r1' });
    mirror = await openMirror(store, { replica: 'r1' });
    roster = new FakeRoster();
    opened = [];
    changes = [];
    views = [];
    brownout = start();
    brownout.onChange((change) => changes.push(change));
  });

  afterEach(async () => {
    for (const one of opened) one.close();
    expect(clock.pendingTimers, 'timers left').to.equal(0);
    await mirror.close();
    await store.close();
  });

  const start = (): Brownout => {
    const made = createBrownout({ mirror, clock, logger: silentLogger });
    made.observe(roster, { views: () => views });
    opened.push(made);
    return made;
  };
  let requests = 0;
  const writeText = (document: string) =>
    mirror.write({
      requestId: `r${requests++}`,
      author: 'ada',
      action: 'brownout',
      operations: [{ kind: 'put', name: brownoutName, document, expected: 'any' }],
    });
  const put = (fields: Parameters<typeof merged>[1]) =>
    writeText(merged(mirror.brownout?.setting.document, fields, { author: 'ada', wallNow: clock.wallNow() }));
  /** Second by second, with the turn that an evaluation takes. */
  const seconds = async (count: number) => {
    for (let i = 0; i < count; i++) {
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const trip = () => {
    roster.circuitRows = [circuitRow('checkout/c1', 'open', { retryAfterMs: 5000 })];
  };
  const level = () => brownout.view().level;

  it('is none where nobody has set any, and agents hear so', () => {
    expect(brownout.view()).to.include({ level: 0, source: 'none', reason: '', ttlMs: undefined });
    expect(brownout.version).to.equal(0);
    expect(brownout.message()).to.deep.equal({ level: 0, features: [], ttlMs: 0, reason: '', revision: 0 });
  });

  it("is the operator's, with features and reason, and says so once", async () => {
    const { head } = await put({ level: 3, reason: 'sale', features: { ads: 1 } });
    expect(brownout.view()).to.include({ level: 3, source: 'operator', reason: 'sale' });
    expect(brownout.message()).to.deep.equal({
      ...{ level: 3, reason: 'sale', ttlMs: 0, revision: head },
      features: [{ name: 'ads', level: 1 }],
    });
    expect(changes.map(({ before, view }) => [before, view.level])).to.deep.equal([[0, 3]]);
    expect(brownout.version).to.equal(1);
  });

  it('ends with its time, by itself', async () => {
    await put({ level: 3, reason: 'sale', ttl: '10m' });
    clock.advance(599_000);
    expect(level()).to.equal(3);
    expect(brownout.message().ttlMs).to.equal(1000);
    clock.advance(1000);
    expect(level()).to.equal(0);
    expect(changes.map(({ view }) => view.level)).to.deep.equal([3, 0]);
    expect(brownout.message()).to.deep.include({ level: 0, ttlMs: 0, revision: 0 });
  });

  it('ends with its time, and says so, where timers come early', async () => {
    const { after } = clock;
    clock.after = (delayMs, fn) => after.call(clock, delayMs > 1 ? delayMs * 0.9 : delayMs, fn);
    await put({ level: 3, reason: 'sale', ttl: '10m' });
    clock.advance(600_001);
    expect(changes.map(({ view }) => view.level)).to.deep.equal([3, 0]);
  });

  it('begins its time anew with a new level, and not with new features', async () => {
    await put({ level: 3, reason: 'sale', ttl: '10m' });
    clock.advance(300_000);
    await put({ features: { ads: 1 } });
    expect(brownout.view().ttlMs).to.equal(300_000);
    await put({ level: 3, reason: 'sale', ttl: '10m' });
    expect(brownout.view().ttlMs).to.equal(600_000);
  });

  it('does not care about a wall clock that jumps', async () => {
    clock.wallOffset = 3_600_000;
    await put({ level: 3, reason: 'sale', ttl: '10m' });
    clock.wallOffset = -3_600_000;
    clock.advance(599_999);
    expect(level()).to.equal(3);
    clock.advance(1);
    expect(level()).to.equal(0);
  });

  it('has after a restart what the wall clock leaves of its time, and never more than all of it', async () => {
    await put({ level: 3, reason: 'sale', ttl: '10m' });
    clock.advance(120_000);
    expect(start().view().ttlMs).to.equal(480_000);
    clock.wallOffset = -3_600_000;
    expect(start().view().ttlMs).to.equal(600_000);
    clock.wallOffset = 3_600_000;
    expect(start().view()).to.include({ level: 0, ttlMs: 0 });
  });

  it('keeps the last good setting where the store holds a bad one, and says so', async () => {
    await put({ level: 3, reason: 'sale' });
    await writeText('{"level":17}');
    expect(level()).to.equal(3);
    expect(mirror.faults.map(({ message }) => message).join()).to.match(
      /revision 2 in the store is no valid brownout setting \(level: .*revision 1 stays/,
    );
    await put({ level: 0 });
    expect(mirror.faults).to.deep.equal([]);
  });

  it('is no policy, whoever lists those', async () => {
    const told: string[] = [];
    mirror.on('policies', (policies) => told.push(...policies.map(({ name }) => name)));
    await put({ level: 3, reason: 'sale' });
    await mirror.write({
      ...{ requestId: 'p', author: 'ada', action: 'put' },
      operations: [policyPut('inventory', 100)],
    });
    const other = await openMirror(store, { replica: 'r2' });
    for (const one of [mirror, other]) {
      expect(one.policies().map(({ policy }) => policy.name)).to.deep.equal(['inventory']);
      expect(one.policy(brownoutName)).to.equal(undefined);
      expect(one.faults).to.deep.equal([]);
      expect(one.brownout?.revision).to.equal(1);
      expect(one.revision).to.equal(2);
    }
    expect(told).to.deep.equal(['inventory']);
    await other.close();
  });

  describe('by rules', () => {
    it('dims when they have held for long enough, and undims when they have not for longer', async () => {
      await put({ rules: [openRule] });
      trip();
      await seconds(10);
      expect(level()).to.equal(0);
      await seconds(1);
      expect(brownout.view()).to.include({ level: 2, source: 'rule' });
      expect(brownout.view().reason).to.match(/^1 circuit open/);
      expect(brownout.view().rules[0]).to.include({ on: true });
      roster.circuitRows = [];
      await seconds(60);
      expect(level()).to.equal(2);
      await seconds(1);
      expect(level()).to.equal(0);
      expect(changes.map(({ view }) => view.level)).to.deep.equal([0, 2, 0]);
    });

    it('counts what keeps calls away as open, and what probes or recovers as not', async () => {
      await put({ rules: [{ ...openRule, for: '0s', clearAfter: '0s' }] });
      for (const [state, retryAfterMs, expected] of [
        ['open', 1, 2],
        ['half-open', 0, 0],
        ['half-open', 100, 0],
        ['forced-open', 0, 2],
        ['ramping', 0, 0],
        ['closed', 0, 0],
      ] as const) {
        roster.circuitRows = [circuitRow('checkout/c1', state, { retryAfterMs, ageMs: 3000 })];
        await seconds(1);
        expect(level(), `${state}, ${retryAfterMs}`).to.equal(expected);
      }
    });

    it('sees also what was open for less than a second', async () => {
      await put({ rules: [{ ...openRule, for: '0s', clearAfter: '0s' }] });
      for (const [ageMs, expected] of [
        [2999, 2],
        [3000, 0],
      ] as const) {
        roster.circuitRows = [circuitRow('checkout/c1', 'open', { retryAfterMs: 0, ageMs })];
        await seconds(1);
        expect(level()).to.equal(expected);
      }
    });

    it('lets go of what was open and is called by nobody any more, and takes it up where it opens again', async () => {
      await put({ rules: [{ ...openRule, for: '0s', clearAfter: '2s' }] });
      trip();
      await seconds(1);
      expect(level()).to.equal(2);
      // Nobody calls, so no report tells of the step to half-open: the row only ages.
      roster.circuitRows = [circuitRow('checkout/c1', 'open', { retryAfterMs: 0, ageMs: 3000 })];
      await seconds(3);
      expect(level()).to.equal(0);
      trip();
      await seconds(1);
      expect(level()).to.equal(2);
    });

    it('counts what the mesh keeps open until its time is over, and not while it waits for somebody who calls', async () => {
      await put({ rules: [{ ...openRule, for: '0s', clearAfter: '0s' }] });
      roster.circuitRows = [circuitRow('checkout/c1', 'open', { retryAfterMs: 0, ageMs: 3000 })];
      const id = 'inventory|inventory-default';
      for (const [record, fields, expected] of [
        [{ id, state: 'open' }, { nextStepMs: 3000 }, 2],
        [{ id, state: 'open' }, { nextStepMs: 0 }, 0],
        [{ id: `${id}@eu-1`, state: 'open' }, { nextStepMs: 3000 }, 2],
        [{ id, state: 'half-open' }, { nextStepMs: 3000 }, 0],
        [{ id, state: 'open' }, { nextStepMs: 3000, shadow: true }, 0],
      ] as const) {
        views = [clusterView(record, fields)];
        await seconds(1);
        expect(level(), JSON.stringify([record, fields])).to.equal(expected);
      }
    });

    it('looks at the slow calls of the mesh', async () => {
      await put({ rules: [{ level: 1, when: { callee: 'payments', slowRate: '50%' }, for: '0s' }] });
      roster.healths.set('payments', { calls: 100, failed: 0, slow: 50, rejected: 0 });
      await seconds(1);
      expect(brownout.view().reason).to.equal('of 100 calls to payments 50% slow (the rule says 50%)');
    });

    it('looks at the latency of the mesh', async () => {
      const when = { callee: 'payments', latency: { p99: '800ms' } };
      await put({ rules: [{ level: 1, when, for: '0s', clearAfter: '2s' }] });
      roster.healths.set('payments', { calls: 100, failed: 0, slow: 0, rejected: 0 });
      const latency = new LatencyHistogram();
      roster.latencies.set('payments', latency);
      for (let i = 0; i < 19; i++) latency.record(900, 16);
      await seconds(1);
      expect(level()).to.equal(0);
      latency.record(900);
      await seconds(1);
      expect(level()).to.equal(1);
      expect(brownout.view().reason).to.match(/^p99 of payments is \d+ ms over 20 sampled calls/);
      latency.clear();
      await seconds(2);
      expect(level()).to.equal(1);
      await seconds(1);
      expect(level()).to.equal(0);
    });

    it("is the higher of the rules' level and the operator's", async () => {
      await put({ level: 1, reason: 'sale', rules: [{ ...openRule, for: '0s' }] });
      trip();
      await seconds(1);
      expect(brownout.view()).to.include({ level: 2, source: 'rule' });
      await put({ level: 2, reason: 'more' });
      expect(brownout.view()).to.include({ level: 2, source: 'operator' });
      await put({ rules: [] });
      await put({ level: 0 });
      expect(level()).to.equal(0);
    });

    it('has a timer only while there are rules', async () => {
      expect(clock.pendingTimers).to.equal(0);
      await put({ rules: [openRule] });
      expect(clock.pendingTimers).to.equal(1);
      await put({ rules: [] });
      expect(clock.pendingTimers).to.equal(0);
    });

    it('lapses at agents that hear no more of it, and is told anew before', async () => {
      await put({ rules: [{ ...openRule, for: '0s' }] });
      trip();
      await seconds(1);
      expect(brownout.message()).to.include({ level: 2, ttlMs: 60_000, revision: 0 });
      const version = brownout.version ?? Number.NaN;
      let told = 0;
      brownout.onVersion(() => told++);
      await seconds(60);
      expect(told).to.equal(3);
      expect(brownout.version).to.equal(version + 3);
      expect(changes).to.have.length(2);
    });

    it('does not take back after a restart what it has not seen enough for', async () => {
      await put({ rules: [openRule] });
      const restarted = start();
      expect(restarted.version).to.equal(undefined);
      let told = 0;
      restarted.onVersion(() => told++);
      await seconds(14);
      expect(restarted.version).to.equal(undefined);
      await seconds(1);
      expect(restarted.version).to.be.a('number');
      expect(told).to.equal(1);
    });

    it('tells at once after a restart what is open, and what an operator says', async () => {
      await put({ rules: [openRule] });
      const [one, two] = [start(), start()];
      trip();
      await seconds(11);
      expect(one.message()).to.include({ level: 2 });
      expect(one.version).to.be.a('number');
      const fresh = start();
      roster.circuitRows = [];
      await put({ level: 1, reason: 'sale' });
      await put({ level: 0 });
      expect(fresh.version).to.be.a('number');
      expect(two.view().level).to.equal(2);
    });
  });

  it('survives a listener that throws', async () => {
    brownout.onChange(() => {
      throw new Error('no');
    });
    await put({ level: 1, reason: 'sale' });
    await until(() => changes.length === 1, { what: 'the change' });
    expect(level()).to.equal(1);
  });
});
