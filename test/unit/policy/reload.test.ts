/**
 * Trap 18: a library that stopped reloading for good at the first bad configuration. The half of it that is the core's: a bad
 * document is an answer, not an event, and what comes after it is judged by itself.
 */
import { expect } from 'chai';
import { effective, PolicyIndex, parseDocument } from '../../../core/policy/index.js';

describe('trap 18: a bad policy, then a good one', () => {
  /** As an agent does it: what parses replaces its predecessor, what doesn't changes nothing. */
  function apply(index: PolicyIndex, document: string, revision: number): string[] {
    const result = parseDocument(document);
    if (result.ok) index.set({ policy: result.policy, revision });
    return result.ok ? [] : result.issues.map(({ path, message }) => `${path}: ${message}`);
  }
  const document = (timeout: unknown) =>
    JSON.stringify({ policy: 'p', match: { to: 'x' }, spec: { timeout } });
  const held = (index: PolicyIndex) => effective(index, { to: 'x' }).timeout;

  it('the bad one is refused with its reason and the last good one stays; the good one is applied', () => {
    const index = new PolicyIndex();
    expect(apply(index, document('1s'), 1)).to.deep.equal([]);
    for (const [i, bad] of [document(5), '{', document('1s').replace('match', 'mach'), '[]', ''].entries()) {
      expect(apply(index, bad, 2 + i)).to.not.be.empty;
      expect(held(index)).to.deep.equal({ value: 1_000, source: { policy: 'p', revision: 1 } });
    }
    expect(apply(index, document('2s'), 9)).to.deep.equal([]);
    expect(held(index)).to.deep.equal({ value: 2_000, source: { policy: 'p', revision: 9 } });
  });
});
