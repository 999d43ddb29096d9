/**
 * Turns among the instances of a callee.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { Balance } from '../../../agent/http/balance.js';

const at = (address: string, weight = 1) => ({ address, weight });
const turns = (balance: Balance, count: number, now = 0) =>
  Array.from({ length: count }, () => balance.pick(now)).join('');

describe('the balance of HTTP instances', () => {
  it('goes round', () => {
    expect(turns(new Balance([at('a'), at('b'), at('c')], 0), 6)).to.equal('abcabc');
  });

  it('begins where it is told', () => {
    expect(turns(new Balance([at('a'), at('b'), at('c')], 0.5), 3)).to.equal('bca');
  });

  it('spreads the turns of a heavy instance', () => {
    expect(turns(new Balance([at('a', 2), at('b'), at('c')], 0), 8)).to.equal('abcaabca');
  });

  it('gives each its share, whatever the weights', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 }), (weights) => {
        const balance = new Balance(
          weights.map((weight, i) => at(String(i), weight)),
          0,
        );
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const counts = weights.map(() => 0);
        for (let i = 0; i < total * 3; i++) {
          const index = Number(balance.pick(0));
          counts[index] = (counts[index] ?? 0) + 1;
        }
        expect(counts).to.deep.equal(weights.map((weight) => weight * 3));
      }),
    );
  });

  it('answers undefined when there is nobody', () => {
    expect(new Balance([], 0).pick(0)).to.equal(undefined);
    expect(new Balance([at('a')], 0).pick(0, undefined, new Set('a'))).to.equal(undefined);
  });

  it('rather takes one that was not tried, but one that was before none', () => {
    const balance = new Balance([at('a'), at('b')], 0);
    expect(balance.pick(0, new Set('a'))).to.equal('b');
    expect(balance.pick(0, new Set('a'))).to.equal('b');
    expect(['a', 'b']).to.include(balance.pick(0, new Set('ab')));
  });

  it('lets one rest that could not be reached, longer each time, until it is reached', () => {
    const balance = new Balance([at('a'), at('b')], 0);
    balance.unreachable('a', 0);
    expect(turns(balance, 3, 999)).to.equal('bbb');
    expect(turns(balance, 2, 1_000)).to.include('a');
    balance.unreachable('a', 1_000);
    expect(turns(balance, 3, 2_999)).to.equal('bbb');
    balance.reached('a');
    expect(turns(balance, 2, 2_999)).to.include('a');
  });

  it('never lets one rest for longer than half a minute', () => {
    const balance = new Balance([at('a'), at('b')], 0);
    for (let i = 0; i < 10_000; i++) balance.unreachable('a', 0);
    expect(turns(balance, 2, 30_000)).to.include('a');
  });

  it('asks one that rests if nobody else is left', () => {
    const balance = new Balance([at('a')], 0);
    balance.unreachable('a', 0);
    expect(balance.pick(1)).to.equal('a');
  });

  it('rather asks one that rests than one that was tried', () => {
    const balance = new Balance([at('a'), at('b')], 0);
    balance.unreachable('a', 0);
    expect(balance.pick(1, new Set('b'))).to.equal('a');
  });
});
