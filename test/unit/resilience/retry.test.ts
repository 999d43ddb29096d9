/**
 * The decision after a failed attempt: each reason to stop, who holds the budget's slot, and a twin that asks one plain
 * question after the other.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { seededRandom } from '../../../core/random.js';
import { AttemptBudget } from '../../../core/resilience/budget.js';
import { noPushback, type Pushback } from '../../../core/resilience/pushback.js';
import { decideRetry, isUpstreamRetry, type RetryState } from '../../../core/resilience/retry.js';
import { property } from '../../support/property.js';
import { budgetWithTokens, failure, pushedBack, retrySpec, retryState } from '../../support/retrying.js';
import { evenRandom } from '../../support/specs.js';

function decide(changes: Partial<RetryState>, budget = new AttemptBudget(0.2)) {
  return decideRetry(retryState(changes), budget, evenRandom);
}

describe('after a failed attempt', () => {
  const stops: { because: string; why: string; state: Partial<RetryState>; budget?: () => AttemptBudget }[] =
    [
      { because: 'a rejection of our own', why: 'rejected', state: { failure: failure({ local: true }) } },
      { because: 'a callee that sheds load', why: 'shed', state: { failure: failure({ shed: true }) } },
      {
        because: 'a status that is not tried again, though never sent',
        why: 'status',
        state: { failure: failure({ status: 'INTERNAL', unsent: true }) },
      },
      { because: 'a pushback that says so', why: 'pushback', state: { failure: pushedBack('-1') } },
      { because: 'headers that had arrived', why: 'committed', state: { committed: true } },
      { because: 'a method that may not be repeated', why: 'not-idempotent', state: { idempotent: false } },
      { because: 'attempts that are used up', why: 'attempts', state: { attempts: 3 } },
      { because: 'a deadline within the backoff', why: 'deadline', state: { remainingMs: 12.5 } },
      {
        because: 'a deadline within the wait that was asked for',
        why: 'deadline',
        state: { remainingMs: 70, failure: pushedBack('70') },
      },
      {
        because: 'a deadline that is over',
        why: 'deadline',
        state: { remainingMs: 0, failure: pushedBack('0') },
      },
      { because: 'tokens at half', why: 'throttled', state: {}, budget: () => budgetWithTokens(6) },
      {
        because: 'extras of other calls',
        why: 'budget',
        state: {},
        budget: () => {
          const budget = new AttemptBudget(0.2);
          for (let i = 0; i < 3; i++) budget.tryExtra();
          return budget;
        },
      },
    ];
  for (const { because, why, state, budget = () => new AttemptBudget(0.2) } of stops)
    it(`stops for ${because}, and holds no slot`, () => {
      const its = budget();
      const extrasBefore = its.extras;
      expect(decide(state, its)).to.deep.equal({ kind: 'stop', why });
      expect(its.extras).to.equal(extrasBefore);
    });

  it('tries again after the backoff, with a slot taken', () => {
    const budget = new AttemptBudget(0.2);
    expect(decide({}, budget)).to.deep.equal({ kind: 'retry', afterMs: 12.5, backoffs: 1 });
    expect(budget.extras).to.equal(1);
  });

  it('tries again what was never sent, though the method may not be repeated', () => {
    const state = { idempotent: false, failure: failure({ unsent: true }) };
    expect(decide(state).kind).to.equal('retry');
  });

  it('tries again while more remains than the backoff', () => {
    expect(decide({ remainingMs: 12.6 }).kind).to.equal('retry');
  });

  it('goes by the status even where the callee names a wait', () => {
    const told = { ...pushedBack('5'), status: 'INVALID_ARGUMENT' };
    expect(decide({ failure: told })).to.deep.equal({ kind: 'stop', why: 'status' });
  });

  it('costs a token for what is tried again or said "don’t", whatever else stops it, and only then', () => {
    const cost = (state: Partial<RetryState>) => {
      const budget = new AttemptBudget(0.2);
      decide(state, budget);
      return 10 - budget.tokens;
    };
    expect(cost({})).to.equal(1);
    expect(cost({ attempts: 3 })).to.equal(1);
    expect(cost({ committed: true })).to.equal(1);
    expect(cost({ failure: failure({ shed: true }) })).to.equal(1);
    expect(cost({ failure: { ...pushedBack('-1'), status: 'INTERNAL' } })).to.equal(1);
    expect(cost({ failure: failure({ status: 'INTERNAL' }) })).to.equal(0);
    expect(cost({ failure: failure({ local: true }) })).to.equal(0);
  });
});

const pushbacks: fc.Arbitrary<Pushback> = fc.oneof(
  fc.constant(noPushback),
  fc.constant({ kind: 'stop' as const }),
  fc.nat(500).map((ms) => ({ kind: 'wait' as const, ms })),
);
const states = fc.record({
  attempts: fc.integer({ min: 1, max: 5 }),
  max: fc.integer({ min: 1, max: 5 }),
  on: fc.constantFrom<string[]>(['UNAVAILABLE'], ['UNAVAILABLE', 'INTERNAL']),
  status: fc.constantFrom('UNAVAILABLE', 'UNAVAILABLE', 'INTERNAL', 'NOT_FOUND'),
  rare: fc.constantFrom('none', 'none', 'none', 'local', 'shed', 'committed'),
  unsent: fc.boolean(),
  idempotent: fc.boolean(),
  pushback: pushbacks,
  backoffs: fc.nat(4),
  remainingMs: fc.oneof(
    fc.constant(Number.POSITIVE_INFINITY),
    fc.double({ min: -10, max: 600, noNaN: true }),
  ),
  tokens: fc.integer({ min: 0, max: 10 }),
  seed: fc.nat(),
});

describe('every decision about a retry', () => {
  property(
    'is a retry exactly when nothing of a plain list speaks against it, after the wait that the list says',
    states,
    (facts) => {
      const { max, on, rare, tokens, seed, backoffs, remainingMs, attempts, status, pushback } = facts;
      const budget = budgetWithTokens(tokens);
      const decision = decideRetry(
        {
          spec: retrySpec({ attempts: max, on }),
          failure: { status, pushback, unsent: facts.unsent, local: rare === 'local', shed: rare === 'shed' },
          idempotent: facts.idempotent,
          committed: rare === 'committed',
          attempts,
          remainingMs,
          backoffs,
        },
        budget,
        seededRandom(seed),
      );
      const jittered = seededRandom(seed).next() * Math.min(250, 25 * 2 ** backoffs);
      const waitMs = pushback.kind === 'wait' ? pushback.ms : jittered;
      const speaksAgainst = [
        rare !== 'none',
        !on.includes(status),
        !(facts.idempotent || facts.unsent),
        pushback.kind === 'stop',
        attempts >= max,
        remainingMs <= waitMs,
        tokens - 1 <= 5,
      ];
      const allowed = !speaksAgainst.includes(true);
      expect(decision.kind).to.equal(allowed ? 'retry' : 'stop');
      expect(budget.extras).to.equal(allowed ? 1 : 0);
      if (decision.kind !== 'retry') return;
      expect(decision.afterMs).to.equal(waitMs);
      expect(decision.backoffs).to.equal(pushback.kind === 'wait' ? 0 : backoffs + 1);
    },
    1_000,
  );
});

describe('a call that arrives', () => {
  it('is a retry of somebody above exactly when it says how many came before', () => {
    for (const values of [['1'], ['4'], ['12']])
      expect(isUpstreamRetry(values), values.join()).to.equal(true);
    for (const values of [[], ['0'], ['-1'], ['x'], [''], [Uint8Array.of(0x31)]])
      expect(isUpstreamRetry(values), String(values)).to.equal(false);
  });
});
