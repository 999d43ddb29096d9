/**
 * `guard` in line for a slot: whose turn it is, what ends the waiting, and that whoever waits keeps its own context and no
 * more than its place.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { MeshError } from '../../../core/errors.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, settled, work } from '../../support/targets.js';

const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });

describe('a guarded call in line', () => {
  const line = (maxQueue: number, more: { queueTimeoutMs?: number } = {}) =>
    effectiveOf({ circuit, bulkhead: bulkheadSpec(1, { maxQueue, ...more }) });

  it('runs when a slot comes free, in the order of arrival', async () => {
    const { targets } = bench(line(3));
    const held = work();
    const order: string[] = [];
    const first = guard(targets, 'db', held.fn);
    const rest = ['b', 'c', 'd'].map((name) => guard(targets, 'db', async () => order.push(name)));
    await settled();
    expect(order).to.deep.equal([]);
    held.succeed();
    await Promise.all([first, ...rest]);
    expect(order).to.deep.equal(['b', 'c', 'd']);
    expect(targets.permitsOut).to.equal(0);
  });

  it('is turned away when its time in line is over, with the time and the policy', async () => {
    const { clock, targets } = bench(line(1, { queueTimeoutMs: 100 }));
    const held = work();
    const running = guard(targets, 'db', held.fn);
    const queued = guard(targets, 'db', async () => 1);
    clock.advance(100);
    expect(await rejectionOf(queued)).to.have.property(
      'message',
      '[bulkhead_timeout] db: no slot came free within 100 ms; slow down (policy inventory-default@7)',
    );
    held.succeed();
    await running;
    expect(targets.permitsOut).to.equal(0);
  });

  it('says how long it could wait though the policy has gone meanwhile', async () => {
    const made = bench(line(1, { queueTimeoutMs: 100 }));
    const held = work();
    const running = guard(made.targets, 'db', held.fn);
    const queued = guard(made.targets, 'db', async () => 1);
    made.apply({});
    made.clock.advance(100);
    expect(await rejectionOf(queued)).to.have.property(
      'message',
      '[bulkhead_timeout] db: no slot came free within 100 ms; slow down (policy inventory-default@7)',
    );
    held.succeed();
    await running;
  });

  it('waits no longer than its deadline, which counts against nobody', async () => {
    const policies = effectiveOf({
      circuit,
      timeout: 50,
      bulkhead: bulkheadSpec(1, { maxQueue: 1, queueTimeoutMs: 100 }),
    });
    const { clock, targets } = bench(policies);
    const held = work();
    const running = guard(targets, 'db', held.fn);
    clock.advance(10);
    const queued = guard(targets, 'db', async () => 1);
    held.succeed();
    await running;
    await queued;
    const again = guard(targets, 'db', work().fn);
    clock.advance(1);
    const late = guard(targets, 'db', async () => 1);
    clock.advance(50);
    await rejectionOf(again);
    await settled();
    expect(await late).to.equal(1);
  });

  it('rejects for its deadline in line as that, not as a failure of the target', async () => {
    const policies = effectiveOf({ circuit, timeout: 50, bulkhead: bulkheadSpec(1, { maxQueue: 1 }) });
    const made = bench(policies);
    made.policies = (to) => (to === 'db' ? policies : {});
    const signal = new AbortController().signal;
    const held = work();
    const running = guard(made.targets, 'db', held.fn, { signal });
    made.apply(effectiveOf({ circuit, timeout: 20, bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
    const queued = guard(made.targets, 'db', async () => 1);
    made.clock.advance(20);
    expect(await rejectionOf(queued)).to.have.property(
      'message',
      '[deadline_exceeded] db: no slot came free within 20 ms (policy inventory-default@7)',
    );
    expect(made.targets.circuit('db').state).to.equal('closed');
    held.succeed();
    await running;
  });

  it('leaves at once when its caller gives up, in the same tick', async () => {
    const { targets } = bench(line(1));
    const held = work();
    const running = guard(targets, 'db', held.fn);
    const controller = new AbortController();
    const queued = rejectionOf(guard(targets, 'db', async () => 1, { signal: controller.signal }));
    expect(await rejectionOf(guard(targets, 'db', async () => 1))).to.have.property('code', 'bulkhead_full');
    controller.abort('left');
    const next = guard(targets, 'db', async () => 'next');
    expect(await queued).to.equal('left');
    held.succeed();
    await running;
    expect(await next).to.equal('next');
  });

  it('gives its slot on when its caller gives up in the very tick in which it was granted', async () => {
    const { targets } = bench(line(2));
    const held = work();
    const running = guard(targets, 'db', held.fn);
    const controller = new AbortController();
    const second = work();
    const queued = rejectionOf(guard(targets, 'db', second.fn, { signal: controller.signal }));
    const third = guard(targets, 'db', async () => 'third');
    held.succeed();
    await Promise.resolve();
    await Promise.resolve();
    controller.abort('left');
    await running;
    await queued;
    expect(await third).to.equal('third');
    expect(targets.permitsOut).to.equal(0);
  });

  it('runs in the context of its own caller', async () => {
    const { targets } = bench(line(1));
    const storage = new AsyncLocalStorage<string>();
    const held = work();
    const running = storage.run('the one before', () => guard(targets, 'db', held.fn));
    const seen: (string | undefined)[] = [];
    const queued = storage.run('its own', () =>
      guard(targets, 'db', async () => {
        seen.push(storage.getStore());
        await null;
        seen.push(storage.getStore());
      }).then(() => seen.push(storage.getStore())),
    );
    storage.run('whoever ends it', () => held.succeed());
    await Promise.all([running, queued]);
    expect(seen).to.deep.equal(['its own', 'its own', 'its own']);
  });

  it('is measured from when it runs, not from when it began to wait', async () => {
    const policies = effectiveOf({
      circuit: circuitSpec({ minimumCalls: 2, failureRate: 1, slowCallMs: 100, slowRate: 0.5 }),
      bulkhead: bulkheadSpec(1, { maxQueue: 1 }),
    });
    const { clock, targets } = bench(policies);
    const held = work();
    const running = guard(targets, 'db', held.fn);
    const queued = guard(targets, 'db', async () => 1);
    clock.advance(99);
    held.succeed();
    clock.advance(50);
    await Promise.all([running, queued]);
    expect(targets.circuit('db').state).to.equal('open');
    expect(targets.drainCells()[0]).to.include({ ok: 2, slow: 1 });
  });

  it('gets the whole attempt timeout once it runs', async () => {
    const policies = effectiveOf({ attemptTimeout: 100, bulkhead: bulkheadSpec(1, { maxQueue: 1 }) });
    const { clock, targets } = bench(policies);
    const held = work();
    const second = work();
    const running = guard(targets, 'db', held.fn);
    const queued = guard(targets, 'db', second.fn);
    clock.advance(90);
    held.succeed();
    await running;
    await settled();
    clock.advance(99);
    second.succeed();
    expect(await queued).to.equal('done');
  });

  it('is turned away by the circuit that opened meanwhile, and passes the slot on', async () => {
    const { targets } = bench(line(2));
    const held = work();
    const running = rejectionOf(guard(targets, 'db', held.fn));
    const queued = [1, 2].map((n) => rejectionOf(guard(targets, 'db', async () => n)));
    held.fail();
    await running;
    for (const promise of queued) expect(await promise).to.have.property('code', 'circuit_open');
    expect(targets.permitsOut).to.equal(0);
  });

  it('can be one of 10,000 behind a circuit that opens: no stack grows with the line', async () => {
    const { targets } = bench(line(10_000));
    const held = work();
    const running = rejectionOf(guard(targets, 'db', held.fn));
    const queued = Array.from({ length: 10_000 }, () => rejectionOf(guard(targets, 'db', async () => 1)));
    held.fail();
    await running;
    const codes = new Set((await Promise.all(queued)).map((error) => (error as MeshError).code));
    expect([...codes]).to.deep.equal(['circuit_open']);
    expect(targets.permitsOut).to.equal(0);
  });

  it('can be one of 10,000 that each end at once: no stack grows with the line', async () => {
    const { targets } = bench(line(10_000));
    const held = work();
    const running = guard(targets, 'db', held.fn);
    const queued = Array.from({ length: 10_000 }, (_, i) => guard(targets, 'db', () => i));
    held.succeed();
    await running;
    expect(await Promise.all(queued)).to.deep.equal(Array.from({ length: 10_000 }, (_, i) => i));
    expect(targets.permitsOut).to.equal(0);
  });

  it('is rejected when the mesh closes, and so is who would join it', async () => {
    const { clock, targets } = bench(line(2, { queueTimeoutMs: 100 }));
    const held = work();
    const running = guard(targets, 'db', held.fn);
    const queued = guard(targets, 'db', async () => 1);
    targets.close();
    expect(await rejectionOf(queued)).to.have.property('code', 'mesh_closed');
    expect(await rejectionOf(guard(targets, 'db', async () => 1))).to.have.property('code', 'mesh_closed');
    held.succeed();
    expect(await running).to.equal('done');
    expect([targets.permitsOut, clock.pendingTimers]).to.deep.equal([0, 0]);
  });

  it('ends in the line it joined when the policy goes away', async () => {
    const made = bench(line(2));
    const held = work();
    const running = guard(made.targets, 'db', held.fn);
    const queued = guard(made.targets, 'db', async () => 'from the line');
    made.apply({});
    expect(await guard(made.targets, 'db', async () => 'past it')).to.equal('past it');
    held.succeed();
    await running;
    expect(await queued).to.equal('from the line');
    expect(made.targets.permitsOut).to.equal(0);
  });

  it('runs at once when a new revision makes room', async () => {
    const made = bench(line(2));
    const held = work();
    const running = guard(made.targets, 'db', held.fn);
    const queued = guard(made.targets, 'db', async () => 'ran');
    made.apply(effectiveOf({ circuit, bulkhead: bulkheadSpec(2) }));
    expect(await queued).to.equal('ran');
    held.succeed();
    await running;
  });
});
