/**
 * The public contract of the SDK, as types: what a service hands in, and what it gets. Behaviour is described here once; the
 * mesh that enforces and the one that lets everything pass both keep to it.
 */
import type * as grpc from '@grpc/grpc-js';
import type { Dispatcher } from 'undici';
import type { AgentEvents, AgentStatus } from '../agent/events.js';
import type { FallbackHandler } from '../agent/fallback-handlers.js';
import type { GuardedFunction, GuardOptions } from '../agent/guarded-function.js';
import type { FetchInit } from '../agent/http/fetch-init.js';
import type { Logger } from '../agent/logger.js';
import type { MeshStats } from '../agent/stats.js';
import type { CircuitView } from '../agent/targets.js';

export interface TlsOptions {
  /** Authorities that may have signed the control plane's certificate; PEM, or the path of a PEM file. Default: the system's. */
  readonly ca?: string | Buffer | undefined;
  /** This service's own certificate, with `key`; PEM or a path. */
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
  /** The name that the control plane's certificate is for, if it isn't the host that is dialled. */
  readonly serverName?: string | undefined;
}

/** Each option but `service` has a default; an absent one is taken from its environment variable first. */
export interface ConnectOptions {
  /** Name of this service: up to 128 letters, digits and `. _ : -`. SWITCHGEAR_SERVICE. */
  readonly service?: string | undefined;
  /** Replicas of the control plane, `host:port,host:port`. SWITCHGEAR_CONTROL_PLANE; default 127.0.0.1:7400. */
  readonly controlPlane?: string | undefined;
  /** Services and resources it calls. Others are learnt at their first use, which then runs under the policies of `*`. */
  readonly callees?: readonly string[] | undefined;
  /** Where it runs, for people and for routing. SWITCHGEAR_ZONE. */
  readonly zone?: string | undefined;
  /** Of the service. SWITCHGEAR_VERSION. */
  readonly version?: string | undefined;
  /** Unique within the service; two processes must not share one. SWITCHGEAR_INSTANCE; default: host, process and chance. */
  readonly instance?: string | undefined;
  /**
   * Where the last known good state is kept, so that a restart is protected without a control plane: a path, or false for
   * nowhere. SWITCHGEAR_SNAPSHOT (a path, or `off`); default `<state>/switchgear/<service>-<8 digits>.json`, where `<state>` is
   * $XDG_STATE_HOME or ~/.local/state, and the digits stand for the addresses of the control plane. Instances may share it.
   */
  readonly snapshot?: string | false | undefined;
  /** True: TLS with the system's authorities. SWITCHGEAR_TLS=1, SWITCHGEAR_TLS_CA, _CERT, _KEY and _SERVER_NAME. */
  readonly tls?: boolean | TlsOptions | undefined;
  /** Bearer token of the role `agent`. SWITCHGEAR_TOKEN. */
  readonly token?: string | undefined;
  /** Default: warnings and errors on standard error, a line each. pino's logger fits. */
  readonly logger?: Logger | undefined;
}

export interface RegisterOptions {
  /** On which this service listens. */
  readonly port: number;
  /**
   * Host under which callers reach it, or `host:port` where that port is another one. Default: the address that the control
   * plane sees this process connect from.
   */
  readonly address?: string | undefined;
  /** Default: the version given to `connect`. */
  readonly version?: string | undefined;
  /** Clients of `mesh.client` go to instances that speak gRPC, `mesh.fetch` to those that speak HTTP. Default `grpc`. */
  readonly protocol?: 'grpc' | 'http' | undefined;
}

/** A class of clients: generated, of proto-loader, or of `makeGenericClientConstructor`. */
export type ClientClass<C extends grpc.Client> = new (
  address: string,
  credentials: grpc.ChannelCredentials,
  options?: Partial<grpc.ClientOptions>,
) => C;

export interface ClientOptions {
  /** For the connections to the callee's instances. Default: insecure. With TLS the name of the callee is the name verified. */
  readonly credentials?: grpc.ChannelCredentials | undefined;
  /** As for any client of grpc-js. Its interceptors run outside of the policies. */
  readonly options?: Partial<grpc.ClientOptions> | undefined;
}

export interface InterceptorOptions {
  /** The methods of the service, with the types of their messages, as generated clients have them in their `service`. */
  readonly service?: grpc.ServiceDefinition | undefined;
}

/** Shape of each event, by name. */
export type MeshEvents = AgentEvents;
export type MeshStatus = AgentStatus;
export type CircuitInfo = CircuitView;
export type { MeshStats };

export interface Mesh {
  /** Name of this service. */
  readonly service: string;
  /** Name of this instance. */
  readonly instance: string;

  /**
   * Makes this service findable, under a lease that is kept up until `close`. Resolves once the control plane has stored it,
   * and waits for that however long it is away. A second call replaces what the first one said.
   * @throws MeshError `invalid_configuration` (an option), `invalid_request` or `revision_conflict` (the control plane's
   * refusal), `mesh_closed`.
   */
  register(options: RegisterOptions): Promise<void>;

  /**
   * A client whose calls go to the live instances of a callee, in turn, under its policies. The client is the application's:
   * `client.close()` ends its connections. Calls made before anything is known about instances wait, within their deadline;
   * with no instance at all they end UNAVAILABLE, `[no_instances] …`.
   * @throws MeshError `invalid_configuration`: a name that no service can have, or a class of another copy of grpc-js.
   */
  client<C extends grpc.Client>(type: ClientClass<C>, name: string, options?: ClientOptions): C;

  /**
   * The policies of a callee for a client that finds its servers by itself. Interceptors given to a single call replace those
   * of the client, this one included. Two kinds of fallbacks need more than an interceptor knows: `static` needs the types of the
   * messages, given as `service` (a generated client's `InventoryClient.service`), and `target` needs `client` above.
   * @throws MeshError `invalid_configuration`: a name that no service can have.
   */
  interceptor(name: string, options?: InterceptorOptions): grpc.Interceptor;

  /**
   * Names a function that policies may fall back to (`fallback: [{ handler: lastKnownPrices }]`). It is told what failed and
   * answers the response (a message of the method's type, or what the guarded function would have returned), or a promise of it;
   * nothing, or a throw, passes on to the policy's next fallback. A second one of a name replaces the first. Answers the way to
   * take it back.
   * @throws MeshError `invalid_configuration`: a name that no policy can say, no function, or more than 1,000 names.
   */
  fallback(name: string, handler: FallbackHandler): () => void;

  /**
   * The policies of the callee `self` for calls into this service, and what those calls carry (deadline, criticality, trace) for
   * the calls that their handlers make: `new grpc.Server({ interceptors: [mesh.serverInterceptor()] })`. Of the policies `bulkhead`
   * and `rateLimit` are enforced; `match.from` is this service, as everywhere. A call that is turned away, or whose deadline is
   * over, reaches no handler; it ends RESOURCE_EXHAUSTED or DEADLINE_EXCEEDED with metadata `switchgear-reject`, which callers
   * with Switchgear don't hold against this service. Interceptors before it in the list see such calls, those after it see of them
   * the start and the end. Once the mesh is closed everything passes.
   */
  serverInterceptor(): grpc.ServerInterceptor;

  /**
   * Runs anything that can fail (a query, a request) under the policies of `name`. Rejects with what `fn` throws; with a
   * MeshError (`circuit_open`, `bulkhead_full`, `bulkhead_timeout`, `rate_limited`, `overloaded`, `deadline_exceeded`,
   * `fallback_error`, `mesh_closed`) where a policy ends or refuses it; with `signal.reason` once the given signal aborts.
   */
  guard<T>(name: string, fn: GuardedFunction<T>, options?: GuardOptions<T>): Promise<T>;

  /**
   * Node's own `fetch`, to the live HTTP instances of a service in turn and under its policies. `path` begins with `/`. A failed
   * status resolves to its Response, as it does for `fetch`, after what retries the policy has. Rejects with a MeshError (as
   * `guard` does; `no_instances`; `invalid_configuration` for a path that is none), with `init.signal.reason`, or with what
   * `fetch` rejects with. The response's body belongs to the call: it holds the slot in the bulkhead until it has ended.
   */
  fetch(service: string, path: string, init?: FetchInit): Promise<Response>;

  /**
   * The same as a Dispatcher of undici's, for `undici.request`, Node's `fetch` and what is built on them. The host in the URL of
   * a request doesn't matter: it goes to an instance of the service, as one call. Its connections end with the mesh.
   * @throws MeshError `invalid_configuration`: a name that no service can have.
   */
  dispatcher(service: string): Dispatcher;

  /**
   * The circuit of a callee, or of one of its methods (`shop.v1.Inventory/Reserve`) where the policy says `per: method`.
   * `state` is one of `closed`, `open`, `half-open`, `ramping`, `forced-open`, `forced-closed`, `disabled` and `shadow`: what the
   * next call meets. It is `disabled` where no policy asks for a circuit, and `shadow` where only one in shadow does. Where the policy
   * says `scope: cluster`, the mesh may have opened it (`open`), let single calls of all its agents through (`half-open`) or a part
   * of them (`ramping`), and an operator may have forced it; what lets less through shows, the mesh's word or the circuit's own, and
   * `forced-closed` only keeps the mesh from opening it.
   */
  circuit(name: string, method?: string): CircuitInfo;

  /**
   * Whether an optional feature (`recommendations`) should run: true unless the mesh is browned out to the level that switches
   * it off, which is 2 for a feature that nobody has named. Cheap enough to ask for each request; ask anew each time.
   * @throws MeshError `invalid_configuration`: no name, or an empty one.
   */
  dim(feature: string): boolean;

  /** How this mesh is, at this moment. */
  status(): MeshStatus;

  /**
   * What became of the calls so far, by callee and method, for a person to look at: outcomes, rejections, retries and fallbacks,
   * the policies in force, and what each revision of them did. Empty until something was called. For machines there are metrics.
   */
  stats(): MeshStats;

  /**
   * Calls `listener` after each event, never within a decision; answers the way to leave. What a listener throws is logged.
   * `circuit`: one changed its state. `policy`: policies came, changed, went or were refused. `connection`: the stream to the
   * control plane came about or ended. `brownout`: the level of optional features, or the reason for it, is another. `decision`: a
   * policy rejected, ended, tried again or answered a call (or, in shadow, would have), with the revision that did it. There may be
   * as many of those as there are calls.
   */
  on<N extends keyof MeshEvents>(event: N, listener: (event: MeshEvents[N]) => unknown): () => void;

  /**
   * Gives the lease back, writes the snapshot and ends the stream, within two seconds also without a control plane. What waits
   * in a line is rejected with `mesh_closed`. A process that has closed its meshes and clients ends by itself. Never rejects.
   */
  close(): Promise<void>;
}
