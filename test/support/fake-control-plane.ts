/**
 * A control plane that does what a test says: it speaks the wire and nothing more. Each stream that an agent opens is a value
 * with what it heard and a way to answer; what is not said is not answered, welcomes included.
 */
import * as grpc from '@grpc/grpc-js';
import { hashOf } from '../../core/sync/read-document.js';
import { loadWire } from '../../proto/load.js';
import {
  type AgentMessage,
  type ControlMessage,
  type Delta,
  protocolVersion,
  type Welcome,
} from '../../proto/messages.js';
import { until } from './until.js';

type Call = grpc.ServerDuplexStream<AgentMessage, ControlMessage>;

export class FakeStream {
  readonly heard: AgentMessage[] = [];
  ended = false;
  readonly #call: Call;

  constructor(call: Call) {
    this.#call = call;
    call.on('data', (message: AgentMessage) => void this.heard.push(message));
    call.on('end', () => {
      this.ended = true;
      call.end();
    });
    call.on('cancelled', () => {
      this.ended = true;
    });
    call.on('error', () => {});
  }

  get metadata(): grpc.Metadata {
    return this.#call.metadata;
  }

  /** All of one kind that were heard, in order. */
  of<K extends AgentMessage['message']>(kind: K): Extract<AgentMessage, { message: K }>[] {
    return this.heard.filter(
      (message): message is Extract<AgentMessage, { message: K }> => message.message === kind,
    );
  }

  say(message: ControlMessage): void {
    this.#call.write(message);
  }

  welcome(welcome: Partial<Welcome> = {}): void {
    const intervals = { heartbeatMs: 15_000, reportMs: 1_000, urgentReportMs: 100 };
    const usual = {
      mesh: 'test',
      dataset: 'd1',
      protocol: protocolVersion,
      replica: 'fake',
      intervals,
      error: '',
    };
    this.say({ message: 'welcome', welcome: { ...usual, ...welcome } });
  }

  delta(delta: Partial<Delta> = {}): void {
    const revision = delta.revision ?? 1;
    const usual = { dataset: 'd1', revision, nonce: revision, complete: true, upserts: [], removals: [] };
    this.say({ message: 'delta', delta: { ...usual, ...delta } });
  }

  endpoints(service: string, addresses: readonly string[], protocol = 'grpc'): void {
    const instances = addresses.map((address, i) => {
      return { instance: `${service}/${i}`, address, zone: '', version: '', protocol, weight: 1 };
    });
    this.say({ message: 'endpoints', endpoints: { service, instances } });
  }

  /** Ends the stream with this status. */
  fail(code: grpc.status, details: string, trailers: Record<string, string> = {}): void {
    const metadata = new grpc.Metadata();
    for (const [key, value] of Object.entries(trailers)) metadata.set(key, value);
    this.#call.emit('error', { code, details, metadata });
  }
}

export interface FakeControlPlane {
  readonly address: string;
  readonly streams: FakeStream[];
  /** The nth stream, from 0, once it has said Hello. */
  stream(n: number): Promise<FakeStream>;
  /** Called for each new stream. */
  onStream: (stream: FakeStream) => void;
  stop(): void;
}

export async function fakeControlPlane(port = 0): Promise<FakeControlPlane> {
  const { service } = await loadWire();
  const server = new grpc.Server();
  const streams: FakeStream[] = [];
  const fake: FakeControlPlane = {
    address: '',
    streams,
    onStream: () => {},
    stream: (n) =>
      until(() => (streams[n]?.heard.length ? streams[n] : undefined), { what: `a Hello on stream ${n}` }),
    stop: () => server.forceShutdown(),
  };
  server.addService(service as unknown as grpc.ServiceDefinition, {
    session(call: Call) {
      const stream = new FakeStream(call);
      streams.push(stream);
      fake.onStream(stream);
    },
  });
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error, actual) =>
      error ? reject(error) : resolve(actual),
    );
  });
  return Object.assign(fake, { address: `127.0.0.1:${bound}` });
}

/** A policy document as the wire carries it. */
export function wirePolicy(
  policy: string,
  revision: number,
  rest: Record<string, unknown> = { match: { to: 'inventory' }, spec: { circuit: {} } },
): Delta['upserts'][number] {
  const document = JSON.stringify(sorted({ policy, ...rest }));
  return { name: policy, revision, document, hash: hashOf(document) };
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}
