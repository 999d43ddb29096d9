/**
 * HTTP instances for tests: a real server on a free port whose behaviour a test sets, and an agent's HTTP client over a directory
 * that a test fills, with a clock that it moves.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createListener, type Socket } from 'node:net';
import { HttpClient } from '../../agent/http/client.js';
import type { Effective } from '../../core/policy/model.js';
import { seededRandom } from '../../core/random.js';
import type { Endpoint } from '../../proto/messages.js';
import { type Bench, bench } from './targets.js';

export interface HttpCallee {
  readonly address: string;
  readonly port: number;
  /** What came in. */
  readonly requests: IncomingMessage[];
  /** Bodies of the requests, as they are complete. */
  readonly bodies: string[];
  readonly sockets: Set<Socket>;
  /** Default: 200 and `hello`, once the request has been received. */
  answer: (request: IncomingMessage, response: ServerResponse) => void;
  stop(): Promise<void>;
}

export async function startHttpCallee(answer?: HttpCallee['answer']): Promise<HttpCallee> {
  const sockets = new Set<Socket>();
  const requests: IncomingMessage[] = [];
  const bodies: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => {});
    request.on('end', () => {
      bodies.push(Buffer.concat(chunks).toString());
      callee.answer(request, response);
    });
  });
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const callee: HttpCallee = {
    address: `127.0.0.1:${port}`,
    port,
    requests,
    bodies,
    sockets,
    answer: answer ?? ((_request, response) => void response.end('hello')),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return callee;
}

/** An address at which nobody listens. */
export async function deadAddress(): Promise<string> {
  const server = createListener().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return `127.0.0.1:${port}`;
}

/** Instances as the control plane tells of them. */
export function endpoints(addresses: readonly string[], protocol = 'http'): readonly Endpoint[] {
  return addresses.map((address, i) => {
    return { instance: `payments/${i}`, address, zone: '', version: '', protocol, weight: 1 };
  });
}

export interface HttpBench extends Bench {
  readonly client: HttpClient;
  /** Lists by service; undefined: nobody has said. */
  readonly lists: Map<string, readonly Endpoint[]>;
  tell(service: string, list: readonly Endpoint[]): void;
  /** Closes the client; what is under way has had its second. */
  end(): Promise<void>;
}

/** A client whose `payments` are at these addresses. */
export function httpBench(effective: Effective = {}, addresses?: readonly string[]): HttpBench {
  const made = bench(effective);
  const lists = new Map<string, readonly Endpoint[]>();
  const watchers = new Set<() => void>();
  const directory = {
    get: (service: string) => lists.get(service),
    watch(_service: string, changed: () => void) {
      watchers.add(changed);
      return () => void watchers.delete(changed);
    },
  };
  if (addresses) lists.set('payments', endpoints(addresses));
  const client = new HttpClient({ targets: made.targets, directory, random: seededRandom(1) });
  const tell = (service: string, list: readonly Endpoint[]) => {
    lists.set(service, list);
    for (const watcher of [...watchers]) watcher();
  };
  const end = () => {
    const closed = client.close();
    made.clock.advance(1_000);
    return closed;
  };
  return Object.assign(made, { client, lists, tell, end });
}
