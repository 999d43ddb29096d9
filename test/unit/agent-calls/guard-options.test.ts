/**
 * What a caller of `guard` may say of a call: which part of the resource it is about, how much it matters, what counts as a failure;
 * and what it inherits from the call that is being answered.
 */
import { expect } from 'chai';
import { type CallContext, withinContext } from '../../../agent/context.js';
import { guard } from '../../../agent/guard.js';
import type { Criticality } from '../../../core/criticality.js';
import { MeshError } from '../../../core/errors.js';
import { runs, serviceError, systemError, told } from '../../support/guarded.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, rejectionOf, settled, work } from '../../support/targets.js';

const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
const broken = new Error('broken');
const fails = () => Promise.reject(broken);
const NEVER = Number.POSITIVE_INFINITY;
const answering = (changes: Partial<CallContext>): CallContext => ({
  deadlineAt: NEVER,
  rank: 1,
  trace: [],
  ...changes,
});

describe('the key of a guarded call', () => {
  it('tells circuits, bulkheads and rates apart where the policy says so', async () => {
    const rateLimit = { rate: 1, perMs: 60_000, burst: 1, scope: 'local', by: 'method' } as const;
    for (const [sections, code] of [
      [{ circuit: { ...circuit, per: 'method' } }, 'circuit_open'],
      [{ bulkhead: bulkheadSpec(1, { per: 'method' }) }, 'bulkhead_full'],
      [{ rateLimit }, 'rate_limited'],
    ] as const) {
      const { targets } = bench(effectiveOf(sections));
      await rejectionOf(guard(targets, 'db', fails, { key: 'a' }));
      const held = work();
      const holding = guard(targets, 'db', held.fn, { key: 'a' }).catch(() => 'refused');
      const refused = await rejectionOf(guard(targets, 'db', async () => 1, { key: 'a' }));
      expect(refused).to.have.property('code', code);
      expect(await guard(targets, 'db', async () => 1, { key: 'b' })).to.equal(1);
      expect(await guard(targets, 'db', async () => 1)).to.equal(1);
      held.succeed();
      await holding;
    }
  });

  it('changes nothing where the policy protects the resource as a whole', async () => {
    const { targets } = bench(effectiveOf({ circuit }));
    await rejectionOf(guard(targets, 'db', fails, { key: 'a' }));
    expect(await rejectionOf(guard(targets, 'db', async () => 1, { key: 'b' }))).to.have.property(
      'code',
      'circuit_open',
    );
    expect(targets.circuits()).to.have.lengthOf(1);
  });

  it('may be what objects have as well, and 256 characters long', async () => {
    const { targets } = bench(effectiveOf({ circuit: { ...circuit, per: 'method' } }));
    for (const key of ['__proto__', 'constructor', '|', 'a|b', 'k'.repeat(256)]) {
      await rejectionOf(guard(targets, 'db', fails, { key }));
      expect(targets.circuit('db', key).state).to.equal('open');
    }
    expect(await guard(targets, 'db', async () => 1)).to.equal(1);
  });

  for (const key of [7, null, {}, 'k'.repeat(257)])
    it(`is refused where it is ${typeof key === 'string' ? 'too long' : JSON.stringify(key)}, and nothing runs`, async () => {
      const { targets } = bench(effectiveOf({ circuit }));
      const held = work();
      const error = await rejectionOf(guard(targets, 'db', held.fn, { key: key as string }));
      expect(error).to.have.property(
        'message',
        '[invalid_configuration] guard: the key must be a text of at most 256 characters',
      );
      expect([held.started(), targets.size]).to.deep.equal([0, 0]);
    });
});

describe('an option of the wrong kind', () => {
  const cases: readonly [string, unknown][] = [
    ['fallback must be a function', { fallback: 'cache' }],
    ['fallback must be a function', { fallback: null }],
    ['isFailure must be a function', { isFailure: true }],
    ['signal must be an AbortSignal', { signal: {} }],
    ['signal must be an AbortSignal', { signal: null }],
    ['signal must be an AbortSignal', { signal: new AbortController() }],
  ];
  for (const [what, options] of cases)
    it(`is refused before anything runs: ${JSON.stringify(options)}`, async () => {
      const { targets } = bench(effectiveOf({ circuit }));
      const held = work();
      const error = await rejectionOf(guard(targets, 'db', held.fn, options as never));
      expect(error).to.have.property('message', `[invalid_configuration] guard: ${what}`);
      expect([held.started(), targets.size]).to.deep.equal([0, 0]);
    });
});

describe('the criticality of a guarded call', () => {
  const shares = { critical: 0.5, sheddable: 0.5 };

  /** With two slots, one for critical calls and one for sheddable ones: of which class is this call? */
  async function classOf(
    call: (made: Bench, fn: () => Promise<string>) => Promise<unknown>,
  ): Promise<string> {
    const made = bench(effectiveOf({ bulkhead: bulkheadSpec(2, { shares }) }));
    const { fn, all } = runs(made.clock);
    const demand = (criticality: Criticality) =>
      guard(made.targets, 'db', fn, { criticality }).catch(() => 'refused');
    // Each class wants its part, so nothing is lent.
    const calls = [demand('critical'), demand('sheddable')];
    all[0]?.succeed();
    await calls[0];
    const code = await Promise.race([
      call(made, async () => 'critical').catch(() => 'another'),
      settled().then(() => 'hangs'),
    ]);
    all[1]?.succeed();
    await calls[1];
    return String(code);
  }

  it('decides whose part of a bulkhead it may use; without a word it is critical', async () => {
    expect(await classOf(({ targets }, fn) => guard(targets, 'db', fn))).to.equal('critical');
    expect(
      await classOf(({ targets }, fn) => guard(targets, 'db', fn, { criticality: 'critical' })),
    ).to.equal('critical');
    expect(
      await classOf(({ targets }, fn) => guard(targets, 'db', fn, { criticality: 'sheddable' })),
    ).to.equal('another');
  });

  /** The place in line that a call gets says how much it matters. */
  async function order(calls: readonly ((made: Bench, name: string) => void)[]): Promise<string[]> {
    const made = bench(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 10 }) }));
    const held = work();
    const holding = guard(made.targets, 'db', held.fn);
    for (const [i, call] of calls.entries()) call(made, String(i));
    held.succeed();
    await holding;
    for (let i = 0; i < 10; i++) await settled();
    return ran.splice(0);
  }
  const ran: string[] = [];
  const call = (criticality?: Criticality, context?: Partial<CallContext>) => (made: Bench, name: string) => {
    const options = criticality === undefined ? undefined : { criticality };
    const make = () => void guard(made.targets, 'db', () => void ran.push(name), options);
    if (context) withinContext(answering(context), make);
    else make();
  };

  it('decides who goes first in line', async () => {
    const calls = [call('sheddable'), call('sheddable-plus'), call(), call('critical-plus')];
    expect(await order(calls)).to.deep.equal(['3', '2', '1', '0']);
  });

  it('is that of the call being answered, if it says nothing', async () => {
    const calls = [call(undefined, { rank: 3 }), call(), call(undefined, { rank: 0 })];
    expect(await order(calls)).to.deep.equal(['2', '1', '0']);
  });

  it('may only be lowered on the way', async () => {
    const calls = [call('critical-plus', { rank: 2 }), call('sheddable', { rank: 0 }), call()];
    expect(await order(calls)).to.deep.equal(['2', '0', '1']);
  });

  for (const criticality of ['urgent', '', 1, null, 'CRITICAL'])
    it(`is refused where it is ${JSON.stringify(criticality)}, and nothing runs`, async () => {
      const { targets } = bench();
      const held = work();
      const options = { criticality: criticality as Criticality };
      const error = (await rejectionOf(guard(targets, 'db', held.fn, options))) as MeshError;
      expect(error.code).to.equal('invalid_configuration');
      expect(error.message).to.contain('use critical-plus, critical, sheddable-plus, sheddable');
      expect(held.started()).to.equal(0);
    });
});

describe('what was thrown counts', () => {
  const counts = async (thrown: unknown, sections: object, isFailure?: (error: unknown) => boolean) => {
    const { targets } = bench(effectiveOf({ circuit, ...sections }));
    await rejectionOf(guard(targets, 'db', () => Promise.reject(thrown), { isFailure }));
    const { ok, failed, neutral } = targets.get('db').tally;
    expect(targets.permitsOut).to.equal(0);
    return ok > 0 ? 'success' : failed > 0 ? 'failure' : neutral > 0 ? 'neutral' : 'nothing';
  };

  for (const outcome of ['success', 'neutral', 'failure'] as const)
    it(`as a ${outcome} where the policy classifies its code, its name, its cause’s code or its status so`, async () => {
      for (const [word, thrown] of [
        ['ER_DUP', systemError('ER_DUP')],
        ['NotFoundError', Object.assign(new Error('x'), { name: 'NotFoundError' })],
        ['ECONNRESET', new TypeError('fetch failed', { cause: systemError('ECONNRESET') })],
        ['INTERNAL', serviceError(13)],
        ['NOT_FOUND', serviceError(5)],
      ] as const)
        expect(await counts(thrown, { classify: { [word]: outcome, OTHER: 'failure' } })).to.equal(outcome);
    });

  it('as usual where the policy says nothing of it, or names what every object has', async () => {
    const classify = { OTHER: 'neutral' } as const;
    for (const thrown of [broken, undefined, 7, systemError('constructor'), serviceError(14)])
      expect(await counts(thrown, { classify })).to.equal('failure');
    expect(await counts(serviceError(5), { classify })).to.equal('success');
  });

  it('as the caller’s predicate says, which has the last word', async () => {
    const classify = { ER_DUP: 'failure' } as const;
    expect(await counts(systemError('ER_DUP'), { classify }, () => false)).to.equal('success');
    expect(await counts(serviceError(5), {}, () => true)).to.equal('failure');
    expect(await counts(broken, {}, (error) => error !== broken)).to.equal('success');
  });

  it('as neutral whatever they say, where it never left this process', async () => {
    const rejected = new MeshError('rate_limited', 'within');
    expect(await counts(rejected, { classify: { rate_limited: 'failure' } }, () => true)).to.equal('neutral');
  });

  it('as usual where the predicate throws, and the call ends', async () => {
    const predicate = () => {
      throw new Error('the predicate');
    };
    expect(await counts(broken, {}, predicate)).to.equal('failure');
    expect(await counts(serviceError(5), {}, predicate)).to.equal('success');
  });

  it('as usual where its properties can’t be read', async () => {
    const hostile = {
      get code() {
        throw new Error('no code');
      },
    };
    expect(await counts(hostile, { classify: { X: 'success' } })).to.equal('failure');
    const metadata = {
      get get() {
        throw new Error('no get');
      },
    };
    expect(await counts({ code: 14, metadata }, { classify: { X: 'success' } })).to.equal('failure');
  });
});

describe('a guarded call within one that is being answered', () => {
  it('has no more time than that one', async () => {
    const { clock, targets } = bench(effectiveOf({ circuit, timeout: 800 }));
    const { fn, all } = runs(clock);
    const end = rejectionOf(withinContext(answering({ deadlineAt: 1_300 }), () => guard(targets, 'db', fn)));
    expect(all[0]?.context.deadline).to.equal(clock.wallNow() + 300);
    const signal = all[0]?.context.signal;
    clock.advance(300);
    expect(await end).to.have.property(
      'message',
      '[deadline_exceeded] db: the call that this one is part of ran out of time',
    );
    expect([signal?.aborted, targets.get('db').tally.timeouts, targets.get('db').tally.failed]).to.deep.equal(
      [true, 0, 1],
    );
  });

  it('keeps its policy’s limit where that is shorter', async () => {
    const { clock, targets } = bench(effectiveOf({ timeout: 100 }));
    const { fn } = runs(clock);
    const end = rejectionOf(withinContext(answering({ deadlineAt: 1_300 }), () => guard(targets, 'db', fn)));
    clock.advance(100);
    expect(await end).to.have.property(
      'message',
      '[deadline_exceeded] db: no answer within 100 ms (policy inventory-default@7)',
    );
  });

  it('does not begin where the time is over, and is no failure of anybody', async () => {
    const decisions = told();
    const { targets } = bench(effectiveOf({ circuit, bulkhead: bulkheadSpec(1) }), { decisions });
    const held = work();
    const end = withinContext(answering({ deadlineAt: 1_000 }), () => guard(targets, 'db', held.fn));
    expect(await rejectionOf(end)).to.have.property(
      'message',
      '[deadline_exceeded] db: the deadline was over before the call began',
    );
    expect([held.started(), targets.permitsOut, targets.circuit('db').state]).to.deep.equal([0, 0, 'closed']);
    expect(targets.get('db').tally).to.include({ failed: 0, rejected: 1 });
    expect(decisions.words).to.deep.equal(['reject deadline_exceeded']);
  });

  it('says the same of its time in line', async () => {
    const { clock, targets } = bench(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
    const held = work();
    const holding = guard(targets, 'db', held.fn);
    const end = rejectionOf(
      withinContext(answering({ deadlineAt: 1_100 }), () => guard(targets, 'db', async () => 1)),
    );
    clock.advance(100);
    expect(await end).to.have.property('code', 'deadline_exceeded');
    held.succeed();
    await holding;
    expect(targets.permitsOut).to.equal(0);
  });
});
