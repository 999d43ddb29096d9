/**
 * Writes through the mirror: repeats a write under its request id while the store gives no answer, and answers when the mirror
 * has seen it, so that whoever wrote reads what they wrote. A write that is stored is never reported as failed.
 */
import { type Clock, wait } from '../../core/clock.js';
import { MeshError } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import type { Mirror } from '../ports.js';
import { OutcomeUnknown } from '../store/request.js';
import type { Store, WriteResult } from '../store/store.js';

/** How long a write is repeated, and how long it then waits to be seen. */
const WRITE_TIMEOUT_MS = 2000;
const BACKOFF = { baseMs: 20, maxMs: 300 };

interface Options {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly closing: AbortSignal;
  /** Where the mirror is, and why it is nowhere yet if `dataset` is empty. */
  readonly place: () => { readonly dataset: string; readonly revision: number; readonly reason: string };
}

export class MirrorWriter {
  readonly #options: Options;
  readonly #waiting = new Set<() => void>();

  constructor(options: Options) {
    this.#options = options;
  }

  /** Rejects with an OutcomeUnknown if any of its attempts may have been stored. */
  async write(request: Parameters<Mirror['write']>[0]): Promise<WriteResult> {
    let unknown = false;
    try {
      return await this.#repeat(request, () => {
        unknown = true;
      });
    } catch (error) {
      const away = error instanceof MeshError && error.code === 'store_unavailable';
      throw unknown && away && !(error instanceof OutcomeUnknown) ? new OutcomeUnknown(error) : error;
    }
  }

  async #repeat(request: Parameters<Mirror['write']>[0], unknown: () => void): Promise<WriteResult> {
    const { store, clock, random, closing, place } = this.#options;
    const at = clock.wallNow();
    const end = clock.now() + WRITE_TIMEOUT_MS;
    for (let attempt = 0; ; attempt += 1) {
      if (closing.aborted) throw new MeshError('store_unavailable', 'this replica is stopping');
      const { dataset, revision, reason } = place();
      if (dataset === '') throw new MeshError('store_unavailable', reason);
      try {
        const result = await store.write({ ...request, at, seen: { dataset, revision } });
        await this.#sees(dataset, result.head);
        return result;
      } catch (error) {
        if (error instanceof OutcomeUnknown) unknown();
        const repeat = error instanceof MeshError && error.code === 'store_unavailable';
        if (!repeat || clock.now() >= end) throw error;
      }
      const ceilingMs = Math.min(BACKOFF.maxMs, BACKOFF.baseMs * 2 ** Math.min(attempt, 30));
      await wait(clock, ceilingMs * (0.5 + random.next() / 2), closing);
    }
  }

  /** The mirror may have come further. */
  wake(): void {
    for (const check of this.#waiting) check();
  }

  /** Until the mirror is at `head` or elsewhere altogether, or the time is over. */
  async #sees(dataset: string, head: number): Promise<void> {
    const { clock, closing, place } = this.#options;
    const seen = () => closing.aborted || place().dataset !== dataset || place().revision >= head;
    if (seen()) return;
    await new Promise<void>((resolve) => {
      const done = () => {
        timer.cancel();
        this.#waiting.delete(check);
        resolve();
      };
      const check = () => {
        if (seen()) done();
      };
      const timer = clock.after(WRITE_TIMEOUT_MS, done, { ref: true });
      this.#waiting.add(check);
    });
  }
}
