/**
 * Keys beyond the cap: under the policies of their callee, with the parts that it has as a whole, and one part for what it has for
 * each key. Nobody is unprotected in silence, and nobody pays for another callee.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import { createInterceptor } from '../../../agent/interceptor.js';
import { statsOf } from '../../../agent/stats.js';
import type { Effective } from '../../../core/policy/model.js';
import { stubbedCall } from '../../support/null-transport.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, work } from '../../support/targets.js';

const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1, per: 'method', openForMs: 60_000 });
const fails = () => Promise.reject(new Error('broken'));
const key = (key: string) => ({ key });
const ofPolicy = (policy: string, sections: Parameters<typeof effectiveOf>[0]) =>
  effectiveOf(sections, { policy, revision: 7 });

/** Two keys of `db` are open, and there is room for no more. */
async function full(policies: { readonly [callee: string]: Effective }, overflowsMax?: number) {
  const made = bench({}, { maxKeys: 2, ...(overflowsMax === undefined ? {} : { overflowsMax }) });
  made.policies = (to) => policies[to] ?? {};
  made.targets.refresh();
  for (const name of ['a', 'b']) await rejectionOf(guard(made.targets, 'db', fails, key(name)));
  expect(made.targets.overflowed).to.equal(0);
  return made;
}

describe('keys beyond the cap', () => {
  it('hold slots of the bulkhead that their callee has as a whole', async () => {
    const { targets } = await full({ db: ofPolicy('db', { circuit, bulkhead: bulkheadSpec(2) }) });
    const { fn, started, succeed } = work();
    const calls = [guard(targets, 'db', fn, key('c')), guard(targets, 'db', fn, key('d'))];
    expect(await rejectionOf(guard(targets, 'db', fn, key('e')))).to.have.property(
      'message',
      '[bulkhead_full] db: 2 of 2 calls in flight and 0 of 0 waiting; slow down or raise maxConcurrent (policy db@7)',
    );
    expect([started(), targets.overflowed]).to.deep.equal([2, 3]);
    expect(targets.bulkheads().map(({ callee, method, inUse }) => [callee, method, inUse])).to.deep.equal([
      ['db', '', 2],
    ]);
    succeed();
    succeed();
    await Promise.all(calls);
    expect(targets.permitsOut).to.equal(0);
  });

  it('end when the time of their callee is over', async () => {
    const { targets, clock } = await full({ db: ofPolicy('db', { circuit, timeout: 200 }) });
    const late = rejectionOf(guard(targets, 'db', work().fn, key('c')));
    clock.advance(200);
    expect(await late).to.have.property(
      'message',
      '[deadline_exceeded] db: no answer within 200 ms (policy db@7)',
    );
  });

  it('share one circuit of what their callee has for each key, which names the policy', async () => {
    const { targets, warnings } = await full({ db: ofPolicy('db', { circuit }) });
    await rejectionOf(guard(targets, 'db', fails, key('c')));
    expect(await rejectionOf(guard(targets, 'db', fails, key('d')))).to.have.property(
      'message',
      '[circuit_open] db: retry in 60000 ms (policy db@7)',
    );
    expect(targets.circuits().map(({ id, to }) => [id, to])).to.deep.include(['db|db|(overflow)', 'open']);
    expect(targets.circuit('db', 'd'), 'what the next call meets').to.include({
      id: 'db|db|(overflow)',
      state: 'open',
    });
    expect(targets.circuit('db', 'a')).to.include({ id: 'db|db|a', state: 'open' });
    expect(warnings).to.deep.equal([
      'too many callees, methods and keys in use: further ones share one circuit of their callee',
    ]);
  });

  it('of one callee say nothing of another, which has its own policies though it comes late', async () => {
    const { targets, newCallees } = await full({
      db: ofPolicy('db', { circuit }),
      pay: ofPolicy('pay', { circuit: { ...circuit, per: 'service' }, bulkhead: bulkheadSpec(1) }),
    });
    await rejectionOf(guard(targets, 'db', fails, key('c')));
    const { fn, succeed } = work();
    const call = guard(targets, 'pay', fn);
    expect(await rejectionOf(guard(targets, 'pay', fn))).to.have.property(
      'message',
      '[bulkhead_full] pay: 1 of 1 calls in flight and 0 of 0 waiting; slow down or raise maxConcurrent (policy pay@7)',
    );
    succeed();
    expect(await call).to.equal('done');
    expect(targets.circuit('pay')).to.include({ id: 'pay|pay', state: 'closed' });
    expect(newCallees, 'or its policies would never come').to.deep.equal(['db', 'pay']);
  });

  it('take on new policies with the rest, and keep their state', async () => {
    const made = await full({ db: ofPolicy('db', { circuit }) });
    await rejectionOf(guard(made.targets, 'db', fails, key('c')));
    made.apply(effectiveOf({ circuit }, { policy: 'db', revision: 8 }));
    expect(await rejectionOf(guard(made.targets, 'db', fails, key('d')))).to.have.property(
      'message',
      '[circuit_open] db: retry in 60000 ms (policy db@8)',
    );
    made.apply({});
    expect(await guard(made.targets, 'db', () => 'through', key('d'))).to.equal('through');
    expect(made.targets.circuits()).to.deep.equal([]);
  });

  it('are asked by policies in shadow as well', async () => {
    const made = await full({ db: ofPolicy('db', { circuit }) });
    made.shadows = () => ofPolicy('watching', { bulkhead: bulkheadSpec(1) });
    made.targets.refresh();
    const { fn, succeed } = work();
    const calls = [guard(made.targets, 'db', fn, key('c')), guard(made.targets, 'db', fn, key('d'))];
    expect(statsOf(made.targets).db?.would).to.deep.equal({ 'would-reject': 1 });
    succeed();
    succeed();
    await Promise.all(calls);
    expect(made.targets.shadowPermitsOut).to.equal(0);
  });

  it('are reported under their callee', async () => {
    const { targets } = await full({ db: ofPolicy('db', { circuit }) });
    targets.drainCells();
    await guard(targets, 'db', () => 1, key('c'));
    await guard(targets, 'db', () => 1, key('d'));
    expect(targets.drainCells().map(({ callee, method, ok }) => [callee, method, ok])).to.deep.equal([
      ['db', '(overflow)', 2],
    ]);
    const { db } = statsOf(targets);
    expect(db?.calls).to.include({ ok: 2, failed: 2 });
    expect(db?.methods['(overflow)']?.calls).to.include({ ok: 2, failed: 0 });
  });

  it('are a callee’s methods too: an interceptor asks again for each call', async () => {
    const { targets } = await full({ db: ofPolicy('db', { circuit }), pay: ofPolicy('pay', { circuit }) });
    const interceptor = createInterceptor(targets, 'pay');
    for (let i = 0; i < 3; i++) stubbedCall(targets, interceptor).wire()?.end(0);
    expect(targets.overflowed).to.equal(3);
    expect(statsOf(targets).pay?.methods['(overflow)']?.calls.ok).to.equal(3);
  });

  it('may be called as what they share is: it is one and the same, and a restart brings it back', async () => {
    const policies = { db: ofPolicy('db', { circuit }) };
    const first = await full(policies);
    await rejectionOf(guard(first.targets, 'db', fails, key('c')));
    expect(first.targets.get('db', '(overflow)')).to.equal(first.targets.get('db', 'c'));
    const second = bench({}, { maxKeys: 2 });
    second.policies = (to) => policies[to as 'db'] ?? {};
    second.targets.restore(JSON.parse(JSON.stringify(first.targets.save())), 0);
    expect(second.targets.size).to.equal(2);
    expect(await rejectionOf(guard(second.targets, 'db', fails, key('c')))).to.have.property(
      'code',
      'circuit_open',
    );
    expect(second.targets.overflowed).to.equal(1);
  });
});

describe('callees beyond those that have a target for what is over', () => {
  const pay = ofPolicy('pay', { circuit });

  it('share one circuit under the policies of *, with a warning of its own', async () => {
    const { targets, warnings, newCallees } = await full(
      { db: ofPolicy('db', { circuit }), pay, '*': ofPolicy('general', { circuit }) },
      1,
    );
    await rejectionOf(guard(targets, 'pay', fails));
    await rejectionOf(guard(targets, 'other', fails));
    expect(await rejectionOf(guard(targets, 'more', fails))).to.have.property(
      'message',
      '[circuit_open] (overflow): retry in 60000 ms (policy general@7)',
    );
    expect(targets.overflowed).to.equal(3);
    expect(warnings[1]).to.match(/under the policies of \* alone/);
    expect([warnings.length, newCallees]).to.deep.equal([2, ['db', 'pay']]);
  });

  it('have the circuit of the reference where no policy for * says otherwise', async () => {
    const { targets } = await full({ db: ofPolicy('db', { circuit }), pay }, 1);
    await rejectionOf(guard(targets, 'pay', fails));
    for (let i = 0; i < 20; i++) await rejectionOf(guard(targets, `more ${i}`, fails));
    expect(await rejectionOf(guard(targets, 'last', () => 1))).to.have.property('code', 'circuit_open');
  });

  it('take the place of one that holds nothing, at most once a second where all do', async () => {
    const late = ofPolicy('late', { bulkhead: bulkheadSpec(3) });
    const { targets, clock } = await full({ db: ofPolicy('db', { circuit }), pay, late }, 1);
    const before = targets.get('pay');
    expect(targets.get('late').effective.bulkhead?.source.policy).to.equal('late');
    expect(before.evicted).to.equal(true);
    const { fn, succeed } = work();
    const call = guard(targets, 'late', fn);
    expect(targets.get('pay').callee).to.equal('(overflow)');
    succeed();
    await call;
    expect(targets.get('pay').callee).to.equal('(overflow)');
    clock.advance(1_000);
    expect(targets.get('pay').callee).to.equal('pay');
  });

  it('leave nothing behind: any number of names keeps no more targets than there is room for', async () => {
    const { targets } = await full({ db: ofPolicy('db', { circuit }) }, 10);
    for (let i = 0; i < 1_000; i++) await guard(targets, `name ${i}`, () => 1);
    expect(targets.bound()).to.have.lengthOf.at.most(2 + 10);
    expect(targets.overflowed).to.equal(1_000);
  });
});
