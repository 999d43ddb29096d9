/**
 * All cores of one machine: a primary process, and workers of which each is a replica with a name of its own behind the same two
 * addresses. What they share is in the store and nowhere else, as between replicas on different machines; the primary serves
 * nobody. It starts the workers, hands each new connection to the next one (`docs/configuration.md` says why so), starts again who
 * has ended, and ends all. Workers don't outlive it.
 */
import cluster, { type Worker } from 'node:cluster';
import { extname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Clock, systemClock, type Timer, wait } from '../core/clock.js';
import { MeshError, messageOf } from '../core/errors.js';
import { systemRandom } from '../core/random.js';
import type { ControlPlane } from './main.js';
import { parseLocation } from './store/location.js';
import { createLogger, type Logger } from './telemetry/logger.js';
import { figuresOf } from './workers/figures.js';
import { Gatherings } from './workers/gatherings.js';
import {
  errorOf,
  isMessage,
  type Ready,
  type ToPrimary,
  type ToWorker,
  type WorkerOptions,
} from './workers/messages.js';
import { endsMax, Restarts, withinSeconds } from './workers/restarts.js';

export interface Workers extends ControlPlane {
  readonly workers: number;
  /** Rejects, once the others have drained, when a worker ends again and again. */
  readonly failed: Promise<never>;
}

/** What a worker itself takes to close, and a little. */
const CLOSE_WITHIN_MS = 12_000;

/** One of the workers, over all its lives. */
interface Slot {
  readonly number: number;
  readonly replica: string;
  readonly restarts: Restarts;
  life: Life | undefined;
}

/** A process of a worker. */
interface Life {
  readonly worker: Worker;
  readonly options: WorkerOptions;
  readonly settle: { ready(ready: Ready): void; failed(error: Error): void };
  readonly ended: Promise<void>;
  ready: boolean;
}

/**
 * Resolves once all of them serve. Rejects as `startControlPlane` does, with the first worker's reason, and with
 * `invalid_configuration` for a store that belongs to one process.
 */
export async function startWorkers(options: WorkerOptions, count: number): Promise<Workers> {
  const { store = 'embedded:.switchgear', mesh = 'default' } = options;
  const { kind } = parseLocation(store);
  if (kind === 'embedded' || kind === 'memory')
    throw new MeshError(
      'invalid_configuration',
      `--workers ${count} (SWITCHGEAR_WORKERS) needs a store that processes can share, and ${kind === 'memory' ? 'memory' : 'an embedded one'} belongs to one process: use --store redis://HOST:PORT (or rediss://, redis-sentinel://, redis-cluster://), or --workers 1`,
    );
  const replica = options.replica ?? `replica-${systemRandom.hex(4)}`;
  const level = options.logLevel ?? process.env.SWITCHGEAR_LOG_LEVEL ?? 'info';
  const primary = new Primary(
    { ...options, store, mesh, replica },
    count,
    createLogger(level, { mesh, replica }),
  );
  return primary.start();
}

class Primary {
  readonly #options: WorkerOptions & { readonly mesh: string; readonly replica: string };
  readonly #slots: readonly Slot[];
  readonly #logger: Logger;
  readonly #clock: Clock = systemClock;
  readonly #gatherings = new Gatherings<Worker>(systemClock);
  readonly #waiting = new Set<Timer>();
  #place: Ready | undefined;
  #restarted = 0;
  #fail: (error: Error) => void = () => {};
  #closing: Promise<void> | undefined;

  constructor(
    options: WorkerOptions & { readonly mesh: string; readonly replica: string },
    count: number,
    logger: Logger,
  ) {
    this.#options = options;
    this.#logger = logger;
    this.#slots = Array.from({ length: count }, (_, at) => ({
      number: at + 1,
      replica: `${options.replica}-${at + 1}`,
      restarts: new Restarts(),
      life: undefined,
    }));
    cluster.schedulingPolicy = cluster.SCHED_RR;
  }

  /** The first one alone, so that what keeps all from starting is told once, and files of policies are applied once. */
  async start(): Promise<Workers> {
    const failed = new Promise<never>((_, reject) => {
      this.#fail = reject;
    });
    failed.catch(() => {});
    const [first, ...others] = this.#slots;
    try {
      if (first) await this.#begin(first, this.#options);
      await Promise.all(others.map((slot) => this.#begin(slot, this.#later)));
    } catch (error) {
      await this.#close(undefined);
      throw error;
    }
    const { restUrl, grpcAddress, mesh, store } = this.#place as Ready;
    const { replica } = this.#options;
    const workers = this.#slots.length;
    this.#logger.info({ rest: restUrl, grpc: grpcAddress, store, workers }, 'all workers serve');
    const close = (signal?: string) => this.#close(signal);
    return { restUrl, grpcAddress, mesh, store, replica, workers, failed, close };
  }

  /** For all but the very first start: what people have changed since the files were applied stays. */
  get #later(): WorkerOptions {
    return { ...this.#options, policiesDir: undefined };
  }

  /** Starts a process and waits until it serves. Rejects with its reason, or if it ends before. */
  async #begin(slot: Slot, options: WorkerOptions): Promise<void> {
    cluster.setupPrimary({
      exec: scriptOfWorker(),
      // For whoever looks at the list of processes.
      args: [slot.replica],
      // Standard output belongs to the one line that says where it serves.
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    const ready = await new Promise<Ready>((resolve, reject) => {
      const worker = cluster.fork();
      const ended = new Promise<void>((over) => {
        const gone = (why: string) => {
          over();
          this.#gone(slot, worker, why);
        };
        worker.once('exit', (code, signal) => gone(signal ?? `exit code ${code}`));
        worker.on('error', (error) => {
          if (worker.process.pid === undefined) gone(error.message);
        });
      });
      const settle = { ready: resolve, failed: reject };
      slot.life = { worker, options: { ...options, replica: slot.replica }, settle, ended, ready: false };
      worker.on('message', (said: unknown) => {
        if (isMessage(said) && slot.life?.worker === worker) this.#hear(slot.life, said as ToPrimary);
      });
    });
    this.#place ??= ready;
    if (slot.life) slot.life.ready = true;
    if (ready.restUrl !== this.#place.restUrl || ready.grpcAddress !== this.#place.grpcAddress)
      throw new MeshError(
        'internal',
        `worker ${slot.number} (${slot.replica}) got other ports than those announced, since all workers had ended at once and port 0 means a new one each time: choose ports with --rest and --grpc`,
      );
  }

  #hear(life: Life, message: ToPrimary): void {
    const { worker } = life;
    if (message.kind === 'hello' && this.#closing) say(worker, { kind: 'stop', signal: undefined });
    else if (message.kind === 'hello') say(worker, { kind: 'start', options: life.options });
    else if (message.kind === 'ready') life.settle.ready(message.ready);
    else if (message.kind === 'failed') life.settle.failed(errorOf(message.failure));
    else if (message.kind === 'figures') this.#gatherings.answered(worker, message.id, message.text);
    else this.#gather(worker, message.id);
  }

  #gather(asking: Worker, id: number): void {
    const others = this.#ready().filter((worker) => worker !== asking);
    this.#gatherings.begin(
      others,
      (worker, question) => say(worker, { kind: 'figures', id: question }),
      (texts) => {
        const { mesh, replica } = this.#options;
        const workers = {
          wanted: this.#slots.length,
          ready: this.#ready().length,
          restarted: this.#restarted,
        };
        say(asking, { kind: 'gathered', id, texts: [figuresOf({ mesh, replica }, workers), ...texts] });
      },
    );
  }

  #ready(): Worker[] {
    return this.#slots.flatMap(({ life }) => (life?.ready ? [life.worker] : []));
  }

  #gone(slot: Slot, worker: Worker, why: string): void {
    const { life } = slot;
    if (life?.worker !== worker) return;
    slot.life = undefined;
    this.#gatherings.gone(worker);
    const what = `worker ${slot.number} (${slot.replica})`;
    if (!life.ready)
      life.settle.failed(
        new MeshError('internal', `${what} ended with ${why} before it was ready; its log says why`),
      );
    else if (!this.#closing) this.#again(slot, why);
  }

  #again(slot: Slot, why: string): void {
    const { number, replica, restarts } = slot;
    const waitMs = restarts.ended(this.#clock.now());
    if (waitMs === undefined) {
      const text = `worker ${number} (${replica}) ended ${endsMax} times within ${withinSeconds} s, at last with ${why}: its log says more`;
      this.#logger.error({ worker: replica, why }, 'a worker ends again and again; giving up');
      void this.#close(undefined).then(() => this.#fail(new MeshError('internal', text)));
      return;
    }
    this.#logger.warn({ worker: replica, why, waitMs }, 'a worker has ended; starting it again');
    const timer = this.#clock.after(
      waitMs,
      () => {
        this.#waiting.delete(timer);
        void this.#restart(slot);
      },
      { ref: true },
    );
    this.#waiting.add(timer);
  }

  async #restart(slot: Slot): Promise<void> {
    this.#restarted++;
    try {
      await this.#begin(slot, this.#later);
      this.#logger.info({ worker: slot.replica }, 'a worker serves again');
    } catch (error) {
      if (this.#closing) return;
      if (slot.life?.ready) void this.#close(undefined).then(() => this.#fail(error as Error));
      else this.#again(slot, messageOf(error));
    }
  }

  #close(signal: string | undefined): Promise<void> {
    this.#closing ??= this.#end(signal);
    return this.#closing;
  }

  /** All at once: an agent that is sent elsewhere must not come to the next worker, which is about to send it on. */
  async #end(signal: string | undefined): Promise<void> {
    for (const timer of this.#waiting) timer.cancel();
    const lives = this.#slots.flatMap(({ life }) => life ?? []);
    for (const { worker } of lives) say(worker, { kind: 'stop', signal });
    const over = new AbortController();
    const late = wait(this.#clock, CLOSE_WITHIN_MS, over.signal);
    const ended = Promise.all(lives.map((life) => life.ended));
    await Promise.race([ended, late]);
    over.abort();
    // One that doesn't end by then does so now.
    for (const { life } of this.#slots) life?.worker.process.kill('SIGKILL');
    await ended;
  }
}

/** One that is ending takes nothing any more, and its end is heard of anyway. */
function say(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {});
}

/** As it lies here: compiled next to compiled code, a source next to sources. */
function scriptOfWorker(): string {
  const own = extname(fileURLToPath(import.meta.url));
  return fileURLToPath(new URL('./workers/worker.js', import.meta.url)).replace(/\.js$/, own);
}
