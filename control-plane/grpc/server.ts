/**
 * The gRPC face of one replica, put together: listener, services, streams, registry, roster. Everything here is made from what
 * is handed in; nothing is global, so several may live in one process.
 */
import { Server, type ServiceDefinition } from '@grpc/grpc-js';
import type { HealthImplementation } from 'grpc-health-check';
import type { Clock } from '../../core/clock.js';
import type { Random } from '../../core/random.js';
import { toControlBytesMax } from '../../proto/bounds.js';
import type { Wire } from '../../proto/codec.js';
import { loadWire } from '../../proto/load.js';
import type { TlsMaterial } from '../auth/tls.js';
import type { CircuitRoom } from '../coordination/room.js';
import type { Brownout, CircuitRow, Mirror, Roster } from '../ports.js';
import { Rates, type RatesOptions } from '../rates/rates.js';
import { Learner } from '../registry/learner.js';
import { Leases } from '../registry/leases.js';
import type { Store } from '../store/store.js';
import type { Logger } from '../telemetry/logger.js';
import { Admission, type AdmissionOptions, defaultAdmission } from './admission.js';
import { type AgeOptions, ConnectionAge } from './age.js';
import { BrownoutBodies } from './brownout-feed.js';
import { DirectiveBodies } from './directive-lane.js';
import { type Authenticate, Entrance } from './entrance.js';
import { FanOut } from './fan-out.js';
import { HealthWindow } from './health-window.js';
import { LatencyWindow } from './latency-window.js';
import { type Listener, listen } from './listener.js';
import { Lists } from './lists.js';
import { type GrpcMetrics, noMetrics } from './metrics.js';
import { Others, type OwnSummary, type ReplicaView } from './others.js';
import type { Page } from './pages.js';
import { Pump } from './pump.js';
import { RateShares } from './rate-shares.js';
import type { Room } from './room.js';
import { createRoster } from './roster.js';
import { RosterEvents } from './roster-events.js';
import { Streams } from './streams.js';
import { Welcomes } from './welcomes.js';

export interface GrpcOptions {
  /** `host:port`; port 0: any free one. */
  readonly listen: string;
  readonly tls?: TlsMaterial | undefined;
  readonly mirror: Mirror;
  readonly store: Store;
  readonly mesh: string;
  readonly replica: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Absent: everybody may open a stream. */
  readonly authenticate?: Authenticate | undefined;
  /** Offers `grpc.reflection.v1`. */
  readonly reflection?: boolean | undefined;
  readonly metrics?: GrpcMetrics | undefined;
  /** Absent: agents are told of none. */
  readonly brownout?: Brownout | undefined;
  /** Circuits of the mesh; absent: there are none. */
  readonly circuits?: CircuitRoom | undefined;
  /** How many new streams are let in. */
  readonly admission?: AdmissionOptions | undefined;
  /** When streams are told to go elsewhere; absent: never. */
  readonly age?: Pick<AgeOptions<object>, 'ageMs' | 'settleMs' | 'stayMs'> | undefined;
}

export interface GrpcFace {
  /** `host:port` as bound. */
  readonly address: string;
  readonly roster: Roster;
  /** Lets nobody in any more and ends the streams at a paced rate; within 5 s. */
  drain(): Promise<void>;
  /** Drains, then ends everything. The store is left open. */
  close(): Promise<void>;
}

/** Two summaries and a bit. */
const ALIVE_MS = 7_000;

/** The services that `grpc.health.v1` speaks of; '' is the whole. */
const served = ['', 'switchgear.v1.Agents'];

/** Rejects with `address_in_use` or `invalid_configuration`. */
export async function startGrpc(options: GrpcOptions): Promise<GrpcFace> {
  const wire = await loadWire();
  const { HealthImplementation: Health } = await import('grpc-health-check');
  const server = new Server(serverOptions);
  const serving = new Health(Object.fromEntries(served.map((name) => [name, 'SERVING' as const])));
  serving.addToServer(server);
  if (options.reflection) await addReflection(server, wire);

  const room = createRoom(options, wire);
  let listener: Listener | undefined;
  let others: Others | undefined;
  const streams = new Streams(room, {
    cut: (peer) => listener?.cut(peer),
    elsewhere: (agent) => others?.bootOf(agent),
    age: new ConnectionAge({
      ...(options.age ?? { ageMs: 0 }),
      random: options.random,
      ready: ({ outlet }) => !outlet.blocked,
    }),
    others: () => (others?.views() ?? []).filter(takesAgents).map(({ summary }) => summary.agents),
  });
  const stopForgetting = [
    room.mirror.on('reset', () => {
      streams.dropCircuits((policy) => !room.mirror.policy(policy));
      room.leases.renew();
      room.events.touchedAll();
    }),
    room.mirror.on('interest', () => room.events.touchedAll()),
    room.mirror.on('policies', (changes) => {
      const gone = new Set(changes.filter(({ after }) => !after).map(({ name }) => name));
      if (gone.size > 0) streams.dropCircuits((policy) => gone.has(policy));
    }),
    ...(options.brownout ? [options.brownout.onVersion(() => streams.wake())] : []),
    ...listenToCircuits(room, streams),
  ];
  const entrance = new Entrance({
    ...room,
    admission: new Admission(options.admission ?? defaultAdmission, options.random, room.clock.now()),
    authenticate: options.authenticate,
    enter: (call) => streams.open(call),
  });
  server.addService(wire.service as unknown as ServiceDefinition, { session: entrance.open });
  const stop = () => {
    for (const forget of stopForgetting) forget();
    streams.close();
    room.rateShares.close();
    room.fanOut.close();
    room.pump.close();
    room.learner.close();
  };
  try {
    listener = await listen(server, options.listen, { tls: options.tls, clock: options.clock });
  } catch (error) {
    stop();
    await Promise.all([room.leases.close(), room.rates.close()]);
    throw error;
  }
  others = exchange(options, room, streams);
  const roster = createRoster({ ...room, streams, others });
  return face({ listener, server, serving, room, streams, others, roster, entrance, stop });
}

const serverOptions = {
  'grpc.max_receive_message_length': toControlBytesMax,
  'grpc.max_concurrent_streams': 100,
  'grpc.max_connection_idle_ms': 300_000,
  // Its books of channels and calls cost memory and time on every message.
  'grpc.enable_channelz': 0,
};

async function addReflection(server: Server, wire: Wire): Promise<void> {
  const { ReflectionService } = await import('@grpc/reflection');
  new ReflectionService(wire.definitions as ConstructorParameters<typeof ReflectionService>[0]).addToServer(
    server,
  );
}

function createRoom(options: GrpcOptions, wire: Wire): Room {
  const { mesh, replica, mirror, store, clock, random, logger, metrics = noMetrics, brownout } = options;
  const { circuits } = options;
  const pump = new Pump(clock);
  const fanOut = new FanOut({
    ...{ mirror, encode: wire.encode, pump },
    ejected: circuits && ((callee) => circuits.ejected(callee)),
  });
  const rateShares = new RateShares({ mirror, fanOut, pump, clock, encode: wire.encode });
  const account = `${replica} ${random.hex(4)}`;
  const sharers: RatesOptions['sharers'] = (limit) => rateShares.crowd.of(limit);
  return {
    mesh,
    replica,
    mirror,
    clock,
    logger,
    metrics,
    pump,
    fanOut,
    leases: new Leases({ store, clock, random, logger }),
    learner: new Learner({ store, clock, logger }),
    health: new HealthWindow(),
    latencies: new LatencyWindow(mirror),
    events: new RosterEvents(logger),
    lists: new Lists(),
    welcomes: new Welcomes(options, wire.encode),
    rates: new Rates({ mirror, store, clock, logger, account, metrics, sharers }),
    rateShares,
    circuits,
    directives: circuits && new DirectiveBodies(circuits, wire.encode),
    brownout: brownout && new BrownoutBodies({ brownout, encode: wire.encode, clock }),
  };
}

function exchange({ store, random }: GrpcOptions, room: Room, streams: Streams): Others {
  const { clock, logger, replica, health, latencies, events, rateShares } = room;
  const summary = (): OwnSummary => {
    const now = clock.now();
    let agents = 0;
    const circuits: CircuitRow[] = [];
    for (const { reports } of streams.agents()) {
      agents++;
      circuits.push(...reports.circuits.notable(now));
    }
    return { agents, circuits, health: health.all(now), latencies: latencies.all(now) };
  };
  const entries = (page: number) => [...streams.agentsOn(page)].map((agent) => agent.entry());
  const read = (views: readonly ReplicaView[], fresh: readonly Page[]) => {
    rateShares.read(views);
    room.circuits?.others(views.filter(isAlive).map(({ summary: { replica: name } }) => name));
    for (const page of fresh)
      for (const { row, boot } of page.entries) streams.replacedElsewhere(row.agent, boot);
  };
  const others = new Others({
    store,
    clock,
    logger,
    replica,
    life: random.hex(8),
    summary,
    entries,
    read,
    takeChanged: () => events.takeChanged(),
    takeTouched: () => events.takeTouched(),
  });
  return others;
}

function listenToCircuits({ circuits, fanOut }: Room, streams: Streams): (() => void)[] {
  if (!circuits) return [];
  return [
    circuits.news.onDirectives((callees) => (callees ? fanOut.hasten(callees) : streams.wake())),
    circuits.news.onEjections((callees) => fanOut.instances(callees)),
  ];
}

/** Whoever has no agents has nothing to decide by, or has said that it is stopping. */
function isAlive({ summary: { agents }, ageMs }: ReplicaView): boolean {
  return agents > 0 && ageMs < ALIVE_MS;
}

/** Whoever stops says that it has no pages; who has just started has some, without agents. */
function takesAgents({ summary: { pages }, ageMs }: ReplicaView): boolean {
  return pages.length > 0 && ageMs < ALIVE_MS;
}

function face(parts: {
  listener: Listener;
  server: Server;
  serving: HealthImplementation;
  room: Room;
  streams: Streams;
  others: Others;
  roster: Roster;
  entrance: Entrance;
  stop: () => void;
}): GrpcFace {
  const { listener, server, serving, room, streams, others, roster, entrance, stop } = parts;
  let draining: Promise<void> | undefined;
  const drain = () => {
    draining ??= (async () => {
      entrance.close();
      for (const name of served) serving.setStatus(name, 'NOT_SERVING');
      listener.stop();
      await streams.drain();
    })();
    return draining;
  };
  let closing: Promise<void> | undefined;
  const close = async () => {
    await drain();
    stop();
    await Promise.all([room.leases.close(), room.rates.close(), others.close()]);
    await listener.close();
    server.forceShutdown();
  };
  return {
    address: listener.address,
    roster,
    drain,
    close: () => {
      closing ??= close();
      return closing;
    },
  };
}
