/**
 * A hold that had run out while no call came was overlooked by a change of the policy: its end was told only with the next call, after
 * what the change had done, from a state that was no more, and as one transition too many, which made results of calls under way late.
 * Now a change notices it first, as every other deed does.
 */
import { expect } from 'chai';
import { TestCircuit } from '../support/circuits.js';

describe('a policy that changes when a hold has run out', () => {
  it('finds the circuit as it is by then, so each transition leads on from the one before', () => {
    const it = new TestCircuit();
    it.circuit.hold(50, it.now, 'operator');
    it.now = 60;
    it.circuit.reconfigure(it.spec, it.now, 'disabled');
    it.circuit.reconfigure(it.spec, it.now);
    it.end(it.acquire(), 'success');
    const told = it.transitions.map(({ from, to, epoch }) => `${from} → ${to} (${epoch})`);
    expect(told).to.deep.equal([
      'closed → forced-open (2)',
      'forced-open → closed (3)',
      'closed → disabled (4)',
      'disabled → closed (5)',
    ]);
    expect(it.circuit.late).to.equal(0);
  });

  it('so does what the mesh had said', () => {
    const it = new TestCircuit();
    it.direct('open', { ttlMs: 50 });
    it.now = 60;
    it.circuit.reconfigure(it.spec, it.now, 'disabled');
    expect(it.path).to.deep.equal(['open', 'closed', 'disabled']);
  });
});
