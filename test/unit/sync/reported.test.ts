/** What agents report is kept within bounds, and forgotten in time. */
import { expect } from 'chai';
import { Admission } from '../../../control-plane/grpc/admission.js';
import { ReportedCircuits } from '../../../control-plane/grpc/circuits.js';
import { HealthWindow } from '../../../control-plane/grpc/health-window.js';
import { noMetrics } from '../../../control-plane/grpc/metrics.js';
import { Reports } from '../../../control-plane/grpc/reports.js';
import type { Room } from '../../../control-plane/grpc/room.js';
import type { CircuitChange } from '../../../control-plane/ports.js';
import { seededRandom } from '../../../core/random.js';
import type { CircuitState, Report } from '../../../proto/messages.js';
import { helloOf } from '../../support/stream/raw-agent.js';

const circuit = (policy: string, state: string): CircuitState => ({
  id: `inventory|${policy}`,
  callee: 'inventory',
  method: '',
  state,
  policy,
  revision: 1,
  epoch: 1,
  retryAfterMs: 0,
  reason: '',
});
const options = { whole: false, possible: () => true, now: 0 };

describe('reports of an agent', () => {
  it('tell of what they found on connecting as found, and of what changed since as news', () => {
    const changes: CircuitChange[] = [];
    const room = {
      metrics: noMetrics,
      events: { circuit: (change: CircuitChange) => void changes.push(change), changed: () => {} },
      mirror: { revision: 9, policy: () => ({}) },
    } as unknown as Room;
    const reports = new Reports(helloOf({ agent: 'checkout/a' }), room, undefined);
    const report = (seq: number, ...circuits: CircuitState[]): Report => ({
      ...{ seq, elapsedMs: 0, cells: [], probes: [], rates: [], circuits },
    });
    reports.take(report(1, circuit('a', 'open')), 0);
    reports.take(report(2, circuit('b', 'open')), 1);
    expect(changes.map(({ row, found }) => [row.policy, found])).to.deep.equal([
      ['a', true],
      ['b', undefined],
    ]);
  });
});

describe('reported circuits', () => {
  it('keeps a bounded number, and the closed ones go first', () => {
    const circuits = new ReportedCircuits('checkout/a');
    circuits.report(
      Array.from({ length: 1000 }, (_, i) => circuit(`p${i}`, 'closed')),
      options,
    );
    expect(circuits.report([circuit('new', 'closed')], options).ignored).to.equal(1);
    expect(circuits.report([circuit('worse', 'open')], options).ignored).to.equal(0);
    const rows = circuits.rows(5);
    expect(rows).to.have.length(1000);
    expect(rows.find(({ policy }) => policy === 'worse')).to.include({ state: 'open', ageMs: 5 });
  });

  it('a whole report takes the place of what was said before', () => {
    const circuits = new ReportedCircuits('checkout/a');
    circuits.report([circuit('a', 'open'), circuit('b', 'open')], options);
    circuits.report([circuit('a', 'open')], { ...options, whole: true });
    expect(circuits.rows(0).map(({ policy }) => policy)).to.deep.equal(['a']);
  });

  it('the time until it tries again runs out while nobody says anything new', () => {
    const circuits = new ReportedCircuits('checkout/a');
    circuits.report([{ ...circuit('a', 'open'), retryAfterMs: 30_000 }], options);
    expect(circuits.rows(9_135.3)[0]).to.include({ retryAfterMs: 20_865 });
    expect(circuits.rows(40_000)[0]).to.include({ retryAfterMs: 0 });
  });

  it('one that no policy asks for any more is news once, and then gone', () => {
    const circuits = new ReportedCircuits('checkout/a');
    circuits.report([circuit('a', 'open')], options);
    const { changes } = circuits.report([circuit('a', 'disabled')], options);
    expect(changes.map(({ before, row }) => `${before} ${row.state}`)).to.deep.equal(['open disabled']);
    expect(circuits.rows(0)).to.deep.equal([]);
  });

  it('news is what differs from before; closed is no news of a circuit that is new', () => {
    const circuits = new ReportedCircuits('checkout/a');
    const changes = (state: string) =>
      circuits
        .report([circuit('a', state)], options)
        .changes.map(({ before, row }) => `${before} ${row.state}`);
    expect(changes('closed')).to.deep.equal([]);
    expect(changes('open')).to.deep.equal(['closed open']);
    expect(changes('open')).to.deep.equal([]);
    expect(changes('half-open')).to.deep.equal(['open half-open']);
  });
});

describe('health of a service', () => {
  const seen = { ok: 8, failed: 2, slow: 3, rejected: 1 };

  it('adds up ten seconds and forgets what is older, second by second', () => {
    const health = new HealthWindow();
    for (let second = 0; second < 15; second++) health.record('inventory', seen, second * 1000);
    expect(health.of('inventory', 14_999)).to.deep.equal({
      calls: 100,
      failed: 20,
      slow: 30,
      rejected: 10,
    });
    expect(health.of('inventory', 19_999).calls).to.equal(50);
    expect(health.of('inventory', 3_600_000).calls).to.equal(0);
  });

  it('after an hour of idleness counts only what is new', () => {
    const health = new HealthWindow();
    health.record('inventory', seen, 0);
    health.record('inventory', seen, 3_600_000);
    expect(health.of('inventory', 3_600_000)).to.deep.equal({
      calls: 10,
      failed: 2,
      slow: 3,
      rejected: 1,
    });
  });

  it('keeps a bounded number of names, and makes room for new ones when the old are idle', () => {
    const health = new HealthWindow();
    for (let i = 0; i < 10_001; i++) health.record(`s${i}`, seen, 0);
    expect(health.of('s10000', 0).calls).to.equal(0);
    health.record('late', seen, 11_000);
    expect(health.of('late', 11_000).calls).to.equal(10);
  });
});

describe('admission', () => {
  it('lets a burst in, then a steady rate', () => {
    const admission = new Admission({ burst: 10, perSecond: 100 }, seededRandom(7), 0);
    const admitted = (from: number, toMs: number) => {
      let count = 0;
      for (let now = from; now < toMs; now++) if (admission.admit(now) === undefined) count++;
      return count;
    };
    expect(admitted(0, 10)).to.equal(10);
    expect(admitted(10, 1010)).to.be.within(99, 101);
  });

  it('has a place in a line for each that it turns away: who comes then is let in', () => {
    const random = seededRandom(7);
    const admission = new Admission({ burst: 20, perSecond: 100 }, random, 0);
    let waiting = Array.from({ length: 1_000 }, () => 0);
    const told = waiting.map((at) => admission.admit(at)).filter((wait) => wait !== undefined);
    expect(told).to.deep.equal(Array.from({ length: 980 }, (_, i) => (i + 1) * 10));
    // As agents do: half a second later at most.
    waiting = told.map((wait) => wait + random.next() * 500).sort((a, b) => a - b);
    expect(waiting.map((at) => admission.admit(at)).filter((wait) => wait !== undefined)).to.deep.equal([]);
  });

  it('has a line that ends: beyond it, everybody is told some moment within it', () => {
    const admission = new Admission({ burst: 1, perSecond: 1 }, seededRandom(7), 0);
    admission.admit(0);
    const told = Array.from({ length: 1_000 }, () => admission.admit(0) ?? 0);
    expect(told.slice(0, 30)).to.deep.equal(Array.from({ length: 30 }, (_, i) => (i + 1) * 1_000));
    expect(Math.max(...told)).to.equal(30_000);
    expect(new Set(told.slice(30)).size).to.be.above(900);
    expect(admission.admit(5_000)).to.equal(undefined);
  });
});
