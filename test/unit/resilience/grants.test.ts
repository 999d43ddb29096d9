/**
 * Splitting a cluster-wide rate: never more than there is, sure parts for the modest, the rest by demand.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { splitGrants } from '../../../core/resilience/grants.js';
import { property } from '../../support/property.js';

function split(limit: number, demands: Record<string, number>, turn = 0): Record<string, number> {
  return Object.fromEntries(splitGrants(limit, new Map(Object.entries(demands)), turn));
}

function total(granted: ReadonlyMap<string, number>): number {
  return [...granted.values()].reduce((a, b) => a + b, 0);
}

describe('grants', () => {
  it('give everybody what it asked for where that fits, and spread the rest evenly', () => {
    expect(split(100, { a: 10, b: 30, c: 0 })).to.deep.equal({ a: 30, b: 50, c: 20 });
  });

  it('go by demand where it does not fit, once each has its even part or what it asked for', () => {
    // 25 for `a` and `c`, 10 for `b`, 1 for the idle one; the 39 that are left go to `a` and `c` as 55 to 25.
    expect(split(100, { a: 80, b: 10, c: 50, d: 0 })).to.deep.equal({ a: 52, b: 10, c: 37, d: 1 });
  });

  it('leave one token for an agent that has not been asked for anything yet', () => {
    expect(split(10, { idle: 0, storm: 1_000_000 })).to.deep.equal({ idle: 1, storm: 9 });
  });

  it('take turns where there are fewer tokens than agents', () => {
    const demands = { a: 100, b: 9, c: 1 };
    expect([0, 1, 2, 3].map((turn) => split(1, demands, turn))).to.deep.equal([
      { a: 1, b: 0, c: 0 },
      { a: 0, b: 1, c: 0 },
      { a: 0, b: 0, c: 1 },
      { a: 1, b: 0, c: 0 },
    ]);
  });

  it('are nothing for nobody, and of nothing', () => {
    expect(split(100, {})).to.deep.equal({});
    expect(split(0, { a: 5 })).to.deep.equal({ a: 0 });
    expect(split(Number.NaN, { a: 5, b: Number.NaN })).to.deep.equal({ a: 0, b: 0 });
  });

  const cases = fc.record({
    limit: fc.oneof(fc.nat(30), fc.nat(10_000), fc.nat(1_000_000_000)),
    demands: fc.dictionary(
      fc.string({ minLength: 1, maxLength: 3 }),
      fc.oneof(fc.nat(20), fc.nat(2_000_000_000)),
      {
        maxKeys: 12,
        noNullPrototype: true,
      },
    ),
    turn: fc.nat(20),
  });

  property('are whole, add up to the limit, and starve nobody', cases, ({ limit, demands, turn }) => {
    const asked = new Map(Object.entries(demands));
    const granted = splitGrants(limit, asked, turn);
    expect([...granted.keys()].sort()).to.deep.equal([...asked.keys()].sort());
    for (const tokens of granted.values()) expect(Number.isSafeInteger(tokens) && tokens >= 0).to.equal(true);
    expect(total(granted)).to.equal(asked.size === 0 ? 0 : limit);
    if (limit >= asked.size) for (const tokens of granted.values()) expect(tokens).to.be.at.least(1);
  });

  property(
    'give each its even part if it asks, and none more than it asked while others lack',
    cases,
    (each) => {
      const { limit, demands, turn } = each;
      const asked = new Map(Object.entries(demands));
      const granted = splitGrants(limit, asked, turn);
      const even = Math.floor(limit / Math.max(1, asked.size));
      const lacks = [...asked].some(([agent, demand]) => (granted.get(agent) ?? 0) < demand);
      for (const [agent, demand] of asked) {
        const tokens = granted.get(agent) ?? 0;
        expect(tokens).to.be.at.least(Math.min(demand, even));
        if (lacks && limit >= asked.size)
          expect(tokens).to.be.at.most(Math.max(1, demand, overall(limit, asked)));
      }
    },
  );

  property('go by demand beyond the even part, to within a token', cases, ({ limit, demands, turn }) => {
    const asked = new Map(Object.entries(demands));
    const granted = splitGrants(limit, asked, turn);
    for (const [one, a] of asked) {
      for (const [other, b] of asked) {
        if (a >= b) expect((granted.get(one) ?? 0) + 1).to.be.at.least(granted.get(other) ?? 0);
      }
    }
  });

  property('do not depend on the order in which agents are named', cases, ({ limit, demands, turn }) => {
    const entries = Object.entries(demands);
    const forwards = splitGrants(limit, new Map(entries), turn);
    const backwards = splitGrants(limit, new Map(entries.reverse()), turn);
    expect([...forwards].sort()).to.deep.equal([...backwards].sort());
  });
});

/** What somebody may have beyond its demand: its part of what nobody asked for, which is left only if demands count as capped. */
function overall(limit: number, asked: ReadonlyMap<string, number>): number {
  const capped = [...asked.values()].reduce((sum, demand) => sum + Math.min(limit, Math.max(1, demand)), 0);
  return capped <= limit ? limit : 0;
}
