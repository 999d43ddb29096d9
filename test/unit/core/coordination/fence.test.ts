/**
 * The fence of an agent: which directives it accepts, and what it forgets.
 */
import { expect } from 'chai';
import { Fence } from '../../../../core/coordination/fence.js';

const minute = 60_000;

function directive(epoch: number, seq: number, circuit = 'inventory|default') {
  return { circuit, epoch, seq };
}

describe('a fence', () => {
  it('accepts what is greater, by epoch and then by seq', () => {
    const table: [epoch: number, seq: number, accepted: boolean][] = [
      [3, 10, true],
      [3, 9, false],
      [2, 99, false],
      [3, 11, true],
      [4, 1, true],
      [3, 12, false],
      [4, 0, false],
      [4, 2, true],
    ];
    const fence = new Fence();
    for (const [epoch, seq, accepted] of table)
      expect(fence.accept('d', directive(epoch, seq), 0), `${epoch}/${seq}`).to.equal(accepted);
  });

  it('accepts the same again, which renews it', () => {
    const fence = new Fence();
    expect(fence.accept('d', directive(3, 10), 0)).to.equal(true);
    expect(fence.accept('d', directive(3, 10), 1_000)).to.equal(true);
  });

  it('compares each circuit with itself', () => {
    const fence = new Fence();
    fence.accept('d', directive(9, 9, 'a|p'), 0);
    expect(fence.accept('d', directive(1, 1, 'b|p'), 0)).to.equal(true);
  });

  it('starts anew with another dataset', () => {
    const fence = new Fence();
    fence.accept('d', directive(9, 9), 0);
    expect(fence.accept('e', directive(1, 1), 0)).to.equal(true);
    expect(fence.size).to.equal(1);
  });

  it('forgets what it has not heard of for ten minutes, and not before', () => {
    const fence = new Fence();
    fence.accept('d', directive(9, 9), 0);
    expect(fence.accept('d', directive(1, 1), 10 * minute - 1)).to.equal(false);
    expect(fence.accept('d', directive(1, 1), 10 * minute)).to.equal(true);
  });

  it('remembers for as long as it hears of it', () => {
    const fence = new Fence();
    for (let at = 0; at <= 60; at += 5) fence.accept('d', directive(9, 9), at * minute);
    expect(fence.accept('d', directive(8, 1), 61 * minute)).to.equal(false);
  });

  it('holds at most 10,000 circuits, those heard of last', () => {
    const fence = new Fence();
    for (let i = 0; i < 10_500; i++) fence.accept('d', directive(2, 2, `c${i}|p`), i);
    expect(fence.size).to.equal(10_000);
    expect(fence.accept('d', directive(1, 1, 'c10499|p'), 10_500)).to.equal(false);
    expect(fence.accept('d', directive(1, 1, 'c0|p'), 10_500)).to.equal(true);
  });

  it('accepts no number that is none', () => {
    const fence = new Fence();
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, 1.5])
      expect(fence.accept('d', directive(bad, 1), 0) || fence.accept('d', directive(1, bad), 0)).to.equal(
        false,
      );
  });
});
