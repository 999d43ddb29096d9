/**
 * The keys of the level store. All are ASCII, so that their order is that of the numbers and names in them; a name is
 * percent-encoded, so that no name can reach out of its place. Values are JSON; what cannot be read is a fault, never a crash.
 */
import { type Issue, messageOf } from '../../core/errors.js';

/** Revisions up to 2^53 have 16 digits. */
const DIGITS = 16;

function padded(revision: number): string {
  return String(revision).padStart(DIGITS, '0');
}

export const keys = {
  dataset: 'meta/dataset',
  record: (name: string) => `record/${encodeURIComponent(name)}`,
  log: (revision: number) => `log/${padded(revision)}`,
  history: (name: string, revision: number) => `history/${encodeURIComponent(name)}/${padded(revision)}`,
  audit: (number: number) => `audit/${padded(number)}`,
  request: (id: string) => `request/${encodeURIComponent(id)}`,
  instance: (id: string) => `instance/${encodeURIComponent(id)}`,
  interest: (service: string) => `interest/${encodeURIComponent(service)}`,
  circuit: (id: string) => `circuit/${encodeURIComponent(id)}`,
} as const;

/** Every key that begins with `prefix/`. */
export function under(prefix: keyof typeof keys): { gt: string; lt: string } {
  return { gt: `${prefix}/`, lt: `${prefix}0` };
}

/** The name behind a key of one part; the key itself where it is not one of ours. */
export function nameOf(key: string): string {
  try {
    return decodeURIComponent(key.slice(key.indexOf('/') + 1));
  } catch {
    return key;
  }
}

export function encode(value: unknown): string {
  return JSON.stringify(value);
}

/** A stored value of the wanted shape, or what is wrong with it. */
export function decode<T>(key: string, text: string, check: (value: unknown) => value is T): T | Issue {
  try {
    const value: unknown = JSON.parse(text);
    return check(value)
      ? value
      : { path: key, message: 'is not of the form that is stored here; it is skipped' };
  } catch (error) {
    return { path: key, message: `is not JSON (${messageOf(error)}); it is skipped` };
  }
}

export function isIssue(value: object): value is Issue {
  return 'message' in value && 'path' in value;
}
