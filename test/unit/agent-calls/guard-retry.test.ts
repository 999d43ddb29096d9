/**
 * `guard` and retries: which failures are followed by another attempt, when, and what ends them.
 */
import { expect } from 'chai';
import { withinContext } from '../../../agent/context.js';
import { guard } from '../../../agent/guard.js';
import { MeshError } from '../../../core/errors.js';
import type { RetrySpec, Sections } from '../../../core/policy/model.js';
import { seededRandom } from '../../../core/random.js';
import { backoffMs } from '../../../core/resilience/backoff.js';
import { outcomeOf, runs, serviceError, systemError, throws, told } from '../../support/guarded.js';
import { retrySpec } from '../../support/retrying.js';
import { circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, settled } from '../../support/targets.js';

type Given = { [S in keyof Sections]: NonNullable<Sections[S]> };

/** Idempotent calls that are tried again. */
function retried(changes: Partial<RetrySpec> = {}, more: Given = {}) {
  return effectiveOf({ retry: retrySpec(changes), idempotent: true, ...more });
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => new Error(`failure ${i + 1}`));
const UNAVAILABLE = 14;

describe('a guarded call that is tried again', () => {
  it('answers what the first attempt that succeeds answers, and tells of each retry', async () => {
    const decisions = told();
    const { clock, targets } = bench(retried(), { decisions });
    const { fn, at } = throws(clock, ...numbered(2));
    expect(await outcomeOf(clock, guard(targets, 'db', fn))).to.deep.equal({ value: 'done' });
    expect(at).to.have.lengthOf(3);
    expect(decisions.words).to.deep.equal(['retry UNAVAILABLE', 'retry UNAVAILABLE']);
    expect(decisions.decisions[0]).to.include({ callee: 'db', policy: 'inventory-default', revision: 7 });
    const { ok, failed, retries } = targets.get('db').tally;
    expect({ ok, failed, retries }).to.deep.equal({ ok: 1, failed: 2, retries: 2 });
  });

  for (const attempts of [1, 2, 5])
    it(`makes ${attempts} attempts where the policy says so, and rejects with the last error`, async () => {
      const decisions = told();
      const { clock, targets } = bench(retried({ attempts }), { decisions });
      const errors = numbered(9);
      const { fn, at } = throws(clock, ...errors);
      const { error } = await outcomeOf(clock, guard(targets, 'db', fn));
      expect([at.length, error]).to.deep.equal([attempts, errors[attempts - 1]]);
      expect(decisions.words.at(-1)).to.equal('give-up attempts');
      expect(targets.permitsOut).to.equal(0);
    });

  it('waits exponentially between attempts, up to the maximum', async () => {
    const { clock, targets } = bench(retried({ attempts: 5, backoff: { baseMs: 100, maxMs: 300 } }));
    const { fn, at } = throws(clock, ...numbered(4));
    const end = outcomeOf(clock, guard(targets, 'db', fn), 10_000);
    expect((await end).value).to.equal('done');
    expect(at).to.deep.equal([1_000, 1_050, 1_150, 1_300, 1_450]);
  });

  it('waits with full jitter, as a seed says', async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const spec = retrySpec({ attempts: 5 });
      const { clock, targets } = bench(retried({ attempts: 5 }), { random: seededRandom(seed) });
      const { fn, at } = throws(clock, ...numbered(4));
      await outcomeOf(clock, guard(targets, 'db', fn), 10_000);
      const same = seededRandom(seed);
      let due = 1_000;
      for (const [i, time] of at.entries()) {
        expect(time).to.equal(due);
        due += backoffMs(spec.backoff, i + 1, same);
      }
      expect(at).to.have.lengthOf(5);
    }
  });

  it('gives each attempt its number and a signal of its own', async () => {
    const { clock, targets } = bench(retried());
    const { fn, all } = runs(clock);
    const end = outcomeOf(clock, guard(targets, 'db', fn));
    const signals: AbortSignal[] = [];
    for (let i = 0; i < 3; i++) {
      while (all.length <= i) await settled();
      const run = all[i];
      if (run) signals.push(run.context.signal);
      if (i < 2) run?.fail();
      else run?.succeed();
    }
    expect((await end).value).to.equal('done');
    expect(all.map(({ attempt }) => attempt)).to.deep.equal([1, 2, 3]);
    expect(new Set(signals).size).to.equal(3);
    expect(signals.map(({ aborted }) => aborted)).to.deep.equal([false, false, false]);
  });

  it('goes on after a function that throws at once, and after one that answers no promise', async () => {
    const { clock, targets } = bench(retried());
    let count = 0;
    const end = guard(targets, 'db', () => {
      if (++count === 1) throw new Error('at once');
      return 'at once';
    });
    expect(await outcomeOf(clock, end)).to.deep.equal({ value: 'at once' });
  });
});

describe('what is tried again', () => {
  const cases: readonly [string, Given, unknown, number, string][] = [
    ['a throw of no status', { idempotent: true }, new Error('broken'), 3, 'attempts'],
    ['a throw of nothing', { idempotent: true }, undefined, 3, 'attempts'],
    ['UNAVAILABLE', { idempotent: true }, serviceError(UNAVAILABLE), 3, 'attempts'],
    ['not a status that `on` leaves out', { idempotent: true }, serviceError(10), 1, 'status'],
    ['not a proper refusal', { idempotent: true }, serviceError(5), 1, 'status'],
    ['nothing without idempotence', {}, new Error('broken'), 1, 'not-idempotent'],
    [
      'nothing that was told not to be idempotent',
      { idempotent: false },
      new Error('x'),
      1,
      'not-idempotent',
    ],
    [
      'what a callee shed',
      { idempotent: true },
      serviceError(14, { 'switchgear-reject': ['overloaded'] }),
      1,
      'shed',
    ],
    [
      'not a rejection of a guard within',
      { idempotent: true },
      new MeshError('circuit_open', 'x'),
      1,
      'rejected',
    ],
    [
      'not that a guard within ran out of time',
      { idempotent: true },
      new MeshError('deadline_exceeded', 'x'),
      1,
      'status',
    ],
  ];
  for (const [what, more, error, attempts, why] of cases)
    it(`${attempts > 1 ? 'is' : 'is, if anything,'} ${what}: ${attempts} attempts`, async () => {
      const decisions = told();
      const { clock, targets } = bench(effectiveOf({ retry: retrySpec(), ...more }), { decisions });
      const { fn, at } = throws(clock, ...Array.from({ length: 9 }, () => error));
      expect((await outcomeOf(clock, guard(targets, 'db', fn))).error).to.equal(error);
      // A proper refusal that nobody meant to try again is no news.
      const last = why === 'status' ? undefined : `give-up ${why}`;
      expect([at.length, decisions.words.at(-1)]).to.deep.equal([attempts, last]);
    });

  it('is what `on` names, and not UNAVAILABLE where it does not', async () => {
    for (const [code, attempts] of [
      [10, 3],
      [4, 3],
      [14, 1],
    ] as const) {
      const { clock, targets } = bench(retried({ on: ['ABORTED', 'DEADLINE_EXCEEDED'] }));
      const { fn, at } = throws(clock, ...Array.from({ length: 9 }, () => serviceError(code)));
      await outcomeOf(clock, guard(targets, 'db', fn));
      expect(at).to.have.lengthOf(attempts);
    }
  });

  for (const code of ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])
    it(`is, without idempotence, what was provably never sent: ${code}`, async () => {
      for (const error of [systemError(code), new TypeError('fetch failed', { cause: systemError(code) })]) {
        const { clock, targets } = bench(effectiveOf({ retry: retrySpec() }));
        const { fn, at } = throws(clock, error, error, error, error);
        await outcomeOf(clock, guard(targets, 'db', fn));
        expect(at).to.have.lengthOf(3);
      }
    });

  it('is not what may have been sent, without idempotence: ECONNRESET', async () => {
    const { clock, targets } = bench(effectiveOf({ retry: retrySpec() }));
    const { fn, at } = throws(clock, systemError('ECONNRESET'));
    expect((await outcomeOf(clock, guard(targets, 'db', fn))).error).to.have.property('code', 'ECONNRESET');
    expect(at).to.have.lengthOf(1);
  });
});

describe('what a callee says of trying again', () => {
  const pushback = (...values: string[]) => serviceError(UNAVAILABLE, { 'grpc-retry-pushback-ms': values });

  it('is waited for to the millisecond, and begins the backoff anew', async () => {
    const { clock, targets } = bench(retried({ attempts: 5, backoff: { baseMs: 100, maxMs: 300 } }));
    const { fn, at } = throws(clock, new Error('x'), new Error('x'), pushback('1234'), new Error('x'));
    await outcomeOf(clock, guard(targets, 'db', fn), 10_000);
    expect(at).to.deep.equal([1_000, 1_050, 1_150, 2_384, 2_434]);
  });

  it('of no wait at all is done at once', async () => {
    const { clock, targets } = bench(retried());
    const { fn, at } = throws(clock, pushback('0'));
    await outcomeOf(clock, guard(targets, 'db', fn), 10_000);
    expect(at).to.deep.equal([1_000, 1_000]);
  });

  for (const values of [['-1'], ['soon'], [''], ['1', '2']])
    it(`means don't where it reads ${JSON.stringify(values)}`, async () => {
      const decisions = told();
      const { clock, targets } = bench(retried(), { decisions });
      const { fn, at } = throws(clock, pushback(...values));
      await outcomeOf(clock, guard(targets, 'db', fn));
      expect([at.length, decisions.words.at(-1)]).to.deep.equal([1, 'give-up pushback']);
    });

  it('in metadata that throws is as if it said nothing', async () => {
    const { clock, targets } = bench(retried());
    const hostile = {
      code: UNAVAILABLE,
      metadata: {
        get: () => {
          throw new Error('no metadata');
        },
      },
    };
    const { fn, at } = throws(clock, hostile);
    expect(await outcomeOf(clock, guard(targets, 'db', fn))).to.deep.equal({ value: 'done' });
    expect(at).to.have.lengthOf(2);
  });
});

describe('the budget of a callee and policy', () => {
  it('is shared by its calls: with few under way three may be tried again at a time', async () => {
    const decisions = told();
    const { clock, targets } = bench(retried({ attempts: 2, budget: 0 }), { decisions });
    const slow = () => Promise.reject(new Error('broken'));
    const calls = Array.from({ length: 5 }, () => rejectionOf(guard(targets, 'db', slow)));
    const elsewhere = rejectionOf(guard(targets, 'other', slow));
    await settled();
    expect(decisions.words.filter((word) => word === 'give-up budget')).to.have.lengthOf(2);
    expect(
      decisions.decisions.filter(({ kind, callee }) => kind === 'retry' && callee === 'other'),
    ).to.have.lengthOf(1);
    expect(targets.get('db').surround?.budget).to.include({ extras: 3, active: 3 });
    clock.advance(1_000);
    await Promise.all([...calls, elsewhere]);
    expect(targets.get('db').surround?.budget).to.include({ extras: 0, active: 0 });
  });

  it('grows with the calls under way', async () => {
    const { clock, targets } = bench(retried({ attempts: 2, budget: 0.5 }));
    const { fn, all } = runs(clock);
    const calls = Array.from({ length: 20 }, () => guard(targets, 'db', fn).catch(() => 'failed'));
    for (const run of all.slice(0, 5)) run.fail();
    await settled();
    expect(targets.get('db').surround?.budget).to.include({ extras: 4, active: 20 - 1 });
    clock.advance(1_000);
    for (let i = 0; i < 3; i++) {
      for (const run of all) run.succeed();
      await settled();
    }
    await Promise.all(calls);
    expect(targets.get('db').surround?.budget).to.include({ extras: 0, active: 0 });
  });

  it('throttles: half the tokens gone, nothing is tried again until successes give them back', async () => {
    const decisions = told();
    const { clock, targets } = bench(retried({ attempts: 2 }), { decisions });
    let attempts = 0;
    const dead = () => {
      attempts++;
      throw new Error('dead');
    };
    for (let i = 0; i < 10; i++) await outcomeOf(clock, guard(targets, 'db', dead));
    expect([attempts, decisions.words.at(-1)]).to.deep.equal([12, 'give-up throttled']);
    for (let i = 0; i < 90; i++) await guard(targets, 'db', async () => 1);
    await outcomeOf(clock, guard(targets, 'db', dead));
    expect(attempts).to.equal(14);
  });

  it('counts a call within one that is a retry of somebody above, from its begin to its end', async () => {
    const { clock, targets } = bench(retried());
    const { fn, all } = runs(clock);
    const above = { deadlineAt: Number.POSITIVE_INFINITY, rank: 1, trace: [], upstreamRetry: true } as const;
    for (const end of ['succeed', 'fail'] as const) {
      const call = withinContext(above, () => guard(targets, 'db', fn)).catch(() => 'failed');
      expect(targets.get('db').surround?.budget).to.include({ extras: 1, active: 1 });
      if (end === 'succeed') all.at(-1)?.succeed();
      else all.at(-1)?.fail(serviceError(5));
      await call;
      expect(targets.get('db').surround?.budget).to.include({ extras: 0, active: 0 });
    }
    expect(targets.get('db').surround?.budget?.tokens).to.be.below(9);
  });
});

describe('the circuit of a call that is tried again', () => {
  it('hears of every attempt', async () => {
    const circuit = circuitSpec({ window: { kind: 'count', calls: 3 }, minimumCalls: 3, failureRate: 1 });
    const { clock, targets } = bench(retried({}, { circuit }));
    const { fn } = throws(clock, ...numbered(3));
    await outcomeOf(clock, guard(targets, 'db', fn));
    expect(targets.circuit('db').state).to.equal('open');
  });

  it('hears nothing of what the callee shed', async () => {
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
    const { clock, targets } = bench(retried({}, { circuit }));
    const { fn } = throws(clock, serviceError(14, { 'switchgear-reject': ['overloaded'] }));
    await outcomeOf(clock, guard(targets, 'db', fn));
    expect([targets.circuit('db').state, targets.get('db').tally.neutral]).to.deep.equal(['closed', 1]);
  });
});
