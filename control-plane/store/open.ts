/**
 * From the text of `--store` to an open store. The client for Redis is loaded only when it is asked for: who runs on the
 * embedded store never pays for it.
 */
import { join } from 'node:path';
import { type Clock, systemClock } from '../../core/clock.js';
import { MeshError } from '../../core/errors.js';
import { type Random, systemRandom } from '../../core/random.js';
import { type Logger, silentLogger } from '../telemetry/logger.js';
import { openLevelStore } from './level.js';
import { openClassicDatabase, openMemoryDatabase } from './level-database.js';
import { describeLocation, parseLocation } from './location.js';
import { openRedisStore } from './redis.js';
import type { Store } from './store.js';

export interface StoreOptions {
  /** Namespace of the data: `[a-z0-9][a-z0-9._-]{0,127}`; in an embedded store, a directory beneath DIR. */
  readonly mesh: string;
  /** Name of this replica, for the connections' names in Redis. */
  readonly replica: string;
  readonly clock?: Clock;
  readonly random?: Random;
  readonly logger?: Logger;
}

/**
 * Opens `memory`, `embedded:DIR`, `redis://…`, `rediss://…`, `redis-sentinel://h1,h2/NAME` or `redis-cluster://h1,h2`.
 * Rejects with `invalid_configuration` (the text, or a directory that cannot be used), `store_locked`, `store_corrupt`. A
 * Redis that is away is no error: the store is there, answers `store_unavailable`, and its watch tells when it comes.
 */
export async function openStore(
  url: string,
  { mesh, replica, clock = systemClock, random = systemRandom, logger = silentLogger }: StoreOptions,
): Promise<Store> {
  const location = parseLocation(url);
  const description = describeLocation(location);
  if (!/^[a-z0-9][a-z0-9._-]{0,127}$/.test(mesh))
    throw new MeshError(
      'invalid_configuration',
      `mesh "${mesh}" (--mesh, SWITCHGEAR_MESH): use 1 to 128 of a-z 0-9 . _ - that begin with a letter or digit`,
    );
  const common = { description, clock, random, logger };
  switch (location.kind) {
    case 'memory':
      return openLevelStore(await openMemoryDatabase(), { kind: 'memory', ...common });
    case 'embedded': {
      const db = await openClassicDatabase(join(location.directory, mesh));
      return openLevelStore(db, { kind: 'embedded', ...common });
    }
    default: {
      const { Cluster, Redis } = await import('ioredis');
      return openRedisStore(location, { clients: { Cluster, Redis }, mesh, replica, ...common });
    }
  }
}
