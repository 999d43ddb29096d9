/**
 * Traps 12 to 17 and 21 of the reference, for gRPC calls with retries, hedges and fallbacks.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { intercepted } from '../../support/intercepted.js';
import { NullCall, type StubbedCall, stubbedCall } from '../../support/null-transport.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, effectiveOf } from '../../support/specs.js';
import { settled } from '../../support/targets.js';

const { status } = grpc;
const idempotent = true;
const hedge = { delay: { kind: 'fixed', ms: 20 }, extra: 1 } as const;

describe('trap 12: the line, with retries', () => {
  it('trap 12: a retry that waits keeps its place: first come, first served', async () => {
    const bulkhead = bulkheadSpec(1, { maxQueue: 5 });
    const made = intercepted(effectiveOf({ retry: retrySpec(), idempotent, bulkhead }));
    const retried = made.make();
    retried.wires[0]?.end(status.UNAVAILABLE);
    const held = made.make();
    made.clock.advance(12.5);
    const later = made.make();
    held.wires[0]?.end(status.OK);
    await settled();
    expect([retried.wires.length, later.wires.length]).to.deep.equal([2, 0]);
    retried.wires[1]?.end(status.OK);
    await settled();
    expect(later.wires).to.have.lengthOf(1);
    later.wires[0]?.end(status.OK);
    made.expectNothingLeft();
  });
});

describe('trap 13: permits never drift', () => {
  const moments: [string, (call: StubbedCall, advance: (ms: number) => void) => void][] = [
    ['before anything', () => {}],
    ['after headers', ({ wires }) => wires[0]?.listener?.onReceiveMetadata?.(new grpc.Metadata())],
    ['in the pause before a retry', ({ wires }) => wires[0]?.end(status.UNAVAILABLE)],
    [
      'in a retry',
      ({ wires }, advance) => {
        wires[0]?.end(status.UNAVAILABLE);
        advance(12.5);
      },
    ],
    ['beside a copy', (_call, advance) => advance(20)],
    [
      'in a fallback',
      ({ wires }) => {
        wires[0]?.end(status.INTERNAL);
      },
    ],
  ];
  for (const [moment, reach] of moments)
    for (const hedged of [false, true])
      it(`trap 13: cancelled ${moment}, ${hedged ? 'hedged' : 'retried'}, with late words of everybody`, async () => {
        const extras = hedged ? { hedge } : { retry: retrySpec() };
        const fallback = [{ kind: 'handler', name: 'last' }] as const;
        const made = intercepted(effectiveOf({ ...extras, idempotent, bulkhead: bulkheadSpec(5), fallback }));
        let answer: (reply: string) => void = () => {};
        made.targets.handlers.set('last', () => new Promise((resolve) => (answer = resolve)));
        const call = made.make();
        reach(call, (ms) => made.clock.advance(ms));
        call.call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
        await settled();
        for (const wire of call.wires) {
          wire.message('late');
          wire.end(status.OK);
          wire.end(status.UNAVAILABLE);
        }
        answer('late');
        made.clock.advance(60_000);
        await settled();
        expect(call.client.heard.filter((word) => word.startsWith('status'))).to.deep.equal([
          'status CANCELLED',
        ]);
        made.expectNothingLeft();
      });
});

describe('trap 15: a timeout, then a late word', () => {
  it('trap 15: one settle, one fallback, no unhandled rejection', async () => {
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.on('unhandledRejection', note);
    try {
      const fallback = [
        { kind: 'handler', name: 'last' },
        { kind: 'error', status: 'NOT_FOUND' },
      ] as const;
      const made = intercepted(effectiveOf({ timeout: 100, fallback }));
      let rejects: (error: Error) => void = () => {};
      let asked = 0;
      made.targets.handlers.set('last', () => {
        asked++;
        return new Promise((_resolve, reject) => (rejects = reject));
      });
      const call = made.make();
      made.clock.advance(100);
      call.wires[0]?.end(status.DEADLINE_EXCEEDED);
      call.wires[0]?.end(status.UNAVAILABLE, 'late');
      made.clock.advance(100);
      rejects(new Error('late'));
      await settled();
      expect(asked).to.equal(1);
      expect(call.client.heard).to.deep.equal(['message null', 'status NOT_FOUND']);
      expect(made.targets.drainCells()[0]).to.include({ ok: 0, failed: 1 });
      made.expectNothingLeft();
      expect(unhandled).to.deep.equal([]);
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  it('trap 15: of a stream whose first message does not come', async () => {
    const fallback = [{ kind: 'error', status: 'NOT_FOUND' }] as const;
    const made = intercepted(effectiveOf({ timeout: 100, fallback }));
    const call = made.make({ responseStream: true });
    made.clock.advance(100);
    await settled();
    call.wires[0]?.message('late');
    call.wires[0]?.end(status.OK);
    expect(call.client.heard).to.deep.equal(['status NOT_FOUND']);
    expect(made.targets.drainCells()[0]).to.include({ ok: 0, failed: 1 });
    made.expectNothingLeft();
  });
});

describe('trap 16: retries of retries', () => {
  it('trap 16: through two layers, attempts stay within calls × (1 + budget) + 3', async () => {
    const policy = effectiveOf({ retry: retrySpec({ attempts: 5 }), idempotent });
    const outer = intercepted(policy);
    const inner = intercepted(policy);
    let attempts = 0;
    const bottom = (options: grpc.InterceptorOptions) => {
      const wire = new NullCall(options);
      attempts++;
      process.nextTick(() => wire.end(status.UNAVAILABLE, 'down'));
      return wire as unknown as grpc.InterceptingCall;
    };
    const all: StubbedCall[] = [];
    for (let i = 0; i < 500; i++) {
      const nextCall = (options: grpc.InterceptorOptions) =>
        inner.interceptor(options, bottom) as unknown as NullCall;
      all.push(stubbedCall(outer.targets, outer.interceptor, { nextCall }));
    }
    for (let round = 0; round < 200; round++) {
      await settled();
      inner.clock.advance(50);
      outer.clock.advance(50);
    }
    expect(all.every(({ client }) => client.status?.code === status.UNAVAILABLE)).to.equal(true);
    expect(attempts).to.be.at.most(500 * 1.2 + 3);
    outer.expectNothingLeft();
    inner.expectNothingLeft();
  });
});

describe('trap 21: an interceptor holds nothing of a call', () => {
  it('trap 21: one call’s cancel touches no other, whatever both are at', async () => {
    const made = intercepted(effectiveOf({ retry: retrySpec(), idempotent }));
    const given = made.make({ message: 'a' });
    const other = made.make({ message: 'b' });
    for (const { wires } of [given, other]) wires[0]?.end(status.UNAVAILABLE);
    given.call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    made.clock.advance(12.5);
    other.wires[1]?.message('reply');
    other.wires[1]?.end(status.OK);
    await settled();
    expect([given.wires.length, given.client.status?.code]).to.deep.equal([1, status.CANCELLED]);
    expect(other.wires[1]?.deeds).to.deep.equal(['message b', 'half-close']);
    expect(other.client.heard).to.deep.equal(['message reply', 'status OK']);
    made.expectNothingLeft();
  });
});
