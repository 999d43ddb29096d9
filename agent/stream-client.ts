/**
 * Keeps one stream to the control plane, whichever of its addresses answers, for as long as the agent lives. What is said on
 * the stream is the listener's business, when to try again is the table's (`reconnect.ts`); here is only which stream counts.
 * A replica that drains is left for the next address, and its stream kept until the other one has welcomed us.
 *
 * Bound: two streams at most, the one that counts and one that is about to; one timer.
 */
import type { Clock, Timer } from '../core/clock.js';
import type { Random } from '../core/random.js';
import type { ControlMessage, Drain, Welcome } from '../proto/messages.js';
import { type Address, formatAddress, Rotation } from './addresses.js';
import type { Logger } from './logger.js';
import { type Ending, reconnect } from './reconnect.js';
import type { Outlet, StreamListener } from './stream.js';

/** A stream as this file needs it. */
export interface OpenStream extends Outlet {
  close(): Promise<void>;
}

export interface ClientListener {
  /** This stream counts from now on. */
  connected(outlet: Outlet, welcome: Welcome): void;
  message(message: ControlMessage, outlet: Outlet): void;
  /** No stream counts any more. */
  disconnected(ending: Ending, peer: string): void;
}

export interface StreamClientOptions {
  readonly addresses: readonly Address[];
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly listener: ClientListener;
  /** Begins to connect; answers at once. */
  open(address: Address, listener: StreamListener): OpenStream;
}

/** A drain without a time of its own, and the longest that is believed. */
const DRAIN_JITTER_MS = 2_000;
const DRAIN_MAX_MS = 30_000;
/** Room for the new connection before the old one is ended. */
const DRAIN_USED = 0.5;

export class StreamClient {
  readonly #options: StreamClientOptions;
  readonly #rotation: Rotation;
  #current: OpenStream | undefined;
  #opening: OpenStream | undefined;
  #timer: Timer | undefined;
  #failures = 0;
  /** Addresses that have been tried in vain since the last welcome or wait. */
  #tried = 0;
  #complained = false;
  #closed = false;

  constructor(options: StreamClientOptions) {
    this.#options = options;
    this.#rotation = new Rotation(options.addresses, options.random);
  }

  get connected(): boolean {
    return this.#current !== undefined;
  }

  /** The address connected to, or else the one to be tried next. */
  get peer(): string {
    return this.#current?.peer ?? formatAddress(this.#rotation.current);
  }

  /** Of the stream that counts. */
  get outlet(): Outlet | undefined {
    return this.#current;
  }

  start(): void {
    this.#open();
  }

  /** Ends the streams politely; nothing is told any more, and no timer is left. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    const streams = [this.#current, this.#opening];
    this.#current = this.#opening = undefined;
    await Promise.all(streams.map((stream) => stream?.close()));
  }

  #open(): void {
    this.#timer = undefined;
    if (this.#closed || this.#opening) return;
    const stream: OpenStream = this.#options.open(this.#rotation.current, {
      welcomed: (welcome) => this.#welcomed(stream, welcome),
      message: (message) => this.#received(stream, message),
      ended: (ending) => this.#ended(stream, ending),
    });
    this.#opening = stream;
  }

  #welcomed(stream: OpenStream, welcome: Welcome): void {
    if (this.#closed) return;
    const former = this.#current;
    this.#current = stream;
    this.#opening = undefined;
    this.#tried = 0;
    const { logger, listener } = this.#options;
    const fields = { controlPlane: stream.peer, replica: welcome.replica, mesh: welcome.mesh };
    if (this.#complained) logger.warn(fields, 'connected to the control plane again');
    else logger.info(fields, 'connected to the control plane');
    this.#complained = false;
    if (welcome.error !== '') logger.warn(fields, `the control plane has something to say: ${welcome.error}`);
    void former?.close();
    listener.connected(stream, welcome);
  }

  #received(stream: OpenStream, message: ControlMessage): void {
    if (this.#closed || stream !== this.#current) return;
    if (message.message === 'drain') this.#drain(message.drain);
    else this.#options.listener.message(message, stream);
  }

  #drain({ afterMs }: Drain): void {
    if (this.#timer || this.#opening) return;
    const { random, clock, logger } = this.#options;
    this.#rotation.advance();
    const spreadMs = afterMs === 0 ? DRAIN_JITTER_MS : Math.min(afterMs * DRAIN_USED, DRAIN_MAX_MS);
    const waitMs = random.next() * spreadMs;
    logger.info(
      { controlPlane: this.peer, waitMs: Math.round(waitMs) },
      'this replica asks us to move: another one takes over',
    );
    this.#timer = clock.after(waitMs, () => this.#open());
  }

  #ended(stream: OpenStream, ending: Ending): void {
    if (this.#closed) return;
    const counted = stream === this.#current;
    if (counted) this.#current = undefined;
    else if (stream === this.#opening) this.#opening = undefined;
    else return;
    if (counted) this.#options.listener.disconnected(ending, stream.peer);
    // A drain has already seen to what comes next.
    if (this.#timer || this.#opening) return;
    this.#retry(ending, stream.peer);
  }

  #retry(ending: Ending, peer: string): void {
    const { random, clock } = this.#options;
    if (ending.healthyMs === undefined) this.#tried++;
    const untried = this.#tried < this.#rotation.size;
    const { waitMs, failures, advice } = reconnect(ending, this.#failures, untried, random);
    this.#failures = failures;
    if (waitMs > 0) this.#tried = 0;
    // A stream that was well is looked for where it was, unless it is gone: then the next address has its turn at once.
    if (ending.healthyMs === undefined) this.#rotation.advance();
    this.#complain(ending, peer, waitMs, advice);
    this.#timer = clock.after(waitMs, () => this.#open());
  }

  /** Says it once, and each time if somebody has to do something: those tries are half a minute apart at least. */
  #complain({ details, healthyMs }: Ending, peer: string, waitMs: number, advice: string | undefined): void {
    const { logger } = this.#options;
    const fields = { controlPlane: peer, reason: details, retryInMs: Math.round(waitMs) };
    if (advice !== undefined) logger.error(fields, `the control plane refuses this agent: ${advice}`);
    else if (this.#complained || waitMs === 0) logger.debug(fields, 'no connection to the control plane');
    else if (healthyMs === undefined)
      logger.warn(fields, 'the control plane does not answer; trying again until it does');
    else logger.warn(fields, 'lost the control plane; calls go on under the policies held');
    if (waitMs > 0) this.#complained = true;
  }
}
