/**
 * `switchgear:///inventory`: grpc-js asks here where the instances of a callee are, and is told again whenever that changes. The
 * registry of resolvers belongs to a copy of grpc-js and options of a channel have to be primitive, so a channel names its mesh
 * by an id, and the meshes of this process are kept on `globalThis`, where several copies of this package find each other's.
 *
 * Until the first answer about a callee its calls wait, within their deadlines; an empty list is UNAVAILABLE and says what to
 * do. A mesh that closes leaves its channels the addresses they have, and those that have none its farewell. With each list of
 * addresses goes how they are balanced, which a policy decides.
 * Bound: one entry for each open mesh.
 */
import * as grpc from '@grpc/grpc-js';
import { MeshError } from '../core/errors.js';
import type { OutlierSpec } from '../core/policy/model.js';
import type { Endpoint } from '../proto/messages.js';
import { type Address, parseAddress } from './addresses.js';
import { holding, registerHolding } from './holding-balancer.js';
import { balancersFor } from './outlier-config.js';

const SCHEME = 'switchgear';

/** The channel option that names the mesh. */
export const MESH_OPTION = 'switchgear.mesh';

/** What resolving needs of an agent. */
export interface Directory {
  /** Undefined: no answer yet. */
  get(service: string): readonly Endpoint[] | undefined;
  /** The policy for leaving out single instances of a service. Absent: of a copy of this package that knows of none. */
  outlier?(service: string): OutlierSpec | undefined;
  /** Calls `changed` after each change of either until the answer is called; makes the service one of the agent's callees. */
  watch(service: string, changed: () => void): () => void;
}

const MESHES = Symbol.for('switchgear.meshes.1');
const registry = globalThis as { [MESHES]?: Map<string, Directory> };

function meshes(): Map<string, Directory> {
  registry[MESHES] ??= new Map();
  return registry[MESHES];
}

/** Makes `switchgear:///…` known to this copy of grpc-js, and the mesh to its channels. Answers the way to undo the latter. */
export function publish(mesh: string, directory: Directory): () => void {
  grpc.experimental.registerResolver(SCHEME, MeshResolver);
  registerHolding();
  meshes().set(mesh, directory);
  return () => void meshes().delete(mesh);
}

export function targetOf(service: string): string {
  return `${SCHEME}:///${service}`;
}

type Config = ReturnType<typeof grpc.experimental.statusOrFromValue<grpc.ServiceConfig>>;

/** What a channel was told last. */
type Told =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'wait' }
  | { readonly kind: 'addresses'; readonly list: string; readonly balancers: string }
  | { readonly kind: 'error'; readonly text: string };

function configOf(balancers: readonly object[]): Config {
  const loadBalancingConfig = balancers as unknown as grpc.ServiceConfig['loadBalancingConfig'];
  return grpc.experimental.statusOrFromValue<grpc.ServiceConfig>({ loadBalancingConfig, methodConfig: [] });
}

const hold = configOf([holding]);

class MeshResolver implements grpc.experimental.Resolver {
  readonly #service: string;
  readonly #mesh: string | undefined;
  /** The application has said itself how addresses are balanced, and means it. */
  readonly #configured: boolean;
  readonly #listener: grpc.experimental.ResolverListener;
  #watched: { readonly directory: Directory; leave(): void } | undefined;
  #told: Told = { kind: 'nothing' };
  #active = false;
  #scheduled = false;

  constructor(
    target: grpc.experimental.GrpcUri,
    listener: grpc.experimental.ResolverListener,
    options: Partial<grpc.ChannelOptions>,
  ) {
    const mesh: unknown = options[MESH_OPTION];
    this.#service = serviceOf(target);
    this.#mesh = typeof mesh === 'string' ? mesh : undefined;
    this.#configured = options['grpc.service_config'] !== undefined;
    this.#listener = listener;
  }

  updateResolution(): void {
    this.#active = true;
    this.#watch();
    this.#schedule();
  }

  destroy(): void {
    this.#active = false;
    this.#watched?.leave();
    this.#watched = undefined;
    this.#told = { kind: 'nothing' };
  }

  static getDefaultAuthority(target: grpc.experimental.GrpcUri): string {
    return serviceOf(target);
  }

  /** Its own mesh; a channel that names none means the only one there is. */
  #directory(): Directory | undefined {
    if (this.#mesh !== undefined) return meshes().get(this.#mesh);
    return meshes().size === 1 ? [...meshes().values()][0] : undefined;
  }

  #watch(): void {
    const directory = this.#directory();
    if (!directory || directory === this.#watched?.directory) return;
    this.#watched?.leave();
    this.#watched = { directory, leave: directory.watch(this.#service, () => this.#schedule()) };
  }

  /** grpc-js must not be told within its own question. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    process.nextTick(() => {
      this.#scheduled = false;
      if (this.#active) this.#tell();
    });
  }

  #tell(): void {
    const directory = this.#directory();
    if (!directory) {
      if (this.#told.kind !== 'addresses') this.#refuse(noMesh(this.#service, this.#mesh));
      return;
    }
    const endpoints = directory.get(this.#service);
    if (endpoints === undefined) {
      this.#wait();
      return;
    }
    const addresses = usable(endpoints);
    if (addresses.length > 0) this.#use(addresses, directory.outlier?.(this.#service));
    else this.#refuse(nobody(this.#service, endpoints));
  }

  #wait(): void {
    if (this.#told.kind === 'wait') return;
    this.#told = { kind: 'wait' };
    this.#listener(grpc.experimental.statusOrFromValue([]), {}, hold, '');
  }

  #use(addresses: readonly Address[], outlier: OutlierSpec | undefined): void {
    const list = JSON.stringify(addresses);
    const config = this.#configured ? [] : balancersFor(outlier, addresses.length);
    const balancers = JSON.stringify(config);
    const told = this.#told;
    if (told.kind === 'addresses' && told.list === list && told.balancers === balancers) return;
    // Calls wait for the first connection rather than end with words that are not true any more.
    if (told.kind === 'error') this.#wait();
    this.#told = { kind: 'addresses', list, balancers };
    const endpoints = grpc.experimental.statusOrFromValue(
      addresses.map((address) => ({ addresses: [address] })),
    );
    const said = this.#configured ? null : configOf(config);
    this.#listener(endpoints, {}, said, '');
    // A balancer of grpc-js 1.14 that finds its connections ready counts no calls until it is told again.
    if (config.length > 1) this.#listener(endpoints, {}, said, '');
  }

  #refuse({ message, code }: MeshError): void {
    if (this.#told.kind === 'error' && this.#told.text === message) return;
    this.#told = { kind: 'error', text: message };
    const metadata = new grpc.Metadata();
    metadata.set('switchgear-reject', code);
    const error = { code: grpc.status.UNAVAILABLE, details: message, metadata };
    this.#listener(grpc.experimental.statusOrFromError(error), {}, hold, '');
  }
}

function serviceOf({ path }: grpc.experimental.GrpcUri): string {
  return path.replace(/^\/+/, '');
}

/** Addresses that a gRPC client can connect to, each once. */
function usable(endpoints: readonly Endpoint[]): Address[] {
  const found = new Map<string, Address>();
  for (const { address, protocol } of endpoints) {
    const parsed = protocol === 'grpc' || protocol === '' ? parseAddress(address) : undefined;
    if (parsed) found.set(address, parsed);
  }
  return [...found.values()];
}

function nobody(service: string, endpoints: readonly Endpoint[]): MeshError {
  const [first] = endpoints;
  const text = first
    ? `none of its ${endpoints.length} instances speaks gRPC (the first registered ${first.protocol} at ${first.address})`
    : 'no instance is registered; start one that calls mesh.register({ port }), and see `switchgear get services`';
  return new MeshError('no_instances', text, { target: service });
}

function noMesh(target: string, mesh: string | undefined): MeshError {
  if (mesh !== undefined)
    return new MeshError('mesh_closed', 'the mesh of this client was closed', { target });
  const text =
    'this channel names no mesh, and there is not exactly one here; make the client with mesh.client(…)';
  return new MeshError('no_instances', text, { target });
}
