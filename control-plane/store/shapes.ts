/**
 * Whether something read from a store has the shape that we once wrote. Stores are shared with people and other programs, so
 * nothing read is believed before it passed one of these.
 */
import type { AuditEntry, HistoryEntry, Instance, LogEntry } from './store.js';

type Fields = Readonly<Record<string, unknown>>;

export function isRecord(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isRevision(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

export function isStrings(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

const instanceStrings = ['id', 'service', 'instance', 'address', 'protocol', 'zone', 'version', 'replica'];
const instanceNumbers = ['boot', 'weight', 'registeredAt'];

export function isInstance(value: unknown): value is Instance {
  return (
    isRecord(value) &&
    instanceStrings.every((field) => typeof value[field] === 'string') &&
    instanceNumbers.every((field) => Number.isFinite(value[field]))
  );
}

export function isHistoryEntry(value: unknown): value is HistoryEntry {
  return (
    isRecord(value) &&
    isRevision(value.revision) &&
    typeof value.name === 'string' &&
    (value.document === null || typeof value.document === 'string') &&
    typeof value.author === 'string' &&
    typeof value.action === 'string' &&
    Number.isFinite(value.at)
  );
}

export function isAuditEntry(value: unknown): value is AuditEntry {
  return (
    isRecord(value) &&
    typeof value.id === 'string' &&
    Number.isFinite(value.at) &&
    typeof value.author === 'string' &&
    typeof value.action === 'string' &&
    Array.isArray(value.changes) &&
    value.changes.every(
      (change) =>
        isRecord(change) &&
        typeof change.name === 'string' &&
        isRevision(change.revision) &&
        (change.previous === null || isRevision(change.previous)),
    )
  );
}

/** The text of a JSON object: the least that a document must be; what is in it is the policy parser's business. */
export function isJsonObject(text: string): boolean {
  try {
    return isRecord(JSON.parse(text));
  } catch {
    return false;
  }
}

export function isLogEntry(value: unknown): value is LogEntry {
  return (
    isRecord(value) &&
    isRevision(value.revision) &&
    typeof value.name === 'string' &&
    (value.document === null || typeof value.document === 'string')
  );
}
