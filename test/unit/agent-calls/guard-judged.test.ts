/**
 * Guarded calls whose failures are values, as HTTP responses are: what a judgement does to them, and who gets or gives up which value.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { EngineOptions, GuardContext, Judgement } from '../../../agent/guarded-function.js';
import { MeshError } from '../../../core/errors.js';
import type { Sections } from '../../../core/policy/model.js';
import { type Told, told } from '../../support/guarded.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, settled, work } from '../../support/targets.js';

type Given = { [S in keyof Sections]: NonNullable<Sections[S]> };

interface Reply {
  readonly status: number;
}

const failure: Judgement = {
  outcome: 'failure',
  status: 'UNAVAILABLE',
  shed: false,
  pushback: [],
  text: 'answered 503',
};
const retries: Given = {
  retry: retrySpec({ attempts: 3, backoff: { baseMs: 200, maxMs: 200 } }),
  idempotent: true,
};
const reply = (status: number): Reply => ({ status });

function judged(sections: Given, decisions?: Told) {
  const made = bench(effectiveOf(sections), decisions === undefined ? {} : { decisions });
  const discarded: Reply[] = [];
  const options: EngineOptions<Reply> = {
    judge: ({ status }) => (status < 500 ? undefined : failure),
    discard: (value) => void discarded.push(value),
  };
  return { ...made, made, discarded, options };
}

describe('an answer that is judged a failure', () => {
  it('counts as one, and is answered where nothing follows', async () => {
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
    const { discarded, options, targets } = judged({ circuit });
    const last = reply(503);
    expect(await guard(targets, 'db', async () => last, options)).to.equal(last);
    expect([targets.circuit('db').state, discarded]).to.deep.equal(['open', []]);
  });

  it('is given up for the next attempt, and the last one is answered', async () => {
    const { clock, discarded, options, targets } = judged(retries);
    const replies = [reply(501), reply(502), reply(503)];
    let attempts = 0;
    const end = guard(targets, 'db', async () => replies[attempts++] ?? reply(200), options);
    for (let i = 0; i < 5; i++) {
      await settled();
      clock.advance(200);
    }
    expect(await end).to.equal(replies[2]);
    expect(discarded).to.deep.equal(replies.slice(0, 2));
    expect(targets.get('db').surround?.budget).to.include({ active: 0, extras: 0 });
  });

  it('stands where the next attempt is turned away', async () => {
    const rateLimit = { rate: 1, perMs: 60_000, burst: 1, scope: 'local', by: 'service' } as const;
    for (const gate of [
      { circuit: circuitSpec({ minimumCalls: 1, failureRate: 1 }) },
      { bulkhead: bulkheadSpec(1) },
      { bulkhead: bulkheadSpec(1, { maxQueue: 1, queueTimeoutMs: 10 }) },
      { rateLimit },
    ]) {
      const { clock, discarded, options, targets } = judged({ ...retries, ...gate });
      let left = 0;
      const first = reply(503);
      const fallback = () => reply(++left);
      const end = guard(targets, 'db', async () => first, { ...options, fallback });
      await settled();
      const other = work();
      const occupying = 'bulkhead' in gate ? guard(targets, 'db', other.fn) : undefined;
      clock.advance(200);
      clock.advance(20);
      expect(await end, JSON.stringify(gate)).to.equal(first);
      expect([discarded, left]).to.deep.equal([[], 0]);
      other.succeed();
      await occupying;
      expect(targets.permitsOut).to.equal(0);
      expect(targets.get('db').surround?.budget).to.include({ active: 0, extras: 0 });
    }
  });

  it('stands where the mesh closes in the pause, or has closed before it', async () => {
    for (const before of [false, true]) {
      const { clock, discarded, options, targets } = judged(retries);
      if (before) targets.close();
      const first = reply(503);
      const end = guard(targets, 'db', async () => first, options);
      await settled();
      targets.close();
      expect(await end).to.equal(first);
      expect([discarded, clock.pendingTimers]).to.deep.equal([[], 0]);
    }
  });

  it('stands where the next attempt finds nobody to call, not where it fails', async () => {
    const nobody = new MeshError('no_instances', 'none');
    const broken = new Error('broken');
    for (const [error, stands] of [
      [nobody, true],
      [broken, false],
    ] as const) {
      const { clock, discarded, options, targets } = judged({
        retry: retrySpec({ attempts: 2, backoff: { baseMs: 200, maxMs: 200 } }),
        idempotent: true,
      });
      const first = reply(503);
      const fn = async ({ attempt }: GuardContext) => {
        if (attempt > 1) throw error;
        return first;
      };
      const end = guard(targets, 'db', fn, options).catch((thrown: unknown) => thrown);
      await settled();
      clock.advance(200);
      expect(await end).to.equal(stands ? first : error);
      expect(discarded).to.deep.equal(stands ? [] : [first]);
    }
  });

  it('is given up where the caller leaves in the pause', async () => {
    const { discarded, options, targets } = judged(retries);
    const controller = new AbortController();
    const first = reply(503);
    const { signal } = controller;
    const end = rejectionOf(guard(targets, 'db', async () => first, { ...options, signal }));
    await settled();
    controller.abort('left');
    expect(await end).to.equal('left');
    expect(discarded).to.deep.equal([first]);
  });

  it('holds no slot once the call goes on, though nobody has read it', async () => {
    const { clock, options, targets } = judged({ ...retries, bulkhead: bulkheadSpec(1) });
    const replies = [reply(503), reply(200)];
    const until = (value: Reply) => (value.status === 503 ? new Promise<void>(() => undefined) : undefined);
    let attempts = 0;
    const fn = async () => replies[attempts++] ?? reply(500);
    const end = guard(targets, 'db', fn, { ...options, until });
    await settled();
    expect([attempts, targets.permitsOut]).to.deep.equal([1, 0]);
    clock.advance(200);
    expect(await end).to.equal(replies[1]);
    expect(targets.permitsOut).to.equal(0);
  });

  it('of a copy stands where the others are turned away or find nobody, and yields to a better one', async () => {
    const hedge = { delay: { kind: 'fixed', ms: 10 }, extra: 1 } as const;
    for (const better of [false, true]) {
      const { clock, discarded, options, targets } = judged({ hedge, idempotent: true });
      const [first, second] = [reply(503), reply(200)];
      const ends: ((value: Reply | Promise<Reply>) => void)[] = [];
      const fn = () => new Promise<Reply>((resolve) => ends.push(resolve));
      const end = guard(targets, 'db', fn, options);
      clock.advance(10);
      ends[0]?.(first);
      await settled();
      expect(discarded).to.deep.equal([]);
      ends[1]?.(better ? second : Promise.reject(new MeshError('no_instances', 'none')));
      expect(await end).to.equal(better ? second : first);
      expect(discarded).to.deep.equal(better ? [first] : []);
      expect(targets.get('db').surround?.budget).to.include({ active: 0, extras: 0 });
    }
  });

  it('is told to a fallback as the callee’s failure, and no refusal of ours', async () => {
    const decisions = told();
    const given = { fallback: [{ kind: 'handler', name: 'last' }] } as const;
    const { options, targets } = judged(given, decisions);
    let error: unknown;
    targets.handlers.set('last', (call) => {
      error = call.error;
      return reply(200);
    });
    await guard(targets, 'db', async () => reply(503), options);
    expect(error).to.be.instanceOf(Error).and.not.instanceOf(MeshError);
    expect(error).to.include({ code: 'UNAVAILABLE', message: 'db answered 503' });
    expect(decisions.decisions.at(-1)).to.include({ kind: 'degrade', text: 'handler; UNAVAILABLE' });
  });

  it('is given up for a fallback’s answer, and stands where there is none', async () => {
    const cache = { kind: 'cache', maxAgeMs: 1_000 } as const;
    const { discarded, options, targets } = judged({ fallback: [cache] });
    const [good, bad] = [reply(200), reply(503)];
    expect(await guard(targets, 'db', async () => bad, { ...options, key: 'k' })).to.equal(bad);
    await guard(targets, 'db', async () => good, { ...options, key: 'k' });
    expect(await guard(targets, 'db', async () => bad, { ...options, key: 'k' })).to.equal(good);
    expect(discarded).to.deep.equal([bad]);
  });

  it('is given up for an error that the policy chose', async () => {
    const { discarded, options, targets } = judged({ fallback: [{ kind: 'error', status: 'ABORTED' }] });
    const bad = reply(503);
    expect(await rejectionOf(guard(targets, 'db', async () => bad, options))).to.have.property(
      'code',
      'fallback_error',
    );
    expect(discarded).to.deep.equal([bad]);
  });

  it('that comes from another target too late is given up as well', async () => {
    const { clock, discarded, options, targets } = judged({
      timeout: 100,
      fallback: [{ kind: 'target', to: 'other' }],
    });
    let answer: (value: { readonly value: Reply }) => void = () => undefined;
    let called: AbortSignal | undefined;
    const elsewhere = (_entry: unknown, signal: AbortSignal) => {
      called = signal;
      return new Promise<{ readonly value: Reply }>((resolve) => {
        answer = resolve;
      });
    };
    const bad = reply(503);
    const end = guard(targets, 'db', async () => bad, { ...options, elsewhere });
    await settled();
    expect(called?.aborted).to.equal(false);
    clock.advance(100);
    expect(await end).to.equal(bad);
    expect(called?.aborted, 'the other call is called off').to.equal(true);
    const late = reply(200);
    answer({ value: late });
    await settled();
    expect(discarded).to.deep.equal([late]);
    expect(targets.get('db').surround?.slots?.inUse).to.equal(0);
  });

  it('that comes from another target in time is left alone, and one that nobody waits for is called off', async () => {
    const given: Given = { timeout: 100, fallback: [{ kind: 'target', to: 'other' }] };
    for (const how of ['answers', 'leaves', 'closes']) {
      const { clock, options, targets } = judged(given);
      const controller = new AbortController();
      let signal: AbortSignal | undefined;
      const good = reply(200);
      const elsewhere = (_entry: unknown, given: AbortSignal) => {
        signal = given;
        return how === 'answers' ? Promise.resolve({ value: good }) : new Promise<never>(() => undefined);
      };
      const end = guard(targets, 'db', async () => reply(503), {
        ...options,
        elsewhere,
        signal: controller.signal,
      }).catch((error: unknown) => error);
      await settled();
      if (how === 'leaves') controller.abort('left');
      if (how === 'closes') targets.close();
      const came = await end;
      if (how === 'answers') expect(came).to.equal(good);
      if (how === 'leaves') expect([came, signal?.reason]).to.deep.equal(['left', 'left']);
      if (how === 'closes') expect(came).to.include({ status: 503 });
      clock.advance(1_000);
      expect(signal?.aborted).to.equal(how !== 'answers');
      expect(targets.get('db').surround?.slots?.inUse).to.equal(0);
    }
  });

  it('of an attempt whose call is over is given up', async () => {
    const { clock, discarded, options, targets } = judged({ timeout: 100 });
    const slow = work();
    const end = rejectionOf(guard<Reply>(targets, 'db', slow.fn as never, options));
    clock.advance(100);
    slow.succeed();
    await end;
    await settled();
    expect(discarded).to.have.lengthOf(1);
  });

  it('holds its slot until it is used up, whatever it counted as', async () => {
    const { options, targets } = judged({ bulkhead: bulkheadSpec(1) });
    let over: () => void = () => undefined;
    const until = () => new Promise<void>((resolve) => (over = resolve));
    await guard(targets, 'db', async () => reply(200), { ...options, until });
    expect(targets.bulkheads()[0]?.inUse).to.equal(1);
    over();
    await settled();
    expect([targets.permitsOut, targets.bulkheads()[0]?.inUse]).to.deep.equal([0, 0]);
  });
});
