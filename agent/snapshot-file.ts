/**
 * The snapshot's file: read once at the start, written at most once a second, always whole (a file beside it, flushed to the
 * disk, then renamed over it), so a reader or a second instance of the service finds the old one or the new one and never half
 * of one. A disk that fails costs the snapshot and nothing else: it is said once, naming the file, and tried again at the next
 * change. Nothing here is on the way of a call.
 */
import { mkdir, open, readdir, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Clock, Timer } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { Logger } from './logger.js';
import { decodeSnapshot, encodeSnapshot, type Snapshot } from './snapshot.js';

export interface SnapshotFileOptions {
  readonly path: string;
  readonly service: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** What holds now; undefined: nothing worth keeping yet. */
  content(): Snapshot | undefined;
}

const WRITE_INTERVAL_MS = 1_000;
const BYTES_MAX = 64 * 1024 * 1024;
/** What a process that was killed in the middle of a write left behind. */
const LEFTOVER_AFTER_MS = 3_600_000;

export class SnapshotFile {
  readonly path: string;
  readonly #options: SnapshotFileOptions;
  #savedAt: number | undefined;
  #dirty = false;
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #lastWriteAt = Number.NEGATIVE_INFINITY;
  #failed = false;
  #tidied = false;
  #closed = false;

  constructor(options: SnapshotFileOptions) {
    this.#options = options;
    this.path = options.path;
  }

  /** Milliseconds of the wall clock since it was written; undefined: there is no file we know of. */
  get ageMs(): number | undefined {
    if (this.#savedAt === undefined) return undefined;
    return Math.max(0, this.#options.clock.wallNow() - this.#savedAt);
  }

  /** Undefined without a file, or with one that can't be used: then with a warning. */
  async read(): Promise<Snapshot | undefined> {
    try {
      const snapshot = decodeSnapshot(await readBounded(this.path), this.#options.service);
      this.#savedAt = snapshot.savedAt;
      return snapshot;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      this.#options.logger.warn(
        { file: this.path, reason: messageOf(error) },
        'the snapshot can not be used: starting without it',
      );
      return undefined;
    }
  }

  /** Something changed that a restart should know. */
  touch(): void {
    this.#dirty = true;
    if (this.#timer || this.#writing || this.#closed) return;
    const { clock } = this.#options;
    const waitMs = Math.max(0, this.#lastWriteAt + WRITE_INTERVAL_MS - clock.now());
    this.#timer = clock.after(waitMs, () => {
      this.#timer = undefined;
      this.#start();
    });
  }

  /** Writes what is not written yet; nothing is written after it. Never rejects. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#writing;
    if (this.#dirty || this.#failed) await this.#write();
  }

  #start(): void {
    this.#writing = this.#write().finally(() => {
      this.#writing = undefined;
      if (this.#dirty) this.touch();
    });
  }

  async #write(): Promise<void> {
    const { clock, random, logger, content } = this.#options;
    this.#dirty = false;
    this.#lastWriteAt = clock.now();
    const temporary = `${this.path}.${process.pid}-${random.hex(4)}.tmp`;
    try {
      const snapshot = content();
      if (!snapshot) return;
      const bytes = encodeSnapshot(snapshot);
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 });
      await this.#tidy();
      await replace(this.path, bytes, temporary);
      this.#savedAt = snapshot.savedAt;
      if (this.#failed) logger.warn({ file: this.path }, 'the snapshot is written again');
      this.#failed = false;
    } catch (error) {
      if (!this.#failed)
        logger.warn(
          { file: this.path, reason: messageOf(error) },
          'the snapshot can not be written: a restart without the control plane would start unprotected',
        );
      this.#failed = true;
    }
  }

  async #tidy(): Promise<void> {
    if (this.#tidied) return;
    this.#tidied = true;
    const directory = dirname(this.path);
    const prefix = `${basename(this.path)}.`;
    for (const name of await readdir(directory)) {
      if (!name.startsWith(prefix) || !name.endsWith('.tmp')) continue;
      const file = join(directory, name);
      const written = await stat(file).catch(() => undefined);
      if (written && this.#options.clock.wallNow() - written.mtimeMs > LEFTOVER_AFTER_MS)
        await unlink(file).catch(() => {});
    }
  }
}

async function readBounded(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    if (size > BYTES_MAX)
      throw new Error(`it has ${size} bytes, which is more than any snapshot has (${BYTES_MAX})`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

async function replace(path: string, bytes: string, temporary: string): Promise<void> {
  const file = await open(temporary, 'wx', 0o600);
  try {
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => {});
    throw error;
  }
}
