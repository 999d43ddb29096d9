/**
 * Two real redis-servers, on sockets in a directory of their own: one for the orders, which hangs when told to, and one for the
 * catalogue. A hanging database is a stopped process: it accepts connections and says nothing. This process keeps them, so that
 * they end with the example, however that ends; no other process is touched.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from './pool.js';

const START_MS = 10_000;

const directory = mkdtempSync(join(tmpdir(), 'switchgear-three-am-'));
const servers: ChildProcess[] = [];
let stopping = false;

function fail(reason: string): void {
  if (stopping) return;
  process.stderr.write(`${reason}\n`);
  process.exit(1);
}

async function startRedis(name: string): Promise<{ server: ChildProcess; path: string }> {
  const path = join(directory, `${name}.sock`);
  const args = ['--port', '0', '--unixsocket', path, '--dir', directory, '--save', '', '--appendonly', 'no'];
  const server = spawn('redis-server', args, { stdio: 'ignore' });
  servers.push(server);
  server.once('error', ({ message }) =>
    fail(
      `${name}: needs redis-server on the PATH (on Debian and Ubuntu: apt-get install redis-server): ${message}`,
    ),
  );
  server.once('exit', (code, signal) => fail(`${name}: redis-server ended by itself (${signal ?? code})`));
  for (let waitedMs = 0; !existsSync(path) && waitedMs < START_MS; waitedMs += 20) await pause(20);
  const client = connect(path);
  await client.ping();
  client.disconnect();
  return { server, path };
}

/** SIGKILL ends a stopped process too; it is continued first, so that none stays stopped whatever comes. */
function kill(): void {
  stopping = true;
  for (const server of servers) {
    server.kill('SIGCONT');
    server.kill('SIGKILL');
  }
}

process.once('exit', () => {
  kill();
  rmSync(directory, { recursive: true, force: true });
});
process.on('SIGINT', () => undefined);
process.once('disconnect', () => process.exit());
process.once('SIGTERM', async () => {
  const running = servers.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
  const gone = running.map((server) => new Promise((resolve) => server.once('exit', resolve)));
  kill();
  await Promise.all(gone);
  process.exit();
});

const [orders, catalogue] = await Promise.all([startRedis('orders-db'), startRedis('catalogue-db')]);
process.on('message', (message) => {
  orders.server.kill(message === 'hang' ? 'SIGSTOP' : 'SIGCONT');
});
process.send?.({ orders: orders.path, catalogue: catalogue.path });
