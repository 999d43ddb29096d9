/**
 * V8's profiler in another process of Node, over its inspector (started with `--inspect=127.0.0.1:0`): the process itself holds no
 * code for it, and is profiled between a start and a stop, not from its first to its last moment.
 */
import { once } from 'node:events';
import { WebSocket } from 'undici';
import type { CpuProfile } from './frames.js';

/** The process's flag, and how it says on standard error where it listens. */
export const inspected = '--inspect=127.0.0.1:0';
const LISTENING = /^Debugger listening on (ws:\/\/127\.0\.0\.1:\d+\/\S+)$/;
const ANSWERED_WITHIN_MS = 30_000;

/** The address in a line of standard error, if it is that line. */
export function inspectorIn(line: string): string | undefined {
  return LISTENING.exec(line)?.[1];
}

interface Answer {
  readonly id?: number;
  readonly result?: { readonly profile?: CpuProfile };
  readonly error?: { readonly message: string };
}

type Waiting = { resolve(answer: Answer): void; reject(error: Error): void };

export class Profiler {
  readonly #waiting = new Map<number, Waiting>();
  #last = 0;

  private constructor(private readonly socket: WebSocket) {
    socket.addEventListener('message', ({ data }) => {
      const answer = JSON.parse(String(data)) as Answer;
      const waiting = this.#waiting.get(answer.id ?? 0);
      if (answer.error) waiting?.reject(new Error(`inspector: ${answer.error.message}`));
      else waiting?.resolve(answer);
    });
    socket.addEventListener('close', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error('the inspected process has ended'));
    });
  }

  /** `intervalUs`: between two samples, microseconds. */
  static async connect(address: string, intervalUs: number): Promise<Profiler> {
    const socket = new WebSocket(address);
    const refused = once(socket, 'error').then(() => {
      throw new Error(`no inspector answers at ${address}`);
    });
    await Promise.race([once(socket, 'open'), refused]);
    refused.catch(() => {});
    const profiler = new Profiler(socket);
    await profiler.#ask('Profiler.enable');
    await profiler.#ask('Profiler.setSamplingInterval', { interval: intervalUs });
    return profiler;
  }

  async start(): Promise<void> {
    await this.#ask('Profiler.start');
  }

  /** The profile since the start. */
  async stop(): Promise<CpuProfile> {
    const { result } = await this.#ask('Profiler.stop');
    if (!result?.profile) throw new Error('inspector: stopped, and answered no profile');
    return result.profile;
  }

  /** All that nobody holds any more is gone when this resolves. */
  async collectGarbage(): Promise<void> {
    await this.#ask('HeapProfiler.collectGarbage');
  }

  close(): void {
    this.socket.close();
  }

  /** Rejects if there is no answer within half a minute. */
  async #ask(method: string, params: object = {}): Promise<Answer> {
    const id = ++this.#last;
    let late: NodeJS.Timeout | undefined;
    try {
      return await new Promise<Answer>((resolve, reject) => {
        const fail = () => reject(new Error(`inspector: ${method} without an answer`));
        late = setTimeout(fail, ANSWERED_WITHIN_MS);
        this.#waiting.set(id, { resolve, reject });
        this.socket.send(JSON.stringify({ id, method, params }));
      });
    } finally {
      clearTimeout(late);
      this.#waiting.delete(id);
    }
  }
}
