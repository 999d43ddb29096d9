/**
 * Traps 16 and 17 of the reference: what retries add up to through two layers that both retry, and how long they wait.
 */
import { expect } from 'chai';
import type { RetrySpec } from '../../../core/policy/model.js';
import { type Random, seededRandom } from '../../../core/random.js';
import { backoffMs } from '../../../core/resilience/backoff.js';
import { walks } from '../../support/property.js';
import { RetryingLayer, retrySpec } from '../../support/retrying.js';
import { VirtualClock } from '../../support/virtual-clock.js';

/** A callee whose health changes every few dozen attempts, from well to dead. */
function moody(random: Random): () => boolean {
  let failureRate = random.next();
  return () => {
    if (random.next() < 0.03) failureRate = random.next() < 0.3 ? Math.round(random.next()) : random.next();
    return random.next() >= failureRate;
  };
}

/** `calls` calls, `concurrency` at a time, through two layers of the same policy; answers the attempts at the bottom. */
function throughTwoLayers(
  options: { spec: RetrySpec; calls: number; concurrency: number; healthy: () => boolean },
  random: Random,
): number {
  const clock = new VirtualClock();
  const { spec, calls, concurrency, healthy } = options;
  const inner = new RetryingLayer(
    spec,
    (_, answer) => void clock.after(random.next() * 50, () => answer(healthy())),
    clock,
    random,
  );
  const outer = new RetryingLayer(
    spec,
    (previous, answer) => void inner.call(previous, answer),
    clock,
    random,
  );
  const next = () => {
    if (outer.calls < calls) outer.call(undefined, next);
  };
  for (let i = 0; i < concurrency; i++) next();
  while (clock.pendingTimers > 0) clock.advance(1_000);
  expect(outer.calls).to.equal(calls);
  for (const { budget } of [inner, outer]) {
    expect(budget.active, 'calls under way at the end').to.equal(0);
    expect(budget.extras, 'slots taken at the end').to.equal(0);
  }
  return inner.attempts;
}

describe('trap 16: retries through two layers', () => {
  walks('trap 16: a hundred calls and more cost at most calls × (1 + budget) + 3 attempts', 25, (random) => {
    const calls = 100 + Math.floor(random.next() * 200);
    const concurrency = [1, 10, 100][Math.floor(random.next() * 3)] ?? 1;
    const spec = retrySpec({ attempts: 2 + Math.floor(random.next() * 4), budget: 0.2 });
    const total = throughTwoLayers({ spec, calls, concurrency, healthy: moody(random) }, random);
    expect(total).to.be.at.least(calls);
    expect(total).to.be.at.most(calls * 1.2 + 3);
  });

  // Neither layer hears of the other's first retries, and five tokens are above half in each: that is what the 3 can't cover.
  walks(
    'trap 16: any number of calls costs less than calls × (1 + budget) and five for each layer',
    25,
    (random) => {
      const calls = 1 + Math.floor(random.next() * 60);
      const budget = [0, 0.05, 0.1, 0.2, 0.5][Math.floor(random.next() * 5)] ?? 0.2;
      const spec = retrySpec({ attempts: 5, budget });
      const total = throughTwoLayers({ spec, calls, concurrency: 1, healthy: moody(random) }, random);
      expect(total).to.be.below(calls * (1 + budget) + 2 * 5);
    },
  );

  it('trap 16: a callee that is dead gets one attempt a call, and a handful besides', () => {
    const options = { spec: retrySpec(), calls: 1_000, concurrency: 1, healthy: () => false };
    expect(throughTwoLayers(options, seededRandom(1))).to.be.at.most(1_000 + 2 * 4);
  });

  it('trap 16: retries stop at a cancel, in the pause and in the attempt, and leave no timer and no slot', () => {
    for (const cancelAfterMs of [5, 15]) {
      const clock = new VirtualClock();
      const random = { ...seededRandom(1), next: () => 0.999 };
      const dies = (_: unknown, answer: (ok: boolean) => void) => void clock.after(10, () => answer(false));
      const layer = new RetryingLayer(retrySpec(), dies, clock, random);
      const cancel = layer.call(undefined, () => expect.fail('a cancelled call was answered'));
      clock.advance(cancelAfterMs);
      cancel();
      clock.advance(60_000);
      expect([layer.attempts, layer.budget.extras, layer.budget.active, clock.pendingTimers]).to.deep.equal([
        1, 0, 0, 0,
      ]);
    }
  });
});

describe('trap 17: overflow of the backoff', () => {
  it('trap 17: the backoff is finite and at most the maximum at attempt 10,000, and far beyond', () => {
    const random = seededRandom(17);
    for (const backoff of [
      { baseMs: 25, maxMs: 250 },
      { baseMs: 60_000, maxMs: 3_600_000 },
      { baseMs: 1, maxMs: 1 },
    ])
      for (const attempt of [1, 2, 60, 1_023, 1_024, 1_025, 10_000, 2 ** 31, Number.MAX_SAFE_INTEGER])
        for (let i = 0; i < 100; i++)
          expect(backoffMs(backoff, attempt, random)).to.be.within(0, backoff.maxMs);
  });
});
