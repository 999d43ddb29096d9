/**
 * The bulkhead against its dumb twin, with a limit that finds itself, with a number, and through changes from one to the other.
 */
import { expect } from 'chai';
import { criticalities } from '../../../core/criticality.js';
import type { Random } from '../../../core/random.js';
import { BulkheadCalls } from '../../support/bulkhead-calls.js';
import { BulkheadTwin, type BulkheadTwinSpec } from '../../support/bulkhead-twin.js';
import { walks } from '../../support/property.js';
import { bulkheadSpec } from '../../support/specs.js';

function walk(random: Random, steps: number): Set<number> {
  const whole = (max: number) => Math.floor(random.next() * max);
  const of = <T>(all: readonly T[]) => all[whole(all.length)] as T;
  const spec = (): BulkheadTwinSpec => ({
    maxConcurrent: of(['auto', 'auto', 1, 3, 12]),
    maxQueue: of([0, 0, 2, 5]),
  });
  const build = ({ maxConcurrent, maxQueue }: BulkheadTwinSpec) =>
    bulkheadSpec(1, { maxConcurrent, maxQueue });
  const side = of(['client', 'server'] as const);
  const first = { ...spec(), maxConcurrent: 'auto' } as const;
  const real = new BulkheadCalls(build(first), side);
  const twin = new BulkheadTwin(first, side);
  const limits = new Set<number>();
  // Long stretches of crowd and of calm, so that the limit moves both ways.
  let crowd = 0.6;

  for (let i = 0; i < steps; i++) {
    if (whole(100) === 0) crowd = of([0.3, 0.5, 0.6, 0.7]);
    real.now += of([0, 0, 1, 1, 5, 40, 200, 300.5, 1_000, 2_000]);
    const deed = random.next();
    if (deed < crowd) {
      const rank = of([0, 1, 1, 2, 3]);
      real.deadlineMs = of([100, 1_000, 20_000]);
      const expected = twin.enter(`call ${i}`, rank, real.now, real.deadlineMs);
      expect(real.enter(`call ${i}`, criticalities[rank]), `step ${i}`).to.equal(expected);
    } else if (deed < 0.97) {
      const name = twin.running[whole(twin.running.length)]?.name ?? '';
      const outcome = of(['success', 'success', 'success', 'failure', 'neutral'] as const);
      twin.leave(name, outcome, real.now);
      real.leave(name, outcome);
    } else if (deed < 0.995) {
      const name = twin.waiting[whole(twin.waiting.length)]?.name ?? '';
      twin.abandon(name);
      real.abandon(name);
    } else {
      const next = spec();
      twin.reconfigure(next, real.now);
      real.reconfigure(build(next));
    }
    const { inUse, queued, limit } = real.bulkhead;
    limits.add(limit);
    expect([inUse, queued, limit, real.log.length, real.log.at(-1)], `after step ${i}`).to.deep.equal([
      twin.running.length,
      twin.waiting.length,
      twin.limit,
      twin.log.length,
      twin.log.at(-1),
    ]);
  }
  expect(real.log).to.deep.equal(twin.log);
  return limits;
}

describe('the bulkhead and its dumb twin', () => {
  walks(
    'agree about every call, slot, place in line and limit, over 10 walks of 2,000 deeds',
    5,
    (random) => {
      const limits = new Set<number>();
      for (let i = 0; i < 10; i++) for (const limit of walk(random, 2_000)) limits.add(limit);
      // Beside the numbers of the policies: limits that were found.
      expect(limits.size).to.be.above(10);
    },
  );
});
