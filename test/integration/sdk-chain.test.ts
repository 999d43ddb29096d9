/**
 * A call in the middle of others: A calls B, B's handler calls C. What A said of its deadline, of how much the call matters, and of
 * its trace arrives at C, whichever kinds of calls they are and however the handler gets there, and never from another call.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { EchoClient, echoService, unary } from '../support/echo.js';
import { type FakeControlPlane, fakeControlPlane, wirePolicy } from '../support/fake-control-plane.js';
import { keptLogger } from '../support/logs.js';
import { rejectionOf, settled } from '../support/targets.js';
import { until } from '../support/until.js';

type Handle = (text: string) => Promise<string>;
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

async function listen(server: grpc.Server): Promise<string> {
  return new Promise<string>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, port) =>
      error ? reject(error) : resolve(`127.0.0.1:${port}`),
    );
  });
}

interface Seen {
  readonly remainingMs: number;
  readonly criticality: unknown;
  readonly traceparent: unknown;
}

describe('a chain of calls', () => {
  let fake: FakeControlPlane;
  let mesh: Mesh;
  let b: grpc.Server;
  let c: grpc.Server;
  /** What C saw, by the request. */
  let seen: Map<string, Seen>;
  /** What B's handlers do. */
  let handle: Handle;
  let toB: grpc.Client;
  let toC: grpc.Client;

  beforeEach(async () => {
    seen = new Map();
    c = new grpc.Server();
    c.addService(echoService as unknown as grpc.ServiceDefinition, {
      Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
        seen.set(call.request.toString(), {
          remainingMs: Number(call.getDeadline()) - Date.now(),
          criticality: call.metadata.get('switchgear-criticality')[0],
          traceparent: call.metadata.get('traceparent')[0],
        });
        callback(null, call.request);
      },
    });
    const addressOfC = await listen(c);
    fake = await fakeControlPlane();
    fake.onStream = (stream) => {
      stream.welcome();
      stream.delta({
        upserts: [wirePolicy('p', 1, { match: { to: 'c' }, spec: { timeout: '20s' } })],
      });
      stream.endpoints('c', [addressOfC]);
    };
    mesh = await connect({
      service: 'b',
      controlPlane: fake.address,
      callees: ['c', 'db'],
      snapshot: false,
      logger: keptLogger(),
    });
    b = new grpc.Server({ interceptors: [mesh.serverInterceptor()] });
    b.addService(echoService as unknown as grpc.ServiceDefinition, {
      Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
        handle(call.request.toString()).then((text) => callback(null, Buffer.from(text)), callback);
      },
      Upload(call: grpc.ServerReadableStream<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
        call.on('data', (part: Buffer) => {
          handle(part.toString()).then((text) => callback(null, Buffer.from(text)), callback);
        });
      },
      async Chat(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
        try {
          for await (const part of call) call.write(Buffer.from(await handle(String(part))));
          call.end();
        } catch {
          // The test is over before the call is.
        }
      },
    });
    toB = new EchoClient(await listen(b), grpc.credentials.createInsecure());
    toC = mesh.client(EchoClient, 'c');
    handle = (text) => unary(toC, text);
  });

  afterEach(async () => {
    toB.close();
    toC.close();
    b.forceShutdown();
    c.forceShutdown();
    await mesh.close();
    fake.stop();
  });

  const ask = (text: string, criticality: string, deadlineMs: number) => {
    const metadata = new grpc.Metadata();
    metadata.set('switchgear-criticality', criticality);
    metadata.set('traceparent', traceparent.replace('b7ad', text.padStart(4, '0').slice(0, 4)));
    const { path, requestSerialize, responseDeserialize } = echoService.Unary;
    return new Promise<string>((resolve, reject) => {
      const options = { deadline: Date.now() + deadlineMs };
      toB.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        Buffer.from(text),
        metadata,
        options,
        (error, value) => (error ? reject(error) : resolve(String(value))),
      );
    });
  };

  it('passes deadline, criticality and trace on to C, the deadline as what is left of it', async () => {
    handle = async (text) => {
      await settled();
      return unary(toC, text);
    };
    expect(await ask('abcd', 'sheddable-plus', 5_000)).to.equal('abcd');
    const { remainingMs, ...rest } = seen.get('abcd') as Seen;
    expect(rest).to.deep.equal({
      criticality: 'sheddable-plus',
      traceparent: traceparent.replace('b7ad', 'abcd'),
    });
    expect(remainingMs).to.be.within(3_000, 5_000);
  });

  it('keeps to the shorter of A’s deadline and the policy’s', async () => {
    await ask('long', 'critical', 3_600_000);
    expect(seen.get('long')?.remainingMs).to.be.within(15_000, 20_000);
  });

  it('never mixes up calls that wait for the same connection, whether their handlers await or not', async () => {
    const words = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable'];
    handle = (text) =>
      new Promise((resolve, reject) => {
        const { path, requestSerialize: to, responseDeserialize: from } = echoService.Unary;
        // As generated clients are used: the second call is made in the callback of the first.
        toC.makeUnaryRequest(path, to, from, Buffer.from(`first ${text}`), (error) => {
          if (error) reject(error);
          else unary(toC, text).then(resolve, reject);
        });
      });
    for (let round = 0; round < 2; round++) {
      await Promise.all(words.map((word, i) => ask(`${round}${i}`, word, 5_000 + i * 1_000)));
      for (const [i, word] of words.entries())
        for (const text of [`first ${round}${i}`, `${round}${i}`]) {
          // Critical is what nobody needs to say.
          expect(seen.get(text)?.criticality ?? 'critical', text).to.equal(word);
          expect(seen.get(text)?.remainingMs, text).to.be.within(3_000 + i * 1_000, 5_000 + i * 1_000);
        }
    }
  });

  it('reaches into streams, too', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('switchgear-criticality', 'sheddable');
    const { path, requestSerialize: to, responseDeserialize: from } = echoService.Chat;
    const chat = toB.makeBidiStreamRequest(path, to, from, metadata, { deadline: Date.now() + 5_000 });
    const heard: string[] = [];
    chat.on('error', () => undefined);
    chat.on('data', (part: Buffer) => heard.push(String(part)));
    for (const text of ['one', 'two']) {
      chat.write(Buffer.from(text));
      await until(() => heard.includes(text), { what: text });
      expect(seen.get(text)?.criticality).to.equal('sheddable');
      expect(seen.get(text)?.remainingMs).to.be.within(2_000, 5_000);
    }
    chat.end();
  });

  it('says nothing of what no caller has said', async () => {
    const text = await unary(toB, 'plain');
    expect(text).to.equal('plain');
    expect(seen.get('plain')?.traceparent).to.equal(undefined);
    expect(seen.get('plain')?.criticality ?? 'critical').to.equal('critical');
  });

  it('bounds what a handler guards by the deadline of the call that it answers', async () => {
    handle = async () => {
      const leftMs = await mesh.guard('db', ({ deadline }) => (deadline ?? Number.NaN) - Date.now());
      return String(leftMs);
    };
    expect(Number(await ask('guard', 'critical', 5_000))).to.be.within(3_000, 5_000);
    let failed: unknown;
    handle = async () => {
      failed = await rejectionOf(mesh.guard('db', () => new Promise(() => {})));
      return '';
    };
    expect(await rejectionOf(ask('hang', 'critical', 100))).to.have.property('code', 4);
    await until(() => failed !== undefined, { what: 'the end of what was guarded' });
    expect(failed).to.have.property('code', 'deadline_exceeded');
  });
});
