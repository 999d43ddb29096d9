/**
 * What is read from Redis, believed only where it has the shape we write. Everything else is named as a fault and left alone:
 * the keys may have been touched by people and by other programs.
 */
import type { Issue } from '../../core/errors.js';
import type { RedisConnection } from './redis-connection.js';
import type { RedisKeys } from './redis-keys.js';
import { type StreamEntry, texts } from './redis-replies.js';
import { isAuditEntry, isHistoryEntry, isJsonObject, isRevision } from './shapes.js';
import type { AuditEntry, HistoryEntry, StoredDocument } from './store.js';

/** From the fields of the hash `key`, each `<revision> <document>`. */
export function storedDocuments(
  key: string,
  fields: ReadonlyMap<string, string>,
): { documents: StoredDocument[]; faults: Issue[] } {
  const documents: StoredDocument[] = [];
  const faults: Issue[] = [];
  for (const [name, stored] of fields) {
    const blank = stored.indexOf(' ');
    const digits = stored.slice(0, Math.max(0, blank));
    const revision = /^\d+$/.test(digits) ? Number(digits) : Number.NaN;
    const document = stored.slice(blank + 1);
    const path = `${key} ${name}`;
    if (!isRevision(revision))
      faults.push({
        path,
        message: 'does not begin with a revision; it is skipped, put the policy anew to replace it',
      });
    else if (!isJsonObject(document))
      faults.push({
        path,
        message: `is not a JSON object at revision ${revision}; it is skipped, put the policy anew`,
      });
    else documents.push({ name, revision, document });
  }
  return { documents, faults };
}

export function historyEntry(name: string, { number, fields }: StreamEntry): HistoryEntry | undefined {
  const entry = {
    revision: number,
    name,
    document: fields.get('document') ?? null,
    author: fields.get('author'),
    action: fields.get('action'),
    at: Number(fields.get('at')),
  };
  return isHistoryEntry(entry) ? entry : undefined;
}

export function auditEntry({ number, fields }: StreamEntry): AuditEntry | undefined {
  const entry = {
    id: String(number),
    at: Number(fields.get('at')),
    author: fields.get('author'),
    action: fields.get('action'),
    changes: changesOf(fields.get('changes')),
  };
  return isAuditEntry(entry) ? entry : undefined;
}

function changesOf(text: string | undefined): unknown {
  const list = parseJson(text ?? '');
  if (!Array.isArray(list)) return undefined;
  return list.map((item) => {
    const [name, revision, previous] = Array.isArray(item) ? item : [];
    return { name, revision: Number(revision), previous: previous === '' ? null : Number(previous) };
  });
}

/** The value, or undefined for what is no JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Bounds what a look around costs on a Redis that is full of other people's keys. */
const SCAN = { steps: 20, keysEach: 500 };
const FOREIGN_MAX = 20;

/**
 * Keys in our name space that are none of ours, as far as a bounded look finds them; empty where SCAN is forbidden or fails. They harm
 * nobody, but whoever put them there expects something of them.
 */
export async function foreignKeys(connection: RedisConnection, keys: RedisKeys): Promise<Issue[]> {
  const found = new Set<string>();
  let cursor = '0';
  for (let step = 0; step < SCAN.steps; step += 1) {
    const [reply] = await connection.send(['scan', cursor, 'match', keys.pattern, 'count', SCAN.keysEach]);
    if (!reply || 'error' in reply || !Array.isArray(reply.value)) return [];
    for (const key of texts(reply.value[1])) if (!keys.isOurs(key)) found.add(key);
    cursor = String(reply.value[0]);
    if (cursor === '0' || found.size >= FOREIGN_MAX) break;
  }
  return [...found].slice(0, FOREIGN_MAX).map((path) => ({
    path,
    message: 'is not a key of ours; it is ignored, move it out of this name space',
  }));
}
