/**
 * Options and environment → settings that are complete and right, or one error with every fault and its place. An option wins
 * over its variable, an empty variable is none. Read once, at `connect`; files of certificates are read elsewhere.
 */
import { createHash } from 'node:crypto';
import { homedir, hostname } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { type Address, formatAddress, parseAddresses } from '../agent/addresses.js';
import type { Logger } from '../agent/logger.js';
import { messageOf } from '../core/errors.js';
import { serviceNamePattern } from '../core/policy/names.js';
import type { Random } from '../core/random.js';
import { Faults, shown } from './faults.js';
import type { ConnectOptions, TlsOptions } from './types.js';

export type Environment = { readonly [name: string]: string | undefined };

export interface Settings {
  readonly service: string;
  readonly instance: string;
  readonly addresses: readonly Address[];
  readonly callees: readonly string[];
  readonly zone: string;
  readonly version: string;
  /** Undefined: none is kept. */
  readonly snapshot: string | undefined;
  /** Undefined: no TLS. */
  readonly tls: TlsOptions | undefined;
  readonly token: string | undefined;
  readonly logger: Logger | undefined;
  /** Everything passes. */
  readonly disabled: boolean;
}

const CONTROL_PLANE = '127.0.0.1:7400';
const CALLEES_MAX = 1_000;
const TEXT_LENGTH_MAX = 128;
const TOKEN_LENGTH_MAX = 1_024;

const known = [
  'service',
  'controlPlane',
  'callees',
  'zone',
  'version',
  'instance',
  'snapshot',
  'tls',
  'token',
  'logger',
] as const satisfies readonly (keyof ConnectOptions)[];
const knownTls = ['ca', 'cert', 'key', 'serverName'] as const satisfies readonly (keyof TlsOptions)[];

const instancePattern = /^[A-Za-z0-9][A-Za-z0-9._:@-]{0,199}$/;

/** Throws `invalid_configuration`, with an issue for each option or variable that is wrong. */
export function readSettings(options: ConnectOptions, env: Environment, random: Random): Settings {
  const reader = new Reader(options, env);
  const addresses = reader.addresses();
  const service = reader.service();
  const settings: Settings = {
    service,
    instance: reader.text('instance', instancePattern, INSTANCE_RULE) ?? instanceName(random),
    addresses,
    callees: reader.callees(),
    zone: reader.text('zone', printable, TEXT_RULE) ?? '',
    version: reader.text('version', printable, TEXT_RULE) ?? '',
    snapshot: reader.snapshot(() => defaultSnapshot(service, addresses, env)),
    tls: reader.tls(),
    token: reader.text('token', tokenPattern, `use up to ${TOKEN_LENGTH_MAX} of A-Z a-z 0-9 . _ ~ + / -`),
    logger: reader.logger(),
    disabled: reader.flag('SWITCHGEAR_DISABLED') ?? false,
  };
  reader.finish();
  return settings;
}

const printable = new RegExp(`^\\P{C}{0,${TEXT_LENGTH_MAX}}$`, 'u');
const TEXT_RULE = `use up to ${TEXT_LENGTH_MAX} visible characters`;
const tokenPattern = new RegExp(`^(?=.{1,${TOKEN_LENGTH_MAX}}$)[A-Za-z0-9._~+/-]+=*$`);
const INSTANCE_RULE = 'use up to 200 letters, digits and . _ : @ - and begin with a letter or digit';
const SERVICE_RULE = 'use up to 128 letters, digits and . _ : - and begin with a letter or digit';

type TextOption = 'service' | 'controlPlane' | 'zone' | 'version' | 'instance' | 'token';

class Reader {
  readonly #options: { readonly [name: string]: unknown };
  readonly #env: Environment;
  readonly #faults = new Faults();

  constructor(options: unknown, env: Environment) {
    this.#env = env;
    const given = typeof options === 'object' && options !== null ? options : {};
    this.#options = given as { readonly [name: string]: unknown };
    if (given !== options)
      this.#faults.add('options', 'has to be an object, for example { service: "checkout" }');
    this.#faults.unknown(given, known);
  }

  finish(): void {
    this.#faults.finish();
  }

  service(): string {
    const service = this.text('service', serviceNamePattern, SERVICE_RULE);
    if (this.#find('service').value === undefined)
      this.#faults.add(
        'service',
        'is missing: give the name of this service, for example { service: "checkout" }',
      );
    return service ?? '';
  }

  addresses(): readonly Address[] {
    const { value, where } = this.#find('controlPlane');
    try {
      if (value === undefined) return parseAddresses(CONTROL_PLANE, where);
      if (typeof value === 'string') return parseAddresses(value, where);
      this.#faults.add(where, 'has to be a text of addresses, host:port,host:port');
    } catch (error) {
      this.#faults.add(where, messageOf(error).replace(`[invalid_configuration] ${where}: `, ''));
    }
    return [];
  }

  text(option: TextOption, pattern: RegExp, rule: string): string | undefined {
    const { value, where } = this.#find(option);
    if (value === undefined) return undefined;
    if (typeof value === 'string' && pattern.test(value)) return value;
    // A token is never shown.
    this.#faults.add(where, option === 'token' ? `is no token: ${rule}` : `is ${shown(value)}: ${rule}`);
    return undefined;
  }

  callees(): readonly string[] {
    const { callees } = this.#options;
    if (callees === undefined) return [];
    if (!Array.isArray(callees) || callees.length > CALLEES_MAX) {
      this.#faults.add('callees', `has to be a list of at most ${CALLEES_MAX} names`);
      return [];
    }
    callees.forEach((name: unknown, i) => {
      if (typeof name !== 'string' || !serviceNamePattern.test(name))
        this.#faults.add(`callees[${i}]`, `is ${shown(name)}: ${SERVICE_RULE}`);
    });
    return callees as readonly string[];
  }

  snapshot(usual: () => string | undefined): string | undefined {
    const { snapshot } = this.#options;
    if (snapshot === false) return undefined;
    if (typeof snapshot === 'string' && snapshot !== '') return resolve(snapshot);
    if (snapshot !== undefined)
      this.#faults.add('snapshot', 'has to be the path of a file, or false for none');
    const variable = this.#env.SWITCHGEAR_SNAPSHOT;
    if (variable === undefined || variable === '') return usual();
    return /^(off|false|0)$/i.test(variable) ? undefined : resolve(variable);
  }

  tls(): TlsOptions | undefined {
    const { tls } = this.#options;
    if (tls === false) return undefined;
    if (tls === true) return this.#tlsOfEnvironment() ?? {};
    if (tls === undefined) return this.#tlsOfEnvironment();
    if (typeof tls !== 'object' || tls === null) {
      this.#faults.add('tls', 'has to be true, false or { ca, cert, key, serverName }');
      return undefined;
    }
    this.#faults.unknown(tls, knownTls, 'tls.');
    for (const [name, value] of Object.entries(tls)) {
      if (value === undefined || typeof value === 'string') continue;
      if (name === 'serverName') this.#faults.add('tls.serverName', 'has to be a name');
      else if (!Buffer.isBuffer(value))
        this.#faults.add(`tls.${name}`, 'has to be PEM text, a Buffer, or the path of a file');
    }
    const { cert, key } = tls as TlsOptions;
    if ((cert === undefined) !== (key === undefined))
      this.#faults.add('tls', 'has one of cert and key: give both, or none');
    return tls as TlsOptions;
  }

  logger(): Logger | undefined {
    const { logger } = this.#options;
    if (logger === undefined) return undefined;
    const levels = ['debug', 'info', 'warn', 'error'] as const;
    const given = logger as { readonly [level: string]: unknown } | null;
    if (levels.every((level) => typeof given?.[level] === 'function')) return logger as Logger;
    this.#faults.add('logger', `has to have the methods ${levels.join(', ')}, each (fields, message)`);
    return undefined;
  }

  flag(variable: string): boolean | undefined {
    const value = this.#env[variable];
    if (value === undefined || value === '') return undefined;
    if (/^(1|true|yes|on)$/i.test(value)) return true;
    if (/^(0|false|no|off)$/i.test(value)) return false;
    this.#faults.add(variable, `is ${shown(value)}: use 1 or 0`);
    return undefined;
  }

  #tlsOfEnvironment(): TlsOptions | undefined {
    const wanted = this.flag('SWITCHGEAR_TLS');
    const given = {
      ca: this.#env.SWITCHGEAR_TLS_CA,
      cert: this.#env.SWITCHGEAR_TLS_CERT,
      key: this.#env.SWITCHGEAR_TLS_KEY,
      serverName: this.#env.SWITCHGEAR_TLS_SERVER_NAME,
    };
    const tls = Object.fromEntries(Object.entries(given).filter(([, value]) => (value ?? '') !== ''));
    if ('cert' in tls !== 'key' in tls)
      this.#faults.add('SWITCHGEAR_TLS_CERT', 'and SWITCHGEAR_TLS_KEY belong together: set both, or none');
    if (wanted === false) return undefined;
    return wanted === true || Object.keys(tls).length > 0 ? tls : undefined;
  }

  /** The option, else its variable, and the name under which its faults are told. */
  #find(option: TextOption): { value: unknown; where: string } {
    const value = this.#options[option];
    if (value !== undefined) return { value, where: option };
    const variable = `SWITCHGEAR_${option.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
    const ofEnvironment = this.#env[variable];
    if (ofEnvironment === undefined || ofEnvironment === '') return { value: undefined, where: option };
    return { value: ofEnvironment, where: variable };
  }
}

/** Readable, and unique among processes, meshes of one process, and restarts. */
function instanceName(random: Random): string {
  const host = hostname()
    .replace(/[^A-Za-z0-9.-]/g, '')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64);
  return `${host || 'host'}-${process.pid}-${random.hex(3)}`;
}

/** One file for a service and the control planes it belongs to, so that two meshes of one machine never mix. */
function defaultSnapshot(
  service: string,
  addresses: readonly Address[],
  env: Environment,
): string | undefined {
  const where = createHash('sha256')
    .update(addresses.map(formatAddress).sort().join())
    .digest('hex')
    .slice(0, 8);
  const state = env.XDG_STATE_HOME;
  const base = state !== undefined && isAbsolute(state) ? state : stateOfUser();
  if (base === undefined) return undefined;
  return join(base, 'switchgear', `${service.replaceAll(':', '_')}-${where}.json`);
}

/** Undefined for a user without a home, as there are in containers. */
function stateOfUser(): string | undefined {
  try {
    const home = homedir();
    return isAbsolute(home) ? join(home, '.local', 'state') : undefined;
  } catch {
    return undefined;
  }
}
