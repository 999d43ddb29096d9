/**
 * The bulkhead whose limit finds itself: what it samples, how it says no, and live changes to and from a number.
 */
import { expect } from 'chai';
import { BulkheadCalls } from '../../support/bulkhead-calls.js';
import { walks } from '../../support/property.js';
import { bulkheadSpec } from '../../support/specs.js';

const auto = (maxQueue = 0) => bulkheadSpec(1, { maxConcurrent: 'auto', maxQueue });

function enter(into: BulkheadCalls, count: number): number {
  let running = 0;
  for (let i = 0; i < count; i++) if (into.enter(`call ${into.log.length} ${i}`) === 'runs') running++;
  return running;
}

/** All that run end after `rttMs`. */
function end(
  calls: BulkheadCalls,
  rttMs: number,
  outcome: 'success' | 'failure' | 'neutral' = 'success',
): void {
  calls.now += rttMs;
  for (const name of [...calls.running.keys()]) calls.leave(name, outcome);
}

describe('bulkhead with an adaptive limit', () => {
  it('is no plan’s business to settle until it is adaptive', () => {
    const calls = new BulkheadCalls(bulkheadSpec(5));
    expect([calls.bulkhead.settle, calls.bulkhead.timeless]).to.deep.equal([undefined, true]);
    calls.reconfigure(auto());
    expect([typeof calls.bulkhead.settle, calls.bulkhead.timeless]).to.deep.equal(['function', false]);
  });

  it('begins at 20, and says that it is the callee who bears no more', () => {
    const calls = new BulkheadCalls(auto());
    expect(enter(calls, 30)).to.equal(20);
    expect(calls.bulkhead.refusal(0)).to.deep.equal({
      code: 'overloaded',
      text: '20 of 20 calls in flight and 0 of 0 waiting; the limit is what the callee bears at present, slow down',
      section: 'bulkhead',
    });
  });

  it('grows by one for each good round trip', () => {
    const calls = new BulkheadCalls(auto());
    for (let round = 1; round <= 5; round++) {
      enter(calls, 30);
      end(calls, 10);
      expect(calls.bulkhead.limit).to.equal(20 + round);
    }
  });

  it('falls by a tenth when calls ran out of their time, once for all that did', () => {
    const calls = new BulkheadCalls(auto());
    enter(calls, 20);
    end(calls, calls.deadlineMs, 'failure');
    expect(calls.bulkhead.limit).to.equal(18);
  });

  it('hears neither of failures that were quick, nor of what came to nothing', () => {
    const calls = new BulkheadCalls(auto());
    enter(calls, 20);
    end(calls, 10, 'failure');
    enter(calls, 20);
    end(calls, 5_000, 'neutral');
    expect([calls.bulkhead.limit, calls.bulkhead.inUse]).to.deep.equal([20, 0]);
  });

  it('goes by latency on the side of the server', () => {
    const calls = new BulkheadCalls(auto(), 'server');
    let falling = false;
    for (let round = 0; round < 300; round++) {
      const before = calls.bulkhead.limit;
      enter(calls, before);
      end(calls, round < 150 ? 50 : 500);
      if (round >= 150 && calls.bulkhead.limit < before) falling = true;
      if (round === 149) expect(before).to.be.above(20);
    }
    expect(falling).to.equal(true);
  });

  it('lets those in line in as it grows', () => {
    const calls = new BulkheadCalls(auto(10));
    expect(enter(calls, 25)).to.equal(20);
    calls.now = 10;
    calls.leave([...calls.running.keys()][0] ?? '');
    expect([calls.bulkhead.limit, calls.bulkhead.inUse, calls.bulkhead.queued]).to.deep.equal([21, 21, 3]);
  });

  it('keeps its limit under other settings, and begins anew after a number', () => {
    const calls = new BulkheadCalls(auto());
    enter(calls, 20);
    end(calls, 10);
    calls.reconfigure(auto(5));
    expect(calls.bulkhead.limit).to.equal(21);
    calls.reconfigure(bulkheadSpec(3));
    expect([calls.bulkhead.limit, calls.bulkhead.timeless]).to.deep.equal([3, true]);
    calls.reconfigure(auto());
    expect(calls.bulkhead.limit).to.equal(20);
  });

  it('keeps who runs and who waits through a change, and samples nobody from before', () => {
    const calls = new BulkheadCalls(bulkheadSpec(15, { maxQueue: 10 }));
    enter(calls, 20);
    calls.reconfigure(auto(10));
    expect([calls.bulkhead.inUse, calls.bulkhead.queued]).to.deep.equal([20, 0]);
    const former = [...calls.running.keys()].slice(0, 15);
    calls.now = 10;
    for (const name of former) calls.leave(name);
    expect(calls.bulkhead.limit).to.equal(20);
    enter(calls, 15);
    end(calls, 10);
    expect([calls.bulkhead.limit, calls.bulkhead.inUse]).to.deep.equal([21, 0]);
  });

  it('samples nobody who began under an adaptive limit that has gone since', () => {
    const calls = new BulkheadCalls(auto());
    enter(calls, 20);
    calls.reconfigure(bulkheadSpec(20));
    calls.reconfigure(auto());
    end(calls, calls.deadlineMs, 'failure');
    expect([calls.bulkhead.limit, calls.bulkhead.inUse]).to.deep.equal([20, 0]);
  });
});

describe('bulkhead under live changes of all kinds', () => {
  walks(
    'never drifts: 0 ≤ in use, never above the limit for a newcomer, nothing held at the end',
    10,
    (random) => {
      const whole = (max: number) => Math.floor(random.next() * max);
      const calls = new BulkheadCalls(bulkheadSpec(5, { maxQueue: 3 }), whole(2) === 0 ? 'client' : 'server');
      const classes = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable'] as const;
      for (let i = 0; i < 5_000; i++) {
        calls.now += whole(200);
        const deed = random.next();
        if (deed < 0.5) {
          const { inUse, limit } = calls.bulkhead;
          const answer = calls.enter(`call ${i}`, classes[whole(4)]);
          if (answer === 'refused') calls.bulkhead.refusal(calls.now);
          if (answer === 'runs' && inUse >= limit) expect.fail(`${inUse} of ${limit} and yet another runs`);
        } else if (deed < 0.9) {
          const outcome = (['success', 'failure', 'neutral'] as const)[whole(3)];
          calls.leave([...calls.running.keys()][whole(calls.running.size)] ?? '', outcome);
        } else if (deed < 0.95) {
          calls.abandon([...calls.waiting.keys()][whole(calls.waiting.size)] ?? '');
        } else {
          const limit = 1 + whole(12);
          calls.reconfigure(
            bulkheadSpec(limit, {
              maxConcurrent: whole(2) === 0 ? 'auto' : limit,
              maxQueue: whole(6),
              ...(whole(2) === 0 ? { shares: { critical: 0.5, sheddable: 0.25 } } : {}),
            }),
          );
        }
        const { inUse, queued } = calls.bulkhead;
        if (inUse !== calls.running.size || queued !== calls.waiting.size)
          expect.fail(`${inUse} in use of ${calls.running.size}, ${queued} in line of ${calls.waiting.size}`);
      }
      for (const name of [...calls.waiting.keys()]) calls.abandon(name);
      for (const name of [...calls.running.keys()]) calls.leave(name);
      expect([calls.bulkhead.inUse, calls.bulkhead.queued, calls.permits.out]).to.deep.equal([0, 0, 0]);
    },
  );
});
