/**
 * The interceptor over a transport that isn't there: what reaches it, what the client hears, and what counts for and against
 * the callee.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { createInterceptor } from '../../../agent/interceptor.js';
import type { Effective } from '../../../core/policy/model.js';
import { NullCall, type StubbedCall, stubbedCall } from '../../support/null-transport.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, settled } from '../../support/targets.js';

const { status } = grpc;
const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
const method = 'shop.v1.Inventory/Get';

function calls(effective: Effective) {
  const made = bench(effective);
  const interceptor = createInterceptor(made.targets, 'inventory');
  const state = () => made.targets.circuit('inventory', method).state;
  return {
    ...made,
    interceptor,
    state,
    make: (options = {}) => stubbedCall(made.targets, interceptor, options),
  };
}

function trip(made: { make: () => StubbedCall }): void {
  made.make().wire()?.end(status.UNAVAILABLE);
}

describe('an intercepted call', () => {
  it('passes on what both sides say, in order', () => {
    const { make, targets } = calls(effectiveOf({ circuit }));
    const { client, wire } = make();
    wire()?.message('reply');
    wire()?.end(status.OK);
    expect(wire()?.deeds).to.deep.equal(['message request', 'half-close']);
    expect(client.heard).to.deep.equal(['message reply', 'status OK']);
    expect(targets.permitsOut).to.equal(0);
  });

  it('hands the options on untouched where no policy limits time', () => {
    const { make } = calls(effectiveOf({ circuit }));
    const deadline = Date.UTC(2100, 0);
    expect(make({ deadline }).wire()?.options.deadline).to.equal(deadline);
    expect(make().wire()?.options).to.not.have.property('deadline');
  });

  it('asks its peer and credentials of the wire, once there is one', () => {
    const { make } = calls(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
    const first = make();
    const queued = make();
    expect([first.call.getPeer(), queued.call.getPeer()]).to.deep.equal(['null', 'unknown']);
    expect(queued.call.getAuthContext()).to.equal(null);
  });
});

describe('the outcome of an intercepted call', () => {
  const cases: [grpc.status, 'closed' | 'open'][] = [
    [status.OK, 'closed'],
    [status.NOT_FOUND, 'closed'],
    [status.CANCELLED, 'closed'],
    [status.UNKNOWN, 'open'],
    [status.DEADLINE_EXCEEDED, 'open'],
    [status.RESOURCE_EXHAUSTED, 'open'],
    [status.UNAVAILABLE, 'open'],
  ];
  for (const [code, state] of cases) {
    it(`leaves the circuit ${state} after ${status[code]}`, () => {
      const made = calls(effectiveOf({ circuit }));
      made.make().wire()?.end(code);
      expect(made.state()).to.equal(state);
    });
  }

  it('is neutral where the callee shed the call itself', () => {
    const made = calls(effectiveOf({ circuit }));
    const metadata = new grpc.Metadata();
    metadata.set('switchgear-reject', 'overloaded');
    const { client, wire } = made.make();
    wire()?.end(status.RESOURCE_EXHAUSTED, 'busy', metadata);
    expect(client.status).to.include({ code: status.RESOURCE_EXHAUSTED, details: 'busy' });
    expect(made.state()).to.equal('closed');
    expect(made.targets.drainCells()).to.deep.equal([]);
  });

  it('is neutral where there was no instance to call', () => {
    const made = calls(effectiveOf({ circuit }));
    made.make().wire()?.end(status.UNAVAILABLE, '[no_instances] inventory: nobody has registered');
    expect(made.state()).to.equal('closed');
  });

  it('is neutral where the caller cancels, whatever comes of it', async () => {
    for (const code of [status.CANCELLED, status.UNAVAILABLE, status.OK]) {
      const made = calls(effectiveOf({ circuit }));
      const { call, client, wire } = made.make({
        nextCall: (options: grpc.InterceptorOptions) =>
          Object.assign(new NullCall(options), { answersCancel: false }),
      });
      call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
      expect(wire()?.cancelled).to.deep.equal({ code: status.CANCELLED, details: 'Cancelled on client' });
      wire()?.end(code, 'late');
      expect(client.status?.code).to.equal(code);
      expect(made.state()).to.equal('closed');
      expect(made.targets.drainCells()).to.deep.equal([]);
      expect(made.targets.permitsOut).to.equal(0);
    }
  });

  it('is neutral where the call that this one is part of was cancelled', () => {
    const made = calls(effectiveOf({ circuit: { ...circuit, halfOpen: { calls: 1, maxWaitMs: 30_000 } } }));
    trip(made);
    made.clock.advance(5_000);
    const parent = { getDeadline: () => Number.POSITIVE_INFINITY } as unknown as NonNullable<
      grpc.CallOptions['parent']
    >;
    made.make({ parent }).wire()?.end(status.CANCELLED, 'Cancelled by parent call');
    expect(made.state()).to.equal('half-open');
    made.make().wire()?.end(status.OK);
    expect(made.state()).to.equal('closed');
  });

  it('counts once though the transport should say it twice', () => {
    const made = calls(effectiveOf({ circuit: circuitSpec({ minimumCalls: 2, failureRate: 1 }) }));
    const { wire } = made.make();
    wire()?.end(status.UNAVAILABLE);
    wire()?.end(status.UNAVAILABLE);
    expect(made.state()).to.equal('closed');
    expect(made.targets.drainCells()[0]).to.include({ failed: 1 });
  });
});

describe('a rejected call', () => {
  it('never reaches the wire, and hears of it on the next tick: no message, then the status', async () => {
    const made = calls(effectiveOf({ circuit }));
    trip(made);
    made.clock.advance(3_800);
    const { client, wire } = made.make();
    expect([client.heard, wire()]).to.deep.equal([[], undefined]);
    await settled();
    expect(client.heard).to.deep.equal(['message null', 'status UNAVAILABLE']);
    expect(client.status?.details).to.equal(
      '[circuit_open] inventory: retry in 1200 ms (policy inventory-default@7)',
    );
    expect(client.status?.metadata.get('switchgear-reject')).to.deep.equal(['circuit_open']);
    expect(made.targets.permitsOut).to.equal(0);
  });

  it('hears the status alone where responses stream', async () => {
    const made = calls(effectiveOf({ circuit }));
    trip(made);
    const { client } = made.make({ responseStream: true });
    await settled();
    expect(client.heard).to.deep.equal(['status UNAVAILABLE']);
  });

  it('is RESOURCE_EXHAUSTED where the bulkhead is full, and never asks the circuit', async () => {
    const made = calls(effectiveOf({ circuit, bulkhead: bulkheadSpec(1) }));
    trip(made);
    made.clock.advance(5_000);
    const probe = made.make();
    const { client } = made.make();
    await settled();
    expect(client.status?.code).to.equal(status.RESOURCE_EXHAUSTED);
    expect(client.status?.metadata.get('switchgear-reject')).to.deep.equal(['bulkhead_full']);
    probe.wire()?.end(status.OK);
    for (let i = 0; i < 2; i++) made.make().wire()?.end(status.OK);
    expect(made.state()).to.equal('closed');
  });

  it('ignores what the client still does, and hears its cancel no second time', async () => {
    const made = calls(effectiveOf({ circuit }));
    trip(made);
    const { call, client } = made.make({ requestStream: true });
    call.sendMessage('late');
    call.startRead();
    call.halfClose();
    call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    await settled();
    expect(client.heard).to.deep.equal(['message null', 'status UNAVAILABLE']);
  });

  it('that was cancelled before its start starts nothing, and hears why it ended', async () => {
    const made = calls(effectiveOf({ circuit }));
    const { call, client, wire } = made.make({ start: false });
    call.cancelWithStatus(status.ABORTED, 'an interceptor before us thought better of it');
    call.start(new grpc.Metadata(), client.listener);
    await settled();
    expect(wire()).to.equal(undefined);
    expect(client.heard).to.deep.equal(['message null', 'status ABORTED']);
    expect(client.status?.details).to.equal('an interceptor before us thought better of it');
  });
});

describe('a transport that does not behave', () => {
  it('that throws gives the permit back, and the client the error', () => {
    const made = calls(effectiveOf({ circuit, bulkhead: bulkheadSpec(1) }));
    const broken = () => {
      throw new TypeError('no such deadline');
    };
    expect(() => made.make({ nextCall: broken })).to.throw('no such deadline');
    expect(made.targets.permitsOut).to.equal(0);
    expect(made.state()).to.equal('closed');
  });

  it('that answers within start leaves nothing set', () => {
    const made = calls(effectiveOf({ circuit, timeout: 100 }));
    const { client } = made.make({
      responseStream: true,
      nextCall: (options: grpc.InterceptorOptions) => {
        const call = new NullCall(options);
        const start = call.start.bind(call);
        call.start = (metadata, listener) => {
          start(metadata, listener);
          call.end(status.OK);
        };
        return call;
      },
    });
    expect(client.heard).to.deep.equal(['status OK']);
    expect(made.targets.permitsOut).to.equal(0);
    made.clock.advance(100);
    expect(made.clock.pendingTimers).to.equal(0);
    made.targets.close();
    expect(made.clock.pendingTimers).to.equal(0);
  });
});

describe('a stream of responses', () => {
  it('settles at its first message and holds its slot until its status', async () => {
    const made = calls(effectiveOf({ circuit, bulkhead: bulkheadSpec(1) }));
    trip(made);
    made.clock.advance(5_000);
    const stream = made.make({ responseStream: true });
    stream.wire()?.message('one');
    expect(made.targets.drainCells()[0]).to.include({ ok: 1, failed: 1 });
    const { client } = made.make();
    await settled();
    expect(client.status?.code).to.equal(status.RESOURCE_EXHAUSTED);
    stream.wire()?.message('two');
    stream.wire()?.end(status.UNAVAILABLE);
    expect(made.targets.permitsOut).to.equal(0);
    expect(made.targets.drainCells()[0]).to.include({ ok: 0, failed: 0, rejected: 1 });
    for (let i = 0; i < 2; i++) made.make().wire()?.end(status.OK);
    expect(made.state()).to.equal('closed');
  });

  it('settles at its status where no message came', () => {
    const made = calls(effectiveOf({ circuit }));
    made.make({ responseStream: true }).wire()?.end(status.UNAVAILABLE);
    expect(made.state()).to.equal('open');
  });

  it('is as slow as its first message, however long it lasts', () => {
    const slow = circuitSpec({ minimumCalls: 1, failureRate: 1, slowCallMs: 100, slowRate: 1 });
    const made = calls(effectiveOf({ circuit: slow }));
    const stream = made.make({ responseStream: true });
    made.clock.advance(99);
    stream.wire()?.message('one');
    made.clock.advance(60_000);
    stream.wire()?.end(status.OK);
    expect(made.state()).to.equal('closed');
    const late = made.make({ responseStream: true });
    made.clock.advance(100);
    late.wire()?.message('one');
    expect(made.state()).to.equal('open');
  });

  it('of requests alone settles at its status, like any call with one response', () => {
    const made = calls(effectiveOf({ circuit }));
    const { call, wire } = made.make({ requestStream: true });
    for (const message of ['a', 'b']) call.sendMessageWithContext({}, message);
    call.halfClose();
    wire()?.message('sum');
    expect(made.targets.drainCells()).to.deep.equal([]);
    wire()?.end(status.UNAVAILABLE);
    expect(made.state()).to.equal('open');
    expect(wire()?.deeds).to.deep.equal(['message a', 'message b', 'half-close']);
  });
});

describe('an interceptor', () => {
  it('binds each method once, and shares the circuit with guard and other methods', () => {
    const made = calls(effectiveOf({ circuit }));
    trip(made);
    expect(made.targets.size).to.equal(1);
    made.make({ path: '/shop.v1.Inventory/List' });
    expect(made.targets.size).to.equal(2);
    expect(made.targets.circuit('inventory').state).to.equal('open');
  });

  it('applies a change of policy between two calls', async () => {
    const made = bench(effectiveOf({ bulkhead: bulkheadSpec(1) }));
    const interceptor = createInterceptor(made.targets, 'inventory');
    const first = stubbedCall(made.targets, interceptor);
    made.apply(effectiveOf({ bulkhead: bulkheadSpec(2) }));
    const second = stubbedCall(made.targets, interceptor);
    const third = stubbedCall(made.targets, interceptor);
    await settled();
    expect(third.client.status?.code).to.equal(status.RESOURCE_EXHAUSTED);
    for (const { wire } of [first, second]) wire()?.end(status.OK);
    expect(made.targets.permitsOut).to.equal(0);
  });

  it('takes the policies that hold when the call starts, not when an interceptor before it made it', () => {
    const made = bench();
    const interceptor = createInterceptor(made.targets, 'inventory');
    const { call, client, wire } = stubbedCall(made.targets, interceptor, { start: false });
    made.apply(effectiveOf({ circuit }));
    call.start(new grpc.Metadata(), client.listener);
    wire()?.end(status.UNAVAILABLE);
    expect(made.targets.circuit('inventory', method).state).to.equal('open');
  });

  it('survives the eviction of a method it remembers', () => {
    const made = bench(effectiveOf({ circuit }), { maxKeys: 3 });
    const interceptor = createInterceptor(made.targets, 'inventory');
    stubbedCall(made.targets, interceptor).wire()?.end(status.OK);
    for (let i = 0; i < 10; i++) {
      made.clock.advance(1);
      made.targets.get(`other ${i}`);
    }
    stubbedCall(made.targets, interceptor).wire()?.end(status.UNAVAILABLE);
    expect(made.targets.circuit('inventory', method).state).to.equal('open');
  });
});
