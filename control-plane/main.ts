/**
 * A control plane, started and stopped: the store and its mirror, the streams of the agents, the REST face, in this order, and in
 * the opposite one at the end. Everything that can be wrong with flags and files is found before a socket is opened; a start that
 * fails half-way closes what it had opened. No room knows another; they meet only here.
 */
import type { Metadata } from '@grpc/grpc-js';
import { MeshError } from '../core/errors.js';
import { type Authenticator, createAuthenticator } from './auth/authenticate.js';
import { formatListen, isLoopback, type Listen, parseListen, reachable } from './auth/listen.js';
import { createBrownout } from './brownout.js';
import { CircuitRoom } from './coordination/room.js';
import { createEventHub } from './events.js';
import { type GrpcOptions, startGrpc } from './grpc/server.js';
import { openMirror } from './mirror.js';
import { createOverrides } from './overrides.js';
import { applyPolicies, readPolicyFiles } from './policy-files.js';
import type { Brownout, Mirror } from './ports.js';
import { Resources } from './resources.js';
import type { App } from './rest/context.js';
import { buildRest } from './rest/server.js';
import { createRollouts } from './rollouts.js';
import { type ControlPlaneOptions, readSettings, type Settings } from './settings.js';
import { openStore } from './store/open.js';
import type { Store } from './store/store.js';
import { createTelemetry, type Telemetry } from './telemetry/metrics.js';
import type { Siblings } from './telemetry/siblings.js';

export interface ControlPlane {
  /** `host:port` to reach it by, for agents. */
  readonly grpcAddress: string;
  /** `http://host:port` or `https://host:port`, without a slash at the end. */
  readonly restUrl: string;
  readonly mesh: string;
  readonly replica: string;
  /** Where the data is, without secrets. */
  readonly store: string;
  /**
   * Sends the agents elsewhere, answers what is under way, closes everything; within 10 s. May be called again. `signal`: which
   * one asked for it, for the log.
   */
  close(signal?: string): Promise<void>;
}

const CLOSE_WITHIN_MS = 10_000;
/** A store that is away keeps no agent out. */
const CIRCUITS_WITHIN_MS = 500;

/**
 * Resolves once agents and people are served. Rejects with a MeshError: `invalid_configuration` (names the flag or file),
 * `invalid_policy` (a file of `policiesDir`), `address_in_use`, `store_locked`, `store_corrupt`, `store_unavailable` (only if
 * there are files to apply: otherwise a store that is away is waited for). `siblings`: it is one of several workers behind one
 * address, and answers for all of them where only the process itself knows.
 */
export async function startControlPlane(
  options: ControlPlaneOptions = {},
  siblings?: Siblings,
): Promise<ControlPlane> {
  const settings = await readSettings(options);
  const resources = new Resources(settings.clock, settings.logger);
  try {
    return await start(settings, resources, siblings);
  } catch (error) {
    await resources.closeAll(CLOSE_WITHIN_MS);
    throw error;
  }
}

async function start(
  settings: Settings,
  resources: Resources,
  siblings: Siblings | undefined,
): Promise<ControlPlane> {
  const { mesh, replica, tls, logger, clock, random } = settings;
  const files = settings.policiesDir === undefined ? [] : await readPolicyFiles(settings.policiesDir);
  if (settings.policiesDir !== undefined && files.length === 0)
    logger.warn({ directory: settings.policiesDir }, 'no policies: it has no .yaml, .yml or .json file');
  const store = await openStore(settings.store, { mesh, replica, clock, random, logger });
  resources.opened('store', () => store.close());
  const mirror = await openMirror(store, { replica, clock, random, logger });
  resources.opened('mirror', () => mirror.close());
  if (files.length > 0) await applyPolicies(mirror, files, { logger, random });

  const telemetry = createTelemetry({ mesh, replica }, siblings);
  const authenticator = createAuthenticator(settings.book);
  const brownout = createBrownout({ mirror, clock, logger });
  resources.opened('brownout', () => brownout.close());
  const overrides = createOverrides({ mirror, clock, logger });
  resources.opened('overrides', () => overrides.close());
  const circuits = new CircuitRoom({
    ...{ mirror, store, replica, clock, random, logger },
    metrics: telemetry,
    override: (circuit) => overrides.override(circuit),
    overridden: () => overrides.lately(),
    frozen: () => overrides.frozen(),
  });
  resources.opened('circuits', () => circuits.close());
  overrides.onChange(() => circuits.wake());
  await circuits.known(CIRCUITS_WITHIN_MS);
  const rooms = { mirror, authenticator, telemetry, brownout, circuits };
  const grpc = await startGrpc(grpcOptions(settings, { store, ...rooms }));
  resources.opened('streams', () => grpc.close());
  const { roster } = grpc;
  brownout.observe(roster, circuits);
  const rollouts = createRollouts({ mirror, clock, random, logger });
  resources.opened('rollouts', () => rollouts.close());
  rollouts.observe(roster);
  const wallNow = () => clock.wallNow();
  const source = random.hex(4);
  const now = () => clock.now();
  const sources = { mirror, roster, brownout, rollouts, circuits, overrides };
  const events = createEventHub({ ...sources, now, wallNow, source, logger });
  resources.opened('events', () => events.close());
  telemetry.observe({ mirror, roster, brownout, circuits, eventStreams: () => events.readers });

  let stopping = false;
  const unreadyReason = () => {
    if (stopping) return 'this replica is stopping';
    return mirror.dataset === '' ? mirror.health.reason : '';
  };
  const onLoopback = isLoopback(settings.rest.host);
  const rest = await buildRest(
    { mesh, replica, ...rooms, roster, overrides, events, clock, random, logger, unreadyReason, onLoopback },
    tls,
  );
  resources.opened('REST', () => rest.close());
  const restUrl = await listenRest(rest, settings.rest, tls !== undefined);
  // The agents leave first, while people can still look at how they do.
  resources.opened('agents', () => grpc.drain());
  const grpcAddress = formatListen(reachable(parseListen(grpc.address, '--grpc')));
  logger.info({ rest: restUrl, grpc: grpcAddress, store: store.description }, 'serving');
  return {
    grpcAddress,
    restUrl,
    mesh,
    replica,
    store: store.description,
    close: async (signal) => {
      if (stopping) return resources.closeAll(CLOSE_WITHIN_MS);
      stopping = true;
      logger.info(signal === undefined ? {} : { signal }, 'stopping');
      await resources.closeAll(CLOSE_WITHIN_MS);
      logger.info({}, 'stopped');
    },
  };
}

function grpcOptions(
  { grpc, tls, mesh, replica, clock, random, logger, reflection, connectionAgeMs }: Settings,
  rooms: {
    store: Store;
    mirror: Mirror;
    authenticator: Authenticator;
    telemetry: Telemetry;
    brownout: Brownout;
    circuits: CircuitRoom;
  },
): GrpcOptions {
  const { store, mirror, authenticator, telemetry, brownout, circuits } = rooms;
  return {
    listen: formatListen(grpc),
    tls,
    mirror,
    store,
    mesh,
    replica,
    clock,
    random,
    logger,
    authenticate: (metadata) => authenticator.authorize(headerOf(metadata), 'agent'),
    reflection,
    metrics: telemetry,
    brownout,
    circuits,
    age: { ageMs: connectionAgeMs },
  };
}

/** Several headers are as wrong as one that is malformed. */
function headerOf(metadata: Metadata): string | undefined {
  const values = metadata.get('authorization');
  return values.length === 0 ? undefined : values.join(', ');
}

/** The URL to reach it by. Throws `address_in_use`, or `invalid_configuration` where the address can't be had at all. */
async function listenRest(app: App, listen: Listen, tls: boolean): Promise<string> {
  const host = listen.host.toLowerCase() === 'localhost' ? '127.0.0.1' : listen.host;
  try {
    await app.listen({ host, port: listen.port, backlog: 511 });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const address = formatListen(listen);
    if (code === 'EADDRINUSE')
      throw new MeshError(
        'address_in_use',
        `${address} (--rest) is taken by another process: stop that one, or choose another port (0 picks a free one)`,
        { cause: error },
      );
    throw new MeshError('invalid_configuration', `can't listen on ${address} (--rest): ${message}`, {
      cause: error,
    });
  }
  const bound = app.server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : listen.port;
  return `${tls ? 'https' : 'http'}://${formatListen(reachable({ host, port }))}`;
}
