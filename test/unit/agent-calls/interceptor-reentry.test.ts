/**
 * gRPC calls that end, or are ended, within their own decisions: whoever hears of a transition, of a rejection or of a retry may cancel
 * any call or replace the policies, and a transport may answer before its start returns. Each call is told once, and keeps nothing.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { createInterceptor } from '../../../agent/interceptor.js';
import type { Effective, HedgeSpec } from '../../../core/policy/model.js';
import { type Told, told, watchPending } from '../../support/guarded.js';
import { fail, metadataOf } from '../../support/intercepted.js';
import { NullCall, type StubbedCall, type StubOptions, stubbedCall } from '../../support/null-transport.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench, settled } from '../../support/targets.js';

const { status } = grpc;
const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1, openForMs: 500 });
const line = (maxQueue: number, queueTimeoutMs?: number) =>
  bulkheadSpec(1, { maxQueue, ...(queueTimeoutMs === undefined ? {} : { queueTimeoutMs }) });
const hedge = (extra: number): HedgeSpec => ({ delay: { kind: 'fixed', ms: 20 }, extra });
const ranked = (criticality: string) => ({ metadata: metadataOf({ 'switchgear-criticality': criticality }) });

interface Given extends Bench {
  readonly decisions: Told;
  make(options?: StubOptions): StubbedCall;
  expectNothingLeft(): void;
}

function given(effective: Effective, shadow?: Effective): Given {
  const decisions = told();
  const made = bench(effective, { decisions, ...(shadow === undefined ? {} : { shadow }) });
  const pending = watchPending(made.targets);
  const interceptor = createInterceptor(made.targets, 'inventory');
  const { budget } = made.targets.get('inventory', 'shop.v1.Inventory/Get').surround ?? {};
  return Object.assign(made, {
    decisions,
    make: (options: StubOptions = {}) => stubbedCall(made.targets, interceptor, options),
    expectNothingLeft: () => {
      expect([made.targets.permitsOut, made.targets.shadowPermitsOut], 'permits').to.deep.equal([0, 0]);
      expect([budget?.active ?? 0, budget?.extras ?? 0], 'budget').to.deep.equal([0, 0]);
      expect(pending.size, 'pending').to.equal(0);
      for (const { inUse, queued } of made.targets.bulkheads())
        expect([inUse, queued], 'slots').to.deep.equal([0, 0]);
      made.targets.close();
      expect(made.clock.pendingTimers, 'timers').to.equal(0);
    },
  });
}

const cancel = (call: StubbedCall | undefined) =>
  call?.call.cancelWithStatus(status.CANCELLED, 'by whoever heard');
const statuses = (call: StubbedCall) => call.client.heard.filter((word) => word.startsWith('status'));

/** Answers with this status within its own start. */
const endsAtOnce = (code: grpc.status, headers: Readonly<Record<string, string>> = {}) =>
  class extends NullCall {
    override start(metadata: grpc.Metadata, listener?: Partial<grpc.InterceptingListener>): void {
      super.start(metadata, listener);
      this.end(code, 'at once', metadataOf(headers));
    }
  };

describe('a gRPC call that joins a line', () => {
  it('has its place where whoever makes room for it frees a slot in that same tick', async () => {
    const made = given(effectiveOf({ bulkhead: line(1) }));
    const { make, decisions } = made;
    const running = make();
    const displaced = make(ranked('sheddable'));
    decisions.listener = ({ kind }) => kind === 'reject' && running.wire()?.end(status.OK);
    const critical = make(ranked('critical-plus'));
    await settled();
    expect(statuses(displaced)).to.deep.equal(['status RESOURCE_EXHAUSTED']);
    expect(critical.wire()?.started).to.equal(true);
    critical.wire()?.end(status.OK);
    made.expectNothingLeft();
  });

  it('leaves it at once where whoever makes room for it cancels it', async () => {
    const made = given(effectiveOf({ bulkhead: line(1) }));
    const { make, decisions } = made;
    const running = make();
    make(ranked('sheddable'));
    const critical = make({ start: false });
    decisions.listener = () => cancel(critical);
    critical.call.start(metadataOf({ 'switchgear-criticality': 'critical-plus' }), critical.client.listener);
    running.wire()?.end(status.OK);
    await settled();
    expect([statuses(critical), critical.wire()]).to.deep.equal([['status CANCELLED'], undefined]);
    made.expectNothingLeft();
  });

  it('does not where it was cancelled while the gates let others in', async () => {
    const shares = { 'critical-plus': 0.5, sheddable: 0.5 };
    const made = given(effectiveOf({ circuit, bulkhead: bulkheadSpec(2, { maxQueue: 5, shares }) }));
    const { make, clock } = made;
    const running = make(ranked('sheddable'));
    fail(make(ranked('critical-plus')));
    const waiting = make(ranked('sheddable'));
    // The part of the most critical falls idle meanwhile; nobody looks until the next call comes.
    clock.advance(1_100);
    const next = make({ start: false });
    made.listener = ({ to }) => to === 'half-open' && cancel(next);
    next.call.start(metadataOf({ 'switchgear-criticality': 'sheddable' }), next.client.listener);
    expect(made.targets.bulkheads()[0]).to.include({ queued: 0 });
    await settled();
    expect([statuses(next), next.wire()]).to.deep.equal([['status CANCELLED'], undefined]);
    for (const call of [waiting, running]) call.wire()?.end(status.OK);
    made.expectNothingLeft();
  });

  it('waits in the line of the policies that admitted it, whatever was put in their place meanwhile', async () => {
    const shares = { 'critical-plus': 0.5, sheddable: 0.5 };
    const made = given(effectiveOf({ circuit, bulkhead: bulkheadSpec(2, { maxQueue: 5, shares }) }));
    const { make, clock } = made;
    const running = make(ranked('sheddable'));
    fail(make(ranked('critical-plus')));
    const waiting = make(ranked('sheddable'));
    clock.advance(1_100);
    made.listener = ({ to }) =>
      to === 'half-open' && made.apply(effectiveOf({}, { policy: 'none', revision: 1 }));
    const next = make(ranked('sheddable'));
    await settled();
    expect([waiting.wire()?.started, next.wire()]).to.deep.equal([true, undefined]);
    waiting.wire()?.end(status.OK);
    await settled();
    expect(next.wire()?.started).to.equal(true);
    for (const call of [next, running]) call.wire()?.end(status.OK);
    made.expectNothingLeft();
  });
});

describe('a gRPC call that leaves a line', () => {
  it('is told once where whoever hears that its time is over, or that it made room, cancels it', async () => {
    const made = given(effectiveOf({ bulkhead: line(1, 100) }));
    const { make, decisions, clock } = made;
    const running = make();
    const late = make(ranked('sheddable'));
    decisions.listener = () => cancel(late);
    clock.advance(100);
    const displaced = make(ranked('sheddable'));
    decisions.listener = () => cancel(displaced);
    const critical = make(ranked('critical-plus'));
    running.wire()?.end(status.OK);
    await settled();
    critical.wire()?.end(status.OK);
    expect([statuses(late), statuses(displaced)]).to.deep.equal([['status CANCELLED'], ['status CANCELLED']]);
    made.expectNothingLeft();
  });

  it('as the mesh closes gives back the slot that it was granted in that very tick', async () => {
    const made = given(effectiveOf({ bulkhead: line(2) }));
    const running = made.make();
    // Told first, it ends a call that is under way.
    made.targets.pending({ cancel: () => running.wire()?.end(status.OK) });
    const waiting = [made.make(), made.make()];
    made.targets.close();
    await settled();
    for (const call of waiting)
      expect([statuses(call), call.wire()]).to.deep.equal([['status UNAVAILABLE'], undefined]);
    expect([made.targets.permitsOut, made.targets.bulkheads()[0]?.inUse]).to.deep.equal([0, 0]);
  });
});

describe('a gRPC call that is cancelled while its policies in shadow admit it', () => {
  const shadow = effectiveOf({ circuit, bulkhead: bulkheadSpec(5) }, { policy: 'in-shadow', revision: 3 });

  for (const kind of ['plain', 'tried again'] as const)
    it(`never starts, and its shadow gives back what it took (${kind})`, async () => {
      const retry = kind === 'plain' ? {} : { retry: retrySpec(), idempotent: true };
      const made = given(effectiveOf({ bulkhead: line(1), ...retry }), shadow);
      const { make, clock } = made;
      fail(make(), status.INTERNAL);
      clock.advance(1_000);
      const call = make({ start: false });
      made.listener = ({ reason }) => reason?.includes('half-open') && cancel(call);
      call.call.start(new grpc.Metadata(), call.client.listener);
      await settled();
      expect([statuses(call), call.wires]).to.deep.equal([['status CANCELLED'], []]);
      expect(made.targets.permitsOut).to.equal(0);
      made.expectNothingLeft();
    });

  it('nor does one that had waited in line', async () => {
    const made = given(effectiveOf({ bulkhead: line(2) }), shadow);
    const { make, clock } = made;
    const running = make();
    const waiting = make();
    const after = make();
    fail(running, status.INTERNAL);
    cancel(waiting);
    await settled();
    const last = make();
    clock.advance(1_000);
    made.listener = ({ reason }) => reason?.includes('half-open') && cancel(last);
    fail(after, status.INTERNAL);
    await settled();
    expect([statuses(last), last.wires]).to.deep.equal([['status CANCELLED'], []]);
    made.expectNothingLeft();
  });

  it('is told of once by a shadow whose word ends it', async () => {
    const words = effectiveOf({ timeout: 50 }, { policy: 'in-shadow', revision: 3 });
    const made = given(effectiveOf({ timeout: 60_000, streamTimeout: 60_000 }), words);
    const call = made.make({ responseStream: true });
    made.clock.advance(60);
    made.decisions.listener = () => call.wire()?.end(status.OK);
    call.wire()?.message('part');
    expect(made.decisions.words).to.deep.equal(['would-timeout deadline_exceeded']);
    expect(statuses(call)).to.deep.equal(['status OK']);
    made.expectNothingLeft();
  });
});

describe('whoever hears a decision and cancels the gRPC call', () => {
  it('leaves no timer where that was its retry, and no attempt follows', async () => {
    const made = given(effectiveOf({ retry: retrySpec(), idempotent: true }));
    const call = made.make();
    made.decisions.listener = ({ kind }) => kind === 'retry' && cancel(call);
    fail(call);
    await settled();
    expect(statuses(call)).to.deep.equal(['status CANCELLED']);
    expect(made.clock.pendingTimers).to.equal(0);
    made.clock.advance(1_000);
    expect(call.wires).to.have.lengthOf(1);
    made.expectNothingLeft();
  });

  it('leaves no copy where that was its hedge, and its slot of the budget is free', async () => {
    const made = given(effectiveOf({ hedge: hedge(2), idempotent: true }));
    const call = made.make();
    made.decisions.listener = ({ kind }) => kind === 'hedge' && cancel(call);
    made.clock.advance(20);
    await settled();
    made.clock.advance(1_000);
    expect([statuses(call), call.wires.length]).to.deep.equal([['status CANCELLED'], 1]);
    made.expectNothingLeft();
  });

  it('ends it once where that was the rejection of a further attempt', async () => {
    const made = given(effectiveOf({ retry: retrySpec(), idempotent: true, bulkhead: bulkheadSpec(1) }));
    const call = made.make();
    fail(call);
    const other = made.make();
    made.decisions.listener = ({ kind }) => kind === 'reject' && cancel(call);
    made.clock.advance(500);
    await settled();
    expect([statuses(call), call.wires.length]).to.deep.equal([['status CANCELLED'], 1]);
    other.wire()?.end(status.OK);
    made.expectNothingLeft();
  });

  it('ends it once where that was its timeout', async () => {
    const made = given(effectiveOf({ circuit, timeout: 50, streamTimeout: 60_000 }));
    const call = made.make({ responseStream: true });
    made.decisions.listener = ({ kind }) => kind === 'timeout' && cancel(call);
    made.clock.advance(50);
    await settled();
    expect(statuses(call)).to.deep.equal(['status CANCELLED']);
    expect(call.wire()?.cancelled?.code).to.equal(status.CANCELLED);
    expect(made.targets.circuit('inventory').state).to.equal('closed');
    made.expectNothingLeft();
  });

  it('ends it once where that was its hedge being refused, or its giving up', async () => {
    const made = given(effectiveOf({ retry: retrySpec({ attempts: 1 }), idempotent: true }));
    const call = made.make();
    made.decisions.listener = ({ kind }) => kind === 'give-up' && cancel(call);
    fail(call);
    await settled();
    expect(statuses(call)).to.deep.equal(['status CANCELLED']);
    made.expectNothingLeft();
  });
});

describe('copies of a gRPC call that fail within their start', () => {
  it('each have one limit of time, whatever pause the callee asks for', async () => {
    const made = given(effectiveOf({ hedge: hedge(4), idempotent: true, retry: retrySpec() }));
    const AtOnce = endsAtOnce(status.UNAVAILABLE, { 'grpc-retry-pushback-ms': '30' });
    let attempts = 0;
    const nextCall = (options: grpc.InterceptorOptions) =>
      attempts++ === 0 ? new NullCall(options) : new AtOnce(options);
    const calls = [0, 1, 2].map(() => {
      attempts = 0;
      return made.make({ nextCall });
    });
    for (let i = 0; i < 20; i++) {
      attempts = 1;
      made.clock.advance(10);
    }
    for (const call of calls) expect(call.wires.length).to.be.within(2, 5);
    for (const call of calls) call.wires[0]?.end(status.OK);
    await settled();
    for (const call of calls) expect(statuses(call)).to.deep.equal(['status OK']);
    made.expectNothingLeft();
  });
});
