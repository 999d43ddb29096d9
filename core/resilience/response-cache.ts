/**
 * The last good answers, for `fallback: cache`. Bounded twice, by entries and by what the answers are estimated to take, least
 * recently used out. An answer's age is looked at when it is read, against the policy of that moment; there are no timers, and
 * an answer that is too old for one reader stays for another until its place is needed.
 */

export interface CachedResponse<V> {
  readonly value: V;
  readonly ageMs: number;
}

interface Entry<V> {
  value: V;
  bytes: number;
  storedAt: number;
}

/** What an entry takes beside its value: the map's slot and the objects around it, roughly. */
const ENTRY_OVERHEAD_BYTES = 128;

export class ResponseCache<V> {
  /** In the order of use, the least recent first. */
  readonly #entries = new Map<string, Entry<V>>();
  readonly #entriesMax: number;
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(entriesMax = 1_000, bytesMax = 16 * 1024 * 1024) {
    this.#entriesMax = entriesMax;
    this.#bytesMax = bytesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Estimated, keys included. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Keeps an answer of about `valueBytes`. One that is larger than the whole cache is not kept, and what was kept before it
   * goes: it is the last good answer no more.
   */
  put(key: string, value: V, valueBytes: number, now: number): void {
    this.delete(key);
    const bytes = valueBytes + 2 * key.length + ENTRY_OVERHEAD_BYTES;
    if (bytes > this.#bytesMax || this.#entriesMax < 1) return;
    this.#entries.set(key, { value, bytes, storedAt: now });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#entriesMax && this.#bytes <= this.#bytesMax) break;
      this.delete(oldest);
    }
  }

  /** The last good answer if it is at most `maxAgeMs` old. */
  get(key: string, now: number, maxAgeMs: number): CachedResponse<V> | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const ageMs = now - entry.storedAt;
    if (ageMs > maxAgeMs) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return { value: entry.value, ageMs };
  }

  delete(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }
}
