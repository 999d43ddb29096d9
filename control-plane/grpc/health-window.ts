/**
 * Calls to each service over the last ten seconds, as its callers report them: ten buckets of a second for each callee that
 * anybody calls. Buckets expire by elapsed time, on read and on write; callees nobody calls any more are swept.
 */
import type { ServiceHealth } from '../ports.js';

const BUCKETS = 10;
const BUCKET_MS = 1000;
const CALLEES_MAX = 10_000;

class Window {
  /** calls, failed, rejected of each bucket. */
  readonly #counts = new Float64Array(BUCKETS * 3);
  #bucket: number;

  constructor(bucket: number) {
    this.#bucket = bucket;
  }

  add(bucket: number, calls: number, failed: number, rejected: number): void {
    this.#advance(bucket);
    const at = (this.#bucket % BUCKETS) * 3;
    const counts = this.#counts;
    counts[at] = (counts[at] ?? 0) + calls;
    counts[at + 1] = (counts[at + 1] ?? 0) + failed;
    counts[at + 2] = (counts[at + 2] ?? 0) + rejected;
  }

  sum(bucket: number): ServiceHealth {
    this.#advance(bucket);
    const sums = [0, 0, 0];
    this.#counts.forEach((count, at) => {
      sums[at % 3] = (sums[at % 3] ?? 0) + count;
    });
    const [calls = 0, failed = 0, rejected = 0] = sums;
    return { calls, failed, rejected };
  }

  idle(bucket: number): boolean {
    return bucket - this.#bucket >= BUCKETS;
  }

  #advance(bucket: number): void {
    const steps = Math.min(BUCKETS, bucket - this.#bucket);
    for (let step = 1; step <= steps; step++) {
      const at = ((this.#bucket + step) % BUCKETS) * 3;
      this.#counts.fill(0, at, at + 3);
    }
    if (steps > 0) this.#bucket = bucket;
  }
}

export class HealthWindow {
  readonly #windows = new Map<string, Window>();

  record(callee: string, seen: { ok: number; failed: number; rejected: number }, now: number): void {
    const bucket = Math.floor(now / BUCKET_MS);
    let window = this.#windows.get(callee);
    if (!window) {
      if (this.#windows.size >= CALLEES_MAX) this.#sweep(bucket);
      if (this.#windows.size >= CALLEES_MAX) return;
      window = new Window(bucket);
      this.#windows.set(callee, window);
    }
    window.add(bucket, seen.ok + seen.failed, seen.failed, seen.rejected);
  }

  of(callee: string, now: number): ServiceHealth {
    return (
      this.#windows.get(callee)?.sum(Math.floor(now / BUCKET_MS)) ?? { calls: 0, failed: 0, rejected: 0 }
    );
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
