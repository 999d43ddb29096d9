/**
 * Retries of gRPC calls: what is tried again and what isn't, and what each attempt carries and asks for.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import type { Effective } from '../../../core/policy/model.js';
import { intercepted, metadataOf } from '../../support/intercepted.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { settled } from '../../support/targets.js';

const { status } = grpc;
const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });
const retry = retrySpec();
/** The first pause under `evenRandom`. */
const PAUSE_MS = 12.5;

const idempotent = effectiveOf({ retry, idempotent: true });

describe('a retried call', () => {
  it('tells the client of the attempt that answered, and of no other', () => {
    const made = intercepted(idempotent);
    const { call, client, wires } = made.make();
    wires[0]?.message(null);
    wires[0]?.end(status.UNAVAILABLE, 'not today');
    expect(client.heard).to.deep.equal([]);
    made.clock.advance(PAUSE_MS);
    wires[1]?.listener?.onReceiveMetadata?.(new grpc.Metadata());
    wires[1]?.message('reply');
    wires[1]?.end(status.OK);
    expect(client.heard).to.deep.equal(['metadata', 'message reply', 'status OK']);
    expect(wires[1]?.deeds).to.deep.equal(['message request', 'half-close']);
    expect(made.target().tally).to.include({ retries: 1, ok: 1, failed: 1 });
    expect([call.getPeer(), call.getAuthContext()]).to.deep.equal(['null', null]);
    made.expectNothingLeft();
  });

  it('says how many attempts came before, and leaves the application’s metadata alone', () => {
    const made = intercepted(idempotent);
    const metadata = metadataOf({ 'x-tenant': 'acme' });
    const { wires } = made.make({ metadata });
    for (let i = 0; i < 2; i++) {
      wires[i]?.end(status.UNAVAILABLE);
      made.clock.advance(250);
    }
    const sent = wires.map((wire) => wire.metadata?.get('grpc-previous-rpc-attempts'));
    expect(sent).to.deep.equal([[], ['1'], ['2']]);
    expect(wires.map((wire) => wire.metadata?.get('x-tenant')[0])).to.deep.equal(['acme', 'acme', 'acme']);
    expect(metadata.getMap()).to.deep.equal({ 'x-tenant': 'acme' });
  });

  it('ends as its last attempt failed, after as many as the policy names', async () => {
    const made = intercepted(idempotent);
    const { client, wires } = made.make();
    for (let i = 0; i < 3; i++) {
      wires[i]?.message(null);
      wires[i]?.end(status.UNAVAILABLE, `no ${i}`);
      made.clock.advance(250);
    }
    await settled();
    expect(wires).to.have.lengthOf(3);
    expect(client.heard).to.deep.equal(['message null', 'status UNAVAILABLE']);
    expect(client.status?.details).to.equal('no 2');
    made.expectNothingLeft();
  });

  it('is made anew: each attempt passes the gates, and holds no slot in its pause', async () => {
    const made = intercepted(effectiveOf({ retry, idempotent: true, bulkhead: bulkheadSpec(1) }));
    const first = made.make();
    first.wires[0]?.end(status.UNAVAILABLE);
    expect(made.targets.permitsOut).to.equal(0);
    const other = made.make();
    made.clock.advance(PAUSE_MS);
    await settled();
    expect(first.wires).to.have.lengthOf(1);
    // The real failure is said, not that there was no room for another try.
    expect(first.client.status?.code).to.equal(status.UNAVAILABLE);
    expect(first.client.status?.metadata.get('switchgear-reject')).to.deep.equal([]);
    other.wires[0]?.end(status.OK);
    made.expectNothingLeft();
  });

  it('waits in line for its next attempt where there is one', async () => {
    const made = intercepted(
      effectiveOf({ retry, idempotent: true, bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }),
    );
    const first = made.make();
    first.wires[0]?.end(status.UNAVAILABLE);
    const other = made.make();
    made.clock.advance(PAUSE_MS);
    other.wires[0]?.end(status.OK);
    await settled();
    first.wires[1]?.message('reply');
    first.wires[1]?.end(status.OK);
    expect(first.wires[1]?.deeds).to.deep.equal(['message request', 'half-close']);
    expect(first.client.heard).to.deep.equal(['message reply', 'status OK']);
    made.expectNothingLeft();
  });

  it('stops at a circuit that its own failures opened', async () => {
    const made = intercepted(effectiveOf({ retry, idempotent: true, circuit }));
    const { client, wires } = made.make();
    wires[0]?.end(status.UNAVAILABLE, 'broken');
    made.clock.advance(PAUSE_MS);
    await settled();
    expect(wires).to.have.lengthOf(1);
    expect(client.status?.details).to.equal('broken');
    made.expectNothingLeft();
  });

  it('is told what the client says only later', () => {
    const made = intercepted(idempotent);
    const { call, wires } = made.make({ start: false });
    call.start(new grpc.Metadata(), {});
    wires[0]?.end(status.UNAVAILABLE);
    call.sendMessage('late');
    made.clock.advance(PAUSE_MS);
    call.halfClose();
    expect(wires[1]?.deeds).to.deep.equal(['message late', 'half-close']);
  });
});

describe('what is not tried again', () => {
  const shed = metadataOf({ 'switchgear-reject': 'overloaded' });
  const stop = metadataOf({ 'grpc-retry-pushback-ms': '-1' });
  const cases: [string, Effective, grpc.status, string, grpc.Metadata?][] = [
    ['a status that is not named', idempotent, status.NOT_FOUND, ''],
    ['what the callee shed', idempotent, status.UNAVAILABLE, 'busy', shed],
    ['what the callee says not to', idempotent, status.UNAVAILABLE, 'busy', stop],
    ['what may have been executed', effectiveOf({ retry }), status.UNAVAILABLE, 'Connection dropped'],
    [
      'what never left this process',
      effectiveOf({ retry: retrySpec({ on: ['INTERNAL'] }), idempotent: true }),
      status.INTERNAL,
      'Request message serialization failure: no',
    ],
  ];
  for (const [name, effective, code, details, metadata] of cases) {
    it(`is ${name}`, () => {
      const made = intercepted(effective);
      const { client, wires } = made.make();
      wires[0]?.end(code, details, metadata);
      made.clock.advance(1_000);
      expect([wires.length, client.status?.code]).to.deep.equal([1, code]);
      made.expectNothingLeft();
    });
  }

  it('is told, unless it is an answer that nobody meant to try again', () => {
    for (const [code, told] of [
      [status.NOT_FOUND, []],
      [status.UNAVAILABLE, ['not-idempotent']],
    ] as const) {
      const made = intercepted(effectiveOf({ retry }));
      made.make().wires[0]?.end(code);
      expect(made.target().tally.book.entries.map((entry) => entry.code)).to.deep.equal(told);
      made.expectNothingLeft();
    }
  });

  it('is a rejection of our own', async () => {
    const made = intercepted(effectiveOf({ retry, idempotent: true, bulkhead: bulkheadSpec(1), circuit }));
    const held = made.make();
    const { client, wires } = made.make();
    await settled();
    made.clock.advance(1_000);
    expect([wires.length, client.status?.code]).to.deep.equal([0, status.RESOURCE_EXHAUSTED]);
    expect(made.target().tally).to.include({ retries: 0, failed: 0 });
    held.wires[0]?.end(status.OK);
    made.expectNothingLeft();
  });

  it('is a call whose headers the client has seen', () => {
    const made = intercepted(idempotent);
    for (const responseStream of [false, true]) {
      const { client, wires } = made.make({ responseStream });
      wires[0]?.listener?.onReceiveMetadata?.(new grpc.Metadata());
      wires[0]?.end(status.UNAVAILABLE);
      made.clock.advance(1_000);
      expect(wires).to.have.lengthOf(1);
      expect(client.heard[0]).to.equal('metadata');
      expect(client.status?.code).to.equal(status.UNAVAILABLE);
    }
    made.expectNothingLeft();
  });

  it('is a request that streams', () => {
    const made = intercepted(idempotent);
    for (const responseStream of [false, true]) {
      const { call, client, wires } = made.make({ requestStream: true, responseStream });
      call.sendMessageWithContext({}, 'a');
      wires[0]?.end(status.UNAVAILABLE);
      made.clock.advance(1_000);
      expect([wires.length, client.status?.code]).to.deep.equal([1, status.UNAVAILABLE]);
    }
    made.expectNothingLeft();
  });

  it('is what the budget or the throttle forbids', () => {
    const made = intercepted(idempotent);
    const failed = Array.from({ length: 5 }, () => made.make());
    for (const { wires } of failed) wires[0]?.end(status.UNAVAILABLE);
    // Three may always be under way; of five calls, 20 % are no more.
    expect(failed.filter(({ client }) => client.status === undefined)).to.have.lengthOf(3);
    made.clock.advance(PAUSE_MS);
    for (const { wires } of failed) wires[1]?.end(status.UNAVAILABLE);
    // Eight failures leave two of ten tokens: none is tried a third time.
    expect(failed.every(({ client }) => client.status !== undefined)).to.equal(true);
    made.expectNothingLeft();
  });
});

describe('a stream of responses', () => {
  it('is begun anew before its headers, with what was asked of it', () => {
    const made = intercepted(idempotent);
    const { call, client, wires } = made.make({ responseStream: true });
    call.startRead();
    wires[0]?.end(status.UNAVAILABLE);
    made.clock.advance(PAUSE_MS);
    expect(wires[1]?.deeds).to.deep.equal(['message request', 'half-close', 'read']);
    wires[1]?.listener?.onReceiveMetadata?.(new grpc.Metadata());
    wires[1]?.message('one');
    call.startRead();
    wires[1]?.message('two');
    wires[1]?.end(status.OK);
    expect(client.heard).to.deep.equal(['metadata', 'message one', 'message two', 'status OK']);
    expect(wires[1]?.deeds.slice(3)).to.deep.equal(['read']);
    made.expectNothingLeft();
  });
});
