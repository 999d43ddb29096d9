/**
 * The time limits of gRPC calls: whose holds, what goes on the wire, and in whose words a call ends that took too long.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import type { Effective } from '../../../core/policy/model.js';
import { NullCall, type StubOptions, stubbedCall } from '../../support/null-transport.js';
import { circuitSpec, effectiveOf } from '../../support/specs.js';
import { bench, settled } from '../../support/targets.js';

const { status } = grpc;
const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });

function calls(effective: Effective) {
  const made = bench(effective);
  return {
    ...made,
    make: (options: StubOptions = {}) => stubbedCall(made.targets, undefined, options),
    state: () => made.targets.circuit('inventory').state,
  };
}

describe('the deadline on the wire', () => {
  const limits: [string, Effective, number | undefined, number | undefined][] = [
    ['none', {}, undefined, undefined],
    ['the caller’s, untouched', {}, 500, 500],
    ['the policy’s', effectiveOf({ timeout: 800 }), undefined, 800],
    ['the policy’s, if earlier than the caller’s', effectiveOf({ timeout: 800 }), 900, 800],
    ['the caller’s, if earlier than the policy’s', effectiveOf({ timeout: 800 }), 500, 500],
    [
      'the attempt’s, if earlier than the whole',
      effectiveOf({ timeout: 800, attemptTimeout: 300 }),
      undefined,
      300,
    ],
    ['the attempt’s, if earlier than the caller’s', effectiveOf({ attemptTimeout: 300 }), 500, 300],
    ['the caller’s, if earlier than the attempt’s', effectiveOf({ attemptTimeout: 300 }), 200, 200],
  ];
  for (const [name, effective, callerMs, expectedMs] of limits) {
    it(`of a call with one response is ${name}`, () => {
      const { clock, make } = calls(effective);
      const deadline = callerMs === undefined ? {} : { deadline: clock.wallNow() + callerMs };
      const wired = make(deadline).wire()?.options.deadline;
      expect(wired).to.equal(expectedMs === undefined ? undefined : clock.wallNow() + expectedMs);
    });
  }

  it('reads the caller’s as a Date as well', () => {
    const { clock, make } = calls(effectiveOf({ timeout: 800 }));
    const deadline = new Date(clock.wallNow() + 100);
    expect(make({ deadline }).wire()?.options.deadline).to.equal(deadline);
    expect(make({ deadline: new Date(clock.wallNow() + 900) }).wire()?.options.deadline).to.equal(
      clock.wallNow() + 800,
    );
  });

  it('of a stream of responses is that of streamTimeout; timeout bounds the first message', () => {
    const { clock, make } = calls(effectiveOf({ timeout: 800, streamTimeout: 60_000 }));
    expect(make({ responseStream: true }).wire()?.options.deadline).to.equal(clock.wallNow() + 60_000);
    const bare = calls(effectiveOf({ timeout: 800 }));
    expect(bare.make({ responseStream: true }).wire()?.options).to.not.have.property('deadline');
  });

  it('that is over already never gets there', async () => {
    for (const passedMs of [0, 1, 3_600_000]) {
      const made = calls(effectiveOf({ circuit }));
      const { client, wire } = made.make({ deadline: made.clock.wallNow() - passedMs });
      await settled();
      expect(wire()).to.equal(undefined);
      expect(client.heard).to.deep.equal(['message null', 'status DEADLINE_EXCEEDED']);
      expect(client.status?.details).to.equal(
        '[deadline_exceeded] inventory: the deadline was over before the call began',
      );
      expect(client.status?.metadata.get('switchgear-reject')).to.deep.equal(['deadline_exceeded']);
      expect(made.state()).to.equal('closed');
      expect(made.targets.permitsOut).to.equal(0);
    }
  });

  it('of the call that this one is part of, when it is over, keeps this one off the wire too', async () => {
    const made = calls(effectiveOf({ circuit }));
    const parent = { getDeadline: () => made.clock.wallNow() - 1 } as unknown as NonNullable<
      grpc.CallOptions['parent']
    >;
    const { client, wire } = made.make({ parent });
    await settled();
    expect([wire(), client.status?.code]).to.deep.equal([undefined, status.DEADLINE_EXCEEDED]);
  });

  it('is grpc-js’s to refuse where it is no number', () => {
    const { make } = calls(effectiveOf({ circuit }));
    expect(make({ deadline: Number.NaN }).wire()?.started).to.equal(true);
    expect(make({ deadline: new Date('never') }).wire()?.started).to.equal(true);
  });
});

describe('a call that ran out of time', () => {
  it('says so in our words where the limit was ours', () => {
    const { clock, make, state } = calls(effectiveOf({ circuit, timeout: 800, attemptTimeout: 300 }));
    const { client, wire } = make();
    clock.advance(300);
    wire()?.end(status.DEADLINE_EXCEEDED, 'Deadline exceeded after 0.300s');
    expect(client.status).to.include({
      code: status.DEADLINE_EXCEEDED,
      details: '[deadline_exceeded] inventory: no answer within 300 ms (policy inventory-default@7)',
    });
    expect(client.status?.metadata.get('switchgear-reject')).to.deep.equal([]);
    expect(state()).to.equal('open');
  });

  it('keeps the callee’s words where the callee says it, long before our limit', () => {
    const { clock, make } = calls(effectiveOf({ circuit, timeout: 800 }));
    const { client, wire } = make();
    clock.advance(20);
    wire()?.end(status.DEADLINE_EXCEEDED, 'payments did not answer me');
    expect(client.status?.details).to.equal('payments did not answer me');
  });

  it('keeps grpc-js’s words where the limit was the caller’s', () => {
    const { clock, make } = calls(effectiveOf({ circuit, timeout: 800 }));
    const { client, wire } = make({ deadline: clock.wallNow() + 100 });
    clock.advance(100);
    wire()?.end(status.DEADLINE_EXCEEDED, 'Deadline exceeded after 0.100s');
    expect(client.status?.details).to.equal('Deadline exceeded after 0.100s');
  });

  it('names the limit it began under, whatever the policy says by now', () => {
    const made = calls(effectiveOf({ timeout: 800 }));
    const { client, wire } = made.make();
    made.apply(effectiveOf({ timeout: 300 }, { policy: 'inventory-default', revision: 8 }));
    made.clock.advance(800);
    wire()?.end(status.DEADLINE_EXCEEDED, 'Deadline exceeded');
    expect(client.status?.details).to.equal(
      '[deadline_exceeded] inventory: no answer within 800 ms (policy inventory-default@7)',
    );
  });
});

describe('the first message of a stream', () => {
  it('that does not come in time ends the call, as a failure, in our words', async () => {
    const made = calls(effectiveOf({ circuit, timeout: 800, streamTimeout: 60_000 }));
    const { client, wire } = made.make({ responseStream: true });
    made.clock.advance(800);
    await settled();
    const text = '[deadline_exceeded] inventory: no first message within 800 ms (policy inventory-default@7)';
    expect(wire()?.cancelled).to.deep.equal({ code: status.DEADLINE_EXCEEDED, details: text });
    expect(client.heard).to.deep.equal(['status DEADLINE_EXCEEDED']);
    expect(client.status?.details).to.equal(text);
    expect(made.state()).to.equal('open');
    expect([made.targets.permitsOut, made.clock.pendingTimers]).to.deep.equal([0, 0]);
  });

  it('lifts the limit when it comes', () => {
    const made = calls(effectiveOf({ circuit, timeout: 800 }));
    const { wire } = made.make({ responseStream: true });
    made.clock.advance(799);
    wire()?.message('one');
    made.clock.advance(60_000);
    expect(wire()?.cancelled).to.equal(undefined);
    expect(made.clock.pendingTimers).to.equal(0);
  });

  it('is bounded by the attempt’s limit where that is shorter, which then is named', () => {
    const made = calls(effectiveOf({ timeout: 800, attemptTimeout: 300 }));
    const { wire } = made.make({ responseStream: true });
    made.clock.advance(300);
    expect(wire()?.cancelled?.details).to.include('no first message within 300 ms');
  });

  it('has no limit where the caller’s deadline is all there is', () => {
    const made = calls(effectiveOf({ circuit }));
    made.make({ responseStream: true, deadline: made.clock.wallNow() + 100 });
    expect(made.clock.pendingTimers).to.equal(0);
  });

  it('no longer matters once the caller has given up: the cancel stays neutral', () => {
    const made = calls(
      effectiveOf({ circuit: { ...circuit, halfOpen: { calls: 1, maxWaitMs: 30_000 } }, timeout: 800 }),
    );
    made.make().wire()?.end(status.UNAVAILABLE);
    made.clock.advance(5_000);
    const { call, client, wire } = made.make({
      responseStream: true,
      nextCall: (options) => Object.assign(new NullCall(options), { answersCancel: false }),
    });
    call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    made.clock.advance(800);
    wire()?.end(status.CANCELLED, 'Cancelled on client');
    expect(client.status?.details).to.equal('Cancelled on client');
    expect(made.state()).to.equal('half-open');
    made.make().wire()?.end(status.OK);
    expect(made.state()).to.equal('closed');
  });
});

describe('the wall clock', () => {
  it('may jump while a call is under way: nothing that we decide changes', () => {
    for (const jumpMs of [3_600_000, -3_600_000]) {
      const made = calls(effectiveOf({ circuit, timeout: 800 }));
      const stream = made.make({ responseStream: true });
      made.clock.wallOffset += jumpMs;
      made.clock.advance(799);
      expect(stream.wire()?.cancelled).to.equal(undefined);
      made.clock.advance(1);
      expect(stream.wire()?.cancelled?.code).to.equal(status.DEADLINE_EXCEEDED);
    }
  });
});
