/**
 * The clock that may lag: never ahead, never further behind than it says, exact where there is little to do, and quiet.
 */
import { expect } from 'chai';
import { COARSE_LAG_MS, CoarseClock } from '../../../agent/coarse-clock.js';
import { guard } from '../../../agent/guard.js';
import type { Targets } from '../../../agent/targets.js';
import { Expiry } from '../../../agent/timeouts.js';
import type { Sections } from '../../../core/policy/model.js';
import { walks } from '../../support/property.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf } from '../../support/targets.js';
import { VirtualClock } from '../../support/virtual-clock.js';

type Given = { [S in keyof Sections]: NonNullable<Sections[S]> };

/** Counts how often it is read. */
class CountingClock extends VirtualClock {
  readings = 0;

  override now(): number {
    this.readings++;
    return super.now();
  }
}

function busy(): { readonly clock: CountingClock; readonly coarse: CoarseClock } {
  const clock = new CountingClock(1_000);
  const coarse = new CoarseClock(clock);
  for (let i = 0; i < 1_100; i++) coarse.now();
  return { clock, coarse };
}

describe('the coarse clock', () => {
  it('is exact, and sets no timer, below a thousand readings in 20 ms', () => {
    const clock = new CountingClock(1_000);
    const coarse = new CoarseClock(clock);
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 1_000; i++)
        expect([coarse.now(), coarse.lagMs]).to.deep.equal([1_000 + round * 21, 0]);
      clock.advance(21);
    }
    expect([clock.readings, clock.pendingTimers]).to.deep.equal([20_000, 0]);
  });

  it('is read once for many uses under load', () => {
    const { clock, coarse } = busy();
    const before = clock.readings;
    for (let i = 0; i < 64_000; i++) coarse.now();
    expect(clock.readings - before).to.be.within(990, 1_010);
    expect(clock.pendingTimers).to.equal(1);
  });

  it('says how far behind it may be, and is no further behind than that', () => {
    const { clock, coarse } = busy();
    let told = 0;
    for (let i = 0; i < 10_000; i++) {
      clock.advance(1);
      const value = coarse.now();
      const lag = coarse.lagMs;
      expect(clock.now() - value).to.be.within(0, lag);
      if (lag > 0) told++;
    }
    expect(told).to.be.below(64);
  });

  it('lags by at most 63 uses where something keeps the event loop from its timers', () => {
    const { clock, coarse } = busy();
    clock.stall(500);
    let uses = 0;
    while (coarse.now() !== clock.now()) uses++;
    expect(uses).to.be.at.most(63);
  });

  it('is exact again, without a timer, once it is quiet', () => {
    const { clock, coarse } = busy();
    clock.advance(COARSE_LAG_MS);
    expect([coarse.now(), coarse.lagMs, clock.pendingTimers]).to.deep.equal([1_020, 0, 0]);
  });

  it('is exact once it is closed, and leaves no timer', () => {
    const { clock, coarse } = busy();
    coarse.now();
    coarse.close();
    expect(clock.pendingTimers).to.equal(0);
    for (let i = 0; i < 5_000; i++) {
      clock.stall(0.001);
      expect(coarse.now()).to.equal(clock.now());
    }
    expect([coarse.lagMs, clock.pendingTimers]).to.deep.equal([0, 0]);
  });

  walks(
    'is never ahead, never goes back, and never lags by more than 20 ms while timers run',
    10,
    (random) => {
      const clock = new VirtualClock(1_000);
      const coarse = new CoarseClock(clock);
      let last = 0;
      for (let i = 0; i < 200; i++) {
        for (let uses = Math.floor(random.next() * 3_000); uses > 0; uses--) {
          const value = coarse.now();
          const now = clock.now();
          if (
            value > now ||
            value < last ||
            now - value > COARSE_LAG_MS ||
            (coarse.lagMs === 0 && value !== now)
          )
            expect.fail(`${value} at ${now} after ${last}, said to lag by ${coarse.lagMs}`);
          last = value;
          if (random.next() < 0.01) clock.advance(random.next() * 3);
        }
        clock.advance(random.next() < 0.5 ? 1 : 50);
        expect(clock.pendingTimers).to.be.at.most(1);
      }
      coarse.close();
      expect(clock.pendingTimers).to.equal(0);
    },
  );
});

describe('a guarded call under such load that the clock lags', () => {
  /** The coarse clock is 15 ms behind. */
  function lagging(sections: Given) {
    const made = bench(effectiveOf(sections));
    for (let i = 0; i < 1_030; i++) made.targets.coarse.now();
    made.clock.stall(15);
    expect(made.targets.coarse.now()).to.equal(made.clock.now() - 15);
    return made;
  }
  const hangs = () => new Promise<never>(() => undefined);

  /** Another limit has the timer look around before. */
  function wakesAfter(targets: Targets, clock: VirtualClock, lengthMs: number): void {
    const other = new (class extends Expiry {
      expire(): void {}
    })();
    targets.timeouts.set(other, clock.now(), lengthMs);
  }

  it('has all of its time', async () => {
    for (const more of [
      {},
      { attemptTimeout: 200 },
      { attemptTimeout: 200, retry: retrySpec(), idempotent: true },
    ]) {
      const { clock, targets } = lagging({ timeout: 210, ...more });
      const from = clock.now();
      const end = rejectionOf(guard(targets, 'db', hangs));
      const limit = 'attemptTimeout' in more ? 200 : 210;
      clock.advance(limit - 1);
      expect(targets.permitsOut).to.equal(1);
      clock.advance(1 + COARSE_LAG_MS);
      const text = `[deadline_exceeded] db: no answer within ${limit} ms (policy inventory-default@7)`;
      expect(await end).to.have.property('message', text);
      expect(clock.now() - from).to.be.within(limit, limit + COARSE_LAG_MS);
    }
  });

  it('has all of its time in line', async () => {
    const { clock, targets } = lagging({
      timeout: 1_000,
      bulkhead: bulkheadSpec(1, { maxQueue: 1, queueTimeoutMs: 10 }),
    });
    const running = rejectionOf(guard(targets, 'db', hangs));
    const queued = rejectionOf(guard(targets, 'db', hangs));
    wakesAfter(targets, clock, 5);
    clock.advance(9);
    expect(targets.bulkheads()[0]?.queued).to.equal(1);
    clock.advance(1);
    expect(await queued).to.have.property('code', 'bulkhead_timeout');
    clock.advance(2_000);
    await running;
  });

  it('gets no copy before its delay', async () => {
    const hedge = { delay: { kind: 'fixed', ms: 10 }, extra: 1 } as const;
    const { clock, targets } = lagging({ timeout: 1_000, hedge, idempotent: true });
    let started = 0;
    const end = rejectionOf(
      guard(targets, 'db', () => {
        started++;
        return hangs();
      }),
    );
    wakesAfter(targets, clock, 5);
    clock.advance(9);
    expect(started).to.equal(1);
    clock.advance(1);
    expect(started).to.equal(2);
    clock.advance(2_000);
    await end;
  });
});
