/**
 * `guard` and what ends its retries: the deadline of the whole, the caller, the mesh, the gates, a change of policy; and that nothing
 * of a call outlasts it, whoever ends it from within.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { MeshError } from '../../../core/errors.js';
import type { RetrySpec, Sections } from '../../../core/policy/model.js';
import { outcomeOf, runs, throws, told, watchPending } from '../../support/guarded.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, rejectionOf, settled, work } from '../../support/targets.js';

type Given = { [S in keyof Sections]: NonNullable<Sections[S]> };

function retried(changes: Partial<RetrySpec> = {}, more: Given = {}) {
  return effectiveOf({ retry: retrySpec(changes), idempotent: true, ...more });
}

const later = { baseMs: 200, maxMs: 200 };
const broken = new Error('broken');
const fails = () => Promise.reject(broken);

/** Nothing of any call is left. */
function expectNothingLeft({ targets, clock }: Bench, name = 'db'): void {
  expect(targets.permitsOut, 'permits').to.equal(0);
  const budget = targets.get(name).surround?.budget;
  expect([budget?.active ?? 0, budget?.extras ?? 0], 'budget').to.deep.equal([0, 0]);
  expect(targets.deadlines.size, 'limits').to.equal(0);
  clock.advance(3_600_000);
  targets.close();
  expect(clock.pendingTimers, 'timers').to.equal(0);
}

describe('the deadline of a call that is tried again', () => {
  it('spans all attempts and pauses', async () => {
    const made = bench(retried({ attempts: 5, backoff: later }, { timeout: 250 }));
    const { fn, all } = runs(made.clock);
    const end = rejectionOf(guard(made.targets, 'db', fn));
    made.clock.advance(40);
    all[0]?.fail();
    await settled();
    made.clock.advance(100);
    expect(all.map(({ at }) => at)).to.deep.equal([1_000, 1_140]);
    expect(all[1]?.context.deadline).to.equal(made.clock.wallNow() + 110);
    made.clock.advance(109);
    expect(made.targets.permitsOut).to.equal(1);
    made.clock.advance(1);
    expect(await end).to.have.property(
      'message',
      '[deadline_exceeded] db: no answer within 250 ms (policy inventory-default@7)',
    );
    expect(all).to.have.lengthOf(2);
    expectNothingLeft(made);
  });

  it('ends it now, with the last error, where the pause would outlast it', async () => {
    const decisions = told();
    const made = bench(retried({ backoff: later }, { timeout: 100 }), { decisions });
    expect(await rejectionOf(guard(made.targets, 'db', fails))).to.equal(broken);
    expect(decisions.words).to.deep.equal(['give-up deadline']);
    expect(made.clock.now()).to.equal(1_000);
    expectNothingLeft(made);
  });

  it('ends it with the last error where the pause’s timer comes too late', async () => {
    const made = bench(retried({ backoff: { baseMs: 100, maxMs: 100 } }, { timeout: 60 }));
    const { fn, at } = throws(made.clock, broken);
    const end = rejectionOf(guard(made.targets, 'db', fn));
    made.clock.stall(61);
    made.clock.advance(0);
    expect(await end).to.equal(broken);
    expect(at).to.have.lengthOf(1);
    expectNothingLeft(made);
  });

  it('of an attempt is not that of the whole: it is a failure, and the next attempt has its own', async () => {
    const decisions = told();
    const on = ['DEADLINE_EXCEEDED'];
    const made = bench(retried({ on, backoff: later }, { attemptTimeout: 50, timeout: 800 }), { decisions });
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    const first = all[0]?.context.signal;
    made.clock.advance(50);
    expect(first?.reason).to.have.property(
      'message',
      '[deadline_exceeded] db: no answer within 50 ms (policy inventory-default@7)',
    );
    made.clock.advance(100);
    expect(all[1]?.context.signal.aborted).to.equal(false);
    expect(all[1]?.context.deadline).to.equal(made.clock.wallNow() + 50);
    all[1]?.succeed('second');
    expect(await end).to.equal('second');
    all[0]?.fail();
    expect(decisions.words).to.deep.equal(['timeout deadline_exceeded', 'retry DEADLINE_EXCEEDED']);
    expect(made.targets.get('db').tally).to.include({ ok: 1, failed: 1, timeouts: 1, retries: 1 });
    await settled();
    expectNothingLeft(made);
  });
});

describe('a caller who gives up', () => {
  it('during a pause leaves no attempt, no timer and no listener', async () => {
    const made = bench(retried({ backoff: later }));
    const controller = new AbortController();
    const { fn, at } = throws(made.clock, broken);
    const end = rejectionOf(guard(made.targets, 'db', fn, { signal: controller.signal }));
    await settled();
    expect(made.targets.get('db').surround?.budget).to.include({ extras: 1, active: 1 });
    controller.abort('enough');
    expect(await end).to.equal('enough');
    expect(getEventListeners(controller.signal, 'abort')).to.have.lengthOf(0);
    expectNothingLeft(made);
    expect(at).to.have.lengthOf(1);
  });

  it('during a later attempt ends it, and it counts neither way', async () => {
    const made = bench(retried({ backoff: later }));
    const controller = new AbortController();
    const { fn, all } = runs(made.clock);
    const end = rejectionOf(guard(made.targets, 'db', fn, { signal: controller.signal }));
    all[0]?.fail();
    await settled();
    made.clock.advance(100);
    const inner = all[1]?.context.signal;
    controller.abort('enough');
    expect([await end, inner?.reason]).to.deep.equal(['enough', 'enough']);
    expect(made.targets.get('db').tally).to.include({ failed: 1, neutral: 1 });
    expectNothingLeft(made);
  });
});

describe('the mesh that closes', () => {
  it('during a pause ends the call now, with its last error', async () => {
    const made = bench(retried({ backoff: later }));
    const { fn, at } = throws(made.clock, broken);
    const end = rejectionOf(guard(made.targets, 'db', fn));
    await settled();
    made.targets.close();
    expect(await end).to.equal(broken);
    expect(made.clock.pendingTimers).to.equal(0);
    expectNothingLeft(made);
    expect(at).to.have.lengthOf(1);
  });

  it('before an attempt fails leaves it without another', async () => {
    const made = bench(retried({ backoff: later }));
    const held = work();
    const end = rejectionOf(guard(made.targets, 'db', held.fn));
    made.targets.close();
    held.fail(broken);
    expect(await end).to.equal(broken);
    expectNothingLeft(made);
  });
});

describe('the mesh that closes around calls that end each other', () => {
  it('keeps no slot of one that was granted its place while the others were told', async () => {
    const made = bench(retried({ backoff: later }, { bulkhead: bulkheadSpec(1, { maxQueue: 5 }) }));
    const controller = new AbortController();
    const fallback = () => controller.abort('by a fallback');
    const pausing = guard<unknown>(made.targets, 'db', fails, { fallback });
    await settled();
    const held = work();
    const running = rejectionOf(guard(made.targets, 'db', held.fn, { signal: controller.signal }));
    const queued = rejectionOf(guard(made.targets, 'db', held.fn));
    made.targets.close();
    expect(await pausing).to.equal(undefined);
    expect(await running).to.equal('by a fallback');
    expect(await queued).to.have.property('code', 'mesh_closed');
    expect([held.started(), made.targets.bulkheads()[0]?.inUse]).to.deep.equal([1, 0]);
    expectNothingLeft(made);
  });
});

describe('a retry that is turned away', () => {
  it('by the bulkhead ends the call as its last real failure did', async () => {
    const made = bench(retried({ backoff: later }, { bulkhead: bulkheadSpec(1) }));
    const end = rejectionOf(guard(made.targets, 'db', fails));
    await settled();
    const other = work();
    const occupying = guard(made.targets, 'db', other.fn);
    made.clock.advance(100);
    expect(await end).to.equal(broken);
    expect(made.targets.get('db').tally.rejections).to.deep.equal({ bulkhead_full: 1 });
    other.succeed();
    await occupying;
    expectNothingLeft(made);
  });

  it('by the circuit that its own failure opened, likewise', async () => {
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
    const made = bench(retried({}, { circuit }));
    expect((await outcomeOf(made.clock, guard(made.targets, 'db', fails))).error).to.equal(broken);
    expect(made.targets.get('db').tally).to.include({ failed: 1, rejected: 1, blocked: 1 });
    expectNothingLeft(made);
  });

  it('by the rate, likewise', async () => {
    const rateLimit = { rate: 1, perMs: 60_000, burst: 1, scope: 'local', by: 'service' } as const;
    const made = bench(retried({}, { rateLimit }));
    expect((await outcomeOf(made.clock, guard(made.targets, 'db', fails))).error).to.equal(broken);
    expect(made.targets.get('db').tally.rejections).to.deep.equal({ rate_limited: 1 });
    expectNothingLeft(made);
  });

  it('after its time in line, likewise', async () => {
    const bulkhead = bulkheadSpec(1, { maxQueue: 1, queueTimeoutMs: 30 });
    const made = bench(retried({ backoff: later }, { bulkhead }));
    const end = rejectionOf(guard(made.targets, 'db', fails));
    await settled();
    const other = work();
    const occupying = guard(made.targets, 'db', other.fn);
    made.clock.advance(100);
    await settled();
    expect(made.targets.bulkheads()[0]).to.include({ inUse: 1, queued: 1 });
    made.clock.advance(30);
    expect(await end).to.equal(broken);
    other.succeed();
    await occupying;
    expectNothingLeft(made);
  });

  it('is the rejection itself where nothing had failed before', async () => {
    const made = bench(retried({}, { bulkhead: bulkheadSpec(1) }));
    const other = work();
    const occupying = guard(made.targets, 'db', other.fn);
    expect(await rejectionOf(guard(made.targets, 'db', fails))).to.have.property('code', 'bulkhead_full');
    other.succeed();
    await occupying;
    expectNothingLeft(made);
  });
});

describe('a change of policy between two attempts', () => {
  it('holds from the next attempt on; the rules of retries are those that the call began under', async () => {
    const made = bench(retried({ attempts: 3, backoff: later }));
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    all[0]?.fail();
    await settled();
    const began = made.targets.get('db').surround?.budget;
    made.apply(effectiveOf({ attemptTimeout: 30, bulkhead: bulkheadSpec(1) }));
    made.clock.advance(100);
    expect(all[1]?.context.deadline).to.equal(made.clock.wallNow() + 30);
    expect(made.targets.bulkheads()[0]).to.include({ inUse: 1 });
    all[1]?.fail();
    await settled();
    made.clock.advance(100);
    all[2]?.succeed();
    expect(await end).to.equal('done');
    expect([began?.active, began?.extras]).to.deep.equal([0, 0]);
    expectNothingLeft(made);
  });
});

describe('the context of a later attempt', () => {
  const storage = new AsyncLocalStorage<string>();

  it('is its caller’s, whoever starts it', async () => {
    const bulkhead = bulkheadSpec(1, { maxQueue: 5 });
    const on = ['UNAVAILABLE', 'DEADLINE_EXCEEDED'];
    for (const more of [
      {},
      { bulkhead },
      { attemptTimeout: 50 },
      { timeout: 10_000, attemptTimeout: 50, bulkhead },
    ]) {
      const made = bench(retried({ on, attempts: 3 }, more));
      const seen: (string | undefined)[] = [];
      const attempt = () => {
        seen.push(storage.getStore());
        return seen.length === 3
          ? 'done'
          : new Promise<string>((_, reject) => made.clock.after(20 * seen.length ** 2, () => reject(broken)));
      };
      const other = work();
      const blocking = storage.run('other', () => guard(made.targets, 'db', other.fn));
      const end = storage.run('mine', () => guard(made.targets, 'db', attempt));
      storage.run('other', () => other.succeed());
      await blocking;
      expect(await storage.run('clock', () => outcomeOf(made.clock, end, 10))).to.deep.equal({
        value: 'done',
      });
      expect(seen).to.deep.equal(['mine', 'mine', 'mine']);
    }
  });
});

describe('whoever hears of a decision and ends the call at once', () => {
  for (const [kind, more] of [
    ['retry', {}],
    ['give-up', { idempotent: false }],
    ['timeout', { attemptTimeout: 50 }],
    ['reject', { bulkhead: bulkheadSpec(1) }],
  ] as const)
    it(`hears of a ${kind}, and finds nothing of it left`, async () => {
      const decisions = told();
      const made = bench(retried({ on: ['UNAVAILABLE', 'DEADLINE_EXCEEDED'] }, more), { decisions });
      const pending = watchPending(made.targets);
      const controller = new AbortController();
      decisions.listener = (decision) => decision.kind === kind && controller.abort('by a listener');
      const other = work();
      const occupying = kind === 'reject' ? guard(made.targets, 'db', other.fn) : undefined;
      const never = () => new Promise<never>(() => undefined);
      const fn = kind === 'timeout' ? never : fails;
      let fellBack = 0;
      const fallback = () => ++fellBack;
      const end = rejectionOf(
        guard<unknown>(made.targets, 'db', fn, { signal: controller.signal, fallback }),
      );
      await settled();
      made.clock.advance(50);
      expect(await end).to.equal('by a listener');
      other.succeed();
      await occupying;
      expect(fellBack).to.equal(0);
      const { failed, neutral } = made.targets.get('db').tally;
      expect(failed + neutral).to.equal(kind === 'reject' ? 0 : 1);
      expect(pending.size).to.equal(0);
      expectNothingLeft(made);
    });
});

describe('an error of a call that was tried again', () => {
  it('is told of once, and what its attempts say later is no unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const heard = (reason: unknown) => void unhandled.push(reason);
    process.on('unhandledRejection', heard);
    const made = bench(retried({ on: ['DEADLINE_EXCEEDED'] }, { attemptTimeout: 50 }));
    const { fn, all } = runs(made.clock);
    const { error } = await outcomeOf(made.clock, guard(made.targets, 'db', fn));
    expect((error as MeshError).code).to.equal('deadline_exceeded');
    for (const run of all) run.fail();
    await settled();
    process.off('unhandledRejection', heard);
    expect([all.length, unhandled]).to.deep.equal([3, []]);
    expectNothingLeft(made);
  });
});
