/**
 * One replica's reader: a connection of its own that blocks on the log and the registry's events, and after each answer asks
 * what dataset and numbers are there now, so that data that went away is noticed within a second even where nothing more ever
 * comes. Both streams are numbered without gaps; a number that is missing is a `reset`. After a broken connection the entry last
 * read must still be the same one: after a failover the number may be there again with another content.
 */
import type { Clock } from '../../core/clock.js';
import { wait } from '../../core/clock.js';
import { messageOf } from '../../core/errors.js';
import type { Random } from '../../core/random.js';
import type { Logger } from '../telemetry/logger.js';
import { reasonOf } from './reason.js';
import type { RedisConnection } from './redis-connection.js';
import type { RedisKeys } from './redis-keys.js';
import { registryEvent } from './redis-registry.js';
import { type Reply, type StreamEntry, streamEntries, texts, unwrap } from './redis-replies.js';
import type { LogEntry, RegistryEvent, Watch, WatchListener } from './store.js';

/** Redis holds the answer back no longer than this; a peer silent for twice as long is given up. */
const BLOCK_MS = 1000;
const SILENCE_MS = 2000;
/** Entries of each stream in one answer: with documents of at most 64 KiB, some megabytes. */
const ENTRIES_MAX = 100;
const RETRY = { baseMs: 50, maxMs: 1000 };

interface Options {
  readonly connect: (timeoutMs: number) => RedisConnection;
  readonly keys: RedisKeys;
  readonly from: { readonly dataset: string; readonly revision: number; readonly cursor: string };
  /** Request id of the entry at `from.revision`; empty: unknown. */
  readonly request: string;
  readonly listener: WatchListener;
  readonly seen: (tip: { revision: number; request: string }) => void;
  readonly closed: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** What makes everything read so far worthless. */
class Gap extends Error {}

export class RedisWatch implements Watch {
  readonly #options: Options;
  readonly #connection: RedisConnection;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  readonly #meta: string;
  readonly #log: string;
  readonly #registry: string;
  #revision: number;
  #request: string;
  #number: number;
  #health: string | undefined;
  /** Head of the log when the last answer left us behind it. */
  #owed = 0;

  constructor(options: Options) {
    this.#options = options;
    this.#connection = options.connect(SILENCE_MS);
    [this.#meta = '', this.#log = '', this.#registry = ''] = options.keys.of('meta', 'log', 'registry');
    this.#revision = options.from.revision;
    this.#number = Number(options.from.cursor);
    this.#request = options.request;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#connection.close();
    this.#options.closed();
    await this.#running;
  }

  async #run(): Promise<void> {
    let resumed = false;
    let failures = 0;
    // One turn later: nobody is called before `watch` has returned.
    await Promise.resolve();
    while (!this.#closing.signal.aborted) {
      try {
        if (!resumed) await this.#resume();
        resumed = true;
        this.#tellHealth('');
        await this.#step();
        failures = 0;
      } catch (error) {
        if (this.#closing.signal.aborted) return;
        if (error instanceof Gap) return this.#reset(error.message);
        resumed = false;
        const reason = reasonOf(error);
        this.#tellHealth(reason);
        this.#connection.reconnect(reason);
        await this.#pause(failures++);
      }
    }
  }

  /** Whether what was read before is still what is there. */
  async #resume(): Promise<void> {
    const place = `${this.#revision}-0`;
    const [meta, at] = await this.#connection.send(this.#askMeta(), ['xrange', this.#log, place, place]);
    this.#checkNumbers(this.#facts(meta));
    const [entry] = streamEntries(this.#unwrap(at, this.#log));
    if (entry && this.#request !== '' && entry.fields.get('request') !== this.#request)
      throw new Gap(`revision ${this.#revision} of the log is another one than was read before`);
  }

  async #step(): Promise<void> {
    const places = [`${this.#revision}-0`, `${this.#number}-0`];
    const [read, meta] = await this.#connection.send(
      ['xread', 'count', ENTRIES_MAX, 'block', BLOCK_MS, 'streams', this.#log, this.#registry, ...places],
      this.#askMeta(),
    );
    const streams = new Map(
      (asList(this.#unwrap(read, `${this.#log} or ${this.#registry}`)) ?? []).map((stream) => {
        const [key, entries] = asList(stream) ?? [];
        return [String(key), streamEntries(entries)];
      }),
    );
    if (this.#closing.signal.aborted) return;
    // First of all: what came is of our dataset only if the answer after it still names that one.
    const facts = this.#facts(meta);
    this.#takeLog(streams.get(this.#log) ?? []);
    this.#takeEvents(streams.get(this.#registry) ?? []);
    this.#checkNumbers(facts, streams.has(this.#log));
  }

  #takeLog(entries: readonly StreamEntry[]): void {
    const next: LogEntry[] = [];
    for (const { id, number, fields } of entries) {
      const name = fields.get('name');
      if (number !== this.#revision + 1 || id !== `${number}-0` || name === undefined) {
        this.#deliver(next);
        throw new Gap(`the log has no revision ${this.#revision + 1}, but ${id}`);
      }
      this.#revision = number;
      this.#request = fields.get('request') ?? '';
      next.push({ revision: number, name, document: fields.get('document') ?? null });
    }
    this.#deliver(next);
  }

  #deliver(entries: readonly LogEntry[]): void {
    if (entries.length === 0) return;
    this.#options.seen({ revision: this.#revision, request: this.#request });
    this.#call(() => this.#options.listener.log(entries));
  }

  #takeEvents(entries: readonly StreamEntry[]): void {
    const events: RegistryEvent[] = [];
    for (const { id, number, fields } of entries) {
      if (number !== this.#number + 1)
        throw new Gap(`the registry has no event ${this.#number + 1}, but ${id}`);
      this.#number = number;
      const event = registryEvent(fields.get('event'));
      if (event) events.push(event);
    }
    if (entries.length > 0) this.#call(() => this.#options.listener.registry(events, String(this.#number)));
  }

  #unwrap(reply: Reply | undefined, key: string): unknown {
    return unwrap(reply, this.#connection.description, key);
  }

  #askMeta() {
    return ['hmget', this.#meta, 'dataset', 'head', 'registry'] as const;
  }

  /** Head of the log and number of the last event, of the dataset that we read. */
  #facts(reply: Reply | undefined): { head: number; events: number } {
    const fields = asList(this.#unwrap(reply, this.#meta)) ?? [];
    const [dataset, head, events] = texts(fields.map((field) => field ?? ''));
    if (dataset !== this.#options.from.dataset)
      throw new Gap(dataset ? `the store holds another dataset, ${dataset}` : 'the data is gone');
    return { head: Number(head), events: Number(events) };
  }

  /** `read`: whether entries of the log came with this answer. */
  #checkNumbers({ head, events }: { head: number; events: number }, read = true): void {
    if (head < this.#revision) throw new Gap(`the log is at ${head}, behind ${this.#revision}`);
    if (events < this.#number) throw new Gap('the events of the registry are behind what was read');
    // An entry that was announced and does not come with the next answer either never will.
    if (!read && this.#owed > this.#revision) throw new Gap(`the log has no revision ${this.#revision + 1}`);
    this.#owed = head;
  }

  #tellHealth(reason: string): void {
    if (this.#health === reason) return;
    this.#health = reason;
    this.#call(() => this.#options.listener.health(reason === '', reason));
  }

  #reset(reason: string): void {
    this.#connection.close();
    this.#options.closed();
    this.#call(() => this.#options.listener.reset(reason));
  }

  #call(tell: () => void): void {
    try {
      tell();
    } catch (error) {
      this.#options.logger.error({ error: messageOf(error) }, 'a listener of the store failed');
    }
  }

  #pause(failures: number): Promise<void> {
    const ceilingMs = Math.min(RETRY.maxMs, RETRY.baseMs * 2 ** Math.min(failures, 10));
    const delayMs = ceilingMs * (0.5 + this.#options.random.next() / 2);
    return wait(this.#options.clock, delayMs, this.#closing.signal);
  }
}

function asList(value: unknown): unknown[] | undefined {
  return Array.isArray(value) ? value : undefined;
}
