/**
 * Real Redis servers for tests: each on a free port of the loopback, with a directory of its own, ended by its process id.
 * `contractRedis` is one shared server for suites that only need some Redis (REDIS_URL, else spawned on first use and stopped
 * when the test process ends); fault tests start their own and are free to kill, stop and restart it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { until } from './until.js';

export interface RedisOptions {
  /** `always`: an acknowledged write is on the disk. `no`: nothing survives. */
  readonly fsync?: 'always' | 'no';
  /** Further lines of the configuration, as on the command line: `--cluster-enabled yes`. */
  readonly args?: readonly string[];
  /** Lines of a Sentinel's configuration: then it is one, and no server of data. */
  readonly sentinel?: readonly string[];
}

export class RedisServer {
  readonly port: number;
  readonly directory: string;
  readonly #options: RedisOptions;
  #child: ChildProcess | undefined;

  private constructor(port: number, options: RedisOptions) {
    this.port = port;
    this.#options = options;
    this.directory = mkdtempSync(join(tmpdir(), 'switchgear-redis-'));
  }

  static async start(options: RedisOptions = {}): Promise<RedisServer> {
    const server = new RedisServer(await freePort(), options);
    await server.restart();
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  /** Starts it (again), with what its directory holds, and waits until it answers. */
  async restart(): Promise<void> {
    const child = spawn('redis-server', this.#arguments(), { stdio: 'ignore' });
    this.#child = child;
    const ended = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`redis-server ended with code ${code}`)));
    });
    ended.catch(() => {});
    await Promise.race([ended, this.#answers()]);
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** SIGKILL, or another signal that ends it; resolves when the process is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  /** Stops it in its tracks; connections stay open and say nothing. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Lets this process end while the server runs. */
  detach(): void {
    this.#child?.unref();
  }

  /** Ends it and removes its directory. */
  async close(): Promise<void> {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** A plain client, for looking at and damaging the data; the caller disconnects it. */
  client(): Redis {
    return plainClient(this.url);
  }

  #arguments(): string[] {
    const { fsync = 'no', args = [], sentinel } = this.#options;
    const common = ['--port', String(this.port), '--bind', '127.0.0.1', '--dir', this.directory];
    if (sentinel) {
      // Sentinel rewrites its file, so it has one of its own.
      const file = join(this.directory, 'sentinel.conf');
      if (!existsSync(file)) writeFileSync(file, `${sentinel.join('\n')}\n`);
      return [file, '--sentinel', ...common, ...args];
    }
    const persistence = fsync === 'always' ? ['--appendonly', 'yes', '--appendfsync', 'always'] : [];
    return [...common, '--save', '', '--loglevel', 'warning', ...persistence, ...args];
  }

  async #answers(): Promise<void> {
    const client = plainClient(this.url);
    try {
      await until(() => client.ping().catch(needsPassword), { what: `redis-server on port ${this.port}` });
    } finally {
      client.disconnect();
    }
  }
}

export function plainClient(url: string): Redis {
  const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: 0, protocol: 2 });
  client.on('error', () => {});
  return client;
}

let shared: Promise<RedisServer> | undefined;

/** URL of the server that suites share; each uses a mesh name of its own. */
export async function contractRedis(): Promise<string> {
  const given = process.env.REDIS_URL;
  if (given) return given;
  shared ??= RedisServer.start().then((server) => {
    server.detach();
    process.once('exit', () => {
      server.thaw();
      void server.kill();
      rmSync(server.directory, { recursive: true, force: true });
    });
    return server;
  });
  return (await shared).url;
}

/** Removes everything of a mesh. */
export async function dropMesh(url: string, mesh: string): Promise<void> {
  const client = plainClient(url);
  try {
    for await (const keys of client.scanStream({ match: `{sg:${mesh}[:}]*`, count: 1000 }))
      if (keys.length > 0) await client.unlink(...keys);
  } finally {
    client.disconnect();
  }
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** A server that wants a password answers all the same. */
function needsPassword(error: Error): boolean {
  if (error.message.startsWith('NOAUTH')) return true;
  throw error;
}
