/**
 * What can't wait for the next report: calls under a circuit of the mesh that begin to fail or to be slow, and results of probes.
 */
import { expect } from 'chai';
import { Reporter } from '../../../agent/reporter.js';
import type { Target } from '../../../agent/target.js';
import { Targets } from '../../../agent/targets.js';
import type { Effective } from '../../../core/policy/model.js';
import { keptLogger } from '../../support/logs.js';
import { keptOutlet } from '../../support/outlet.js';
import { circuitSpec, effectiveOf, evenRandom } from '../../support/specs.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const intervals = { heartbeatMs: 0, reportMs: 1_000, urgentReportMs: 100 };
const ofTheMesh = effectiveOf({ circuit: circuitSpec({ scope: 'cluster', slowCallMs: 500 }) });

function setUp(effective: Effective = ofTheMesh, cluster = true) {
  const clock = new VirtualClock();
  const targets = new Targets({
    service: 'checkout',
    clock,
    random: evenRandom,
    logger: keptLogger(),
    effective: () => effective,
    onNewCallee: () => {},
    onCircuit: () => {},
    onBad: () => reporter.bad(),
  });
  const reporter = new Reporter(clock, targets);
  const outlet = keptOutlet();
  reporter.start();
  reporter.use(outlet, intervals, cluster);
  const target = targets.get('inventory');
  /** When each report came, and what it says of failed calls. */
  const reports = () => outlet.of('report').map(({ report }) => report);
  return { clock, targets, reporter, outlet, target, reports };
}

function fail(target: Target): void {
  target.count('failure', 1);
}

describe('an urgent report', () => {
  it('goes out at once with the first failure, and not before there is one', () => {
    const { clock, target, reports } = setUp();
    clock.advance(300);
    for (let i = 0; i < 100; i++) target.count('success', 1);
    clock.advance(100);
    expect(reports()).to.have.length(1);
    fail(target);
    clock.advance(0);
    expect(reports()).to.have.length(2);
    expect(reports()[1]?.cells[0]).to.include({ ok: 100, failed: 1 });
    expect(reports()[1]?.elapsedMs).to.equal(400);
  });

  it('goes out with the first slow call', () => {
    const { clock, target, reports } = setUp();
    clock.advance(300);
    target.count('success', 500);
    clock.advance(0);
    expect(reports()[1]?.cells[0]).to.include({ ok: 1, slow: 1 });
  });

  it('comes at most every 100 ms while it gets worse, until a report that was due has told of it', () => {
    const { clock, target, reports } = setUp();
    clock.advance(500);
    const failing = () => {
      for (let i = 0; i < 100; i++) {
        fail(target);
        clock.advance(10);
      }
    };
    failing();
    // From 500 ms on every 100 ms, and the one at 1,000 ms that was due anyway.
    expect(reports().length - 1).to.equal(6);
    const sent = reports().length;
    failing();
    failing();
    expect(reports().length - sent).to.equal(2);
  });

  it('comes again once a report had nothing bad in it', () => {
    const { clock, target, reports } = setUp();
    clock.advance(900);
    fail(target);
    clock.advance(100);
    clock.advance(1_000);
    target.count('success', 1);
    clock.advance(1_000);
    const sent = reports().length;
    clock.advance(200);
    fail(target);
    clock.advance(0);
    expect(reports().length - sent).to.equal(1);
  });

  it('is not made of a circuit of this agent alone', () => {
    const { clock, target, reports } = setUp(effectiveOf({ circuit: circuitSpec() }));
    clock.advance(300);
    fail(target);
    clock.advance(600);
    expect(reports()).to.have.length(1);
    clock.advance(100);
    expect(reports()[1]?.cells[0]).to.include({ failed: 1 });
  });

  it('is not made for a control plane that coordinates no circuits', () => {
    const { clock, target, reporter, reports } = setUp(ofTheMesh, false);
    clock.advance(300);
    target.countAt({ instance: '10.0.0.1:50051' }, 'failure', 1);
    reporter.probed('inventory|p', 257, true);
    clock.advance(600);
    expect(reports()).to.have.length(1);
    clock.advance(100);
    expect(reports()[1]?.probes).to.deep.equal([]);
    expect(reports()[1]?.cells[0]).to.include({ failed: 1, endpoint: '' });
  });

  it('tells results of probes, together where they come together', () => {
    const { clock, reporter, reports } = setUp();
    clock.advance(300);
    reporter.probed('inventory|p', 257, true);
    reporter.probed('payments|p', 513, false);
    clock.advance(0);
    expect(reports()[1]?.probes).to.deep.equal([
      { circuit: 'inventory|p', permit: 257, ok: true },
      { circuit: 'payments|p', permit: 513, ok: false },
    ]);
    reporter.probed('inventory|p', 258, true);
    clock.advance(99);
    expect(reports()).to.have.length(2);
    clock.advance(1);
    expect(reports()).to.have.length(3);
  });

  it('keeps at most 1,000 results of probes, and none for the next stream', () => {
    const { clock, reporter, reports, outlet } = setUp();
    for (let i = 0; i < 1_001; i++) reporter.probed('inventory|p', i, true);
    clock.advance(1_000);
    expect(reports().reduce((sum, { probes }) => sum + probes.length, 0)).to.equal(1_000);
    const sent = reports().length;
    reporter.use(undefined);
    reporter.probed('inventory|p', 1, true);
    reporter.use(outlet, intervals, true);
    clock.advance(2_000);
    expect(
      reports()
        .slice(sent)
        .flatMap(({ probes }) => probes),
    ).to.deep.equal([]);
  });

  it('waits for a peer that reads slowly', () => {
    const { clock, target, reports, outlet } = setUp();
    clock.advance(300);
    outlet.congested = true;
    fail(target);
    clock.advance(100);
    expect(reports()).to.have.length(1);
    outlet.congested = false;
    clock.advance(600);
    expect(reports()[1]?.cells[0]).to.include({ failed: 1 });
  });
});

describe('cells by instance', () => {
  const at = (port: number) => ({ instance: `10.0.0.1:${port}` });

  it('say where calls went; what went nowhere that is known, and what isn’t about one, stands apart', () => {
    const { targets, target } = setUp();
    target.countAt(at(1), 'success', 1);
    target.countAt(at(1), 'failure', 600);
    target.countAt(at(2), 'success', 1);
    target.countAt(at(2), 'neutral', 1);
    target.countAt({ instance: 'dns:inventory:50051' }, 'failure', 1);
    target.countAt({ instance: 'unknown' }, 'failure', 1);
    target.reject('circuit_open', 'retry in 1000 ms', 'circuit');
    const cells = targets
      .drainCells()
      .map(({ latency, ...cell }) => ({ ...cell, timed: latency.length > 0 }));
    const base = { callee: 'inventory', method: '', slow: 0, rejected: 0, blocked: 0, timed: false };
    expect(cells).to.deep.equal([
      { ...base, endpoint: '10.0.0.1:1', ok: 1, failed: 1, slow: 1 },
      { ...base, endpoint: '10.0.0.1:2', ok: 1, failed: 0 },
      { ...base, ok: 0, failed: 2, rejected: 1, blocked: 1, timed: true },
    ]);
    target.countAt(at(3), 'success', 1);
    expect(targets.drainCells()[0]).to.include({ endpoint: '10.0.0.1:3', ok: 1, failed: 0 });
  });

  it('are at most 64; others count for the target', () => {
    const { targets, target } = setUp();
    for (let port = 1; port <= 100; port++) target.countAt(at(port), 'success', 1);
    const cells = targets.drainCells();
    expect(cells).to.have.length(65);
    expect(cells.at(-1)).to.include({ ok: 36 }).and.not.have.property('endpoint');
  });

  it('are not kept for a circuit of this agent alone', () => {
    const { targets, target } = setUp(effectiveOf({ circuit: circuitSpec() }));
    target.countAt(at(1), 'success', 1);
    expect(target.endpoints).to.equal(undefined);
    expect(targets.drainCells()[0]).to.include({ ok: 1 }).and.not.have.property('endpoint');
  });
});
