/**
 * The demo's processes: started, waited for until they say they are ready, and ended on every way out. Each is killed by its own
 * id; what they wrote on standard error is kept, its end is shown when something goes wrong.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Clock } from '../../core/clock.js';

export interface Child {
  readonly name: string;
  /** The line of JSON it printed once it was ready. */
  readonly ready: Readonly<Record<string, unknown>>;
  send(message: string): void;
  onMessage(listener: (message: unknown) => void): void;
}

const READY_MS = 15_000;
const END_MS = 3000;
const LOG_LINES_MAX = 200;
const LOG_LINES_SHOWN = 8;

export class Children {
  readonly #clock: Clock;
  readonly #env: NodeJS.ProcessEnv;
  readonly #running = new Set<ChildProcess>();
  readonly #killAll = () => {
    for (const child of this.#running) child.kill('SIGKILL');
  };
  readonly #onLoss: (what: string) => void;
  #stopping = false;

  /** `onLoss` is called with a sentence when a process ends that nobody asked to. */
  constructor(
    clock: Clock,
    env: Readonly<Record<string, string | undefined>>,
    onLoss: (what: string) => void,
  ) {
    this.#clock = clock;
    this.#onLoss = onLoss;
    // What the user has set for services of their own must not reach these.
    this.#env = Object.fromEntries(Object.entries(env).filter(([name]) => !/^(SWITCHGEAR|SHOP)_/.test(name)));
    process.once('exit', this.#killAll);
  }

  /** Starts a script of this package and waits for its line. Throws if it doesn't come. */
  async start(
    name: string,
    script: URL,
    { args = [], env = {} }: { args?: string[]; env?: NodeJS.ProcessEnv } = {},
  ): Promise<Child> {
    if (this.#stopping) throw new Error(`${name} is not needed any more`);
    const child = fork(sourceOf(script), args, {
      env: { ...this.#env, ...env },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    });
    const log: string[] = [];
    this.#running.add(child);
    child.once('exit', (code, signal) => {
      this.#running.delete(child);
      if (this.#stopping) return;
      const end = log.slice(-LOG_LINES_SHOWN).map((line) => `\n    ${line}`);
      this.#onLoss(`${name} ended by itself (${signal ?? `exit code ${code}`})${end.join('')}`);
    });
    if (child.stderr)
      createInterface(child.stderr).on('line', (line) => {
        log.push(line);
        if (log.length > LOG_LINES_MAX) log.shift();
      });
    const ready = await this.#firstLine(name, child, log);
    return {
      name,
      ready,
      send: (message) => void (child.connected && child.send(message)),
      onMessage: (listener) => void child.on('message', listener),
    };
  }

  /** Asks all to end, waits, and kills those that don't. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#running].map((child) => this.#stopOne(child)));
    process.off('exit', this.#killAll);
  }

  #stopOne(child: ChildProcess): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(END_MS, () => child.kill('SIGKILL'));
      child.once('exit', () => {
        timer.cancel();
        resolve();
      });
      child.kill('SIGTERM');
    });
  }

  #firstLine(name: string, child: ChildProcess, log: readonly string[]): Promise<Child['ready']> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => {
        timer.cancel();
        reject(new Error(`${name} ${why}${log.slice(-LOG_LINES_SHOWN).map((line) => `\n    ${line}`)}`));
      };
      const timer = this.#clock.after(READY_MS, () => fail(`was not ready within ${READY_MS / 1000} s`));
      child.once('error', (error) => fail(`could not be started: ${error.message}`));
      child.once('exit', (code, signal) =>
        fail(`ended before it was ready (${signal ?? `exit code ${code}`})`),
      );
      if (!child.stdout) return;
      createInterface(child.stdout).once('line', (line) => {
        timer.cancel();
        try {
          resolve(JSON.parse(line));
        } catch {
          fail(`said "${line}" instead of a line of JSON`);
        }
      });
    });
  }
}

/** The script as it lies here: compiled next to compiled code, a source next to sources. */
function sourceOf(script: URL): string {
  const own = extname(fileURLToPath(import.meta.url));
  return fileURLToPath(script).replace(/\.[jt]s$/, own);
}
