/**
 * Panic: how many circuits, of how many callees, within how long.
 */
import { expect } from 'chai';
import { Panic } from '../../../core/coordination/panic.js';

/** Circuits, spread evenly over callees. */
function active(circuits: number, callees: number): Map<string, string> {
  return new Map(Array.from({ length: circuits }, (_, i) => [`c-${i}|p`, `callee-${i % callees}`]));
}

function panics(circuits: number, callees: number, wanting: number): string {
  const panic = new Panic();
  for (let i = 0; i < wanting; i++) panic.wants(`c-${i}|p`, 0);
  return panic.reason(active(circuits, callees), 0);
}

describe('panic', () => {
  it('needs its ten circuits', () => {
    expect(panics(9, 3, 9)).to.equal('');
    expect(panics(10, 3, 10)).to.include('10 of 10 circuits, of 3 callees,');
  });
  it('needs three callees', () => {
    expect(panics(10, 2, 10)).to.equal('');
    expect(panics(10, 3, 6)).to.include('6 of 10 circuits');
  });
  it('needs more than half', () => {
    expect(panics(10, 3, 5)).to.equal('');
    expect(panics(11, 3, 6)).to.not.equal('');
  });
  it('is none where the circuits of one callee are most of them', () => {
    const panic = new Panic();
    const circuits = new Map(
      Array.from({ length: 20 }, (_, i) => [`c-${i}`, i < 18 ? 'dead' : `other-${i}`]),
    );
    for (let i = 0; i < 18; i++) panic.wants(`c-${i}`, 0);
    expect(panic.reason(circuits, 0)).to.equal('');
  });
  it('is over when fewer have wanted to within a minute', () => {
    const panic = new Panic();
    for (let i = 0; i < 10; i++) panic.wants(`c-${i}|p`, i < 5 ? 0 : 1_000);
    panic.wants('c-0|p', 30_000);
    expect(panic.reason(active(10, 3), 59_999)).to.include('10 of 10');
    expect(panic.reason(active(10, 3), 60_000)).to.include('6 of 10');
    expect(panic.reason(active(10, 3), 61_000)).to.equal('');
  });
  it('does not count what is no circuit any more', () => {
    const panic = new Panic();
    for (let i = 0; i < 10; i++) panic.wants(`gone-${i}`, 0);
    expect(panic.reason(active(10, 3), 0)).to.equal('');
  });
});
