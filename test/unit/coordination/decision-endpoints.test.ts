/**
 * Which endpoints of a callee are at fault, when they go in place of the circuit, and when it is the service after all.
 */
import { expect } from 'chai';
import { verdict } from '../../../core/coordination/decision.js';
import { CircuitWindow } from '../../../core/coordination/window.js';
import { addresses, heard, judged, reporters, situationOf, spread } from '../../support/reporters.js';

describe('endpoints at fault', () => {
  it('are ejected where they are two of ten, and the service stays closed', () => {
    const found = judged(spread(20, 2), { endpoints: addresses });
    expect(found).to.deep.include({ kind: 'eject', endpoints: addresses.slice(0, 2) });
    expect(found)
      .to.have.property('reason')
      .that.includes(
        '2 of 10 endpoints in the last 250 ms (threshold 50 %): 10.0.0.0:80 (40 of 40 calls failed, 20 of 20 reporters over it)',
      );
    expect(found).to.have.property('reason').that.includes('elsewhere 0 of 320 calls failed');
  });
  it('are ejected instead of the service, though by the pooled rate it would open', () => {
    expect(judged(spread(20, 5), { endpoints: addresses })).to.deep.include({ kind: 'eject' });
    expect(
      judged(spread(5, 1, 2, addresses.slice(0, 2)), { endpoints: addresses.slice(0, 2) }),
    ).to.deep.include({
      kind: 'eject',
      endpoints: [addresses[0]],
    });
  });
  it('are the service where they are more than half', () => {
    expect(judged(spread(20, 6), { endpoints: addresses })).to.deep.include({
      kind: 'open',
      zone: undefined,
    });
  });
  it('are more than half with those that are out already', () => {
    const four = addresses.slice(0, 4);
    const all = spread(20, 1, 2, four.slice(2));
    expect(judged(all, { endpoints: four, ejected: four.slice(0, 1) }).kind).to.equal('eject');
    expect(judged(all, { endpoints: four, ejected: four.slice(0, 2) })).to.deep.include({ kind: 'open' });
  });
  it('open nothing by what they did before they were out, and the others do by themselves', () => {
    const two = addresses.slice(0, 2);
    const all = spread(20, 1, 10, two);
    expect(judged(all, { endpoints: two }).kind).to.equal('eject');
    expect(judged(all, { endpoints: two, ejected: two.slice(0, 1) }).kind).to.equal('fine');
    const both = spread(20, 2, 10, two);
    const found = judged(both, { endpoints: two, ejected: two.slice(0, 1) });
    expect(found).to.deep.include({ kind: 'open', zone: undefined });
    expect(found)
      .to.have.property('reason')
      .that.matches(/^200 of 200 calls failed in the last/);
  });
  it('are no reason to do anything by fewer than minReporters, or too few calls', () => {
    const two = addresses.slice(0, 2);
    const all = [
      ...spread(18, 0, 10, two),
      ...spread(2, 1, 10, two).map((each) => ({ ...each, agent: `x${each.agent}` })),
    ];
    expect(judged(all, { endpoints: two }).kind).to.equal('fine');
    expect(judged(spread(9, 2), { endpoints: addresses }).kind).to.equal('fine');
  });
  it('are not told apart where all are near the threshold, as when a service dies', () => {
    const all = reporters(20).flatMap((each) =>
      addresses.map((endpoint, i) => ({ ...each, endpoint, calls: 10, failed: i % 2 ? 4 : 6 })),
    );
    expect(judged(all, { endpoints: addresses })).to.deep.include({ kind: 'open', zone: undefined });
  });
  it('open the circuit where none of them is registered: they cannot be taken out', () => {
    expect(judged(spread(20, 5), { endpoints: ['other:1', 'other:2'] })).to.deep.include({ kind: 'open' });
    expect(judged(spread(20, 2), { endpoints: [] }).kind).to.equal('fine');
  });
  it('are the service where too few calls say that the rest is healthy', () => {
    const two = addresses.slice(0, 2);
    const all = [...spread(10, 1, 10, two.slice(0, 1)), heard('x', { endpoint: two[1] as string, calls: 2 })];
    expect(judged(all, { endpoints: two })).to.deep.include({ kind: 'open', zone: undefined });
  });
  it('do not hide that the rest has died since', () => {
    const window = new CircuitWindow(2_000);
    for (const each of spread(20, 2, 20)) window.record(each, 0);
    for (const each of spread(20, 10)) window.record(each, 1_500);
    const { spec } = situationOf([]);
    const found = verdict(situationOf([], { view: window.view(spec, 1_500), endpoints: addresses }));
    expect(found).to.deep.include({ kind: 'open', zone: undefined });
  });
});
