/**
 * Which requests are the same, for the last good answer that a policy falls back to: method, path and every header that may tell
 * callers apart, their credentials among them. Only of a request that changes nothing is an answer kept.
 */
import { volatileNames } from '../inherited.js';

/** RFC 9110, as far as an answer is worth keeping. */
export function isSafe(method = 'GET'): boolean {
  return /^(GET|HEAD)$/i.test(method);
}

/** Its answer has no body, whatever its headers say of one. */
export function isHead(method: string): boolean {
  return /^HEAD$/i.test(method);
}

/** What it is, in parts; undefined: no answer to it is kept. */
export function requestKeyOf(path: string, { method, headers }: RequestInit): readonly string[] | undefined {
  if (!isSafe(method)) return undefined;
  const parts = [(method ?? 'GET').toUpperCase(), path];
  // By name, as Headers has them.
  for (const [name, value] of new Headers(headers)) if (!volatileNames.has(name)) parts.push(name, value);
  return parts;
}
