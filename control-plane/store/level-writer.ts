/**
 * The one writer of a level store: owns the ledger, and takes writes in batches. Those that arrive while a batch is being
 * synced share the next one, so that a hundred writers cost a few syncs and not a hundred. Nobody is answered before the batch
 * is down; after a batch that failed nobody knows how much of it is, so the ledger is read anew and the writers are told to
 * repeat.
 */
import type { Clock } from '../../core/clock.js';
import { type Issue, MeshError, messageOf } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import type { Database } from './level-database.js';
import { type Ledger, Stage, type Time } from './level-ledger.js';
import { type Loaded, loadLevel } from './level-load.js';
import { OutcomeUnknown } from './request.js';
import type { WriteRequest, WriteResult } from './store.js';

/** Writes in one batch: what a batch holds in memory is bounded by this and a write's size. */
const BATCH_WRITES_MAX = 256;

interface Waiting {
  readonly request: WriteRequest;
  resolve(result: WriteResult): void;
  reject(error: unknown): void;
}

export interface WriterOptions {
  readonly db: Database;
  /** For messages. */
  readonly description: string;
  readonly clock: Clock;
  readonly random: Random;
  /** After each batch, whatever became of it. */
  readonly settled: () => void;
  readonly failed: (reason: string) => void;
}

export class LevelWriter {
  readonly #options: WriterOptions;
  #loaded: Loaded;
  #queue: Waiting[] = [];
  #pumping: Promise<void> | undefined;
  /** Memory may differ from the disk. */
  #stale = false;
  #broken = '';

  private constructor(options: WriterOptions, loaded: Loaded) {
    this.#options = options;
    this.#loaded = loaded;
  }

  static async open(options: WriterOptions): Promise<LevelWriter> {
    return new LevelWriter(options, await read(options));
  }

  get ledger(): Ledger {
    return this.#loaded.ledger;
  }
  /** What the disk holds beside the ledger, when it was last read. */
  get loaded(): Loaded {
    return this.#loaded;
  }
  /** Faults of the registry's part. */
  get faults(): readonly Issue[] {
    return this.#loaded.faults;
  }
  /** Why the last batch failed; empty: it didn't. */
  get broken(): string {
    return this.#broken;
  }

  write(request: WriteRequest): Promise<WriteResult> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ request, resolve, reject });
      this.#pumping ??= this.#pump();
    });
  }

  /** Resolves when all that was asked for is answered. */
  async idle(): Promise<void> {
    await this.#pumping;
  }

  async #pump(): Promise<void> {
    // One turn later, so that writes of the same moment share the first batch too.
    await Promise.resolve();
    while (this.#queue.length > 0) await this.#commit(this.#queue.splice(0, BATCH_WRITES_MAX));
    this.#pumping = undefined;
  }

  async #commit(writes: readonly Waiting[]): Promise<void> {
    const { db, clock, settled } = this.#options;
    let settles: (() => void)[] = [];
    let handedOver = false;
    try {
      if (this.#stale) await this.#reload();
      const time = { now: clock.now(), wallNow: clock.wallNow() };
      const stage = new Stage(this.ledger);
      settles = writes.map((waiting) => this.#stage(stage, waiting, time));
      stage.tidy(time.now);
      handedOver = stage.changes.length > 0;
      if (handedOver) await db.batch(stage.changes, { sync: true });
      stage.commit();
      this.#broken = '';
    } catch (error) {
      await this.#failed(error);
      settles = writes.map((waiting) => () => waiting.reject(this.#unavailable(handedOver)));
    }
    for (const settle of settles) settle();
    settled();
  }

  /** How the writer will be answered once the batch is down. */
  #stage(stage: Stage, { request, resolve, reject }: Waiting, time: Time): () => void {
    try {
      const result = stage.write(request, time);
      return () => resolve({ ...result, durability: this.#options.db.durability });
    } catch (error) {
      return () => reject(error);
    }
  }

  /** The state is read anew, now or before the next write. */
  async #failed(error: unknown): Promise<void> {
    this.#broken = messageOf(error);
    this.#stale = true;
    this.#options.failed(this.#broken);
    await this.#reload().catch((again: unknown) => {
      this.#broken = messageOf(again);
    });
  }

  async #reload(): Promise<void> {
    this.#loaded = await read(this.#options);
    this.#stale = false;
  }

  /** `handedOver`: the disk may have the batch all the same. */
  #unavailable(handedOver: boolean): MeshError {
    const error = new MeshError('store_unavailable', `writing to the disk failed (${this.#broken})`, {
      target: this.#options.description,
    });
    return handedOver ? new OutcomeUnknown(error) : error;
  }
}

function read({ db, clock, random }: WriterOptions): Promise<Loaded> {
  return loadLevel(db, { fresh: random.hex(8), now: clock.now(), wallNow: clock.wallNow() });
}
