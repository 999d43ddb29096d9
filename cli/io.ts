/**
 * What a command touches of the process: its streams, variables, clock and signals, as one value that tests replace. No verb
 * reads `process` itself.
 */
import { type Clock, systemClock } from '../core/clock.js';
import { type Random, systemRandom } from '../core/random.js';

/** The part of a stream that the CLI needs; `isTTY`, `columns` and `rows` are there on a terminal. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
}

export interface Io {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Everything on standard input, for `-f -`. */
  readonly readStdin: () => Promise<string>;
  readonly clock: Clock;
  readonly random: Random;
  /**
   * Resolves at the first SIGTERM or SIGINT with its name (the next one ends the process at once), or when a parent that held
   * a channel to this process is gone.
   */
  readonly interrupted: () => Promise<NodeJS.Signals>;
  /** Calls `onKey` for each key, without waiting for the end of a line; answers how to stop. Only where standard input is a terminal. */
  readonly keys: (onKey: (key: string) => void) => () => void;
}

export function systemIo(): Io {
  return {
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    readStdin: readAll,
    clock: systemClock,
    random: systemRandom,
    interrupted: firstSignal,
    keys: readKeys,
  };
}

async function readAll(): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
    process.once('disconnect', () => resolve('SIGTERM'));
    process.channel?.unref();
  });
}

function readKeys(onKey: (key: string) => void): () => void {
  const { stdin } = process;
  if (!stdin.isTTY) return () => undefined;
  const listen = (chunk: Buffer) => onKey(chunk.toString('utf8'));
  stdin.setRawMode(true);
  stdin.on('data', listen);
  stdin.resume();
  return () => {
    stdin.off('data', listen);
    stdin.setRawMode(false);
    stdin.pause();
  };
}
