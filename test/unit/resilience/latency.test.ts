/**
 * Latencies in buckets: near enough to the sorted list, the same after a journey, and unmoved by hostile bytes.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { seededRandom } from '../../../core/random.js';
import { ENCODED_BYTES_MAX, LATENCY_BUCKETS, LatencyHistogram } from '../../../core/resilience/latency.js';
import { LATENCY_SAMPLES_MIN, RollingLatency } from '../../../core/resilience/rolling-latency.js';
import { property } from '../../support/property.js';

const percentiles = [0, 0.01, 0.5, 0.9, 0.95, 0.99, 0.999, 1];

function histogramOf(latencies: readonly number[]): LatencyHistogram {
  const histogram = new LatencyHistogram();
  for (const ms of latencies) histogram.record(ms);
  return histogram;
}

function percentilesOf(histogram: LatencyHistogram) {
  return percentiles.map((p) => histogram.percentile(p));
}

/** Nearest rank in the sorted list. */
function exact(latencies: readonly number[], p: number): number {
  const sorted = [...latencies].sort((a, b) => a - b);
  return sorted[Math.max(1, Math.ceil(p * sorted.length)) - 1] as number;
}

/** As uniform over magnitudes as latencies are: 50 µs to an hour. */
const latency = fc.double({ min: Math.log(0.05), max: Math.log(3_600_000), noNaN: true }).map(Math.exp);

describe('latency histogram', () => {
  property(
    'tells every percentile within 5 % of the sorted list’s',
    fc.array(latency, { minLength: 1, maxLength: 300 }),
    (latencies) => {
      const histogram = histogramOf(latencies);
      for (const p of percentiles) {
        const right = exact(latencies, p);
        expect(histogram.percentile(p), `p${p}`).to.be.closeTo(right, right * 0.05);
      }
    },
  );

  it('knows nothing of no calls', () => {
    const histogram = histogramOf([1, 2, 3]);
    histogram.clear();
    expect(histogram.count).to.equal(0);
    expect(histogram.percentile(0.5)).to.equal(undefined);
  });

  it('takes what no duration is as the shortest or the longest', () => {
    for (const ms of [Number.NaN, -5, 0, Number.NEGATIVE_INFINITY])
      expect(histogramOf([ms]).percentile(1), String(ms)).to.be.lessThan(0.05);
    expect(histogramOf([Number.POSITIVE_INFINITY]).percentile(1)).to.be.greaterThan(3_500_000);
  });

  property(
    'merged from parts is the histogram of all',
    fc.array(fc.array(latency, { maxLength: 50 }), { maxLength: 6 }),
    (parts) => {
      const merged = new LatencyHistogram();
      for (const part of parts) merged.merge(histogramOf(part));
      expect(merged.count).to.equal(parts.flat().length);
      expect(percentilesOf(merged)).to.deep.equal(percentilesOf(histogramOf(parts.flat())));
    },
  );
});

const weighted = fc.record({ ms: latency, weight: fc.constantFrom(1, 16) });

describe('latency histogram of calls that stand for several', () => {
  property(
    'is the one of all that they stand for, and knows how many were looked at',
    fc.array(weighted, { maxLength: 60 }),
    (calls) => {
      const histogram = new LatencyHistogram();
      for (const { ms, weight } of calls) histogram.record(ms, weight);
      const all = histogramOf(calls.flatMap(({ ms, weight }) => Array<number>(weight).fill(ms)));
      expect(histogram).to.include({ samples: calls.length, count: all.count });
      expect(percentilesOf(histogram)).to.deep.equal(percentilesOf(all));
      const received = LatencyHistogram.decode(histogram.encode());
      expect(received).to.include({ samples: calls.length, count: all.count });
      expect(received && percentilesOf(received)).to.deep.equal(percentilesOf(all));
    },
  );

  it('adds up and takes out samples with the calls', () => {
    const sum = histogramOf([1, 2]);
    const other = new LatencyHistogram();
    other.record(5, 16);
    sum.merge(other);
    expect(sum).to.include({ samples: 3, count: 18 });
    sum.subtract(other);
    expect(sum).to.include({ samples: 2, count: 2 });
  });
});

describe('latency histogram on the wire', () => {
  property('comes out as it went in', fc.array(latency, { maxLength: 60 }), (latencies) => {
    const sent = histogramOf(latencies);
    const received = LatencyHistogram.decode(sent.encode());
    expect(received?.count).to.equal(sent.count);
    expect(received && percentilesOf(received)).to.deep.equal(percentilesOf(sent));
  });

  it('takes at most 512 bytes with every bucket used by millions of calls, and keeps its shape', () => {
    const full = new LatencyHistogram();
    const random = seededRandom(7);
    for (let ms = 0.04; ms < 4_000_000; ms *= 1.04)
      for (let i = 0; i <= random.next() * 50; i++) full.record(ms);
    for (let i = 0; i < 16; i++) full.merge(LatencyHistogram.decode(full.encode()) ?? full);
    const bytes = full.encode();
    expect(full.count).to.be.greaterThan(10_000_000);
    expect(bytes.length).to.be.at.most(ENCODED_BYTES_MAX);
    const received = LatencyHistogram.decode(bytes);
    for (const p of [0.5, 0.95, 0.99])
      expect(received?.percentile(p)).to.be.closeTo(
        full.percentile(p) as number,
        0.1 * (full.percentile(p) as number),
      );
  });

  it('loses no bucket to the rounding, however few calls are in it beside thousands', () => {
    const rare = histogramOf([3_600_000]);
    for (let i = 0; i < LATENCY_BUCKETS - 1; i++) for (let k = 0; k < 1_000; k++) rare.recordIn(i);
    const received = LatencyHistogram.decode(rare.encode());
    expect(received?.percentile(1)).to.equal(rare.percentile(1));
  });

  it('is two bytes when empty and a few for the usual service', () => {
    expect(new LatencyHistogram().encode()).to.have.length(2);
    const random = seededRandom(3);
    const usual = histogramOf(Array.from({ length: 100_000 }, () => 5 + 20 * random.next() ** 4));
    expect(usual.encode().length).to.be.lessThan(80);
  });

  it('stays full where it is full', () => {
    const top = LatencyHistogram.decode(Uint8Array.of(1, 0, 10, 0xff, 0xff, 0xff, 0xff, 0x0f));
    top?.record(0.11);
    if (top) top.merge(top);
    expect(top?.count).to.be.at.least(2 ** 32 - 1);
    expect(top?.percentile(0.5)).to.be.greaterThan(0.05);
  });

  property(
    'never throws at hostile bytes, and what it accepts is sound',
    fc.oneof(
      fc.uint8Array({ maxLength: 600 }),
      fc.uint8Array({ maxLength: 600 }).map((bytes) => Uint8Array.of(1, 0, ...bytes)),
      fc.uint8Array({ maxLength: 600 }).map((bytes) => Uint8Array.of(2, 0, ...bytes)),
      fc.uint8Array({ maxLength: 40 }).map((bytes) => Uint8Array.of(1, ...bytes)),
    ),
    (bytes) => {
      const histogram = LatencyHistogram.decode(bytes);
      if (histogram === undefined) return;
      expect(histogram.count).to.satisfy(Number.isSafeInteger);
      expect(histogram.count).to.be.within(0, LATENCY_BUCKETS * (2 ** 32 - 1));
      expect(histogram.encode().length).to.be.at.most(ENCODED_BYTES_MAX);
      expect(histogram.samples).to.be.within(0, histogram.count);
      if (histogram.count > 0) expect(histogram.percentile(0.99)).to.be.greaterThan(0);
    },
    1_000,
  );

  const refused: [string, number[]][] = [
    ['nothing', []],
    ['another version', [3, 0]],
    ['no number of samples where it has to be', [2, 0]],
    ['more samples than calls', [2, 0, 2, 0, 1]],
    ['no shift', [1]],
    ['a shift that no count survives', [1, 33]],
    ['a gap without its count', [1, 0, 5]],
    ['a count that is cut off', [1, 0, 5, 0x80]],
    ['a count of none', [1, 0, 5, 0]],
    ['a bucket that is not there', [1, 0, 0xff, 0x7f, 1]],
    ['a number that never ends', [1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]],
    ['a number above 32 bits', [1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x1f]],
    ['more than 512 bytes', [1, 0, ...Array(511).fill(0)]],
  ];
  for (const [what, bytes] of refused)
    it(`refuses ${what}`, () => expect(LatencyHistogram.decode(Uint8Array.from(bytes))).to.equal(undefined));
});

describe('rolling latency', () => {
  it('tells nothing before there are enough samples', () => {
    const rolling = new RollingLatency(0);
    for (let i = 1; i < LATENCY_SAMPLES_MIN; i++) rolling.record(10, i);
    expect(rolling.percentile(0.95, 20)).to.equal(undefined);
    rolling.record(10, 20);
    expect(rolling.percentile(0.95, 20)).to.be.closeTo(10, 0.5);
  });

  it('has forgotten everything after an hour of idleness, on read and on write', () => {
    const rolling = new RollingLatency(0);
    for (let i = 0; i < 100; i++) rolling.record(10, i);
    rolling.record(1, 3_600_000);
    expect(rolling.count(3_600_000)).to.equal(1);
    expect(rolling.count(7_200_000)).to.equal(0);
  });

  it('forgets by parts, the oldest first', () => {
    const rolling = new RollingLatency(0, 30_000, 3);
    for (let part = 0; part < 3; part++)
      for (let i = 0; i < 30; i++) rolling.record(10 ** part, part * 10_000);
    expect(rolling.count(29_999)).to.equal(90);
    expect(rolling.percentile(0, 30_000)).to.be.closeTo(10, 0.5);
    expect(rolling.percentile(0, 40_000)).to.be.closeTo(100, 5);
    expect(rolling.percentile(0, 50_000)).to.equal(undefined);
  });

  property(
    'remembers what a twin with the whole list filters out of it',
    fc.record({
      parts: fc.constantFrom(1, 2, 3, 7),
      start: fc.nat(100_000),
      steps: fc.array(
        fc.record({
          after: fc.oneof(fc.nat(300), fc.nat(3_000), fc.constantFrom(3_600_000)),
          ms: fc.option(latency, { nil: undefined }),
        }),
        { maxLength: 120 },
      ),
    }),
    ({ parts, start, steps }) => {
      const spanMs = 5_000;
      const rolling = new RollingLatency(start, spanMs, parts);
      const all: { at: number; ms: number }[] = [];
      const partOf = (at: number) => Math.floor(at / (spanMs / parts));
      let now = start;
      for (const { after, ms } of steps) {
        now += after;
        if (ms !== undefined) {
          rolling.record(ms, now);
          all.push({ at: now, ms });
        }
        const kept = all.filter(({ at }) => partOf(at) > partOf(now) - parts).map((sample) => sample.ms);
        expect(rolling.count(now)).to.equal(kept.length);
        const expected = kept.length < LATENCY_SAMPLES_MIN ? undefined : histogramOf(kept).percentile(0.95);
        expect(rolling.percentile(0.95, now)).to.equal(expected);
      }
    },
  );
});
