/**
 * A connection to one address of the control plane that can be cut at any moment. grpc-js closes what is connected, but an
 * attempt that hangs in TCP (a packet filter that drops, a host that is gone) would keep the process alive for minutes; so the
 * address is handed out by a resolver of our own, with an AbortSignal that `net.connect` obeys.
 */
import * as grpc from '@grpc/grpc-js';
import { toAgentBytesMax } from '../proto/bounds.js';
import { type Address, formatAddress } from './addresses.js';

const SCHEME = 'switchgear-control';
const ADDRESS_OPTION = 'switchgear.control-address';

/** What `net.connect` is given; grpc-js passes it on as it is. */
interface AbortableAddress extends Address {
  readonly signal: AbortSignal;
}

export interface ControlCredentials {
  readonly credentials: grpc.ChannelCredentials;
  /** The name that the control plane's certificate is for; undefined: the host that is dialled. */
  readonly serverName?: string | undefined;
}

export interface ControlChannel {
  readonly client: grpc.Client;
  /** Ends everything at once: calls, sockets, attempts. */
  cut(): void;
}

/** A fresh channel, since a used one would wait out a back-off of its own. Connects on the first call. */
export function openControlChannel(
  address: Address,
  { credentials, serverName }: ControlCredentials,
): ControlChannel {
  grpc.experimental.registerResolver(SCHEME, AddressResolver);
  const controller = new AbortController();
  const target: AbortableAddress = { ...address, signal: controller.signal };
  const client = new grpc.Client(`${SCHEME}:${formatAddress(address)}`, credentials, {
    [ADDRESS_OPTION]: target,
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_channelz': 0,
    'grpc.enable_retries': 0,
    'grpc.max_receive_message_length': toAgentBytesMax,
    ...(serverName === undefined ? {} : { 'grpc.ssl_target_name_override': serverName }),
  });
  return {
    client,
    cut() {
      client.close();
      controller.abort();
    },
  };
}

type ResolverListener = grpc.experimental.ResolverListener;

class AddressResolver implements grpc.experimental.Resolver {
  readonly #listener: ResolverListener;
  readonly #address: AbortableAddress;
  #told = false;

  constructor(
    _target: grpc.experimental.GrpcUri,
    listener: ResolverListener,
    options: Partial<grpc.ChannelOptions>,
  ) {
    this.#listener = listener;
    this.#address = options[ADDRESS_OPTION] as AbortableAddress;
  }

  updateResolution(): void {
    if (this.#told) return;
    this.#told = true;
    const endpoints = grpc.experimental.statusOrFromValue([{ addresses: [this.#address] }]);
    process.nextTick(() => this.#listener(endpoints, {}, null, ''));
  }

  destroy(): void {
    this.#told = false;
  }

  static getDefaultAuthority({ path }: grpc.experimental.GrpcUri): string {
    return path;
  }
}
