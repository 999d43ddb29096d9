/**
 * The pause before a retry, and what a callee may say about it instead.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { seededRandom } from '../../../core/random.js';
import { backoffMs } from '../../../core/resilience/backoff.js';
import { parsePushback } from '../../../core/resilience/pushback.js';
import { property } from '../../support/property.js';
import { evenRandom } from '../../support/specs.js';

const highest = { next: () => 1 - Number.EPSILON, hex: evenRandom.hex };
const lowest = { next: () => 0, hex: evenRandom.hex };

/** Doubles in a loop and gives up at the maximum. */
function twinCeiling(baseMs: number, maxMs: number, retryNumber: number): number {
  let ceiling = baseMs;
  for (let i = 1; i < retryNumber && ceiling < maxMs; i++) ceiling += ceiling;
  return ceiling < maxMs ? ceiling : maxMs;
}

describe('backoff', () => {
  const spec = { baseMs: 25, maxMs: 250 };

  it('doubles its range with each retry up to the maximum', () => {
    const middles = [1, 2, 3, 4, 5, 6].map((n) => backoffMs(spec, n, evenRandom));
    expect(middles).to.deep.equal([12.5, 25, 50, 100, 125, 125]);
  });

  it('jitters over the whole range, from nothing', () => {
    expect(backoffMs(spec, 3, lowest)).to.equal(0);
    expect(backoffMs(spec, 3, highest)).to.be.closeTo(100, 1e-9);
  });

  property(
    'stays below the ceiling that its dumb twin finds by doubling',
    fc.record({
      baseMs: fc.integer({ min: 1, max: 60_000 }),
      more: fc.integer({ min: 0, max: 3_600_000 }),
      retryNumber: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 100_000 })),
      seed: fc.nat(),
    }),
    ({ baseMs, more, retryNumber, seed }) => {
      const maxMs = baseMs + more;
      const expected = seededRandom(seed).next() * twinCeiling(baseMs, maxMs, retryNumber);
      expect(backoffMs({ baseMs, maxMs }, retryNumber, seededRandom(seed))).to.equal(expected);
    },
  );
});

describe('pushback', () => {
  property(
    'is a wait exactly where the value is the canonical text of a number of 32 bits, from 0 on',
    fc.oneof(
      fc.integer({ min: -10, max: 2 ** 31 + 10 }).map(String),
      fc.constantFrom('007', '+5', ' 5', '5 ', '5.0', '1e3', '0x10', '-0', '', '9'.repeat(400), '٣'),
      fc.string(),
    ),
    (text) => {
      const number = Number(text);
      const canonical = number >= 0 && number < 2 ** 31 && (number | 0).toString() === text;
      expect(parsePushback([text])).to.deep.equal(
        canonical ? { kind: 'wait', ms: number } : { kind: 'stop' },
      );
    },
  );

  it('is a stop where its value is bytes, which no text of a number is', () => {
    expect(parsePushback([Uint8Array.of(0x35)])).to.deep.equal({ kind: 'stop' });
  });
});
