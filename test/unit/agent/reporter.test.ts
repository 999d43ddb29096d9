/**
 * What is reported, when, and how much at most.
 */
import { expect } from 'chai';
import { Reporter } from '../../../agent/reporter.js';
import type { Cell, CircuitChange } from '../../../agent/targets.js';
import type { RateDemand } from '../../../proto/messages.js';
import { keptOutlet } from '../../support/outlet.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const intervals = { heartbeatMs: 0, reportMs: 1_000, urgentReportMs: 100 };

function cell(callee: string, ok = 1): Cell {
  return { callee, method: '', ok, failed: 0, slow: 0, rejected: 0, blocked: 0, latency: new Uint8Array(0) };
}

function change(callee: string, to: CircuitChange['to']): CircuitChange {
  return {
    id: `${callee}|p`,
    callee,
    method: '',
    from: 'closed',
    to,
    policy: 'p',
    revision: 7,
    epoch: 2,
    retryAfterMs: 1_199.5,
    reason: '5 of 10 calls failed',
  };
}

function setUp() {
  const clock = new VirtualClock();
  let cells: Cell[] = [];
  let circuits: CircuitChange[] = [];
  let made = 0;
  let demands: RateDemand[] = [];
  const reporter = new Reporter(clock, {
    drainCells: () => cells.splice(0),
    rateDemands: () => demands.splice(0),
    circuits: () => circuits,
    get circuitsMade() {
      return made;
    },
  });
  reporter.start();
  const outlet = keptOutlet();
  return {
    clock,
    reporter,
    outlet,
    calls: (...more: Cell[]) => {
      cells = [...cells, ...more];
    },
    pending: () => cells.length,
    asked: (...more: RateDemand[]) => {
      demands = [...demands, ...more];
    },
    demanded: () => demands.length,
    has: (...present: CircuitChange[]) => {
      circuits = present;
      made++;
    },
    reports: () => outlet.of('report').map(({ report }) => report),
  };
}

describe('the reporter', () => {
  it('begins a stream with all circuits', () => {
    const { reporter, outlet, has, reports } = setUp();
    has(change('inventory', 'open'), change('payments', 'closed'));
    reporter.use(outlet, intervals);
    expect(reports()[0]?.circuits.map(({ id, state }) => [id, state])).to.deep.equal([
      ['inventory|p', 'open'],
      ['payments|p', 'closed'],
    ]);
    expect(reports()[0]?.circuits[0]).to.include({ revision: 7, epoch: 2, retryAfterMs: 1_200 });
  });

  it('reports once a second what had traffic, with numbers that grow, and nothing while nothing happens', () => {
    const { clock, reporter, outlet, calls, reports } = setUp();
    reporter.use(outlet, intervals);
    clock.advance(5_000);
    expect(reports()).to.have.length(1);
    calls(cell('inventory', 3));
    clock.advance(1_000);
    calls(cell('inventory', 4));
    clock.advance(1_000);
    expect(reports().map(({ seq, elapsedMs, cells }) => [seq, elapsedMs, cells[0]?.ok])).to.deep.equal([
      [1, 0, undefined],
      [2, 1_000, 3],
      [3, 1_000, 4],
    ]);
  });

  it('tells a change of a circuit at once, and what follows 100 ms later, the last word of each', () => {
    const { clock, reporter, outlet, reports } = setUp();
    reporter.use(outlet, intervals);
    clock.advance(500);
    reporter.circuit(change('inventory', 'open'));
    clock.advance(0);
    expect(reports()[1]?.circuits[0]?.state).to.equal('open');
    reporter.circuit(change('inventory', 'half-open'));
    reporter.circuit(change('inventory', 'closed'));
    clock.advance(99);
    expect(reports()).to.have.length(2);
    clock.advance(1);
    expect(reports()[2]?.circuits.map(({ state }) => state)).to.deep.equal(['closed']);
  });

  it('tells of a circuit once when it comes into being, closed as it is', () => {
    const { clock, reporter, outlet, has, reports } = setUp();
    reporter.use(outlet, intervals);
    has(change('inventory', 'closed'));
    clock.advance(5_000);
    expect(reports().map(({ circuits }) => circuits.map(({ id, state }) => [id, state]))).to.deep.equal([
      [],
      [['inventory|p', 'closed']],
    ]);
    has(change('inventory', 'closed'), change('payments', 'closed'));
    clock.advance(1_000);
    expect(reports()[2]?.circuits.map(({ id }) => id)).to.deep.equal(['payments|p']);
  });

  it('says of a circuit that no policy asks for any more that it is disabled', () => {
    const { clock, reporter, outlet, has, reports } = setUp();
    has(change('inventory', 'open'));
    reporter.use(outlet, intervals);
    has();
    reporter.refreshed();
    clock.advance(100);
    expect(reports()[1]?.circuits[0]).to.include({ id: 'inventory|p', state: 'disabled', retryAfterMs: 0 });
    reporter.refreshed();
    clock.advance(1_000);
    expect(reports()).to.have.length(2);
  });

  it('says of a circuit that is watched instead of enforced that it is, once, and the other way round', () => {
    const { clock, reporter, outlet, has, reports } = setUp();
    has(change('inventory', 'open'));
    reporter.use(outlet, intervals);
    const shadow = { ...change('inventory', 'shadow'), revision: 8 };
    has(shadow);
    reporter.refreshed();
    clock.advance(5_000);
    has(shadow, change('payments', 'closed'));
    reporter.refreshed();
    clock.advance(5_000);
    has({ ...change('inventory', 'closed'), revision: 9 }, change('payments', 'closed'));
    reporter.refreshed();
    clock.advance(5_000);
    expect(
      reports().map(({ circuits }) =>
        circuits.map(({ id, state, revision }) => `${id} ${state} @${revision}`),
      ),
    ).to.deep.equal([
      ['inventory|p open @7'],
      ['inventory|p shadow @8'],
      ['payments|p closed @7'],
      ['inventory|p closed @9'],
    ]);
  });

  it('lets what holds now replace what waits to be told', () => {
    const { clock, reporter, outlet, has, reports } = setUp();
    reporter.use(outlet, intervals);
    reporter.circuit(change('inventory', 'open'));
    has({ ...change('inventory', 'shadow'), revision: 8 });
    reporter.refreshed();
    clock.advance(5_000);
    expect(reports()[1]?.circuits.map(({ state, revision }) => [state, revision])).to.deep.equal([
      ['shadow', 8],
    ]);
    expect(reports()).to.have.length(2);
  });

  it('tells of the new revision of a policy once, and nothing more where nothing is new', () => {
    const { clock, reporter, outlet, has, reports } = setUp();
    has(change('inventory', 'closed'), change('payments', 'closed'));
    reporter.use(outlet, intervals);
    has({ ...change('inventory', 'closed'), revision: 8 }, change('payments', 'closed'));
    for (let i = 0; i < 5; i++) {
      reporter.refreshed();
      clock.advance(1_000);
    }
    expect(reports().map(({ circuits }) => circuits.length)).to.deep.equal([2, 1]);
    expect(reports()[1]?.circuits[0]).to.include({ id: 'inventory|p', revision: 8 });
  });

  it('says nothing of an end to a circuit that is back before anybody was told', () => {
    const { clock, reporter, outlet, has, reports } = setUp();
    has(change('inventory', 'open'));
    reporter.use(outlet, intervals);
    has();
    reporter.refreshed();
    has(change('inventory', 'closed'));
    clock.advance(100);
    expect(reports()[1]?.circuits.map(({ state }) => state)).to.deep.equal(['closed']);
  });

  it('tells of no circuit twice, however many came and went before', () => {
    const { clock, reporter, outlet, has, reports } = setUp();
    has(...Array.from({ length: 10_000 }, (_, i) => change(`old-${i}`, 'closed')));
    reporter.use(outlet, intervals);
    const before = reports().length;
    const young = [change('young', 'closed')];
    has(...young);
    clock.advance(1_000);
    has(...young, change('younger', 'closed'));
    clock.advance(1_000);
    const told = reports()
      .slice(before)
      .flatMap(({ circuits }) => circuits.map(({ callee }) => callee));
    expect(told).to.deep.equal(['young', 'younger']);
  });

  it('drops what happens while nobody listens', () => {
    const { clock, reporter, outlet, calls, pending, reports } = setUp();
    calls(cell('inventory'));
    clock.advance(1_000);
    expect(pending()).to.equal(0);
    calls(cell('inventory'));
    reporter.use(outlet, intervals);
    expect(reports()[0]?.cells).to.deep.equal([]);
    reporter.use(undefined);
    calls(cell('inventory'));
    reporter.circuit(change('inventory', 'open'));
    clock.advance(10_000);
    expect(pending()).to.equal(0);
    expect(reports()).to.have.length(1);
  });

  it('tells once a second what limits of the mesh were asked for, also when nothing else happened', () => {
    const { clock, reporter, outlet, asked, reports } = setUp();
    reporter.use(outlet, intervals);
    asked({ id: 'inventory|p', asked: 3 }, { id: 'x'.repeat(1_025), asked: 1 }, { id: 'a|p\n', asked: 1 });
    clock.advance(2_000);
    asked({ id: 'inventory|p', asked: 2 ** 40 });
    clock.advance(1_000);
    expect(reports().map(({ rates }) => rates)).to.deep.equal([
      [],
      [{ id: 'inventory|p', asked: 3 }],
      [{ id: 'inventory|p', asked: 2 ** 32 - 1 }],
    ]);
  });

  it('drops what was asked for while nobody listens, and cuts what is too much off', () => {
    const { clock, reporter, outlet, asked, demanded, reports } = setUp();
    asked({ id: 'inventory|p', asked: 3 });
    reporter.use(outlet, intervals);
    expect(demanded()).to.equal(0);
    asked(...Array.from({ length: 1_100 }, (_, i) => ({ id: `c${i}|p`, asked: 1 })));
    clock.advance(1_000);
    expect(reports().map(({ rates }) => rates.length)).to.deep.equal([0, 400, 400, 200]);
  });

  it('waits for a peer that reads slowly, without losing a count', () => {
    const { clock, reporter, outlet, calls, reports } = setUp();
    reporter.use(outlet, intervals);
    outlet.congested = true;
    calls(cell('inventory', 5));
    clock.advance(3_000);
    expect(reports()).to.have.length(1);
    outlet.congested = false;
    clock.advance(1_000);
    expect(reports()[1]).to.include({ elapsedMs: 4_000 });
    expect(reports()[1]?.cells[0]?.ok).to.equal(5);
  });

  it('cuts what is much into messages of 400, and what is too much off', () => {
    const { clock, reporter, outlet, calls, reports } = setUp();
    reporter.use(outlet, intervals);
    calls(...Array.from({ length: 10_500 }, (_, i) => cell(`c${i}`)));
    clock.advance(1_000);
    const sizes = reports().map(({ cells }) => cells.length);
    expect(Math.max(...sizes)).to.equal(400);
    expect(sizes.reduce((a, b) => a + b)).to.equal(10_000);
    const seqs = reports().map(({ seq }) => seq);
    expect(seqs).to.deep.equal(seqs.map((_, i) => i + 1));
  });

  it('leaves out names that the wire refuses', () => {
    const { clock, reporter, outlet, calls, reports } = setUp();
    reporter.use(outlet, intervals);
    calls(cell(''), cell('a\nb'), cell('x'.repeat(257)), cell('my database'));
    clock.advance(1_000);
    expect(reports()[1]?.cells.map(({ callee }) => callee)).to.deep.equal(['my database']);
  });

  it('leaves no timer', () => {
    const { clock, reporter, outlet } = setUp();
    reporter.use(outlet, intervals);
    reporter.circuit(change('inventory', 'open'));
    reporter.close();
    expect(clock.pendingTimers).to.equal(0);
  });
});
