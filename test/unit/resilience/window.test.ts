/**
 * Windows: what leaves when, and that both agree with twins that keep every record and count anew each time.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { WindowSpec } from '../../../core/policy/model.js';
import {
  CountWindow,
  createWindow,
  sameShape,
  TimeWindow,
  type Window,
} from '../../../core/resilience/window.js';
import { property } from '../../support/property.js';

interface Record {
  at: number;
  failed: boolean;
  slow: boolean;
}

/** Keeps all, counts by filtering. */
class Twin {
  #records: Record[] = [];
  #latest = 0;
  constructor(readonly spec: WindowSpec) {}

  record(at: number, failed: boolean, slow: boolean): void {
    this.#latest = Math.max(this.#latest, at);
    this.#records.push({ at: this.#latest, failed, slow });
  }

  clear(): void {
    this.#records = [];
  }

  counts(now: number): { calls: number; failed: number; slow: number } {
    this.#latest = Math.max(this.#latest, now);
    const kept = this.#kept();
    return {
      calls: kept.length,
      failed: kept.filter((record) => record.failed).length,
      slow: kept.filter((record) => record.slow).length,
    };
  }

  #kept(): Record[] {
    const { spec } = this;
    if (spec.kind === 'count') return this.#records.slice(-spec.calls);
    const bucket = (at: number) => Math.floor(at / (spec.durationMs / spec.buckets));
    return this.#records.filter((record) => bucket(record.at) > bucket(this.#latest) - spec.buckets);
  }
}

function countsOf({ calls, failed, slow }: Window) {
  return { calls, failed, slow };
}

describe('time window', () => {
  it('forgets a bucket once as many buckets as it has have begun since', () => {
    const window = new TimeWindow(10_000, 10, 0);
    window.record(999, true, false);
    window.expire(9_999);
    expect(window.calls).to.equal(1);
    window.expire(10_000);
    expect(countsOf(window)).to.deep.equal({ calls: 0, failed: 0, slow: 0 });
  });

  it('is empty after an hour of idleness, on read and on write', () => {
    const window = new TimeWindow(10_000, 10, 0);
    for (let i = 0; i < 50; i++) window.record(i * 100, true, true);
    window.record(3_600_000, false, false);
    expect(countsOf(window)).to.deep.equal({ calls: 1, failed: 0, slow: 0 });
    window.expire(7_200_000);
    expect(window.calls).to.equal(0);
  });

  it('counts a call that ends before the latest one, on a clock that stood still, as of now', () => {
    const window = new TimeWindow(1_000, 10, 5_000);
    window.record(5_950, true, false);
    window.record(5_000, true, false);
    window.expire(6_000);
    expect(window.failed).to.equal(2);
  });

  it('keeps nothing from before it was cleared', () => {
    const window = new TimeWindow(1_000, 10, 0);
    window.record(10, true, true);
    window.clear(20);
    window.record(30, false, false);
    expect(countsOf(window)).to.deep.equal({ calls: 1, failed: 0, slow: 0 });
  });
});

describe('count window', () => {
  it('holds the last calls and no more, whatever the time', () => {
    const window = new CountWindow(3);
    window.record(0, true, false);
    window.record(0, true, true);
    window.record(0, false, false);
    window.record(3_600_000, false, false);
    expect(countsOf(window)).to.deep.equal({ calls: 3, failed: 1, slow: 1 });
  });
});

describe('the shape of a window', () => {
  const time: WindowSpec = { kind: 'time', durationMs: 10_000, buckets: 10 };

  it('is the same only where kind and all sizes are', () => {
    expect(sameShape(time, { ...time })).to.equal(true);
    expect(sameShape(time, { ...time, buckets: 5 })).to.equal(false);
    expect(sameShape(time, { ...time, durationMs: 5_000 })).to.equal(false);
    expect(sameShape(time, { kind: 'count', calls: 10 })).to.equal(false);
    expect(sameShape({ kind: 'count', calls: 10 }, { kind: 'count', calls: 10 })).to.equal(true);
    expect(sameShape({ kind: 'count', calls: 10 }, { kind: 'count', calls: 11 })).to.equal(false);
  });
});

const specs = fc.oneof(
  fc.record({
    kind: fc.constant<'time'>('time'),
    durationMs: fc.constantFrom(10, 100, 1_000, 1_001, 10_000),
    buckets: fc.constantFrom(1, 3, 7, 10),
  }),
  fc.record({ kind: fc.constant<'count'>('count'), calls: fc.integer({ min: 1, max: 20 }) }),
);
const pauses = fc.oneof(
  fc.integer({ min: 0, max: 50 }),
  fc.double({ min: 0, max: 2_000, noNaN: true }),
  fc.constantFrom(3_600_000, 86_400_000),
);
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('record'),
      after: pauses,
      failed: fc.boolean(),
      slow: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read'), after: pauses }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('clear'), after: pauses }) },
);

describe('every window', () => {
  property(
    'counts what its dumb twin counts',
    fc.record({ spec: specs, start: fc.integer({ min: 0, max: 100_000 }), steps: fc.array(step) }),
    ({ spec, start, steps }) => {
      let now = start;
      const window = createWindow(spec, now);
      const twin = new Twin(spec);
      for (const each of steps) {
        now += each.after;
        if ('failed' in each) {
          window.record(now, each.failed, each.slow);
          twin.record(now, each.failed, each.slow);
        } else if (each.do === 'clear') {
          window.clear(now);
          twin.clear();
        } else {
          window.expire(now);
        }
        expect(countsOf(window)).to.deep.equal(twin.counts(now));
      }
    },
    1_000,
  );
});
