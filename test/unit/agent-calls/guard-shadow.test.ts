/**
 * `guard` and policies in shadow: they run beside the real calls, tell what they would have done, and change nothing.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { EngineOptions } from '../../../agent/guarded-function.js';
import type { FallbackSpec, Sections } from '../../../core/policy/model.js';
import { type Run, runs, serviceError, systemError, told } from '../../support/guarded.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, settled } from '../../support/targets.js';

type Given = { [S in keyof Sections]: NonNullable<Sections[S]> };

const shadowOf = (sections: Given) => effectiveOf(sections, { policy: 'in-shadow', revision: 3 });
const broken = new Error('broken');
const circuit = circuitSpec({ minimumCalls: 2, failureRate: 1 });
const rateLimit = { rate: 1, perMs: 60_000, burst: 2, scope: 'local', by: 'service' } as const;

function shadowed(shadow: Given, enforced: Given = {}) {
  const decisions = told();
  const made = bench(effectiveOf(enforced), { decisions, shadow: shadowOf(shadow) });
  const { fn, all } = runs(made.clock);
  const call = (options = {}) => guard(made.targets, 'db', fn, options).catch((error: unknown) => error);
  return { ...made, made, decisions, all, call, would: () => made.targets.get('db').tally.would };
}

/** What every case goes through: four calls side by side for 60 ms, of which two fail, and three more. */
async function traffic(
  call: () => Promise<unknown>,
  all: readonly Run[],
  advance: (ms: number) => void,
): Promise<unknown[]> {
  const calls = [call(), call(), call(), call()];
  advance(60);
  all[0]?.fail(serviceError(14));
  all[1]?.fail(serviceError(14));
  all[2]?.succeed('third');
  all[3]?.fail(serviceError(5));
  await settled();
  for (let i = 4; i < 7; i++) {
    calls.push(call());
    all[i]?.succeed(`${i}`);
    await settled();
  }
  const ends = await Promise.all(calls);
  return ends.map((end) => (end instanceof Error ? end.message : end));
}

const cases: readonly [string, Given, { readonly [kind: string]: number }][] = [
  ['a circuit', { circuit }, { 'would-reject': 3 }],
  ['a bulkhead', { bulkhead: bulkheadSpec(2) }, { 'would-reject': 2 }],
  [
    'a bulkhead with a line, whose places count as room',
    { bulkhead: bulkheadSpec(2, { maxQueue: 1 }) },
    { 'would-reject': 1 },
  ],
  ['a rate', { rateLimit }, { 'would-reject': 5 }],
  ['a timeout', { timeout: 60 }, { 'would-timeout': 4 }],
  ['a timeout of attempts', { attemptTimeout: 50 }, { 'would-timeout': 4 }],
  ['retries', { retry: retrySpec(), idempotent: true }, { 'would-retry': 2 }],
  [
    'hedges',
    { hedge: { delay: { kind: 'fixed', ms: 60 }, extra: 1 }, idempotent: true },
    { 'would-hedge': 4 },
  ],
  ['a fallback', { fallback: [{ kind: 'static', value: 1 }] }, { 'would-degrade': 2 }],
  ['what would do nothing', { timeout: 61, bulkhead: bulkheadSpec(4), circuit: circuitSpec() }, {}],
];

describe('a policy in shadow', () => {
  for (const [what, sections, would] of cases)
    it(`with ${what} only tells, and what becomes of calls is what becomes of them without`, async () => {
      const bare = bench();
      const control = runs(bare.clock);
      const usual = await traffic(
        () => guard(bare.targets, 'db', control.fn).catch((error: unknown) => error),
        control.all,
        (ms) => bare.clock.advance(ms),
      );
      const { all, call, clock, decisions, targets, would: counts } = shadowed(sections);
      expect(await traffic(call, all, (ms) => clock.advance(ms))).to.deep.equal(usual);
      expect(counts()).to.deep.equal(would);
      const sum = Object.values(would).reduce((a, b) => a + b, 0);
      expect(decisions.words).to.have.lengthOf(sum);
      for (const decision of decisions.decisions)
        expect(decision).to.include({ callee: 'db', policy: 'in-shadow', revision: 3 });
      const { ok, failed, rejected } = targets.get('db').tally;
      expect({ ok, failed, rejected }).to.deep.equal({ ok: 5, failed: 2, rejected: 0 });
      expect([targets.permitsOut, targets.shadowPermitsOut]).to.deep.equal([0, 0]);
      targets.close();
      expect(clock.pendingTimers).to.equal(0);
    });

  it('with a hedge by percentile tells once enough calls were timed, also over a change of policies', async () => {
    const hedge = { delay: { kind: 'percentile', p: 0.95 }, extra: 1 } as const;
    const sections = { hedge, idempotent: true };
    const { all, call, clock, decisions, made, would } = shadowed(sections);
    const took = async (ms: number) => {
      const calling = call();
      clock.advance(ms);
      all.at(-1)?.succeed('late');
      expect(await calling).to.equal('late');
    };
    await took(1_000);
    for (let i = 0; i < 19; i++) await took(10);
    expect(would(), 'too few to know what is usual').to.deep.equal({});
    made.apply({}, shadowOf(sections));
    for (let i = 0; i < 10; i++) await took(5);
    await took(1_000);
    expect(would()).to.deep.equal({ 'would-hedge': 1 });
    expect(decisions.words).to.deep.equal(['would-hedge slow']);
  });

  it('shows its circuit as `shadow`, and tells of its transitions as such', async () => {
    const { all, call, made, targets } = shadowed({ circuit });
    for (let i = 0; i < 2; i++) {
      const end = call();
      all[i]?.fail();
      await end;
    }
    expect(targets.circuit('db')).to.include({ state: 'shadow', policy: 'in-shadow', revision: 3, epoch: 2 });
    expect(made.changes).to.have.lengthOf(1);
    expect(made.changes[0]).to.include({ from: 'shadow', to: 'shadow', epoch: 2 });
    expect(made.changes[0]?.reason).to.contain('would be open');
  });

  it('lets an adaptive limit with a line count the places in line as room as well, and keeps no permit', async () => {
    const { all, call, targets, would } = shadowed({
      bulkhead: bulkheadSpec(1, { maxConcurrent: 'auto', maxQueue: 3 }),
    });
    const calls = Array.from({ length: 30 }, () => call());
    const limit = 30 - 3 - (would()['would-reject'] ?? 0);
    expect(limit).to.equal(20);
    for (const run of all) run.succeed();
    await Promise.all(calls);
    expect([targets.permitsOut, targets.shadowPermitsOut]).to.deep.equal([0, 0]);
    const again = Array.from({ length: 20 }, () => call());
    expect(would()['would-reject']).to.equal(7);
    for (const run of all) run.succeed();
    await Promise.all(again);
  });

  it('stands beside what is enforced: each has its own circuit and counts its own', async () => {
    const enforced = circuitSpec({ minimumCalls: 4, failureRate: 1 });
    const { all, call, made, targets, would } = shadowed({ circuit }, { circuit: enforced });
    for (let i = 0; i < 4; i++) {
      const end = call();
      all[i]?.fail();
      await end;
    }
    expect(targets.circuit('db')).to.include({ state: 'open', policy: 'inventory-default' });
    expect(would()).to.deep.equal({ 'would-reject': 2 });
    expect(made.changes.map(({ from, to }) => `${from} > ${to}`)).to.deep.equal([
      'shadow > shadow',
      'closed > open',
    ]);
    expect(await call()).to.have.property('code', 'circuit_open');
    expect(would(), 'what is turned away never reaches the shadow').to.deep.equal({ 'would-reject': 2 });
    expect(targets.circuits()).to.have.lengthOf(2);
  });

  it('hears of attempts however they end: cancelled, out of time, turned away, dropped', async () => {
    const enforced: Given = {
      timeout: 200,
      attemptTimeout: 80,
      bulkhead: bulkheadSpec(3, { maxQueue: 1 }),
      retry: retrySpec({ on: ['UNAVAILABLE', 'DEADLINE_EXCEEDED'] }),
      hedge: { delay: { kind: 'fixed', ms: 30 }, extra: 2 },
      idempotent: true,
    };
    const { all, call, clock, targets } = shadowed(
      { circuit, bulkhead: bulkheadSpec(2), rateLimit },
      enforced,
    );
    const controller = new AbortController();
    const calls = [call({ signal: controller.signal }), call(), call(), call(), call()];
    clock.advance(40);
    controller.abort('left');
    all[1]?.fail();
    await settled();
    clock.advance(40);
    all[3]?.succeed();
    await settled();
    clock.advance(1_000);
    await Promise.all(calls);
    expect([targets.permitsOut, targets.shadowPermitsOut]).to.deep.equal([0, 0]);
    targets.close();
    expect(clock.pendingTimers).to.equal(0);
  });

  it('that is taken away while calls are under way leaves nothing of itself', async () => {
    const { all, call, made, targets, would } = shadowed({ circuit, bulkhead: bulkheadSpec(1) });
    const calls = [call(), call()];
    made.apply({});
    const after = call();
    for (const run of all) run.fail();
    await Promise.all([...calls, after]);
    expect(targets.shadowPermitsOut).to.equal(0);
    expect([targets.circuits(), made.changes, targets.circuit('db').state]).to.deep.equal([
      [],
      [],
      'disabled',
    ]);
    expect(would()).to.deep.equal({ 'would-reject': 1 });
    expect(targets.get('db').plain).to.equal(true);
  });

  it('that becomes enforced begins with a circuit of its own', async () => {
    const { all, call, made, targets } = shadowed({ circuit });
    for (let i = 0; i < 2; i++) {
      const end = call();
      all[i]?.fail();
      await end;
    }
    made.apply(shadowOf({ circuit }));
    expect(targets.circuit('db')).to.include({ state: 'closed', policy: 'in-shadow' });
    for (let i = 2; i < 4; i++) {
      const end = call();
      all[i]?.fail();
      await end;
    }
    expect(await rejectionOf(guard(targets, 'db', async () => 1))).to.have.property('code', 'circuit_open');
  });

  it('is blamed for what its own sections refuse, whichever of them says `overloaded`', async () => {
    const admission = {
      value: { successRate: 0.95, maxRejection: 0.8, windowMs: 10_000 },
      source: { policy: 'admits', revision: 1 },
    };
    const bulkhead = {
      value: bulkheadSpec(1, { maxConcurrent: 'auto' }),
      source: { policy: 'bounds', revision: 2 },
    };
    const decisions = told();
    const made = bench({}, { decisions, shadow: { admission, bulkhead } });
    const { fn, all } = runs(made.clock);
    const calls = Array.from({ length: 21 }, () => guard(made.targets, 'db', fn).catch(() => 'failed'));
    expect(decisions.decisions).to.have.lengthOf(1);
    expect(decisions.decisions[0]).to.include({ kind: 'would-reject', code: 'overloaded', policy: 'bounds' });
    for (const run of all) run.fail();
    await Promise.all(calls);
    await guard(made.targets, 'db', async () => 1);
    expect(decisions.decisions.at(-1)).to.include({
      kind: 'would-reject',
      code: 'overloaded',
      policy: 'admits',
    });
  });

  describe('tells of no further attempt that would not be made', () => {
    const hedge = { delay: { kind: 'fixed', ms: 10 }, extra: 1 } as const;
    const cases: readonly [string, Given, Given, unknown, EngineOptions<string>, object][] = [
      ['as it is not idempotent', { retry: retrySpec(), hedge }, {}, serviceError(14), {}, {}],
      [
        'but for what was never sent',
        { retry: retrySpec(), hedge },
        {},
        systemError('ECONNREFUSED'),
        {},
        { 'would-retry': 1 },
      ],
      [
        'which is for the caller to say as well',
        { retry: retrySpec() },
        {},
        broken,
        { unsent: () => true },
        { 'would-retry': 1 },
      ],
      [
        'nor fewer where what is enforced calls it idempotent',
        { retry: retrySpec(), hedge },
        { idempotent: true },
        serviceError(14),
        {},
        { 'would-hedge': 1, 'would-retry': 1 },
      ],
      [
        'as it is itself what says that it is not',
        { retry: retrySpec(), hedge, idempotent: false },
        { idempotent: true },
        serviceError(14),
        {},
        {},
      ],
      [
        'as its body can be sent once',
        { retry: retrySpec(), hedge, idempotent: true },
        {},
        serviceError(14),
        { repeatable: false },
        {},
      ],
      [
        'as one is all',
        { retry: retrySpec({ attempts: 1 }), idempotent: true },
        {},
        serviceError(14),
        {},
        {},
      ],
    ];
    for (const [what, shadow, enforced, error, options, would] of cases)
      it(what, async () => {
        const { all, call, clock, would: counts } = shadowed(shadow, enforced);
        const end = call(options);
        clock.advance(20);
        all[0]?.fail(error);
        await end;
        expect(counts()).to.deep.equal(would);
      });
  });

  it('names the first entry of a fallback that could answer, if there is one', async () => {
    const chain: FallbackSpec[] = [
      { kind: 'cache', maxAgeMs: 1_000 },
      { kind: 'target', to: 'other' },
      { kind: 'handler', name: 'last' },
    ];
    for (const [options, registered, code] of [
      [{ key: 'k' }, true, 'cache'],
      [{ elsewhere: async () => undefined }, true, 'target'],
      [{}, true, 'handler'],
      [{}, false, undefined],
    ] as const) {
      const { all, call, decisions, made } = shadowed({ fallback: chain });
      if (registered) made.targets.handlers.set('last', () => 1);
      const end = call(options);
      all[0]?.fail();
      await end;
      expect(decisions.decisions[0]?.code).to.equal(code);
      expect(made.warnings, 'nobody is told that a function is missing').to.deep.equal([]);
    }
  });
});
