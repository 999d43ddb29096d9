/**
 * gRFC A6 (client retries), the hedging half: the specification's own examples and rules, case by case, each with its section.
 */
import { expect } from 'chai';
import { HedgePlan, type HedgeStart } from '../../../core/resilience/hedge.js';
import { parsePushback } from '../../../core/resilience/pushback.js';
import { budgetWithTokens, failure } from '../../support/retrying.js';

/** "hedgingPolicy": maxAttempts 4, hedgingDelay .5s, nonFatalStatusCodes [UNAVAILABLE, INTERNAL, ABORTED]. */
const hedgingPolicy = { extra: 3, delayMs: 500, nonFatal: ['UNAVAILABLE', 'INTERNAL', 'ABORTED'] };

/** A hedged call of A6's example, at 0, whose time the test moves. */
function hedged(policy: Partial<typeof hedgingPolicy> = {}, budget = budgetWithTokens(10)) {
  const { extra, delayMs, nonFatal } = { ...hedgingPolicy, ...policy };
  const plan = new HedgePlan(extra, delayMs, nonFatal, 0);
  const conditions = { halfOpen: false, remainingMs: Number.POSITIVE_INFINITY };
  return {
    plan,
    budget,
    /** What each copy that falls due up to then was told. */
    until(now: number): HedgeStart[] {
      const told: HedgeStart[] = [];
      while (plan.nextAt <= now) told.push(plan.start(Math.max(plan.nextAt, 0), conditions, budget));
      return told;
    },
    fails: (now: number, status: string, ...pushback: string[]) =>
      plan.failed(failure({ status, pushback: parsePushback(pushback) }), now, budget),
  };
}

describe('A6: hedging', () => {
  it('Hedging Policy: one outstanding after 1 ms, two after 501, three after 1001, four after 1501, and no fifth', () => {
    const { plan, until } = hedged();
    const outstanding = [1, 501, 1_001, 1_501, 60_000].map((now) => {
      until(now);
      return plan.running;
    });
    // The budget of three at a time is ours and just suffices.
    expect(outstanding).to.deep.equal([1, 2, 3, 4, 4]);
  });

  it('Configuration Language, Hedging Policy: a hedgingDelay of 0s issues four RPCs simultaneously', () => {
    const { plan, until } = hedged({ delayMs: 0 });
    expect(until(0)).to.deep.equal(['started', 'started', 'started']);
    expect(plan.running).to.equal(4);
  });

  it('Summary 1.2: a success cancels pending hedges', () => {
    const { plan, until } = hedged();
    until(501);
    plan.succeeded();
    expect(until(60_000)).to.deep.equal([]);
  });

  it('Summary 2.2: a non-fatal status sends the next hedge at once, the following ones resume at hedgingDelay', () => {
    const { plan, until, fails } = hedged();
    expect(fails(100, 'ABORTED')).to.equal('wait');
    expect(plan.nextAt).to.equal(100);
    expect(until(100)).to.deep.equal(['started']);
    expect(plan.nextAt).to.equal(600);
  });

  it('Summary 3.2: a fatal status ends the call, previous hedges and pending ones', () => {
    const { plan, until, fails } = hedged();
    until(501);
    expect(fails(510, 'INVALID_ARGUMENT')).to.equal('over');
    expect(until(60_000)).to.deep.equal([]);
    expect(plan.running).to.equal(1);
  });

  for (const [says, value] of [
    ['pushback "don’t retry"', '-1'],
    ['an unparseable pushback', 'abc'],
  ] as const)
    it(`Summary 4.2: ${says} sends no more hedges, and those under way may finish (grpc-js kills them)`, () => {
      const { plan, until, fails } = hedged();
      until(501);
      expect(fails(510, 'UNAVAILABLE', value)).to.equal('wait');
      expect(until(60_000)).to.deep.equal([]);
      expect(plan.running).to.equal(1);
      expect(fails(700, 'UNAVAILABLE')).to.equal('over');
    });

  it('Summary 5.2: pushback n sends the next hedge in n ms, the following ones at n + hedgingDelay', () => {
    const { plan, until, fails } = hedged();
    expect(fails(100, 'UNAVAILABLE', '2000')).to.equal('wait');
    expect(until(2_099)).to.deep.equal([]);
    expect(until(2_100)).to.deep.equal(['started']);
    expect(plan.nextAt).to.equal(2_600);
  });

  it('Hedging Policy: when all have failed there is no further attempt', () => {
    const { plan, until, fails } = hedged();
    until(1_501);
    for (const now of [1_600, 1_601, 1_602]) expect(fails(now, 'UNAVAILABLE')).to.equal('wait');
    expect(fails(1_603, 'UNAVAILABLE')).to.equal('over');
    expect(plan.nextAt).to.equal(Number.POSITIVE_INFINITY);
  });

  it('Throttling: the first RPC is always sent, hedged ones only above the threshold', () => {
    const { plan, until } = hedged({}, budgetWithTokens(5));
    expect(plan.running).to.equal(1);
    expect(until(60_000)).to.deep.equal(['throttled', 'throttled', 'throttled']);
    expect(plan.running).to.equal(1);
  });

  it('Throttling: a throttled hedge is cancelled, and the failure returned where no other was sent', () => {
    const { plan, until, fails } = hedged({}, budgetWithTokens(6));
    expect(fails(100, 'UNAVAILABLE')).to.equal('wait');
    expect(until(100)).to.deep.equal(['throttled']);
    expect(plan.over).to.equal(true);
  });

  it('Throttling: thirty failing hedged calls are 33 attempts (grpc-js makes 90)', () => {
    const budget = budgetWithTokens(10);
    let attempts = 0;
    for (let call = 0; call < 30; call++) {
      const { until, fails, plan } = hedged({ extra: 2 }, budget);
      attempts++;
      for (let turn = 0; turn < 3 && !plan.over; turn++) {
        fails(0, 'UNAVAILABLE');
        for (const told of until(0)) if (told === 'started') attempts++;
      }
      while (budget.extras > 0) budget.extraEnded();
    }
    expect(attempts).to.equal(33);
  });

  it('Throttling: non-fatal statuses and "don’t retry" take a token, fatal ones do not', () => {
    const { budget, until, fails } = hedged();
    until(1_001);
    fails(1_010, 'UNAVAILABLE');
    expect(budget.tokens).to.equal(9);
    fails(1_011, 'INTERNAL', '-1');
    expect(budget.tokens).to.equal(8);
    fails(1_012, 'NOT_FOUND');
    expect(budget.tokens).to.equal(8);
  });
});
