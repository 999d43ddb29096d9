/**
 * The division of a cluster-wide rate against a naive allocator that hands out single tokens and searches all divisions for the
 * fairest one: every case of up to four agents with few tokens, and random ones beyond.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { splitGrants } from '../../../core/resilience/grants.js';
import { property } from '../../support/property.js';

/** In the order of whose turn it is. */
function naive(limit: number, demands: readonly number[]): number[] {
  const few = limit < demands.length;
  const wanted = demands.map((demand) =>
    few ? Math.min(1, Math.ceil(demand)) : Math.min(limit, Math.max(1, Math.ceil(demand))),
  );
  const even = Math.floor(limit / demands.length);
  const given = demands.map(() => 0);
  let left = limit;
  const give = (to: number) => {
    given[to] = (given[to] as number) + 1;
    left--;
  };
  for (let round = 0; round < even; round++)
    for (const [i, want] of wanted.entries()) if ((given[i] as number) < want) give(i);
  const lacking = wanted.map((want, i) => want - (given[i] as number));
  if (lacking.reduce((a, b) => a + b, 0) > left) return add(given, fairest(left, lacking));
  for (const [i, lack] of lacking.entries()) for (let n = 0; n < lack; n++) give(i);
  for (let i = 0; left > 0; i++) give(i % demands.length);
  return given;
}

function add(one: readonly number[], other: readonly number[]): number[] {
  return one.map((tokens, i) => tokens + (other[i] as number));
}

/** Of all divisions the nearest to exact proportion; of equally near ones that which gives the earlier more. */
function fairest(total: number, weights: readonly number[]): number[] {
  const all = weights.reduce((a, b) => a + b, 0);
  const distance = (parts: readonly number[]) =>
    parts.reduce((sum, part, i) => sum + (part * all - total * (weights[i] as number)) ** 2, 0);
  let best: number[] = [];
  let least = Number.POSITIVE_INFINITY;
  for (const parts of divisions(total, weights.length)) {
    if (distance(parts) >= least) continue;
    least = distance(parts);
    best = parts;
  }
  return best;
}

/** All ways to divide, those first that give the earlier more. */
function* divisions(total: number, among: number): Generator<number[]> {
  if (among === 1) yield [total];
  else
    for (let first = total; first >= 0; first--)
      for (const rest of divisions(total - first, among - 1)) yield [first, ...rest];
}

function* tuples(length: number, values: readonly number[]): Generator<number[]> {
  if (length === 0) yield [];
  else for (const value of values) for (const rest of tuples(length - 1, values)) yield [value, ...rest];
}

/** What `splitGrants` gives, in the order of whose turn it is. */
function granted(limit: number, demands: readonly number[], turn: number): number[] {
  const count = demands.length;
  const name = (i: number) => `agent-${(i + turn) % count}`;
  const asked = new Map(demands.map((demand, i) => [name(i), demand]));
  const all = splitGrants(limit, asked, turn);
  return demands.map((_, i) => all.get(name(i)) ?? Number.NaN);
}

describe('grants and a naive allocator', () => {
  for (const [agents, values, limitMax] of [
    [1, [0, 0.5, 1, 3, 20], 12],
    [2, [0, 0.5, 1, 2, 3, 7, 20], 14],
    [3, [0, 1, 2, 3, 9], 11],
    [4, [0, 1, 2, 6], 9],
  ] as const)
    it(`agree for ${agents} agents, whatever they ask for, whoever's turn it is`, () => {
      for (let limit = 0; limit <= limitMax; limit++)
        for (const demands of tuples(agents, values))
          for (let turn = 0; turn < agents; turn++) {
            const expected = naive(limit, demands).join();
            const actual = granted(limit, demands, turn).join();
            if (actual !== expected) expect.fail(`${limit} for ${demands}: ${actual}, not ${expected}`);
          }
    });

  property(
    'agree for larger numbers',
    fc.record({
      limit: fc.nat(40),
      demands: fc.array(fc.nat(60), { minLength: 1, maxLength: 5 }),
      turn: fc.nat(9),
    }),
    ({ limit, demands, turn }) => {
      expect(granted(limit, demands, turn % demands.length)).to.deep.equal(naive(limit, demands));
    },
    100,
  );
});
