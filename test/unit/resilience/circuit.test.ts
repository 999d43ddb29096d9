/**
 * The closed circuit and the open one: when it opens, for how long, and what it says meanwhile.
 */
import { expect } from 'chai';
import { NONE } from '../../../core/resilience/permits.js';
import { TestCircuit } from '../../support/circuits.js';
import { circuitSpec } from '../../support/specs.js';

describe('closed circuit', () => {
  it('opens at the failure rate, not only above it', () => {
    const under = new TestCircuit();
    under.calls(11, 'success');
    under.calls(10, 'failure');
    expect(under.state).to.equal('closed');
    const at = new TestCircuit();
    at.calls(10, 'success');
    at.calls(10, 'failure');
    expect(at.state).to.equal('open');
  });

  it('reads 7 of 100 as 7 %, whatever binary fractions make of it', () => {
    const window = { kind: 'count', calls: 100 } as const;
    const seven = new TestCircuit(circuitSpec({ window, failureRate: 0.07, minimumCalls: 100 }));
    seven.calls(93, 'success');
    seven.calls(6, 'failure');
    expect(seven.state).to.equal('closed');
    seven.calls(1, 'failure');
    expect(seven.state).to.equal('open');
  });

  for (const percent of [1, 7, 14, 28, 29, 55, 57, 58, 70, 99, 100]) {
    it(`opens at exactly ${percent} of 100 at ${percent} %`, () => {
      const window = { kind: 'count', calls: 100 } as const;
      const circuit = new TestCircuit(circuitSpec({ window, failureRate: percent / 100, minimumCalls: 100 }));
      circuit.calls(101 - percent, 'success');
      circuit.calls(percent - 1, 'failure');
      expect(circuit.state).to.equal('closed');
      circuit.calls(1, 'failure');
      expect(circuit.state).to.equal('open');
    });
  }

  it('decides nothing below its minimum of calls, and decides with the call that reaches it, a success or not', () => {
    const circuit = new TestCircuit();
    circuit.calls(19, 'failure');
    expect(circuit.state).to.equal('closed');
    circuit.calls(1, 'success');
    expect(circuit.state).to.equal('open');
  });

  it('counts finished calls only: neither calls under way nor neutral ones', () => {
    const circuit = new TestCircuit();
    for (let i = 0; i < 30; i++) circuit.acquire();
    circuit.calls(30, 'neutral');
    circuit.calls(19, 'failure');
    expect(circuit.state).to.equal('closed');
    circuit.calls(1, 'failure');
    expect(circuit.state).to.equal('open');
  });

  it('opens when enough calls were slow, and measures them when they end', () => {
    const circuit = new TestCircuit(circuitSpec({ slowCallMs: 500, slowRate: 0.8 }));
    circuit.calls(4, 'success', 499);
    circuit.calls(15, 'success', 500);
    expect(circuit.state).to.equal('closed');
    circuit.calls(1, 'success', 500);
    expect(circuit.state).to.equal('open');
    expect(circuit.transitions[0]?.reason).to.equal('16 of 20 calls took 500 ms or more (opens at 80 %)');
  });

  it('knows no slow calls without a slow-call duration', () => {
    const circuit = new TestCircuit();
    circuit.calls(100, 'success', 60_000);
    expect(circuit.state).to.equal('closed');
  });

  it('does not open over calls that were slow under a duration that is no longer asked for', () => {
    const window = { kind: 'count', calls: 20 } as const;
    const circuit = new TestCircuit(circuitSpec({ window, slowCallMs: 500, slowRate: 1 }));
    circuit.calls(12, 'success', 500);
    circuit.circuit.reconfigure(circuitSpec({ window, slowRate: 0.5 }), circuit.now);
    circuit.calls(8, 'success', 500);
    expect(circuit.state).to.equal('closed');
  });

  it('counts a failed call that was slow as both', () => {
    const circuit = new TestCircuit(circuitSpec({ failureRate: 1, slowCallMs: 100, slowRate: 0.5 }));
    circuit.calls(10, 'success', 10);
    circuit.calls(10, 'failure', 100);
    expect(circuit.state).to.equal('open');
  });

  it('says why it opened, with the figures', () => {
    const circuit = new TestCircuit(circuitSpec({ failureRate: 0.333 }));
    circuit.calls(13, 'success');
    circuit.calls(7, 'failure');
    expect(circuit.transitions).to.deep.equal([
      {
        from: 'closed',
        to: 'open',
        epoch: 2,
        reason: '7 of 20 calls failed (opens at 33.3 %)',
        retryAfterMs: 5_000,
      },
    ]);
  });

  it('counts a permit once, however often it ends', () => {
    const circuit = new TestCircuit();
    const handle = circuit.acquire();
    for (let i = 0; i < 40; i++) circuit.end(handle, 'failure');
    expect(circuit.state).to.equal('closed');
    expect(circuit.permits.out).to.equal(0);
    circuit.calls(18, 'failure');
    expect(circuit.state).to.equal('closed');
  });

  it('loses sight of failures that have left the window', () => {
    const circuit = new TestCircuit();
    circuit.calls(19, 'failure');
    circuit.now += 10_000;
    circuit.calls(1, 'failure');
    expect(circuit.state).to.equal('closed');
  });
});

describe('open circuit', () => {
  it('turns every call away, and tells when to come back, rounded up', () => {
    const circuit = new TestCircuit().trip();
    expect(circuit.calls(100, 'success')).to.equal(0);
    circuit.now += 3_799.5;
    expect(circuit.circuit.refusal(circuit.now)).to.deep.equal({
      code: 'circuit_open',
      text: 'retry in 1201 ms',
      retryAfterMs: 1_201,
      section: 'circuit',
    });
    expect(circuit.permits.out).to.equal(0);
  });

  it('lets the first call through at the very end of its time, and none before', () => {
    const circuit = new TestCircuit().trip();
    circuit.now = 4_999.999;
    expect(circuit.acquire()).to.equal(NONE);
    circuit.now = 5_000;
    expect(circuit.acquire()).to.not.equal(NONE);
  });

  it('answers half-open from then on, and reading changes nothing', () => {
    const circuit = new TestCircuit().trip();
    circuit.now = 5_000;
    for (let i = 0; i < 10; i++) expect(circuit.state).to.equal('half-open');
    expect(circuit.circuit.retryAfterMs(circuit.now)).to.equal(0);
    expect([circuit.circuit.epoch, circuit.path]).to.deep.equal([2, ['open']]);
  });

  it('starts a new epoch with every transition', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    circuit.calls(3, 'success');
    circuit.untilHalfOpen();
    circuit.calls(2, 'failure');
    expect(circuit.transitions.map(({ epoch }) => epoch)).to.deep.equal([2, 3, 4, 5, 6, 7]);
    expect(circuit.path).to.deep.equal(['open', 'half-open', 'closed', 'open', 'half-open', 'open']);
    expect(circuit.circuit.epoch).to.equal(7);
  });

  it('counts a result of an earlier epoch as late and as nothing else', () => {
    const circuit = new TestCircuit();
    const early = [circuit.acquire(), circuit.acquire(), circuit.acquire()];
    circuit.trip();
    circuit.end(early[0] as number, 'success');
    circuit.end(early[1] as number, 'failure');
    circuit.end(early[2] as number, 'neutral');
    expect(circuit.circuit.late).to.equal(3);
    expect(circuit.path).to.deep.equal(['open']);
  });
});

describe('how long it stays open', () => {
  it('doubles with each opening in a row, up to 60 s', () => {
    const circuit = new TestCircuit().trip();
    const waits = [circuit.circuit.retryAfterMs(circuit.now)];
    for (let i = 0; i < 7; i++) {
      circuit.now += circuit.circuit.retryAfterMs(circuit.now);
      circuit.calls(2, 'failure');
      waits.push(circuit.circuit.retryAfterMs(circuit.now));
    }
    expect(waits).to.deep.equal([5_000, 10_000, 20_000, 40_000, 60_000, 60_000, 60_000, 60_000]);
  });

  it('stays finite after ten thousand openings in a row', () => {
    const circuit = new TestCircuit().trip();
    for (let i = 0; i < 10_000; i++) {
      circuit.now += circuit.circuit.retryAfterMs(circuit.now);
      circuit.calls(2, 'failure');
    }
    expect(circuit.circuit.retryAfterMs(circuit.now)).to.equal(60_000);
  });

  it('is as long as the policy says where that is more than 60 s', () => {
    const circuit = new TestCircuit(circuitSpec({ openForMs: 300_000 })).untilHalfOpen();
    circuit.calls(2, 'failure');
    expect(circuit.circuit.retryAfterMs(circuit.now)).to.equal(300_000);
  });

  for (const [drawn, expected] of [
    [0, 4_000],
    [0.5, 5_000],
    [0.75, 5_500],
    [1 - 2 ** -32, 6_000],
  ] as const) {
    it(`varies by ±20 %: ${expected} ms for a draw of ${drawn.toFixed(2)}`, () => {
      const random = { next: () => drawn, hex: () => '' };
      expect(new TestCircuit(circuitSpec(), { random }).trip().circuit.retryAfterMs(0)).to.equal(expected);
    });
  }

  it('starts from openFor again once it stayed closed for as long as it last was open', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    circuit.calls(2, 'failure');
    circuit.now += 10_000;
    circuit.calls(3, 'success');
    circuit.now += 10_000;
    circuit.trip();
    expect(circuit.circuit.retryAfterMs(circuit.now)).to.equal(5_000);
  });

  it('goes on doubling when it opens again before that', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    circuit.calls(2, 'failure');
    circuit.now += 10_000;
    circuit.calls(3, 'success');
    circuit.now += 9_999;
    circuit.trip();
    expect(circuit.circuit.retryAfterMs(circuit.now)).to.equal(20_000);
  });

  it('takes the last open period as it was, jitter included', () => {
    const draws = [1 - 2 ** -32, 0.5];
    const random = { next: () => draws.shift() ?? 0.5, hex: () => '' };
    const circuit = new TestCircuit(circuitSpec(), { random }).untilHalfOpen();
    expect(circuit.now).to.equal(6_000);
    circuit.calls(3, 'success');
    circuit.now += 5_500;
    circuit.trip();
    expect(circuit.circuit.retryAfterMs(circuit.now)).to.equal(10_000);
  });

  it('takes the last open period as it was, whatever openFor says by now', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    circuit.calls(3, 'success');
    circuit.circuit.reconfigure(circuitSpec({ openForMs: 1_000 }), circuit.now);
    circuit.now += 2_000;
    circuit.trip();
    expect(circuit.circuit.retryAfterMs(circuit.now)).to.equal(2_000);
  });

  it('begins with openFor however soon after its making it opens', () => {
    expect(new TestCircuit().trip().circuit.retryAfterMs(0)).to.equal(5_000);
  });
});
