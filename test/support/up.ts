/**
 * `switchgear up` as a process of its own, as its users run it: ready when it has printed its line, and ended by its pid.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const running = new Set<ChildProcess>();
// A test that fails on the way must not leave a server behind.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface Up {
  readonly rest: string;
  readonly grpc: string;
  readonly child: ChildProcess;
  /** What it wrote to standard error so far. */
  log(): string;
  /** SIGTERM, and the exit code. */
  stop(): Promise<number | null>;
  /** SIGKILL, and gone. */
  kill(): Promise<void>;
}

export async function up(flags: readonly string[], env: Record<string, string> = {}): Promise<Up> {
  const args = ['--import', 'tsx', cli, 'up', ...flags];
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  running.add(child);
  const gone = once(child, 'exit').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  let log = '';
  child.stderr.on('data', (chunk: Buffer) => {
    log = `${log}${chunk.toString()}`.slice(-100_000);
  });
  const ready = once(createInterface({ input: child.stdout }), 'line') as Promise<[string]>;
  const early = gone.then((code) => {
    throw new Error(`switchgear up ${flags.join(' ')} ended with ${code} before it was ready:\n${log}`);
  });
  early.catch(() => {});
  const [line] = await Promise.race([ready, early]);
  const { rest, grpc } = JSON.parse(line) as { rest: string; grpc: string };
  return {
    rest,
    grpc,
    child,
    log: () => log,
    async stop() {
      child.kill('SIGTERM');
      return gone;
    },
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
  };
}

/** Two free ports of their own choice, for a server that must come back at the same address. */
export const anyPort = ['--rest', '127.0.0.1:0', '--grpc', '127.0.0.1:0'] as const;

/** PUTs a policy document; answers the status and the body. */
export async function putPolicy(
  rest: string,
  name: string,
  document: Record<string, unknown>,
): Promise<{ status: number; body: { revision?: number; durability?: string; code?: string } }> {
  const response = await fetch(`${rest}/v1/policies/${name}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ policy: name, ...document }),
  });
  return { status: response.status, body: (await response.json()) as { revision?: number } };
}
