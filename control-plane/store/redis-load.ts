/**
 * All documents as they are in Redis at one moment. A few come with one command; many are read in pages, since one reply of a hundred
 * thousand would hold Redis for all replicas longer than any command may take, and this process as well. What was written while the
 * pages were read is then taken from the log, so that what comes out is what one look would have seen at the head it names.
 */
import { MeshError } from '../../core/errors.js';
import type { RedisConnection } from './redis-connection.js';
import { pairs, streamEntries, unwrap } from './redis-replies.js';
import { runScript } from './redis-scripts.js';

/** As many as Redis answers in a few milliseconds, of the largest that there are in some tens. */
const PAGE = 1_000;
/** Of the log, read at a time. */
const ENTRIES = 1_000;
/** Rounds of these; whoever writes faster than that is waited out by another load. */
const ROUNDS_MAX = 100;

export interface LoadKeys {
  readonly meta: string;
  readonly documents: string;
  readonly log: string;
}

export interface Loaded {
  readonly dataset: string;
  readonly revision: number;
  /** Of the entry at this revision; empty: unknown. */
  readonly request: string;
  /** Name → `<revision> <document>`, or whatever is there instead. */
  readonly stored: ReadonlyMap<string, string>;
}

interface Head {
  readonly dataset: string;
  readonly revision: number;
  readonly request: string;
}

/** `newDataset`: its name, if it has none yet. Rejects as `Store.load` does. */
export async function loadStored(
  connection: RedisConnection,
  keys: LoadKeys,
  newDataset: string,
): Promise<Loaded> {
  const all = [keys.meta, keys.documents, keys.log];
  const [first] = await runScript(connection, 'load', all, [newDataset, PAGE]);
  const answer = unwrap(first, connection.description);
  const head = headOf(answer);
  const few = Array.isArray(answer) ? answer[3] : undefined;
  if (Array.isArray(few)) return { ...head, stored: new Map(pairs(few)) };
  const stored = await scan(connection, keys.documents);
  return { ...(await catchUp(connection, keys, head, stored)), stored };
}

function headOf(answer: unknown): Head {
  const [dataset, revision, request] = Array.isArray(answer) ? answer : [];
  return { dataset: String(dataset), revision: Number(revision), request: String(request) };
}

async function scan(connection: RedisConnection, key: string): Promise<Map<string, string>> {
  const stored = new Map<string, string>();
  let cursor = '0';
  do {
    const [reply] = await connection.send(['hscan', key, cursor, 'count', PAGE]);
    const page = unwrap(reply, connection.description, key);
    const [next, fields] = Array.isArray(page) ? page : [];
    // A page may say again what another one said, and then something newer.
    for (const [name, text] of pairs(fields)) stored.set(name, text);
    cursor = String(next ?? '0');
  } while (cursor !== '0');
  return stored;
}

/** Brings what was scanned from `head` on to the head of now, and answers that. */
async function catchUp(
  connection: RedisConnection,
  { meta, documents, log }: LoadKeys,
  head: Head,
  stored: Map<string, string>,
): Promise<Head> {
  let { revision } = head;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const before = revision;
    const range = ['xrange', log, `(${revision}-0`, '+', 'count', ENTRIES] as const;
    const [now, entries] = await runScript(
      connection,
      'load',
      [meta, documents, log],
      [head.dataset, 0],
      range,
    );
    const present = headOf(unwrap(now, connection.description));
    if (present.dataset !== head.dataset || present.revision < revision) break;
    for (const { number, fields } of streamEntries(unwrap(entries, connection.description, log))) {
      if (number > present.revision) break;
      if (number !== revision + 1) throw changing(connection);
      revision = number;
      apply(stored, number, fields);
    }
    if (revision === present.revision) return present;
    if (revision === before) break;
  }
  throw changing(connection);
}

function apply(stored: Map<string, string>, revision: number, fields: ReadonlyMap<string, string>): void {
  const name = fields.get('name');
  if (name === undefined) return;
  const document = fields.get('document');
  const known = stored.get(name);
  // The pages may have seen what came after this.
  if (known !== undefined && Number(/^(\d+) /.exec(known)?.[1]) > revision) return;
  if (document === undefined) stored.delete(name);
  else stored.set(name, `${revision} ${document}`);
}

function changing({ description }: RedisConnection): MeshError {
  return new MeshError('store_unavailable', 'changed while it was read; it is read again', {
    target: description,
  });
}
