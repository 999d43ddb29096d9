/**
 * Trap 20 of the reference: samples from before a limit change don't raise the floor (envoy PR#11579, where calls that began
 * under the former limit were taken for the latency of an idle callee).
 */
import { expect } from 'chai';
import { Aimd, Gradient2 } from '../../../core/resilience/adaptive.js';

function window(limit: Gradient2, epoch: () => number, rttMs: number, from: number): number {
  for (let i = 0; i <= 10; i++) limit.sample(epoch(), rttMs, 20, false, from + i * 100);
  return from + 1_000;
}

/** After 20 windows of 50 ms each and a fall. */
function fallen(): { limit: Gradient2; former: number; now: number } {
  const limit = new Gradient2();
  let now = 0;
  for (let i = 0; i < 20; i++) now = window(limit, () => limit.epoch, 50, now);
  const former = limit.epoch;
  limit.sample(former, 1, 20, true, now);
  return { limit, former, now };
}

describe('trap 20: samples from before the limit changed', () => {
  it('do not raise what Gradient2 takes for the latency of a callee with nothing to do', () => {
    const [late, plain] = [fallen(), fallen()];
    let { now } = late;
    // An hour of calls that began under the former limit and took long.
    for (let i = 0; i < 3_600; i++) now = window(late.limit, () => late.former, 2_000, now);
    expect([late.limit.limit, late.limit.epoch]).to.deep.equal([plain.limit.limit, plain.limit.epoch]);
    // Latency trebles: both see that, as their floor is the same.
    window(late.limit, () => late.limit.epoch, 150, now);
    window(plain.limit, () => plain.limit.epoch, 150, now);
    expect(late.limit.limit).to.equal(plain.limit.limit);
    expect(late.limit.limit).to.be.below(fallen().limit.limit);
  });

  it('do not count for the window either in which the limit changed', () => {
    const { limit, now } = fallen();
    for (let i = 0; i < 9; i++) limit.sample(limit.epoch, 5_000, 20, false, now + i * 200);
    limit.sample(limit.epoch, 1, 20, true, now + 1_900);
    const { limit: before } = limit;
    window(limit, () => limit.epoch, 50, now + 2_000);
    expect(limit.limit).to.be.above(before);
  });

  it('raise no client limit: one step up for each round trip', () => {
    const limit = new Aimd(5_000);
    const { epoch } = limit;
    for (let i = 0; i < 20; i++) limit.sample(epoch, 10, 20, false);
    expect(limit.limit).to.equal(21);
  });

  it('lower no limit twice for one congestion', () => {
    const limit = new Aimd(5_000);
    const { epoch } = limit;
    for (let i = 0; i < 20; i++) limit.sample(epoch, 6_000, 20, false);
    expect(limit.limit).to.equal(18);
  });
});
