/**
 * One call of each of the four kinds over real sockets: a server that does what a test's script says, attempt by attempt, and a
 * client that tells what came back. Messages are JSON, so that a response can be spelt out in a policy.
 */
import * as grpc from '@grpc/grpc-js';

export const callKinds = ['unary', 'client stream', 'server stream', 'bidi stream'] as const;
export type CallKind = (typeof callKinds)[number];

export const methodNames = {
  unary: 'One',
  'client stream': 'Upload',
  'server stream': 'Download',
  'bidi stream': 'Chat',
} as const satisfies Record<CallKind, string>;

export function requestStreams(kind: CallKind): boolean {
  return kind === 'client stream' || kind === 'bidi stream';
}

export function responseStreams(kind: CallKind): boolean {
  return kind === 'server stream' || kind === 'bidi stream';
}

export interface Message {
  readonly text: string;
}

function method(kind: CallKind): grpc.MethodDefinition<Message, Message> {
  const write = (value: Message) => Buffer.from(JSON.stringify(value));
  const read = (bytes: Buffer) => JSON.parse(bytes.toString()) as Message;
  return {
    path: `/test.Kinds/${methodNames[kind]}`,
    requestStream: requestStreams(kind),
    responseStream: responseStreams(kind),
    requestSerialize: write,
    requestDeserialize: read,
    responseSerialize: write,
    responseDeserialize: read,
  };
}

export const kindsService: grpc.ServiceDefinition = Object.fromEntries(
  callKinds.map((kind) => [methodNames[kind], method(kind)]),
);
export const KindsClient = grpc.makeGenericClientConstructor(kindsService, 'Kinds');

/** What an attempt is answered, step by step; it hangs after the last one that is no end. */
export type Step =
  | 'headers'
  /** Of a response that streams; of one response there is no first message before the end. */
  | 'message'
  /** Waits until the test says so. */
  | 'gate'
  /** The callee takes so long, milliseconds. */
  | { readonly takes: number }
  /** The end: OK, with all texts that came, or this status. */
  | 'ok'
  | grpc.status;

type AnyCall = grpc.ServerUnaryCall<Message, Message> &
  grpc.ServerReadableStream<Message, Message> &
  grpc.ServerWritableStream<Message, Message>;

export class KindsServer {
  /** Texts of each attempt that arrived, in order. */
  readonly attempts: string[][] = [];
  address = '';
  /** `switchgear-criticality` of each. */
  readonly criticalities: (string | undefined)[] = [];
  /** By attempt since the last `play`, from 0. */
  #script: (attempt: number) => readonly Step[] = () => ['ok'];
  #begun = 0;
  #gate = new Deferred();
  readonly #server: grpc.Server;

  constructor(options: grpc.ServerOptions = {}) {
    this.#server = new grpc.Server(options);
    const serve = (kind: CallKind) => (call: AnyCall, done?: grpc.sendUnaryData<Message>) =>
      void this.#serve(kind, call, done);
    const handlers = Object.fromEntries(callKinds.map((kind) => [methodNames[kind], serve(kind)]));
    this.#server.addService(kindsService, handlers as unknown as grpc.UntypedServiceImplementation);
  }

  /** From here on; each `gate` stays shut until `open`. */
  play(script: readonly Step[] | ((attempt: number) => readonly Step[])): void {
    this.#script = typeof script === 'function' ? script : () => script;
    this.#begun = 0;
    this.attempts.length = 0;
    this.criticalities.length = 0;
    this.#gate = new Deferred();
  }

  open(): void {
    this.#gate.resolve();
  }

  async start(): Promise<void> {
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    this.address = `127.0.0.1:${port}`;
  }

  stop(): void {
    this.open();
    this.#server.forceShutdown();
  }

  async #serve(kind: CallKind, call: AnyCall, done?: grpc.sendUnaryData<Message>): Promise<void> {
    const texts: string[] = requestStreams(kind) ? [] : [call.request.text];
    this.attempts.push(texts);
    this.criticalities.push(call.metadata.get('switchgear-criticality')[0]?.toString());
    const steps = this.#script(this.#begun++);
    const complete = requestStreams(kind)
      ? new Promise<void>((resolve) => {
          call.on('data', ({ text }: Message) => texts.push(text));
          call.on('end', resolve);
        })
      : undefined;
    call.on('error', () => {});
    const finish = (code: grpc.status) => {
      if (responseStreams(kind)) call.emit('error', { code, details: 'as scripted' });
      else done?.({ code, details: 'as scripted' });
    };
    for (const step of steps) {
      if (call.cancelled) return;
      if (step === 'headers') call.sendMetadata(new grpc.Metadata());
      else if (step === 'message') responseStreams(kind) && call.write({ text: 'first' });
      else if (step === 'gate') await this.#gate.promise;
      else if (typeof step === 'object') await new Promise((resolve) => setTimeout(resolve, step.takes));
      else if (step !== 'ok') return finish(step);
      else {
        await complete;
        const reply = { text: texts.join(' ') };
        if (!responseStreams(kind)) done?.(null, reply);
        else if (call.write(reply)) call.end();
        else call.once('drain', () => call.end());
      }
    }
  }
}

/** A promise that is fulfilled from outside. */
class Deferred {
  resolve: () => void = () => {};
  readonly promise = new Promise<void>((resolve) => {
    this.resolve = resolve;
  });
}

export interface Ended {
  readonly code: grpc.status;
  readonly details: string;
  /** `switchgear-reject`: a policy turned it away. */
  readonly rejected: string | undefined;
  /** `switchgear-degraded`, of headers or trailers. */
  readonly degraded: string | undefined;
  readonly texts: readonly string[];
}

export interface Calling {
  readonly ended: Promise<Ended>;
  /** The first message, or the end. */
  readonly begun: Promise<unknown>;
  cancel(): void;
}

type AnyClient = grpc.Client & {
  readonly [name: string]: (...args: unknown[]) => grpc.ClientDuplexStream<Message, Message>;
};

export interface Asking {
  readonly texts?: readonly string[];
  readonly criticality?: string;
  readonly deadlineMs?: number;
  /** Metadata that is sent as it is. */
  readonly headers?: { readonly [name: string]: string };
}

export function ask(client: grpc.Client, kind: CallKind, asking: Asking = {}): Calling {
  const { texts = requestStreams(kind) ? ['a', 'b'] : ['a'], criticality, deadlineMs, headers = {} } = asking;
  const metadata = new grpc.Metadata();
  if (criticality !== undefined) metadata.set('switchgear-criticality', criticality);
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  const options: grpc.CallOptions = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
  const replies: string[] = [];
  const said: { rejected?: string | undefined; degraded?: string | undefined } = {};
  const note = (from: grpc.Metadata) => {
    said.rejected ??= from.get('switchgear-reject')[0]?.toString();
    said.degraded ??= from.get('switchgear-degraded')[0]?.toString();
  };
  const send = (client as AnyClient)[methodNames[kind]] as AnyClient[string];
  const args: unknown[] = [...(requestStreams(kind) ? [] : [{ text: texts[0] }]), metadata, options];
  const answered = new Deferred();
  if (!responseStreams(kind))
    args.push((_error: unknown, reply?: Message) => {
      if (reply) replies.push(reply.text);
      answered.resolve();
    });
  const made = send.call(client, ...args);
  made.on('metadata', note);
  const ended = new Promise<Ended>((resolve) => {
    made.on('status', ({ code, details, metadata: trailers }: grpc.StatusObject) => {
      note(trailers);
      const { rejected, degraded } = said;
      const end = () => resolve({ code, details, rejected, degraded, texts: replies });
      if (responseStreams(kind)) end();
      else void answered.promise.then(end);
    });
  });
  const first = new Promise<void>((resolve) => {
    if (!responseStreams(kind)) return;
    made.on('data', ({ text }: Message) => {
      replies.push(text);
      resolve();
    });
    made.on('error', () => {});
  });
  if (requestStreams(kind)) {
    for (const text of texts) made.write({ text });
    made.end();
  }
  return { ended, begun: Promise.race([first, ended]), cancel: () => made.cancel() };
}
