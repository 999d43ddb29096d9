/**
 * The clock that may lag: never ahead, never further behind than it says, exact where there is little to do, and quiet.
 */
import { expect } from 'chai';
import { COARSE_LAG_MS, CoarseClock } from '../../../agent/coarse-clock.js';
import { walks } from '../../support/property.js';
import { VirtualClock } from '../../support/virtual-clock.js';

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
