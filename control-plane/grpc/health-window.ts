/**
 * Calls to each service over the last ten seconds, as its callers report them: ten buckets of a second for each callee that
 * anybody calls. Buckets expire by elapsed time, on read and on write; callees nobody calls any more are swept.
 */
import type { ServiceHealth } from '../ports.js';

const BUCKETS = 10;
const BUCKET_MS = 1000;
const CALLEES_MAX = 10_000;
/** Counts of a bucket. */
const FIELDS = 4;

class Window {
  /** calls, failed, slow, rejected of each bucket. */
  readonly #counts = new Float64Array(BUCKETS * FIELDS);
  #bucket: number;

  constructor(bucket: number) {
    this.#bucket = bucket;
  }

  add(bucket: number, { calls, failed, slow, rejected }: ServiceHealth): void {
    this.#advance(bucket);
    const at = (this.#bucket % BUCKETS) * FIELDS;
    const counts = this.#counts;
    counts[at] = (counts[at] ?? 0) + calls;
    counts[at + 1] = (counts[at + 1] ?? 0) + failed;
    counts[at + 2] = (counts[at + 2] ?? 0) + slow;
    counts[at + 3] = (counts[at + 3] ?? 0) + rejected;
  }

  sum(bucket: number): ServiceHealth {
    this.#advance(bucket);
    const sums = [0, 0, 0, 0];
    this.#counts.forEach((count, at) => {
      sums[at % FIELDS] = (sums[at % FIELDS] ?? 0) + count;
    });
    const [calls = 0, failed = 0, slow = 0, rejected = 0] = sums;
    return { calls, failed, slow, rejected };
  }

  idle(bucket: number): boolean {
    return bucket - this.#bucket >= BUCKETS;
  }

  #advance(bucket: number): void {
    const steps = Math.min(BUCKETS, bucket - this.#bucket);
    for (let step = 1; step <= steps; step++) {
      const at = ((this.#bucket + step) % BUCKETS) * FIELDS;
      this.#counts.fill(0, at, at + FIELDS);
    }
    if (steps > 0) this.#bucket = bucket;
  }
}

const none: ServiceHealth = { calls: 0, failed: 0, slow: 0, rejected: 0 };

export class HealthWindow {
  readonly #windows = new Map<string, Window>();

  record(
    callee: string,
    seen: { ok: number; failed: number; slow: number; rejected: number },
    now: number,
  ): void {
    const bucket = Math.floor(now / BUCKET_MS);
    let window = this.#windows.get(callee);
    if (!window) {
      if (this.#windows.size >= CALLEES_MAX) this.#sweep(bucket);
      if (this.#windows.size >= CALLEES_MAX) return;
      window = new Window(bucket);
      this.#windows.set(callee, window);
    }
    const { ok, failed, slow, rejected } = seen;
    window.add(bucket, { calls: ok + failed, failed, slow, rejected });
  }

  of(callee: string, now: number): ServiceHealth {
    return this.#windows.get(callee)?.sum(Math.floor(now / BUCKET_MS)) ?? none;
  }

  /** Of all callees that were called. */
  all(now: number): ReadonlyMap<string, ServiceHealth> {
    this.#sweep(Math.floor(now / BUCKET_MS));
    return new Map([...this.#windows].map(([callee]) => [callee, this.of(callee, now)]));
  }

  #sweep(bucket: number): void {
    for (const [callee, window] of this.#windows) if (window.idle(bucket)) this.#windows.delete(callee);
  }
}
