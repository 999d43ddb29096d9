/**
 * How retried gRPC calls end: by their time, by their caller, by the mesh or a broken transport. Nothing stays behind.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { withinContext } from '../../../agent/context.js';
import { intercepted, metadataOf } from '../../support/intercepted.js';
import { NullCall } from '../../support/null-transport.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { settled } from '../../support/targets.js';

const { status } = grpc;
const retry = retrySpec();
/** The first pause under `evenRandom`. */
const PAUSE_MS = 12.5;
const idempotent = effectiveOf({ retry, idempotent: true });

describe('the time of a retried call', () => {
  it('is one for all attempts and pauses; each attempt has its own besides', () => {
    const made = intercepted(effectiveOf({ retry, idempotent: true, timeout: 400, attemptTimeout: 300 }));
    const { wires } = made.make();
    expect(wires[0]?.options.deadline).to.equal(made.clock.wallNow() + 300);
    made.clock.advance(200);
    wires[0]?.end(status.UNAVAILABLE);
    made.clock.advance(PAUSE_MS);
    expect(wires[1]?.options.deadline).to.equal(made.clock.wallNow() + 400 - 200 - PAUSE_MS);
  });

  it('is the caller’s where that is shorter, however the wall clock jumps', () => {
    for (const jumpMs of [0, 3_600_000, -3_600_000]) {
      const made = intercepted(idempotent);
      const { wires } = made.make({ deadline: made.clock.wallNow() + 400 });
      made.clock.advance(200);
      made.clock.wallOffset += jumpMs;
      wires[0]?.end(status.UNAVAILABLE);
      made.clock.advance(PAUSE_MS);
      expect(wires[1]?.options.deadline).to.equal(made.clock.wallNow() + 400 - 200 - PAUSE_MS);
    }
  });

  it('that does not outlast the pause ends it at once, as it failed', () => {
    const made = intercepted(effectiveOf({ retry, idempotent: true, timeout: 100 }));
    const { client, wires } = made.make();
    made.clock.advance(100 - PAUSE_MS);
    wires[0]?.end(status.UNAVAILABLE, 'broken');
    expect(client.status?.details).to.equal('broken');
    expect(wires).to.have.lengthOf(1);
    made.expectNothingLeft();
  });

  it('that is over is not tried beyond, whatever the policy names', () => {
    const on = ['DEADLINE_EXCEEDED'];
    const made = intercepted(effectiveOf({ retry: retrySpec({ on }), idempotent: true, timeout: 100 }));
    const { client, wires } = made.make();
    // A timer of grpc-js may be early.
    made.clock.advance(99);
    wires[0]?.end(status.DEADLINE_EXCEEDED);
    expect(client.status?.details).to.include('no answer within 100 ms');
    made.expectNothingLeft();
  });

  it('of an attempt that is over leaves time for another', () => {
    const on = ['DEADLINE_EXCEEDED'];
    const made = intercepted(
      effectiveOf({ retry: retrySpec({ on }), idempotent: true, timeout: 1_000, attemptTimeout: 100 }),
    );
    const { client, wires } = made.make();
    made.clock.advance(100);
    wires[0]?.end(status.DEADLINE_EXCEEDED);
    made.clock.advance(PAUSE_MS);
    wires[1]?.message('reply');
    wires[1]?.end(status.OK);
    expect(client.status?.code).to.equal(status.OK);
    made.expectNothingLeft();
  });

  it('is paused exactly as long as the callee asks', () => {
    const made = intercepted(idempotent);
    const { wires } = made.make();
    wires[0]?.end(status.UNAVAILABLE, '', metadataOf({ 'grpc-retry-pushback-ms': '70' }));
    made.clock.advance(69);
    expect(wires).to.have.lengthOf(1);
    made.clock.advance(1);
    expect(wires).to.have.lengthOf(2);
  });
});

describe('a retried call that its caller gives up', () => {
  it('in a pause starts nothing more, and hears of it from us', async () => {
    const made = intercepted(idempotent);
    const { call, client, wires } = made.make();
    wires[0]?.end(status.UNAVAILABLE);
    call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    made.clock.advance(1_000);
    await settled();
    expect(wires).to.have.lengthOf(1);
    expect(client.heard).to.deep.equal(['message null', 'status CANCELLED']);
    expect(client.status?.details).to.equal('Cancelled on client');
    made.expectNothingLeft();
  });

  it('in a further attempt ends that one, which says nothing about the target', async () => {
    const made = intercepted(idempotent);
    const { call, client, wires } = made.make();
    wires[0]?.end(status.UNAVAILABLE);
    made.clock.advance(PAUSE_MS);
    call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    await settled();
    expect(wires[1]?.cancelled?.code).to.equal(status.CANCELLED);
    expect(client.heard).to.deep.equal(['message null', 'status CANCELLED']);
    expect(made.target().tally).to.include({ failed: 1, neutral: 1 });
    made.clock.advance(1_000);
    expect(wires).to.have.lengthOf(2);
    made.expectNothingLeft();
  });

  it('in a further attempt’s line leaves it at once', async () => {
    const made = intercepted(
      effectiveOf({ retry, idempotent: true, bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }),
    );
    const { call, client, wires } = made.make();
    wires[0]?.end(status.UNAVAILABLE);
    const other = made.make();
    made.clock.advance(PAUSE_MS);
    call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    const next = made.make();
    other.wires[0]?.end(status.OK);
    await settled();
    expect([wires.length, client.status?.code]).to.deep.equal([1, status.CANCELLED]);
    next.wires[0]?.end(status.OK);
    made.expectNothingLeft();
  });

  it('in its first attempt is not tried again, whatever the wire says', async () => {
    for (const code of [status.CANCELLED, status.UNAVAILABLE]) {
      const on = ['CANCELLED', 'UNAVAILABLE'];
      const made = intercepted(effectiveOf({ retry: retrySpec({ on }), idempotent: true }));
      const { call, client, wires } = made.make({
        nextCall: (options) => Object.assign(new NullCall(options), { answersCancel: false }),
      });
      call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
      wires[0]?.end(code);
      made.clock.advance(1_000);
      await settled();
      expect([wires.length, client.status?.code]).to.deep.equal([1, code]);
      made.expectNothingLeft();
    }
  });

  it('while it is being admitted, by whoever hears of the circuit, starts nothing', async () => {
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
    const made = intercepted(
      effectiveOf({ retry, idempotent: true, circuit, fallback: [{ kind: 'error', status: 'NOT_FOUND' }] }),
    );
    made.make().wires[0]?.end(status.INTERNAL);
    made.clock.advance(5_000);
    const { call, client, wires } = made.make({ start: false });
    made.listener = () => call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    call.start(new grpc.Metadata(), client.listener);
    await settled();
    expect([wires.length, client.heard]).to.deep.equal([0, ['message null', 'status CANCELLED']]);
    made.expectNothingLeft();
  });

  it('with the call it is part of is not tried again', async () => {
    const made = intercepted(effectiveOf({ retry: retrySpec({ on: ['CANCELLED'] }), idempotent: true }));
    const parent = { getDeadline: () => Number.POSITIVE_INFINITY } as unknown as NonNullable<
      grpc.CallOptions['parent']
    >;
    const { client, wires } = made.make({ parent });
    wires[0]?.end(status.CANCELLED, 'Cancelled by parent call');
    made.clock.advance(1_000);
    expect([wires.length, client.status?.code]).to.deep.equal([1, status.CANCELLED]);
    made.expectNothingLeft();
  });
});

describe('a retried call and its surroundings', () => {
  it('ends as it failed when the mesh closes in a pause', async () => {
    const made = intercepted(idempotent);
    const { client, wires } = made.make();
    wires[0]?.end(status.UNAVAILABLE, 'broken');
    made.targets.close();
    await settled();
    expect(client.status?.details).to.equal('broken');
    expect(made.clock.pendingTimers).to.equal(0);
    const late = made.make();
    late.wires[0]?.end(status.UNAVAILABLE, 'broken, too');
    expect(late.client.status?.details).to.equal('broken, too');
    made.expectNothingLeft();
  });

  it('gives everything back where the transport throws, at once or later', async () => {
    const made = intercepted(idempotent);
    const broken = () => {
      throw new TypeError('no such deadline');
    };
    expect(() => made.make({ nextCall: broken })).to.throw('no such deadline');
    let attempts = 0;
    const { client, wires } = made.make({
      nextCall: (options) => (attempts++ === 0 ? new NullCall(options) : broken()),
    });
    wires[0]?.end(status.UNAVAILABLE, 'broken');
    made.clock.advance(PAUSE_MS);
    await settled();
    expect(client.status?.details).to.equal('broken');
    made.expectNothingLeft();
  });

  it('spends of the budget where it is itself a retry of somebody above', () => {
    const made = intercepted(idempotent);
    const upstream = {
      deadlineAt: Number.POSITIVE_INFINITY,
      rank: 1,
      trace: [],
      upstreamRetry: true as const,
    };
    const ofOurs = made.make({ metadata: metadataOf({ 'grpc-previous-rpc-attempts': '1' }) });
    const ofAbove = withinContext(upstream, () => made.make());
    const fresh = made.make();
    const budget = made.target().surround?.budget;
    expect([budget?.active, budget?.extras]).to.deep.equal([3, 2]);
    for (const { wires } of [ofOurs, ofAbove, fresh]) wires[0]?.end(status.OK);
    made.expectNothingLeft();
  });

  it('goes on under the policies it began under, and gives the budget back that it took from', async () => {
    const made = intercepted(idempotent);
    const { client, wires } = made.make();
    const budget = made.target().surround?.budget;
    wires[0]?.end(status.UNAVAILABLE);
    made.apply({});
    made.clock.advance(PAUSE_MS);
    wires[1]?.end(status.OK);
    await settled();
    expect(client.status?.code).to.equal(status.OK);
    expect([budget?.active, budget?.extras]).to.deep.equal([0, 0]);
  });
});
