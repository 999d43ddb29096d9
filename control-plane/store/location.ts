/**
 * Where the data is, as a user writes it in `--store`: one line of text becomes one of these values, or a message that names
 * what would be right. The text may hold a password, so no message and no description repeats more of it than the hosts.
 */
import { resolve } from 'node:path';
import { MeshError } from '../../core/errors.js';

export interface Host {
  readonly host: string;
  readonly port: number;
}

export interface Credentials {
  readonly username?: string;
  readonly password?: string;
}

export type Location =
  | { readonly kind: 'memory' }
  | { readonly kind: 'embedded'; readonly directory: string }
  | {
      readonly kind: 'redis';
      readonly tls: boolean;
      readonly at: Host;
      readonly db: number;
      readonly credentials: Credentials;
    }
  | {
      readonly kind: 'sentinel';
      readonly sentinels: readonly Host[];
      readonly name: string;
      readonly credentials: Credentials;
    }
  | { readonly kind: 'cluster'; readonly nodes: readonly Host[]; readonly credentials: Credentials };

const forms =
  'memory, embedded:DIR, redis://[USER:PASSWORD@]HOST[:PORT][/DB], rediss://… (TLS), redis-sentinel://HOST[:PORT],…/NAME or redis-cluster://HOST[:PORT],…';

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26379;

/** Throws `invalid_configuration` that says which part is wrong. */
export function parseLocation(url: string): Location {
  if (url === 'memory') return { kind: 'memory' };
  if (url.startsWith('embedded:')) {
    const directory = url.slice('embedded:'.length);
    if (directory === '' || directory.includes('\0')) throw wrong('embedded: needs a directory');
    return { kind: 'embedded', directory: resolve(directory) };
  }
  const match =
    /^(redis|rediss|redis-sentinel|redis-cluster):\/\/(?:([^@/]*)@)?([^@/?#]*)(?:\/([^/?#]*))?$/.exec(url);
  const [, scheme = '', userinfo, hosts = '', path = ''] = match ?? [];
  if (!match) throw wrong(/^redi/.test(url) ? 'the redis URL is malformed' : `"${shown(url)}" is no store`);
  const credentials = parseCredentials(userinfo);
  if (scheme === 'redis-sentinel') {
    if (path === '') throw wrong('redis-sentinel:// needs the name of the master after the hosts');
    const sentinels = parseHosts(hosts, SENTINEL_PORT);
    return { kind: 'sentinel', sentinels, name: decoded(path), credentials };
  }
  if (scheme === 'redis-cluster') {
    if (path !== '') throw wrong('a Redis Cluster has no databases; leave out what follows the hosts');
    return { kind: 'cluster', nodes: parseHosts(hosts, REDIS_PORT), credentials };
  }
  const [at, ...others] = parseHosts(hosts, REDIS_PORT);
  if (!at || others.length > 0)
    throw wrong(`${scheme}:// takes one host; several are redis-sentinel:// or redis-cluster://`);
  if (!/^\d{0,5}$/.test(path)) throw wrong('the database after the host is not a number');
  return { kind: 'redis', tls: scheme === 'rediss', at, db: Number(path || 0), credentials };
}

/** For people and logs; never with credentials. */
export function describeLocation(location: Location): string {
  switch (location.kind) {
    case 'memory':
      return 'memory';
    case 'embedded':
      return `embedded:${location.directory}`;
    case 'redis': {
      const db = location.db === 0 ? '' : `/${location.db}`;
      return `${location.tls ? 'rediss' : 'redis'}://${text(location.at)}${db}`;
    }
    case 'sentinel':
      return `redis-sentinel://${location.sentinels.map(text).join(',')}/${location.name}`;
    case 'cluster':
      return `redis-cluster://${location.nodes.map(text).join(',')}`;
  }
}

function text({ host, port }: Host): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function parseHosts(list: string, defaultPort: number): Host[] {
  return list.split(',').map((item) => {
    const match = /^(?:\[([^[\]]+)\]|([^:[\]\s]+))(?::(.*))?$/.exec(item);
    const host = match?.[1] ?? match?.[2];
    const port = match?.[3];
    if (host === undefined) throw wrong(item === '' ? 'a host is missing' : 'a host is malformed');
    // What stands there may be a password whose host was forgotten: it is not repeated.
    if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) >= 1 && Number(port) <= 65_535))
      throw wrong(`what follows "${host}:" is no port, 1 to 65535`);
    return { host, port: port === undefined ? defaultPort : Number(port) };
  });
}

function parseCredentials(userinfo: string | undefined): Credentials {
  if (userinfo === undefined || userinfo === '') return {};
  const colon = userinfo.indexOf(':');
  // `redis://secret@host` is what older tools write for a password alone.
  const username = colon > 0 ? decoded(userinfo.slice(0, colon)) : undefined;
  const password = decoded(colon >= 0 ? userinfo.slice(colon + 1) : userinfo);
  return { ...(username === undefined ? {} : { username }), password };
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    throw wrong('a % in it does not begin a percent-encoded byte');
  }
}

/** Only what cannot be a secret: the beginning, up to the first character of a URL's authority. */
function shown(url: string): string {
  const end = url.search(/[/@]/);
  return end < 0 ? url.slice(0, 60) : `${url.slice(0, Math.min(end, 60))}…`;
}

function wrong(what: string): MeshError {
  return new MeshError('invalid_configuration', `store (--store, SWITCHGEAR_STORE): ${what}; use ${forms}`);
}
