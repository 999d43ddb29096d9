/** A Redis of its own for a benchmark: `redis-server` from the PATH on a free port of the loopback, nothing on disk. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';

export interface BenchRedis {
  readonly url: string;
  /** How many commands it has run. */
  commands(): Promise<number>;
  /** Forgets all that is stored. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

const STARTS_WITHIN_MS = 10_000;

export async function startRedis(): Promise<BenchRedis> {
  const port = await freePort();
  const flags = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
  const child = spawn('redis-server', flags, { stdio: 'ignore' });
  const failed = new Promise<never>((_, reject) => child.once('error', reject));
  await Promise.race([answers(port), failed]);
  return {
    url: `redis://127.0.0.1:${port}`,
    commands: () => commands(port),
    async empty() {
      const client = new Redis({ port });
      await client.flushall();
      client.disconnect();
    },
    async close() {
      const gone = once(child, 'exit');
      child.kill('SIGTERM');
      await gone;
    },
  };
}

async function commands(port: number): Promise<number> {
  const client = new Redis({ port });
  const text = await client.info('stats');
  client.disconnect();
  return Number(/^total_commands_processed:(\d+)/m.exec(text)?.[1]);
}

async function answers(port: number): Promise<void> {
  const client = new Redis({ port, lazyConnect: true, retryStrategy: () => 50, maxRetriesPerRequest: null });
  client.on('error', () => {});
  const end = performance.now() + STARTS_WITHIN_MS;
  while (performance.now() < end && client.status !== 'ready') {
    if (client.status === 'wait') client.connect().catch(() => {});
    await pause(20);
  }
  const ready = client.status === 'ready';
  client.disconnect();
  if (!ready) throw new Error(`redis-server did not answer within ${STARTS_WITHIN_MS} ms`);
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
