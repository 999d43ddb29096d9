/**
 * The hedging plan and its budget against their dumb twins: copies that are due, early, late and refused, failures of every kind,
 * pushbacks, other calls that spend and refill the budget, and clocks that stand or leap.
 */
import { expect } from 'chai';
import type { Random } from '../../../core/random.js';
import { AttemptBudget } from '../../../core/resilience/budget.js';
import { HedgePlan } from '../../../core/resilience/hedge.js';
import { parsePushback } from '../../../core/resilience/pushback.js';
import type { AttemptFailure } from '../../../core/resilience/retry.js';
import { BudgetTwin, HedgeTwin } from '../../support/hedge-twin.js';
import { walks } from '../../support/property.js';

const statuses = ['UNAVAILABLE', 'ABORTED', 'INTERNAL'] as const;

class Choice {
  constructor(readonly random: Random) {}

  of<T>(all: readonly T[]): T {
    return all[Math.floor(this.random.next() * all.length)] as T;
  }

  chance(probability: number): boolean {
    return this.random.next() < probability;
  }

  /** Most are such that copies may follow: a fatal one ends the walk. */
  failure(): AttemptFailure {
    const said = this.of<readonly string[]>([
      [],
      [],
      [],
      ['0'],
      ['70'],
      ['450'],
      ['-1'],
      ['soon'],
      ['1', '2'],
    ]);
    return {
      status: this.chance(0.85) ? 'UNAVAILABLE' : this.of(statuses),
      unsent: this.chance(0.2),
      shed: this.chance(0.05),
      local: this.chance(0.05),
      pushback: parsePushback(said),
    };
  }
}

/** What the other calls of the callee do with the budget that all share. */
class Neighbours {
  #fresh = 0;
  #upstream = 0;
  #extras = 0;

  constructor(
    readonly choice: Choice,
    readonly real: AttemptBudget,
    readonly twin: BudgetTwin,
  ) {}

  act(): void {
    const { choice, real, twin } = this;
    const deed = choice.of([
      'call',
      'call',
      'end',
      'retry',
      'retried',
      'extra',
      'ended',
      'success',
      'failure',
    ]);
    if (deed === 'call') {
      for (let i = choice.of([1, 5, 20]); i > 0; i--, this.#fresh++) {
        real.callBegan(false);
        twin.deeds.push('call');
      }
    } else if (deed === 'end' && this.#fresh > 0) {
      this.#fresh--;
      real.callEnded(false);
      twin.deeds.push('call-ended');
    } else if (deed === 'retry') {
      this.#upstream++;
      real.callBegan(true);
      twin.deeds.push('retry-from-above');
    } else if (deed === 'retried' && this.#upstream > 0) {
      this.#upstream--;
      real.callEnded(true);
      twin.deeds.push('retry-from-above-ended');
    } else if (deed === 'extra') {
      const verdict = twin.verdict;
      expect(real.tryExtra()).to.equal(verdict);
      if (verdict !== 'ok') return;
      this.#extras++;
      twin.deeds.push('extra');
    } else if (deed === 'ended' && this.#extras > 0) this.extraEnded();
    else if (deed === 'success')
      for (let i = choice.of([1, 10, 40]); i > 0; i--) {
        real.succeeded();
        twin.deeds.push('success');
      }
    else if (deed === 'failure') this.fail();
  }

  fail(): void {
    this.real.failedRetryably();
    this.twin.deeds.push('failure');
  }

  extraEnded(): void {
    this.#extras--;
    this.real.extraEnded();
    this.twin.deeds.push('extra-ended');
  }
}

const answers = ['budget', 'deadline', 'half-open', 'not-due', 'over', 'started', 'throttled', 'wait'];

/** Notes the answers that it met. */
function walk(random: Random, seen: Set<string>): void {
  const choice = new Choice(random);
  const share = choice.of([0, 0.05, 0.2, 0.5, 1]);
  const budget = { real: new AttemptBudget(share), twin: new BudgetTwin(share) };
  const neighbours = new Neighbours(choice, budget.real, budget.twin);
  for (let i = choice.of([0, 0, 10]); i > 0; i--) neighbours.act();
  for (let i = choice.of([0, 0, 0, 4, 5, 9]); i > 0; i--) neighbours.fail();
  let now = choice.of([0, 1_000.25, 1e9]);
  const given = [
    choice.of([1, 2, 4]),
    choice.of([1, 20, 100]),
    choice.of([['UNAVAILABLE'], ['UNAVAILABLE', 'ABORTED'], []]),
  ] as const;
  const real = new HedgePlan(...given, now);
  const twin = new HedgeTwin(...given, now, budget.twin);
  const state = () => [real.nextAt, real.running, real.over, budget.real.extras, budget.real.tokens];

  for (let i = 0; i < 60; i++) {
    const deed = random.next();
    if (deed < 0.3) {
      now += choice.of([0, 0, 1, 20, 33.3, 100, 500, 3_600_000]);
    } else if (deed < 0.4 && Number.isFinite(twin.nextAt)) {
      now = Math.max(now, twin.nextAt - choice.of([0, 0, 0.5]));
    } else if (deed < 0.65) {
      const conditions = {
        halfOpen: choice.chance(0.15),
        remainingMs: choice.of([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 5, 0.5, 0, -3]),
      };
      const expected = twin.start(now, conditions);
      seen.add(expected);
      expect(real.start(now, conditions, budget.real), `start ${i}`).to.equal(expected);
    } else if (deed < 0.78 && twin.running > 0) {
      // One of the copies returns its slot, as whoever runs the plan does; the first attempt has none.
      if (twin.running > 1) {
        budget.real.extraEnded();
        budget.twin.deeds.push('extra-ended');
      }
      const failure = choice.failure();
      const expected = twin.failed(failure, now);
      seen.add(expected);
      expect(real.failed(failure, now, budget.real), `failure ${i}`).to.equal(expected);
    } else if (deed < 0.79) {
      real.succeeded();
      twin.succeeded(now);
    } else {
      neighbours.act();
    }
    expect(state(), `after deed ${i}`).to.deep.equal([
      twin.nextAt,
      twin.running,
      twin.over,
      budget.twin.extras,
      budget.twin.tokens,
    ]);
  }
}

describe('a hedging plan and its dumb twin', () => {
  walks('agree about every start, refusal, failure and slot, over 400 calls', 5, (random) => {
    const seen = new Set<string>();
    for (let i = 0; i < 400; i++) walk(random, seen);
    expect([...seen].sort()).to.deep.equal(answers);
  });
});
