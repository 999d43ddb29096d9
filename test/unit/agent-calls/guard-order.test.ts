/**
 * The order of the stages of a guarded call, stage by stage: what one turns away never touches the stages further in, and gives back
 * what it holds of those further out. For each gate, beside every combination of the others; every two stages of the whole order, of gRPC
 * calls too, are in `order-turned-away.test.ts` and `order-attempts.test.ts`.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import type { MeshError } from '../../../core/errors.js';
import type { Random } from '../../../core/random.js';
import { told } from '../../support/guarded.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { rejectionCodes } from '../../support/stage-line.js';
import { type Bench, bench, rejectionOf, settled, work } from '../../support/targets.js';

/** From the outside in. */
const stages = ['rateLimit', 'admission', 'bulkhead', 'circuit'] as const;
type Stage = (typeof stages)[number];

const TOKENS = 6;
const PROBES = 2;
/** 5 s and the jitter. */
const OPEN_MS = 6_100;

const everyCombination = stages.flatMap((rejecting) => {
  const others = stages.filter((stage) => stage !== rejecting);
  return Array.from({ length: 2 ** others.length }, (_, bits) => ({
    rejecting,
    present: stages.filter((stage) => stage === rejecting || (bits >> others.indexOf(stage)) % 2 === 1),
  }));
});

class Stack {
  readonly made: Bench;
  readonly decisions = told();
  /** What the lot of admission comes to: high lets everybody through. */
  lot = 0.99;
  started = 0;
  readonly #present: readonly Stage[];
  readonly #rejecting: Stage;
  #release = () => {};

  constructor(rejecting: Stage, present: readonly Stage[], more: object = {}) {
    this.#rejecting = rejecting;
    this.#present = present;
    const burst = rejecting === 'rateLimit' ? 1 : TOKENS;
    const all = {
      rateLimit: { rate: 1, perMs: 3_600_000, burst, scope: 'local', by: 'service' } as const,
      admission: { successRate: 0.95, maxRejection: 0.8, windowMs: 30_000 },
      bulkhead: bulkheadSpec(1),
      circuit: circuitSpec({
        minimumCalls: 1,
        failureRate: 1,
        halfOpen: { calls: PROBES, maxWaitMs: 30_000 },
      }),
    };
    const sections = Object.fromEntries(
      stages.filter((s) => this.has(s)).map((stage) => [stage, all[stage]]),
    );
    const random: Random = { next: () => this.lot, hex: () => '' };
    this.made = bench(effectiveOf({ ...sections, ...more }), { random, decisions: this.decisions });
  }

  has(stage: Stage): boolean {
    return this.#present.includes(stage);
  }

  call(): Promise<unknown> {
    return guard(this.made.targets, 'db', () => {
      this.started++;
      return 'done';
    });
  }

  /** From here on the stage turns calls away; of those further in, the circuit is about to probe. */
  async obstruct(): Promise<void> {
    const { clock, targets } = this.made;
    await rejectionOf(
      guard(targets, 'db', () => Promise.reject(Object.assign(new Error('x'), { code: 'X' }))),
    );
    if (this.#rejecting !== 'circuit') clock.advance(OPEN_MS);
    if (this.#rejecting === 'admission') this.lot = 0;
    if (this.#rejecting === 'bulkhead') {
      const held = work();
      const holding = guard(targets, 'db', held.fn);
      this.#release = () => {
        held.succeed();
        void holding;
      };
    }
  }

  async clear(): Promise<void> {
    this.lot = 0.99;
    this.#release();
    await settled();
    if (this.#rejecting === 'circuit') this.made.clock.advance(OPEN_MS);
    if (this.#rejecting === 'rateLimit') this.made.clock.advance(3_600_000);
  }

  /** What the stages remember. */
  look(): unknown {
    const { targets } = this.made;
    const { ok, failed, neutral } = targets.get('db').tally;
    return {
      permits: targets.permitsOut,
      bulkheads: targets.bulkheads().map(({ inUse, queued }) => ({ inUse, queued })),
      circuit: targets.circuits().map(({ epoch }) => epoch),
      counted: { ok, failed, neutral },
    };
  }
}

describe('a guarded call that is turned away', () => {
  for (const { rejecting, present } of everyCombination)
    it(`by ${rejecting} of ${present.join(' > ')} touches nothing further in, and keeps nothing of what is further out`, async () => {
      const stack = new Stack(rejecting, present);
      await stack.obstruct();
      const before = stack.look();
      for (let i = 0; i < 20; i++)
        expect(((await rejectionOf(stack.call())) as MeshError).code).to.equal(rejectionCodes[rejecting]);
      expect(stack.started).to.equal(0);
      expect(stack.look()).to.deep.equal(before);
      expect(stack.made.targets.get('db').tally.rejections).to.deep.equal({
        [rejectionCodes[rejecting]]: 20,
      });

      await stack.clear();
      const { targets } = stack.made;
      if (rejecting === 'rateLimit') {
        expect(await stack.call()).to.equal('done');
        return;
      }
      const used = rejecting === 'bulkhead' ? 2 : 1;
      const left = stack.has('rateLimit') ? TOKENS - used : 10;
      for (let i = 0; i < left; i++) {
        expect(await stack.call()).to.equal('done');
        if (stack.has('circuit') && i + used > PROBES) expect(targets.circuit('db').state).to.equal('closed');
      }
      if (stack.has('rateLimit'))
        expect(await rejectionOf(stack.call())).to.have.property('code', 'rate_limited');
      expect(targets.permitsOut).to.equal(0);
    });

  for (const rejecting of stages)
    it(`by ${rejecting} is never tried again, and costs the budget nothing`, async () => {
      const more = {
        retry: retrySpec({ attempts: 5 }),
        idempotent: true,
        timeout: 60_000,
        classify: { X: 'failure' },
      };
      const stack = new Stack(rejecting, stages, {
        ...more,
        retry: retrySpec({ attempts: 5, on: ['ABORTED'] }),
      });
      await stack.obstruct();
      const budget = stack.made.targets.get('db').surround?.budget;
      const tokens = budget?.tokens;
      for (let i = 0; i < 5; i++)
        expect(((await rejectionOf(stack.call())) as MeshError).code).to.equal(rejectionCodes[rejecting]);
      const held = rejecting === 'bulkhead' ? 1 : 0;
      expect([stack.started, budget?.tokens, budget?.active, budget?.extras]).to.deep.equal([
        0,
        tokens,
        held,
        0,
      ]);
      expect(stack.made.targets.get('db').tally.retries).to.equal(0);
      expect(stack.decisions.words.filter((word) => word === 'give-up rejected')).to.have.lengthOf(0);
      await stack.clear();
      expect(stack.made.targets.permitsOut).to.equal(0);
    });
});

describe('a guarded call that waited in line', () => {
  it('asks the circuit only once it has its slot, and gives slot and token back where that is open', async () => {
    const rateLimit = { rate: 1, perMs: 3_600_000, burst: 3, scope: 'local', by: 'service' } as const;
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
    const bulkhead = bulkheadSpec(1, { maxQueue: 5 });
    const { targets } = bench(effectiveOf({ rateLimit, circuit, bulkhead }));
    const held = work();
    const holding = rejectionOf(guard(targets, 'db', held.fn));
    const waiting = [1, 2].map((i) => rejectionOf(guard(targets, 'db', async () => i)));
    expect(await rejectionOf(guard(targets, 'db', async () => 3))).to.have.property('code', 'rate_limited');
    held.fail();
    await holding;
    for (const call of waiting) expect(await call).to.have.property('code', 'circuit_open');
    expect(targets.permitsOut).to.equal(0);
    expect(targets.bulkheads()[0]).to.include({ inUse: 0, queued: 0 });
    // Both tokens are back: what turns it away is the circuit again.
    expect(await rejectionOf(guard(targets, 'db', async () => 4))).to.have.property('code', 'circuit_open');
  });

  it('and gives up there gives its token back', async () => {
    const rateLimit = { rate: 1, perMs: 3_600_000, burst: 2, scope: 'local', by: 'service' } as const;
    const { targets, clock } = bench(
      effectiveOf({ rateLimit, bulkhead: bulkheadSpec(1, { maxQueue: 1, queueTimeoutMs: 50 }) }),
    );
    const held = work();
    const holding = guard(targets, 'db', held.fn);
    for (let i = 0; i < 5; i++) {
      const controller = new AbortController();
      const end = rejectionOf(guard(targets, 'db', async () => 1, { signal: controller.signal }));
      if (i % 2 === 0) controller.abort('left');
      else clock.advance(50);
      await end;
    }
    held.succeed();
    await holding;
    expect(await guard(targets, 'db', async () => 1)).to.equal(1);
    expect(await rejectionOf(guard(targets, 'db', async () => 1))).to.have.property('code', 'rate_limited');
  });
});

describe('a call that is to wait in line', () => {
  it('asks anew where whoever was let in before it has changed the policies', async () => {
    const shares = { 'critical-plus': 0.5, sheddable: 0.5 };
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1, openForMs: 500 });
    const made = bench(effectiveOf({ circuit, bulkhead: bulkheadSpec(2, { maxQueue: 5, shares }) }));
    const { targets, clock } = made;
    const held = work();
    const running = guard(targets, 'db', held.fn, { criticality: 'sheddable' });
    const failing = () => Promise.reject(new Error('broken'));
    await rejectionOf(guard(targets, 'db', failing, { criticality: 'critical-plus' }));
    expect(targets.circuit('db').state).to.equal('open');
    const waiting = guard(targets, 'db', async () => 'waited', { criticality: 'sheddable' });
    expect(targets.bulkheads()[0]).to.include({ inUse: 1, queued: 1 });
    // The part of the most critical falls idle meanwhile; nobody looks until the next call comes.
    clock.advance(1_100);
    const next = effectiveOf({ bulkhead: bulkheadSpec(1) }, { policy: 'other', revision: 1 });
    made.listener = ({ to }) => to === 'half-open' && made.apply(next);
    expect(await guard(targets, 'db', async () => 'under the new ones')).to.equal('under the new ones');
    expect(await waiting).to.equal('waited');
    held.succeed();
    await running;
    expect(targets.permitsOut).to.equal(0);
  });

  it('has its place where whoever makes room for it frees a slot in that same tick', async () => {
    const { targets } = bench(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
    const controller = new AbortController();
    const held = work();
    const running = rejectionOf(guard(targets, 'db', held.fn, { signal: controller.signal }));
    // What is answered instead is free to end another call.
    const displaced = guard(targets, 'db', async () => 'ran', {
      criticality: 'sheddable',
      fallback: () => {
        controller.abort('for the more critical');
        return 'fallback';
      },
    });
    expect(await guard(targets, 'db', async () => 'ran', { criticality: 'critical-plus' })).to.equal('ran');
    expect([await running, await displaced]).to.deep.equal(['for the more critical', 'fallback']);
    expect([targets.permitsOut, targets.bulkheads()[0]?.inUse]).to.deep.equal([0, 0]);
  });
});
