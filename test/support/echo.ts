/**
 * A plain grpc-js service that knows nothing of Switchgear, and a client for it: bytes in, bytes out, all four call kinds.
 * What the first byte-string says decides what the server does: `fail`, `hang`, or an answer.
 */
import * as grpc from '@grpc/grpc-js';

const identity = (value: Buffer) => value;

function method(name: string, requestStream: boolean, responseStream: boolean) {
  return {
    path: `/test.Echo/${name}`,
    requestStream,
    responseStream,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  };
}

export const echoService = {
  Unary: method('Unary', false, false),
  Upload: method('Upload', true, false),
  Download: method('Download', false, true),
  Chat: method('Chat', true, true),
} satisfies grpc.ServiceDefinition;

export interface EchoServer {
  readonly port: number;
  readonly address: string;
  /** Calls that arrived. */
  readonly calls: { count: number };
  stop(): void;
}

export async function startEcho(port = 0): Promise<EchoServer> {
  const calls = { count: 0 };
  const server = new grpc.Server();
  server.addService(echoService, {
    Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
      calls.count++;
      const text = call.request.toString();
      if (text === 'fail') callback({ code: grpc.status.UNAVAILABLE, details: 'out of order' });
      else if (text !== 'hang') callback(null, call.request);
    },
    Upload(call: grpc.ServerReadableStream<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
      calls.count++;
      const parts: Buffer[] = [];
      call.on('data', (part: Buffer) => parts.push(part));
      call.on('end', () => callback(null, Buffer.concat(parts)));
    },
    Download(call: grpc.ServerWritableStream<Buffer, Buffer>) {
      calls.count++;
      const text = call.request.toString();
      if (text === 'hang') return;
      for (const character of text) call.write(Buffer.from(character));
      call.end();
    },
    Chat(call: grpc.ServerDuplexStream<Buffer, Buffer>) {
      calls.count++;
      call.on('data', (part: Buffer) => call.write(part));
      call.on('end', () => call.end());
    },
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, actual) =>
      error ? reject(error) : resolve(actual),
    );
  });
  return { port: bound, address: `127.0.0.1:${bound}`, calls, stop: () => server.forceShutdown() };
}

/** The generated-client form that users have: `mesh.client(EchoClient, 'inventory')`. */
export const EchoClient = grpc.makeGenericClientConstructor(echoService, 'Echo');

interface UnaryClient extends grpc.Client {
  Unary(
    request: Buffer,
    options: grpc.CallOptions,
    callback: grpc.requestCallback<Buffer>,
  ): grpc.ClientUnaryCall;
}

/** One unary call, as a promise. */
export function unary(client: grpc.Client, text: string, options: grpc.CallOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    (client as UnaryClient).Unary(Buffer.from(text), options, (error, value) =>
      error ? reject(error) : resolve(value?.toString() ?? ''),
    );
  });
}
