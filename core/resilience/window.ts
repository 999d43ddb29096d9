/**
 * What the last calls came to: a time window of buckets, or a ring of the last outcomes, with running totals. Buckets expire
 * by elapsed steps, on read and on write, never one per call, so an hour of idleness empties the window at once. Recording
 * allocates nothing and sets no timer.
 */
import type { WindowSpec } from '../policy/model.js';

export interface Window {
  /** Finished calls within the window, as of the last `record` or `expire`. */
  readonly calls: number;
  readonly failed: number;
  /** Calls that took at least the slow-call duration, failed ones included. */
  readonly slow: number;
  /** Above 0 if any failed or was slow. */
  readonly bad: number;
  record(now: number, failed: boolean, slow: boolean): void;
  /** Drops what has left the window by `now`. */
  expire(now: number): void;
  clear(now: number): void;
}

export function createWindow(spec: WindowSpec, now: number): Window {
  return spec.kind === 'time'
    ? new TimeWindow(spec.durationMs, spec.buckets, now)
    : new CountWindow(spec.calls);
}

/** Whether a change from one to the other needs a fresh window. */
export function sameShape(a: WindowSpec, b: WindowSpec): boolean {
  if (a.kind === 'time') return b.kind === 'time' && a.durationMs === b.durationMs && a.buckets === b.buckets;
  return b.kind === 'count' && a.calls === b.calls;
}

/** Counters in one array: calls, failed, slow of each bucket in turn. */
const FIELDS = 3;

/**
 * The present bucket is counted in plain fields, so that a success costs one addition; they go into the array, and the total of
 * the buckets before it is taken anew, when it ends. The array is made when the first bucket ends: what is idle has none.
 */
export class TimeWindow implements Window {
  bad = 0;
  /** The present bucket. */
  #calls = 0;
  #failed = 0;
  #slow = 0;
  /** The buckets before it, together. */
  #pastCalls = 0;
  #pastFailed = 0;
  #pastSlow = 0;
  #counts: Uint32Array | undefined;
  readonly #bucketMs: number;
  readonly #buckets: number;
  /** Number of the present bucket since time zero, and when it ends. */
  #bucket: number;
  #endsAt: number;

  constructor(durationMs: number, buckets: number, now: number) {
    this.#bucketMs = durationMs / buckets;
    this.#buckets = buckets;
    this.#bucket = Math.floor(now / this.#bucketMs);
    this.#endsAt = (this.#bucket + 1) * this.#bucketMs;
  }

  get calls(): number {
    return this.#calls + this.#pastCalls;
  }

  get failed(): number {
    return this.#failed + this.#pastFailed;
  }

  get slow(): number {
    return this.#slow + this.#pastSlow;
  }

  /** `record(now, false, false)`. */
  succeeded(now: number): void {
    if (now >= this.#endsAt) this.expire(now);
    this.#calls++;
  }

  record(now: number, failed: boolean, slow: boolean): void {
    if (now >= this.#endsAt) this.expire(now);
    this.#calls++;
    if (failed) this.#failed++;
    if (slow) this.#slow++;
    if (failed || slow) this.bad++;
  }

  expire(now: number): void {
    const bucket = Math.floor(now / this.#bucketMs);
    if (bucket <= this.#bucket) return;
    this.#endBucket();
    const steps = Math.min(this.#buckets, bucket - this.#bucket);
    // After a long idleness fewer steps are taken than time has passed: every bucket is empty, so any number fits.
    for (let i = 1; i <= steps; i++) this.#forget((this.#bucket + i) % this.#buckets);
    this.#bucket = bucket;
    this.#endsAt = (bucket + 1) * this.#bucketMs;
    this.bad = this.#pastFailed + this.#pastSlow;
  }

  clear(now: number): void {
    this.#counts = undefined;
    this.#calls = this.#failed = this.#slow = this.bad = 0;
    this.#pastCalls = this.#pastFailed = this.#pastSlow = 0;
    this.#bucket = Math.max(this.#bucket, Math.floor(now / this.#bucketMs));
    this.#endsAt = (this.#bucket + 1) * this.#bucketMs;
  }

  /** The present bucket is the past. */
  #endBucket(): void {
    if (this.#calls === 0) return;
    this.#counts ??= new Uint32Array(this.#buckets * FIELDS);
    const at = (this.#bucket % this.#buckets) * FIELDS;
    this.#counts[at] = this.#calls;
    this.#counts[at + 1] = this.#failed;
    this.#counts[at + 2] = this.#slow;
    this.#pastCalls += this.#calls;
    this.#pastFailed += this.#failed;
    this.#pastSlow += this.#slow;
    this.#calls = this.#failed = this.#slow = 0;
  }

  /** The bucket in this place has left the window. */
  #forget(place: number): void {
    const counts = this.#counts;
    if (!counts) return;
    const at = place * FIELDS;
    this.#pastCalls -= counts[at] as number;
    this.#pastFailed -= counts[at + 1] as number;
    this.#pastSlow -= counts[at + 2] as number;
    counts[at] = counts[at + 1] = counts[at + 2] = 0;
  }
}

const FAILED = 1;
const SLOW = 2;

export class CountWindow implements Window {
  calls = 0;
  failed = 0;
  slow = 0;
  readonly #ring: Uint8Array;
  #next = 0;

  get bad(): number {
    return this.failed + this.slow;
  }

  constructor(calls: number) {
    this.#ring = new Uint8Array(calls);
  }

  record(_now: number, failed: boolean, slow: boolean): void {
    const ring = this.#ring;
    const at = this.#next;
    if (this.calls === ring.length) {
      const evicted = ring[at] as number;
      if (evicted & FAILED) this.failed--;
      if (evicted & SLOW) this.slow--;
    } else {
      this.calls++;
    }
    ring[at] = (failed ? FAILED : 0) | (slow ? SLOW : 0);
    if (failed) this.failed++;
    if (slow) this.slow++;
    this.#next = at + 1 === ring.length ? 0 : at + 1;
  }

  expire(): void {}

  clear(): void {
    this.calls = this.failed = this.slow = this.#next = 0;
  }
}
