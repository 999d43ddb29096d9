/**
 * The table of reconnection: each row, its bounds, and that chance is used in full.
 */
import { status } from '@grpc/grpc-js';
import { expect } from 'chai';
import { type Ending, reconnect } from '../../../agent/reconnect.js';

const lost: Ending = { code: status.UNAVAILABLE, details: 'gone' };
const least = { next: () => 0, hex: () => '' };
const most = { next: () => 0.999_999, hex: () => '' };

/** The shortest and the longest wait, rounded to milliseconds. */
function range(ending: Ending, failures: number, untried = false): [number, number] {
  return [
    Math.round(reconnect(ending, failures, untried, least).waitMs),
    Math.round(reconnect(ending, failures, untried, most).waitMs),
  ];
}

describe('the table of reconnection', () => {
  it('waits random(0, 0.5 s × 2ⁿ) where no stream came about', () => {
    expect([0, 1, 2, 5].map((n) => range(lost, n))).to.deep.equal([
      [0, 500],
      [0, 1_000],
      [0, 2_000],
      [0, 16_000],
    ]);
  });

  it('never waits longer than 30 s, also after a million failures', () => {
    for (const n of [6, 100, 1_000_000]) expect(range(lost, n)).to.deep.equal([0, 30_000]);
  });

  it('waits random(0, 2 s) for the first after a healthy connection', () => {
    expect(range({ ...lost, healthyMs: 5_000 }, 0)).to.deep.equal([0, 2_000]);
  });

  it('counts a connection that breaks at once as a failure, and one of a minute as health', () => {
    const flapping = { ...lost, healthyMs: 100 };
    expect(reconnect(flapping, 4, false, most).failures).to.equal(5);
    expect(range(flapping, 4)).to.deep.equal([0, 8_000]);
    const healthy = { ...lost, healthyMs: 60_000 };
    expect(reconnect(healthy, 4, false, most).failures).to.equal(1);
    expect(range(healthy, 4)).to.deep.equal([0, 2_000]);
  });

  it('tries the next address of the round at once, and counts no failure for it', () => {
    expect(reconnect(lost, 3, true, most)).to.deep.equal({ waitMs: 0, failures: 3 });
  });

  it('waits before it leaves a replica that was well, though others are untried', () => {
    expect(range({ ...lost, healthyMs: 70_000 }, 0, true)).to.deep.equal([0, 2_000]);
  });

  it('comes when it is told to, with some jitter, and not before', () => {
    const told = { code: status.RESOURCE_EXHAUSTED, details: 'full', retryAfterMs: 4_000 };
    expect(range(told, 0, true)).to.deep.equal([4_000, 4_500]);
  });

  it('does not believe a wish of more than five minutes', () => {
    expect(range({ ...lost, retryAfterMs: 1e12 }, 0)).to.deep.equal([300_000, 300_500]);
  });

  for (const [name, what] of [
    ['UNAUTHENTICATED', /token/],
    ['PERMISSION_DENIED', /role agent/],
    ['UNIMPLEMENTED', /controlPlane/],
    ['FAILED_PRECONDITION', /update/],
    ['INVALID_ARGUMENT', /update/],
    ['ALREADY_EXISTS', /instance/],
  ] as const)
    it(`backs off for 30 to 60 s from ${name} and says what to do`, () => {
      const refused = { code: status[name], details: 'no' };
      expect(range(refused, 0, true)).to.deep.equal([30_000, 60_000]);
      expect(reconnect(refused, 0, false, least).advice).to.match(what);
    });
});
