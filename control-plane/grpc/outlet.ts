/**
 * The writing half of a stream: whether it takes more, since when it doesn't, and how it ends. Nobody writes past a `false`
 * of `write`, so what is buffered for a slow reader is one high-water mark of references to shared bytes. An end whose peer
 * doesn't take it within a moment cuts the connection: grpc-js has no other way to be rid of a stream that nobody reads.
 */
import type { Metadata, ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock, Timer } from '../../core/clock.js';
import type { MeshError } from '../../core/errors.js';
import type { Malformed, Outgoing } from '../../proto/codec.js';
import type { AgentMessage } from '../../proto/messages.js';
import { statusOf } from './status.js';

export type SessionCall = ServerDuplexStream<AgentMessage | Malformed, Outgoing> & {
  readonly metadata: Metadata;
};

const CUT_AFTER_MS = 2000;

/** Whose it is: tells it when the stream has drained, and when it is gone. */
export interface OutletOwner {
  /** Ends the connection by force. */
  cut(): void;
}

export class Outlet {
  readonly #call: SessionCall;
  readonly #clock: Clock;
  readonly #owner: OutletOwner;
  #blockedSinceMs: number | undefined;
  #wroteAtMs: number;
  #ended = false;
  #cutting: Timer | undefined;

  constructor(call: SessionCall, clock: Clock, owner: OutletOwner) {
    this.#call = call;
    this.#clock = clock;
    this.#owner = owner;
    this.#wroteAtMs = clock.now();
  }

  /** It takes more again. */
  drained(): void {
    this.#blockedSinceMs = undefined;
  }

  /** The stream is gone, however it ended. */
  gone(): void {
    this.#ended = true;
    this.#cutting?.cancel();
  }

  get ended(): boolean {
    return this.#ended;
  }

  get blocked(): boolean {
    return this.#blockedSinceMs !== undefined;
  }

  blockedMs(now: number): number {
    return this.#blockedSinceMs === undefined ? 0 : now - this.#blockedSinceMs;
  }

  /** How long nothing has been written. */
  quietMs(now: number): number {
    return now - this.#wroteAtMs;
  }

  write(message: Outgoing): void {
    if (this.#ended) return;
    this.#wroteAtMs = this.#clock.now();
    if (!this.#call.write(message)) this.#blockedSinceMs ??= this.#wroteAtMs;
  }

  /** Ends with OK, or with the status of an error, behind what was written. */
  end(error?: MeshError): void {
    if (this.#ended) return;
    this.#ended = true;
    if (error) this.#call.emit('error', statusOf(error));
    else this.#call.end();
    this.#cutting = this.#clock.after(CUT_AFTER_MS, () => this.#owner.cut());
  }
}
