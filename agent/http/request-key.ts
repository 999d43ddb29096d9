/**
 * Which requests are the same, for the last good answer that a policy falls back to: method, path and every header that may tell
 * callers apart, their credentials among them. Only of a request that changes nothing is an answer kept.
 */
import { createHash } from 'node:crypto';
import { CRITICALITY_KEY } from '../inherited.js';

/** Differs from call to call whoever asks. */
const volatile: ReadonlySet<string> = new Set([CRITICALITY_KEY, 'traceparent', 'tracestate', 'x-request-id']);

/** RFC 9110, as far as an answer is worth keeping. */
export function isSafe(method = 'GET'): boolean {
  return /^(GET|HEAD)$/i.test(method);
}

/** Undefined: no answer to it is kept. */
export function requestKeyOf(path: string, { method, headers }: RequestInit): string | undefined {
  if (!isSafe(method)) return undefined;
  const parts = [(method ?? 'GET').toUpperCase(), path];
  // By name, as Headers has them.
  for (const [name, value] of new Headers(headers)) if (!volatile.has(name)) parts.push(name, value);
  // Lengths first, so that no part can pass for two.
  const whole = `${parts.map(({ length }) => length).join()}|${parts.join('|')}`;
  return createHash('sha256').update(whole).digest('base64');
}
