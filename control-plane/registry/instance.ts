/**
 * From what a process says of itself to an instance of the registry: checked, complete, and never in another's name, since
 * service, instance and boot are those of its stream.
 */
import { MeshError } from '../../core/errors.js';
import type { Hello, Lease } from '../../proto/messages.js';
import type { Instance } from '../store/store.js';

const WEIGHT_MAX = 65_535;
const protocols = new Set(['grpc', 'http', '']);

/** Who its stream says it is. */
type Identity = Pick<Hello, 'agent' | 'service' | 'instance' | 'boot' | 'zone' | 'version'>;

export interface Surroundings {
  /** `host:port` of the stream's other end. */
  readonly peer: string;
  readonly replica: string;
  /** Wall-clock milliseconds. */
  readonly registeredAt: number;
}

/** Throws `invalid_request` with what would be right. */
export function instanceOf(
  hello: Identity,
  lease: Lease,
  { peer, replica, registeredAt }: Surroundings,
): Instance {
  if (!protocols.has(lease.protocol))
    throw new MeshError('invalid_request', `lease.protocol "${lease.protocol}": use grpc or http`);
  return {
    id: hello.agent,
    service: hello.service,
    instance: hello.instance,
    boot: hello.boot,
    address: addressOf(lease.address, peer),
    protocol: lease.protocol || 'grpc',
    zone: hello.zone,
    version: lease.version || hello.version,
    weight: Math.min(Math.max(1, lease.weight), WEIGHT_MAX),
    registeredAt,
    replica,
  };
}

const addressPattern =
  /^(?<host>\[[0-9A-Fa-f:.%]{2,60}\]|[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|):(?<port>\d{1,5})$/;

/** `host:port` as it is; of `:port`, the host that the stream comes from. */
function addressOf(address: string, peer: string): string {
  const { host, port } = addressPattern.exec(address)?.groups ?? {};
  if (host === undefined || Number(port) < 1 || Number(port) > 65_535)
    throw new MeshError(
      'invalid_request',
      `lease.address "${address}": write host:port, for example 10.0.0.7:50051`,
    );
  return host === '' ? `${hostOf(peer)}:${port}` : address;
}

function hostOf(peer: string): string {
  const host = peer.slice(0, Math.max(0, peer.lastIndexOf(':'))).replace(/^::ffff:(?=\d)/, '');
  return host.includes(':') ? `[${host}]` : host;
}
