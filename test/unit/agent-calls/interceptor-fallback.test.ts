/**
 * What a failed gRPC call is answered instead: each kind of fallback, what it is offered for and what not, what the answer says of
 * itself, and that there is one answer whatever comes late.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import type { Elsewhere, ElsewhereCall } from '../../../agent/call-tools.js';
import type { InterceptorSettings } from '../../../agent/interceptor.js';
import type { Effective, FallbackSpec } from '../../../core/policy/model.js';
import { fail, intercepted, succeed } from '../../support/intercepted.js';
import type { StubbedCall } from '../../support/null-transport.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { settled } from '../../support/targets.js';

const { status } = grpc;
const failing: FallbackSpec = { kind: 'error', status: 'NOT_FOUND', message: 'nothing to show' };

function calls(fallback: readonly FallbackSpec[], rest: Effective = {}, settings: InterceptorSettings = {}) {
  return intercepted({ ...rest, ...effectiveOf({ fallback }) }, settings);
}

const markerOf = ({ client }: StubbedCall) => client.status?.metadata.get('switchgear-degraded');

describe('a degraded answer', () => {
  it('is OK, and says before and after the message what it is', async () => {
    const made = calls([{ kind: 'handler', name: 'last' }]);
    made.targets.handlers.set('last', () => 'from the handler');
    const call = made.make();
    const seen: unknown[] = [];
    const { onReceiveMetadata } = call.client.listener;
    call.client.listener.onReceiveMetadata = (metadata) => {
      seen.push(metadata.get('switchgear-degraded')[0]);
      onReceiveMetadata?.(metadata);
    };
    call.wires[0]?.listener?.onReceiveMetadata?.(new grpc.Metadata());
    fail(call);
    expect(call.client.heard).to.deep.equal(['metadata', 'message from the handler', 'status OK']);
    expect([seen, markerOf(call)]).to.deep.equal([['handler; UNAVAILABLE'], ['handler; UNAVAILABLE']]);
    expect(made.target().tally).to.deep.include({ failed: 1, degraded: { handler: 1 } });
    made.expectNothingLeft();
  });

  it('names the rejection that it stands in for', async () => {
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
    const made = calls([failing], effectiveOf({ circuit }));
    fail(made.make());
    const call = made.make();
    await settled();
    expect(markerOf(call)).to.deep.equal(['error; circuit_open']);
    expect(call.client.status).to.include({ code: status.NOT_FOUND, details: 'nothing to show' });
  });

  it('comes after the last retry, once', () => {
    const made = calls([failing], effectiveOf({ retry: retrySpec(), idempotent: true }));
    const call = made.make();
    for (let i = 0; i < 3; i++) {
      expect(call.client.heard).to.deep.equal([]);
      fail(call);
      made.clock.advance(250);
    }
    expect(call.client.heard).to.deep.equal(['message null', 'status NOT_FOUND']);
    made.expectNothingLeft();
  });

  it('isn’t given for an answer of a healthy callee, nor for a caller that gave up', async () => {
    const made = calls([failing]);
    const missing = made.make();
    fail(missing, status.PERMISSION_DENIED);
    expect(missing.client.status?.code).to.equal(status.PERMISSION_DENIED);
    const left = made.make();
    left.call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    await settled();
    expect(left.client.status?.code).to.equal(status.CANCELLED);
    made.expectNothingLeft();
  });

  it('isn’t given to a caller that gave up before it heard of its rejection', async () => {
    const made = calls([failing], effectiveOf({ bulkhead: bulkheadSpec(1) }));
    const held = made.make();
    const { call, client } = made.make();
    call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    await settled();
    expect(client.status?.code).to.equal(status.RESOURCE_EXHAUSTED);
    succeed(held, 'reply');
    made.expectNothingLeft();
  });
});

describe('the fallback error', () => {
  it('holds for all kinds of calls, until a stream has begun; the other kinds only where nothing streams', () => {
    const made = calls([{ kind: 'handler', name: 'last' }, failing]);
    made.targets.handlers.set('last', () => 'from the handler');
    for (const [requestStream, responseStream] of [
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const call = made.make({ requestStream, responseStream });
      fail(call);
      expect(call.client.status?.code).to.equal(status.NOT_FOUND);
    }
    const begun = made.make({ responseStream: true });
    begun.wires[0]?.listener?.onReceiveMetadata?.(new grpc.Metadata());
    begun.wires[0]?.message('one');
    fail(begun);
    expect(begun.client.status?.code).to.equal(status.UNAVAILABLE);
    made.expectNothingLeft();
  });

  it('keeps the words of the failure where the policy has none', () => {
    const made = calls([{ kind: 'error', status: 'FAILED_PRECONDITION' }]);
    const call = made.make();
    fail(call);
    expect(call.client.status).to.include({ code: status.FAILED_PRECONDITION, details: 'broken' });
  });
});

describe('the fallback handler', () => {
  const chain: readonly FallbackSpec[] = [{ kind: 'handler', name: 'last' }, failing];

  it('is told what failed, and may take its time', async () => {
    const made = calls(chain);
    const asked: unknown[] = [];
    made.targets.handlers.set('last', async (failed) => {
      asked.push(failed);
      return 'later';
    });
    const call = made.make({ message: 'a' });
    fail(call);
    expect(call.client.heard).to.deep.equal([]);
    await settled();
    expect(call.client.heard).to.include('message later');
    const [{ callee, method, request, error }] = asked as [Record<string, unknown>];
    expect({ callee, method, request }).to.deep.equal({
      callee: 'inventory',
      method: 'shop.v1.Inventory/Get',
      request: 'a',
    });
    expect(error).to.include({ code: status.UNAVAILABLE, details: 'broken' });
    made.expectNothingLeft();
  });

  it('is passed over where it throws, rejects, has nothing to say, or nobody has given it', async () => {
    const handlers = [
      undefined,
      () => undefined,
      () => null,
      () => {
        throw new Error('out of order');
      },
      () => Promise.reject(new Error('out of order')),
    ];
    for (const handler of handlers) {
      const made = calls(chain);
      if (handler) made.targets.handlers.set('last', handler);
      const call = made.make();
      fail(call);
      await settled();
      expect(call.client.status?.code).to.equal(status.NOT_FOUND);
      made.expectNothingLeft();
    }
  });

  it('is left behind when it takes longer than the policy’s timeout, or the caller’s', async () => {
    for (const deadlineMs of [undefined, 150]) {
      const made = calls(chain, effectiveOf({ timeout: 100 }));
      let answer: (reply: string) => void = () => {};
      made.targets.handlers.set('last', () => new Promise((resolve) => (answer = resolve)));
      const call = made.make(deadlineMs === undefined ? {} : { deadline: made.clock.wallNow() + deadlineMs });
      made.clock.advance(100);
      fail(call, status.DEADLINE_EXCEEDED);
      const limitMs = deadlineMs === undefined ? 100 : 50;
      made.clock.advance(limitMs - 1);
      expect(call.client.heard).to.deep.equal([]);
      made.clock.advance(1);
      expect(call.client.status?.code).to.equal(status.NOT_FOUND);
      answer('too late');
      await settled();
      expect(call.client.heard).to.deep.equal(['message null', 'status NOT_FOUND']);
      made.expectNothingLeft();
    }
  });

  it('isn’t begun for a caller whose deadline is over; what is at hand still answers', () => {
    const made = calls(chain);
    let asked = 0;
    made.targets.handlers.set('last', () => asked++);
    const call = made.make({ deadline: made.clock.wallNow() + 100 });
    made.clock.advance(100);
    fail(call, status.DEADLINE_EXCEEDED);
    expect([asked, call.client.status?.code]).to.deep.equal([0, status.NOT_FOUND]);
  });

  it('runs ten at a time; the rest do with what is at hand', async () => {
    const made = calls(chain);
    const ends: ((reply: string) => void)[] = [];
    made.targets.handlers.set('last', () => new Promise((resolve) => ends.push(resolve)));
    const all = Array.from({ length: 12 }, () => made.make());
    for (const call of all) fail(call);
    expect([ends.length, made.target().surround?.slots?.inUse]).to.deep.equal([10, 10]);
    expect(all.filter(({ client }) => client.status !== undefined)).to.have.lengthOf(2);
    for (const end of ends) end('reply');
    await settled();
    expect(all.filter(({ client }) => client.status?.code === status.OK)).to.have.lengthOf(10);
    made.expectNothingLeft();
  });

  it('is left behind by a caller that gives up, and by a mesh that closes', async () => {
    for (const leave of ['caller', 'mesh']) {
      const made = calls(chain);
      let reject: (error: Error) => void = () => {};
      made.targets.handlers.set('last', () => new Promise((_resolve, no) => (reject = no)));
      const call = made.make();
      fail(call);
      if (leave === 'caller') call.call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
      else made.targets.close();
      await settled();
      const expected = leave === 'caller' ? status.CANCELLED : status.UNAVAILABLE;
      expect(call.client.heard).to.deep.equal(['message null', `status ${status[expected]}`]);
      reject(new Error('late'));
      await settled();
      made.expectNothingLeft();
    }
  });
});

describe('the fallback target', () => {
  const chain: readonly FallbackSpec[] = [{ kind: 'target', to: 'replica' }, failing];

  function elsewhere() {
    const asked: ElsewhereCall[] = [];
    const ends: ((reply: unknown) => void)[] = [];
    const left: number[] = [];
    const there: Elsewhere = {
      call(call, done) {
        asked.push(call);
        ends.push(done);
        return () => void left.push(asked.length);
      },
    };
    return { asked, ends, left, there };
  }

  it('sends the same request there, within the caller’s time', () => {
    const { asked, ends, there } = elsewhere();
    const made = calls(chain, {}, { elsewhere: there });
    const call = made.make({ message: 'a', deadline: made.clock.wallNow() + 100 });
    made.clock.advance(40);
    fail(call);
    const [{ to, path, request, deadline }] = asked as [ElsewhereCall];
    expect({ to, path, request, deadline }).to.deep.equal({
      to: 'replica',
      path: '/shop.v1.Inventory/Get',
      request: 'a',
      deadline: made.clock.wallNow() + 60,
    });
    ends[0]?.('from there');
    expect(call.client.heard).to.deep.equal(['metadata', 'message from there', 'status OK']);
    made.expectNothingLeft();
  });

  it('may be another method', () => {
    const { asked, there } = elsewhere();
    const other = { kind: 'target', to: 'replica', method: 'shop.v1.Replica/Find' } as const;
    const made = calls([other], {}, { elsewhere: there });
    fail(made.make());
    expect(asked[0]?.path).to.equal('/shop.v1.Replica/Find');
  });

  it('is called off when the caller gives up, and passed over when it fails', async () => {
    const { ends, left, there } = elsewhere();
    const made = calls(chain, {}, { elsewhere: there });
    const given = made.make();
    fail(given);
    given.call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    await settled();
    expect([left.length, given.client.status?.code]).to.deep.equal([1, status.CANCELLED]);
    ends[0]?.('late');
    const failed = made.make();
    fail(failed);
    ends[1]?.(undefined);
    expect(failed.client.status?.code).to.equal(status.NOT_FOUND);
    expect(given.client.heard).to.deep.equal(['message null', 'status CANCELLED']);
    made.expectNothingLeft();
  });

  it('is skipped, with one warning, where nobody can call elsewhere', () => {
    const made = calls(chain);
    for (let i = 0; i < 2; i++) {
      const call = made.make();
      fail(call);
      expect(call.client.status?.code).to.equal(status.NOT_FOUND);
    }
    expect(made.warnings).to.have.lengthOf(1);
  });
});
