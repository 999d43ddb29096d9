/**
 * How long to wait before a retry: exponential, with full jitter (gRFC A6, "Exponential Backoff"; Envoy's 25 ms to 250 ms by
 * default). Full, since anything less lets callers that failed together come back together. Never more than the maximum and
 * never anything but a finite number, however often it has failed.
 */
import type { RetrySpec } from '../policy/model.js';
import type { Random } from '../random.js';

/** Doublings beyond this change nothing: 2^52 times the smallest base is above every maximum. It keeps 2^n finite. */
const DOUBLINGS_MAX = 52;

/** Uniform in [0, min(base × 2^(n−1), max)) for the n-th retry, counted from 1. Milliseconds, fractional. */
export function backoffMs(spec: RetrySpec['backoff'], retryNumber: number, random: Random): number {
  const doublings = Math.min(Math.max(0, retryNumber - 1), DOUBLINGS_MAX);
  return random.next() * Math.min(spec.baseMs * 2 ** doublings, spec.maxMs);
}
