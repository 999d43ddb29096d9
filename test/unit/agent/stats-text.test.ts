/**
 * The stats of a mesh at a prompt: everything that happened in one look, and the data as they were.
 */
import { inspect } from 'node:util';
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import { statsOf } from '../../../agent/stats.js';
import { printable } from '../../../agent/stats-text.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, work } from '../../support/targets.js';

const fails = () => {
  throw new Error('broken');
};
const perKey = circuitSpec({ minimumCalls: 1, per: 'method' });

/** So many tenants called `db` once each; the last of them failed, and was turned away twice. */
async function called(tenants: number) {
  const { targets } = bench(effectiveOf({ circuit: perKey, bulkhead: bulkheadSpec(4) }));
  for (let i = 0; i < tenants; i++) await guard(targets, 'db', () => 1, { key: `tenant/${i}` });
  for (let i = 0; i < 3; i++)
    await rejectionOf(guard(targets, 'db', fails, { key: `tenant/${tenants - 1}` }));
  return { targets, stats: printable(statsOf(targets)) };
}

describe('the stats of a mesh on a console', () => {
  it('hide nothing behind [Object]: decisions, circuits, bulkheads and methods are told', async () => {
    const text = inspect((await called(2)).stats);
    expect(text).to.not.match(/\[(Object|Array)\]/);
    expect(text).to.include("decisions: { 'inventory-default@7': { 'reject circuit_open': 2 } }");
    expect(text).to.include('tenant/1: open, 1 of 2 calls failed (opens at 50 %), retry in 5000 ms');
    expect(text).to.include('0 of 4 in use, 0 in line (policy inventory-default@7)');
    expect(text).to.match(/'tenant\/0': \{ calls: \{ ok: 1, failed: 0 \}, latency: \{.*\} \}/);
  });

  it('leave out what is empty or 0, and tell what is not', async () => {
    const { targets, stats } = await called(1);
    const text = inspect(stats);
    for (const name of ['retries', 'hedges', 'timeouts', 'degraded', 'would', 'queue', 'neutral'])
      expect(text, name).to.not.include(name);
    await guard(targets, 'db', fails, { fallback: () => 1 });
    const later = inspect(printable(statsOf(targets)));
    expect(later)
      .to.include('degraded: { caller: 1 }')
      .and.to.include("'(no policy)': { 'degrade caller': 1 }");
  });

  it('list of many keys the 50 busiest and say how many more there are; the data stay whole', async () => {
    const { stats } = await called(120);
    const text = inspect(stats);
    expect(text.match(/'tenant\/\d+': \{/g)).to.have.length(50);
    expect(text).to.match(/methods: \{\s+'tenant\/119': \{/);
    expect(text).to.include("'(70 more)': 'the 50 busiest are listed'").and.to.include("'119 closed'");
    expect(text.split('\n')).to.have.lengthOf.below(100);
    expect(Object.keys(stats.db?.methods ?? {})).to.have.length(120);
    expect(stats.db?.circuits).to.have.length(120);
  });

  it('list 50 circuits that are not closed at most, and the fullest of the bulkheads', async () => {
    const bulkhead = bulkheadSpec(4, { per: 'method' });
    const { targets } = bench(effectiveOf({ circuit: perKey, bulkhead }));
    for (let i = 0; i < 60; i++) await rejectionOf(guard(targets, 'db', fails, { key: `${i}` }));
    void guard(targets, 'db', work().fn, { key: 'busy' });
    const text = inspect(printable(statsOf(targets)));
    expect(text.match(/: open, /g)).to.have.length(50);
    expect(text).to.include("'(10 more)'").and.to.include("'1 closed'");
    expect(text).to.include('busy: 1 of 4 in use').and.to.include("'60 idle'");
  });

  it('are the same for JSON, for comparisons and for whoever goes through them', async () => {
    const { targets, stats } = await called(3);
    const plain = statsOf(targets);
    expect(stats).to.deep.equal(plain);
    expect(JSON.stringify(stats)).to.equal(JSON.stringify(plain));
    expect(structuredClone(stats)).to.deep.equal(plain);
    expect(Reflect.ownKeys({ ...stats.db })).to.deep.equal(Reflect.ownKeys(plain.db ?? {}));
  });

  it('of one callee are told the same way, and deep within something else only named', async () => {
    const { stats } = await called(2);
    expect(inspect(stats.db)).to.include("'reject circuit_open': 2").and.not.include('[Object]');
    expect(inspect({ a: { b: { c: stats } } })).to.include('c: [Stats]');
  });
});
