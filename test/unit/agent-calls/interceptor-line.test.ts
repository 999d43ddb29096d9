/**
 * gRPC calls in line for a slot: what the client does meanwhile is kept and repeated, giving up is answered here, and nothing
 * of who gave up stays behind.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import type { Effective } from '../../../core/policy/model.js';
import { type StubbedCall, type StubOptions, stubbedCall } from '../../support/null-transport.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, settled } from '../../support/targets.js';

const { status } = grpc;
const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
const line = (maxQueue: number, queueTimeoutMs?: number) =>
  bulkheadSpec(1, { maxQueue, ...(queueTimeoutMs === undefined ? {} : { queueTimeoutMs }) });

function calls(effective: Effective) {
  const made = bench(effective);
  const make = (options: StubOptions = {}) => stubbedCall(made.targets, undefined, options);
  const held: StubbedCall = make();
  return { ...made, make, free: (code = status.OK) => held.wire()?.end(code) };
}

describe('a gRPC call in line', () => {
  it('reaches the wire when a slot comes free, with all that the client did meanwhile, in order', async () => {
    const { make, free, targets } = calls(effectiveOf({ bulkhead: line(1) }));
    const queued = make({ requestStream: true, responseStream: true });
    queued.call.sendMessageWithContext({}, 'a');
    queued.call.startRead();
    queued.call.sendMessage('b');
    queued.call.halfClose();
    expect(queued.wire()).to.equal(undefined);
    free();
    await settled();
    expect(queued.wire()?.deeds).to.deep.equal(['message a', 'read', 'message b', 'half-close']);
    queued.wire()?.end(status.OK);
    expect(targets.permitsOut).to.equal(0);
  });

  it('starts in the context of its own caller, and is told of its end there', async () => {
    const { make, free } = calls(effectiveOf({ bulkhead: line(2, 100) }));
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const queued = storage.run('its own', () =>
      make({
        nextCall: (options) => {
          seen.push(storage.getStore());
          return new (class extends Object {
            options = options;
            start(): void {
              seen.push(storage.getStore());
            }
            sendMessage(): void {}
            halfClose(): void {}
          })() as never;
        },
      }),
    );
    storage.run('whoever ends it', () => free());
    await settled();
    expect(seen).to.deep.equal(['its own', 'its own']);
    expect(queued.client.heard).to.deep.equal([]);
  });

  it('hears of its timeout in the context of its own caller', async () => {
    const { make, clock } = calls(effectiveOf({ bulkhead: line(2, 100) }));
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    storage.run('its own', () => {
      const { call, client } = make({ start: false });
      client.listener.onReceiveStatus = () => void seen.push(storage.getStore());
      call.start(new grpc.Metadata(), client.listener);
    });
    storage.run('the timer', () => clock.advance(100));
    await settled();
    expect(seen).to.deep.equal(['its own']);
  });

  it('is turned away when its time in line is over', async () => {
    const { make, clock, free, targets } = calls(effectiveOf({ bulkhead: line(1, 100) }));
    const { client, wire } = make();
    clock.advance(100);
    await settled();
    expect(client.heard).to.deep.equal(['message null', 'status RESOURCE_EXHAUSTED']);
    expect(client.status?.details).to.equal(
      '[bulkhead_timeout] inventory: no slot came free within 100 ms; slow down (policy inventory-default@7)',
    );
    expect(client.status?.metadata.get('switchgear-reject')).to.deep.equal(['bulkhead_timeout']);
    free();
    await settled();
    expect([wire(), targets.permitsOut, clock.pendingTimers]).to.deep.equal([undefined, 0, 0]);
  });

  it('waits no longer than the policy’s timeout, and names that', async () => {
    const { make, clock } = calls(effectiveOf({ bulkhead: line(1, 900), timeout: 500, attemptTimeout: 300 }));
    const { client } = make();
    clock.advance(500);
    await settled();
    expect(client.status).to.include({
      code: status.DEADLINE_EXCEEDED,
      details: '[deadline_exceeded] inventory: no slot came free within 500 ms (policy inventory-default@7)',
    });
  });

  it('waits no longer than its caller’s deadline, and blames no policy’s timeout for it', async () => {
    const { make, clock } = calls(effectiveOf({ bulkhead: line(1), timeout: 900 }));
    const { client } = make({ deadline: clock.wallNow() + 200 });
    clock.advance(200);
    await settled();
    expect(client.status).to.include({
      code: status.DEADLINE_EXCEEDED,
      details:
        "[deadline_exceeded] inventory: no slot came free before the caller's deadline (policy inventory-default@7)",
    });
  });

  it('of a stream waits no longer than its first message may take: it never reaches the wire', async () => {
    const { make, clock, free } = calls(
      effectiveOf({ bulkhead: line(1), timeout: 500, streamTimeout: 60_000 }),
    );
    const { client, wire } = make({ responseStream: true });
    clock.advance(500);
    await settled();
    expect(client.heard).to.deep.equal(['status DEADLINE_EXCEEDED']);
    expect(client.status?.details).to.equal(
      '[deadline_exceeded] inventory: no slot came free within 500 ms (policy inventory-default@7)',
    );
    free();
    await settled();
    expect(wire()).to.equal(undefined);
  });

  it('counts nobody’s failure when its time is over in line', async () => {
    const { make, clock, targets } = calls(effectiveOf({ circuit, bulkhead: line(1), timeout: 500 }));
    make();
    clock.advance(500);
    expect(targets.circuit('inventory').state).to.equal('closed');
    expect(targets.drainCells()[0]).to.include({ failed: 0, rejected: 1 });
  });

  it('has on the wire what remains of the whole, or its attempt’s own from then on', async () => {
    const one = calls(effectiveOf({ bulkhead: line(1), timeout: 800 }));
    const first = one.make();
    one.clock.advance(200);
    one.free();
    await settled();
    expect(first.wire()?.options.deadline).to.equal(one.clock.wallNow() + 600);
    const two = calls(effectiveOf({ bulkhead: line(1), timeout: 800, attemptTimeout: 300 }));
    const second = two.make();
    two.clock.advance(200);
    two.free();
    await settled();
    expect(second.wire()?.options.deadline).to.equal(two.clock.wallNow() + 300);
  });

  it('has on the wire what remains of its caller’s, though the wall clock jumped meanwhile', async () => {
    for (const responseStream of [false, true]) {
      for (const jumpMs of [3_600_000, -3_600_000]) {
        const { make, clock, free } = calls(effectiveOf({ bulkhead: line(1) }));
        const { wire } = make({ responseStream, deadline: clock.wallNow() + 500 });
        clock.advance(200);
        clock.wallOffset += jumpMs;
        free();
        await settled();
        expect(wire()?.options.deadline).to.equal(clock.wallNow() + 300);
      }
    }
  });

  it('that is cancelled is answered here, at once, and never reaches the wire', async () => {
    const { make, free, targets, clock } = calls(effectiveOf({ circuit, bulkhead: line(1, 100) }));
    const { call, client, wire } = make();
    call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    const next = make();
    expect(next.client.heard).to.deep.equal([]);
    await settled();
    expect(client.heard).to.deep.equal(['message null', 'status CANCELLED']);
    expect(client.status?.details).to.equal('Cancelled on client');
    free();
    await settled();
    expect(wire()).to.equal(undefined);
    expect(next.wire()?.started).to.equal(true);
    next.wire()?.end(status.OK);
    clock.advance(100);
    expect([targets.permitsOut, clock.pendingTimers]).to.deep.equal([0, 0]);
  });

  it('that is cancelled in the very tick in which it was granted gives its slot on', async () => {
    const { make, free, targets } = calls(effectiveOf({ bulkhead: line(2) }));
    const { call, client, wire } = make();
    const next = make();
    free();
    call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    await settled();
    expect([wire(), client.heard]).to.deep.equal([undefined, ['message null', 'status CANCELLED']]);
    next.wire()?.end(status.OK);
    expect(targets.permitsOut).to.equal(0);
  });

  it('is turned away by the circuit that opened meanwhile; the slot goes on', async () => {
    const { make, free, targets } = calls(effectiveOf({ circuit, bulkhead: line(10_000) }));
    const queued = Array.from({ length: 10_000 }, () => make());
    free(status.UNAVAILABLE);
    await settled();
    for (const { client, wire } of queued) {
      if (client.status?.code !== status.UNAVAILABLE || wire()) expect.fail('one got through');
    }
    expect(targets.permitsOut).to.equal(0);
  });

  it('is told, and doesn’t bring the process down, where the transport throws at its late start', async () => {
    const { make, free, targets } = calls(effectiveOf({ circuit, bulkhead: line(1) }));
    const { client } = make({
      nextCall: () => {
        throw new TypeError('channel closed');
      },
    });
    free();
    await settled();
    expect(client.status).to.include({ code: status.INTERNAL, details: 'channel closed' });
    expect(targets.permitsOut).to.equal(0);
    expect(targets.circuit('inventory').state).to.equal('closed');
  });

  it('is rejected when the mesh closes', async () => {
    const { make, free, targets, clock } = calls(effectiveOf({ bulkhead: line(2, 100) }));
    const queued = make();
    targets.close();
    const late = make();
    await settled();
    for (const { client } of [queued, late]) {
      expect(client.status?.code).to.equal(status.UNAVAILABLE);
      expect(client.status?.metadata.get('switchgear-reject')).to.deep.equal(['mesh_closed']);
    }
    free();
    expect([targets.permitsOut, clock.pendingTimers]).to.deep.equal([0, 0]);
  });
});
