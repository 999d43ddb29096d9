/**
 * Time limits behind one timer: each runs out once, in time, never after it was lifted, and nothing is left behind.
 */
import { expect } from 'chai';
import { Expiry, Timeouts } from '../../../agent/timeouts.js';
import { walks } from '../../support/property.js';
import { VirtualClock } from '../../support/virtual-clock.js';

class Limit extends Expiry {
  ranOutAt: number | undefined;
  times = 0;
  constructor(
    readonly clock: VirtualClock,
    readonly then: () => void = () => undefined,
  ) {
    super();
  }

  expire(): void {
    this.ranOutAt = this.clock.now();
    this.times++;
    this.then();
  }
}

function made() {
  const clock = new VirtualClock(1_000);
  const timeouts = new Timeouts(clock);
  return { clock, timeouts, set: (lengthMs: number, then?: () => void) => setOne(lengthMs, then) };

  function setOne(lengthMs: number, then?: () => void): Limit {
    const limit = new Limit(clock, then);
    timeouts.set(limit, clock.now(), lengthMs);
    return limit;
  }
}

describe('time limits', () => {
  it('run out when their time is over, once', () => {
    const { clock, set } = made();
    const limits = [300, 100, 200].map((lengthMs) => set(lengthMs));
    clock.advance(1_000);
    expect(limits.map(({ ranOutAt }) => ranOutAt)).to.deep.equal([1_300, 1_100, 1_200]);
    expect(limits.map(({ times }) => times)).to.deep.equal([1, 1, 1]);
  });

  it('need one timer, however many and however different', () => {
    const { clock, set } = made();
    for (let i = 0; i < 1_000; i++) set(1_000 - (i % 500));
    expect(clock.pendingTimers).to.equal(1);
  });

  it('that are set again run out once, by what was said last, and leave their lists whole', () => {
    const { clock, timeouts, set } = made();
    const [first, again, never, last] = [100, 100, 100, 100].map((lengthMs) => set(lengthMs)) as [
      Limit,
      Limit,
      Limit,
      Limit,
    ];
    timeouts.set(again, clock.now(), 200);
    timeouts.set(again, clock.now(), 300);
    timeouts.set(never, clock.now(), Number.POSITIVE_INFINITY);
    clock.advance(1_000);
    expect([first, again, never, last].map(({ ranOutAt }) => ranOutAt)).to.deep.equal([
      1_100,
      1_300,
      undefined,
      1_100,
    ]);
    expect([again.times, clock.pendingTimers]).to.deep.equal([1, 0]);
  });

  it('do not run out after they were lifted, from wherever in their list', () => {
    const { clock, timeouts, set } = made();
    const limits = Array.from({ length: 5 }, () => set(100));
    for (const i of [0, 2, 4]) timeouts.lift(limits[i] as Limit);
    clock.advance(1_000);
    expect(limits.map(({ times }) => times)).to.deep.equal([0, 1, 0, 1, 0]);
    timeouts.lift(limits[1] as Limit);
    timeouts.lift(limits[0] as Limit);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('of no end set nothing', () => {
    const { clock, set } = made();
    const limit = set(Number.POSITIVE_INFINITY);
    expect(clock.pendingTimers).to.equal(0);
    clock.advance(1e9);
    expect(limit.times).to.equal(0);
  });

  it('that are over already run out at the next opportunity, not within the call that sets them', () => {
    const { clock, set } = made();
    const limits = [set(0), set(-5)];
    expect(limits.map(({ times }) => times)).to.deep.equal([0, 0]);
    clock.advance(0);
    expect(limits.map(({ times }) => times)).to.deep.equal([1, 1]);
  });

  it('can be set by what runs out, in lists before and behind its own', () => {
    const { clock, set } = made();
    const later: Limit[] = [];
    set(50);
    set(100, () => later.push(set(50), set(100), set(150)));
    clock.advance(100);
    clock.advance(200);
    expect(later.map(({ ranOutAt }) => ranOutAt)).to.deep.equal([1_150, 1_200, 1_250]);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('go on running out when one of them throws', () => {
    const { clock, set } = made();
    set(100, () => {
      throw new Error('an expiry that throws');
    });
    const others = [set(100), set(200)];
    expect(() => clock.advance(100)).to.throw('an expiry that throws');
    clock.advance(200);
    expect(others.map(({ times }) => times)).to.deep.equal([1, 1]);
    expect(set(10).times).to.equal(0);
    clock.advance(10);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('keep no list once nothing of its length is set', () => {
    const { clock, timeouts, set } = made();
    for (let i = 1; i <= 50; i++) set(i);
    expect(timeouts.lists).to.equal(50);
    clock.advance(100);
    expect(timeouts.lists).to.equal(0);
  });
});

describe('a thousand different lengths', () => {
  it('make few lists, and no limit runs out early or more than 1/32 (and 1/32 ms) late', () => {
    const { clock, timeouts, set } = made();
    const limits: { lengthMs: number; limit: Limit }[] = [];
    for (let i = 0; i < 10_000; i++) {
      const lengthMs = 1.37 ** (i % 50) * (1 + i / 10_007);
      limits.push({ lengthMs, limit: set(lengthMs) });
    }
    expect(timeouts.lists).to.be.below(1_200);
    clock.advance(100_000_000);
    for (const { lengthMs, limit } of limits) {
      const tookMs = (limit.ranOutAt ?? 0) - 1_000;
      expect(tookMs).to.be.within(lengthMs - 1e-6, lengthMs + Math.max(lengthMs, 1) / 32 + 1e-6);
    }
  });
});

describe('closing', () => {
  it('leaves no timer where nothing is under way', () => {
    const { clock, timeouts, set } = made();
    timeouts.lift(set(60_000));
    expect(clock.pendingTimers).to.equal(1);
    timeouts.close();
    expect(clock.pendingTimers).to.equal(0);
  });

  it('lets the limits of what is under way run out, and leaves no timer after the last', () => {
    const { clock, timeouts, set } = made();
    const first = set(100);
    const second = set(60_000);
    timeouts.close();
    clock.advance(100);
    expect(first.times).to.equal(1);
    timeouts.lift(second);
    expect(clock.pendingTimers).to.equal(0);
  });
});

describe('time limits and their dumb twin', () => {
  walks('run out at the same times, over 3,000 random deeds', 5, (random) => {
    const { clock, set, timeouts } = made();
    const lengths = [1, 5, 100, 100, 250, 3_000];
    let twins: { limit: Limit; at: number }[] = [];
    for (let i = 0; i < 3_000; i++) {
      const deed = random.next();
      if (deed < 0.5) {
        const lengthMs = lengths[Math.floor(random.next() * lengths.length)] as number;
        twins.push({ limit: set(lengthMs), at: clock.now() + lengthMs });
      } else if (deed < 0.8 && twins.length > 0) {
        const [gone] = twins.splice(Math.floor(random.next() * twins.length), 1);
        if (gone) timeouts.lift(gone.limit);
      } else {
        clock.advance(Math.floor(random.next() * 40));
        for (const { limit, at } of twins)
          expect(limit.ranOutAt).to.equal(at <= clock.now() ? at : undefined);
        twins = twins.filter(({ at }) => at > clock.now());
      }
      expect(clock.pendingTimers).to.be.at.most(1);
    }
    clock.advance(10_000);
    expect([clock.pendingTimers, timeouts.lists]).to.deep.equal([0, 0]);
  });
});
