/** Ten thousand streams take their turns without blocking the event loop. */
import { expect } from 'chai';
import { Pump, type Worker } from '../../../control-plane/grpc/pump.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));
async function idle(): Promise<void> {
  for (let turns = 0; turns < 10; turns++) await turn();
}

describe('pump', () => {
  it('gives each a turn, once however often it was woken', async () => {
    const pump = new Pump(new VirtualClock());
    const done: string[] = [];
    const worker = (name: string): Worker => ({ work: () => void done.push(name) });
    const [a, b] = [worker('a'), worker('b')];
    for (const one of [a, b, a, b]) pump.wake(one);
    await idle();
    expect(done).to.deep.equal(['a', 'b']);
  });

  it('ends a slice of the loop after a few milliseconds of work', async () => {
    const clock = new VirtualClock();
    const pump = new Pump(clock);
    const slices: number[] = [];
    let startedAt = -1;
    let inSlice = false;
    const workers = Array.from({ length: 10_000 }, () => ({
      work: () => {
        if (!inSlice) {
          inSlice = true;
          startedAt = clock.now();
          queueMicrotask(() => {
            inSlice = false;
            slices.push(clock.now() - startedAt);
          });
        }
        clock.advance(0.03);
        return undefined;
      },
    }));
    for (const worker of workers) pump.wake(worker);
    while (clock.now() < 299.9) await turn();
    expect(Math.max(...slices)).to.be.below(15);
    expect(slices.length).to.be.above(20);
  });

  it('comes back when it was asked to, with one timer for all', async () => {
    const clock = new VirtualClock();
    const pump = new Pump(clock);
    const times: number[] = [];
    const workers = [300, 100, 200].map((untilMs) => ({
      work: (now: number) => {
        if (now < untilMs) return untilMs;
        times.push(now);
        return undefined;
      },
    }));
    for (const worker of workers) pump.wake(worker);
    await idle();
    expect(clock.pendingTimers).to.equal(1);
    for (let ms = 0; ms < 400; ms += 50) {
      clock.advance(50);
      await idle();
    }
    expect(times).to.deep.equal([100, 200, 300]);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('gives one a turn at once, and another when it asks for one', async () => {
    const clock = new VirtualClock();
    const pump = new Pump(clock);
    const turns: number[] = [];
    const answers = [clock.now(), 50, undefined];
    const worker: Worker = {
      work: (now) => {
        turns.push(now);
        return answers[turns.length - 1];
      },
    };
    pump.wake(worker);
    pump.now(worker);
    expect(turns).to.deep.equal([0]);
    await idle();
    // It asked for its next turn at once, and then for one at 50; what it was woken for before is done.
    expect(turns).to.deep.equal([0, 0]);
    clock.advance(49);
    await idle();
    expect(turns).to.have.length(2);
    clock.advance(1);
    await idle();
    expect(turns).to.deep.equal([0, 0, 50]);
  });

  it('lets what is urgent go first, and the others get on beside it', async () => {
    const clock = new VirtualClock();
    const pump = new Pump(clock);
    const done: string[] = [];
    const spend = (what: string) => {
      done.push(what);
      clock.advance(1);
    };
    const urgent = Array.from({ length: 20 }, () => ({ hasten: () => spend('urgent') }));
    for (let i = 0; i < 20; i++) pump.wake({ work: () => void spend('other') });
    for (const each of urgent) pump.hasten(each);
    await turn();
    expect(done.slice(0, 8)).to.deep.equal(Array(8).fill('urgent'));
    expect(done.filter((what) => what === 'other')).to.have.length(8);
    await idle();
    expect(done).to.have.length(40);
  });

  it('gives an urgent turn once however often it was asked for, and none of the other kind', async () => {
    const pump = new Pump(new VirtualClock());
    const done: string[] = [];
    const worker = { work: () => void done.push('work'), hasten: () => void done.push('hasten') };
    pump.hasten(worker);
    pump.hasten(worker);
    await idle();
    expect(done).to.deep.equal(['hasten']);
  });

  it('forgets who has gone', async () => {
    const pump = new Pump(new VirtualClock());
    let turns = 0;
    const worker = { work: () => void turns++, hasten: () => void turns++ };
    pump.wake(worker);
    pump.hasten(worker);
    pump.forget(worker);
    await idle();
    expect(turns).to.equal(0);
  });
});
