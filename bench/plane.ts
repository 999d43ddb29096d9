/**
 * A control plane in a process of its own, for benchmarks: the built command line, as users run it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export interface Plane {
  readonly rest: string;
  readonly grpc: string;
  readonly pid: number;
  /** Puts a policy of this spec for calls to `callee`; answers its revision. */
  put(name: string, callee: string, spec: object): Promise<number>;
  close(): Promise<void>;
}

export interface PlaneOptions {
  /** For Node itself, before the program's name. */
  readonly nodeFlags?: readonly string[];
  /** Of the program. */
  readonly flags?: readonly string[];
  /** Each line of standard error; without it they go to this process's own. */
  readonly onErrorLine?: (line: string) => void;
}

/** `store`: as for `--store`. */
export async function startPlane(store: string, options: PlaneOptions = {}): Promise<Plane> {
  const { nodeFlags = [], flags: more = [], onErrorLine } = options;
  const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
  const flags = ['up', '--rest', '127.0.0.1:0', '--grpc', '127.0.0.1:0', '--store', store, ...more];
  const child = spawn(process.execPath, [...nodeFlags, cli, ...flags, '--log-level', 'warn'], {
    stdio: ['ignore', 'pipe', onErrorLine ? 'pipe' : 'inherit'],
  });
  if (onErrorLine && child.stderr) createInterface({ input: child.stderr }).on('line', onErrorLine);
  const [line] = (await once(createInterface({ input: child.stdout as Readable }), 'line')) as [string];
  const { rest, grpc } = JSON.parse(line) as { rest: string; grpc: string };
  return {
    rest,
    grpc,
    pid: child.pid as number,
    async put(name, callee, spec) {
      const response = await fetch(`${rest}/v1/policies/${name}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ policy: name, match: { to: callee }, spec }),
      });
      if (!response.ok) throw new Error(`PUT: ${response.status} ${await response.text()}`);
      return Number(((await response.json()) as { revision: number }).revision);
    },
    async close() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGTERM');
      await ended;
    },
  };
}
