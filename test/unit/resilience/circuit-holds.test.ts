/**
 * What lies over the circuit's own decisions: holds, modes, a live change of its policy, and what a former process left.
 */
import { expect } from 'chai';
import { NONE } from '../../../core/resilience/permits.js';
import { TestCircuit } from '../../support/circuits.js';
import { circuitSpec } from '../../support/specs.js';

describe('forced open', () => {
  it('turns all away until the hold’s time is over, and never recovers by itself before', () => {
    const circuit = new TestCircuit();
    circuit.circuit.hold(60_000, circuit.now, 'by ana: payments is being moved');
    expect(circuit.state).to.equal('forced-open');
    circuit.now += 59_999;
    expect(circuit.rejection()).to.equal('retry in 1 ms');
    circuit.now += 1;
    expect(circuit.state).to.equal('closed');
    expect(circuit.calls(5, 'success')).to.equal(5);
  });

  it('holds as long as any of its owners does; each releases only its own', () => {
    const circuit = new TestCircuit();
    const operator = circuit.circuit.hold(60_000, 0, 'operator');
    const cluster = circuit.circuit.hold(10_000, 0, 'cluster');
    expect(circuit.circuit.release(operator, 0)).to.equal(true);
    expect(circuit.circuit.release(operator, 0)).to.equal(false);
    expect(circuit.state).to.equal('forced-open');
    expect(circuit.rejection()).to.equal('retry in 10000 ms');
    expect(circuit.circuit.release(cluster, 0)).to.equal(true);
    expect(circuit.state).to.equal('closed');
  });

  it('says so in words where it has no end', () => {
    const circuit = new TestCircuit();
    circuit.circuit.hold(Number.POSITIVE_INFINITY, 0, 'operator');
    circuit.now = 1e9;
    expect(circuit.circuit.refusal(circuit.now)).to.deep.equal({
      code: 'circuit_open',
      text: 'forced open until it is released',
      section: 'circuit',
    });
  });

  it('is a transition like any other: told once each way, each with an epoch of its own', () => {
    const circuit = new TestCircuit();
    const first = circuit.circuit.hold(60_000, 0, 'first');
    const second = circuit.circuit.hold(60_000, 0, 'second');
    circuit.circuit.release(first, 0);
    circuit.circuit.release(second, 0);
    expect(circuit.transitions).to.deep.equal([
      { from: 'closed', to: 'forced-open', epoch: 2, reason: 'first', retryAfterMs: 60_000 },
      { from: 'forced-open', to: 'closed', epoch: 3, reason: 'the hold was released', retryAfterMs: 0 },
    ]);
    expect(circuit.circuit.epoch).to.equal(3);
  });

  it('is told to be over when the first call after its time finds it so; reading changes nothing', () => {
    const circuit = new TestCircuit();
    circuit.circuit.hold(1_000, 0, 'operator');
    circuit.now = 1_000;
    expect(circuit.state).to.equal('closed');
    expect([circuit.path, circuit.circuit.epoch]).to.deep.equal([['forced-open'], 2]);
    circuit.calls(1, 'success');
    expect(circuit.path).to.deep.equal(['forced-open', 'closed']);
    expect(circuit.transitions.at(-1)?.reason).to.equal('the hold ran out');
    expect(circuit.circuit.epoch).to.equal(3);
  });

  it('makes results of calls from before it late', () => {
    const circuit = new TestCircuit();
    const handle = circuit.acquire();
    circuit.calls(19, 'failure');
    const hold = circuit.circuit.hold(60_000, 0, 'operator');
    circuit.end(handle, 'failure');
    expect(circuit.circuit.late).to.equal(1);
    circuit.circuit.release(hold, 0);
    expect(circuit.state).to.equal('closed');
  });

  it('leaves the time that it stays open of itself as it was', () => {
    const circuit = new TestCircuit().trip();
    const hold = circuit.circuit.hold(60_000, 0, 'operator');
    circuit.circuit.release(hold, 1_000);
    circuit.now = 1_000;
    expect([circuit.state, circuit.rejection()]).to.deep.equal(['open', 'retry in 4000 ms']);
  });

  it('ends a half-open round: the next call begins a new one, with all its permits', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    const probes = [circuit.acquire(), circuit.acquire(), circuit.acquire()];
    const hold = circuit.circuit.hold(60_000, circuit.now, 'operator');
    circuit.circuit.release(hold, circuit.now);
    expect(circuit.state).to.equal('half-open');
    for (const probe of probes) circuit.end(probe, 'failure');
    expect(circuit.calls(3, 'success')).to.equal(3);
    expect(circuit.state).to.equal('closed');
    expect(circuit.path).to.deep.equal(['open', 'half-open', 'forced-open', 'half-open', 'closed']);
  });
});

describe('shadow', () => {
  it('turns nobody away, and tells of each whom it would have', () => {
    const circuit = new TestCircuit(circuitSpec(), { mode: 'shadow' });
    expect(circuit.calls(100, 'failure')).to.equal(100);
    expect(circuit.path).to.deep.equal(['open']);
    expect(circuit.wouldReject).to.have.lengthOf(80);
    expect(circuit.wouldReject[0]).to.deep.equal({
      code: 'circuit_open',
      text: 'retry in 5000 ms',
      retryAfterMs: 5_000,
      section: 'circuit',
    });
  });

  it('runs the whole machine: only those it would have let through decide', () => {
    const circuit = new TestCircuit(circuitSpec(), { mode: 'shadow' });
    circuit.calls(20, 'failure');
    circuit.now += 5_000;
    const probes = [circuit.acquire(), circuit.acquire(), circuit.acquire()];
    expect(circuit.calls(50, 'failure')).to.equal(50);
    for (const probe of probes) circuit.end(probe, 'success');
    expect(circuit.path).to.deep.equal(['open', 'half-open', 'closed']);
  });

  it('turns nobody away under a hold', () => {
    const circuit = new TestCircuit(circuitSpec(), { mode: 'shadow' });
    circuit.circuit.hold(1_000, 0, 'operator');
    expect(circuit.calls(5, 'success')).to.equal(5);
    expect(circuit.wouldReject).to.have.lengthOf(5);
  });
});

describe('disabled', () => {
  it('turns nobody away and records nothing', () => {
    const circuit = new TestCircuit(circuitSpec(), { mode: 'disabled' });
    expect(circuit.calls(100, 'failure')).to.equal(100);
    expect(circuit.state).to.equal('disabled');
    circuit.circuit.reconfigure(circuitSpec(), circuit.now, 'enforce');
    circuit.calls(19, 'failure');
    expect(circuit.state).to.equal('closed');
  });

  it('records nothing of a call that began before', () => {
    const circuit = new TestCircuit();
    const handles = Array.from({ length: 20 }, () => circuit.acquire());
    circuit.circuit.reconfigure(circuitSpec(), 0, 'disabled');
    for (const handle of handles) circuit.end(handle, 'failure');
    circuit.circuit.reconfigure(circuitSpec(), 0, 'enforce');
    circuit.calls(1, 'failure');
    expect(circuit.state).to.equal('closed');
    expect(circuit.path).to.deep.equal(['disabled', 'closed']);
  });

  it('leaves no half-open round hanging', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    const probes = [circuit.acquire(), circuit.acquire(), circuit.acquire()];
    circuit.circuit.reconfigure(circuitSpec(), circuit.now, 'disabled');
    for (const probe of probes) circuit.end(probe, 'success');
    circuit.circuit.reconfigure(circuitSpec(), circuit.now, 'enforce');
    expect(circuit.calls(3, 'success')).to.equal(3);
    expect(circuit.state).to.equal('closed');
  });
});

describe('a live change of the policy', () => {
  it('keeps the state, its epoch and the time until which it is open', () => {
    const circuit = new TestCircuit().trip();
    circuit.circuit.reconfigure(circuitSpec({ openForMs: 60_000, failureRate: 0.9 }), 0);
    expect([circuit.state, circuit.circuit.epoch]).to.deep.equal(['open', 2]);
    expect(circuit.rejection()).to.equal('retry in 5000 ms');
  });

  it('keeps the window where only thresholds change', () => {
    const circuit = new TestCircuit();
    circuit.calls(15, 'failure');
    circuit.circuit.reconfigure(circuitSpec({ minimumCalls: 16 }), 0);
    expect(circuit.state).to.equal('closed');
    circuit.calls(1, 'failure');
    expect(circuit.state).to.equal('open');
  });

  it('starts a fresh window where its shape changes, in the same state', () => {
    const circuit = new TestCircuit();
    circuit.calls(19, 'failure');
    circuit.circuit.reconfigure(circuitSpec({ window: { kind: 'count', calls: 100 } }), 0);
    circuit.calls(19, 'failure');
    expect([circuit.state, circuit.circuit.epoch]).to.deep.equal(['closed', 1]);
    circuit.calls(1, 'failure');
    expect(circuit.state).to.equal('open');
  });

  it('lets a half-open round end with the number of probes it began with', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    circuit.calls(1, 'success');
    circuit.circuit.reconfigure(circuitSpec({ halfOpen: { calls: 1, maxWaitMs: 1_000 } }), circuit.now);
    expect(circuit.state).to.equal('half-open');
    expect(circuit.calls(5, 'success')).to.equal(5);
    expect(circuit.state).to.equal('closed');
  });
});

describe('what a former process left', () => {
  it('is saved unless closed, as what remains of the open period', () => {
    const circuit = new TestCircuit();
    expect(circuit.circuit.save(0)).to.equal(undefined);
    circuit.trip();
    circuit.now = 1_500;
    expect(circuit.circuit.save(circuit.now)).to.deep.equal({ remainingMs: 3_500, openings: 1 });
    circuit.now = 9_000;
    expect(circuit.circuit.save(circuit.now)).to.deep.equal({ remainingMs: 0, openings: 1 });
    circuit.acquire();
    expect(circuit.circuit.save(circuit.now)).to.deep.equal({ remainingMs: 0, openings: 1 });
  });

  for (const [name, elapsedMs, remainingMs] of [
    ['less what has passed since', 1_000, 3_000],
    ['not less than nothing', 3_600_000, 0],
    ['never more than was saved, though the wall clock went back', -3_600_000, 4_000],
    ['all of it, where nobody knows how much has passed', Number.NaN, 4_000],
  ] as const) {
    it(`opens it for the time that was left: ${name}`, () => {
      const circuit = new TestCircuit();
      circuit.circuit.restore({ remainingMs: 4_000, openings: 2 }, elapsedMs, 0);
      expect(circuit.circuit.retryAfterMs(0)).to.equal(remainingMs);
      expect(circuit.state).to.equal(remainingMs === 0 ? 'half-open' : 'open');
    });
  }

  it('goes on doubling where it was', () => {
    const circuit = new TestCircuit();
    circuit.circuit.restore({ remainingMs: 4_000, openings: 2 }, 0, 0);
    circuit.now = 4_000;
    circuit.calls(2, 'failure');
    expect(circuit.circuit.retryAfterMs(circuit.now)).to.equal(20_000);
  });

  for (const remainingMs of [Number.NaN, Number.POSITIVE_INFINITY, 1e300, -1]) {
    it(`can't keep it open for ever: a file that says ${remainingMs} ms`, () => {
      const circuit = new TestCircuit();
      circuit.circuit.restore({ remainingMs, openings: Number.NaN }, 0, 0);
      circuit.now = 72_000;
      expect(circuit.calls(3, 'success')).to.equal(3);
      expect(circuit.state).to.equal('closed');
    });
  }

  it('does not undo what this process has found out', () => {
    const circuit = new TestCircuit().trip();
    circuit.circuit.restore({ remainingMs: 60_000, openings: 9 }, 0, 0);
    expect(circuit.circuit.retryAfterMs(0)).to.equal(5_000);
  });

  it('finds no row of a call of the past', () => {
    const circuit = new TestCircuit();
    circuit.end(NONE, 'failure');
    expect(circuit.permits.out).to.equal(0);
  });
});
