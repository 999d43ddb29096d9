/**
 * The names and types of everything we keep in Redis. All keys of a mesh begin with `{sg:<mesh>}:`, and the braces put them in
 * one slot of a Redis Cluster, so that one script can touch them together. A policy's name comes last in a key and cannot
 * change its slot. What is busy, accounts and records of the mesh's circuits, lies in 64 shards `{sg:<mesh>:<n>}:` with a slot
 * each, so that a Redis Cluster spreads it; no mesh has a colon in its name.
 */
import { SHARDS } from './health-request.js';

/** Redis' own word for each key's type: what `TYPE` answers. */
export const keyTypes = {
  /** dataset; head, registry and audit: the last numbers of the streams; expire: when leases were last looked through. */
  meta: 'hash',
  /** name → `<revision> <document>`. */
  documents: 'hash',
  /** `<revision>-0`: name, document (absent: deleted), request. */
  log: 'stream',
  /** `<number>-0`: author, action, at, changes. */
  audit: 'stream',
  /** Names whose history outlives them, by the revision of their deletion. */
  deleted: 'zset',
  /** id → instance. */
  instances: 'hash',
  /** id → deadline on Redis' clock, milliseconds. */
  leases: 'zset',
  /** service → callees. */
  interests: 'hash',
  /** `<number>-0`: event. */
  registry: 'stream',
  /** replica → body. */
  summaries: 'hash',
  /** replica → deadline. */
  freshness: 'zset',
  /** As those two: who is connected, in pages `<replica> <page>`. */
  pages: 'hash',
  'pages-freshness': 'zset',
  /** And what replicas claim of limits of the mesh. */
  rates: 'hash',
  'rates-freshness': 'zset',
  /** number of a shard that holds something → deadline. */
  shards: 'hash',
} as const;

export type KeyName = keyof typeof keyTypes;

/** Of each shard. */
const shardKeyTypes = {
  /** `<replica>\n<circuit>` → `<deadline> <account>`. */
  health: 'hash',
  /** circuit → `<seq> <deadline> <record>`. */
  circuits: 'hash',
} as const;

export class RedisKeys {
  readonly prefix: string;
  readonly #shardPrefix: string;

  constructor(mesh: string) {
    this.prefix = `{sg:${mesh}}:`;
    this.#shardPrefix = `{sg:${mesh}:`;
  }

  /** For SCAN: what begins like a key of this mesh. */
  get pattern(): string {
    return `${this.prefix.slice(0, -2).replace(/[[\]?*\\]/g, '\\$&')}[:}]*`;
  }

  of(...names: KeyName[]): string[] {
    return names.map((name) => this.prefix + name);
  }

  /** A stream `<revision>-0`: document (absent: deleted), author, action, at. */
  history(name: string): string {
    return `${this.prefix}history:${name}`;
  }

  /** A string that expires: the answer to a request id. */
  request(id: string): string {
    return `${this.prefix}request:${id}`;
  }

  /** Of the shard `n`, 0 to 63. */
  shard(name: keyof typeof shardKeyTypes, n: number): string {
    return `${this.#shardPrefix}${n}}:${name}`;
  }

  /** Whether a key of the pattern is one of ours by its name. */
  isOurs(key: string): boolean {
    if (key.startsWith(this.#shardPrefix)) {
      const [, n, name = ''] = /^(0|[1-9]\d?)\}:(.*)$/s.exec(key.slice(this.#shardPrefix.length)) ?? [];
      return n !== undefined && Number(n) < SHARDS && Object.hasOwn(shardKeyTypes, name);
    }
    const rest = key.slice(this.prefix.length);
    return Object.hasOwn(keyTypes, rest) || rest.startsWith('history:') || rest.startsWith('request:');
  }
}
