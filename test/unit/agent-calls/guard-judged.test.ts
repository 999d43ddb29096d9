/**
 * Guarded calls whose failures are values, as HTTP responses are: what a judgement does to them, and who gets or gives up which value.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { EngineOptions, Judgement } from '../../../agent/guarded-function.js';
import type { Sections } from '../../../core/policy/model.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, rejectionOf, settled, work } from '../../support/targets.js';

type Given = { [S in keyof Sections]: NonNullable<Sections[S]> };

interface Reply {
  readonly status: number;
}

const failure: Judgement = { outcome: 'failure', status: 'UNAVAILABLE', shed: false, pushback: [] };
const retries: Given = {
  retry: retrySpec({ attempts: 3, backoff: { baseMs: 200, maxMs: 200 } }),
  idempotent: true,
};
const reply = (status: number): Reply => ({ status });

function judged(sections: Given) {
  const made = bench(effectiveOf(sections));
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

  it('that was given up for an attempt which was turned away is no error that anybody rejects with', async () => {
    const { clock, discarded, options, targets } = judged({ ...retries, bulkhead: bulkheadSpec(1) });
    const first = reply(503);
    const end = rejectionOf(guard(targets, 'db', async () => first, options));
    await settled();
    const other = work();
    const occupying = guard(targets, 'db', other.fn);
    clock.advance(200);
    expect(await end).to.have.property('message', '[overloaded] db: answered UNAVAILABLE');
    expect(discarded).to.deep.equal([first]);
    other.succeed();
    await occupying;
    expect(targets.permitsOut).to.equal(0);
  });

  it('nor where the mesh closes in the pause, or has closed before it', async () => {
    for (const before of [false, true]) {
      const { discarded, options, targets } = judged(retries);
      if (before) targets.close();
      const end = rejectionOf(guard(targets, 'db', async () => reply(503), options));
      await settled();
      targets.close();
      expect(await end).to.have.property('code', 'overloaded');
      expect(discarded).to.have.lengthOf(1);
    }
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
    const elsewhere = () => new Promise<{ readonly value: Reply }>((resolve) => (answer = resolve));
    const bad = reply(503);
    const end = guard(targets, 'db', async () => bad, { ...options, elsewhere });
    await settled();
    clock.advance(100);
    expect(await end).to.equal(bad);
    const late = reply(200);
    answer({ value: late });
    await settled();
    expect(discarded).to.deep.equal([late]);
    expect(targets.get('db').surround?.slots?.inUse).to.equal(0);
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
