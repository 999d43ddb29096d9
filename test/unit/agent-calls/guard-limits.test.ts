/**
 * `guard` and time: timeouts and aborts; each ends the call once, and gives back all it held.
 */
import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { GuardContext } from '../../../agent/guarded-function.js';
import type { MeshError } from '../../../core/errors.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, settled, work } from '../../support/targets.js';

const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
const fails = () => Promise.reject(new Error('broken'));

describe('the timeout of a guarded call', () => {
  it('rejects with the limit and the policy that set it, and counts as a failure', async () => {
    const { clock, targets } = bench(effectiveOf({ circuit, timeout: 800 }));
    const promise = guard(targets, 'db', work().fn);
    clock.advance(799);
    expect(targets.permitsOut).to.equal(1);
    clock.advance(1);
    const error = (await rejectionOf(promise)) as MeshError;
    expect(error.message).to.equal(
      '[deadline_exceeded] db: no answer within 800 ms (policy inventory-default@7)',
    );
    expect(targets.circuit('db').state).to.equal('open');
    expect(targets.permitsOut).to.equal(0);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('is that of the attempt where that is shorter, and says so', async () => {
    const { clock, targets } = bench(effectiveOf({ timeout: 800, attemptTimeout: 300 }));
    const promise = guard(targets, 'db', work().fn);
    clock.advance(300);
    expect(await rejectionOf(promise)).to.have.property(
      'message',
      '[deadline_exceeded] db: no answer within 300 ms (policy inventory-default@7)',
    );
  });

  it('is that of the whole where that is shorter', async () => {
    const { clock, targets } = bench(effectiveOf({ timeout: 300, attemptTimeout: 800 }));
    const promise = guard(targets, 'db', work().fn);
    clock.advance(300);
    expect((await rejectionOf(promise)) as MeshError).to.have.property('code', 'deadline_exceeded');
  });

  it('names the limit that the call began under, whatever the policy says by now', async () => {
    const made = bench(effectiveOf({ timeout: 800 }));
    const promise = guard(made.targets, 'db', work().fn);
    made.apply(effectiveOf({ timeout: 300 }, { policy: 'inventory-default', revision: 8 }));
    made.clock.advance(800);
    expect(await rejectionOf(promise)).to.have.property(
      'message',
      '[deadline_exceeded] db: no answer within 800 ms (policy inventory-default@7)',
    );
  });

  it('aborts the signal with the same error, if anybody asked for it', async () => {
    const { clock, targets } = bench(effectiveOf({ timeout: 100 }));
    let signal: AbortSignal | undefined;
    const promise = guard(targets, 'db', (context) => {
      signal = context.signal;
      return new Promise(() => undefined);
    });
    clock.advance(100);
    const error = await rejectionOf(promise);
    expect([signal?.aborted, signal?.reason]).to.deep.equal([true, error]);
  });

  it('shows an aborted signal to whoever asks for it only afterwards', async () => {
    const { clock, targets } = bench(effectiveOf({ timeout: 100 }));
    let context: GuardContext | undefined;
    const promise = guard(targets, 'db', (given) => {
      context = given;
      return new Promise(() => undefined);
    });
    clock.advance(100);
    const error = await rejectionOf(promise);
    expect(context?.signal.reason).to.equal(error);
  });

  it('does not touch a call that ends in time, and leaves nothing set', async () => {
    const { clock, targets } = bench(effectiveOf({ timeout: 100 }));
    const held = work();
    const promise = guard(targets, 'db', held.fn);
    clock.advance(99);
    held.succeed();
    expect(await promise).to.equal('done');
    clock.advance(1);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('holds after the mesh is closed as well: a call under way ends within its limits', async () => {
    const { clock, targets } = bench(effectiveOf({ timeout: 100 }));
    const promise = guard(targets, 'db', work().fn);
    targets.close();
    clock.advance(100);
    expect(await rejectionOf(promise)).to.have.property('code', 'deadline_exceeded');
    expect(clock.pendingTimers).to.equal(0);
  });
});

describe('the abort of a guarded call', () => {
  it('rejects with the caller’s reason, is neutral, and aborts the signal within', async () => {
    const { targets } = bench(effectiveOf({ circuit }));
    const controller = new AbortController();
    let inner: AbortSignal | undefined;
    const promise = guard(
      targets,
      'db',
      ({ signal }) => {
        inner = signal;
        return new Promise(() => undefined);
      },
      { signal: controller.signal },
    );
    const reason = new Error('the user left');
    controller.abort(reason);
    expect(await rejectionOf(promise)).to.equal(reason);
    expect(inner?.reason).to.equal(reason);
    expect(targets.circuit('db').state).to.equal('closed');
    expect(targets.permitsOut).to.equal(0);
  });

  it('before its start starts nothing', async () => {
    const { targets } = bench(effectiveOf({ circuit }));
    const held = work();
    const promise = guard(targets, 'db', held.fn, { signal: AbortSignal.abort('no') });
    expect(await rejectionOf(promise)).to.equal('no');
    expect([held.started(), targets.permitsOut]).to.deep.equal([0, 0]);
  });

  it('while its circuit tells of a transition is not missed', async () => {
    const made = bench(effectiveOf({ circuit }));
    await rejectionOf(guard(made.targets, 'db', fails));
    made.clock.advance(5_000);
    const controller = new AbortController();
    made.listener = ({ to }) => {
      if (to === 'half-open') controller.abort('by a listener');
    };
    const held = work();
    expect(await rejectionOf(guard(made.targets, 'db', held.fn, { signal: controller.signal }))).to.equal(
      'by a listener',
    );
    expect(held.started()).to.equal(0);
    expect(made.targets.permitsOut).to.equal(0);
  });

  it('leaves no listener on the signal, however the call ends', async () => {
    const { clock, targets } = bench(
      effectiveOf({ circuit, timeout: 100, bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }),
    );
    const { signal } = new AbortController();
    await guard(targets, 'a', async () => 1, { signal });
    await rejectionOf(guard(targets, 'b', fails, { signal }));
    await rejectionOf(guard(targets, 'b', fails, { signal }));
    const late = guard(targets, 'c', work().fn, { signal });
    const queued = guard(targets, 'c', work().fn, { signal });
    const full = guard(targets, 'c', work().fn, { signal });
    clock.advance(100);
    for (const promise of [late, queued, full]) await rejectionOf(promise);
    expect(getEventListeners(signal, 'abort')).to.have.lengthOf(0);
  });
});

describe('many guarded calls on one signal at a time', () => {
  it('bring no warning of a leak, and are all ended by one abort', async () => {
    const { targets } = bench(effectiveOf({ circuit }));
    const warnings: Error[] = [];
    const heard = (warning: Error) => void warnings.push(warning);
    process.on('warning', heard);
    const controller = new AbortController();
    const calls = Array.from({ length: 50 }, () =>
      rejectionOf(guard(targets, 'db', work().fn, { signal: controller.signal })),
    );
    await settled();
    controller.abort('all of them');
    expect(new Set(await Promise.all(calls))).to.deep.equal(new Set(['all of them']));
    await settled();
    process.off('warning', heard);
    expect(warnings).to.deep.equal([]);
    expect(getEventListeners(controller.signal, 'abort')).to.have.lengthOf(0);
  });
});
