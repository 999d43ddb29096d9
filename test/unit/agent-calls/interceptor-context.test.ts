/**
 * What surrounds a gRPC call otherwise: what it inherits from the call that is being answered, how much it matters, what its status
 * counts as, policies in shadow beside it, and the order of the stages.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { type CallContext, withinContext } from '../../../agent/context.js';
import { Shadow } from '../../../agent/shadow.js';
import type { Effective } from '../../../core/policy/model.js';
import { Bulkhead } from '../../../core/resilience/bulkhead.js';
import { Permits } from '../../../core/resilience/permits.js';
import { Plan } from '../../../core/resilience/plan.js';
import { intercepted, metadataOf } from '../../support/intercepted.js';
import type { StubOptions } from '../../support/null-transport.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { settled } from '../../support/targets.js';

const { status } = grpc;

const above = (changes: Partial<CallContext> = {}): CallContext => ({
  deadlineAt: Number.POSITIVE_INFINITY,
  rank: 1,
  trace: [],
  ...changes,
});

/** With and without machinery around the attempt. */
const kinds: [string, Effective][] = [
  ['a plain call', {}],
  ['a call with retries', effectiveOf({ retry: retrySpec(), idempotent: true })],
];

for (const [kind, effective] of kinds) {
  describe(`${kind} within another`, () => {
    it('hands the application’s own metadata on, untouched, where there is nothing to add', () => {
      const metadata = metadataOf({ 'x-tenant': 'acme' });
      const { wires } = intercepted(effective).make({ metadata });
      expect(wires[0]?.metadata).to.equal(metadata);
    });

    const cases: [string, string | undefined, number | undefined, string | undefined][] = [
      ['says nothing where nobody did', undefined, undefined, undefined],
      ['says nothing of what is usual', undefined, 1, undefined],
      ['says what the caller says', 'sheddable', undefined, 'sheddable'],
      ['says what it inherits', undefined, 3, 'sheddable'],
      ['says the lesser of both', 'critical-plus', 2, 'sheddable-plus'],
      ['may say less than it inherits', 'sheddable', 0, 'sheddable'],
      ['passes the highest on', undefined, 0, 'critical-plus'],
      ['takes a word that is none for nothing said', 'urgent', 2, 'sheddable-plus'],
    ];
    for (const [name, own, inherited, sent] of cases) {
      it(`${name} of how much it matters`, () => {
        const made = intercepted(effective);
        const metadata = metadataOf(own === undefined ? {} : { 'switchgear-criticality': own });
        const before = metadata.getMap();
        const { wires } =
          inherited === undefined
            ? made.make({ metadata })
            : withinContext(above({ rank: inherited }), () => made.make({ metadata }));
        const told = wires[0]?.metadata?.get('switchgear-criticality');
        expect(told).to.deep.equal(sent === undefined ? [] : [sent]);
        expect(metadata.getMap()).to.deep.equal(before);
      });
    }

    it('carries the trace on, unless it has one of its own', () => {
      const made = intercepted(effective);
      const context = above({
        trace: [
          ['traceparent', 'theirs'],
          ['tracestate', 'state'],
          ['grpc-trace-bin', Buffer.from('x')],
        ],
      });
      const inherits = withinContext(context, () => made.make());
      expect(inherits.wires[0]?.metadata?.get('traceparent')).to.deep.equal(['theirs']);
      expect(inherits.wires[0]?.metadata?.get('tracestate')).to.deep.equal(['state']);
      expect(inherits.wires[0]?.metadata?.get('grpc-trace-bin')).to.deep.equal([Buffer.from('x')]);
      const own = withinContext(context, () => made.make({ metadata: metadataOf({ traceparent: 'ours' }) }));
      expect(own.wires[0]?.metadata?.get('traceparent')).to.deep.equal(['ours']);
      expect(own.wires[0]?.metadata?.get('tracestate')).to.deep.equal([]);
    });

    it('has no more time than the other, even where nobody else limits it', async () => {
      const made = intercepted(effective);
      const { now } = { now: made.clock.now() };
      const within = (deadlineAt: number, options: StubOptions = {}) =>
        withinContext(above({ deadlineAt }), () => made.make(options));
      expect(within(now + 70).wires[0]?.options.deadline).to.equal(made.clock.wallNow() + 70);
      const sooner = made.clock.wallNow() + 30;
      expect(within(now + 70, { deadline: sooner }).wires[0]?.options.deadline).to.equal(sooner);
      expect(within(now + 70, { deadline: sooner + 60 }).wires[0]?.options.deadline).to.equal(
        made.clock.wallNow() + 70,
      );
      const over = within(now);
      await settled();
      expect([over.wires.length, over.client.status?.code]).to.deep.equal([0, status.DEADLINE_EXCEEDED]);
    });
  });
}

describe('what a status counts as', () => {
  it('is what the policy says', () => {
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 0.5 });
    const classify = { NOT_FOUND: 'failure', UNAVAILABLE: 'success', INTERNAL: 'neutral' } as const;
    const made = intercepted(effectiveOf({ circuit, classify }));
    made.make().wires[0]?.end(status.UNAVAILABLE);
    made.make().wires[0]?.end(status.INTERNAL);
    expect(made.target().tally).to.include({ ok: 1, failed: 0, neutral: 1 });
    made.make().wires[0]?.end(status.NOT_FOUND);
    expect(made.targets.circuit('inventory').state).to.equal('open');
  });
});

describe('a call that matters more', () => {
  it('takes the place in line of one that matters less, which hears so', async () => {
    const made = intercepted(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
    const held = made.make();
    const lesser = made.make({ metadata: metadataOf({ 'switchgear-criticality': 'sheddable' }) });
    const greater = made.make({ metadata: metadataOf({ 'switchgear-criticality': 'critical-plus' }) });
    await settled();
    expect(lesser.client.status).to.include({ code: status.RESOURCE_EXHAUSTED });
    expect(lesser.client.status?.metadata.get('switchgear-reject')).to.deep.equal(['overloaded']);
    held.wires[0]?.end(status.OK);
    await settled();
    expect([lesser.wires.length, greater.wires.length]).to.deep.equal([0, 1]);
    greater.wires[0]?.end(status.OK);
    expect(made.targets.permitsOut).to.equal(0);
    expect(made.target().tally.queued).to.equal(1);
    made.targets.close();
    expect(made.clock.pendingTimers).to.equal(0);
  });
});

describe('a policy in shadow', () => {
  function shadowed(spec: Parameters<typeof effectiveOf>[0]) {
    const permits = new Permits();
    const effective = effectiveOf(spec, { policy: 'stricter', revision: 9 });
    const gates = effective.bulkhead
      ? [new Bulkhead(effective.bulkhead.value, { permits, side: 'client' })]
      : [];
    const made = intercepted(effectiveOf({ bulkhead: bulkheadSpec(10) }));
    const target = made.target();
    const surround = {
      retry: undefined,
      hedge: undefined,
      budget: undefined,
      idempotent: false,
      fallback: undefined,
      slots: undefined,
      classify: undefined,
      shadow: new Shadow(new Plan(gates, permits), effective),
    };
    target.use({ ...target.compiled, surround });
    return { ...made, permits, tally: target.tally };
  }

  it('only tells what it would have done, and gives back what it took', () => {
    const made = shadowed({
      bulkhead: bulkheadSpec(1),
      timeout: 50,
      retry: retrySpec(),
      idempotent: true,
    });
    const first = made.make();
    const second = made.make();
    made.clock.advance(60);
    first.wires[0]?.end(status.UNAVAILABLE);
    second.wires[0]?.end(status.OK);
    expect([first.client.status?.code, second.client.status?.code]).to.deep.equal([
      status.UNAVAILABLE,
      status.OK,
    ]);
    expect(made.tally.would).to.deep.equal({ 'would-reject': 1, 'would-timeout': 1, 'would-retry': 1 });
    expect([made.permits.out, made.targets.permitsOut]).to.deep.equal([0, 0]);
  });

  it('would leave out instances alone, and not the target that grpc-js names of a call without a connection', () => {
    const outlier = {
      ...{ intervalMs: 1_000, failureRate: 0.5, minimumCalls: 1, minimumHosts: 1 },
      ...{ ejectForMs: 5_000, maxEjectForMs: 5_000, maxEjected: 1 },
    };
    for (const [peer, would] of [
      ['switchgear:///inventory', {}],
      ['null', {}],
      ['127.0.0.1:5001', { 'would-eject': 1 }],
    ] as const) {
      const made = intercepted({});
      made.apply({}, effectiveOf({ outlier }, { policy: 'stricter', revision: 9 }));
      for (let i = 0; i < 2; i++) {
        const [wire] = made.make().wires;
        Object.assign(wire ?? {}, { getPeer: () => peer });
        wire?.end(status.UNAVAILABLE);
        made.clock.advance(1_000);
      }
      expect(made.target().tally.would, peer).to.deep.equal(would);
    }
  });

  it('tells of no retry and no copy of what is never made twice, and of no fallback that a stream has not', () => {
    const spec: Parameters<typeof effectiveOf>[0] = {
      retry: retrySpec(),
      hedge: { delay: { kind: 'fixed', ms: 10 }, extra: 1 },
      idempotent: true,
      fallback: [{ kind: 'cache', maxAgeMs: 1_000 }],
    };
    const unary = { 'would-hedge': 1, 'would-retry': 1, 'would-degrade': 1 };
    for (const [kind, would] of [
      [{}, unary],
      [{ responseStream: true }, { 'would-retry': 1 }],
      [{ requestStream: true }, {}],
      [{ requestStream: true, responseStream: true }, {}],
    ] as const) {
      const made = shadowed(spec);
      const { wires } = made.make(kind);
      made.clock.advance(20);
      wires[0]?.end(status.UNAVAILABLE);
      expect(made.tally.would, JSON.stringify(kind)).to.deep.equal(would);
    }
  });

  it('tells of a retry of what may have been executed only where it may be', () => {
    for (const [details, would] of [
      ['broken', {}],
      ['No connection established. Last error: none', { 'would-retry': 1 }],
    ] as const) {
      const made = shadowed({ retry: retrySpec() });
      made.make().wires[0]?.end(status.UNAVAILABLE, details);
      expect(made.tally.would, details).to.deep.equal(would);
    }
  });

  it('sees of a stream what it takes to its first message', () => {
    const made = shadowed({ timeout: 50 });
    const { wires } = made.make({ responseStream: true });
    wires[0]?.message('one');
    made.clock.advance(60_000);
    wires[0]?.end(status.OK);
    expect(made.tally.would).to.deep.equal({});
    expect(made.permits.out).to.equal(0);
  });
});

describe('the limits of time', () => {
  it('of one policy make one list, however many calls at whatever times', () => {
    const made = intercepted(effectiveOf({ timeout: 800, bulkhead: bulkheadSpec(1, { maxQueue: 1_000 }) }));
    const held = made.make();
    for (let i = 0; i < 200; i++) {
      made.clock.advance(0.1);
      made.make();
    }
    expect(made.targets.timeouts.lists).to.equal(1);
    const streams = intercepted(effectiveOf({ timeout: 800 }));
    for (let i = 0; i < 200; i++) {
      streams.clock.advance(0.1);
      streams.make({ responseStream: true });
    }
    expect(streams.targets.timeouts.lists).to.equal(1);
    held.wires[0]?.end(status.OK);
  });
});

describe('the order of the stages', () => {
  it('keeps a circuit out of what the bulkhead, the rate or the deadline turned away', async () => {
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
    const rateLimit = { rate: 1, perMs: 60_000, burst: 1, scope: 'local', by: 'service' } as const;
    const cases: [string, Effective, (wallNow: number) => StubOptions][] = [
      ['bulkhead_full', effectiveOf({ bulkhead: bulkheadSpec(1) }), () => ({})],
      ['rate_limited', effectiveOf({ rateLimit }), () => ({})],
      ['deadline_exceeded', {}, (wallNow) => ({ deadline: wallNow - 1 })],
    ];
    for (const [code, effective, options] of cases) {
      const made = intercepted({
        ...effective,
        ...effectiveOf({ circuit, retry: retrySpec(), idempotent: true }),
      });
      const held = made.make();
      const rejected = made.make(options(made.clock.wallNow()));
      await settled();
      expect(rejected.client.status?.metadata.get('switchgear-reject')).to.deep.equal([code]);
      made.clock.advance(1_000);
      expect(rejected.wires).to.have.lengthOf(0);
      expect(made.target().tally).to.include({ retries: 0, failed: 0 });
      expect(made.targets.circuit('inventory').state).to.equal('closed');
      held.wires[0]?.end(status.OK);
      expect(made.targets.permitsOut).to.equal(0);
    }
  });
});
