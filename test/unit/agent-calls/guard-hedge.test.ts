/**
 * `guard` and hedges: when a copy of the function starts beside it, which answer counts, and what becomes of the others.
 */
import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { HedgeSpec, Sections } from '../../../core/policy/model.js';
import { type Run, runs, serviceError, throws, told } from '../../support/guarded.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, rejectionOf, settled } from '../../support/targets.js';

type Given = { [S in keyof Sections]: NonNullable<Sections[S]> };

/** Idempotent calls that get a copy after 50 ms. */
function hedged(changes: Partial<HedgeSpec> = {}, more: Given = {}) {
  const hedge: HedgeSpec = { delay: { kind: 'fixed', ms: 50 }, extra: 1, ...changes };
  return effectiveOf({ hedge, idempotent: true, ...more });
}

const percentile: Partial<HedgeSpec> = { delay: { kind: 'percentile', p: 0.95 } };
const numbers = (all: readonly Run[]) => all.map(({ attempt }) => attempt);

function expectNothingLeft({ targets, clock }: Bench): void {
  expect(targets.permitsOut, 'permits').to.equal(0);
  expect(targets.get('db').surround?.budget, 'budget').to.include({ active: 0, extras: 0 });
  expect(targets.deadlines.size, 'limits').to.equal(0);
  clock.advance(3_600_000);
  targets.close();
  expect(clock.pendingTimers, 'timers').to.equal(0);
}

describe('a guarded call that is hedged', () => {
  it('gets a copy after the delay, and the first good answer counts', async () => {
    const decisions = told();
    const made = bench(hedged(), { decisions });
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    made.clock.advance(49);
    expect(all).to.have.lengthOf(1);
    made.clock.advance(1);
    expect(numbers(all)).to.deep.equal([1, 2]);
    const loser = all[0]?.context.signal;
    all[1]?.succeed('from the copy');
    expect(await end).to.equal('from the copy');
    expect(loser?.reason).to.be.instanceOf(DOMException).with.property('name', 'AbortError');
    expect(all[1]?.context.signal.aborted).to.equal(false);
    expect(made.targets.get('db').tally).to.include({ ok: 1, failed: 0, neutral: 1, hedges: 1 });
    expect(decisions.words).to.deep.equal(['hedge slow']);
    expect(decisions.decisions[0]).to.include({ policy: 'inventory-default', revision: 7 });
    all[0]?.fail();
    await settled();
    expectNothingLeft(made);
  });

  it('gets none where it answers in time, or where the first answers after all: its copy is dropped', async () => {
    const made = bench(hedged());
    const { fn, all } = runs(made.clock);
    const quick = guard(made.targets, 'db', fn);
    made.clock.advance(30);
    all[0]?.succeed();
    await quick;
    made.clock.advance(1_000);
    expect(all).to.have.lengthOf(1);
    const slow = guard(made.targets, 'db', fn);
    made.clock.advance(50);
    const copy = all[2]?.context.signal;
    all[1]?.succeed('first');
    expect([await slow, copy?.aborted]).to.deep.equal(['first', true]);
    expectNothingLeft(made);
  });

  it('gets as many copies as `extra` says, each after as long again', async () => {
    const made = bench(hedged({ extra: 2 }));
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    made.clock.advance(1_000);
    expect(all.map(({ at }) => at)).to.deep.equal([1_000, 1_050, 1_100]);
    all[2]?.succeed();
    await end;
    expect(all.slice(0, 2).map(({ context }) => context.signal.aborted)).to.deep.equal([true, true]);
    expect(made.targets.get('db').tally).to.include({ ok: 1, neutral: 2, hedges: 2 });
    expectNothingLeft(made);
  });

  it('is not where it is not idempotent', async () => {
    const made = bench(hedged({}, { idempotent: false }));
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    made.clock.advance(1_000);
    all[0]?.succeed();
    await end;
    expect(all).to.have.lengthOf(1);
    expectNothingLeft(made);
  });

  it('is not tried again: it has its copies', async () => {
    const made = bench(hedged({}, { retry: retrySpec({ attempts: 5 }) }));
    const { fn, at } = throws(made.clock, ...Array.from({ length: 9 }, () => new Error('broken')));
    await rejectionOf(guard(made.targets, 'db', fn));
    expect(at).to.have.lengthOf(2);
    expect(made.targets.get('db').tally).to.include({ retries: 0, hedges: 1 });
    expectNothingLeft(made);
  });
});

describe('a hedge by percentile', () => {
  async function sampled(made: Bench, samples: number, tookMs: number): Promise<void> {
    const { fn, all } = runs(made.clock);
    const calls = Array.from({ length: samples }, () => guard(made.targets, 'db', fn));
    made.clock.advance(tookMs);
    for (const run of all) run.succeed();
    await Promise.all(calls);
  }

  it('is none while too few latencies are known', async () => {
    const made = bench(hedged(percentile));
    await sampled(made, 19, 40);
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    made.clock.advance(5_000);
    all[0]?.succeed();
    await end;
    expect(all).to.have.lengthOf(1);
    expectNothingLeft(made);
  });

  it('starts once the call takes longer than most of the last 30 s', async () => {
    const made = bench(hedged(percentile));
    await sampled(made, 20, 40);
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    made.clock.advance(30);
    expect(all).to.have.lengthOf(1);
    made.clock.advance(20);
    expect(all).to.have.lengthOf(2);
    all[1]?.succeed();
    await end;
    expectNothingLeft(made);
  });

  it('forgets what was longer ago, and fails over to the rules of retries while it knows nothing', async () => {
    const made = bench(hedged(percentile, { retry: retrySpec() }));
    await sampled(made, 20, 40);
    made.clock.advance(60_000);
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    made.clock.advance(5_000);
    expect(all).to.have.lengthOf(1);
    all[0]?.fail();
    await settled();
    made.clock.advance(1_000);
    all[1]?.succeed();
    expect(await end).to.equal('done');
    expect(made.targets.get('db').tally).to.include({ retries: 1, hedges: 0 });
    expectNothingLeft(made);
  });
});

describe('a failure of a hedged call', () => {
  it('that may pass starts the next copy at once, and the others go on', async () => {
    const made = bench(hedged({ extra: 2 }));
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    made.clock.advance(10);
    all[0]?.fail();
    await settled();
    expect(all.map(({ at }) => at)).to.deep.equal([1_000, 1_010]);
    made.clock.advance(50);
    expect(all).to.have.lengthOf(3);
    all[2]?.fail();
    await settled();
    all[1]?.succeed('second');
    expect(await end).to.equal('second');
    expectNothingLeft(made);
  });

  it('is what the copy that follows it is told with, after the quiet that was asked for as well', async () => {
    for (const quiet of [{}, { 'grpc-retry-pushback-ms': ['70'] }]) {
      const decisions = told();
      const made = bench(hedged({ extra: 2 }), { decisions });
      const { fn, all } = runs(made.clock);
      const end = guard(made.targets, 'db', fn);
      all[0]?.fail(serviceError(14, quiet));
      await settled();
      made.clock.advance(70);
      expect(decisions.words[0]).to.equal('hedge failed');
      made.clock.advance(50);
      expect(decisions.words).to.deep.equal(['hedge failed', 'hedge slow']);
      all[1]?.succeed();
      await end;
      expectNothingLeft(made);
    }
  });

  it('that is final ends all of them', async () => {
    const made = bench(hedged());
    const { fn, all } = runs(made.clock);
    const end = rejectionOf(guard(made.targets, 'db', fn));
    made.clock.advance(50);
    const other = all[0]?.context.signal;
    const refused = serviceError(5);
    all[1]?.fail(refused);
    expect([await end, other?.aborted]).to.deep.equal([refused, true]);
    expectNothingLeft(made);
  });

  it('of all of them is the call’s last', async () => {
    const made = bench(hedged({ extra: 2 }));
    const errors = [new Error('1'), new Error('2'), new Error('3')];
    const { fn, all } = runs(made.clock);
    const end = rejectionOf(guard(made.targets, 'db', fn));
    made.clock.advance(100);
    for (const i of [2, 0, 1]) {
      all[i]?.fail(errors[i]);
      await settled();
    }
    expect(await end).to.equal(errors[1]);
    expectNothingLeft(made);
  });

  it('at once, of all, leaves no timer that runs out twice', async () => {
    const quiet = serviceError(14, { 'grpc-retry-pushback-ms': ['70'] });
    const made = bench(hedged({ extra: 3 }));
    const { fn, at } = throws(made.clock, new Error('x'), quiet, new Error('x'));
    const end = guard(made.targets, 'db', fn);
    for (let i = 0; i < 4; i++) made.clock.advance(1_000);
    expect(await end).to.equal('done');
    expect(at).to.deep.equal([1_000, 1_000, 1_070, 1_070]);
    expectNothingLeft(made);
  });

  it('of the gates ends it where nothing runs, and takes no copy with it where something does', async () => {
    const made = bench(hedged({}, { bulkhead: bulkheadSpec(1) }));
    const { fn, all } = runs(made.clock);
    const first = guard(made.targets, 'db', fn);
    expect(await rejectionOf(guard(made.targets, 'db', fn))).to.have.property('code', 'bulkhead_full');
    made.clock.advance(50);
    expect(made.targets.get('db').tally.rejections).to.deep.equal({ bulkhead_full: 2 });
    all[0]?.succeed('the only one');
    expect([await first, all.length]).to.deep.equal(['the only one', 1]);
    expectNothingLeft(made);
  });
});

describe('no hedge starts', () => {
  it('while the circuit probes', async () => {
    const decisions = told();
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
    const made = bench(hedged({}, { circuit }), { decisions });
    await rejectionOf(guard(made.targets, 'db', () => Promise.reject(serviceError(13))));
    made.clock.advance(5_000);
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    made.clock.advance(1_000);
    expect([all.length, decisions.words.at(-1)]).to.deep.equal([1, 'give-up half-open']);
    all[0]?.succeed();
    await end;
    expectNothingLeft(made);
  });

  it('beyond the budget', async () => {
    const decisions = told();
    const made = bench(hedged({}, { retry: retrySpec({ budget: 0 }) }), { decisions });
    const { fn, all } = runs(made.clock);
    const calls = Array.from({ length: 5 }, () => guard(made.targets, 'db', fn));
    made.clock.advance(50);
    expect(all).to.have.lengthOf(5 + 3);
    expect(decisions.words.filter((word) => word === 'give-up budget')).to.have.lengthOf(2);
    for (const run of all) run.succeed();
    await Promise.all(calls);
    expectNothingLeft(made);
  });
});

describe('the end of a hedged call', () => {
  it('by its deadline is one failure, and its copy is dropped', async () => {
    const made = bench(hedged({}, { timeout: 100 }));
    const { fn, all } = runs(made.clock);
    const end = rejectionOf(guard(made.targets, 'db', fn));
    made.clock.advance(50);
    expect(all[1]?.context.deadline).to.equal(made.clock.wallNow() + 50);
    made.clock.advance(50);
    expect(await end).to.have.property('code', 'deadline_exceeded');
    expect(all.map(({ context }) => context.signal.aborted)).to.deep.equal([true, true]);
    const { failed, neutral } = made.targets.get('db').tally;
    expect([failed, neutral]).to.deep.equal([1, 1]);
    expectNothingLeft(made);
  });

  it('by its caller drops them all, neutral', async () => {
    const made = bench(hedged());
    const controller = new AbortController();
    const { fn, all } = runs(made.clock);
    const end = rejectionOf(guard(made.targets, 'db', fn, { signal: controller.signal }));
    made.clock.advance(50);
    const signals = all.map(({ context }) => context.signal);
    controller.abort('enough');
    expect(await end).to.equal('enough');
    expect(signals.map(({ reason }) => reason)).to.deep.equal(['enough', 'enough']);
    expect(made.targets.get('db').tally).to.include({ ok: 0, failed: 0, neutral: 2 });
    expect(getEventListeners(controller.signal, 'abort')).to.have.lengthOf(0);
    expectNothingLeft(made);
  });

  it('by a listener that hears of the copy starts none', async () => {
    const decisions = told();
    const made = bench(hedged(), { decisions });
    const controller = new AbortController();
    decisions.listener = () => controller.abort('by a listener');
    const { fn, all } = runs(made.clock);
    const end = rejectionOf(guard(made.targets, 'db', fn, { signal: controller.signal }));
    made.clock.advance(50);
    expect([await end, all.length]).to.deep.equal(['by a listener', 1]);
    expectNothingLeft(made);
  });

  it('by its first answer leaves none due', async () => {
    const made = bench(hedged({ extra: 4 }));
    const { fn, all } = runs(made.clock);
    const end = guard(made.targets, 'db', fn);
    made.clock.advance(60);
    all[1]?.succeed();
    await end;
    made.clock.advance(10_000);
    expect(all).to.have.lengthOf(2);
    expectNothingLeft(made);
  });
});
