/**
 * Addresses in text: those of the control plane's replicas, which the agent goes through in turn, and those that instances
 * register. Each agent starts at a place of its own, so that a mesh spreads over its replicas.
 */
import { isIPv4, isIPv6 } from 'node:net';
import { MeshError } from '../core/errors.js';
import type { Random } from '../core/random.js';

export interface Address {
  /** A name or an IP address, without brackets. */
  readonly host: string;
  readonly port: number;
}

const ADDRESSES_MAX = 100;

/** `host:port`, IPv6 in brackets; undefined if it is anything else. */
export function parseAddress(text: string): Address | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|([^\s:,/[\]@]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  if (match?.[1] !== undefined && !isIPv6(host)) return undefined;
  return { host, port };
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether it is this machine, as far as the text tells. */
export function isLoopback({ host }: Address): boolean {
  return host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

/** `host:port,host:port`. Throws `invalid_configuration` naming `where` (the option or variable) and the culprit. */
export function parseAddresses(text: string, where: string): readonly Address[] {
  const parts = text.split(',').map((part) => part.trim());
  if (parts.length > ADDRESSES_MAX)
    throw new MeshError('invalid_configuration', `${where} has more than ${ADDRESSES_MAX} addresses`);
  return parts.map((part) => {
    const address = parseAddress(part);
    if (address) return address;
    throw new MeshError(
      'invalid_configuration',
      `${where}: "${part.slice(0, 200)}" is no address; write host:port, several with commas, for example 127.0.0.1:7400 or [::1]:7400`,
    );
  });
}

/** One address after the other, around and around. */
export class Rotation {
  readonly #addresses: readonly Address[];
  #at: number;

  constructor(addresses: readonly Address[], random: Random) {
    this.#addresses = addresses;
    this.#at = Math.floor(random.next() * addresses.length);
  }

  get size(): number {
    return this.#addresses.length;
  }

  /** The one whose turn it is. */
  get current(): Address {
    const address = this.#addresses[this.#at];
    if (!address) throw new MeshError('invalid_configuration', 'there is no address of a control plane');
    return address;
  }

  advance(): void {
    this.#at = (this.#at + 1) % this.#addresses.length;
  }
}
