/**
 * When copies of a call start, what refuses them, and what each failure of one means for the rest.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { AttemptBudget } from '../../../core/resilience/budget.js';
import { HedgePlan, hedgeDelayMs } from '../../../core/resilience/hedge.js';
import { parsePushback } from '../../../core/resilience/pushback.js';
import { RollingLatency } from '../../../core/resilience/rolling-latency.js';
import { property } from '../../support/property.js';
import { budgetWithTokens, failure, pushedBack } from '../../support/retrying.js';

const free = { halfOpen: false, remainingMs: Number.POSITIVE_INFINITY };
const never = Number.POSITIVE_INFINITY;

/** A call at 0 with copies 100 ms apart. */
function plan(extra = 1, budget = new AttemptBudget(0.2)) {
  const it = new HedgePlan(extra, 100, ['UNAVAILABLE'], 0);
  return {
    it,
    budget,
    start: (now: number, conditions = free) => it.start(now, conditions, budget),
    fail: (now: number, failed = failure()) => it.failed(failed, now, budget),
  };
}

describe('the pause before a hedge', () => {
  it('is the fixed one', () => {
    expect(hedgeDelayMs({ delay: { kind: 'fixed', ms: 50 }, extra: 1 }, undefined, 0)).to.equal(50);
  });

  it('is the rolling percentile once there are enough samples, before that there is none', () => {
    const spec = { delay: { kind: 'percentile' as const, p: 0.95 }, extra: 1 };
    const latency = new RollingLatency(0);
    expect(hedgeDelayMs(spec, undefined, 0)).to.equal(undefined);
    for (let i = 0; i < 19; i++) latency.record(10, 0);
    expect(hedgeDelayMs(spec, latency, 0)).to.equal(undefined);
    latency.record(500, 0);
    expect(hedgeDelayMs(spec, latency, 0)).to.be.closeTo(10, 0.5);
    expect(hedgeDelayMs(spec, latency, 3_600_000)).to.equal(undefined);
  });
});

describe('a hedge', () => {
  it('starts when its pause is over, not before, with a slot of the budget', () => {
    const { it, start, budget } = plan();
    expect(start(99)).to.equal('not-due');
    expect(budget.extras).to.equal(0);
    expect(start(100)).to.equal('started');
    expect([it.running, budget.extras, it.nextAt]).to.deep.equal([2, 1, never]);
    expect(start(1_000)).to.equal('not-due');
  });

  it('does not start while the circuit probes, nor without time or budget, and takes no slot then', () => {
    expect(plan().start(100, { ...free, halfOpen: true })).to.equal('half-open');
    expect(plan().start(100, { ...free, remainingMs: 0 })).to.equal('deadline');
    expect(plan(1, budgetWithTokens(5)).start(100)).to.equal('throttled');
    const { start, budget } = plan();
    for (let i = 0; i < 3; i++) budget.tryExtra();
    expect(start(100)).to.equal('budget');
    expect(budget.extras).to.equal(3);
  });

  it('that is refused is not sent later, and harms nothing that runs', () => {
    const { it, start, budget } = plan(2);
    for (let i = 0; i < 3; i++) budget.tryExtra();
    expect(start(100)).to.equal('budget');
    expect([it.running, it.over, it.nextAt]).to.deep.equal([1, false, 200]);
    budget.extraEnded();
    expect(start(200)).to.equal('started');
    expect(it.nextAt).to.equal(never);
  });

  it('that is refused when nothing runs ends the call, without the pauses of the others', () => {
    const { it, start, fail } = plan(3, budgetWithTokens(6));
    expect(fail(10)).to.equal('wait');
    expect(start(10)).to.equal('throttled');
    expect([it.over, it.nextAt]).to.deep.equal([true, never]);
  });

  it('comes no sooner than a callee asked, whatever another one’s failure would allow', () => {
    const { it, start, fail } = plan(3);
    start(100);
    start(200);
    expect(fail(210, pushedBack('400'))).to.equal('wait');
    expect(fail(220, pushedBack('50'))).to.equal('wait');
    expect(fail(230)).to.equal('wait');
    expect(it.nextAt).to.equal(610);
  });

  for (const [who, changes] of [
    ['our own rejection', { local: true }],
    ['the callee’s shedding', { shed: true }],
  ] as const)
    it(`is followed by none after ${who}, and what runs may finish`, () => {
      const { it, start, fail } = plan(3);
      start(100);
      expect(fail(110, failure(changes))).to.equal('wait');
      expect([it.running, it.nextAt]).to.deep.equal([1, never]);
      expect(fail(120)).to.equal('over');
    });

  it('is needed no more after a success', () => {
    const { it } = plan(3);
    it.succeeded();
    expect(it.nextAt).to.equal(never);
  });
});

type Event =
  | { do: 'tick'; ms: number; halfOpen: boolean }
  | { do: 'fail'; status: string; pushback: string[]; local: boolean };

const events = fc.array(
  fc.oneof<fc.Arbitrary<Event>[]>(
    fc.record({
      do: fc.constant('tick' as const),
      ms: fc.nat(250),
      halfOpen: fc.constantFrom(false, false, true),
    }),
    fc.record({
      do: fc.constant('fail' as const),
      status: fc.constantFrom('UNAVAILABLE', 'UNAVAILABLE', 'UNAVAILABLE', 'INTERNAL'),
      pushback: fc.constantFrom<string[]>([], [], [], ['-1'], ['0'], ['150']),
      local: fc.constantFrom(false, false, false, true),
    }),
  ),
  { maxLength: 40 },
);

describe('every hedged call', () => {
  property(
    'sends at most its copies, none before its time or after a stop, and ends exactly when nothing runs or one was fatal',
    fc.record({ extra: fc.integer({ min: 1, max: 4 }), tokens: fc.integer({ min: 4, max: 10 }), events }),
    ({ extra, tokens, events }) => {
      const { it, budget, start, fail } = plan(extra, budgetWithTokens(tokens));
      let now = 0;
      let started = 0;
      let running = 1;
      let stopped = false;
      for (const event of events) {
        if (event.do === 'tick') {
          now += event.ms;
          const due = now >= it.nextAt;
          const verdict = start(now, { halfOpen: event.halfOpen, remainingMs: 1 });
          // Where nothing runs there is no point in waiting for a turn that comes after the call's time.
          if (!due) expect(verdict).to.equal(running > 0 ? 'not-due' : 'deadline');
          if (verdict === 'started') {
            expect(stopped || event.halfOpen).to.equal(false);
            started++;
            running++;
          }
        } else if (running > 0) {
          running--;
          const { status, local } = event;
          const pushback = parsePushback(event.pushback);
          const verdict = fail(now, failure({ status, local, pushback }));
          const fatal = !local && status === 'INTERNAL';
          stopped ||= fatal || local || pushback.kind === 'stop';
          if (fatal) {
            expect(verdict).to.equal('over');
            return;
          }
          expect(verdict).to.equal(it.over ? 'over' : 'wait');
        }
        expect(it.running).to.equal(running);
        expect(started).to.be.at.most(extra);
        expect(budget.extras).to.equal(started);
        if (stopped) expect(it.nextAt).to.equal(never);
        expect(it.over).to.equal(running === 0 && it.nextAt === never);
        if (it.over) return;
      }
    },
  );
});
