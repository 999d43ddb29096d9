/**
 * Reads a level database into a ledger at the start, and again after a batch whose fate is unknown: then the disk alone says
 * what holds. Everything that cannot be read becomes a fault and stays where it is.
 */
import type { Issue } from '../../core/errors.js';
import type { Database } from './level-database.js';
import type { KeptRecord } from './level-health.js';
import { decode, isIssue, keys, nameOf, under } from './level-keys.js';
import type { Ledger, Remembered, Row, StoredAnswer, Time } from './level-ledger.js';
import { REQUEST_TTL_MS } from './limits.js';
import { isInstance, isRecord, isRevision, isStrings } from './shapes.js';
import type { Instance } from './store.js';

export interface Loaded {
  readonly ledger: Ledger;
  readonly instances: readonly { readonly instance: Instance; readonly ttlMs: number }[];
  readonly interests: readonly (readonly [service: string, callees: readonly string[]])[];
  /** Records of the mesh's circuits. */
  readonly circuits: readonly KeptRecord[];
  /** Of requests, instances, interests and records of circuits. */
  readonly faults: readonly Issue[];
}

/** `fresh` is the dataset's name if the database is new. */
export async function loadLevel(
  db: Database,
  { fresh, now, wallNow }: Time & { readonly fresh: string },
): Promise<Loaded> {
  const read = async <T>(prefix: Prefix, check: Check<T>) => {
    const good: { name: string; value: T }[] = [];
    const bad: Issue[] = [];
    for (const [key, text] of await db.range(under(prefix))) {
      const value = decode(key, text, check);
      if (typeof value === 'object' && value !== null && isIssue(value)) bad.push(value);
      else good.push({ name: nameOf(key), value: value as T });
    }
    return { good, bad };
  };

  const [stored] = await db.getMany([keys.dataset]);
  const dataset = stored ?? fresh;
  if (stored === undefined)
    await db.batch([{ type: 'put', key: keys.dataset, value: fresh }], { sync: true });

  const records = await read('record', isRow);
  const rows = new Map(records.good.map(({ value }) => [value.name, value]));
  const deleted = new Set(
    [...rows.values()]
      .filter(({ document }) => document === null)
      .sort((a, b) => a.revision - b.revision)
      .map(({ name }) => name),
  );
  const damaged = new Map(records.bad.map((issue) => [nameOf(issue.path), issue]));
  const requests = await read('request', isStoredAnswer);
  const instances = await read('instance', isLease);
  const interests = await read('interest', isStrings);
  const circuits = await read('circuit', isKeptRecord);
  return {
    ledger: {
      dataset,
      head: await lastNumber(db, 'log'),
      audits: await lastNumber(db, 'audit'),
      rows,
      deleted,
      damaged,
      requests: remembered(requests.good, { now, wallNow }),
    },
    instances: instances.good.map(({ value }) => value),
    interests: interests.good.map(({ name, value }) => [name, value]),
    circuits: circuits.good.map(({ value }) => value),
    faults: [...requests.bad, ...instances.bad, ...interests.bad, ...circuits.bad],
  };
}

type Prefix = 'record' | 'request' | 'instance' | 'interest' | 'circuit';
type Check<T> = (value: unknown) => value is T;

/** The log and the audit are never emptied, so their last keys hold the numbers. */
async function lastNumber(db: Database, prefix: 'log' | 'audit'): Promise<number> {
  const [last] = await db.range({ ...under(prefix), reverse: true, limit: 1 });
  return last ? Number(nameOf(last[0])) : 0;
}

/** Ages come from the wall clock, the only one that survives a restart; a clock set back makes them younger, never negative. */
function remembered(
  stored: readonly { name: string; value: StoredAnswer }[],
  { now, wallNow }: Time,
): Map<string, Remembered> {
  const entries = stored.map(({ name, value: { at, ...answer } }): [string, Remembered] => {
    const ageMs = Math.min(REQUEST_TTL_MS, Math.max(0, wallNow - at));
    return [name, { ...answer, expiresAt: now + REQUEST_TTL_MS - ageMs }];
  });
  return new Map(entries.sort(([, a], [, b]) => a.expiresAt - b.expiresAt));
}

function isRow(value: unknown): value is Row {
  return (
    isRecord(value) &&
    typeof value.name === 'string' &&
    isRevision(value.revision) &&
    (value.document === null || typeof value.document === 'string') &&
    Array.isArray(value.history) &&
    value.history.every(isRevision)
  );
}

function isStoredAnswer(value: unknown): value is StoredAnswer {
  return (
    isRecord(value) &&
    typeof value.fingerprint === 'string' &&
    Number.isFinite(value.at) &&
    Number.isSafeInteger(value.head) &&
    Array.isArray(value.outcomes)
  );
}

function isLease(value: unknown): value is { instance: Instance; ttlMs: number } {
  return isRecord(value) && isInstance(value.instance) && Number.isFinite(value.ttlMs);
}

function isKeptRecord(value: unknown): value is KeptRecord {
  return (
    isRecord(value) &&
    typeof value.circuit === 'string' &&
    isRevision(value.seq) &&
    typeof value.body === 'string' &&
    Number.isFinite(value.ttlMs)
  );
}
