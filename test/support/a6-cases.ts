/**
 * The rules of gRFC A6 about one failed attempt, as a table, each with its section: whether another follows, and what a pushback
 * means. Held against the decision alone and, on the wire, against the agent's interceptor. Where this project decides otherwise
 * the row begins with "ours".
 */
import type { RetryStop } from '../../core/resilience/retry.js';
import { retrySpec } from './retrying.js';

/** "retryPolicy": maxAttempts 4, initialBackoff .1s, maxBackoff 1s, backoffMultiplier 2, retryableStatusCodes [UNAVAILABLE]. */
export const retryPolicy = retrySpec({
  attempts: 4,
  on: ['UNAVAILABLE'],
  backoff: { baseMs: 100, maxMs: 1_000 },
});

export interface RetryCase {
  readonly section: string;
  readonly says: string;
  /** Of the attempt that failed; UNAVAILABLE. */
  readonly status?: 'UNAVAILABLE' | 'INTERNAL' | 'INVALID_ARGUMENT';
  /** Values of `grpc-retry-pushback-ms` that came with it. */
  readonly pushback?: readonly string[];
  /** Response headers came before it. */
  readonly headers?: true;
  /** The transport says that it never left. */
  readonly unsent?: true;
  /** Attempts made, this one included; 1. */
  readonly attempts?: number;
  /** Nothing remains of the call's time. */
  readonly late?: true;
  /** Instead of `retryPolicy`'s. */
  readonly on?: readonly string[];
  /** The method may not be repeated. */
  readonly once?: true;
  /** `token_count` before the failure; 10. */
  readonly tokens?: number;
  readonly gives: 'retry' | RetryStop;
}

const MAXIMUM = 'Maximum Number of Retries';
const STATUS = 'Retryable Status Codes';
const VALID = 'When Retries are Valid';
const THROTTLING = 'Throttling Retry Attempts and Hedged RPCs';

export const retryCases: readonly RetryCase[] = [
  {
    section: MAXIMUM,
    says: 'maxAttempts includes the original request: after the third of four there is one more',
    attempts: 3,
    gives: 'retry',
  },
  { section: MAXIMUM, says: 'after the fourth of four there is none', attempts: 4, gives: 'attempts' },
  {
    section: MAXIMUM,
    says: 'the deadline applies across all attempts, regardless of how many were configured',
    late: true,
    gives: 'deadline',
  },
  { section: STATUS, says: 'a status in retryableStatusCodes is tried again', gives: 'retry' },
  {
    section: STATUS,
    says: 'INTERNAL is not, unless the policy names it',
    status: 'INTERNAL',
    gives: 'status',
  },
  {
    section: STATUS,
    says: 'INTERNAL of an idempotent delete is, where the policy names it',
    status: 'INTERNAL',
    on: ['INTERNAL'],
    gives: 'retry',
  },
  {
    section: STATUS,
    says: 'ours, stricter: a method that is not idempotent is tried again only when provably unsent',
    once: true,
    gives: 'not-idempotent',
  },
  {
    section: 'Transparent Retries',
    says: 'a request that never left the client is always safe to retry',
    once: true,
    unsent: true,
    gives: 'retry',
  },
  {
    section: VALID,
    says: 'response headers commit the call, whatever status follows',
    headers: true,
    gives: 'committed',
  },
  { section: VALID, says: 'an error in Trailers-Only does not', gives: 'retry' },
  {
    section: VALID,
    says: 'a committed call is not retried even where the server names a wait',
    headers: true,
    pushback: ['10'],
    gives: 'committed',
  },
  {
    section: 'Pushback',
    says: 'exhausted maxAttempts win over a server that says to retry',
    attempts: 4,
    pushback: ['10'],
    gives: 'attempts',
  },
  {
    section: 'Summary 3.1',
    says: 'a fatal status is returned to the application',
    status: 'INVALID_ARGUMENT',
    gives: 'status',
  },
  {
    section: 'Summary 4.1',
    says: 'pushback "don’t retry" is returned to the application',
    pushback: ['-1'],
    gives: 'pushback',
  },
  {
    section: THROTTLING,
    says: 'above maxTokens / 2 after the failure is counted: retried',
    tokens: 6.1,
    gives: 'retry',
  },
  {
    section: THROTTLING,
    says: 'equal to maxTokens / 2: returned, not blocked',
    tokens: 6,
    gives: 'throttled',
  },
  {
    section: THROTTLING,
    says: 'a wait that the server names does not get around the throttle',
    pushback: ['10'],
    tokens: 6,
    gives: 'throttled',
  },
];

export interface PushbackCase {
  readonly says: string;
  /** Of `grpc-retry-pushback-ms`. */
  readonly values: readonly string[];
  /** Milliseconds to wait; none: as if there were no such header. */
  readonly gives: number | 'stop' | 'none';
}

export const pushbackCases: readonly PushbackCase[] = [
  { says: 'absent', values: [], gives: 'none' },
  { says: 'a wait', values: ['1500'], gives: 1_500 },
  { says: 'no wait', values: ['0'], gives: 0 },
  { says: 'the largest signed 32-bit integer', values: ['2147483647'], gives: 2_147_483_647 },
  { says: 'more than a signed 32-bit integer', values: ['2147483648'], gives: 'stop' },
  { says: 'negative', values: ['-1'], gives: 'stop' },
  { says: 'the smallest signed 32-bit integer', values: ['-2147483648'], gives: 'stop' },
  { says: 'unparseable (grpc-js retries here)', values: ['abc'], gives: 'stop' },
  { says: 'empty', values: [''], gives: 'stop' },
  { says: 'unnecessary leading zeros', values: ['007'], gives: 'stop' },
  { says: 'a fraction', values: ['1.5'], gives: 'stop' },
  { says: 'blanks', values: [' 10'], gives: 'stop' },
  { says: 'several values, of which A6 says nothing (as grpc-go)', values: ['10', '20'], gives: 'stop' },
  { says: 'several values in one', values: ['10,20'], gives: 'stop' },
];

export function title({ section, says }: { readonly section: string; readonly says: string }): string {
  return `${section}: ${says}`;
}
