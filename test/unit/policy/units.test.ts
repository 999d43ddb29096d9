/**
 * Durations and rates: what text is one, and to which number exactly.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { formatDuration, formatRate, parseDuration, parseRate } from '../../../core/policy/index.js';
import { property } from '../../support/property.js';

describe('durations', () => {
  for (const [text, ms] of [
    ['250ms', 250],
    ['5s', 5_000],
    ['1m', 60_000],
    ['1h', 3_600_000],
    ['1.5s', 1_500],
    ['1.1s', 1_100],
    ['0.001s', 1],
    ['0.5m', 30_000],
    ['0ms', 0],
  ] as const)
    it(`${text} is ${ms} ms`, () => expect(parseDuration(text)).to.equal(ms));

  for (const text of [
    '',
    '5',
    's',
    '5 s',
    ' 5s',
    '5S',
    '-5s',
    '+5s',
    '1e3ms',
    '.5s',
    '5.s',
    '1.5ms',
    '1m30s',
    '5sec',
    '٥s',
    'Infinitys',
    '99999999999h',
    '1.0001s',
  ])
    it(`${JSON.stringify(text)} is none`, () => expect(parseDuration(text)).to.equal(undefined));

  property('are read back from what is written', fc.nat(10 ** 9), (ms) => {
    expect(parseDuration(formatDuration(ms))).to.equal(ms);
  });

  it('are written in the greatest unit that divides them', () => {
    expect([0, 999, 1_000, 90_000, 120_000, 7_200_000].map(formatDuration)).to.deep.equal([
      '0ms',
      '999ms',
      '1s',
      '90s',
      '2m',
      '2h',
    ]);
  });
});

describe('rates', () => {
  for (const [text, fraction] of [
    ['50%', 0.5],
    ['100%', 1],
    ['0%', 0],
    ['0.5%', 0.005],
    ['33.3%', 0.333],
    ['7%', 0.07],
    ['0.001%', 0.00001],
    ['150%', 1.5],
  ] as const)
    it(`${text} is ${fraction}`, () => expect(parseRate(text)).to.equal(fraction));

  for (const text of ['', '50', '%', '50 %', '-5%', '1e1%', '.5%', '5.%', '50%%', '0.0001%', '1000%'])
    it(`${JSON.stringify(text)} is none`, () => expect(parseRate(text)).to.equal(undefined));

  property('are read back from what is written', fc.nat(100_000), (n) => {
    const fraction = n / 100_000;
    expect(parseRate(formatRate(fraction))).to.be.closeTo(fraction, 1e-12);
  });
});
