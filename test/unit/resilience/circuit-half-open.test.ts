/**
 * The half-open circuit: who may probe, what decides, and that nobody can leave it hanging.
 */
import { expect } from 'chai';
import { NONE } from '../../../core/resilience/permits.js';
import { TestCircuit } from '../../support/circuits.js';
import { circuitSpec } from '../../support/specs.js';

const slowToOpen = { failureRate: 1 };

describe('half-open circuit', () => {
  it('gives as many permits as the policy says in all, and turns the rest away in the same tick', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    const handles = Array.from({ length: 10 }, () => circuit.acquire());
    expect(handles.filter((handle) => handle !== NONE)).to.have.lengthOf(3);
    expect(circuit.rejection()).to.equal('retry in 1000 ms');
  });

  it('gives no permit for one that ended: they are counted in all, not at a time', () => {
    const circuit = new TestCircuit(circuitSpec(slowToOpen)).untilHalfOpen();
    const third = [circuit.acquire(), circuit.acquire(), circuit.acquire()][2] as number;
    circuit.end(third, 'success');
    expect(circuit.acquire()).to.equal(NONE);
  });

  it('closes when all are in and enough succeeded, and no sooner', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    circuit.calls(1, 'failure');
    circuit.calls(1, 'success');
    expect(circuit.state).to.equal('half-open');
    circuit.calls(1, 'success');
    expect(circuit.state).to.equal('closed');
    expect(circuit.transitions.at(-1)?.reason).to.equal('2 of 3 probes succeeded');
  });

  it('opens again as soon as failures make closing impossible, without waiting for the rest', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    const waitingFor = circuit.acquire();
    circuit.calls(1, 'failure');
    expect(circuit.state).to.equal('half-open');
    circuit.calls(1, 'failure');
    expect(circuit.state).to.equal('open');
    circuit.end(waitingFor, 'success');
    expect([circuit.state, circuit.circuit.late]).to.deep.equal(['open', 1]);
  });

  it('decides over the probes alone, not over what the window holds', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    expect(circuit.calls(3, 'success')).to.equal(3);
    expect(circuit.state).to.equal('closed');
  });

  it('clears the window when it closes', () => {
    const circuit = new TestCircuit(circuitSpec({ window: { kind: 'count', calls: 100 } })).untilHalfOpen();
    circuit.calls(3, 'success');
    circuit.calls(19, 'failure');
    expect(circuit.state).to.equal('closed');
    circuit.calls(1, 'failure');
    expect(circuit.state).to.equal('open');
  });

  it('opens again over slow probes', () => {
    const spec = circuitSpec({ slowCallMs: 500, slowRate: 0.6 });
    const circuit = new TestCircuit(spec).untilHalfOpen();
    circuit.calls(1, 'success', 500);
    expect(circuit.state).to.equal('half-open');
    circuit.calls(1, 'success', 500);
    expect(circuit.state).to.equal('open');
    expect(circuit.transitions.at(-1)?.reason).to.equal('2 of 3 probes were slow');
  });

  it('gives a neutral probe’s permit to the next call', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    expect(circuit.calls(50, 'neutral')).to.equal(50);
    expect(circuit.state).to.equal('half-open');
    expect(circuit.calls(3, 'success')).to.equal(3);
    expect(circuit.state).to.equal('closed');
  });

  it('returns nothing twice: a second end of a neutral probe makes no second permit', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    const handle = circuit.acquire();
    circuit.end(handle, 'neutral');
    circuit.end(handle, 'neutral');
    circuit.end(handle, 'failure');
    expect(
      Array.from({ length: 5 }, () => circuit.acquire()).filter((each) => each !== NONE),
    ).to.have.lengthOf(3);
  });
});

describe('the lease of a probe', () => {
  it('is its deadline: over it, the probe has failed, and the next call notices', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    circuit.acquire(300);
    circuit.acquire(300);
    circuit.now += 299;
    expect(circuit.state).to.equal('half-open');
    circuit.now += 1;
    expect(circuit.acquire()).to.equal(NONE);
    expect(circuit.state).to.equal('open');
    expect(circuit.transitions.at(-1)?.reason).to.equal('2 of 3 probes failed');
  });

  it('counts one that is over as one failure, long after: maxWait runs only while a permit is out', () => {
    const circuit = new TestCircuit(circuitSpec(slowToOpen)).untilHalfOpen();
    circuit.acquire(300);
    circuit.now += 60_000;
    expect(circuit.calls(2, 'success')).to.equal(2);
    expect(circuit.state).to.equal('closed');
    expect(circuit.transitions.at(-1)?.reason).to.equal('2 of 3 probes succeeded');
  });

  it('makes a failure of what says success after it, noticed by nobody else', () => {
    const circuit = new TestCircuit(circuitSpec({ failureRate: 0.3 })).untilHalfOpen();
    const handle = circuit.acquire(300);
    circuit.now += 301;
    circuit.end(handle, 'success');
    expect(circuit.state).to.equal('open');
    expect(circuit.circuit.late).to.equal(0);
  });

  it('lets a result after it count for nothing once it was noticed', () => {
    const circuit = new TestCircuit(circuitSpec(slowToOpen)).untilHalfOpen();
    const handle = circuit.acquire(300);
    circuit.now += 300;
    circuit.calls(1, 'success');
    circuit.end(handle, 'success');
    expect(circuit.state).to.equal('half-open');
    expect(circuit.circuit.late).to.equal(1);
    circuit.calls(1, 'success');
    expect(circuit.state).to.equal('closed');
  });

  it('settles the other probes whose time is over when one answers', () => {
    const circuit = new TestCircuit(circuitSpec(slowToOpen)).untilHalfOpen();
    const hung = circuit.acquire(300);
    const others = [circuit.acquire(), circuit.acquire()];
    circuit.now += 400;
    for (const each of others) circuit.end(each, 'success');
    expect(circuit.state).to.equal('closed');
    circuit.end(hung, 'failure');
    expect(circuit.state).to.equal('closed');
  });
});

describe('maxWait', () => {
  it('takes a probe without a deadline back to open', () => {
    const circuit = new TestCircuit(circuitSpec(slowToOpen)).untilHalfOpen();
    circuit.acquire();
    circuit.now += 29_999;
    circuit.calls(1, 'neutral');
    expect(circuit.state).to.equal('half-open');
    circuit.now += 1;
    expect(circuit.acquire()).to.equal(NONE);
    expect(circuit.state).to.equal('open');
    expect(circuit.transitions.at(-1)?.reason).to.equal('a probe gave no answer within 30000 ms');
  });

  it('ends before a deadline that is further away', () => {
    const circuit = new TestCircuit(circuitSpec(slowToOpen)).untilHalfOpen();
    circuit.acquire(60_000);
    circuit.now += 30_000;
    expect(circuit.acquire()).to.equal(NONE);
    expect(circuit.state).to.equal('open');
  });

  it('re-opens as of when it was over, so that who calls long after finds it half-open again', () => {
    const circuit = new TestCircuit(circuitSpec(slowToOpen)).untilHalfOpen();
    circuit.acquire();
    circuit.now += 30_000 + 9_999;
    expect(circuit.rejection()).to.equal('retry in 1 ms');
    circuit.now += 60_000;
    expect(circuit.calls(3, 'success')).to.equal(3);
    expect(circuit.path).to.deep.equal(['open', 'half-open', 'open', 'half-open', 'closed']);
  });

  it('does not run while no permit is out: a callee called once a minute can still close', () => {
    const circuit = new TestCircuit().untilHalfOpen();
    for (let i = 0; i < 3; i++) {
      expect(circuit.calls(1, 'success', 200)).to.equal(1);
      circuit.now += 60_000;
    }
    expect(circuit.state).to.equal('closed');
  });

  it('makes a result that comes after it late', () => {
    const circuit = new TestCircuit(circuitSpec(slowToOpen)).untilHalfOpen();
    const early = circuit.acquire();
    circuit.now += 1;
    const late = circuit.acquire();
    circuit.now += 29_999;
    circuit.end(late, 'success');
    expect([circuit.state, circuit.circuit.late]).to.deep.equal(['open', 1]);
    circuit.end(early, 'success');
    expect([circuit.state, circuit.circuit.late]).to.deep.equal(['open', 2]);
  });
});
