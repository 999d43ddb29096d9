/**
 * All four kinds of call over real sockets, through a client with the interceptor alone and through one of the mesh: the answer,
 * a cancel, a deadline and a rejection look to the application as grpc-js's own do, and leave nothing behind.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { EchoClient, type EchoServer, startEcho } from '../support/echo.js';
import { type FakeControlPlane, fakeControlPlane, wirePolicy } from '../support/fake-control-plane.js';
import { keptLogger } from '../support/logs.js';
import { until } from '../support/until.js';

interface Echo extends grpc.Client {
  Unary(
    request: Buffer,
    options: grpc.CallOptions,
    callback: grpc.requestCallback<Buffer>,
  ): grpc.ClientUnaryCall;
  Upload(
    options: grpc.CallOptions,
    callback: grpc.requestCallback<Buffer>,
  ): grpc.ClientWritableStream<Buffer>;
  Download(request: Buffer, options: grpc.CallOptions): grpc.ClientReadableStream<Buffer>;
  Chat(options: grpc.CallOptions): grpc.ClientDuplexStream<Buffer, Buffer>;
}

/** A call under way: what became of it, and the way to give it up. */
interface Running {
  readonly ended: Promise<{ code: grpc.status; details: string; text: string }>;
  cancel(): void;
}

type Kind = 'unary' | 'client stream' | 'server stream' | 'bidi stream';
const kinds: readonly Kind[] = ['unary', 'client stream', 'server stream', 'bidi stream'];

/** `hang`: the server never answers, whatever the kind. */
function call(client: Echo, kind: Kind, text: string, options: grpc.CallOptions = {}): Running {
  const heard: string[] = [];
  let cancel = (): void => {};
  const ended = new Promise<{ code: grpc.status; details: string; text: string }>((resolve) => {
    const end = (code: grpc.status, details: string) => resolve({ code, details, text: heard.join('') });
    const answered: grpc.requestCallback<Buffer> = (error, value) => {
      if (value) heard.push(value.toString());
      end(error?.code ?? grpc.status.OK, error?.details ?? '');
    };
    const follow = (stream: grpc.ClientReadableStream<Buffer>) => {
      stream.on('data', (part: Buffer) => heard.push(part.toString()));
      stream.on('error', () => {});
      stream.on('status', ({ code, details }: grpc.StatusObject) => end(code, details));
      cancel = () => stream.cancel();
    };
    if (kind === 'unary') {
      const unary = client.Unary(Buffer.from(text), options, answered);
      cancel = () => unary.cancel();
    } else if (kind === 'client stream') {
      const stream = client.Upload(options, answered);
      for (const part of text) stream.write(Buffer.from(part));
      if (text !== 'hang') stream.end();
      cancel = () => stream.cancel();
    } else if (kind === 'server stream') {
      follow(client.Download(Buffer.from(text), options));
    } else {
      const stream = client.Chat(options);
      follow(stream);
      if (text !== 'hang') {
        for (const part of text) stream.write(Buffer.from(part));
        stream.end();
      }
    }
  });
  return { ended, cancel: () => cancel() };
}

for (const through of ['the interceptor alone', 'mesh.client'] as const)
  describe(`calls through ${through}`, () => {
    let fake: FakeControlPlane;
    let echo: EchoServer;
    let mesh: Mesh;
    let client: Echo;

    const policies = async (spec: Record<string, unknown>, revision = 2) => {
      const upserts = [wirePolicy('p', revision, { match: { to: 'inventory' }, spec })];
      fake.streams[0]?.delta({ revision, upserts });
      await until(() => mesh.status().revision === revision, { what: `revision ${revision}` });
    };

    beforeEach(async () => {
      fake = await fakeControlPlane();
      echo = await startEcho();
      fake.onStream = (stream) => {
        stream.welcome();
        stream.delta({
          upserts: [
            wirePolicy('p', 1, {
              match: { to: 'inventory' },
              spec: { bulkhead: { maxConcurrent: 1 }, circuit: { minimumCalls: 2, openFor: '60s' } },
            }),
          ],
        });
        stream.endpoints('inventory', [echo.address]);
      };
      const options = {
        controlPlane: fake.address,
        callees: ['inventory'],
        snapshot: false,
        logger: keptLogger(),
      } as const;
      mesh = await connect({ service: 'checkout', ...options });
      client = (through === 'mesh.client'
        ? mesh.client(EchoClient, 'inventory')
        : new EchoClient(echo.address, grpc.credentials.createInsecure(), {
            interceptors: [mesh.interceptor('inventory')],
          })) as unknown as Echo;
    });

    afterEach(async () => {
      client.close();
      await mesh.close();
      fake.stop();
      echo.stop();
    });

    for (const kind of kinds) {
      it(`${kind}: brings the answer, and gives its slot back`, async () => {
        for (let i = 0; i < 3; i++) {
          const { code, text } = await call(client, kind, 'hello').ended;
          expect(code).to.equal(grpc.status.OK);
          expect(text).to.equal('hello');
        }
      });

      it(`${kind}: a cancel ends it, gives its slot back, and says nothing about the callee`, async () => {
        for (let i = 0; i < 4; i++) {
          const before = echo.calls.count;
          const running = call(client, kind, 'hang');
          await until(() => echo.calls.count > before, { what: 'the call at the server' });
          running.cancel();
          expect((await running.ended).code).to.equal(grpc.status.CANCELLED);
        }
        expect(mesh.circuit('inventory').state).to.equal('closed');
        expect((await call(client, kind, 'hello').ended).text).to.equal('hello');
      });

      it(`${kind}: the caller's deadline ends it`, async () => {
        const { code } = await call(client, kind, 'hang', { deadline: Date.now() + 50 }).ended;
        expect(code).to.equal(grpc.status.DEADLINE_EXCEEDED);
        expect((await call(client, kind, 'hello').ended).text).to.equal('hello');
      });

      it(`${kind}: the policy's time ends it, and opens the circuit`, async () => {
        await policies({
          timeout: '50ms',
          streamTimeout: '50ms',
          circuit: { minimumCalls: 2, openFor: '60s' },
        });
        for (let i = 0; i < 2; i++) {
          const { code } = await call(client, kind, 'hang').ended;
          expect(code).to.equal(grpc.status.DEADLINE_EXCEEDED);
        }
        const rejected = await call(client, kind, 'hello').ended;
        expect(rejected.code).to.equal(grpc.status.UNAVAILABLE);
        expect(rejected.details).to.match(/^\[circuit_open\] inventory: retry in \d+ ms \(policy p@2\)$/);
      });

      it(`${kind}: a full bulkhead refuses it, and an aborted one leaves the line`, async () => {
        const first = call(client, kind, 'hang');
        const refused = await call(client, kind, 'hello').ended;
        expect(refused.code).to.equal(grpc.status.RESOURCE_EXHAUSTED);
        expect(refused.details).to.match(/^\[bulkhead_full\] inventory/);
        await policies({ bulkhead: { maxConcurrent: 1, maxQueue: 1 } });
        const queued = call(client, kind, 'hello');
        queued.cancel();
        expect((await queued.ended).code).to.equal(grpc.status.CANCELLED);
        const next = call(client, kind, 'hello');
        first.cancel();
        await first.ended;
        expect((await next.ended).text).to.equal('hello');
      });

      it(`${kind}: after the mesh is closed it ends with mesh_closed`, async () => {
        await mesh.close();
        const { code, details } = await call(client, kind, 'hello').ended;
        expect(code).to.equal(grpc.status.UNAVAILABLE);
        expect(details).to.match(/^\[mesh_closed\] inventory: /);
      });
    }
  });
