/**
 * Hedged gRPC calls: when copies are sent, who wins, what becomes of the losers, and what is never hedged.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import type { Effective, HedgeSpec } from '../../../core/policy/model.js';
import { intercepted } from '../../support/intercepted.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { settled } from '../../support/targets.js';

const { status } = grpc;
const hedge = (extra = 1, ms = 20): HedgeSpec => ({ delay: { kind: 'fixed', ms }, extra });
const hedged = (changes: Parameters<typeof effectiveOf>[0] = {}): Effective =>
  effectiveOf({ hedge: hedge(), idempotent: true, ...changes });

describe('a hedged call', () => {
  it('is one attempt where that answers in time', () => {
    const made = intercepted(hedged());
    const { client, wires } = made.make();
    made.clock.advance(19);
    wires[0]?.message('reply');
    wires[0]?.end(status.OK);
    made.clock.advance(1_000);
    expect([wires.length, client.heard]).to.deep.equal([1, ['message reply', 'status OK']]);
    made.expectNothingLeft();
  });

  it('is answered by whoever is first, wholly; the other is cancelled and says nothing', async () => {
    const made = intercepted(hedged({ circuit: circuitSpec({ minimumCalls: 1, failureRate: 1 }) }));
    for (const winner of [0, 1]) {
      const { client, wires } = made.make();
      // The first one's headers come early, and must not be mixed with another's answer.
      wires[0]?.listener?.onReceiveMetadata?.(new grpc.Metadata());
      made.clock.advance(20);
      expect(wires[1]?.metadata?.get('grpc-previous-rpc-attempts')).to.deep.equal(['1']);
      expect(wires[1]?.deeds).to.deep.equal(['message request', 'half-close']);
      wires[winner]?.message(`reply of ${winner}`);
      wires[winner]?.end(status.OK);
      expect(wires[1 - winner]?.cancelled?.code).to.equal(status.CANCELLED);
      await settled();
      const headers = winner === 0 ? ['metadata'] : [];
      expect(client.heard).to.deep.equal([...headers, `message reply of ${winner}`, 'status OK']);
    }
    expect(made.target().tally).to.include({ ok: 2, failed: 0, neutral: 2, hedges: 2 });
    expect(made.targets.circuit('inventory').state).to.equal('closed');
    made.expectNothingLeft();
  });

  it('sends the next copy at once after a failure that another may not have', async () => {
    const made = intercepted(hedged({ hedge: hedge(2) }));
    const { client, wires } = made.make();
    made.clock.advance(5);
    wires[0]?.end(status.UNAVAILABLE);
    expect(wires).to.have.lengthOf(2);
    made.clock.advance(20);
    expect(wires).to.have.lengthOf(3);
    const told = made.target().tally.book.entries.map(({ kind, code }) => `${kind} ${code}`);
    expect(told).to.deep.equal(['hedge failed', 'hedge slow']);
    wires[2]?.message('reply');
    wires[2]?.end(status.OK);
    expect(client.heard).to.deep.equal(['message reply', 'status OK']);
    await settled();
    made.expectNothingLeft();
  });

  it('ends with a failure that every copy would have', async () => {
    const made = intercepted(hedged({ hedge: hedge(2) }));
    const { client, wires } = made.make();
    made.clock.advance(20);
    wires[1]?.end(status.NOT_FOUND, 'no such item');
    await settled();
    expect(client.status?.details).to.equal('no such item');
    expect(wires[0]?.cancelled?.code).to.equal(status.CANCELLED);
    made.clock.advance(1_000);
    expect(wires).to.have.lengthOf(2);
    made.expectNothingLeft();
  });

  it('fails as its last attempt did once all have', () => {
    const made = intercepted(hedged({ retry: retrySpec() }));
    const { client, wires } = made.make();
    made.clock.advance(20);
    wires[0]?.end(status.UNAVAILABLE, 'one');
    expect(client.heard).to.deep.equal([]);
    wires[1]?.end(status.UNAVAILABLE, 'two');
    expect(client.status?.details).to.equal('two');
    made.clock.advance(1_000);
    // What was hedged is not retried as well.
    expect(wires).to.have.lengthOf(2);
    made.expectNothingLeft();
  });

  it('goes on with what runs where a copy is turned away', async () => {
    const made = intercepted(hedged({ bulkhead: bulkheadSpec(1) }));
    const { client, wires } = made.make();
    made.clock.advance(20);
    await settled();
    expect(wires).to.have.lengthOf(1);
    wires[0]?.message('reply');
    wires[0]?.end(status.OK);
    expect(client.heard).to.deep.equal(['message reply', 'status OK']);
    made.expectNothingLeft();
  });

  it('takes a copy out of the line when another answers', async () => {
    const made = intercepted(hedged({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
    const { client, wires } = made.make();
    made.clock.advance(20);
    wires[0]?.message('reply');
    wires[0]?.end(status.OK);
    await settled();
    expect([wires.length, client.status?.code]).to.deep.equal([1, status.OK]);
    made.expectNothingLeft();
  });

  it('hears no more of a copy that its caller gave up', async () => {
    const made = intercepted(hedged());
    const { call, client, wires } = made.make();
    made.clock.advance(20);
    call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    await settled();
    expect(wires.map((wire) => wire.cancelled?.details)).to.deep.equal([
      'Cancelled on client',
      'Cancelled on client',
    ]);
    expect(client.heard).to.deep.equal(['message null', 'status CANCELLED']);
    expect(made.target().tally).to.include({ neutral: 2, failed: 0 });
    made.expectNothingLeft();
  });

  it('given up before its copy was due starts none', async () => {
    const made = intercepted(hedged());
    const { call, wires } = made.make();
    call.cancelWithStatus(status.CANCELLED, 'Cancelled on client');
    await settled();
    made.clock.advance(1_000);
    expect(wires).to.have.lengthOf(1);
    made.expectNothingLeft();
  });

  it('counts the wait in line to no copy', async () => {
    const made = intercepted(hedged({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
    const held = made.make({ requestStream: true });
    const { wires } = made.make();
    made.clock.advance(100);
    held.wires[0]?.end(status.OK);
    await settled();
    made.clock.advance(19);
    expect(wires).to.have.lengthOf(1);
    wires[0]?.end(status.OK);
    made.expectNothingLeft();
  });
});

describe('what is not hedged', () => {
  it('is what isn’t idempotent, or streams', () => {
    const bare = intercepted(effectiveOf({ hedge: hedge() }));
    const first = bare.make();
    bare.clock.advance(100);
    expect(first.wires).to.have.lengthOf(1);
    const made = intercepted(hedged());
    for (const [requestStream, responseStream] of [
      [true, false],
      [false, true],
      [true, true],
    ] as const) {
      const { wires } = made.make({ requestStream, responseStream });
      made.clock.advance(100);
      expect(wires).to.have.lengthOf(1);
      wires[0]?.end(status.OK);
    }
    made.expectNothingLeft();
  });

  it('is a probe of the circuit', () => {
    const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
    const made = intercepted(hedged({ circuit }));
    made.make().wires[0]?.end(status.INTERNAL);
    made.clock.advance(5_000);
    const { client, wires } = made.make();
    made.clock.advance(100);
    expect(wires).to.have.lengthOf(1);
    wires[0]?.message('reply');
    wires[0]?.end(status.OK);
    expect(client.heard).to.deep.equal(['message reply', 'status OK']);
  });

  it('is what the budget has nothing left for', () => {
    const made = intercepted(hedged());
    const all = Array.from({ length: 5 }, () => made.make());
    made.clock.advance(20);
    expect(all.filter(({ wires }) => wires.length === 2)).to.have.lengthOf(3);
    for (const { wires } of all) wires[0]?.end(status.OK);
  });

  it('is a call of whose like too little is known; retries do for it', async () => {
    const p95: HedgeSpec = { delay: { kind: 'percentile', p: 0.95 }, extra: 1 };
    const made = intercepted(hedged({ hedge: p95, retry: retrySpec() }));
    const retried = made.make();
    made.clock.advance(1_000);
    expect(retried.wires).to.have.lengthOf(1);
    retried.wires[0]?.end(status.UNAVAILABLE);
    made.clock.advance(12.5);
    retried.wires[1]?.end(status.OK);
    for (let i = 0; i < 20; i++) {
      const { wires } = made.make();
      made.clock.advance(10);
      wires[0]?.end(status.OK);
    }
    const known = made.make();
    made.clock.advance(20);
    expect(known.wires).to.have.lengthOf(2);
    known.wires[1]?.end(status.OK);
    await settled();
    made.expectNothingLeft();
  });
});
