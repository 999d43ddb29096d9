/**
 * One stream to one address of the control plane, from the attempt to connect to its end, which is told once. It keeps the
 * deadlines that grpc-js has not: the welcome has to come within 10 s, whatever the peer does instead (nothing, mostly), and a
 * peer that says nothing for three heartbeats is gone.
 *
 * Bound: what the peer doesn't read is kept up to 1,000 messages; then the stream ends. It never throws, whatever bytes come.
 */
import * as grpc from '@grpc/grpc-js';
import type { Clock, Timer } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import { agentSession } from '../proto/agent-session.js';
import type { AgentMessage, ControlMessage, Hello, Intervals, Welcome } from '../proto/messages.js';
import { type Address, formatAddress } from './addresses.js';
import { type ControlChannel, type ControlCredentials, openControlChannel } from './control-channel.js';
import type { Ending } from './reconnect.js';

/** What goes out on a stream. */
export interface Outlet {
  /** Of the control plane's replica: `host:port`. */
  readonly peer: string;
  /** Whether the peer reads slowly: what can wait should. */
  readonly congested: boolean;
  /** Sends it, unless the stream has ended. */
  send(message: AgentMessage): void;
}

export interface StreamListener {
  /** The first message; before it nothing is told but an end. */
  welcomed(welcome: Welcome): void;
  message(message: ControlMessage): void;
  /** Once; nothing comes after it. Not after `close`. */
  ended(ending: Ending): void;
}

export interface StreamOptions {
  readonly address: Address;
  readonly credentials: ControlCredentials;
  readonly token: string | undefined;
  readonly clock: Clock;
  hello(): Hello;
  readonly listener: StreamListener;
}

const CONNECT_TIMEOUT_MS = 10_000;
const HEARTBEAT_MS = { default: 15_000, min: 1_000, max: 60_000 };
const QUIET_BEATS_MAX = 3;
const UNREAD_MESSAGES_MAX = 1_000;
const CLOSE_GRACE_MS = 250;

type Call = grpc.ClientDuplexStream<AgentMessage, ControlMessage>;

export class Stream implements Outlet {
  readonly peer: string;
  readonly #options: StreamOptions;
  #channel: ControlChannel | undefined;
  #call: Call | undefined;
  #deadline: Timer | undefined;
  #heartbeat: Timer | undefined;
  #quietBeats = 0;
  #welcomedAt: number | undefined;
  #over = false;
  #onClosed: (() => void) | undefined;

  /** Begins to connect. */
  constructor(options: StreamOptions) {
    this.#options = options;
    this.peer = formatAddress(options.address);
    this.#deadline = options.clock.after(CONNECT_TIMEOUT_MS, () =>
      this.#end(unavailable(`no welcome within ${CONNECT_TIMEOUT_MS} ms`)),
    );
    // Not yet: whoever makes it knows it by nothing but what this answers.
    queueMicrotask(() => this.#connect());
  }

  get congested(): boolean {
    return this.#call?.writableNeedDrain ?? false;
  }

  send(message: AgentMessage): void {
    const call = this.#call;
    if (!call || this.#over) return;
    if (call.writableLength >= UNREAD_MESSAGES_MAX) this.#end(unavailable('the control plane reads no more'));
    else call.write(message);
  }

  /** Ends it politely, by force after a quarter of a second. Nothing is told any more. */
  close(): Promise<void> {
    const call = this.#call;
    if (this.#over || this.#welcomedAt === undefined || !call) {
      this.#cut();
      return Promise.resolve();
    }
    this.#over = true;
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        this.#cut();
        resolve();
      };
      const timer = this.#options.clock.after(CLOSE_GRACE_MS, done, { ref: true });
      this.#onClosed = done;
      call.end();
    });
  }

  #connect(): void {
    if (this.#over) return;
    const { path, requestSerialize, responseDeserialize } = agentSession;
    const { address, credentials, token } = this.#options;
    const metadata = new grpc.Metadata();
    try {
      if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
      this.#channel = openControlChannel(address, credentials);
      const call = this.#channel.client.makeBidiStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        metadata,
      );
      this.#call = call;
      call.on('data', (message: ControlMessage) => this.#receive(message));
      // The status that follows says the same.
      call.on('error', () => {});
      call.on('status', (status: grpc.StatusObject) => {
        this.#onClosed?.();
        this.#end(endingOf(status));
      });
      call.write({ message: 'hello', hello: this.#options.hello() });
    } catch (error) {
      this.#end({ code: grpc.status.INTERNAL, details: messageOf(error) });
    }
  }

  #receive(message: ControlMessage): void {
    if (this.#over) return;
    this.#quietBeats = 0;
    try {
      if (this.#welcomedAt !== undefined) this.#options.listener.message(message);
      else if (message.message === 'welcome') this.#welcome(message.welcome);
    } catch (error) {
      this.#end({ code: grpc.status.INTERNAL, details: messageOf(error) });
    }
  }

  #welcome(welcome: Welcome): void {
    const { clock, listener } = this.#options;
    this.#deadline?.cancel();
    this.#welcomedAt = clock.now();
    this.#heartbeat = clock.every(heartbeatMs(welcome.intervals), () => this.#beat());
    listener.welcomed(welcome);
  }

  /** Beats are counted, not milliseconds: a process that was stopped for a minute has missed one, not all. */
  #beat(): void {
    if (++this.#quietBeats > QUIET_BEATS_MAX) {
      this.#end(unavailable(`silent for ${QUIET_BEATS_MAX} heartbeats`));
      return;
    }
    this.send({ message: 'heartbeat', heartbeat: {} });
  }

  #end(ending: Ending): void {
    if (this.#over) return;
    const { clock, listener } = this.#options;
    const healthyMs = this.#welcomedAt === undefined ? undefined : clock.now() - this.#welcomedAt;
    this.#cut();
    listener.ended({ ...ending, healthyMs });
  }

  #cut(): void {
    this.#over = true;
    this.#deadline?.cancel();
    this.#heartbeat?.cancel();
    this.#call?.cancel();
    this.#channel?.cut();
    this.#call = undefined;
    this.#channel = undefined;
  }
}

function heartbeatMs({ heartbeatMs: wished }: Intervals): number {
  if (wished === 0) return HEARTBEAT_MS.default;
  return Math.min(Math.max(wished, HEARTBEAT_MS.min), HEARTBEAT_MS.max);
}

function unavailable(details: string): Ending {
  return { code: grpc.status.UNAVAILABLE, details };
}

function endingOf({ code, details, metadata }: grpc.StatusObject): Ending {
  const [told] = metadata.get('switchgear-retry-after-ms');
  const retryAfterMs = typeof told === 'string' && /^\d{1,9}$/.test(told) ? Number(told) : undefined;
  const text = details === '' ? 'the control plane ended the stream' : details;
  return { code, details: text, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
}
