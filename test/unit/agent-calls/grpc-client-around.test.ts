/**
 * Retries, hedges and fallbacks under a real grpc-js client and real servers on loopback: what an application sees, what reaches
 * the server, and in which words grpc-js says that nothing was sent.
 */
import { createServer as createHttp2Server, type Http2Server } from 'node:http2';
import type { AddressInfo } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { createInterceptor } from '../../../agent/interceptor.js';
import type { Effective } from '../../../core/policy/model.js';
import { EchoClient, echoService } from '../../support/echo.js';
import { retrySpec } from '../../support/retrying.js';
import { bulkheadSpec, circuitSpec, effectiveOf } from '../../support/specs.js';
import { type Bench, bench } from '../../support/targets.js';

const { status } = grpc;
const retry = retrySpec({ backoff: { baseMs: 1, maxMs: 1 } });

interface Heard {
  readonly messages: readonly string[];
  readonly headers: grpc.Metadata | undefined;
  readonly status: grpc.StatusObject;
}

type Kind = 'Unary' | 'Upload' | 'Download' | 'Chat';

/** One call of any kind, told as a client hears it. */
class Call {
  readonly heard: Promise<Heard>;
  cancel: () => void = () => {};

  constructor(client: grpc.Client, kind: Kind, text: string, options: grpc.CallOptions = {}) {
    const { path, requestSerialize, responseDeserialize } = echoService[kind];
    const metadata = new grpc.Metadata();
    const request = Buffer.from(text);
    this.heard = new Promise((resolve) => {
      const messages: string[] = [];
      let headers: grpc.Metadata | undefined;
      const listen = (call: grpc.ClientUnaryCall) => {
        this.cancel = () => call.cancel();
        call.on('metadata', (received: grpc.Metadata) => {
          headers = received;
        });
        call.on('error', () => undefined);
        call.on('data', (message: Buffer) => messages.push(message.toString()));
        call.on('status', (ended: grpc.StatusObject) =>
          setImmediate(() => resolve({ messages, headers, status: ended })),
        );
      };
      const done = (_error: grpc.ServiceError | null, message?: Buffer) => {
        if (message) messages.push(message.toString());
      };
      if (kind === 'Unary') {
        listen(
          client.makeUnaryRequest(
            path,
            requestSerialize,
            responseDeserialize,
            request,
            metadata,
            options,
            done,
          ),
        );
      } else if (kind === 'Upload') {
        const call = client.makeClientStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          metadata,
          options,
          done,
        );
        listen(call);
        call.write(request);
        call.end(Buffer.from('!'));
      } else if (kind === 'Download') {
        listen(
          client.makeServerStreamRequest(
            path,
            requestSerialize,
            responseDeserialize,
            request,
            metadata,
            options,
          ) as unknown as grpc.ClientUnaryCall,
        );
      } else {
        const call = client.makeBidiStreamRequest(
          path,
          requestSerialize,
          responseDeserialize,
          metadata,
          options,
        );
        listen(call as unknown as grpc.ClientUnaryCall);
        call.end(request);
      }
    });
  }
}

describe('a call with retries, hedges or fallbacks under a real client', () => {
  let server: grpc.Server;
  let address: string;
  /** What reached the server: the request, and how many attempts came before it. */
  let reached: [string, string | undefined][];
  let cancelled: string[];
  let broken: boolean;
  const clients: grpc.Client[] = [];
  const benches: Bench[] = [];

  /** `fail N`: the first N attempts fail. */
  function failure(text: string, metadata: grpc.Metadata): Partial<grpc.StatusObject> | undefined {
    const previous = metadata.get('grpc-previous-rpc-attempts')[0]?.toString();
    reached.push([text, previous]);
    const [, times] = /^fail (\d)/.exec(text) ?? [];
    if (times !== undefined && Number(previous ?? 0) < Number(times))
      return { code: status.UNAVAILABLE, details: `${text} after ${previous ?? 0}` };
    if (broken) return { code: status.UNAVAILABLE, details: 'broken' };
    if (text.startsWith('pass on ')) return { code: status.UNAVAILABLE, details: text.slice(8) };
    return undefined;
  }

  before(async () => {
    server = new grpc.Server();
    server.addService(echoService as unknown as grpc.ServiceDefinition, {
      Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
        const text = call.request.toString();
        const failed = failure(text, call.metadata);
        call.on('cancelled', () => cancelled.push(text));
        const first = call.metadata.get('grpc-previous-rpc-attempts').length === 0;
        if (text.startsWith('hang') || (text === 'slow first' && first)) return;
        if (failed) callback(failed);
        else callback(null, call.request);
      },
      Upload(call: grpc.ServerReadableStream<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
        const parts: Buffer[] = [];
        call.on('error', () => undefined);
        call.on('data', (part: Buffer) => parts.push(part));
        call.on('end', () => {
          const failed = failure(String(parts[0]), call.metadata);
          if (failed) callback(failed);
          else callback(null, Buffer.concat(parts));
        });
      },
      Download(call: grpc.ServerWritableStream<Buffer, Buffer>) {
        const text = call.request.toString();
        const failed = failure(text, call.metadata);
        if (failed) call.emit('error', failed);
        else {
          for (const letter of 'abc') call.write(Buffer.from(letter));
          if (text === 'break') call.emit('error', { code: status.UNAVAILABLE, details: 'broken off' });
          else call.end();
        }
      },
      Chat(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
        call.on('error', () => undefined);
        call.on('data', (part: Buffer) => {
          const failed = failure(part.toString(), call.metadata);
          if (failed) call.emit('error', failed);
          else call.write(part);
        });
        call.on('end', () => call.end());
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
    cancelled = [];
    broken = false;
  });

  afterEach(() => {
    for (const client of clients.splice(0)) client.close();
    for (const made of benches.splice(0)) {
      expect(made.targets.permitsOut, 'permits').to.equal(0);
      made.targets.close();
      expect(made.clock.pendingTimers, 'timers').to.equal(0);
    }
  });

  after(() => server.forceShutdown());

  function connect(
    effective: Effective,
    { to = address, options = {} }: { to?: string; options?: grpc.ChannelOptions } = {},
  ): { made: Bench; client: grpc.Client } {
    const made = bench(effective);
    // grpc-js has a clock of its own.
    made.clock.wallOffset = Date.now() - made.clock.wallNow();
    const interceptors = [createInterceptor(made.targets, 'inventory')];
    const client = new EchoClient(to, grpc.credentials.createInsecure(), { ...options, interceptors });
    clients.push(client);
    benches.push(made);
    return { made, client };
  }

  /** What a call came to, with our clock running on as fast as the loop turns. */
  async function over({ made }: { made: Bench }, call: Call): Promise<Heard> {
    let ended = false;
    const heard = call.heard.finally(() => {
      ended = true;
    });
    while (!ended) {
      await new Promise((resolve) => setImmediate(resolve));
      made.clock.advance(1);
    }
    return heard;
  }

  const everything = effectiveOf({
    retry,
    idempotent: true,
    timeout: 60_000,
    attemptTimeout: 30_000,
    hedge: { delay: { kind: 'fixed', ms: 20_000 }, extra: 1 },
    circuit: circuitSpec(),
    bulkhead: bulkheadSpec(5, { maxQueue: 5 }),
    fallback: [{ kind: 'cache', maxAgeMs: 60_000 }],
    classify: { NOT_FOUND: 'failure' },
  });

  for (const kind of ['Unary', 'Upload', 'Download', 'Chat'] as const) {
    const answers = { Unary: ['hello'], Upload: ['hello!'], Download: ['a', 'b', 'c'], Chat: ['hello'] };

    it(`lets a ${kind} call through with every stage on, headers, messages and status`, async () => {
      const there = connect(everything);
      const { messages, headers, status: ended } = await over(there, new Call(there.client, kind, 'hello'));
      expect([messages, ended.code]).to.deep.equal([answers[kind], status.OK]);
      expect(headers?.getMap()).to.have.property('content-type');
      expect(reached).to.deep.equal([['hello', undefined]]);
    });

    const repeats = kind === 'Unary' || kind === 'Download';
    it(`${repeats ? 'repeats' : 'does not repeat'} a ${kind} call that failed before its headers`, async () => {
      const there = connect(effectiveOf({ retry, idempotent: true }));
      const { messages, status: ended } = await over(there, new Call(there.client, kind, 'fail 2'));
      if (repeats) {
        expect(ended.code).to.equal(status.OK);
        expect(messages).to.deep.equal(kind === 'Unary' ? ['fail 2'] : ['a', 'b', 'c']);
        expect(reached.map(([, previous]) => previous)).to.deep.equal([undefined, '1', '2']);
      } else {
        expect([messages, ended.code, reached.length]).to.deep.equal([[], status.UNAVAILABLE, 1]);
      }
    });
  }

  it('lets a stream that broke off end as it did', async () => {
    const there = connect(effectiveOf({ retry, idempotent: true }));
    const { messages, status: ended } = await over(there, new Call(there.client, 'Download', 'break'));
    expect(messages).to.deep.equal(['a', 'b', 'c']);
    expect([ended.details, reached.length]).to.deep.equal(['broken off', 1]);
  });

  it('lets a caller give up between two attempts', async () => {
    const there = connect(effectiveOf({ retry: retrySpec(), idempotent: true }));
    const call = new Call(there.client, 'Unary', 'fail 2');
    while (there.made.targets.get('inventory', 'test.Echo/Unary').tally.retries === 0)
      await new Promise((resolve) => setImmediate(resolve));
    call.cancel();
    expect((await over(there, call)).status.code).to.equal(status.CANCELLED);
    expect(reached).to.have.lengthOf(1);
  });

  it('sends a copy of what hangs, answers with it, and calls the other off', async () => {
    const hedge = { delay: { kind: 'fixed', ms: 20 }, extra: 1 } as const;
    const there = connect(effectiveOf({ hedge, idempotent: true }));
    const { messages, status: ended } = await over(there, new Call(there.client, 'Unary', 'slow first'));
    expect([messages, ended.code]).to.deep.equal([['slow first'], status.OK]);
    expect(reached.map(([, previous]) => previous)).to.deep.equal([undefined, '1']);
    while (cancelled.length === 0) await new Promise((resolve) => setImmediate(resolve));
    while (there.made.targets.permitsOut > 0) await new Promise((resolve) => setImmediate(resolve));
  });

  it('answers from the cache once the callee fails, and says so', async () => {
    const there = connect(effectiveOf({ fallback: [{ kind: 'cache', maxAgeMs: 60_000 }] }));
    await over(there, new Call(there.client, 'Unary', 'hello'));
    broken = true;
    const { messages, headers, status: ended } = await over(there, new Call(there.client, 'Unary', 'hello'));
    expect([messages, ended.code]).to.deep.equal([['hello'], status.OK]);
    for (const metadata of [headers, ended.metadata])
      expect(metadata?.get('switchgear-degraded')).to.deep.equal(['cache; UNAVAILABLE']);
  });

  describe('that was never sent', () => {
    let refusing: Http2Server;
    let refused: number;
    let nobody: string;

    before(async () => {
      refusing = createHttp2Server();
      refusing.on('stream', (stream) => {
        refused++;
        stream.on('error', () => undefined);
        // REFUSED_STREAM: "prior to any processing having occurred".
        stream.close(7);
      });
      await new Promise<void>((resolve) => refusing.listen(0, '127.0.0.1', resolve));
      const closed = createHttp2Server();
      await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
      nobody = `127.0.0.1:${(closed.address() as AddressInfo).port}`;
      await new Promise((resolve) => closed.close(resolve));
    });

    after(() => refusing.close());

    beforeEach(() => {
      refused = 0;
    });

    const roundRobin = { 'grpc.service_config': '{"loadBalancingConfig":[{"round_robin":{}}]}' };
    const cases: [string, () => string, grpc.ChannelOptions, RegExp][] = [
      ['nobody listens', () => nobody, {}, /^No connection established/],
      ['none of several listens', () => nobody, roundRobin, /^round_robin: No connection established/],
      [
        'the name is nobody’s',
        () => 'dns:///no-such-host.invalid:1',
        {},
        /^Name resolution failed for target dns:/,
      ],
      [
        'the server refuses the stream',
        () => `127.0.0.1:${(refusing.address() as AddressInfo).port}`,
        {},
        /^Stream refused by server/,
      ],
    ];
    for (const [name, to, options, words] of cases) {
      it(`is tried again though nobody says it is idempotent: ${name}`, async () => {
        const there = connect(effectiveOf({ retry: retrySpec({ attempts: 2 }) }), { to: to(), options });
        const { status: ended } = await over(there, new Call(there.client, 'Unary', 'hello'));
        expect(ended.code).to.equal(status.UNAVAILABLE);
        expect(ended.details).to.match(words);
        expect(there.made.targets.get('inventory', 'test.Echo/Unary').tally.retries).to.equal(1);
        // grpc-js itself tries once more what was refused.
        if (words.source.includes('refused')) expect(refused).to.equal(4);
      }).timeout(20_000);

      it(`isn’t believed of a callee that says it of somebody else: ${name}`, async () => {
        const there = connect(effectiveOf({ retry }));
        const text = `pass on ${words.source.slice(1)}`;
        const { status: ended } = await over(there, new Call(there.client, 'Unary', text));
        expect(ended.details).to.match(words);
        expect([ended.code, reached.length]).to.deep.equal([status.UNAVAILABLE, 1]);
      });
    }

    it('isn’t what was sent, and lost its connection', async () => {
      const dropping = createHttp2Server();
      let streams = 0;
      dropping.on('session', (session) => session.on('error', () => undefined));
      dropping.on('stream', (stream) => {
        streams++;
        stream.on('error', () => undefined);
        stream.session?.destroy();
      });
      await new Promise<void>((resolve) => dropping.listen(0, '127.0.0.1', resolve));
      const to = `127.0.0.1:${(dropping.address() as AddressInfo).port}`;
      const there = connect(effectiveOf({ retry }), { to });
      const { status: ended } = await over(there, new Call(there.client, 'Unary', 'hello'));
      expect([ended.code, streams]).to.deep.equal([status.UNAVAILABLE, 1]);
      dropping.close();
    });
  });
});
