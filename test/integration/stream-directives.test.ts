/** Directives over real sockets: with the first message, at once, to all, and to nobody who has no word for them. */
import { expect } from 'chai';
import { CircuitRoom } from '../../control-plane/coordination/room.js';
import { openMirror } from '../../control-plane/mirror.js';
import { openStore } from '../../control-plane/store/open.js';
import { silentLogger } from '../../control-plane/telemetry/logger.js';
import { systemClock } from '../../core/clock.js';
import { parsePolicy } from '../../core/policy/parse.js';
import { systemRandom } from '../../core/random.js';
import type { Hello, Report } from '../../proto/messages.js';
import { cell } from '../support/circuit-rooms.js';
import { clusterPolicy } from '../support/cluster-mesh.js';
import { type Plane, startPlane } from '../support/stream/plane.js';
import { RawAgent } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';

const ID = 'inventory|inventory-default';

describe('stream: directives', function () {
  this.timeout(30_000);
  let plane: Plane;
  let circuits: CircuitRoom;
  let agents: RawAgent[];
  let close: () => Promise<void>;

  beforeEach(async () => {
    agents = [];
    const store = await openStore('memory', { mesh: 'test', replica: 'r1' });
    const mirror = await openMirror(store, { replica: 'r1' });
    const common = {
      mirror,
      store,
      replica: 'r1',
      clock: systemClock,
      random: systemRandom,
      logger: silentLogger,
    };
    circuits = new CircuitRoom(common);
    plane = await startPlane({ store, mirror, circuits });
    const parsed = parsePolicy(clusterPolicy({ openFor: '30s' }));
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
    const { name, document } = parsed.policy;
    const operations = [{ kind: 'put', name, document, expected: 'any' }] as const;
    await mirror.write({ requestId: 'r', author: 'test', action: 'put', operations });
    close = async () => {
      await plane.close();
      await circuits.close();
      await store.close();
    };
  });
  afterEach(async () => {
    for (const agent of agents) agent.close();
    await close();
  });

  const join = async (instance: string, hello: Partial<Hello> = {}) => {
    const agent = await RawAgent.connect(plane.address, { service: 'shop', instance, ...hello });
    agents.push(agent);
    return agent;
  };
  const report = (agent: RawAgent, seq: number, said: Partial<Report>) =>
    agent.say({
      message: 'report',
      report: { seq, elapsedMs: 1_000, cells: [], probes: [], circuits: [], rates: [], ...said },
    });
  const opened = async () => {
    const callers = await Promise.all(['a', 'b', 'c', 'd'].map((name) => join(name)));
    for (const caller of callers) report(caller, 1, { cells: [cell({ failed: 10 })] });
    return callers;
  };

  it('reach all agents of the callee when its circuit opens, also those that never called', async () => {
    const [silent, elsewhere] = await Promise.all([
      join('silent'),
      join('elsewhere', { callees: ['ledger'] }),
    ]);
    const other = await join('other', { service: 'stock', callees: ['ledger'] });
    const callers = await opened();
    for (const agent of [silent, elsewhere, ...callers]) {
      const { directives } = await until(() => agent.last('directives'), { what: 'directives' });
      expect(directives).to.have.length(1);
      expect(directives[0]).to.deep.include({
        circuit: ID,
        state: 'open',
        circuitEpoch: 1,
        admitPercent: 100,
        permits: [],
      });
      expect(directives[0]?.ttlMs).to.equal(10_000);
      expect(directives[0]?.reason).to.not.equal('');
    }
    expect(other.all('directives')).to.deep.equal([]);
  });

  it('come before the first policies to whoever connects meanwhile', async () => {
    const [caller] = await opened();
    await until(() => caller?.last('directives'), { what: 'the opening' });
    const late = await join('late');
    await until(() => late.last('delta'), { what: 'policies' });
    const kinds = late.heard.map(({ message }) => message);
    expect(kinds.indexOf('directives')).to.be.within(0, kinds.indexOf('delta') - 1);
    await until(() => late.all('directives').length >= 2, { what: 'a renewal' });
    expect(late.all('directives').length).to.equal(2);
  });

  it('are none to agents of 1.1, which would have no use for them', async () => {
    const older = await join('older', { protocol: { major: 1, minor: 1 } });
    const [caller] = await opened();
    await until(() => caller?.last('directives'), { what: 'the opening' });
    await join('after', { protocol: { major: 1, minor: 1 } });
    for (const agent of agents.filter((each) => each === older || each === agents.at(-1)))
      expect(agent.all('directives')).to.deep.equal([]);
  });

  it('follow no report that is stale, or that no process could have had', async () => {
    const agents = await Promise.all(['a', 'b', 'c', 'd'].map((name) => join(name, { concurrency: 1 })));
    for (const agent of agents) {
      report(agent, 2, { cells: [cell({ ok: 1 })] });
      report(agent, 1, { cells: [cell({ failed: 10 })] });
      report(agent, 2, { cells: [cell({ failed: 10 })] });
      report(agent, 3, { cells: [cell({ failed: 1_000_000 })] });
    }
    await until(() => plane.tally.ignoredThings.length >= 8, { what: 'stale reports' });
    await until(() => circuits.views()[0]?.view.spans.at(-1)?.agents === 4, { what: 'what was true' });
    expect(circuits.views()[0]?.view.spans.at(-1)).to.include({ calls: 4, failed: 0 });
    expect(circuits.views()[0]?.record.state).to.equal('closed');
  });
});
