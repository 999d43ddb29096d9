/**
 * Where the control plane may listen. On loopback it may do so without secrets; whatever other machines can reach needs TLS
 * and tokens, or somebody who says `--insecure` aloud. The check comes before any socket is opened.
 */
import { isIP } from 'node:net';
import { type Issue, MeshError } from '../../core/errors.js';

export interface Listen {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
}

/** What is right, in the words of each refusal. */
export const listenForm = 'write host:port, for example 127.0.0.1:7480 or [::1]:0';

/** `host:port`, IPv6 in brackets. Throws `invalid_configuration` naming the flag. */
export function parseListen(text: string, flag: string): Listen {
  const listen = listenOf(text);
  if (listen) return listen;
  throw new MeshError(
    'invalid_configuration',
    `${flag} "${text.slice(0, 200)}" is no address: ${listenForm}`,
  );
}

/** `host:port`, IPv6 in brackets; undefined: it is none. */
export function listenOf(text: string): Listen | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.%]+)\]|([^\s:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535 || (match?.[1] !== undefined && isIP(host) !== 6)) return undefined;
  return { host, port };
}

/** Where somebody on this machine finds it: an address that stands for all of them is none to connect to. */
export function reachable({ host, port }: Listen): Listen {
  return { host: { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host, port };
}

/** The text form that clients use: IPv6 in brackets. */
export function formatListen({ host, port }: Listen): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function isLoopback(host: string): boolean {
  const bare = host.toLowerCase();
  if (bare === 'localhost' || bare === '::1') return true;
  return isIP(bare) === 4 && bare.startsWith('127.');
}

/** Throws `invalid_configuration` if an address beyond loopback is not protected, naming each flag that is missing. */
export function checkListenPolicy(
  listeners: readonly { readonly flag: string; readonly listen: Listen }[],
  has: { readonly tls: boolean; readonly tokens: boolean; readonly insecure: boolean },
): void {
  const open = listeners.filter(({ listen }) => !isLoopback(listen.host));
  if (open.length === 0 || has.insecure || (has.tls && has.tokens)) return;
  const missing = [
    ...(has.tls ? [] : ['TLS (--tls-cert and --tls-key)']),
    ...(has.tokens ? [] : ['tokens (--token-file)']),
  ].join(' and ');
  const issues: Issue[] = open.map(({ flag, listen }) => ({
    path: flag,
    message: `${formatListen(listen)} can be reached from other machines and needs ${missing}`,
  }));
  throw new MeshError(
    'invalid_configuration',
    `${issues.map(({ path, message }) => `${path} ${message}`).join('; ')}; or listen on 127.0.0.1, or say --insecure`,
    { issues },
  );
}
