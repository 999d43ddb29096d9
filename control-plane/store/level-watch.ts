/**
 * One reader of the level store. It remembers how far it has told its listener and, whenever woken, reads on from there until
 * nothing is left, so that no event is lost however many come at once. Once it has said `reset` it says nothing more: the
 * listener loads anew and opens another watch.
 */
import { messageOf } from '../../core/errors.js';
import type { LogEntry, RegistryEvent, Watch, WatchListener } from './store.js';

/** What a watch reads from. */
export interface WatchSource {
  dataset(): string;
  head(): number;
  /** In order, from the first revision after `revision` that is not trimmed, up to `head`. */
  logAfter(revision: number, head: number, limit: number): Promise<readonly LogEntry[]>;
  /** Undefined: no longer known. */
  registryAfter(cursor: string): { events: readonly RegistryEvent[]; cursor: string } | undefined;
  /** `reason` is empty while it is up. */
  health(): { up: boolean; reason: string };
}

/** Entries read in one step: what a step holds in memory is bounded by this and a document's size. */
const STEP_ENTRIES_MAX = 500;

export class LevelWatch implements Watch {
  readonly #source: WatchSource;
  readonly #listener: WatchListener;
  readonly #onError: (message: string) => void;
  readonly #onClose: (watch: LevelWatch) => void;
  readonly #dataset: string;
  #revision: number;
  #cursor: string;
  #told: string | undefined;
  #over = false;
  #woken = false;
  #running: Promise<void> | undefined;

  constructor(
    source: WatchSource,
    from: { dataset: string; revision: number; cursor: string },
    listener: WatchListener,
    on: { error: (message: string) => void; close: (watch: LevelWatch) => void },
  ) {
    this.#source = source;
    this.#listener = listener;
    this.#onError = on.error;
    this.#onClose = on.close;
    this.#dataset = from.dataset;
    this.#revision = from.revision;
    this.#cursor = from.cursor;
  }

  /** There may be something new. Never calls the listener before it returns. */
  wake(): void {
    this.#woken = true;
    if (this.#over) return;
    this.#running ??= this.#run();
  }

  async close(): Promise<void> {
    this.#over = true;
    this.#onClose(this);
    await this.#running;
  }

  async #run(): Promise<void> {
    await Promise.resolve();
    try {
      while (this.#woken && !this.#over) {
        this.#woken = false;
        await this.#step();
      }
    } catch (error) {
      this.#onError(messageOf(error));
    } finally {
      this.#running = undefined;
    }
  }

  async #step(): Promise<void> {
    const health = this.#source.health();
    if (health.reason !== this.#told) {
      this.#told = health.reason;
      this.#listener.health(health.up, health.reason);
    }
    if (this.#source.dataset() !== this.#dataset) return this.#reset('the store holds another dataset');
    if (this.#source.head() < this.#revision) return this.#reset('the log is behind what was read before');
    for (let head = this.#source.head(); this.#revision < head && !this.#over; head = this.#source.head()) {
      const entries = await this.#source.logAfter(this.#revision, head, STEP_ENTRIES_MAX);
      if (this.#over) return;
      if (entries[0]?.revision !== this.#revision + 1)
        return this.#reset(`the log no longer has revision ${this.#revision + 1}`);
      this.#revision = entries.at(-1)?.revision ?? this.#revision;
      this.#listener.log(entries);
    }
    const news = this.#source.registryAfter(this.#cursor);
    if (!news) return this.#reset('the events of the registry are no longer known');
    this.#cursor = news.cursor;
    if (news.events.length > 0 && !this.#over) this.#listener.registry(news.events, news.cursor);
  }

  #reset(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener.reset(reason);
  }
}
