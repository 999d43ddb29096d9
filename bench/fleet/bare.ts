/**
 * What the control plane is held against, in a process of its own: a server that says the same bytes to the same agents and does nothing
 * else, on grpc-js (serialised once) or on `node:http2`. Behind the same kind of listener: a backlog of 4,096.
 */
import { createServer as createHttp2, type ServerHttp2Stream } from 'node:http2';
import { type AddressInfo, createServer } from 'node:net';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import * as grpc from '@grpc/grpc-js';

export type ToBare =
  /** What each agent hears when it comes. */
  | { readonly type: 'start'; readonly kind: 'grpc-js' | 'node:http2'; readonly first: readonly Uint8Array[] }
  /** To all: `pushing`, and where agents answer it, `pushed` once each has. */
  | { readonly type: 'push'; readonly message: Uint8Array; readonly answered: boolean }
  /** Answered with the 99th percentile of the loop's lag since the last time. */
  | { readonly type: 'lag' };

export type FromBare =
  | { readonly type: 'listening'; readonly port: number }
  | { readonly type: 'pushing'; readonly from: number }
  | { readonly type: 'pushed'; readonly at: number }
  | { readonly type: 'lag'; readonly ms: number };

const BACKLOG = 4_096;
const AT_A_TIME = 100;
const PREFIX = 5;

const tell = (message: FromBare) => process.send?.(message);
const instant = () => performance.timeOrigin + performance.now();
/** As prom-client measures the control plane's. */
const lag = monitorEventLoopDelay({ resolution: 10 });
lag.enable();

interface Stream {
  write(message: Buffer): void;
}

const streams = new Set<Stream>();
let unanswered = 0;

function heard(): void {
  if (unanswered === 0 || --unanswered > 0) return;
  tell({ type: 'pushed', at: instant() });
}

function push(message: Buffer, answered: boolean): void {
  tell({ type: 'pushing', from: instant() });
  unanswered = answered ? streams.size : 0;
  const rest = [...streams];
  const some = () => {
    for (const stream of rest.splice(0, AT_A_TIME)) stream.write(message);
    if (rest.length > 0) setImmediate(some);
  };
  some();
}

/** Says what there is to say to one that comes; the answers to that count for nothing. */
function welcome(stream: Stream, first: readonly Buffer[]): void {
  streams.add(stream);
  for (const message of first) stream.write(message);
}

async function onGrpc(first: readonly Buffer[]): Promise<number> {
  const server = new grpc.Server({ 'grpc.enable_channelz': 0 });
  const same = (bytes: Buffer) => bytes;
  const session = {
    ...{ path: '/switchgear.v1.Agents/Session', requestStream: true, responseStream: true },
    ...{
      requestSerialize: same,
      requestDeserialize: same,
      responseSerialize: same,
      responseDeserialize: same,
    },
  };
  const open = (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
    const stream: Stream = { write: (message) => void call.write(message) };
    let greeted = false;
    call.on('data', () => {
      if (greeted) heard();
      else welcome(stream, first);
      greeted = true;
    });
    call.on('error', () => {});
    call.on('close', () => streams.delete(stream));
    call.on('end', () => call.end());
  };
  server.addService({ session }, { session: open });
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  const listener = createServer({ noDelay: true }, (socket) => injector.injectConnection(socket));
  await new Promise<void>((done) => listener.listen({ host: '127.0.0.1', port: 0, backlog: BACKLOG }, done));
  return (listener.address() as AddressInfo).port;
}

async function onHttp2(first: readonly Buffer[]): Promise<number> {
  const server = createHttp2();
  server.on('stream', (http: ServerHttp2Stream) => {
    http.respond({ ':status': 200, 'content-type': 'application/grpc' });
    const stream: Stream = {
      write: (message) => {
        const framed = Buffer.allocUnsafe(PREFIX + message.length);
        framed.writeUInt8(0, 0);
        framed.writeUInt32BE(message.length, 1);
        message.copy(framed, PREFIX);
        http.write(framed);
      },
    };
    let greeted = false;
    http.on('data', (bytes: Buffer) => {
      for (let at = 0; at + PREFIX <= bytes.length; at += PREFIX + bytes.readUInt32BE(at + 1)) {
        if (greeted) heard();
        else welcome(stream, first);
        greeted = true;
      }
    });
    http.on('error', () => {});
    http.on('close', () => streams.delete(stream));
  });
  server.on('sessionError', () => {});
  await new Promise<void>((done) => server.listen({ host: '127.0.0.1', port: 0, backlog: BACKLOG }, done));
  return (server.address() as AddressInfo).port;
}

process.on('message', async (message: ToBare) => {
  if (message.type === 'push') push(Buffer.from(message.message), message.answered);
  else if (message.type === 'lag') {
    tell({ type: 'lag', ms: lag.percentile(99) / 1e6 });
    lag.reset();
  } else {
    const first = message.first.map((bytes) => Buffer.from(bytes));
    const port = await (message.kind === 'grpc-js' ? onGrpc(first) : onHttp2(first));
    tell({ type: 'listening', port });
  }
});
process.on('disconnect', () => process.exit(0));
