/**
 * The interceptor under a real grpc-js client and a real server on loopback: what an application sees, for all four kinds of
 * calls.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { createInterceptor } from '../../../agent/interceptor.js';
import type { Effective } from '../../../core/policy/model.js';
import { definition } from '../../support/null-transport.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench } from '../../support/targets.js';

const { status } = grpc;
const kinds = {
  unary: { ...definition('/shop.v1.Inventory/Get'), ...serverSide() },
  clientStream: { ...definition('/shop.v1.Inventory/Put', true, false), ...serverSide() },
  serverStream: { ...definition('/shop.v1.Inventory/Watch', false, true), ...serverSide() },
  bidi: { ...definition('/shop.v1.Inventory/Talk', true, true), ...serverSide() },
};
type Kind = keyof typeof kinds;
const all: readonly Kind[] = ['unary', 'clientStream', 'serverStream', 'bidi'];

function serverSide() {
  return {
    requestDeserialize: (bytes: Buffer) => bytes.toString(),
    responseSerialize: (value: string) => Buffer.from(value),
  };
}

class Client extends grpc.makeGenericClientConstructor(kinds, 'Inventory') {
  /** One request, and all that came of it. */
  call(kind: Kind, request: string, options: grpc.CallOptions = {}): Promise<Heard> & { cancel(): void } {
    const heard: string[] = [];
    let cancel = (): void => undefined;
    const promise = new Promise<Heard>((resolve) => {
      const done = (error: grpc.ServiceError | null, message?: string) => {
        if (message !== undefined) heard.push(message);
        resolve({ heard, error: error ?? undefined });
      };
      const { path, requestSerialize, responseDeserialize } = kinds[kind];
      const send = requestSerialize as (value: string) => Buffer;
      const metadata = new grpc.Metadata();
      if (kind === 'unary') {
        const call = this.makeUnaryRequest(path, send, responseDeserialize, request, metadata, options, done);
        cancel = () => call.cancel();
      } else if (kind === 'clientStream') {
        const call = this.makeClientStreamRequest(path, send, responseDeserialize, metadata, options, done);
        call.on('error', () => undefined);
        call.write(request);
        call.end(request);
        cancel = () => call.cancel();
      } else {
        const call =
          kind === 'serverStream'
            ? this.makeServerStreamRequest(path, send, responseDeserialize, request, metadata, options)
            : this.makeBidiStreamRequest(path, send, responseDeserialize, metadata, options);
        if (kind === 'bidi') (call as grpc.ClientDuplexStream<string, string>).end(request);
        let error: grpc.ServiceError | undefined;
        call.on('data', (message: string) => heard.push(message));
        call.on('error', (thrown: grpc.ServiceError) => {
          error = thrown;
        });
        call.on('status', () => setImmediate(() => resolve({ heard, error })));
        cancel = () => call.cancel();
      }
    });
    return Object.assign(promise, { cancel: () => cancel() });
  }
}

interface Heard {
  heard: string[];
  error: grpc.ServiceError | undefined;
}

describe('the interceptor under a real client', () => {
  let server: grpc.Server;
  let address: string;
  /** Requests that reached the server; those for `hold` wait here to be let go. */
  let reached: string[];
  let held: (() => void)[];
  let onHeld: () => void;
  const clients: Client[] = [];
  const benches: Bench[] = [];

  function answer(
    request: string,
    ok: (text: string) => void,
    fail: (error: Partial<grpc.StatusObject>) => void,
  ): void {
    reached.push(request);
    if (request === 'fail') fail({ code: status.UNAVAILABLE, details: 'closed for today' });
    else if (request === 'hold') {
      held.push(() => ok('held'));
      onHeld();
    } else ok(`re: ${request}`);
  }

  before(async () => {
    server = new grpc.Server();
    const readAll = (call: grpc.ServerReadableStream<string, string>, then: (request: string) => void) => {
      let last = '';
      call.on('data', (message: string) => {
        last = message;
      });
      call.on('end', () => then(last));
      call.on('error', () => undefined);
    };
    const streamed = (
      call: grpc.ServerWritableStream<string, string> | grpc.ServerDuplexStream<string, string>,
    ) => ({
      ok: (text: string) => {
        for (const n of [1, 2]) call.write(`${text} ${n}`);
        call.end();
      },
      fail: (error: Partial<grpc.StatusObject>) => void call.emit('error', error),
    });
    server.addService(kinds, {
      unary: (call: grpc.ServerUnaryCall<string, string>, callback: grpc.sendUnaryData<string>) =>
        answer(
          call.request,
          (text) => callback(null, text),
          (error) => callback(error),
        ),
      clientStream: (call: grpc.ServerReadableStream<string, string>, callback: grpc.sendUnaryData<string>) =>
        readAll(call, (last) =>
          answer(
            last,
            (text) => callback(null, text),
            (error) => callback(error),
          ),
        ),
      serverStream: (call: grpc.ServerWritableStream<string, string>) => {
        const { ok, fail } = streamed(call);
        answer(call.request, ok, fail);
      },
      bidi: (call: grpc.ServerDuplexStream<string, string>) => {
        const { ok, fail } = streamed(call);
        readAll(call, (last) => answer(last, ok, fail));
      },
    });
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    address = `127.0.0.1:${port}`;
  });

  beforeEach(() => {
    reached = [];
    held = [];
    onHeld = () => undefined;
  });

  afterEach(() => {
    for (const made of benches.splice(0)) made.targets.close();
    for (const client of clients.splice(0)) client.close();
  });

  after(() => server.forceShutdown());

  function connect(effective: Effective): { made: Bench; client: Client } {
    const made = bench(effective);
    const interceptors = [createInterceptor(made.targets, 'inventory')];
    const client = new Client(address, grpc.credentials.createInsecure(), { interceptors });
    clients.push(client);
    benches.push(made);
    return { made, client };
  }

  /** A call that has reached the server and stays there. */
  async function holding(client: Client, kind: Kind): Promise<{ call: ReturnType<Client['call']> }> {
    const there = new Promise<void>((resolve) => {
      onHeld = resolve;
    });
    const call = client.call(kind, 'hold');
    await there;
    return { call };
  }

  const circuit = circuitSpec({ minimumCalls: 1, failureRate: 1 });

  for (const kind of all) {
    const streams = kind === 'serverStream' || kind === 'bidi';
    const answers = (text: string) => (streams ? [`${text} 1`, `${text} 2`] : [text]);

    describe(`of kind ${kind}`, () => {
      it('lets a call through, and gives everything back', async () => {
        const { made, client } = connect(effectiveOf({ circuit, bulkhead: bulkheadSpec(1) }));
        expect(await client.call(kind, 'hello')).to.deep.equal({
          heard: answers('re: hello'),
          error: undefined,
        });
        expect(made.targets.permitsOut).to.equal(0);
        expect(made.targets.drainCells()[0]).to.include({ ok: 1, failed: 0 });
      });

      it('rejects while the circuit is open, with status, text and metadata, and nothing on the wire', async () => {
        const { made, client } = connect(effectiveOf({ circuit }));
        const failed = await client.call(kind, 'fail');
        expect(failed.error?.code).to.equal(status.UNAVAILABLE);
        made.clock.advance(3_800);
        const { heard, error } = await client.call(kind, 'again');
        expect(heard).to.deep.equal([]);
        expect(error).to.include({
          code: status.UNAVAILABLE,
          details: '[circuit_open] inventory: retry in 1200 ms (policy inventory-default@7)',
        });
        expect(error?.metadata.get('switchgear-reject')).to.deep.equal(['circuit_open']);
        expect(reached).to.deep.equal(['fail']);
        expect(made.targets.permitsOut).to.equal(0);
      });

      it('lets a call wait in line, and sends all of it once there is a slot', async () => {
        const { made, client } = connect(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
        const first = await holding(client, kind);
        const queued = client.call(kind, 'queued');
        const full = await client.call(kind, 'too much');
        expect(full.error?.code).to.equal(status.RESOURCE_EXHAUSTED);
        held[0]?.();
        expect((await first.call).heard).to.deep.equal(answers('held'));
        expect((await queued).heard).to.deep.equal(answers('re: queued'));
        expect(reached).to.deep.equal(['hold', 'queued']);
        expect(made.targets.permitsOut).to.equal(0);
      });

      it('lets a caller give up in line: it hears so at once, and its slot-to-be goes to the next', async () => {
        const { made, client } = connect(
          effectiveOf({ circuit, bulkhead: bulkheadSpec(1, { maxQueue: 2 }) }),
        );
        const first = await holding(client, kind);
        const queued = client.call(kind, 'never');
        const next = client.call(kind, 'next');
        queued.cancel();
        const { error } = await queued;
        expect(error).to.include({ code: status.CANCELLED, details: 'Cancelled on client' });
        held[0]?.();
        await first.call;
        expect((await next).heard).to.deep.equal(answers('re: next'));
        expect(reached).to.deep.equal(['hold', 'next']);
        expect(made.targets.permitsOut).to.equal(0);
        expect(made.targets.circuit('inventory').state).to.equal('closed');
      });

      it('lets a caller give up in flight: neutral, and the slot is free', async () => {
        const { made, client } = connect(effectiveOf({ circuit, bulkhead: bulkheadSpec(1) }));
        const { call } = await holding(client, kind);
        call.cancel();
        expect((await call).error?.code).to.equal(status.CANCELLED);
        expect(made.targets.permitsOut).to.equal(0);
        expect(made.targets.circuit('inventory').state).to.equal('closed');
        expect(made.targets.drainCells()).to.deep.equal([]);
      });

      it('ends a call whose deadline was over before it began', async () => {
        const { made, client } = connect(effectiveOf({ circuit }));
        const { error } = await client.call(kind, 'late', { deadline: made.clock.wallNow() - 1 });
        expect(error).to.include({
          code: status.DEADLINE_EXCEEDED,
          details: '[deadline_exceeded] inventory: the deadline was over before the call began',
        });
        expect(reached).to.deep.equal([]);
      });

      it('rejects who waits when the mesh closes', async () => {
        const { made, client } = connect(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 1 }) }));
        const first = await holding(client, kind);
        const queued = client.call(kind, 'queued');
        made.targets.close();
        expect((await queued).error?.metadata.get('switchgear-reject')).to.deep.equal(['mesh_closed']);
        held[0]?.();
        await first.call;
        expect(made.targets.permitsOut).to.equal(0);
      });
    });
  }

  it('ends a stream whose first message does not come, in our words', async () => {
    const { made, client } = connect(effectiveOf({ circuit, timeout: 800 }));
    const { call } = await holding(client, 'serverStream');
    made.clock.advance(800);
    const { error } = await call;
    expect(error).to.include({
      code: status.DEADLINE_EXCEEDED,
      details: '[deadline_exceeded] inventory: no first message within 800 ms (policy inventory-default@7)',
    });
    expect(made.targets.circuit('inventory').state).to.equal('open');
    expect(made.targets.permitsOut).to.equal(0);
  });
});
