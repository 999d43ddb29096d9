/**
 * Who evaluates a circuit: the same at every replica, evenly, and no more moves than must.
 */
import { expect } from 'chai';
import { ranked } from '../../../core/coordination/rank.js';

const circuits = Array.from({ length: 4_000 }, (_, i) => `callee-${i}|default`);
const replicas = ['cp-0', 'cp-1', 'cp-2', 'cp-3'];

describe('rank of replicas', () => {
  it('does not depend on the order in which they are known, nor on how often', () => {
    for (const circuit of circuits.slice(0, 200)) {
      const order = ranked(circuit, replicas);
      expect(ranked(circuit, [...replicas].reverse().concat('cp-1'))).to.deep.equal(order);
      expect([...order].sort()).to.deep.equal(replicas);
    }
  });
  it('is even in each place', () => {
    for (const place of [0, 1, 2, 3])
      for (const replica of replicas) {
        const has = circuits.filter((circuit) => ranked(circuit, replicas)[place] === replica).length;
        expect(has, `${replica} in place ${place}`).to.be.within(850, 1_150);
      }
  });
  it('moves only the circuits of the replica that goes, each to the next in rank', () => {
    for (const circuit of circuits) {
      const order = ranked(circuit, replicas);
      expect(ranked(circuit, ['cp-0', 'cp-1', 'cp-3'])).to.deep.equal(
        order.filter((each) => each !== 'cp-2'),
      );
    }
  });
  it('of nobody is nobody', () => expect(ranked('x', [])).to.deep.equal([]));
});
