/**
 * The names and types of everything we keep in Redis. All keys of a mesh begin with `{sg:<mesh>}:`, and the braces put them in
 * one slot of a Redis Cluster, so that one script can touch them together. A policy's name comes last in a key and cannot
 * change its slot.
 */

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
  /** As those two: what replicas claim of limits of the mesh. */
  rates: 'hash',
  'rates-freshness': 'zset',
} as const;

export type KeyName = keyof typeof keyTypes;

export class RedisKeys {
  readonly prefix: string;

  constructor(mesh: string) {
    this.prefix = `{sg:${mesh}}:`;
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

  /** Whether a key beneath the prefix is one of ours by its name. */
  isOurs(key: string): boolean {
    const rest = key.slice(this.prefix.length);
    return Object.hasOwn(keyTypes, rest) || rest.startsWith('history:') || rest.startsWith('request:');
  }
}
