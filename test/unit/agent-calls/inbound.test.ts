/**
 * Calls into this service under the policies of `self`, over a wire that isn't there: who gets in and when, what is given back,
 * and what a handler's own calls inherit.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { createServerInterceptor } from '../../../agent/server-interceptor.js';
import type { Effective } from '../../../core/policy/model.js';
import { type ArrivalOptions, arrive } from '../../support/null-wire.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, settled } from '../../support/targets.js';

const { status } = grpc;
const line = (maxQueue: number, queueTimeoutMs?: number) =>
  effectiveOf({
    bulkhead: bulkheadSpec(1, { maxQueue, ...(queueTimeoutMs === undefined ? {} : { queueTimeoutMs }) }),
  });

function server(effective: Effective = {}) {
  const made = bench(effective);
  const interceptor = createServerInterceptor(made.targets);
  return Object.assign(made, { make: (options?: ArrivalOptions) => arrive(interceptor, options) });
}

describe('an inbound call', () => {
  it('is passed on as it is where no policy speaks of self', () => {
    const { make, targets, newCallees } = server();
    const { wire, call, heard, end } = make();
    call.startRead();
    wire.listener?.onReceiveMessage('hello');
    wire.listener?.onReceiveHalfClose();
    call.sendMetadata(new grpc.Metadata());
    call.sendMessage('re: hello', () => undefined);
    end();
    expect(heard).to.deep.equal(['metadata', 'message hello', 'half-close']);
    expect([wire.sent, wire.reads]).to.deep.equal([['metadata', 'message re: hello'], 1]);
    expect(wire.statuses).to.deep.equal([{ code: status.OK, details: '' }]);
    expect([call.getPeer(), call.getHost(), call.getDeadline()]).to.deep.equal([
      'null',
      'shop',
      Number.POSITIVE_INFINITY,
    ]);
    expect([newCallees, targets.permitsOut]).to.deep.equal([['self'], 0]);
  });

  it('is turned away where the limit is reached: the handler hears of nothing but the end', () => {
    const { make, targets } = server(line(0));
    const first = make();
    const { wire, heard, cancel } = make();
    wire.listener?.onReceiveMessage('early');
    cancel();
    expect(heard).to.deep.equal(['cancel']);
    expect(wire.statuses).to.have.length(1);
    expect(wire.statuses[0]).to.include({
      code: status.RESOURCE_EXHAUSTED,
      details:
        '[bulkhead_full] self: 1 of 1 calls in flight and 0 of 0 waiting; slow down or raise maxConcurrent (policy inventory-default@7)',
    });
    expect(wire.statuses[0]?.metadata?.get('switchgear-reject')).to.deep.equal(['bulkhead_full']);
    first.end();
    expect(targets.permitsOut).to.equal(0);
  });

  it('has the policies of its own method', () => {
    const made = server();
    made.policies = (to, method) => (to === 'self' && method === 'shop.v1.Inventory/Get' ? line(0) : {});
    made.targets.refresh();
    made.make();
    expect(made.make().wire.statuses).to.have.length(1);
    expect(made.make({ path: '/shop.v1.Inventory/Put' }).heard).to.deep.equal(['metadata']);
  });

  it('whose deadline is over never reaches its handler, and is nobody’s failure', () => {
    const { make, targets, clock } = server(line(0));
    for (const deadline of [clock.wallNow(), new Date(clock.wallNow() - 1)]) {
      const { wire, heard } = make({ deadline });
      expect(heard).to.deep.equal([]);
      expect(wire.statuses[0]).to.include({
        code: status.DEADLINE_EXCEEDED,
        details: '[deadline_exceeded] self: the deadline was over before the call began',
      });
    }
    expect(targets.drainCells()[0]).to.include({ failed: 0, rejected: 2 });
    expect(targets.permitsOut).to.equal(0);
  });

  it('gives its permit back once, however often and in whatever order it ends', () => {
    const { make, targets } = server(line(0));
    for (const ends of ['ec', 'ee', 'ce', 'cc', 'eccee']) {
      const { end, cancel } = make();
      for (const how of ends) how === 'e' ? end() : cancel();
      expect(targets.permitsOut, ends).to.equal(0);
    }
    const counted = targets.drainCells();
    // Three that ended first; two that were cancelled first count neither way.
    expect(counted[0]).to.include({ ok: 3, failed: 0, rejected: 0 });
  });

  it('goes on being answered after its end as without us', () => {
    const { make } = server(line(0));
    const { wire, call, heard, end } = make();
    end();
    wire.listener?.onReceiveMessage('late');
    call.startRead();
    expect(heard).to.deep.equal(['metadata', 'message late']);
    expect(wire.reads).to.equal(1);
  });

  it('that its caller gives up counts neither way; one whose deadline is over has failed', () => {
    const { make, targets, clock } = server();
    make().cancel();
    const deadline = clock.wallNow() + 100;
    const early = make({ deadline });
    const late = make({ deadline });
    clock.advance(80);
    early.cancel();
    clock.advance(15);
    late.cancel();
    make().end(status.CANCELLED);
    expect(targets.drainCells()[0]).to.include({ ok: 0, failed: 1 });
  });

  it('holds its permit no longer than its deadline, though the wire says nothing', () => {
    const { make, targets, clock } = server(line(0));
    const { end } = make({ deadline: clock.wallNow() + 100 });
    clock.wallOffset = -3_600_000;
    clock.advance(100);
    expect(targets.permitsOut).to.equal(0);
    end();
    expect(targets.drainCells()[0]).to.include({ ok: 0, failed: 1 });
    targets.close();
    expect(clock.pendingTimers).to.equal(0);
  });

  it('finds a method again whose place others needed', () => {
    const made = bench(line(0), { maxKeys: 1 });
    const interceptor = createServerInterceptor(made.targets);
    arrive(interceptor).end();
    made.targets.get('other');
    expect(arrive(interceptor).heard).to.deep.equal(['metadata']);
    expect(arrive(interceptor).wire.statuses).to.have.length(1);
  });
});

describe('the policies of self', () => {
  it('bound the rate: what was turned away may come a little later', () => {
    const { make, clock, targets } = server(
      effectiveOf({ rateLimit: { rate: 2, perMs: 1_000, burst: 2, scope: 'local', by: 'service' } }),
    );
    for (let i = 0; i < 2; i++) make().end();
    const { wire, heard } = make();
    expect(wire.statuses[0]).to.include({
      code: status.RESOURCE_EXHAUSTED,
      details: '[rate_limited] self: at most 2 calls per 1s; retry in 500 ms (policy inventory-default@7)',
    });
    clock.advance(500);
    const { end } = make();
    end();
    expect([heard, targets.permitsOut]).to.deep.equal([[], 0]);
  });

  it('shed the least critical first', async () => {
    const { make, targets } = server(line(1));
    const first = make();
    const sheddable = make({ headers: { 'switchgear-criticality': 'sheddable' } });
    const critical = make({ headers: { 'switchgear-criticality': 'critical-plus' } });
    expect(sheddable.wire.statuses[0]?.details).to.match(/^\[overloaded\] self: /);
    first.end();
    await settled();
    expect([sheddable.heard, critical.heard]).to.deep.equal([[], ['metadata']]);
    critical.end();
    expect(targets.permitsOut).to.equal(0);
  });

  const full = () => {
    const made = server(effectiveOf({ bulkhead: { maxConcurrent: 'auto', maxQueue: 0, per: 'service' } }));
    const deadline = made.clock.wallNow() + 1_000;
    return { made, calls: Array.from({ length: 20 }, () => made.make({ deadline })) };
  };
  const refusal = ({ make }: ReturnType<typeof server>) => make().wire.statuses[0]?.details;

  it('find the limit by themselves: a deadline that is over lowers it', () => {
    const { made, calls } = full();
    expect(refusal(made)).to.match(/^\[overloaded\] self: 20 of 20 calls in flight/);
    made.clock.advance(1_000);
    expect(made.targets.permitsOut).to.equal(0);
    for (let i = 0; i < 18; i++) made.make();
    expect(refusal(made)).to.match(/^\[overloaded\] self: 18 of 18 calls in flight/);
    for (const { cancel } of calls) cancel();
  });

  it('find the limit by latency, as a server does: calls that all succeed lower it when they take longer', () => {
    const { make, clock } = server(
      effectiveOf({ bulkhead: { maxConcurrent: 'auto', maxQueue: 0, per: 'service' } }),
    );
    const round = (latencyMs: number): number => {
      const running: ReturnType<typeof make>[] = [];
      for (let call = make(); call.wire.statuses[0] === undefined; call = make()) running.push(call);
      clock.advance(latencyMs);
      for (const { end } of running) end();
      return running.length;
    };
    let before = 0;
    for (let i = 0; i < 150; i++) before = round(50);
    expect(before).to.be.above(20);
    const after = Array.from({ length: 150 }, () => round(500));
    expect(Math.min(...after)).to.be.below(before);
  });

  it('take a cancel, and an error of the handler, for no sample', () => {
    const { made, calls } = full();
    for (const { cancel } of calls.slice(0, 10)) cancel();
    for (const { end } of calls.slice(10)) end(status.INTERNAL);
    for (let i = 0; i < 20; i++) made.make();
    expect(refusal(made)).to.match(/^\[overloaded\] self: 20 of 20 calls in flight/);
  });

  it('have no circuit, which would be on ourselves', () => {
    const { make, targets } = server(effectiveOf({ circuit: circuitSpec({ minimumCalls: 1 }) }));
    for (let i = 0; i < 10; i++) make().end(status.INTERNAL);
    expect(make().heard).to.deep.equal(['metadata']);
    expect([targets.circuits(), targets.circuit('self').state]).to.deep.equal([[], 'disabled']);
  });
});

describe('the context of an inbound call', () => {
  it('holds around every event of the handler, and nowhere else', () => {
    const { make, clock } = server();
    const headers = {
      'switchgear-criticality': 'sheddable',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'vendor=1',
      'grpc-trace-bin': Buffer.from([0, 1]),
    };
    const { wire, contexts, cancel } = make({ deadline: clock.wallNow() + 250, headers });
    wire.listener?.onReceiveMessage('x');
    wire.listener?.onReceiveHalfClose();
    cancel();
    expect(contexts).to.have.length(4);
    for (const context of contexts) {
      expect(context).to.deep.equal({
        deadlineAt: clock.now() + 250,
        rank: 3,
        trace: [
          ['traceparent', headers.traceparent],
          ['tracestate', 'vendor=1'],
          ['grpc-trace-bin', headers['grpc-trace-bin']],
        ],
      });
    }
  });

  it('says that the call is a retry of somebody above', () => {
    const { make } = server();
    const { contexts } = make({ headers: { 'grpc-previous-rpc-attempts': '1' } });
    expect(contexts[0]?.upstreamRetry).to.equal(true);
  });

  it('is critical and without an end where nothing, or nonsense, is said', () => {
    const { make } = server();
    for (const headers of [{}, { 'switchgear-criticality': 'utmost' }])
      expect(make({ headers }).contexts[0]).to.deep.equal({
        deadlineAt: Number.POSITIVE_INFINITY,
        rank: 1,
        trace: [],
      });
  });
});
