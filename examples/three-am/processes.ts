/**
 * The example's processes: started, waited for until they say that they are ready, and ended by their own ids on every way out.
 * Losing one ends the example, with what was lost.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface Process {
  /** The first thing it said. */
  readonly ready: Readonly<Record<string, unknown>>;
  send(message: string): void;
  onMessage(listener: (message: Readonly<Record<string, unknown>>) => void): void;
}

const END_MS = 3000;

export class Processes {
  readonly #running: ChildProcess[] = [];
  readonly #lose: (reason: Error) => void;
  /** Rejects once a process ends that nobody asked to. */
  readonly lost: Promise<never>;
  #stopping = false;

  constructor() {
    let lose: (reason: Error) => void = () => undefined;
    this.lost = new Promise((_, reject) => {
      lose = reject;
    });
    this.lost.catch(() => undefined);
    this.#lose = lose;
    process.once('exit', () => {
      for (const child of this.#running) child.kill('SIGKILL');
    });
  }

  /** Starts a script that lies beside this one. What the user has set for services of their own does not reach it. */
  async start(name: string, env: Readonly<Record<string, string>> = {}): Promise<Process> {
    const script = fileURLToPath(import.meta.url).replace(/processes(?=\.[jt]s$)/, name);
    const own = Object.entries(process.env).filter(([variable]) => !variable.startsWith('SWITCHGEAR_'));
    const child = fork(script, {
      env: { ...Object.fromEntries(own), ...env },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#running.push(child);
    child.once('exit', (code, signal) => {
      this.#running.splice(this.#running.indexOf(child), 1);
      if (!this.#stopping)
        this.#lose(new Error(`${name} ended by itself (${signal ?? `exit code ${code}`})`));
    });
    const ready = new Promise<Process['ready']>((resolve) =>
      child.once('message', (first) => resolve(Object(first))),
    );
    return {
      ready: await Promise.race([ready, this.lost]),
      send: (message) => void (child.connected && child.send(message)),
      onMessage: (listener) => void child.on('message', (message) => listener(Object(message))),
    };
  }

  /** Asks all to end, and kills those that don't. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all([...this.#running].map(end));
  }
}

function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
    child.kill('SIGTERM');
  });
}
