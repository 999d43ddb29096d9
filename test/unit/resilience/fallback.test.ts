/**
 * Which failures are answered by the chain, in which order, how often; and what the cache of last good answers keeps.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { FallbackSpec } from '../../../core/policy/model.js';
import { degradedMarker, FallbackWalk, mayFallBack } from '../../../core/resilience/fallback.js';
import { ResponseCache } from '../../../core/resilience/response-cache.js';
import { property } from '../../support/property.js';

const chain: readonly FallbackSpec[] = [
  { kind: 'cache', maxAgeMs: 60_000 },
  { kind: 'target', to: 'archive' },
  { kind: 'static', value: { available: false } },
];
const failed = { cancelledByCaller: false, outcome: 'failure' as const };

/** The chain in plain words: what is left of it, and whether the call has failed yet. */
class NaiveWalk {
  left: FallbackSpec[] = [];
  failedBefore = false;
  stopped = false;

  constructor(readonly entries: readonly FallbackSpec[]) {}

  begin({ cancelledByCaller, outcome }: { cancelledByCaller: boolean; outcome: string }): boolean {
    if (this.failedBefore) return false;
    this.failedBefore = true;
    if (!this.stopped && !cancelledByCaller && ['failure', 'neutral'].includes(outcome))
      this.left = [...this.entries];
    return this.left.length > 0;
  }

  next(): FallbackSpec | undefined {
    return this.left.shift();
  }

  stop(): void {
    this.stopped = true;
    this.left = [];
  }
}

describe('a chain of fallbacks', () => {
  const end = fc.record({
    cancelledByCaller: fc.boolean(),
    outcome: fc.constantFrom('success' as const, 'failure' as const, 'neutral' as const),
  });
  const step = fc.oneof(
    end.map((each) => ({ begin: each })),
    fc.constant({ next: true }),
    fc.constant({ stop: true }),
  );
  property(
    'does what its twin in plain words does, whatever comes in which order',
    fc.record({ length: fc.nat(3), steps: fc.array(step, { maxLength: 12 }) }),
    ({ length, steps }) => {
      const entries = chain.slice(0, length);
      const walk = new FallbackWalk(entries);
      const twin = new NaiveWalk(entries);
      for (const each of steps) {
        if ('begin' in each) expect(walk.begin(each.begin)).to.equal(twin.begin(each.begin));
        else if ('next' in each) expect(walk.next()).to.equal(twin.next());
        else {
          walk.stop();
          twin.stop();
        }
      }
    },
  );

  it('is tried in order, then the call fails as it did', () => {
    const walk = new FallbackWalk(chain);
    expect(walk.begin(failed)).to.equal(true);
    expect([walk.next(), walk.next(), walk.next(), walk.next()]).to.deep.equal([...chain, undefined]);
  });

  it('runs once for a call, whatever ends come after', () => {
    const walk = new FallbackWalk(chain);
    expect(walk.begin(failed)).to.equal(true);
    expect(walk.begin(failed)).to.equal(false);
    expect(walk.next()).to.equal(chain[0]);
  });

  it('never runs for a call that its caller cancelled, nor for an end after that', () => {
    const walk = new FallbackWalk(chain);
    expect(walk.begin({ cancelledByCaller: true, outcome: 'neutral' })).to.equal(false);
    expect(walk.begin(failed)).to.equal(false);
    expect(walk.next()).to.equal(undefined);
  });

  it('gives nothing before a call has failed, and nothing after one of it has answered', () => {
    const walk = new FallbackWalk(chain);
    expect(walk.next()).to.equal(undefined);
    walk.begin(failed);
    expect(walk.next()).to.equal(chain[0]);
    walk.stop();
    expect(walk.next()).to.equal(undefined);
  });

  it('has nothing to begin with when it is empty', () => {
    expect(new FallbackWalk([]).begin(failed)).to.equal(false);
  });

  it('is for failures, rejections and shedding, not for what a healthy target answers', () => {
    expect(mayFallBack(failed)).to.equal(true);
    expect(mayFallBack({ cancelledByCaller: false, outcome: 'neutral' })).to.equal(true);
    expect(mayFallBack({ cancelledByCaller: false, outcome: 'success' })).to.equal(false);
    expect(mayFallBack({ cancelledByCaller: true, outcome: 'failure' })).to.equal(false);
  });
});

describe('the mark of a degraded answer', () => {
  it('names the kind and the reason', () => {
    expect(degradedMarker('cache', 'circuit_open')).to.equal('cache; circuit_open');
  });

  property(
    'can stand in metadata whatever the reason',
    fc.string({ unit: 'binary', maxLength: 500 }),
    (reason) => {
      expect(degradedMarker('handler', reason)).to.match(/^handler;[\x20-\x7e]{0,201}$/);
    },
  );
});

describe('cache of last good answers', () => {
  it('looks at the age when it is read, against the reader’s own limit', () => {
    const cache = new ResponseCache<string>();
    cache.put('a', 'answer', 10, 1_000);
    expect(cache.get('a', 61_000, 60_000)).to.deep.equal({ value: 'answer', ageMs: 60_000 });
    expect(cache.get('a', 61_001, 60_000)).to.equal(undefined);
    expect(cache.get('a', 61_001, 90_000)?.value).to.equal('answer');
  });

  it('keeps the last answer of a key', () => {
    const cache = new ResponseCache<string>();
    cache.put('a', 'old', 100, 0);
    cache.put('a', 'new', 10, 5);
    expect(cache.get('a', 5, 10)).to.deep.equal({ value: 'new', ageMs: 0 });
    expect(cache.size).to.equal(1);
    cache.delete('a');
    expect(cache.bytes).to.equal(0);
  });

  it('does not keep what is larger than itself, nor pass the one before for the last', () => {
    const cache = new ResponseCache<string>(10, 1_000);
    cache.put('a', 'small', 10, 0);
    cache.put('a', 'huge', 2_000, 1);
    expect(cache.get('a', 1, 1_000)).to.equal(undefined);
    expect([cache.size, cache.bytes]).to.deep.equal([0, 0]);
  });

  it('is empty after a clear', () => {
    const cache = new ResponseCache<string>();
    cache.put('a', 'answer', 10, 0);
    cache.clear();
    expect([cache.size, cache.bytes]).to.deep.equal([0, 0]);
  });

  property(
    'keeps what a list in order of use keeps, within both bounds',
    fc.array(
      fc.record({
        do: fc.constantFrom('put', 'put', 'get'),
        key: fc.constantFrom(...'abcdefgh'),
        bytes: fc.nat(700),
        after: fc.nat(100),
      }),
      { maxLength: 100 },
    ),
    (steps) => {
      const [entriesMax, bytesMax, maxAgeMs] = [4, 1_500, 300];
      const cache = new ResponseCache<number>(entriesMax, bytesMax);
      let twin: { key: string; value: number; bytes: number; at: number }[] = [];
      let now = 0;
      for (const [value, step] of steps.entries()) {
        now += step.after;
        const found = twin.find(({ key }) => key === step.key);
        const others = twin.filter((entry) => entry !== found);
        if (step.do === 'put') {
          cache.put(step.key, value, step.bytes, now);
          twin = [...others, { key: step.key, value, bytes: step.bytes + 130, at: now }];
          const total = () => twin.reduce((sum, { bytes }) => sum + bytes, 0);
          while (twin.length > entriesMax || total() > bytesMax) twin.shift();
          expect(cache.bytes).to.equal(total());
        } else {
          const fresh = found && now - found.at <= maxAgeMs;
          expect(cache.get(step.key, now, maxAgeMs)?.value).to.equal(fresh ? found.value : undefined);
          if (fresh) twin = [...others, found];
        }
        expect(cache.size).to.equal(twin.length);
      }
    },
  );
});
