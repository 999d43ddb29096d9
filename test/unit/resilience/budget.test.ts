/**
 * The budget of extra attempts: what may start beside what, and that it agrees with a twin that keeps lists and counts them.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { AttemptBudget } from '../../../core/resilience/budget.js';
import { property } from '../../support/property.js';
import { budgetWithTokens } from '../../support/retrying.js';

function withCalls(calls: number, budget = 0.2): AttemptBudget {
  const it = new AttemptBudget(budget);
  for (let i = 0; i < calls; i++) it.callBegan(false);
  return it;
}

/** How many extras start at once. */
function extrasOf(budget: AttemptBudget): number {
  let started = 0;
  while (budget.tryExtra() === 'ok') started++;
  return started;
}

describe('budget of extra attempts', () => {
  it('lets three be under way however few calls are', () => {
    expect(extrasOf(withCalls(1))).to.equal(3);
    expect(extrasOf(withCalls(0))).to.equal(3);
    expect(extrasOf(withCalls(1, 0))).to.equal(3);
  });

  it('lets a fifth of the calls under way be extras where that is more', () => {
    expect(extrasOf(withCalls(15))).to.equal(3);
    expect(extrasOf(withCalls(16))).to.equal(4);
    expect(extrasOf(withCalls(100))).to.equal(20);
  });

  it('says which of the two rules refused', () => {
    const busy = withCalls(1);
    extrasOf(busy);
    expect(busy.tryExtra()).to.equal('budget');
    expect(budgetWithTokens(5).tryExtra()).to.equal('throttled');
  });

  it('gives a slot again once an extra has ended', () => {
    const budget = withCalls(1);
    extrasOf(budget);
    budget.extraEnded();
    expect(budget.tryExtra()).to.equal('ok');
    expect(budget.tryExtra()).to.equal('budget');
  });

  it('keeps a call in backoff among the active, so that a wave of backoffs does not shrink what it is measured by', () => {
    const budget = withCalls(50);
    expect(extrasOf(budget)).to.equal(10);
    expect(budget.active).to.equal(50);
    expect(budget.extras).to.equal(10);
  });

  it('neither takes a slot nor a token by refusing', () => {
    const budget = withCalls(1);
    extrasOf(budget);
    budget.tryExtra();
    expect(budget.extras).to.equal(3);
    expect(budget.tokens).to.equal(10);
  });

  it('is spent by calls that are retries of somebody above, which themselves are never refused', () => {
    const budget = withCalls(10);
    for (let i = 0; i < 3; i++) budget.callBegan(true);
    expect(budget.tokens).to.equal(7);
    expect(budget.tryExtra()).to.equal('budget');
    budget.callBegan(true);
    expect(budget.active).to.equal(14);
    for (let i = 0; i < 4; i++) budget.callEnded(true);
    expect(budget.extras).to.equal(0);
    expect(budget.tryExtra()).to.equal('ok');
  });

  it('is not widened by the retries of somebody above', () => {
    const budget = withCalls(15);
    budget.callBegan(true);
    expect(extrasOf(budget)).to.equal(2);
  });

  it('changes live and keeps what is under way and what was lost', () => {
    const budget = withCalls(100);
    extrasOf(budget);
    budget.failedRetryably();
    budget.reconfigure(0.3);
    expect([budget.active, budget.extras, budget.tokens]).to.deep.equal([100, 20, 9]);
    expect(extrasOf(budget)).to.equal(10);
    budget.reconfigure(0.1);
    expect(budget.tryExtra()).to.equal('budget');
  });

  it('regains at most half its own rate for a success, so that a budget of 5 % is not one of 10 %', () => {
    const budget = budgetWithTokens(5, 0.05);
    budget.succeeded();
    expect(budget.tokens).to.equal(5.025);
  });
});

/** Keeps every call and extra in a list; tokens in whole thousandths. */
class Twin {
  fresh: object[] = [];
  upstream: object[] = [];
  extras: object[] = [];
  thousandths = 10_000;
  constructor(public budget: number) {}

  lose(): void {
    this.thousandths -= 1_000;
    if (this.thousandths < 0) this.thousandths = 0;
  }

  win(): void {
    this.thousandths += this.budget < 0.2 ? (this.budget / 2) * 1_000 : 100;
    if (this.thousandths > 10_000) this.thousandths = 10_000;
  }

  get spent(): number {
    return this.extras.length + this.upstream.length;
  }

  verdict(): string {
    const most = this.fresh.length * this.budget;
    if (this.spent >= 3 && this.spent >= most) return 'budget';
    return this.thousandths > 5_000 ? 'ok' : 'throttled';
  }
}

const steps = fc.array(
  fc.oneof(
    fc.constantFrom('begin', 'begin', 'begin', 'end', 'begin-upstream', 'end-upstream', 'extra', 'extra'),
    fc.constantFrom('extra-end', 'succeed', 'succeed', 'succeed', 'succeed', 'fail', 'reconfigure'),
  ),
  { maxLength: 400 },
);

describe('every budget of extra attempts', () => {
  property(
    'decides and counts as its dumb twin',
    fc.record({ budget: fc.constantFrom(0, 0.02, 0.1, 0.2, 0.5, 1), steps }),
    ({ budget: fraction, steps }) => {
      const budget = new AttemptBudget(fraction);
      const twin = new Twin(fraction);
      for (const step of steps) {
        if (step === 'begin') {
          budget.callBegan(false);
          twin.fresh.push({});
        } else if (step === 'begin-upstream') {
          budget.callBegan(true);
          twin.upstream.push({});
          twin.lose();
        } else if (step === 'end' && twin.fresh.pop()) budget.callEnded(false);
        else if (step === 'end-upstream' && twin.upstream.pop()) budget.callEnded(true);
        else if (step === 'extra') {
          const expected = twin.verdict();
          expect(budget.tryExtra()).to.equal(expected);
          if (expected === 'ok') twin.extras.push({});
        } else if (step === 'extra-end' && twin.extras.pop()) budget.extraEnded();
        else if (step === 'succeed') {
          budget.succeeded();
          twin.win();
        } else if (step === 'fail') {
          budget.failedRetryably();
          twin.lose();
        } else if (step === 'reconfigure') {
          twin.budget = twin.budget === 0.2 ? 0.1 : 0.2;
          budget.reconfigure(twin.budget);
        }
        expect(budget.active).to.equal(twin.fresh.length + twin.upstream.length);
        expect(budget.extras).to.equal(twin.spent);
        expect(budget.tokens).to.be.closeTo(twin.thousandths / 1_000, 1e-9);
      }
    },
  );
});
