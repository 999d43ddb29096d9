/**
 * What happened, as a numbered list with a short memory: the source of `GET /v1/events`. It listens to the mirror and the
 * roster, gives each event an id, keeps the last 1,000 of them, and tells whoever reads. An id is `<source>-<number>`; the
 * source is drawn anew by each replica's start, so that an id of another life or another replica is recognised as such and
 * never answered with a gap in silence. Readers are called, never awaited: bounding a slow one is its own business.
 */
import { messageOf } from '../core/errors.js';
import type {
  Brownout,
  BrownoutChange,
  CircuitChange,
  Circuits,
  ClusterChange,
  Mirror,
  Overrides,
  PolicyChange,
  Rollouts,
  Roster,
} from './ports.js';
import type { Instance } from './store/store.js';
import type { Logger } from './telemetry/logger.js';

/** `gap` is never kept: it tells one reader that what lies before can't be told any more. */
export const eventTypes = [
  'policy',
  'agent',
  'circuit',
  'cluster-circuit',
  'override',
  'freeze',
  'instance',
  'brownout',
  'rollout',
  'store',
  'gap',
] as const;
export type EventType = (typeof eventTypes)[number];

export interface MeshEvent {
  readonly id: string;
  readonly type: EventType;
  /** ISO 8601, for people. */
  readonly at: string;
  readonly data: object;
  /** The event as it goes over the wire, encoded for the first reader and once for all. */
  readonly frame: string;
}

const EVENTS_MAX = 1000;
/** Refusals told with one event; `GET /v1/agents/{id}` has them all. */
const REFUSED_MAX = 10;

export interface EventHub {
  /** Events after `lastId`, oldest first; undefined if they can't be told (unknown, or beyond the memory). */
  since(lastId: string): readonly MeshEvent[] | undefined;
  /** A frame that says so, and from where on the reader is complete again. */
  gap(lastId: string): string;
  /** Calls `reader` for each event from now on; answers how to stop. */
  read(reader: (event: MeshEvent) => void): () => void;
  readonly readers: number;
  close(): void;
}

export function createEventHub(deps: {
  mirror: Mirror;
  roster: Roster;
  brownout: Brownout;
  /** Absent: nothing is told of rollouts. */
  rollouts?: Pick<Rollouts, 'onChange'>;
  /** Absent: nothing is told of circuits of the mesh. */
  circuits?: Pick<Circuits, 'onTransition'>;
  /** Absent: nothing is told of what operators decide of circuits. */
  overrides?: Pick<Overrides, 'override' | 'freeze' | 'onChange'>;
  /** Wall-clock milliseconds. */
  wallNow: () => number;
  /** Monotonic milliseconds, as overrides count their time. */
  now: () => number;
  /** Unique for this life of this replica. */
  source: string;
  logger: Logger;
}): EventHub {
  const { wallNow, source, logger } = deps;
  /** A ring: event n is at n modulo its size. */
  const ring: MeshEvent[] = [];
  const readers = new Set<(event: MeshEvent) => void>();
  let last = 0;

  const emit = (type: EventType, data: object) => {
    const id = `${source}-${++last}`;
    const event = encode(id, type, wallNow(), data);
    ring[last % EVENTS_MAX] = event;
    for (const reader of readers) {
      try {
        reader(event);
      } catch (error) {
        logger.error({ error: messageOf(error) }, 'a reader of the events failed');
      }
    }
  };
  const stops = listen(deps, emit);

  return {
    since(lastId) {
      const match = /^(.*)-(\d{1,15})$/.exec(lastId);
      const number = Number(match?.[2]);
      if (match?.[1] !== source || number > last || number < last - EVENTS_MAX) return undefined;
      const missed: MeshEvent[] = [];
      for (let n = number + 1; n <= last; n++) {
        const event = ring[n % EVENTS_MAX];
        if (event) missed.push(event);
      }
      return missed;
    },
    gap: (lastId) =>
      encode(`${source}-${last}`, 'gap', wallNow(), {
        after: lastId.slice(0, 100),
        reason: 'these events are not known here any more; read the present state anew',
      }).frame,
    read(reader) {
      readers.add(reader);
      return () => void readers.delete(reader);
    },
    get readers() {
      return readers.size;
    },
    close() {
      for (const stop of stops) stop();
      readers.clear();
    },
  };
}

/** `wallMs`: when it happened. */
function encode(id: string, type: EventType, wallMs: number, data: object): MeshEvent {
  return new Encoded(id, type, wallMs, data);
}

/** Thousands may happen while nobody listens: what is for readers is made for the first of them. */
class Encoded implements MeshEvent {
  #frame: string | undefined;

  constructor(
    readonly id: string,
    readonly type: EventType,
    private readonly wallMs: number,
    readonly data: object,
  ) {}

  get at(): string {
    return new Date(this.wallMs).toISOString();
  }

  get frame(): string {
    this.#frame ??= `id: ${this.id}\nevent: ${this.type}\ndata: ${JSON.stringify({ at: this.at, ...this.data })}\n\n`;
    return this.#frame;
  }
}

/** Ties the hub to its sources; answers how to untie it. */
function listen(
  {
    mirror,
    roster,
    brownout,
    rollouts,
    circuits,
    overrides,
    now,
  }: Omit<Parameters<typeof createEventHub>[0], 'wallNow' | 'source' | 'logger'>,
  emit: (type: EventType, data: object) => void,
): (() => void)[] {
  const instances = instanceDiff(mirror);
  return [
    mirror.on('policies', (changes) => {
      for (const change of changes) emit('policy', policyEvent(change));
    }),
    mirror.on('reset', () => {
      for (const data of instances.changed(new Set([...instances.known(), ...mirror.services().keys()])))
        if (data.up.length + data.down.length > 0) emit('instance', data);
      emit('store', { change: 'reset', dataset: mirror.dataset, revision: mirror.revision });
    }),
    mirror.on('instances', (services) => {
      for (const data of instances.changed(services)) emit('instance', data);
    }),
    mirror.on('health', ({ up, reason }) => emit('store', { change: up ? 'up' : 'down', reason })),
    roster.on('agent', (row, change) =>
      emit('agent', {
        agent: row.agent,
        change,
        service: row.service,
        replica: row.replica,
        revision: row.applied,
        ...(change === 'refused' ? { refused: row.refused.slice(0, REFUSED_MAX) } : {}),
      }),
    ),
    roster.on('circuit', (change) => emit('circuit', circuitEvent(change))),
    brownout.onChange((change) => emit('brownout', brownoutEvent(change))),
    ...(circuits ? [circuits.onTransition((change) => emit('cluster-circuit', clusterEvent(change)))] : []),
    ...(rollouts ? [rollouts.onChange((change) => emit('rollout', change))] : []),
    ...(overrides ? [tellDecisions(overrides, now, emit)] : []),
  ];
}

/** What operators decide of circuits, and that its time is over. */
function tellDecisions(
  overrides: Pick<Overrides, 'override' | 'freeze' | 'onChange'>,
  now: () => number,
  emit: (type: EventType, data: object) => void,
): () => void {
  let frozen = overrides.freeze()?.revision;
  return overrides.onChange((circuits) => {
    for (const circuit of circuits) {
      const held = overrides.override(circuit);
      emit('override', { circuit, state: held?.state ?? 'auto', ...decisionEvent(held, now()) });
    }
    const freeze = overrides.freeze();
    if (freeze?.revision === frozen) return;
    frozen = freeze?.revision;
    emit('freeze', { frozen: freeze !== undefined, ...decisionEvent(freeze, now()) });
  });
}

function decisionEvent(held: ReturnType<Overrides['freeze']>, now: number): object {
  if (!held) return { reason: '', author: '', ttlMs: null };
  const ttlMs = held.endsAt === Number.POSITIVE_INFINITY ? null : Math.ceil(held.endsAt - now);
  return { reason: held.reason, author: held.author, ttlMs };
}

function policyEvent({ name, revision, before, after }: PolicyChange): object {
  const change = after ? (before ? 'changed' : 'created') : 'deleted';
  return { policy: name, revision, change, previous: before?.revision ?? null };
}

function brownoutEvent({ before, view: { level, source, reason, ttlMs, setting } }: BrownoutChange): object {
  const left = ttlMs === undefined ? null : Math.ceil(ttlMs);
  return { level, before, source, reason, ttlMs: left, revision: setting?.revision ?? null };
}

function circuitEvent({ agent, before, row }: CircuitChange): object {
  const { id, callee, method, policy, revision, state, epoch, retryAfterMs, reason } = row;
  return {
    ...{ id, callee, method, policy, revision, agent, before, state, epoch },
    retryAfterMs: Math.round(retryAfterMs),
    reason,
  };
}

function clusterEvent({ before, after, shadow }: ClusterChange): object {
  const { id, state, epoch, seq, step, reason, policy, override, ejections } = after;
  return {
    ...{ id, policy: policy.policy, revision: policy.revision, before: before?.state ?? 'closed', state },
    ...{ epoch, seq, step, reason, shadow, override: override ?? null },
    ejected: ejections.filter(({ leftMs }) => leftMs > 0).map(({ endpoint }) => endpoint),
  };
}

/** The mirror says whose instances changed; this remembers who they were, to say which came and went. */
function instanceDiff(mirror: Mirror) {
  // The mirror's own lists, which never change; each sorted by id.
  const known = new Map<string, readonly Instance[]>(mirror.services());
  return {
    known: () => known.keys(),
    changed(services: Iterable<string>) {
      const events: { service: string; up: string[]; down: string[]; instances: number }[] = [];
      for (const service of services) {
        const before = known.get(service) ?? [];
        const now = mirror.instances(service);
        if (now.length > 0) known.set(service, now);
        else known.delete(service);
        events.push({ service, ...cameAndWent(before, now), instances: now.length });
      }
      return events;
    },
  };
}

/** Side by side, in order: what one instance of ten thousand costs is a look at each, and no set of them. */
function cameAndWent(
  before: readonly Instance[],
  now: readonly Instance[],
): { up: string[]; down: string[] } {
  const up: string[] = [];
  const down: string[] = [];
  for (let b = 0, n = 0; b < before.length || n < now.length; ) {
    const old = before[b];
    const here = now[n];
    if (here && (!old || here.id < old.id)) {
      up.push(here.id);
      n++;
    } else if (old && (!here || old.id < here.id)) {
      down.push(old.id);
      b++;
    } else {
      b++;
      n++;
    }
  }
  return { up, down };
}
