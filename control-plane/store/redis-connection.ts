/**
 * One connection to Redis as we want it: a command waits for a connection no longer than a known time, is sent once or not at
 * all, and is given up when that time has passed again. ioredis by default queues, waits, and repeats what got no answer; a
 * repeat that nobody asked for is how a write happens twice. Who repeats here is the mirror, under a request id. Reconnects for ever, with
 * capped and jittered pauses.
 */
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { type Clock, wait } from '../../core/clock.js';
import { MeshError, messageOf } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import { describeLocation, type Location } from './location.js';
import type { Reply } from './redis-replies.js';

export type RedisLocation = Extract<Location, { kind: 'redis' | 'sentinel' | 'cluster' }>;

/** Names in lower case: ioredis knows the keys of a command by that. */
export type Command = readonly [name: string, ...args: (string | number)[]];

/** The two clients of ioredis, handed in by whoever loaded it: only who is on Redis pays for it. */
export interface RedisClients {
  readonly Redis: typeof Redis;
  readonly Cluster: typeof Cluster;
}

export interface ConnectionOptions {
  readonly clients: RedisClients;
  /** Shown by CLIENT LIST. */
  readonly name: string;
  /** From sending a command to giving up on its answer, and for connecting. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: Random;
}

const RECONNECT = { baseMs: 50, maxMs: 2000 };
/** How long an ended connection may linger if its peer is silent. */
const DISCONNECT_TIMEOUT_MS = 200;
/** A command that a node of a Cluster has sent elsewhere, or asked to wait with, was not run: it is sent again, so often. */
const REDIRECTIONS_MAX = 12;
const REDIRECTED_MS = 100;

export class RedisConnection {
  readonly #client: Redis | Cluster;
  /** For people, without secrets. */
  readonly description: string;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  /** Keys of different slots are on different nodes. */
  readonly #scattered: boolean;
  #lastError = 'not connected yet';
  #closed = false;

  constructor(location: RedisLocation, { clients, name, timeoutMs, clock, random }: ConnectionOptions) {
    this.description = describeLocation(location);
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#scattered = location.kind === 'cluster';
    const backoff = (times: number) =>
      Math.min(RECONNECT.maxMs, RECONNECT.baseMs * 2 ** Math.min(times - 1, 10)) * (0.5 + random.next() / 2);
    this.#client = connect(clients, location, name, timeoutMs, backoff);
    // Without a listener an error of the connection would end the process.
    this.#client.on('error', (error: unknown) => {
      this.#lastError = messageOf(error);
    });
    // Each command may wait for the connection: as many listeners as writes at a time.
    this.#client.setMaxListeners(0);
  }

  /**
   * Sends these commands together, in order, to one node; answers one reply for each. Rejects with `store_unavailable` if there
   * is no connection within the time limit; a command whose fate is unknown has a reply with an error.
   */
  async send(...commands: readonly Command[]): Promise<Reply[]> {
    for (let attempt = 1; ; attempt++) {
      await this.#ready();
      const replies = await this.#exec(commands);
      const redirection = this.#scattered ? redirectionOf(replies[0]) : undefined;
      if (redirection === undefined || attempt > REDIRECTIONS_MAX) return replies;
      if (redirection === 'MOVED') await this.#learnSlots();
      else await wait(this.#clock, REDIRECTED_MS);
    }
  }

  async #exec(commands: readonly Command[]): Promise<Reply[]> {
    const pipeline = this.#client.pipeline();
    for (const [name, ...args] of commands) pipeline.call(name, args);
    const answers =
      (await pipeline
        .exec()
        .catch((error: unknown) =>
          commands.map((): [Error] => [error instanceof Error ? error : new Error(messageOf(error))]),
        )) ?? [];
    const replies = commands.map((_, i): Reply => {
      const [error, value] = answers[i] ?? [new Error('no reply')];
      return error ? { error } : { value };
    });
    // A peer that leaves a command unanswered is given up: what queues behind it would only wait in turn.
    if (replies.some((reply) => 'error' in reply && reply.error.message === 'Command timed out'))
      this.reconnect('a command got no answer in time');
    return replies;
  }

  /** Who has which slots is asked anew. What comes of that the next command tells. */
  #learnSlots(): Promise<void> {
    const client = this.#client as Cluster;
    return new Promise((resolve) => client.refreshSlotsCache(() => resolve()));
  }

  /** As `send`, for commands that may belong to different slots: in a Cluster each finds the way to its own node. */
  async sendEach(commands: readonly Command[]): Promise<Reply[]> {
    if (!this.#scattered) return this.send(...commands);
    const replies = await Promise.all(commands.map((command) => this.send(command)));
    return replies.map(([reply]) => reply ?? { error: new Error('no reply') });
  }

  /** Drops the connection, which then comes back by itself. */
  reconnect(reason: string): void {
    if (this.#closed || this.#client.status !== 'ready') return;
    this.#lastError = reason;
    this.#client.disconnect(true);
  }

  close(): void {
    this.#closed = true;
    this.#client.disconnect();
  }

  unavailable(reason: string): MeshError {
    return new MeshError('store_unavailable', `does not answer (${reason})`, { target: this.description });
  }

  async #ready(): Promise<void> {
    if (this.#closed) throw this.unavailable('the store is closed');
    if (this.#client.status === 'ready') return;
    await new Promise<void>((resolve, reject) => {
      const done = () => {
        timer.cancel();
        this.#client.off('ready', ready);
        this.#client.off('end', failed);
      };
      const ready = () => {
        done();
        resolve();
      };
      const failed = () => {
        done();
        reject(this.unavailable(this.#closed ? 'the store is closed' : this.#lastError));
      };
      const timer = this.#clock.after(this.#timeoutMs, failed, { ref: true });
      this.#client.on('ready', ready);
      this.#client.on('end', failed);
    });
  }
}

/**
 * How a node of a Cluster refuses the first of these commands, as one whose slot is elsewhere, or is being moved. The client follows it
 * by itself only where no other command of the pipeline has succeeded.
 */
function redirectionOf(reply: Reply | undefined): 'MOVED' | 'ASK' | 'TRYAGAIN' | undefined {
  if (reply === undefined || !('error' in reply)) return undefined;
  const [word] = reply.error.message.split(' ');
  return word === 'MOVED' || word === 'ASK' || word === 'TRYAGAIN' ? word : undefined;
}

function connect(
  { Redis, Cluster }: RedisClients,
  location: RedisLocation,
  connectionName: string,
  timeoutMs: number,
  backoff: (times: number) => number,
): Redis | Cluster {
  const { username, password } = location.credentials;
  const common = {
    connectionName,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    protocol: 2,
    disableClientInfo: true,
    // A Redis that still loads its data says so to each command; asking first would need the right to INFO.
    enableReadyCheck: false,
    autoResendUnfulfilledCommands: false,
    enableOfflineQueue: false,
    // Reject what was under way as soon as the connection breaks.
    maxRetriesPerRequest: 0,
    commandTimeout: timeoutMs,
    connectTimeout: timeoutMs,
    disconnectTimeout: DISCONNECT_TIMEOUT_MS,
    retryStrategy: backoff,
    // A master that was demoted says so to every write: ask anew who is master.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
  } as const satisfies RedisOptions;
  switch (location.kind) {
    case 'redis': {
      const { host, port } = location.at;
      const tls = location.tls ? { tls: {} } : {};
      return new Redis({ ...common, host, port, db: location.db, ...tls });
    }
    case 'sentinel':
      return new Redis({
        ...common,
        sentinels: [...location.sentinels],
        // Here it also makes sure that the one we reached is the master.
        enableReadyCheck: true,
        name: location.name,
        sentinelRetryStrategy: backoff,
        sentinelCommandTimeout: timeoutMs,
      });
    case 'cluster': {
      const { enableOfflineQueue, retryStrategy, ...redisOptions } = common;
      return new Cluster([...location.nodes], {
        redisOptions,
        enableOfflineQueue,
        clusterRetryStrategy: retryStrategy,
        slotsRefreshTimeout: timeoutMs,
        maxRedirections: 4,
      });
    }
  }
}
