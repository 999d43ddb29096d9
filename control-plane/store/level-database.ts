/**
 * The few things that `level.ts` asks of an ordered key-value database, and the two that give them: classic-level in a
 * directory of ours, memory-level in memory. Opening classic-level takes an exclusive lock that the system drops with the
 * process, however it ends. No other file knows either package.
 */
import { ClassicLevel } from 'classic-level';
import { MemoryLevel } from 'memory-level';
import { type ErrorCode, MeshError, messageOf } from '../../core/errors.js';
import type { Durability } from './store.js';

export type Change =
  | { readonly type: 'put'; readonly key: string; readonly value: string }
  | { readonly type: 'del'; readonly key: string };

export interface Range {
  readonly gt?: string;
  readonly gte?: string;
  readonly lt?: string;
  readonly reverse?: boolean;
  readonly limit?: number;
}

export interface Database {
  /** What a synced batch is worth. */
  readonly durability: Durability;
  /** All or nothing; `sync` waits until it is on the disk. */
  batch(changes: readonly Change[], options: { sync: boolean }): Promise<void>;
  getMany(keys: readonly string[]): Promise<readonly (string | undefined)[]>;
  /** In the order of the keys' bytes. */
  range(range: Range): Promise<readonly (readonly [key: string, value: string])[]>;
  close(): Promise<void>;
}

export async function openMemoryDatabase(): Promise<Database> {
  const db = new MemoryLevel<string, string>({ storeEncoding: 'utf8' });
  await db.open();
  return {
    durability: 'memory',
    batch: (changes) => db.batch([...changes]),
    getMany: (keys) => db.getMany([...keys]),
    range: (range) => db.iterator(range).all(),
    close: () => db.close(),
  };
}

/**
 * Opens or creates the database in `directory`. Rejects with `store_locked` if another process has it, `store_corrupt` if
 * its files are damaged, `invalid_configuration` if the directory cannot be used.
 */
export async function openClassicDatabase(directory: string): Promise<Database> {
  const db = new ClassicLevel<string, string>(directory);
  try {
    await db.open();
  } catch (error) {
    throw openError(directory, error);
  }
  return {
    durability: 'fsync',
    batch: (changes, { sync }) => db.batch([...changes], { sync }),
    getMany: (keys) => db.getMany([...keys]),
    range: (range) => db.iterator(range).all(),
    close: () => db.close(),
  };
}

function openError(directory: string, error: unknown): MeshError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : '';
  const [ours, text]: [ErrorCode, string] =
    code === 'LEVEL_LOCKED'
      ? [
          'store_locked',
          'another process has this store open; stop that process, or give this one a directory of its own with --store embedded:DIR',
        ]
      : code === 'LEVEL_CORRUPTION'
        ? [
            'store_corrupt',
            `its files are damaged (${messageOf(cause)}); restore the directory from a backup, or move it away to start empty`,
          ]
        : [
            'invalid_configuration',
            `cannot be used as a store (${messageOf(cause)}); --store embedded:DIR needs a directory that this process may create and write`,
          ];
  return new MeshError(ours, text, { target: directory, cause });
}
