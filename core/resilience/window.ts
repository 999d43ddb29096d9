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

export class TimeWindow implements Window {
  calls = 0;
  failed = 0;
  slow = 0;
  private readonly counts: Uint32Array;
  private readonly bucketMs: number;
  private readonly buckets: number;
  /** Number of the current bucket since time zero, its place in `counts`, and when it ends. */
  private bucket = 0;
  private at = 0;
  private endsAt = 0;

  constructor(durationMs: number, buckets: number, now: number) {
    this.counts = new Uint32Array(buckets * FIELDS);
    this.bucketMs = durationMs / buckets;
    this.buckets = buckets;
    this.moveTo(Math.floor(now / this.bucketMs));
  }

  record(now: number, failed: boolean, slow: boolean): void {
    if (now >= this.endsAt) this.expire(now);
    const { counts, at } = this;
    counts[at] = (counts[at] as number) + 1;
    this.calls++;
    if (failed) {
      counts[at + 1] = (counts[at + 1] as number) + 1;
      this.failed++;
    }
    if (slow) {
      counts[at + 2] = (counts[at + 2] as number) + 1;
      this.slow++;
    }
  }

  expire(now: number): void {
    const bucket = Math.floor(now / this.bucketMs);
    const steps = Math.min(this.buckets, bucket - this.bucket);
    const { counts } = this;
    for (let i = 1; i <= steps; i++) {
      const at = ((this.bucket + i) % this.buckets) * FIELDS;
      this.calls -= counts[at] as number;
      this.failed -= counts[at + 1] as number;
      this.slow -= counts[at + 2] as number;
      counts[at] = counts[at + 1] = counts[at + 2] = 0;
    }
    // After a long idleness fewer steps were taken than time has passed: every bucket is empty, so any number fits.
    if (steps > 0) this.moveTo(bucket);
  }

  clear(now: number): void {
    this.counts.fill(0);
    this.calls = this.failed = this.slow = 0;
    this.moveTo(Math.max(this.bucket, Math.floor(now / this.bucketMs)));
  }

  private moveTo(bucket: number): void {
    this.bucket = bucket;
    this.at = (bucket % this.buckets) * FIELDS;
    this.endsAt = (bucket + 1) * this.bucketMs;
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
