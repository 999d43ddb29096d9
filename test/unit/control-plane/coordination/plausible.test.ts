/** What one connection can have had of calls at most. */
import { expect } from 'chai';
import fc from 'fast-check';
import { Plausible } from '../../../../control-plane/coordination/plausible.js';
import { property } from '../../../support/property.js';

describe('counts of a connection', () => {
  it('are believed up to concurrency × elapsed, and no further', () => {
    const plausible = new Plausible(10, 0);
    plausible.elapsed(1_000, 1_000);
    expect(plausible.spend(10_010)).to.equal(true);
    expect(plausible.spend(1)).to.equal(false);
    plausible.elapsed(1_000, 2_000);
    expect(plausible.spend(10_001)).to.equal(false);
    expect(plausible.spend(10_000)).to.equal(true);
  });

  it('may come in several messages of which the first names the time', () => {
    const plausible = new Plausible(1, 0);
    plausible.elapsed(1_000, 1_000);
    expect(plausible.spend(600)).to.equal(true);
    plausible.elapsed(0, 1_000);
    expect(plausible.spend(400)).to.equal(true);
    expect(plausible.spend(2)).to.equal(false);
  });

  it('are not believed for time that has not passed here', () => {
    const plausible = new Plausible(1, 0);
    plausible.elapsed(3_600_000, 1_000);
    expect(plausible.spend(2_002)).to.equal(false);
    expect(plausible.spend(2_001)).to.equal(true);
  });

  it('may have waited in a stream that was held up', () => {
    const plausible = new Plausible(1, 0);
    for (let report = 0; report < 20; report++) {
      plausible.elapsed(1_000, 20_000);
      expect(plausible.spend(1_000), `report ${report}`).to.equal(true);
    }
  });

  it('are bounded also where nothing, or far too much, was declared', () => {
    for (const concurrency of [0, 2 ** 32]) {
      const plausible = new Plausible(concurrency, 0);
      plausible.elapsed(1_000, 1_000);
      expect(plausible.spend(5_000_000)).to.equal(true);
      expect(plausible.spend(1_000_000_000)).to.equal(false);
    }
  });

  const report = fc.record({
    elapsedMs: fc.integer({ min: 0, max: 5_000 }),
    passedMs: fc.integer({ min: 0, max: 5_000 }),
    calls: fc.integer({ min: 0, max: 50_000 }),
  });
  property('never come to more than concurrency × time', fc.array(report), (reports) => {
    const plausible = new Plausible(10, 0);
    let now = 0;
    let believed = 0;
    for (const { elapsedMs, passedMs, calls } of reports) {
      now += passedMs;
      plausible.elapsed(elapsedMs, now);
      if (plausible.spend(calls)) believed += calls;
      expect(believed).to.be.at.most(10 * (now + 1_001));
    }
  });
});
