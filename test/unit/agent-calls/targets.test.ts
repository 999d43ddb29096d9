/**
 * Targets: bound once, compiled anew when policies change, never more than the cap, and never unprotected in silence.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import { createInterceptor } from '../../../agent/interceptor.js';
import { LatencyHistogram } from '../../../core/resilience/latency.js';
import { stubbedCall } from '../../support/null-transport.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, settled, work } from '../../support/targets.js';

const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
const fails = () => Promise.reject(new Error('broken'));

describe('the keys of circuits', () => {
  it('are the callee and the policy; methods share them', () => {
    const { targets } = bench(effectiveOf({ circuit }));
    expect(targets.circuit('inventory').id).to.equal('inventory|inventory-default');
    expect(targets.circuit('inventory', 'shop.v1.Inventory/Get').id).to.equal('inventory|inventory-default');
  });

  it('are the method too, where the policy says so', () => {
    const { targets } = bench(effectiveOf({ circuit: { ...circuit, per: 'method' } }));
    expect(targets.circuit('inventory', 'shop.v1.Inventory/Get').id).to.equal(
      'inventory|inventory-default|shop.v1.Inventory/Get',
    );
    expect(targets.circuit('inventory').id).to.equal('inventory|inventory-default');
  });

  it('separate what one policy says of two callees', async () => {
    const { targets } = bench(effectiveOf({ circuit }));
    await rejectionOf(guard(targets, 'a', fails));
    expect([targets.circuit('a').state, targets.circuit('b').state]).to.deep.equal(['open', 'closed']);
  });

  it('are disabled where no policy asks for one', () => {
    expect(bench().targets.circuit('inventory').state).to.equal('disabled');
  });
});

describe('more keys than the cap', () => {
  it('push out those that were used least recently', async () => {
    const { clock, targets } = bench({}, { maxKeys: 20 });
    for (let i = 0; i < 20; i++) {
      clock.advance(1);
      await guard(targets, `name ${i}`, async () => i);
    }
    clock.advance(1);
    await guard(targets, 'name 0', async () => 0);
    const [first, second, third] = ['name 0', 'name 1', 'name 3'].map((name) => targets.get(name));
    targets.get('one more');
    expect([first?.evicted, second?.evicted, third?.evicted]).to.deep.equal([false, true, false]);
    expect(targets.size).to.equal(19);
  });

  for (const limits of [{}, { timeout: 60_000 }])
    it(`count a call that was turned away as use (${Object.keys(limits).join() || 'no limit of time'})`, async () => {
      const rateLimit = { rate: 2, perMs: 3_600_000, burst: 2, scope: 'local', by: 'service' } as const;
      const { clock, targets } = bench(effectiveOf({ rateLimit, ...limits }), { maxKeys: 10 });
      let admitted = 0;
      for (let i = 0; i < 60; i++) {
        clock.advance(1);
        await guard(targets, 'limited', async () => admitted++).catch(() => {});
        if (i % 2) await guard(targets, `name ${i}`, async () => i);
      }
      expect(admitted).to.equal(2);
    });

  it('never push out a circuit that is open, or a bulkhead in use', async () => {
    const { targets } = bench(effectiveOf({ circuit, bulkhead: bulkheadSpec(1) }), { maxKeys: 3 });
    await rejectionOf(guard(targets, 'open', fails));
    const busy = work();
    const running = guard(targets, 'busy', busy.fn);
    for (let i = 0; i < 100; i++) await guard(targets, `name ${i}`, async () => i);
    expect(targets.size).to.be.at.most(3);
    expect(targets.circuit('open').state).to.equal('open');
    expect(await rejectionOf(guard(targets, 'busy', async () => 1))).to.have.property(
      'code',
      'bulkhead_full',
    );
    busy.succeed();
    await running;
  });

  it('count every call of an interceptor, and get keys of their own once there is room', async () => {
    const { clock, targets } = bench(effectiveOf({ circuit }), { maxKeys: 1 });
    await rejectionOf(guard(targets, 'open', fails));
    const interceptor = createInterceptor(targets, 'late');
    const call = () => stubbedCall(targets, interceptor).wire()?.end(0);
    for (let i = 0; i < 5; i++) call();
    expect(targets.overflowed).to.equal(5);
    clock.advance(5_000);
    for (let i = 0; i < 3; i++) await guard(targets, 'open', async () => 1);
    clock.advance(1_000);
    call();
    expect(targets.overflowed).to.equal(5);
    expect(targets.circuits().map(({ callee }) => callee)).to.include('late');
  });

  it('don’t look through all keys for each call while none can leave', async () => {
    const made = bench({}, { maxKeys: 50 });
    let asked = 0;
    made.policies = () => {
      asked++;
      return effectiveOf({ circuit });
    };
    for (let i = 0; i < 50; i++) await rejectionOf(guard(made.targets, `name ${i}`, fails));
    const { targets } = made;
    const all = Array.from({ length: 50 }, (_, i) => targets.get(`name ${i}`));
    let looks = 0;
    for (const target of all) {
      const { effective } = target;
      Object.defineProperty(target, 'effective', {
        get: () => {
          looks++;
          return effective;
        },
      });
    }
    asked = 0;
    for (let i = 0; i < 1_000; i++) targets.get('more', `key ${i}`);
    expect(looks).to.be.below(50 * 10);
    expect(asked).to.be.below(10);
  });

  it('keep nothing of what has left but its last counts, though nobody reads them', async () => {
    const { targets } = bench({}, { maxKeys: 10 });
    for (let i = 0; i < 1_000; i++) await guard(targets, `name ${i}`, async () => i);
    expect(targets.drainCells()).to.have.lengthOf.at.most(21);
  });
});

describe('counts', () => {
  it('are of the targets with traffic since the last time, by what came of it', async () => {
    const { clock, targets } = bench(
      effectiveOf({ circuit: circuitSpec({ minimumCalls: 2, failureRate: 0.5, slowCallMs: 100 }) }),
    );
    await guard(targets, 'a', async () => clock.advance(100));
    await rejectionOf(guard(targets, 'a', fails));
    await rejectionOf(guard(targets, 'a', fails));
    await guard(targets, 'b', async () => 1);
    const [a, b] = targets.drainCells().map(({ latency, ...cell }) => ({
      ...cell,
      sampled: LatencyHistogram.decode(latency)?.count ?? 0,
    }));
    // Of few calls every latency is recorded.
    expect(a).to.deep.equal({
      callee: 'a',
      method: '',
      ok: 1,
      failed: 1,
      slow: 1,
      rejected: 1,
      blocked: 1,
      sampled: 2,
    });
    expect(b).to.deep.equal({
      callee: 'b',
      method: '',
      ok: 1,
      failed: 0,
      slow: 0,
      rejected: 0,
      blocked: 0,
      sampled: 1,
    });
    expect(targets.drainCells()).to.deep.equal([]);
  });
});

describe('a change of policies', () => {
  it('holds from the next call on, and keeps the circuit with its state and epoch', async () => {
    const made = bench(effectiveOf({ circuit }));
    await rejectionOf(guard(made.targets, 'a', fails));
    const before = made.targets.circuit('a');
    made.apply(
      effectiveOf(
        { circuit: { ...circuit, openForMs: 60_000 } },
        { policy: 'inventory-default', revision: 8 },
      ),
    );
    expect(made.targets.circuit('a')).to.deep.equal({ ...before, revision: 8 });
    expect(await rejectionOf(guard(made.targets, 'a', fails))).to.have.property(
      'message',
      '[circuit_open] a: retry in 5000 ms (policy inventory-default@8)',
    );
  });

  it('is noticed by the circuit though the revision is the same: the data were replaced', async () => {
    const made = bench(effectiveOf({ circuit }));
    made.targets.get('a');
    made.apply(effectiveOf({ circuit: { ...circuit, minimumCalls: 5 } }));
    for (let i = 0; i < 3; i++) await rejectionOf(guard(made.targets, 'a', fails));
    expect(made.targets.circuit('a').state).to.equal('closed');
  });

  it('that asks how slow calls are says nothing of those that began before', async () => {
    const made = bench(effectiveOf({ circuit: circuitSpec({ minimumCalls: 1 }) }));
    const before = work();
    const running = guard(made.targets, 'a', before.fn);
    made.clock.advance(60_000);
    made.apply(effectiveOf({ circuit: circuitSpec({ minimumCalls: 1, slowCallMs: 100, slowRate: 0.5 }) }));
    before.succeed();
    await running;
    expect(made.targets.circuit('a').state).to.equal('closed');
    await guard(made.targets, 'a', async () => made.clock.advance(100));
    expect(made.targets.circuit('a').state).to.equal('open');
  });

  it('that removes a policy drops its circuit though it is open; permits still out become no-ops', async () => {
    const made = bench(effectiveOf({ circuit }));
    const { targets, changes } = made;
    const late = work();
    const running = rejectionOf(guard(targets, 'a', late.fn));
    await rejectionOf(guard(targets, 'a', fails));
    made.apply({});
    expect(targets.circuits()).to.deep.equal([]);
    expect(await guard(targets, 'a', async () => 'through')).to.equal('through');
    late.fail();
    await running;
    made.apply(effectiveOf({ circuit }));
    expect(targets.circuit('a')).to.include({ state: 'closed', epoch: 1 });
    expect(changes.map(({ to }) => to)).to.deep.equal(['open']);
    expect(targets.permitsOut).to.equal(0);
  });

  it('silences a dropped circuit, even if one of the same name has taken its place', async () => {
    const made = bench(effectiveOf({ circuit }));
    const late = work();
    const running = rejectionOf(guard(made.targets, 'a', late.fn));
    made.apply({});
    made.apply(effectiveOf({ circuit }));
    late.fail();
    await running;
    expect(made.changes).to.deep.equal([]);
    expect(made.targets.circuit('a').state).to.equal('closed');
  });
});

describe('what a former process saved', () => {
  it('opens a circuit once its policy asks for it, less the time since', async () => {
    const made = bench();
    made.targets.restore({ 'a|inventory-default': { remainingMs: 4_000, openings: 1 } }, 1_000);
    made.clock.advance(500);
    made.apply(effectiveOf({ circuit }));
    expect(await rejectionOf(guard(made.targets, 'a', fails))).to.have.property('retryAfterMs', 2_500);
  });

  it('loses what passes in this process though the wall clock went back between the two', async () => {
    const made = bench();
    made.targets.restore({ 'a|inventory-default': { remainingMs: 4_000, openings: 1 } }, -3_600_000);
    made.clock.advance(1_000);
    made.apply(effectiveOf({ circuit }));
    expect(await rejectionOf(guard(made.targets, 'a', fails))).to.have.property('retryAfterMs', 3_000);
  });

  it('opens a circuit that was made before', async () => {
    const { targets } = bench(effectiveOf({ circuit }));
    await guard(targets, 'a', async () => 1);
    targets.restore({ 'a|inventory-default': { remainingMs: 4_000, openings: 1 } }, 0);
    expect(targets.circuit('a')).to.include({ state: 'open', retryAfterMs: 4_000 });
  });

  it('comes back as it was saved', async () => {
    const first = bench(effectiveOf({ circuit }));
    await rejectionOf(guard(first.targets, 'a', fails));
    first.clock.advance(2_000);
    const second = bench(effectiveOf({ circuit }));
    second.targets.restore(JSON.parse(JSON.stringify(first.targets.save())), 0);
    second.targets.get('a');
    expect(second.targets.circuit('a')).to.include({ state: 'open', retryAfterMs: 3_000 });
  });
});

describe('listeners', () => {
  it('hear of a circuit with its policy, revision and reason', async () => {
    const { targets, changes } = bench(effectiveOf({ circuit }));
    await rejectionOf(guard(targets, 'a', fails));
    await settled();
    expect(changes).to.deep.equal([
      {
        id: 'a|inventory-default',
        callee: 'a',
        method: '',
        from: 'closed',
        to: 'open',
        policy: 'inventory-default',
        revision: 7,
        epoch: 2,
        retryAfterMs: 5_000,
        reason: '1 of 1 calls failed (opens at 100 %)',
      },
    ]);
    expect(targets.circuits()[0]).to.include({
      from: 'open',
      to: 'open',
      reason: '1 of 1 calls failed (opens at 100 %)',
    });
  });
});
