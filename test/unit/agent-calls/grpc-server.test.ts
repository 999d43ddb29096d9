/**
 * The server interceptor in a real grpc-js server, called by a plain grpc-js client on loopback: what caller and handler see, for
 * all four kinds of calls, and that every permit comes back.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { type CallContext, currentContext } from '../../../agent/context.js';
import { createServerInterceptor } from '../../../agent/server-interceptor.js';
import type { Targets } from '../../../agent/targets.js';
import { systemClock } from '../../../core/clock.js';
import type { Effective } from '../../../core/policy/model.js';
import { echoService } from '../../support/echo.js';
import { liveTargets } from '../../support/live-targets.js';
import { bulkheadSpec, effectiveOf } from '../../support/specs.js';
import { settled } from '../../support/targets.js';
import { until } from '../../support/until.js';

const { status } = grpc;
type Kind = 'Unary' | 'Upload' | 'Download' | 'Chat';
const kinds: readonly Kind[] = ['Unary', 'Upload', 'Download', 'Chat'];
type Handled = grpc.ServerUnaryCall<Buffer, Buffer> &
  grpc.ServerReadableStream<Buffer, Buffer> &
  grpc.ServerWritableStream<Buffer, Buffer> &
  grpc.ServerDuplexStream<Buffer, Buffer>;

interface Answer {
  readonly code: grpc.status;
  readonly details: string;
  readonly text: string;
  readonly reject: readonly grpc.MetadataValue[];
}

class Client extends grpc.makeGenericClientConstructor(echoService, 'Echo') {
  /** One call with one request; `open`: a request stream is not ended. */
  call(
    kind: Kind,
    text: string,
    options: grpc.CallOptions & { metadata?: grpc.Metadata; open?: boolean } = {},
  ): { readonly ended: Promise<Answer>; cancel(): void } {
    const { metadata = new grpc.Metadata(), open = false, ...rest } = options;
    const { path, requestSerialize: to, responseDeserialize: from } = echoService[kind];
    const request = Buffer.from(text);
    const heard: string[] = [];
    let cancel = (): void => undefined;
    const ended = new Promise<Answer>((resolve) => {
      const end = ({ code, details, metadata: trailer }: grpc.StatusObject) =>
        resolve({ code, details, text: heard.join(''), reject: trailer.get('switchgear-reject') });
      const done = (_error: unknown, value?: Buffer) => void (value && heard.push(value.toString()));
      if (kind === 'Unary') {
        const call = this.makeUnaryRequest(path, to, from, request, metadata, rest, done);
        call.on('status', (said: grpc.StatusObject) => setImmediate(end, said));
        cancel = () => call.cancel();
      } else if (kind === 'Upload') {
        const call = this.makeClientStreamRequest(path, to, from, metadata, rest, done);
        call.on('status', (said: grpc.StatusObject) => setImmediate(end, said));
        call.on('error', () => undefined);
        call.write(request);
        if (!open) call.end();
        cancel = () => call.cancel();
      } else {
        const bidi = kind === 'Chat' && this.makeBidiStreamRequest(path, to, from, metadata, rest);
        if (bidi) {
          bidi.write(request);
          if (!open) bidi.end();
        }
        const call = bidi || this.makeServerStreamRequest(path, to, from, request, metadata, rest);
        call.on('data', (part: Buffer) => heard.push(part.toString()));
        call.on('error', () => undefined);
        call.on('status', (said: grpc.StatusObject) => setImmediate(end, said));
        cancel = () => call.cancel();
      }
    });
    return { ended, cancel: () => cancel() };
  }
}

describe('the server interceptor in a real server', () => {
  let server: grpc.Server;
  let client: Client;
  let targets: Targets;
  let effective: Effective = {};
  /** Handlers that ran. */
  let ran: string[];
  let throws: boolean;
  let handle: (call: Handled, text: string, answer: (text: string) => void) => unknown;

  const policies = (next: Effective) => {
    effective = next;
    targets.refresh();
  };
  const none = () => until(() => targets.permitsOut === 0, { what: 'the permits' });

  beforeEach(async () => {
    ran = [];
    throws = false;
    handle = (_call, text, answer) => void (text === 'hang' || answer(`re: ${text}`));
    targets = liveTargets(() => effective);
    policies(effectiveOf({ bulkhead: bulkheadSpec(1) }));
    server = new grpc.Server({ interceptors: [createServerInterceptor(targets)] });
    const written = (call: Handled) => (said: string) => {
      for (const part of said.split(' ')) call.write(Buffer.from(part));
      call.end();
    };
    /** A handler by how it gets its request and how it answers. */
    const handler = (streamed: boolean, many: boolean) => (given: unknown, callback: unknown) => {
      if (throws) throw new Error('broken');
      const call = given as Handled;
      const answer = (said: string) => (callback as grpc.sendUnaryData<Buffer>)(null, Buffer.from(said));
      const run = (request: Buffer) => {
        ran.push(request.toString());
        return handle(call, request.toString(), many ? written(call) : answer);
      };
      return streamed ? void call.on('data', run) : run(call.request);
    };
    const handlers: grpc.UntypedServiceImplementation = {
      Unary: handler(false, false) as grpc.UntypedHandleCall,
      Upload: handler(true, false) as grpc.UntypedHandleCall,
      Download: handler(false, true) as grpc.UntypedHandleCall,
      Chat: handler(true, true) as grpc.UntypedHandleCall,
    };
    server.addService(echoService, handlers);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    client = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  });

  afterEach(() => {
    client.close();
    server.forceShutdown();
    targets.close();
  });

  for (const kind of kinds) {
    it(`${kind}: answers, and gives its place back`, async () => {
      for (let i = 0; i < 3; i++) {
        const { code, text } = await client.call(kind, 'hi').ended;
        expect([code, text.replace(' ', '')]).to.deep.equal([status.OK, 're:hi']);
        await none();
      }
    });

    it(`${kind}: is turned away where the limit is reached, and its handler never runs`, async () => {
      const first = client.call(kind, 'hang');
      await until(() => ran.length === 1, { what: 'the first call' });
      const { code, details, reject } = await client.call(kind, 'x', { open: true }).ended;
      expect(code).to.equal(status.RESOURCE_EXHAUSTED);
      expect(details).to.match(/^\[bulkhead_full\] self: 1 of 1 calls .* \(policy inventory-default@7\)$/);
      expect(reject).to.deep.equal(['bulkhead_full']);
      expect(ran).to.deep.equal(['hang']);
      first.cancel();
      await none();
    });

    it(`${kind}: waits in line, and then is answered as usual`, async () => {
      policies(effectiveOf({ bulkhead: bulkheadSpec(1, { maxQueue: 2 }) }));
      const first = client.call(kind, 'hang');
      await until(() => ran.length === 1, { what: 'the first call' });
      const given = client.call(kind, 'given up');
      await until(() => targets.permitsOut === 2, { what: 'the line' });
      const next = client.call(kind, 'next');
      await until(() => targets.permitsOut === 3, { what: 'the line' });
      given.cancel();
      await until(() => targets.permitsOut === 2, { what: 'the end of the second' });
      first.cancel();
      expect((await next.ended).text.replace(' ', '')).to.equal('re:next');
      expect(ran).to.deep.equal(['hang', 'next']);
      await none();
    });

    it(`${kind}: a cancel before the headers, and one mid-stream, give the place back`, async () => {
      for (let i = 0; i < 3; i++) {
        handle = () => undefined;
        // Not in the tick of its start: of that, grpc-js 1.14 tells the server nothing.
        const early = client.call(kind, 'hang', { open: true });
        await until(() => targets.permitsOut === 1, { what: 'the call' });
        early.cancel();
        expect((await early.ended).code).to.equal(status.CANCELLED);
        await none();
        const before = ran.length;
        handle = (call) => void (kind === 'Download' || kind === 'Chat' ? call.write(Buffer.from('one')) : 0);
        const late = client.call(kind, 'hang', { open: true });
        await until(() => ran.length > before, { what: 'the handler' });
        late.cancel();
        await none();
      }
      expect(targets.drainCells()).to.deep.equal([]);
    });

    it(`${kind}: a handler that throws gives the place back`, async () => {
      throws = true;
      expect((await client.call(kind, 'x').ended).code).to.equal(status.UNKNOWN);
      await none();
      expect(targets.drainCells()[0]).to.include({ ok: 0, failed: 1 });
    });

    it(`${kind}: the caller's deadline gives the place back`, async () => {
      const { code } = await client.call(kind, 'hang', { deadline: Date.now() + 60 }).ended;
      expect(code).to.equal(status.DEADLINE_EXCEEDED);
      await none();
    });

    it(`${kind}: a server that is shut down by force has no permit out`, async () => {
      const call = client.call(kind, 'hang');
      await until(() => ran.length === 1, { what: 'the call' });
      server.forceShutdown();
      expect((await call.ended).code).to.not.equal(status.OK);
      await none();
    });

    it(`${kind}: what its handler calls inherits the context, through awaits and turns of the loop`, async () => {
      const seen: (CallContext | undefined)[] = [];
      handle = async (call, text, answer) => {
        seen.push(currentContext());
        await Promise.resolve();
        seen.push(currentContext());
        await settled();
        seen.push(currentContext());
        call.on('cancelled', () => seen.push(currentContext()));
        answer(text);
      };
      const metadata = new grpc.Metadata();
      metadata.set('switchgear-criticality', 'sheddable-plus');
      metadata.set('traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01');
      const before = systemClock.now();
      await client.call(kind, 'x', { metadata, deadline: Date.now() + 5_000 }).ended;
      await none();
      await until(() => seen.length === 4, { what: 'the end at the handler' });
      for (const context of seen) {
        expect(context).to.include({ rank: 2 });
        expect(context?.deadlineAt).to.be.within(before + 4_000, systemClock.now() + 5_001);
        expect(context?.trace).to.deep.equal([
          ['traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
        ]);
      }
      expect(currentContext()).to.equal(undefined);
    });
  }

  it('gives every handler of calls that overlap its own context, whichever way it reads', async () => {
    policies({});
    const ranks: Record<string, unknown[]> = {};
    const waiting: (() => void)[] = [];
    handle = async (call, text, answer) => {
      const note = () => {
        ranks[text] ??= [];
        ranks[text].push(currentContext()?.rank);
      };
      note();
      await new Promise<void>((resolve) => waiting.push(resolve));
      note();
      call.once?.('drain', note);
      answer(text);
    };
    const calls = ['critical-plus', 'critical', 'sheddable-plus', 'sheddable'].flatMap((word, rank) =>
      kinds.map((kind) => {
        const metadata = new grpc.Metadata();
        metadata.set('switchgear-criticality', word);
        return client.call(kind, `${rank}-${kind}`, { metadata }).ended;
      }),
    );
    await until(() => waiting.length === 16, { what: 'all of them' });
    for (const go of waiting.reverse()) go();
    await Promise.all(calls);
    for (const [text, seen] of Object.entries(ranks))
      expect(new Set(seen), text).to.deep.equal(new Set([Number(text[0])]));
    expect(Object.keys(ranks)).to.have.length(16);
  });

  it('keeps the context while a stream is written under back pressure', async () => {
    policies({});
    const seen: unknown[] = [];
    const big = Buffer.alloc(64 * 1024, 'x').toString();
    handle = async (call, text, answer) => {
      if (text !== 'go') return;
      for (let i = 0; i < 40; i++) {
        if (!call.write(Buffer.from(big))) await new Promise((resolve) => call.once('drain', resolve));
        seen.push(currentContext()?.rank);
      }
      call.once('drain', () => seen.push(currentContext()?.rank));
      answer('done');
    };
    const metadata = new grpc.Metadata();
    metadata.set('switchgear-criticality', 'sheddable');
    expect((await client.call('Download', 'go', { metadata }).ended).code).to.equal(status.OK);
    expect(new Set(seen)).to.deep.equal(new Set([3]));
    expect(seen.length).to.be.at.least(40);
  });

  it('a deadline that is over on arrival runs no handler', async () => {
    const wire: grpc.ServerInterceptor = (method, call) => {
      // As after a proxy that hands on what is left of it: nothing.
      const late = Object.assign(Object.create(call) as typeof call, { getDeadline: () => Date.now() });
      return createServerInterceptor(targets)(method, late);
    };
    const other = new grpc.Server({ interceptors: [wire] });
    let calls = 0;
    other.addService(echoService as unknown as grpc.ServiceDefinition, {
      Unary: () => void calls++,
      Upload: () => void calls++,
      Download: () => void calls++,
      Chat: () => void calls++,
    });
    const port = await new Promise<number>((resolve) => {
      other.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_error, bound) =>
        resolve(bound),
      );
    });
    const plain = new Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
    for (const kind of kinds) {
      const { code, details, reject } = await plain.call(kind, 'x').ended;
      expect(code).to.equal(status.DEADLINE_EXCEEDED);
      expect(details).to.match(/^\[deadline_exceeded\] self: /);
      expect(reject).to.deep.equal(['deadline_exceeded']);
    }
    expect([calls, targets.permitsOut]).to.deep.equal([0, 0]);
    plain.close();
    other.forceShutdown();
  });

  it('a caller that reads no more keeps its place no longer than its deadline', async () => {
    const big = Buffer.alloc(1024 * 1024);
    handle = (call) => {
      call.write(big);
      call.end();
    };
    const { path, requestSerialize, responseDeserialize } = echoService.Chat;
    const call = client.makeBidiStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      new grpc.Metadata(),
      {
        deadline: Date.now() + 150,
      },
    );
    call.on('error', () => undefined);
    call.write(Buffer.from('x'));
    await until(() => ran.length === 1, { what: 'the handler' });
    await none();
  });
});
