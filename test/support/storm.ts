/**
 * Starts `store-storm.ts` in a process of its own and reads what it acknowledges, for tests that kill it.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until } from './until.js';

const program = fileURLToPath(new URL('./store-storm.ts', import.meta.url));

export interface Storm {
  /** `name revision counter` of each acknowledged document. */
  lines(): string[];
  /** Resolves after so many lines; rejects with what the process said if it ended. */
  acknowledges(count: number): Promise<void>;
  /** SIGKILL; resolves when the process is gone and all it said is read. */
  kill(): Promise<void>;
}

export function startStorm(url: string, round: number, env: Readonly<Record<string, string>> = {}): Storm {
  const child = spawn(process.execPath, ['--import', 'tsx', program, url, String(round)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
  });
  const ended = () => child.exitCode !== null || child.signalCode !== null;
  // What a kill cut off was not said: the part behind the last line break does not count.
  const lines = () => output.split('\n').slice(0, -1);
  return {
    lines,
    async acknowledges(count) {
      await until(() => lines().length >= count || ended(), { what: 'a storm', timeoutMs: 30_000 });
      if (ended()) throw new Error(`the storm ended: ${errors}`);
    },
    async kill() {
      if (ended()) return;
      const gone = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGKILL');
      await gone;
    },
  };
}
