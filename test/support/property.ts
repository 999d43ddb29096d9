/**
 * Property tests whose seed is in their title, so that it is printed whether they pass or fail. A new seed for each run of
 * the suite; `SEED=12345` repeats one.
 */
import fc from 'fast-check';
import { type Random, seededRandom } from '../../core/random.js';

const seed = process.env.SEED === undefined ? Date.now() % 0x7fffffff : Number(process.env.SEED);

const LIFE_STEPS = 10_000;

/** A test of what holds for everything that these arbitraries can make. */
export function property<T>(
  title: string,
  arbitrary: fc.Arbitrary<T>,
  holds: (value: T) => void | Promise<void>,
  runs = 300,
): void {
  it(`${title} (seed ${seed})`, async () => {
    await fc.assert(
      fc.asyncProperty(arbitrary, async (value) => holds(value)),
      { seed, numRuns: runs },
    );
  });
}

/** The same walk for each of `walks` seeds, one test each. */
export function walks(title: string, count: number, walk: (random: Random) => void | Promise<void>): void {
  for (let i = 0; i < count; i++) {
    const its = (seed + i * 7919) % 0x7fffffff;
    it(`${title} (seed ${its})`, () => walk(seededRandom(its)));
  }
}

/** What is led through random deeds, one after the other, to an end at which nothing may be left. */
interface Life {
  step(): Promise<void>;
  /** Lets everything come to its end. */
  end(): Promise<void>;
  check(): void;
}

/** Eight lives of ten thousand deeds. */
export function lives(what: string, begin: (random: Random) => Life): void {
  walks(`${what}, over ${LIFE_STEPS} random deeds`, 8, async (random) => {
    const life = begin(random);
    for (let i = 0; i < LIFE_STEPS; i++) await life.step();
    await life.end();
    life.check();
  });
}
