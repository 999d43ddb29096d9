/**
 * A pool of connections to one Redis, as a client library would have it: so many, and whoever comes later waits in line, for as
 * long as it takes. It knows nothing of policies; what it does know is a signal. Its memory is bounded by whoever calls it.
 */
import { Redis } from 'ioredis';

interface Waiter {
  readonly take: (connection: Redis) => void;
}

export class Pool {
  readonly #path: string;
  readonly #size: number;
  readonly #idle: Redis[] = [];
  readonly #line = new Set<Waiter>();
  #open = 0;

  constructor(path: string, size: number) {
    this.#path = path;
    this.#size = size;
  }

  /** Lends a connection to `work`. Once the signal aborts, whoever waits in line leaves it, and a connection at work is closed. */
  async use<T>(work: (connection: Redis) => Promise<T>, signal: AbortSignal): Promise<T> {
    const connection = await this.#take(signal);
    // Its answer may still come, and must not become that of the next one who borrows it.
    const close = () => connection.disconnect();
    signal.addEventListener('abort', close, { once: true });
    try {
      signal.throwIfAborted();
      return await work(connection);
    } finally {
      signal.removeEventListener('abort', close);
      this.#giveBack(signal.aborted ? this.#replace(connection) : connection);
    }
  }

  close(): void {
    for (const connection of this.#idle) connection.disconnect();
  }

  #take(signal: AbortSignal): Promise<Redis> {
    signal.throwIfAborted();
    const free = this.#idle.pop();
    if (free) return Promise.resolve(free);
    if (this.#open < this.#size) {
      this.#open += 1;
      return Promise.resolve(connect(this.#path));
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#line.delete(waiter);
        reject(signal.reason);
      };
      const waiter: Waiter = {
        take: (connection) => {
          this.#line.delete(waiter);
          signal.removeEventListener('abort', leave);
          resolve(connection);
        },
      };
      this.#line.add(waiter);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  #replace(connection: Redis): Redis {
    connection.disconnect();
    return connect(this.#path);
  }

  #giveBack(connection: Redis): void {
    const [next] = this.#line;
    if (next) next.take(connection);
    else this.#idle.push(connection);
  }
}

/** Connects at its first command, and then waits for an answer without a limit, as clients of databases do unless told. */
export function connect(path: string): Redis {
  const connection = new Redis({ path, lazyConnect: true, enableReadyCheck: false, protocol: 2 });
  // A command that fails says so to whoever sent it.
  connection.on('error', () => undefined);
  return connection;
}
