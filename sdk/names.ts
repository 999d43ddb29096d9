/**
 * What the application says at run time and not once at the start: names of callees, and where this service is. Faults are told
 * like those of the settings, with what would be right.
 */
import { isIPv6 } from 'node:net';
import { formatAddress, parseAddress } from '../agent/addresses.js';
import { checkCallee } from '../agent/callee-name.js';
import type { Place } from '../agent/registration.js';
import { MeshError } from '../core/errors.js';
import { Faults, shown } from './faults.js';
import type { MeshEvents, RegisterOptions } from './types.js';

/** The name itself. Throws `invalid_configuration` if no service can have it. */
export function callee(name: unknown): string {
  checkCallee(name);
  return name;
}

const known = [
  'port',
  'address',
  'version',
  'protocol',
] as const satisfies readonly (keyof RegisterOptions)[];

/** Throws `invalid_configuration`, with an issue for each option that is wrong. */
export function placeOf(options: RegisterOptions, version: string): Place {
  if (typeof options !== 'object' || options === null)
    throw invalid('register: give at least the port this service listens on: register({ port: 50051 })');
  const faults = new Faults();
  faults.unknown(options, known);
  const { port, address, protocol = 'grpc' } = options;
  if (!Number.isInteger(port) || port < 1 || port > 65_535)
    faults.add(
      'port',
      `is ${typeof port === 'number' ? port : shown(port)}: use the port this service listens on, 1 to 65535`,
    );
  if (protocol !== 'grpc' && protocol !== 'http')
    faults.add('protocol', `is ${shown(protocol)}: use grpc or http`);
  const own = options.version ?? version;
  if (typeof own !== 'string' || !/^\P{C}{0,128}$/u.test(own))
    faults.add('version', 'has to be up to 128 visible characters');
  const reached = addressOf(port, address);
  if (reached === undefined)
    faults.add('address', `is ${shown(address)}: give a host, an IP address, or host:port`);
  faults.finish('register: ');
  return { address: reached ?? '', protocol, version: own };
}

const hostPattern = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})$/;

/** Undefined: it is none. */
function addressOf(port: number, address: unknown): string | undefined {
  if (address === undefined || address === '') return `:${port}`;
  if (typeof address !== 'string') return undefined;
  if (parseAddress(address)) return address;
  const bare = address.replace(/^\[(.*)\]$/, '$1');
  return isIPv6(bare) || hostPattern.test(address) ? formatAddress({ host: bare, port }) : undefined;
}

const events: readonly unknown[] = [
  'circuit',
  'policy',
  'connection',
  'brownout',
  'decision',
] satisfies (keyof MeshEvents)[];

/** Throws `invalid_configuration` for an event that never happens, or a listener that can't be called. */
export function checkListener(event: unknown, listener: unknown): void {
  if (!events.includes(event))
    throw invalid(`on: there is no event ${String(event)}: use ${events.join(', ')}`);
  if (typeof listener !== 'function') throw notCallable(`on: the listener of ${String(event)}`, listener);
}

/** Throws `invalid_configuration` for what is no name at all; a name that nobody has set a level for is an ordinary one. */
export function checkFeature(feature: unknown): void {
  if (typeof feature === 'string' && feature !== '') return;
  const given = feature === '' ? 'empty' : `of type ${typeof feature}`;
  throw invalid(`dim: the feature is ${given}: give its name, for example "recommendations"`);
}

/** Of what should be called and can't be. */
export function notCallable(what: string, value: unknown): MeshError {
  return invalid(`${what} is of type ${typeof value}: give a function`);
}

function invalid(text: string): MeshError {
  return new MeshError('invalid_configuration', text);
}
