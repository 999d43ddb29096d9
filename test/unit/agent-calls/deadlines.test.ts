/**
 * Time limits by the row of their permit: each runs out when it is due and not before, whatever else begins and ends meanwhile, behind
 * one timer. Compared with a sorted list.
 */
import { expect } from 'chai';
import { type Deadlined, Deadlines } from '../../../agent/deadlines.js';
import type { Random } from '../../../core/random.js';
import { Permits } from '../../../core/resilience/permits.js';
import { walks } from '../../support/property.js';
import { VirtualClock } from '../../support/virtual-clock.js';

class Limit implements Deadlined {
  handle = 0;
  endsAt = 0;
  constructor(
    readonly id: number,
    readonly onExpire: (limit: Limit) => void,
  ) {}

  expire(): void {
    this.onExpire(this);
  }
}

/** Limits with permits of their own, as attempts have them. */
class Bed {
  readonly clock = new VirtualClock(1_000);
  readonly permits = new Permits(4);
  readonly deadlines = new Deadlines(this.clock, this.permits);
  readonly expired: string[] = [];
  onExpire: (limit: Limit) => void = () => {};
  #ids = 0;

  begin(lengthMs: number): Limit {
    const limit = new Limit(this.#ids++, (over) => {
      this.expired.push(`${over.id} at ${this.clock.now()}`);
      this.#giveBack(over);
      this.onExpire(over);
    });
    const now = this.clock.now();
    limit.endsAt = now + lengthMs;
    limit.handle = this.permits.take(now, limit.endsAt);
    this.deadlines.watch(limit.handle, limit, limit.endsAt, lengthMs);
    return limit;
  }

  end(limit: Limit): void {
    this.deadlines.lift(limit.handle, limit);
    this.#giveBack(limit);
  }

  #giveBack({ handle }: Limit): void {
    const row = this.permits.row(handle);
    if (row < 0) return;
    this.permits.end(row);
    this.permits.giveBack(row);
  }
}

describe('the time limits of attempts', () => {
  it('run out when they are due, and not before', () => {
    const bed = new Bed();
    for (const lengthMs of [30, 10, 20]) bed.begin(lengthMs);
    bed.clock.advance(9);
    expect(bed.expired).to.deep.equal([]);
    bed.clock.advance(1);
    expect(bed.expired).to.deep.equal(['1 at 1010']);
    bed.clock.advance(100);
    expect(bed.expired).to.deep.equal(['1 at 1010', '2 at 1020', '0 at 1030']);
    expect([bed.deadlines.size, bed.clock.pendingTimers]).to.deep.equal([0, 0]);
  });

  it('that were lifted never run out; lifted twice, or by another, nothing happens', () => {
    const bed = new Bed();
    const [first, second] = [bed.begin(10), bed.begin(10)];
    bed.deadlines.lift(first.handle, second);
    expect(bed.deadlines.size).to.equal(2);
    bed.end(first);
    bed.end(first);
    bed.clock.advance(10);
    expect(bed.expired).to.deep.equal(['1 at 1010']);
    bed.end(second);
    expect(bed.deadlines.size).to.equal(0);
  });

  it('of an attempt whose row another has by now are that other’s alone', () => {
    const bed = new Bed();
    const first = bed.begin(10);
    bed.end(first);
    const second = bed.begin(50);
    expect(second.handle % 4).to.equal(first.handle % 4);
    bed.deadlines.lift(first.handle, first);
    bed.clock.advance(10);
    expect(bed.expired).to.deep.equal([]);
    bed.clock.advance(40);
    expect(bed.expired).to.deep.equal(['1 at 1050']);
  });

  it('are late, not lost, where the event loop was kept from its timers', () => {
    const bed = new Bed();
    for (const lengthMs of [10, 20, 300]) bed.begin(lengthMs);
    bed.clock.stall(100);
    bed.clock.advance(0);
    expect(bed.expired).to.deep.equal(['0 at 1100', '1 at 1100']);
    bed.clock.advance(200);
    expect(bed.expired).to.have.lengthOf(3);
  });

  it('may be begun, and lifted, by one that runs out', () => {
    const bed = new Bed();
    const other = bed.begin(11);
    bed.begin(10);
    bed.onExpire = ({ id }) => {
      if (id !== 1) return;
      bed.end(other);
      bed.begin(0);
      bed.begin(5);
    };
    bed.clock.advance(100);
    expect(bed.expired).to.deep.equal(['1 at 1010', '2 at 1010', '3 at 1015']);
    expect([bed.deadlines.size, bed.permits.out, bed.clock.pendingTimers]).to.deep.equal([0, 0, 0]);
  });

  it('go on where one of them throws', () => {
    const bed = new Bed();
    for (const lengthMs of [10, 10, 20]) bed.begin(lengthMs);
    bed.onExpire = ({ id }) => {
      if (id === 0) throw new Error('a limit that throws');
    };
    expect(() => bed.clock.advance(10)).to.throw('a limit that throws');
    bed.clock.advance(100);
    expect(bed.expired).to.deep.equal(['0 at 1010', '1 at 1010', '2 at 1020']);
  });

  it('need one timer, however many they are, and none once all is closed', () => {
    const bed = new Bed();
    const all = Array.from({ length: 1_000 }, (_, i) => bed.begin(1_000 - i));
    expect(bed.clock.pendingTimers).to.equal(1);
    for (const limit of all.slice(1)) bed.end(limit);
    bed.deadlines.close();
    expect(bed.clock.pendingTimers).to.equal(1);
    bed.end(all[0] as Limit);
    expect(bed.clock.pendingTimers).to.equal(0);
    bed.begin(10);
    bed.clock.advance(10);
    expect([bed.expired.length, bed.clock.pendingTimers]).to.deep.equal([1, 0]);
  });
});

describe('the time limits of attempts, against a sorted list', () => {
  walks('run out in the same order at the same time, over 3,000 random deeds', 10, (random: Random) => {
    const bed = new Bed();
    const expected: string[] = [];
    let running: Limit[] = [];
    const below = (n: number) => Math.floor(random.next() * n);
    bed.onExpire = (limit) => {
      running = running.filter((other) => other !== limit);
    };
    for (let i = 0; i < 3_000; i++) {
      const deed = random.next();
      if (deed < 0.5) {
        running.push(bed.begin([0, 1, 5, 5, 50, 500, 10_000][below(7)] as number));
      } else if (deed < 0.75 && running.length > 0) {
        const [limit] = running.splice(below(running.length), 1);
        if (limit) bed.end(limit);
      } else {
        const stallMs = random.next() < 0.2 ? below(30) : 0;
        const advanceMs = below(random.next() < 0.1 ? 2_000 : 12);
        const from = bed.clock.now() + stallMs;
        const due = running.filter(({ endsAt }) => endsAt <= from + advanceMs);
        for (const { id, endsAt } of due) expected.push(`${id} at ${Math.max(from, endsAt)}`);
        bed.clock.stall(stallMs);
        bed.clock.advance(advanceMs);
      }
      // Those that are due at the same time run out in any order.
      expect([...bed.expired].sort()).to.deep.equal([...expected].sort());
      bed.expired.length = 0;
      expected.length = 0;
      expect(bed.deadlines.size).to.equal(running.length);
      expect(bed.clock.pendingTimers).to.be.at.most(1);
    }
    bed.deadlines.close();
    for (const limit of running) bed.end(limit);
    expect([bed.permits.out, bed.clock.pendingTimers]).to.deep.equal([0, 0]);
  });
});
