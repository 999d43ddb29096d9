/**
 * Where the demo plays: its processes and its directory, and the one way everything ends early, whether a process was lost, the
 * events broke or somebody pressed Ctrl-C. `close` leaves nothing behind; whatever waits, waits through `during`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wait } from '../../core/clock.js';
import type { Io } from '../io.js';
import { Children } from './children.js';

export class Stage {
  readonly io: Io;
  readonly children: Children;
  readonly directory = mkdtempSync(join(tmpdir(), 'switchgear-demo-'));
  readonly #end = new AbortController();

  constructor(io: Io) {
    this.io = io;
    this.children = new Children(io.clock, io.env, (what) => this.fail(new Error(what)));
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** Ends whatever runs on this stage with that reason. */
  fail(reason: Error): void {
    this.#end.abort(reason);
  }

  /** The result of `work`, or the reason for which everything ended first. */
  async during<T>(work: Promise<T>): Promise<T> {
    const { signal } = this;
    // It may fail after everything else did, when nobody listens any more.
    work.catch(() => undefined);
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const end = () => reject(signal.reason);
      signal.addEventListener('abort', end, { once: true });
      work.then(resolve, reject).finally(() => signal.removeEventListener('abort', end));
    });
  }

  async pause(ms: number): Promise<void> {
    await wait(this.io.clock, ms, this.signal);
    this.signal.throwIfAborted();
  }

  async close(): Promise<void> {
    this.fail(new Error('the demo is over'));
    await this.children.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
