/**
 * Whom outlier detection would leave out: case by case, and beside a twin that keeps every call and reads them all anew at the end of
 * each interval.
 */
import { expect } from 'chai';
import type { OutlierSpec } from '../../../core/policy/model.js';
import { OutlierWatch, type WouldEject } from '../../../core/resilience/outlier-watch.js';
import { walks } from '../../support/property.js';

const usual: OutlierSpec = {
  intervalMs: 1_000,
  failureRate: 0.5,
  minimumCalls: 4,
  minimumHosts: 2,
  ejectForMs: 2_000,
  maxEjectForMs: 5_000,
  maxEjected: 0.5,
};

/** So many calls to an instance at once. */
function calls(watch: OutlierWatch, address: string, ok: number, failed: number, now: number): WouldEject[] {
  const told: WouldEject[] = [];
  for (let i = 0; i < ok + failed; i++) told.push(...watch.record(address, i < ok, now));
  return told;
}

/** What is told of the interval that ends before `now`, by a call to somebody else. */
const judged = (watch: OutlierWatch, now: number) => watch.record('z', true, now);
const names = (told: readonly WouldEject[]) => told.map(({ address }) => address);

describe('whom outlier detection would leave out', () => {
  it('is the instance at the rate of failures, once its interval is over, and not before', () => {
    const watch = new OutlierWatch(usual, 0);
    expect(calls(watch, 'a', 4, 0, 0)).to.deep.equal([]);
    expect(calls(watch, 'b', 2, 2, 999)).to.deep.equal([]);
    expect(judged(watch, 1_000)).to.deep.equal([{ address: 'b', forMs: 2_000, failed: 2, calls: 4 }]);
    expect(judged(watch, 2_000)).to.deep.equal([]);
  });

  const nobody: readonly [string, Partial<OutlierSpec>, [number, number], [number, number]][] = [
    ['below the rate of failures', {}, [4, 0], [3, 2]],
    ['with too few calls', {}, [4, 0], [0, 3]],
    ['where too few others had calls enough', {}, [3, 0], [0, 4]],
    ['where that would be too many', { maxEjected: 0.49 }, [4, 0], [0, 4]],
  ];
  for (const [what, spec, a, b] of nobody)
    it(`is nobody ${what}`, () => {
      const watch = new OutlierWatch({ ...usual, ...spec }, 0);
      calls(watch, 'a', ...a, 0);
      calls(watch, 'b', ...b, 0);
      expect(judged(watch, 1_000)).to.deep.equal([]);
    });

  it('counts no call that would have gone elsewhere, stays longer out each time, and forgets as time passes', () => {
    const watch = new OutlierWatch(usual, 0);
    const lengths: number[] = [];
    for (let now = 0; now < 20_000; now += 100) {
      const told = [...watch.record('a', true, now), ...watch.record('b', false, now)];
      for (const { address, forMs } of told) {
        expect(address).to.equal('b');
        lengths.push(forMs);
      }
    }
    expect(lengths).to.deep.equal([2_000, 4_000, 5_000, 5_000]);
    for (let now = 20_000; now < 40_000; now += 100) calls(watch, 'b', 1, 0, now);
    calls(watch, 'a', 4, 0, 40_000);
    calls(watch, 'b', 0, 4, 40_000);
    expect(judged(watch, 41_000)).to.deep.include.members([
      { address: 'b', forMs: 2_000, failed: 4, calls: 4 },
    ]);
  });

  it('takes other settings, and keeps what it counted', () => {
    const watch = new OutlierWatch({ ...usual, intervalMs: 60_000 }, 0);
    calls(watch, 'a', 4, 0, 0);
    calls(watch, 'b', 1, 3, 0);
    watch.reconfigure({ ...usual, failureRate: 0.75 }, 10);
    expect(names(judged(watch, 1_009))).to.deep.equal([]);
    expect(names(judged(watch, 1_010))).to.deep.equal(['b']);
  });

  it('knows a thousand instances at most, and forgets those that are called no more', () => {
    const watch = new OutlierWatch(usual, 0);
    for (let i = 0; i < 1_200; i++) watch.record(`host-${i}`, true, 0);
    expect(watch.size).to.equal(1_000);
    judged(watch, 1_000);
    judged(watch, 2_000);
    expect(watch.size).to.equal(1);
  });

  walks('is whom the rules name, read anew from every call there was', 20, (random) => {
    const dice = (n: number) => Math.floor(random.next() * n);
    const spec: OutlierSpec = {
      intervalMs: 1_000,
      failureRate: [0.2, 0.5, 1][dice(3)] ?? 0.5,
      minimumCalls: 1 + dice(5),
      minimumHosts: 1 + dice(4),
      ejectForMs: 500 + dice(2_000),
      maxEjectForMs: 3_000,
      maxEjected: [0.2, 0.34, 0.5, 1][dice(4)] ?? 1,
    };
    const watch = new OutlierWatch(spec, 0);
    const twin = new Twin(spec);
    let now = 0;
    let ejections = 0;
    for (let i = 0; i < 3_000; i++) {
      now += dice(50) === 0 ? dice(6_000) : dice(60);
      const address = `host-${dice(6)}`;
      const ok = random.next() < (address < 'host-2' ? 0.3 : 0.95);
      const told = watch.record(address, ok, now);
      expect(told, `call ${i}`).to.deep.equal(twin.record(address, ok, now));
      ejections += told.length;
    }
    if (spec.maxEjected > 0.2 && spec.failureRate < 1 && spec.minimumHosts < 3)
      expect(ejections).to.be.above(0);
  });
});

/** Nothing but what happened: each interval that had a call in it is judged from the list. */
class Twin {
  readonly #calls: { address: string; ok: boolean; at: number }[] = [];
  readonly #ejected: { address: string; from: number; forMs: number; times: number }[] = [];

  constructor(readonly spec: OutlierSpec) {}

  record(address: string, ok: boolean, now: number): WouldEject[] {
    const before = this.#calls.at(-1)?.at ?? 0;
    const number = (at: number) => Math.floor(at / this.spec.intervalMs);
    const told = number(now) > number(before) ? this.#judge(number(before), now) : [];
    if (!this.#out(address, now)) this.#calls.push({ address, ok, at: now });
    else this.#calls.push({ address: '', ok, at: now });
    return told;
  }

  #out(address: string, at: number): boolean {
    return this.#ejected.some((e) => e.address === address && e.from + e.forMs > at);
  }

  #judge(interval: number, now: number): WouldEject[] {
    const { intervalMs, minimumCalls, minimumHosts, failureRate, ejectForMs, maxEjectForMs, maxEjected } =
      this.spec;
    const within = this.#calls.filter(({ at }) => Math.floor(at / intervalMs) === interval);
    const known = this.#known(interval, now);
    const ended = (address: string) => within.filter((call) => call.address === address);
    const enough = known.filter((address) => ended(address).length >= minimumCalls);
    if (enough.length < minimumHosts) return [];
    const told: WouldEject[] = [];
    for (const address of enough) {
      const out = known.filter((other) => this.#out(other, now)).length;
      if ((out + 1) / known.length > maxEjected + 1e-9) break;
      const calls = ended(address).length;
      const failed = ended(address).filter(({ ok }) => !ok).length;
      if (this.#out(address, now) || failed / calls < failureRate) continue;
      const times = this.#times(address, now) + 1;
      const forMs = Math.min(ejectForMs * times, Math.max(ejectForMs, maxEjectForMs));
      this.#ejected.push({ address, from: now, forMs, times });
      told.push({ address, forMs, failed, calls });
    }
    return told;
  }

  /** How often it was left out, less one for each interval that was judged while it was in. */
  #times(address: string, now: number): number {
    const last = this.#ejected.filter((e) => e.address === address).at(-1);
    if (last === undefined) return 0;
    return Math.max(0, last.times - this.#judgedWhileIn(last.from + last.forMs, now));
  }

  /** Intervals over by then whose judgement came after it was back, but for the first, and for the one that ends now. */
  #judgedWhileIn(back: number, now: number): number {
    const { intervalMs } = this.spec;
    let count = -1;
    let before = 0;
    for (const at of this.#judgements()) {
      if (at >= now) break;
      if (at >= back) count += Math.floor(at / intervalMs) - before;
      before = Math.floor(at / intervalMs);
    }
    return Math.max(0, count);
  }

  /** When an interval was judged: at the first call after it. */
  #judgements(): number[] {
    const times: number[] = [];
    let interval = 0;
    for (const { at } of this.#calls) {
      if (Math.floor(at / this.spec.intervalMs) === interval) continue;
      interval = Math.floor(at / this.spec.intervalMs);
      times.push(at);
    }
    return times;
  }

  /** By address: those with calls in this interval or the one judged before it, or out, or not yet forgiven. */
  #known(interval: number, now: number): string[] {
    const { intervalMs } = this.spec;
    const intervals = this.#calls.map(({ at }) => Math.floor(at / intervalMs));
    const before = intervals.filter((other) => other < interval).at(-1) ?? 0;
    const near = (at: number) => [interval, before].includes(Math.floor(at / intervalMs));
    const started = this.#calls.filter(({ address }) => address !== '').map(({ address }) => address);
    return [...new Set(started)]
      .sort()
      .filter(
        (address) =>
          this.#calls.some((call) => call.address === address && near(call.at)) ||
          this.#out(address, now) ||
          this.#times(address, now) > 0,
      );
  }
}
