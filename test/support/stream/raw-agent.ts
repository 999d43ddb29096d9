/**
 * An agent made of nothing but grpc-js and the wire: says what a test tells it to say, keeps what it hears. By default it
 * applies deltas to a session and acknowledges them, as a good agent would.
 */
import * as grpc from '@grpc/grpc-js';
import type { Applied } from '../../../core/sync/session.js';
import { AgentSession } from '../../../core/sync/session.js';
import { toAgentBytesMax } from '../../../proto/bounds.js';
import { loadWire } from '../../../proto/load.js';
import {
  type AgentMessage,
  type ControlBodies,
  type ControlMessage,
  type Delta,
  type Hello,
  protocolVersion,
} from '../../../proto/messages.js';
import { until } from '../until.js';

export interface RawAgentOptions {
  /** Hears deltas without a word. */
  readonly silent?: boolean;
  readonly session?: AgentSession;
  readonly metadata?: grpc.Metadata;
  readonly credentials?: grpc.ChannelCredentials;
}

export class RawAgent {
  readonly heard: ControlMessage[] = [];
  readonly session: AgentSession;
  readonly #client: grpc.Client;
  readonly #call: grpc.ClientDuplexStream<AgentMessage, ControlMessage>;
  #status: grpc.StatusObject | undefined;
  readonly outcomes: Applied[] = [];

  private constructor(
    client: grpc.Client,
    call: grpc.ClientDuplexStream<AgentMessage, ControlMessage>,
    options: RawAgentOptions,
  ) {
    this.#client = client;
    this.#call = call;
    this.session = options.session ?? new AgentSession({ capabilities: ['timeout', 'circuit'] });
    call.on('data', (message: ControlMessage) => {
      this.heard.push(message);
      if (message.message !== 'delta' || options.silent) return;
      const outcome = this.session.apply(message.delta);
      this.outcomes.push(outcome);
      this.ack(message.delta.nonce, outcome);
    });
    call.on('error', () => {});
    call.on('status', (status: grpc.StatusObject) => {
      this.#status = status;
    });
  }

  /** Opens a stream and says nothing yet. */
  static async open(address: string, options: RawAgentOptions = {}): Promise<RawAgent> {
    const client = new grpc.Client(address, options.credentials ?? grpc.credentials.createInsecure(), {
      'grpc.max_receive_message_length': toAgentBytesMax,
      'grpc.use_local_subchannel_pool': 1,
      ...(options.credentials ? { 'grpc.ssl_target_name_override': 'localhost' } : {}),
    });
    return RawAgent.#openOn(client, options);
  }

  static async #openOn(client: grpc.Client, options: RawAgentOptions): Promise<RawAgent> {
    const { session } = await loadWire();
    const call = client.makeBidiStreamRequest(
      session.path,
      session.requestSerialize,
      session.responseDeserialize,
      options.metadata ?? new grpc.Metadata(),
    );
    return new RawAgent(client, call, options);
  }

  /** Another stream on the same connection. */
  async another(): Promise<RawAgent> {
    return RawAgent.#openOn(this.#client, {});
  }

  /** Opens a stream, says Hello with what its session holds, and waits for the Welcome. */
  static async connect(
    address: string,
    hello: Partial<Hello> = {},
    options: RawAgentOptions = {},
  ): Promise<RawAgent> {
    const agent = await RawAgent.open(address, options);
    agent.hello(hello);
    await until(() => agent.last('welcome') ?? agent.#status, { what: 'a welcome' });
    return agent;
  }

  say(message: AgentMessage): void {
    this.#call.write(message);
  }

  hello(hello: Partial<Hello> = {}): void {
    this.say({ message: 'hello', hello: helloOf({ ...this.session.hello(), ...hello }) });
  }

  ack(
    nonce: number,
    { applied, rejected }: Pick<Applied, 'applied' | 'rejected'> = { applied: [], rejected: [] },
  ): void {
    this.say({ message: 'ack', ack: { nonce, applied, rejected } });
  }

  all<K extends keyof ControlBodies>(kind: K): ControlBodies[K][] {
    return this.heard.flatMap((message) =>
      message.message === kind ? [(message as unknown as Record<K, ControlBodies[K]>)[kind]] : [],
    );
  }

  last<K extends keyof ControlBodies>(kind: K): ControlBodies[K] | undefined {
    return this.all(kind).at(-1);
  }

  get deltas(): Delta[] {
    return this.all('delta');
  }

  /** Policies in use, as `name@revision`. */
  get held(): string[] {
    return [...this.session.policies().values()]
      .map(({ policy, revision }) => `${policy.name}@${revision}`)
      .sort();
  }

  get status(): grpc.StatusObject | undefined {
    return this.#status;
  }

  /** The status that the stream ends with. */
  ended(): Promise<grpc.StatusObject> {
    return until(() => this.#status, { what: 'the end of a stream' });
  }

  halfClose(): void {
    this.#call.end();
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}

export function helloOf(said: Partial<Hello>): Hello {
  const service = said.service ?? 'checkout';
  const instance = said.instance ?? 'i1';
  return {
    agent: `${service}/${instance}`,
    service,
    instance,
    boot: 1,
    zone: 'z1',
    version: '1.0.0',
    protocol: protocolVersion,
    capabilities: ['timeout', 'circuit'],
    dataset: '',
    revision: 0,
    hashes: [],
    callees: ['inventory'],
    concurrency: 100,
    ...said,
  };
}
