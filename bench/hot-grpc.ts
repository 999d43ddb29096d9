/**
 * gRPC clients for the hot benchmark: over a transport that answers at once, without an interceptor, with grpc-js's own that does
 * nothing, with ours; and a real one over loopback.
 */
import * as grpc from '@grpc/grpc-js';
import type { Loop } from './harness.js';
import { nullChannel } from './null-channel.js';

type Mesh = import('../sdk/index.js').Mesh;

const DEADLINE_MS = 10_000;
const identity = (value: Buffer) => value;
const body = Buffer.from([0x0a, 0x01, 0x31]);
const path = '/bench.Echo/Get';

const definition: grpc.ServiceDefinition = {
  Get: {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

/** grpc-js's InterceptingCall as its documentation makes it, with nothing in it. */
const noop: grpc.Interceptor = (options, nextCall) => new grpc.InterceptingCall(nextCall(options));

export interface Loops {
  readonly plain: Loop;
  readonly noop: Loop;
  readonly two: Loop;
  readonly all: Loop;
  close(): void;
}

export function clients(mesh: Mesh): Loops {
  const made: grpc.Client[] = [];
  const loop = (...interceptors: grpc.Interceptor[]): Loop => {
    const options = { channelOverride: nullChannel(), interceptors };
    const client = new grpc.Client('null:///', grpc.credentials.createInsecure(), options);
    made.push(client);
    return loopOf(client);
  };
  return {
    plain: loop(),
    noop: loop(noop),
    two: loop(mesh.interceptor('two')),
    all: loop(mesh.interceptor('all')),
    close: () => {
      for (const client of made) client.close();
    },
  };
}

/** A unary call after another, to a server of this process. */
export async function realClient(): Promise<{ loop: Loop; close(): void }> {
  const server = new grpc.Server();
  server.addService(definition, {
    Get: (_call: unknown, callback: (error: null, value: Buffer) => void) => callback(null, body),
  });
  const port = await new Promise<number>((resolve, reject) => {
    const bound = (error: Error | null, value: number) => (error ? reject(error) : resolve(value));
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), bound);
  });
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  return {
    loop: loopOf(client),
    close: () => {
      client.close();
      server.forceShutdown();
    },
  };
}

function loopOf(client: grpc.Client): Loop {
  return async (calls) => {
    for (let i = 0; i < calls; i++) await call(client, Date.now() + DEADLINE_MS);
  };
}

function call(client: grpc.Client, deadline: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Not a constant: what runs TypeScript gives those names, at the price of a call's tenth.
    client.makeUnaryRequest(
      path,
      identity,
      identity,
      body,
      new grpc.Metadata(),
      { deadline },
      (error: grpc.ServiceError | null, value?: Buffer) => (error ? reject(error) : resolve(value ?? body)),
    );
  });
}

/** CPU of this process for a loop, nanoseconds a call. */
export async function cpu(loop: Loop, calls: number): Promise<number> {
  const before = process.cpuUsage();
  await loop(calls);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / calls;
}
