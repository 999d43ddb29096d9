/** What makes figures of measurements, and whether they pass: made-up rounds with known medians, and misses that are planted. */
import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import { percentile, ratios, spread } from '../../bench/harness.js';
import { type Bounds, boundsOf, judge, objection } from '../../bench/judging.js';

const file = (path: string) => JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8'));

describe('figures of a benchmark', () => {
  it('a spread is the median, the least and the greatest, in whatever order they came', () => {
    expect(spread([9, 1, 100, 3, 4])).to.deep.equal({ median: 4, min: 1, max: 100 });
  });

  it('a percentile is the least value that so many of them do not exceed', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => 100 - i);
    expect([0, 0.5, 0.99, 1].map((q) => percentile(hundred, q))).to.deep.equal([1, 50, 99, 100]);
    expect(percentile([7], 0.99)).to.equal(7);
  });

  it('ratios are made round by round, so that a slow round slows neither', () => {
    expect(ratios([2, 20, 2], [1, 10, 2])).to.deep.equal({ median: 2, min: 1, max: 2 });
  });

  it('one round without a number leaves no median, wherever it stands', () => {
    const without = { median: Number.NaN, min: Number.NaN, max: Number.NaN };
    expect(spread([])).to.deep.equal(without);
    expect(spread([1, 2, Number.NaN])).to.deep.equal(without);
    expect(ratios([1, 1, 1], [1, 1])).to.deep.equal(without);
    expect(percentile([Number.NaN, 1, 2], 1)).to.be.NaN;
  });
});

describe('the judgement on a benchmark', () => {
  const bounds = { 'fleet: speed': 1.5, 'fleet: bytes': 0 };
  const good = [
    { name: 'fleet: speed', value: 1.5 },
    { name: 'fleet: bytes', value: 0 },
  ];
  const judged = (speed: number) => judge([{ name: 'fleet: speed', value: speed }, ...good.slice(1)], bounds);

  it('passes figures that are at their bounds', () => {
    expect(judge(good, bounds)).to.deep.equal([]);
  });

  it('notices a figure that is over its bound', () => {
    expect(judged(1.501)).to.deep.equal(['fleet: speed: 1.501 is over its bound 1.5']);
    expect(judge([...good.slice(0, 1), { name: 'fleet: bytes', value: 0.001 }], bounds)).to.have.length(1);
  });

  it('notices a bound for which no figure came', () => {
    expect(judge(good.slice(1), bounds)).to.deep.equal(['fleet: speed: no figure came; its bound is 1.5']);
    expect(judge([], bounds)).to.have.length(2);
  });

  it('notices a figure without a bound', () => {
    const figures = [...good, { name: 'fleet: sped', value: 0 }];
    expect(judge(figures, bounds)).to.deep.equal([
      'fleet: sped: no bound of this benchmark in bench/bounds.json',
    ]);
  });

  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
    it(`takes ${value} for no figure`, () => {
      expect(judged(value)).to.deep.equal([`fleet: speed: ${value} is no figure; its bound is 1.5`]);
    });

  it('asks of a benchmark its own bounds alone, the hot path with all its subjects', () => {
    const all = { 'fleet: a': 1, 'fleets: b': 2, 'guard: c': 3, 'circuit: d': 4, 'live: circuit: e': 5 };
    expect(boundsOf('fleet', all)).to.deep.equal({ 'fleet: a': 1 });
    expect(boundsOf('hot', all)).to.deep.equal({ 'guard: c': 3, 'circuit: d': 4 });
    expect(boundsOf('nobody', all)).to.deep.equal({});
  });

  it('leaves no bound of ours that no benchmark is asked for', () => {
    const ours: Bounds = file('bench/bounds.json');
    const scripts = Object.keys(file('package.json').scripts).filter((name) => name.startsWith('bench:'));
    const asked = scripts.flatMap((name) => Object.keys(boundsOf(name.slice('bench:'.length), ours)));
    expect(asked).to.have.members(Object.keys(ours));
  });
});

describe('a run that is to be judged', () => {
  it('is the whole benchmark: --check with --only is refused, in either spelling', () => {
    for (const only of [['--only=guard'], ['--only', 'guard']]) {
      expect(objection(['--check', ...only])).to.match(/^--check judges all .* leave one of the two out$/);
      expect(objection(only)).to.equal(undefined);
    }
    expect(objection(['--check', '--json'])).to.equal(undefined);
  });

  it('has at least five rounds', () => {
    for (const rounds of [4, 0, Number.NaN])
      expect(objection(['--check'], rounds)).to.contain('medians of at least 5 rounds');
    expect(objection(['--check'], 5)).to.equal(undefined);
    expect(objection([], 1)).to.equal(undefined);
  });
});
