/**
 * What became of the calls, as a person sees it.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import { statsOf } from '../../../agent/stats.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, settled, work } from '../../support/targets.js';

const reserve = 'shop.v1.Inventory/Reserve';
const fails = () => {
  throw new Error('broken');
};

describe('the stats of a mesh', () => {
  it('are empty where nothing was called', () => {
    expect(statsOf(bench().targets)).to.deep.equal({});
  });

  it('show policies with their revision, outcomes, and what each revision did', async () => {
    const circuit = circuitSpec({ minimumCalls: 2 });
    const { targets, apply } = bench(effectiveOf({ circuit }));
    await guard(targets, 'inventory', () => 1);
    await rejectionOf(guard(targets, 'inventory', fails));
    await rejectionOf(guard(targets, 'inventory', fails));
    apply(effectiveOf({ circuit, timeout: 100 }, { policy: 'inventory-default', revision: 8 }));
    await guard(targets, 'inventory', fails, { fallback: () => 2 });
    const { inventory } = statsOf(targets);
    expect(inventory).to.deep.include({
      policies: { 'inventory-default': 8 },
      calls: { ok: 1, failed: 1, neutral: 0, slow: 0 },
      rejected: { circuit_open: 2 },
      degraded: { caller: 1 },
      retries: 0,
      hedges: 0,
      timeouts: 0,
      decisions: {
        'inventory-default@7': { 'reject circuit_open': 1 },
        'inventory-default@8': { 'reject circuit_open': 1 },
        '(no policy)': { 'degrade caller': 1 },
      },
      methods: {},
    });
    expect(inventory?.circuits).to.have.length(1);
    expect(inventory?.circuits[0]).to.include({ state: 'open', policy: 'inventory-default', revision: 8 });
    expect(inventory?.circuits[0]?.retryAfterMs).to.be.greaterThan(0);
    expect(inventory?.circuits[0]?.reason).to.match(/failed/);
  });

  it('add up methods, and show each', async () => {
    const { targets } = bench();
    targets.get('inventory', reserve).count('success', 10);
    targets.get('inventory', 'shop.v1.Inventory/Release').count('failure', 100);
    await guard(targets, '__proto__', () => 1);
    const stats = statsOf(targets);
    expect(Object.keys(stats)).to.deep.equal(['__proto__', 'inventory']);
    expect(stats.inventory?.calls).to.deep.equal({ ok: 1, failed: 1, neutral: 0, slow: 0 });
    expect(stats.inventory?.methods[reserve]?.calls).to.deep.equal({ ok: 1, failed: 0, neutral: 0, slow: 0 });
    expect(stats.inventory?.latency?.p99Ms).to.be.closeTo(100, 5);
    expect(stats.inventory?.methods[reserve]?.latency?.p99Ms).to.be.closeTo(10, 0.5);
  });

  it('show the line and the slots of a bulkhead once, and how long calls waited', async () => {
    const { targets, clock } = bench(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 2 }) }));
    targets.get('inventory', reserve);
    const { fn, succeed } = work();
    const calls = [guard(targets, 'inventory', fn), guard(targets, 'inventory', fn)];
    expect(statsOf(targets).inventory?.bulkheads).to.deep.equal([
      {
        callee: 'inventory',
        method: '',
        policy: 'inventory-default',
        revision: 7,
        inUse: 1,
        limit: 1,
        queued: 1,
      },
    ]);
    clock.advance(40);
    succeed();
    await settled();
    succeed();
    await Promise.all(calls);
    expect(statsOf(targets).inventory?.queue).to.deep.equal({ calls: 1, meanMs: 40 });
  });

  it('are a snapshot: what happens later does not change them, and they can be written down', async () => {
    const { targets } = bench();
    await guard(targets, 'inventory', () => 1);
    const before = statsOf(targets);
    const text = JSON.stringify(before);
    await guard(targets, 'inventory', () => 1);
    expect(JSON.stringify(before)).to.equal(text);
  });

  it('count a rejection in line under the policy whose time was over', async () => {
    const effective = effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 2, queueTimeoutMs: 50 }) });
    const { targets, clock } = bench(effective);
    const { fn } = work();
    void guard(targets, 'inventory', fn);
    const waits = rejectionOf(guard(targets, 'inventory', fn));
    clock.advance(50);
    await waits;
    expect(statsOf(targets).inventory?.decisions).to.deep.equal({
      'inventory-default@7': { 'reject bulkhead_timeout': 1 },
    });
  });
});
