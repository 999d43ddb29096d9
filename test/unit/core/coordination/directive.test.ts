/**
 * What an agent is told of a record: its own permits only, for as long as it holds.
 */
import { expect } from 'chai';
import { directiveOf, type Telling } from '../../../../core/coordination/directive.js';
import { clusterRecord, halfOpenRecord, inventory } from '../../../support/cluster-records.js';

const override = {
  state: 'closed',
  reason: 'false alarm',
  author: 'ada',
  revision: 3,
  endsAt: 4_000,
} as const;

function telling(changes: Partial<Telling> = {}): Telling {
  return {
    circuit: inventory,
    agent: 'checkout/1',
    ageMs: 1_000,
    ramp: [0.05, 0.25, 0.5, 1],
    override: undefined,
    outcomes: new Map(),
    now: 1_000,
    ...changes,
  };
}

describe('a directive', () => {
  it('says what the record says, for ten seconds', () => {
    const record = clusterRecord({ state: 'open', id: `${inventory}@eu-1a` });
    expect(directiveOf(record, telling())).to.deep.equal({
      circuit: inventory,
      state: 'open',
      epoch: 4,
      seq: 9,
      admitPercent: 100,
      permits: [],
      ttlMs: 10_000,
      reason: 'a reason',
    });
  });

  it('has the permits of its agent that are still out', () => {
    const record = halfOpenRecord(6);
    const [first, , third, , fifth] = record.permits.map(({ permit }) => permit);
    const ended = record.permits.map((each, i) => (i === 0 ? { ...each, outcome: 'ok' as const } : each));
    const permits = (changes: Partial<Telling>) =>
      directiveOf({ ...record, permits: ended }, telling(changes))?.permits;
    expect(permits({})).to.deep.equal([third, fifth]);
    expect(permits({ outcomes: new Map([[third as number, true]]) })).to.deep.equal([fifth]);
    expect(permits({ agent: 'checkout/9' })).to.deep.equal([]);
    expect(permits({ ageMs: 5_000 })).to.deep.equal([]);
    expect(first).to.equal(1024);
  });

  it('lets through the share of its step', () => {
    const percents = [0, 1, 2, 3].map(
      (step) => directiveOf(clusterRecord({ state: 'ramping', step }), telling())?.admitPercent,
    );
    expect(percents).to.deep.equal([5, 25, 50, 100]);
  });

  it('says for a while that the circuit has closed', () => {
    expect(directiveOf(clusterRecord(), telling({ ageMs: 19_999 }))?.state).to.equal('closed');
    expect(directiveOf(clusterRecord(), telling({ ageMs: 20_000 }))).to.equal(undefined);
  });

  it('of an override lasts no longer than the override', () => {
    const record = clusterRecord({ state: 'open', override: 3, reason: 'forced closed by ada: false alarm' });
    expect(directiveOf(record, telling({ override }))).to.include({ state: 'forced-closed', ttlMs: 3_000 });
    expect(
      directiveOf(record, telling({ override: { ...override, endsAt: Number.POSITIVE_INFINITY } })),
    ).to.include({
      ttlMs: 10_000,
    });
  });

  it('waits until the override is in the record, and until it is out of it', () => {
    expect(directiveOf(clusterRecord({ state: 'open' }), telling({ override }))).to.equal(undefined);
    expect(directiveOf(clusterRecord({ state: 'open', override: 2 }), telling({ override }))).to.equal(
      undefined,
    );
    expect(directiveOf(clusterRecord({ state: 'open', override: 3 }), telling())).to.equal(undefined);
  });
});
