/**
 * Runs the command line in this process, with streams that are remembered and variables that are the test's own, or as a real
 * process from the sources. A process that a test starts ends with the test, whatever becomes of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Io } from '../../cli/io.js';
import { run } from '../../cli/program.js';
import { systemClock } from '../../core/clock.js';
import { systemRandom } from '../../core/random.js';

export interface Ran {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export async function runCli(
  argv: readonly string[],
  {
    env = {},
    stdin = '',
    tty = false,
    keys = () => () => undefined,
    interrupted = () => new Promise(() => undefined),
  }: {
    env?: Record<string, string>;
    stdin?: string;
    tty?: boolean;
    keys?: Io['keys'];
    interrupted?: Io['interrupted'];
  } = {},
): Promise<Ran> {
  const text = { stdout: '', stderr: '' };
  const sink = (name: keyof typeof text) => ({
    isTTY: tty,
    write: (chunk: string) => {
      text[name] += chunk;
    },
  });
  const io: Io = {
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    env,
    readStdin: async () => stdin,
    clock: systemClock,
    random: systemRandom,
    interrupted,
    keys,
  };
  return { code: await run(argv, io), ...text };
}

const main = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
/** By its place, since the working directory is the test's. */
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
const running = new Set<ChildProcess>();

process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface CliProcess {
  readonly child: ChildProcess;
  /** Everything it has written so far. */
  readonly output: { stdout: string; stderr: string };
  /** Resolves when it has ended. */
  readonly ended: Promise<Ran>;
}

/** `node cli/main.ts …` as a process of its own; only the given variables reach it, besides PATH and HOME. */
export function spawnCli(
  argv: readonly string[],
  { env = {}, cwd }: { env?: Record<string, string>; cwd?: string } = {},
): CliProcess {
  const child = spawn(process.execPath, ['--import', tsx, main, ...argv], {
    cwd,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output.stdout += chunk;
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    output.stderr += chunk;
  });
  const ended = new Promise<Ran>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      running.delete(child);
      resolve({ code, ...output });
    });
  });
  return { child, output, ended };
}
