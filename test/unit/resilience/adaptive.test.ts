/**
 * Adaptive limits: the formulas to the digit, against twins written down as the reference has them, and where the limits
 * settle before a simulated server.
 */
import { expect } from 'chai';
import { type AdaptiveLimit, Aimd, EPOCHS, Gradient2 } from '../../../core/resilience/adaptive.js';
import { walks } from '../../support/property.js';
import { Simulation } from '../../support/saturated-server.js';

const TIMEOUT_MS = 5_000;

/** A full window of calls that took `rttMs`, `inflight` of them at a time. Answers when it closed. */
function window(limit: AdaptiveLimit, rttMs: number, inflight: number, from: number): number {
  for (let i = 0; i <= 10; i++) limit.sample(limit.epoch, rttMs, inflight, false, from + i * 100);
  return from + 1_000;
}

describe('AIMD limit', () => {
  it('starts at 20 and adds one for a good round trip at half the limit or more', () => {
    const limit = new Aimd(TIMEOUT_MS);
    expect(limit.limit).to.equal(20);
    limit.sample(limit.epoch, 5, 10, false);
    limit.sample(limit.epoch, 5, 10, false);
    expect(limit.limit).to.equal(21);
  });

  it('takes a tenth off for a drop, and reads a time over the timeout as one', () => {
    const limit = new Aimd(TIMEOUT_MS);
    limit.sample(limit.epoch, 1, 1, true);
    expect(limit.limit).to.equal(18);
    limit.sample(limit.epoch, 5_000, 1, false);
    expect(limit.limit).to.equal(18);
    limit.sample(limit.epoch, 5_001, 1, false);
    expect(limit.limit).to.be.closeTo(16.2, 1e-9);
  });

  it('answers one congestion once, however many calls it costs', () => {
    const limit = new Aimd(TIMEOUT_MS);
    const { epoch } = limit;
    for (let i = 0; i < 20; i++) limit.sample(epoch, 9_000, 20, true);
    expect(limit.limit).to.equal(18);
  });

  it('hears of a timeout though the limit has grown since the call began', () => {
    const limit = new Aimd(TIMEOUT_MS);
    const { epoch } = limit;
    for (let i = 0; i < 5; i++) limit.sample(limit.epoch, 5, 25, false);
    limit.sample(epoch, 9_000, 25, true);
    expect(limit.limit).to.equal(22.5);
  });

  it('stays between 4 and 1,000', () => {
    const limit = new Aimd(TIMEOUT_MS);
    for (let i = 0; i < 2_000; i++) limit.sample(limit.epoch, 5, 1_000, false);
    expect(limit.limit).to.equal(1_000);
    for (let i = 0; i < 2_000; i++) limit.sample(limit.epoch, 5, 1_000, true);
    expect(limit.limit).to.equal(4);
  });

  it('ignores a time that is none', () => {
    const limit = new Aimd(TIMEOUT_MS);
    for (const rttMs of [Number.NaN, -1]) limit.sample(limit.epoch, rttMs, 20, false);
    expect([limit.limit, limit.epoch]).to.deep.equal([20, 0]);
  });

  it('goes on when the epochs have gone round', () => {
    const limit = new Aimd(TIMEOUT_MS);
    for (let i = 0; i < EPOCHS + 5; i++) limit.sample(limit.epoch, 1, 1, true);
    expect([limit.epoch, limit.limit]).to.deep.equal([5, 4]);
    limit.sample(limit.epoch - 1, 5, 20, true);
    expect(limit.epoch).to.equal(5);
    limit.sample(limit.epoch, 5, 20, false);
    expect(limit.limit).to.equal(5);
  });
});

describe('Gradient2 limit', () => {
  it('starts at 20 and grows by a fifth of its queue per window while latency is even', () => {
    const limit = new Gradient2();
    expect(limit.limit).to.equal(20);
    window(limit, 50, 20, 0);
    expect(limit.limit).to.be.closeTo(20.8, 1e-9);
  });

  it('closes a window at ten samples and one second, not before', () => {
    const limit = new Gradient2();
    for (let i = 0; i < 9; i++) limit.sample(limit.epoch, 50, 20, false, i * 1_000);
    expect(limit.limit).to.equal(20);
    limit.sample(limit.epoch, 50, 20, false, 9_000);
    expect(limit.limit).to.be.above(20);
    const before = limit.limit;
    for (let i = 0; i < 100; i++) limit.sample(limit.epoch, 50, 20, false, 10_000 + i);
    expect(limit.limit).to.equal(before);
  });

  it('does not grow while fewer than half of it are in flight', () => {
    const limit = new Gradient2();
    window(limit, 50, 9, 0);
    expect(limit.limit).to.equal(20);
    window(limit, 50, 10, 2_000);
    expect(limit.limit).to.be.above(20);
  });

  it('falls when latency grows beyond one and a half times the average, by a tenth of it at most', () => {
    const limit = new Gradient2();
    let now = 0;
    for (let i = 0; i < 20; i++) now = window(limit, 50, 1, now);
    window(limit, 150, 20, now);
    // 20 windows of 50 ms and one of 150: the average is 50.33, the gradient 0.503.
    expect(limit.limit).to.be.closeTo(0.8 * 20 + 0.2 * (20 * ((1.5 * (50 + 200 / 601)) / 150) + 4), 0.02);
    const before = limit.limit;
    window(limit, 100_000, 20, now + 5_000);
    expect(limit.limit).to.be.closeTo(0.9 * before + 0.8, 1e-9);
  });

  it('takes a tenth off for a drop, once per congestion, and measures anew', () => {
    const limit = new Gradient2();
    const { epoch } = limit;
    for (let i = 0; i < 9; i++) limit.sample(epoch, 900, 20, false, i * 200);
    for (let i = 0; i < 3; i++) limit.sample(epoch, 1, 20, true, 1_800);
    expect(limit.limit).to.equal(18);
    limit.sample(limit.epoch, 900, 20, false, 2_000);
    expect(limit.limit).to.equal(18);
  });

  it('ignores a time that is none, and bears a time of zero', () => {
    const limit = new Gradient2();
    for (const rttMs of [Number.NaN, -1, Number.POSITIVE_INFINITY]) window(limit, rttMs, 20, 0);
    expect(limit.limit).to.equal(20);
    let now = 5_000;
    for (let i = 0; i < 20; i++) now = window(limit, 0, 30, now);
    expect(limit.limit).to.be.closeTo(36, 1e-9);
  });
});

/** concurrency-limits' own lines, over lists of all samples. */
class Gradient2Twin {
  limit = 20;
  epoch = 0;
  #fell = 0;
  #samples: { rtt: number; inflight: number; now: number }[] = [];
  readonly #windows: number[] = [];
  #long = 0;

  sample(epoch: number, rtt: number, inflight: number, dropped: boolean, now: number): void {
    if (dropped) {
      if (epoch < this.#fell) return;
      this.limit = Math.max(4, this.limit * 0.9);
      this.#fell = ++this.epoch;
      this.#samples = [];
      return;
    }
    if (epoch !== this.epoch) return;
    this.#samples.push({ rtt, inflight, now });
    const first = this.#samples[0];
    if (this.#samples.length < 10 || !first || now - first.now < 1_000) return;
    const short = this.#samples.reduce((sum, each) => sum + each.rtt, 0) / this.#samples.length;
    const most = Math.max(...this.#samples.map((each) => each.inflight));
    this.#samples = [];
    this.#windows.push(short);
    if (this.#windows.length <= 10) {
      // A decay of the average in its first windows is part of the sum that the mean is taken of.
      const before = this.#windows.length - 1;
      this.#long = (this.#long * before + short) / (before + 1);
    } else this.#long = this.#long * (1 - 2 / 601) + short * (2 / 601);
    const long = this.#long;
    if (long / short > 2) this.#long *= 0.95;
    if (most < this.limit / 2) return;
    const gradient = Math.max(0.5, Math.min(1, (1.5 * long) / short));
    const next = Math.max(4, Math.min(1_000, 0.8 * this.limit + 0.2 * (this.limit * gradient + 4)));
    const [before, after] = [Math.floor(this.limit), Math.floor(next)];
    this.limit = next;
    if (before !== after) this.epoch++;
    if (after < before) this.#fell = this.epoch;
  }
}

class AimdTwin {
  limit = 20;
  epoch = 0;
  #fell = 0;

  sample(epoch: number, rtt: number, inflight: number, dropped: boolean): void {
    if (dropped || rtt > TIMEOUT_MS) {
      if (epoch < this.#fell) return;
      this.limit = Math.max(4, this.limit * 0.9);
      this.#fell = ++this.epoch;
      return;
    }
    if (epoch !== this.epoch || inflight < this.limit / 2) return;
    const next = Math.min(1_000, this.limit + 1);
    if (Math.floor(next) !== Math.floor(this.limit)) this.epoch++;
    this.limit = next;
  }
}

describe('adaptive limits and their dumb twins', () => {
  for (const kind of ['gradient2', 'aimd'] as const) {
    walks(`${kind}: agree over 20,000 random samples`, 5, (random) => {
      const limit = kind === 'aimd' ? new Aimd(TIMEOUT_MS) : new Gradient2();
      const twin = kind === 'aimd' ? new AimdTwin() : new Gradient2Twin();
      const started: { epoch: number; twinEpoch: number }[] = [];
      let now = 0;
      let typicalMs = 50;
      for (let i = 0; i < 20_000; i++) {
        now += random.next() * 100;
        if (random.next() < 0.001) typicalMs = 1 + random.next() * 6_000;
        started.push({ epoch: limit.epoch, twinEpoch: twin.epoch });
        const back = Math.floor(random.next() * random.next() * Math.min(started.length, 40));
        const { epoch, twinEpoch } = started[started.length - 1 - back] ?? { epoch: 0, twinEpoch: 0 };
        const rttMs = typicalMs * (0.5 + random.next());
        const inflight = Math.ceil(random.next() * 1.2 * limit.limit);
        const dropped = random.next() < 0.002;
        limit.sample(epoch, rttMs, inflight, dropped, now);
        twin.sample(twinEpoch, rttMs, inflight, dropped, now);
        const same = Math.abs(limit.limit - twin.limit) < 1e-6 && limit.epoch === twin.epoch;
        if (!same) expect.fail(`${limit.limit} and ${twin.limit} after sample ${i}`);
        if (!(limit.limit >= 4 && limit.limit <= 1_000)) expect.fail(`${limit.limit} is out of bounds`);
      }
    });
  }
});

describe('an adaptive limit before a server that bears 50 calls at a time', () => {
  it('Gradient2 settles where the server is full and its queue short', () => {
    const simulation = new Simulation(new Gradient2(), { capacity: 50, serviceMs: 50 });
    simulation.run(120_000);
    expect(simulation.limits(60_000)).to.satisfy(isWithin(45, 110));
    expect(simulation.perSecond(60_000)).to.be.above(900);
  });

  it('Gradient2 falls when the server becomes ten times as slow, and comes back with it', () => {
    const simulation = new Simulation(new Gradient2(), { capacity: 50, serviceMs: 50 });
    simulation.run(120_000);
    const before = simulation.limit;
    simulation.serviceMs = 500;
    simulation.run(150_000);
    expect(simulation.limit).to.be.below(before / 2);
    simulation.serviceMs = 50;
    simulation.run(250_000);
    expect(simulation.limits(210_000)).to.satisfy(isWithin(45, 110));
  });

  it('AIMD settles around what the server can answer in time', () => {
    const simulation = new Simulation(new Aimd(200), { capacity: 50, serviceMs: 50 });
    simulation.run(60_000);
    // Beyond 200 calls in flight they take longer than 200 ms.
    expect(simulation.limits(30_000)).to.satisfy(isWithin(150, 215));
    expect(simulation.perSecond(30_000)).to.be.above(900);
  });

  it('AIMD falls when the server becomes three times as slow, and comes back with it', () => {
    const simulation = new Simulation(new Aimd(200), { capacity: 50, serviceMs: 50 });
    simulation.run(60_000);
    simulation.serviceMs = 150;
    simulation.run(90_000);
    // 150 ms for each, so that no more than two thirds of the capacity may wait.
    expect(simulation.limits(80_000)).to.satisfy(isWithin(40, 110));
    simulation.serviceMs = 50;
    simulation.run(150_000);
    expect(simulation.limits(120_000)).to.satisfy(isWithin(150, 215));
  });

  it('AIMD falls to its floor before a server that answers nothing in time', () => {
    const simulation = new Simulation(new Aimd(200), { capacity: 50, serviceMs: 1_000 });
    simulation.run(60_000);
    expect(simulation.limit).to.be.at.most(5);
  });
});

function isWithin(least: number, most: number): (limits: readonly number[]) => boolean {
  return (limits) => limits.length > 0 && limits.every((limit) => limit >= least && limit <= most);
}
