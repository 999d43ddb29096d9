/**
 * `guard` and fallbacks: what is answered in place of a failure, in which order, when not, and what it may hold meanwhile.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { expect } from 'chai';
import { withinContext } from '../../../agent/context.js';
import { guard } from '../../../agent/guard.js';
import type { MeshError } from '../../../core/errors.js';
import type { FallbackSpec, Sections } from '../../../core/policy/model.js';
import { outcomeOf, runs, serviceError, told } from '../../support/guarded.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, rejectionOf, settled, work } from '../../support/targets.js';

type Given = { [S in keyof Sections]: NonNullable<Sections[S]> };

const falls = (fallback: readonly FallbackSpec[], more: Given = {}) => effectiveOf({ fallback, ...more });
const cache: FallbackSpec = { kind: 'cache', maxAgeMs: 60_000 };
const fixed: FallbackSpec = { kind: 'static', value: { items: [] } };
const handler: FallbackSpec = { kind: 'handler', name: 'lastKnown' };
const chosen: FallbackSpec = { kind: 'error', status: 'UNAVAILABLE', message: 'come back later' };
const broken = new Error('broken');
const fails = () => Promise.reject(broken);
const never = () => new Promise<never>(() => undefined);

function expectNothingLeft({ targets, clock }: Bench): void {
  expect(targets.permitsOut, 'permits').to.equal(0);
  expect(targets.get('db').surround?.slots?.inUse, 'slots').to.equal(0);
  clock.advance(3_600_000);
  targets.close();
  expect(clock.pendingTimers, 'timers').to.equal(0);
}

describe('a guarded call that fails', () => {
  it('is answered by the first entry of the chain that has something to say', async () => {
    const decisions = told();
    const made = bench(falls([cache, handler, fixed]), { decisions });
    expect(await guard<unknown>(made.targets, 'db', fails)).to.deep.equal({ items: [] });
    made.targets.handlers.set('lastKnown', () => 'handled');
    expect(await guard<unknown>(made.targets, 'db', fails)).to.equal('handled');
    await guard<unknown>(made.targets, 'db', async () => 'fresh', { key: 'a' });
    expect(await guard<unknown>(made.targets, 'db', fails, { key: 'a' })).to.equal('fresh');
    expect(made.targets.get('db').tally.degraded).to.deep.equal({ static: 1, handler: 1 });
    expect(made.targets.get('db', 'a').tally.degraded).to.deep.equal({ cache: 1 });
    expect(decisions.words).to.deep.equal(['degrade static', 'degrade handler', 'degrade cache']);
    expect(decisions.decisions[0]).to.include({
      policy: 'inventory-default',
      revision: 7,
      text: 'static; Error',
    });
    expectNothingLeft(made);
  });

  it('fails as it did where no entry has anything to say', async () => {
    const made = bench(falls([cache, handler]));
    expect(await rejectionOf(guard(made.targets, 'db', fails))).to.equal(broken);
    expect(made.targets.get('db').tally.degraded).to.deep.equal({});
    expectNothingLeft(made);
  });

  it('still counts as a failure of its target', async () => {
    const made = bench(falls([fixed], { circuit: circuitSpec({ minimumCalls: 1, failureRate: 1 }) }));
    await guard<unknown>(made.targets, 'db', fails);
    expect(made.targets.circuit('db').state).to.equal('open');
    expect(await guard<unknown>(made.targets, 'db', fails)).to.deep.equal({ items: [] });
    expect(made.targets.get('db').tally).to.include({ failed: 1, rejected: 1 });
  });

  it('is answered where it was refused or ran out of time as well, and its retries come first', async () => {
    const decisions = told();
    const more = { bulkhead: bulkheadSpec(1), timeout: 100, retry: retrySpec(), idempotent: true };
    const made = bench(falls([fixed], more), { decisions });
    const hangs = guard<unknown>(made.targets, 'db', never);
    expect(await guard<unknown>(made.targets, 'db', never)).to.deep.equal({ items: [] });
    made.clock.advance(100);
    expect(await hangs).to.deep.equal({ items: [] });
    await outcomeOf(made.clock, guard<unknown>(made.targets, 'db', fails), 10);
    const texts = decisions.decisions.filter(({ kind }) => kind === 'degrade').map(({ text }) => text);
    expect(texts).to.deep.equal(['static; bulkhead_full', 'static; deadline_exceeded', 'static; Error']);
    expect(made.targets.get('db').tally.retries).to.equal(2);
    expectNothingLeft(made);
  });

  it('keeps a proper refusal: that is an answer', async () => {
    const made = bench(falls([fixed]));
    const refused = serviceError(5);
    expect(await rejectionOf(guard(made.targets, 'db', () => Promise.reject(refused)))).to.equal(refused);
  });

  it('of what a callee shed is answered', async () => {
    const made = bench(falls([fixed]));
    const shed = serviceError(8, { 'switchgear-reject': ['overloaded'] });
    expect(await guard<unknown>(made.targets, 'db', () => Promise.reject(shed))).to.deep.equal({ items: [] });
  });
});

describe('the fallback `cache`', () => {
  it('keeps the last good answer of each key, and nothing without one', async () => {
    const made = bench(falls([cache]));
    for (const [key, value] of [
      ['a', 1],
      ['a', 2],
      ['b', 3],
    ] as const)
      await guard(made.targets, 'db', async () => value, { key });
    await guard(made.targets, 'db', async () => 4);
    expect(made.targets.responses.size).to.equal(2);
    expect(await guard<unknown>(made.targets, 'db', fails, { key: 'a' })).to.equal(2);
    expect(await guard<unknown>(made.targets, 'db', fails, { key: 'b' })).to.equal(3);
    for (const options of [{ key: 'c' }, {}])
      expect(await rejectionOf(guard(made.targets, 'db', fails, options))).to.equal(broken);
    expect(await rejectionOf(guard(made.targets, 'other', fails, { key: 'a' }))).to.equal(broken);
  });

  it('answers what is no older than its `maxAge`', async () => {
    const made = bench(falls([cache]));
    await guard(made.targets, 'db', async () => 1, { key: 'a' });
    made.clock.advance(60_000);
    expect(await guard<unknown>(made.targets, 'db', fails, { key: 'a' })).to.equal(1);
    made.clock.advance(1);
    expect(await rejectionOf(guard(made.targets, 'db', fails, { key: 'a' }))).to.equal(broken);
  });

  it('is not fed by a fallback', async () => {
    const made = bench(falls([cache, fixed]));
    await guard<unknown>(made.targets, 'db', fails, { key: 'a' });
    expect(made.targets.responses.size).to.equal(0);
  });

  it('keeps a thousand answers, the least recently used out', async () => {
    const made = bench(falls([cache]), { maxKeys: 2_000 });
    for (let i = 0; i < 1_001; i++) await guard(made.targets, 'db', async () => i, { key: `key ${i}` });
    expect(made.targets.responses.size).to.equal(1_000);
    expect(await rejectionOf(guard(made.targets, 'db', fails, { key: 'key 0' }))).to.equal(broken);
    expect(await guard<unknown>(made.targets, 'db', fails, { key: 'key 1' })).to.equal(1);
  });
});

describe('the fallback `static`', () => {
  it('is a fresh copy each time', async () => {
    const made = bench(falls([fixed]));
    const first = (await guard<unknown>(made.targets, 'db', fails)) as { items: number[] };
    first.items.push(1);
    expect(await guard<unknown>(made.targets, 'db', fails)).to.deep.equal({ items: [] });
  });
});

describe('the fallback `handler`', () => {
  it('is told which call failed and how, in the context of its caller', async () => {
    const storage = new AsyncLocalStorage<string>();
    const made = bench(falls([handler], { timeout: 100 }));
    const seen: unknown[] = [];
    made.targets.handlers.set('lastKnown', (call) => {
      seen.push(call, storage.getStore());
      return 'handled';
    });
    const end = storage.run('mine', () => guard<unknown>(made.targets, 'db', never, { key: 'k' }));
    storage.run('clock', () => made.clock.advance(100));
    expect(await end).to.equal('handled');
    expect(seen[0]).to.include({ callee: 'db', method: 'k', request: undefined });
    expect((seen[0] as { error: MeshError }).error.code).to.equal('deadline_exceeded');
    expect(seen[1]).to.equal('mine');
  });

  it('finds its caller’s context too where the time was that of the call that this one is part of', async () => {
    const storage = new AsyncLocalStorage<string>();
    const made = bench(falls([handler]));
    made.targets.handlers.set('lastKnown', () => storage.getStore());
    const context = { deadlineAt: 1_100, rank: 1, trace: [] };
    const end = storage.run('mine', () =>
      withinContext(context, () =>
        guard<unknown>(made.targets, 'db', never, { fallback: () => storage.getStore() }),
      ),
    );
    storage.run('clock', () => made.clock.advance(100));
    expect(await end).to.equal('mine');
  });

  it('that nobody has given is skipped, with one warning', async () => {
    const made = bench(falls([handler, fixed]));
    for (let i = 0; i < 3; i++) await guard<unknown>(made.targets, 'db', fails);
    expect(made.warnings).to.have.lengthOf(1);
  });

  for (const [what, fn] of [
    [
      'throws',
      () => {
        throw new Error('the handler');
      },
    ],
    ['rejects', () => Promise.reject(new Error('the handler'))],
    ['has nothing to say', () => undefined],
  ] as const)
    it(`that ${what} passes on to the next entry`, async () => {
      const made = bench(falls([handler, fixed]));
      made.targets.handlers.set('lastKnown', fn);
      expect(await guard<unknown>(made.targets, 'db', fails)).to.deep.equal({ items: [] });
      expectNothingLeft(made);
    });

  it('may answer null', async () => {
    const made = bench(falls([handler, fixed]));
    made.targets.handlers.set('lastKnown', () => null);
    expect(await guard<unknown>(made.targets, 'db', fails)).to.equal(null);
  });
});

describe('the fallback `error`', () => {
  it('is a MeshError with the status, what the policy says, and what happened', async () => {
    const decisions = told();
    const made = bench(falls([cache, chosen]), { decisions });
    const error = (await rejectionOf(
      guard(made.targets, 'db', fails, { fallback: () => 1 as never }),
    )) as MeshError;
    expect(error.message).to.equal(
      '[fallback_error] db: UNAVAILABLE: come back later (policy inventory-default@7)',
    );
    expect(error).to.include({ code: 'fallback_error', target: 'db', cause: broken });
    expect(made.targets.get('db').tally.degraded).to.deep.equal({ error: 1 });
    expect(decisions.words).to.deep.equal(['degrade error']);
    const bare = bench(falls([{ kind: 'error', status: 'ABORTED' }]));
    expect(await rejectionOf(guard(bare.targets, 'db', fails))).to.have.property(
      'message',
      '[fallback_error] db: ABORTED: as its policy says (policy inventory-default@7)',
    );
  });
});

describe('the caller’s own fallback', () => {
  it('comes after the policy’s, is told of the error, and counts', async () => {
    const made = bench(falls([cache]));
    const fallback = (error: unknown) => [error];
    expect(await guard<unknown>(made.targets, 'db', fails, { fallback })).to.deep.equal([broken]);
    expect(made.targets.get('db').tally.degraded).to.deep.equal({ caller: 1 });
    const filled = bench(falls([fixed]));
    expect(await guard<unknown>(filled.targets, 'db', fails, { fallback })).to.deep.equal({ items: [] });
  });

  it('does without any policy, for rejections as well', async () => {
    for (const more of [{}, { circuit: circuitSpec({ minimumCalls: 1, failureRate: 1 }) }, { timeout: 50 }]) {
      const made = bench(effectiveOf(more));
      for (let i = 0; i < 3; i++)
        expect(await guard<unknown>(made.targets, 'db', fails, { fallback: async () => i })).to.equal(i);
      expect(made.targets.permitsOut).to.equal(0);
    }
  });

  it('that throws is what the call rejects with', async () => {
    const made = bench();
    const mine = new Error('mine');
    const fallback = () => {
      throw mine;
    };
    expect(await rejectionOf(guard(made.targets, 'db', fails, { fallback }))).to.equal(mine);
    expect(made.targets.get('db').tally.degraded).to.deep.equal({});
  });

  it('is never asked for its caller’s abort, before, within or during a pause', async () => {
    const made = bench(falls([fixed], { retry: retrySpec(), idempotent: true }));
    for (const [fn, before] of [
      [never, false],
      [never, true],
      [fails, false],
    ] as const) {
      const controller = new AbortController();
      let asked = 0;
      if (before) controller.abort('enough');
      const end = rejectionOf(
        guard<unknown>(made.targets, 'db', fn, { signal: controller.signal, fallback: () => ++asked }),
      );
      await settled();
      controller.abort('enough');
      expect([await end, asked]).to.deep.equal(['enough', 0]);
    }
    expectNothingLeft(made);
  });
});

describe('a fallback that takes long', () => {
  const hanging = (more: Given = {}, chain: readonly FallbackSpec[] = [handler, fixed]) => {
    const made = bench(falls(chain, more));
    const { fn, all } = runs(made.clock);
    made.targets.handlers.set('lastKnown', () =>
      fn({ attempt: 1, deadline: undefined, signal: new AbortController().signal }),
    );
    return { ...made, all };
  };

  it('holds one of ten places; with none free the next entry is tried, and what is at hand needs none', async () => {
    const made = hanging({}, [cache, handler, fixed]);
    await guard<unknown>(made.targets, 'db', async () => 'kept', { key: 'k' });
    const held = Array.from({ length: 10 }, () => guard<unknown>(made.targets, 'db', fails));
    await settled();
    expect(made.targets.get('db').surround?.slots?.inUse).to.equal(10);
    expect(await guard<unknown>(made.targets, 'db', fails)).to.deep.equal({ items: [] });
    expect(await guard<unknown>(made.targets, 'db', fails, { key: 'k' })).to.equal('kept');
    for (const run of made.all) run.succeed();
    expect(await Promise.all(held)).to.deep.equal(Array.from({ length: 10 }, () => 'done'));
    expectNothingLeft(made);
  });

  it('ends after the policy’s `timeout` anew', async () => {
    const made = hanging({ timeout: 200 });
    const end = guard<unknown>(made.targets, 'db', fails);
    await settled();
    made.clock.advance(199);
    expect(made.targets.get('db').surround?.slots?.inUse).to.equal(1);
    made.clock.advance(1);
    expect(await end).to.deep.equal({ items: [] });
    made.all[0]?.fail();
    await settled();
    expectNothingLeft(made);
  });

  it('ends with the deadline of the call that this one is part of', async () => {
    const made = hanging({ timeout: 10_000 });
    const context = { deadlineAt: made.clock.now() + 150, rank: 1, trace: [] };
    const end = withinContext(context, () => guard<unknown>(made.targets, 'db', fails));
    await settled();
    made.clock.advance(150);
    expect(await end).to.deep.equal({ items: [] });
    expectNothingLeft(made);
  });

  it('ends with its caller, and no other entry is tried', async () => {
    const made = hanging();
    const controller = new AbortController();
    let asked = 0;
    const options = { signal: controller.signal, fallback: () => ++asked };
    const end = rejectionOf(guard<unknown>(made.targets, 'db', fails, options));
    await settled();
    controller.abort('enough');
    expect([await end, asked]).to.deep.equal(['enough', 0]);
    expect(getEventListeners(controller.signal, 'abort')).to.have.lengthOf(0);
    expectNothingLeft(made);
  });

  it('of the caller’s own ends with its caller too', async () => {
    const made = bench();
    const controller = new AbortController();
    const end = rejectionOf(guard(made.targets, 'db', fails, { signal: controller.signal, fallback: never }));
    await settled();
    controller.abort('enough');
    expect(await end).to.equal('enough');
    expect(getEventListeners(controller.signal, 'abort')).to.have.lengthOf(0);
  });

  it('ends with the mesh: the call fails as it did', async () => {
    const made = hanging();
    const end = rejectionOf(guard<unknown>(made.targets, 'db', fails));
    await settled();
    made.targets.close();
    expect(await end).to.equal(broken);
    expect(await rejectionOf(guard<unknown>(made.targets, 'db', fails))).to.equal(broken);
    expectNothingLeft(made);
  });

  it('answers once, whatever is heard of the call later', async () => {
    const made = hanging({ timeout: 100 });
    const held = work();
    const end = guard<unknown>(made.targets, 'db', held.fn);
    made.clock.advance(100);
    held.fail();
    await settled();
    expect(made.all).to.have.lengthOf(1);
    made.all[0]?.succeed('fallback');
    expect(await end).to.equal('fallback');
    expect(made.targets.get('db').tally).to.include({ ok: 0, failed: 1 });
    expectNothingLeft(made);
  });
});
