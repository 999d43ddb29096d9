/**
 * Traps 12 to 17 of the reference, of guarded calls with everything that may surround them: retries, hedges, fallbacks.
 */
import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { Sections } from '../../../core/policy/model.js';
import { type Random, seededRandom } from '../../../core/random.js';
import { outcomeOf, runs, throws } from '../../support/guarded.js';
import { walks } from '../../support/property.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, rejectionOf, settled, work } from '../../support/targets.js';

type Given = { [S in keyof Sections]: NonNullable<Sections[S]> };

const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
const hedge = { delay: { kind: 'fixed', ms: 50 }, extra: 1 } as const;
const surrounded: Given = {
  retry: retrySpec(),
  idempotent: true,
  fallback: [{ kind: 'cache', maxAgeMs: 1_000 }],
};

function expectNothingLeft({ targets, clock }: Bench): void {
  const { budget, slots } = targets.get('db').surround ?? {};
  expect([targets.permitsOut, budget?.active ?? 0, budget?.extras ?? 0, slots?.inUse ?? 0]).to.deep.equal([
    0, 0, 0, 0,
  ]);
  for (const { inUse, queued } of targets.bulkheads()) expect([inUse, queued]).to.deep.equal([0, 0]);
  targets.close();
  expect(clock.pendingTimers).to.equal(0);
}

describe('trap 12: the hand-off of a slot, with retries', () => {
  it('trap 12: a retry that comes back after its pause goes behind those who waited meanwhile', async () => {
    const made = bench(effectiveOf({ ...surrounded, bulkhead: bulkheadSpec(1, { maxQueue: 5 }) }));
    const order: string[] = [];
    const held = work();
    let attempts = 0;
    const retried = guard(made.targets, 'db', async () => {
      order.push(`retried ${++attempts}`);
      if (attempts === 1) throw new Error('broken');
    });
    const running = guard(made.targets, 'db', held.fn);
    await settled();
    const queued = guard(made.targets, 'db', async () => void order.push('queued'));
    made.clock.advance(20);
    held.succeed();
    await Promise.all([running, queued, retried]);
    expect(order).to.deep.equal(['retried 1', 'queued', 'retried 2']);
    expectNothingLeft(made);
  });

  it('trap 12: one that is aborted in line leaves in the same tick, hedged as well', async () => {
    const made = bench(effectiveOf({ hedge, idempotent: true, bulkhead: bulkheadSpec(1, { maxQueue: 5 }) }));
    const held = work();
    const running = guard(made.targets, 'db', held.fn);
    const controller = new AbortController();
    const queued = rejectionOf(guard(made.targets, 'db', held.fn, { signal: controller.signal }));
    made.clock.advance(50);
    expect(made.targets.bulkheads()[0]).to.include({ inUse: 1, queued: 3 });
    controller.abort('left');
    expect(made.targets.bulkheads()[0]).to.include({ inUse: 1, queued: 1 });
    expect(await queued).to.equal('left');
    held.succeed();
    await running;
    await settled();
    expectNothingLeft(made);
  });
});

describe('trap 13: permits drift, with retries, hedges and fallbacks', () => {
  it('trap 13: however a call ends, in use returns to 0', async () => {
    const bulkhead = bulkheadSpec(4, { maxQueue: 2 });
    for (const more of [{}, { hedge }, { attemptTimeout: 30 }, { timeout: 60 }, { circuit }]) {
      const fallback = [{ kind: 'handler', name: 'cache' }] as const;
      const made = bench(effectiveOf({ ...surrounded, bulkhead, fallback, ...more }));
      made.targets.handlers.set('cache', () => {
        throw new Error('a cache that throws');
      });
      for (let round = 0; round < 5; round++) {
        const { fn, all } = runs(made.clock);
        const controller = new AbortController();
        const calls = Array.from({ length: 8 }, (_, i) =>
          guard(
            made.targets,
            'db',
            fn,
            i % 2 === 0 ? { signal: controller.signal, key: 'k' } : undefined,
          ).catch(() => 'failed'),
        );
        made.clock.advance(55);
        all[0]?.fail();
        all[0]?.succeed();
        all[1]?.succeed();
        await settled();
        controller.abort('left');
        for (let i = 0; i < 20; i++) {
          for (const run of all) if (i % 2 === 0) run.fail();
          await settled();
          made.clock.advance(100);
        }
        await Promise.all(calls);
        made.clock.advance(60_000);
      }
      expectNothingLeft(made);
    }
  });
});

describe('trap 14: leaks, with retries, hedges and fallbacks', () => {
  it('trap 14: 100,000 calls on one AbortSignal leave 0 listeners', async () => {
    const made = bench(effectiveOf({ ...surrounded, hedge, timeout: 60_000 }));
    const { signal } = new AbortController();
    for (let i = 0; i < 100_000; i += 100)
      await Promise.all(
        Array.from({ length: 100 }, (_, j) => guard(made.targets, 'db', async () => i + j, { signal })),
      );
    expect(getEventListeners(signal, 'abort')).to.have.lengthOf(0);
    expectNothingLeft(made);
  });
});

describe('trap 15: a timeout, then a late rejection, with a fallback', () => {
  it('trap 15: one settle, one fallback, and no unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const heard = (error: unknown) => void unhandled.push(error);
    process.on('unhandledRejection', heard);
    for (const more of [{}, { hedge }, { attemptTimeout: 60 }]) {
      const made = bench(effectiveOf({ ...surrounded, circuit, timeout: 100, ...more }));
      const { fn, all } = runs(made.clock);
      let fallbacks = 0;
      const settles: unknown[] = [];
      const end = guard<unknown>(made.targets, 'db', fn, { fallback: () => ++fallbacks });
      void end.then((value) => settles.push(value));
      await outcomeOf(made.clock, end, 50);
      for (const run of all) run.fail();
      await settled();
      made.clock.advance(10_000);
      await settled();
      expect([settles, fallbacks]).to.deep.equal([[1], 1]);
      expect(made.targets.get('db').tally.failed, 'counted once for each attempt').to.equal(1);
      expectNothingLeft(made);
    }
    process.off('unhandledRejection', heard);
    expect(unhandled).to.deep.equal([]);
  });
});

describe('trap 16: retries of guarded calls, one within the other', () => {
  /** `calls` calls, `concurrency` at a time; answers how often the innermost function ran. */
  async function throughTwoLayers(
    calls: number,
    concurrency: number,
    healthy: () => boolean,
    random: Random,
  ): Promise<number> {
    const made = bench(effectiveOf({ retry: retrySpec({ attempts: 4 }), idempotent: true }), { random });
    const { clock, targets } = made;
    let attempts = 0;
    let left = calls;
    const innermost = () => {
      attempts++;
      return new Promise<void>((resolve, reject) => {
        const answer = () => (healthy() ? resolve() : reject(new Error('broken')));
        clock.after(random.next() * 50, answer);
      });
    };
    const worker = async () => {
      while (left-- > 0)
        await guard(targets, 'outer', () => guard(targets, 'inner', innermost)).catch(() => undefined);
    };
    const all = Promise.all(Array.from({ length: concurrency }, worker));
    let over = false;
    void all.then(() => {
      over = true;
    });
    while (!over) {
      await settled();
      clock.advance(20);
    }
    for (const name of ['outer', 'inner'])
      expect(targets.get(name).surround?.budget).to.include({ active: 0, extras: 0 });
    return attempts;
  }

  walks(
    'trap 16: a hundred calls and more cost at most calls × (1 + budget) + 3 attempts',
    6,
    async (random) => {
      const calls = 100 + Math.floor(random.next() * 100);
      let rate = random.next();
      const moody = () => {
        if (random.next() < 0.03) rate = random.next();
        return random.next() >= rate;
      };
      const attempts = await throughTwoLayers(
        calls,
        [1, 10, 50][Math.floor(random.next() * 3)] ?? 1,
        moody,
        random,
      );
      expect(attempts)
        .to.be.at.least(calls)
        .and.at.most(calls * 1.2 + 3);
    },
  );

  it('trap 16: a callee that is dead gets one attempt a call, and a handful besides', async () => {
    expect(await throughTwoLayers(300, 5, () => false, seededRandom(1))).to.be.at.most(300 + 2 * 5);
  });

  it('trap 16: retries stop at a cancel, in the pause and in the attempt, and leave no timer', async () => {
    for (const cancelAfterMs of [5, 15, 30]) {
      const made = bench(effectiveOf({ retry: retrySpec({ attempts: 5 }), idempotent: true }));
      const controller = new AbortController();
      let attempts = 0;
      const dies = () => {
        attempts++;
        return new Promise<never>((_, reject) => made.clock.after(10, () => reject(new Error('dead'))));
      };
      const end = rejectionOf(guard(made.targets, 'db', dies, { signal: controller.signal }));
      for (let i = 0; i < cancelAfterMs; i++) {
        made.clock.advance(1);
        await settled();
      }
      const before = attempts;
      controller.abort('enough');
      made.clock.advance(60_000);
      expect([await end, attempts]).to.deep.equal(['enough', before]);
      expectNothingLeft(made);
    }
  });
});

describe('trap 17: the pauses of guarded calls', () => {
  walks('trap 17: are finite, and no longer than the maximum, however often it fails', 5, async (random) => {
    const backoff = { baseMs: 3_000_000, maxMs: 3_600_000 };
    const made = bench(effectiveOf({ retry: retrySpec({ attempts: 5, backoff }), idempotent: true }), {
      random,
    });
    const { fn, at } = throws(made.clock, ...Array.from({ length: 4 }, () => new Error('broken')));
    await outcomeOf(made.clock, guard(made.targets, 'db', fn), 3_600_000);
    const pauses = at.slice(1).map((time, i) => time - (at[i] as number));
    expect(pauses).to.have.lengthOf(4);
    for (const pause of pauses) expect(pause).to.be.within(0, backoff.maxMs);
    expectNothingLeft(made);
  });
});
