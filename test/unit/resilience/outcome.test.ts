/**
 * How a gRPC status reads as the health of its target, code by code, and which of several limits holds.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { attemptDeadlineAt, effectiveDeadline } from '../../../core/resilience/deadline.js';
import { outcomeOfStatus } from '../../../core/resilience/outcome.js';
import { property } from '../../support/property.js';

describe('the outcome of a status', () => {
  const failures = new Map([
    [2, 'UNKNOWN'],
    [4, 'DEADLINE_EXCEEDED'],
    [8, 'RESOURCE_EXHAUSTED'],
    [10, 'ABORTED'],
    [13, 'INTERNAL'],
    [14, 'UNAVAILABLE'],
    [15, 'DATA_LOSS'],
  ]);

  for (let code = 0; code <= 16; code++) {
    const expected = failures.has(code) ? 'failure' : 'success';
    it(`of ${failures.get(code) ?? `code ${code}`} is ${expected}`, () => {
      expect(outcomeOfStatus(code)).to.equal(expected);
    });
  }

  it('of a code that gRPC does not have is that of UNKNOWN', () => {
    for (const code of [17, 99, -1, 1.5, Number.NaN]) expect(outcomeOfStatus(code)).to.equal('failure');
  });
});

describe('the effective deadline', () => {
  const never = Number.POSITIVE_INFINITY;

  it('is the earlier of the caller’s and the policy’s, and says whose', () => {
    expect(effectiveDeadline(100, 500, 300)).to.deep.equal({ at: 400, by: 'policy' });
    expect(effectiveDeadline(100, 350, 300)).to.deep.equal({ at: 350, by: 'caller' });
    expect(effectiveDeadline(100, 400, 300)).to.deep.equal({ at: 400, by: 'caller' });
    expect(effectiveDeadline(100, never, 300)).to.deep.equal({ at: 400, by: 'policy' });
    expect(effectiveDeadline(100, 500, undefined)).to.deep.equal({ at: 500, by: 'caller' });
    expect(effectiveDeadline(100, never, undefined)).to.deep.equal({ at: never, by: 'none' });
  });

  const instant = fc.oneof(fc.integer({ min: 0, max: 60 }), fc.constant(never));
  const length = fc.option(fc.integer({ min: 0, max: 60 }), { nil: undefined });
  property(
    'is the first of all limits, as they stand in a sorted list',
    fc.record({ now: fc.nat(20), callerAt: instant, timeout: length, attempt: length }),
    ({ now, callerAt, timeout, attempt }) => {
      const limits = [
        { at: callerAt, by: 'caller' },
        ...(timeout === undefined ? [] : [{ at: now + timeout, by: 'policy' }]),
      ].filter(({ at }) => at !== never);
      // A sort is stable: the caller stands first where both are the same.
      const [first = { at: never, by: 'none' }] = limits.sort((a, b) => a.at - b.at);
      const whole = effectiveDeadline(now, callerAt, timeout);
      expect(whole).to.deep.equal(first);
      const all = [first.at, ...(attempt === undefined ? [] : [now + attempt])].sort((a, b) => a - b);
      expect(attemptDeadlineAt(now, whole.at, attempt)).to.equal(all[0]);
    },
  );

  it('bounds each attempt', () => {
    expect(attemptDeadlineAt(100, 1_000, 300)).to.equal(400);
    expect(attemptDeadlineAt(900, 1_000, 300)).to.equal(1_000);
    expect(attemptDeadlineAt(900, 1_000, undefined)).to.equal(1_000);
    expect(attemptDeadlineAt(0, never, undefined)).to.equal(never);
  });
});
