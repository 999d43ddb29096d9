/** Which calls have their latency recorded, and that these together say of all calls what is true of them. */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import { Tally, TIMED } from '../../../agent/tally.js';
import type { Target } from '../../../agent/target.js';
import { seededRandom } from '../../../core/random.js';
import { LatencyHistogram } from '../../../core/resilience/latency.js';
import { bench, rejectionOf } from '../../support/targets.js';

const never = Number.POSITIVE_INFINITY;

function drained(tally: Tally): LatencyHistogram {
  const bytes = tally.drainLatency();
  return (bytes && LatencyHistogram.decode(bytes)) ?? new LatencyHistogram();
}

describe('sampled latencies', () => {
  it('are those of every call where there are few', () => {
    const tally = new Tally();
    for (let i = 0; i < 16; i++) tally.ended('success', 10, never, TIMED);
    expect(drained(tally)).to.include({ samples: 16, count: 16 });
  });

  it('are of one success in sixteen where there are many, which stands for all of them', () => {
    const tally = new Tally();
    for (let i = 0; i < 1600; i++) tally.ended('success', 10, never, TIMED);
    expect(drained(tally)).to.include({ samples: 16 + 99, count: 1600 });
  });

  it('start anew with each report', () => {
    const tally = new Tally();
    for (let i = 0; i < 100; i++) tally.ended('success', 10, never, TIMED);
    drained(tally);
    for (let i = 0; i < 10; i++) tally.ended('success', 10, never, TIMED);
    expect(drained(tally)).to.include({ samples: 10, count: 10 });
    expect(tally.drainLatency()).to.equal(undefined);
  });

  it('give failures, which are all recorded, no more than their share', () => {
    const tally = new Tally();
    const random = seededRandom(5);
    for (let i = 0; i < 100_000; i++)
      if (random.next() < 0.02) tally.ended('failure', 800, never, TIMED);
      else tally.ended('success', 10, never, TIMED);
    const seen = drained(tally);
    expect(seen.percentile(0.97)).to.be.closeTo(10, 0.5);
    expect(seen.percentile(0.99)).to.be.closeTo(800, 40);
    expect(seen.count).to.be.closeTo(100_000, 100);
  });

  it('give failures of calls that are timed by chance their share too', () => {
    const tally = new Tally();
    const random = seededRandom(5);
    for (let i = 0; i < 100_000; i++) {
      const failed = random.next() < 0.02;
      const weight = tally.draw();
      const tookMs = weight === 0 ? Number.NaN : failed ? 800 : 10;
      tally.ended(failed ? 'failure' : 'success', tookMs, never, weight);
    }
    const seen = drained(tally);
    expect(seen.percentile(0.97)).to.be.closeTo(10, 0.5);
    expect(seen.percentile(0.99)).to.be.closeTo(800, 40);
    expect(seen.count).to.be.closeTo(100_000, 100);
  });
});

describe('guarded calls that nothing else needs the time of', () => {
  const countsOf = (target: Target) => {
    const cell = target.drain();
    return { ...cell, latency: LatencyHistogram.decode(cell.latency) };
  };

  it('are timed as they begin: however many are under way at once, one in sixteen is', async () => {
    const { clock, targets } = bench();
    for (let round = 0; round < 10; round++) {
      const waiting: (() => void)[] = [];
      const calls = Array.from({ length: 100 }, () =>
        guard(targets, 'inventory', () => new Promise<void>((resolve) => waiting.push(resolve))),
      );
      clock.advance(80);
      for (const resolve of waiting) resolve();
      await Promise.all(calls);
    }
    const { ok, latency } = countsOf(targets.get('inventory'));
    expect(ok).to.equal(1000);
    expect(latency).to.include({ samples: 16 + 61, count: 16 + 61 * 16 });
    expect(latency?.percentile(0.01)).to.be.closeTo(80, 4);
  });

  it('that fail are recorded by the same chance', async () => {
    const { targets } = bench();
    for (let i = 0; i < 160; i++)
      await rejectionOf(guard(targets, 'inventory', () => Promise.reject(new Error('down'))));
    const { failed, latency } = countsOf(targets.get('inventory'));
    expect(failed).to.equal(160);
    expect(latency).to.include({ samples: 16 + 9, count: 160 });
  });
});
