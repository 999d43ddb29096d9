/**
 * The figures of one control plane for Prometheus. Each control plane has a registry of its own, so that two in one process
 * don't add up; what belongs to the process (memory, event loop, collector) is registered once for all of them. Labels take
 * their values from closed sets: a hostile name can never make a new series. A worker that shares its address with others
 * answers for all of them, and every series says of which replica it is.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CircuitMetrics } from '../coordination/metrics.js';
import type { GrpcMetrics, Ignored } from '../grpc/metrics.js';
import type { Brownout, Circuits, Mirror, Roster } from '../ports.js';
import { mergeScrapes, type Siblings } from './siblings.js';

/** What REST tells. */
export interface RestMetrics {
  request(method: string, route: string, status: number, durationMs: number): void;
  write(action: string, result: 'changed' | 'unchanged' | 'conflict' | 'unavailable' | 'failed'): void;
  eventStreamCut(): void;
}

export interface Telemetry extends GrpcMetrics, CircuitMetrics, RestMetrics {
  ignored(what: Ignored): void;
  /** From here on a scrape asks these for what they hold. */
  observe(sources: {
    mirror: Mirror;
    roster: Roster;
    brownout: Brownout;
    circuits?: Pick<Circuits, 'views'>;
    eventStreams: () => number;
  }): void;
  /** The text of a scrape, and its content type. */
  scrape(): Promise<{ readonly contentType: string; readonly text: string }>;
}

const circuitStates = [
  'closed',
  'open',
  'half-open',
  'ramping',
  'forced-open',
  'forced-closed',
  'disabled',
  'shadow',
  'other',
] as const;

const clusterStates = ['closed', 'open', 'half-open', 'ramping'] as const;

const METHODS = new Set(['GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'PATCH', 'OPTIONS']);

let processRegistry: Registry | undefined;

/** Lists of all that is open, made at each scrape: with ten thousand connections they would stop the loop for a tenth of a second. */
const PER_HANDLE = /^(nodejs_active_(handles|requests|resources)(_total)?|process_open_fds)$/;

/**
 * Memory, event loop lag, collector: once for each process, since they describe it and their observers can't be removed. `labels`:
 * where the answer has several processes in it.
 */
function ofProcess(labels: object): Registry {
  if (!processRegistry) {
    processRegistry = new Registry();
    processRegistry.setDefaultLabels(labels);
    collectDefaultMetrics({ register: processRegistry });
    for (const { name } of processRegistry.getMetricsAsArray())
      if (PER_HANDLE.test(name)) processRegistry.removeSingleMetric(name);
  }
  return processRegistry;
}

export function createTelemetry(labels: { mesh: string; replica: string }, siblings?: Siblings): Telemetry {
  const registry = new Registry();
  registry.setDefaultLabels(labels);
  const counted = counters(registry);
  let sources: Parameters<Telemetry['observe']>[0] | undefined;
  gauges(registry, () => sources);
  const ofThis = async () =>
    `${await registry.metrics()}\n${await ofProcess(siblings ? labels : {}).metrics()}`;
  siblings?.answer(ofThis);
  return {
    push(bytes) {
      counted.pushes.inc();
      counted.pushBytes.inc(bytes);
    },
    ack: (delayMs) => counted.acks.observe(delayMs / 1000),
    report: () => counted.reports.inc(),
    refusal: () => counted.refusals.inc(),
    streamEnd: (reason) => counted.streamEnds.inc({ reason }),
    ignored: (what) => counted.ignored.inc({ what }),
    sentElsewhere: (reason) => counted.sentElsewhere.inc({ reason }),
    rates(limits, grantedPerSecond) {
      counted.rateLimits.set(limits);
      counted.rateGranted.set(grantedPerSecond);
    },
    exchange(result, durationMs) {
      counted.exchanges.observe({ result }, durationMs / 1000);
    },
    transition: (state) => counted.transitions.inc({ state }),
    frozen: (frozen) => counted.frozen.set(frozen ? 1 : 0),
    request(method, route, status, durationMs) {
      const label = METHODS.has(method) ? method : 'other';
      counted.requests.observe({ method: label, route, status }, durationMs / 1000);
    },
    write: (action, result) => counted.writes.inc({ action, result }),
    eventStreamCut: () => counted.eventStreamsCut.inc(),
    observe(given) {
      sources = given;
    },
    async scrape() {
      const [own, others] = await Promise.all([ofThis(), siblings?.scrapes()]);
      const text = others ? mergeScrapes([own, ...others]) : own;
      return { contentType: registry.contentType, text };
    },
  };
}

function counters(registry: Registry) {
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `switchgear_${name}`, help, labelNames, registers });
  const gauge = (name: string, help: string) => new Gauge({ name: `switchgear_${name}`, help, registers });
  return {
    requests: new Histogram({
      name: 'switchgear_rest_request_duration_seconds',
      help: 'Duration of REST requests by route pattern.',
      labelNames: ['method', 'route', 'status'],
      buckets: [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10],
      registers,
    }),
    writes: counter('writes_total', 'Writes by what was asked and what came of it.', ['action', 'result']),
    pushes: counter('pushes_total', 'Deltas written to streams.'),
    pushBytes: counter('push_bytes_total', 'Bytes of deltas written to streams.'),
    acks: new Histogram({
      name: 'switchgear_ack_delay_seconds',
      help: 'Time from a delta to its acknowledgement; the count is that of acknowledgements.',
      buckets: [0.005, 0.02, 0.1, 0.25, 0.5, 2, 10, 30],
      registers,
    }),
    reports: counter('reports_total', 'Reports of agents that were taken in.'),
    sentElsewhere: counter(
      'streams_sent_elsewhere_total',
      'Streams told to go to another replica, for their age or because this one had more than its share.',
      ['reason'],
    ),
    ignored: counter('ignored_total', 'Sayings of agents that had no effect.', ['what']),
    rateLimits: gauge('rate_limits', 'Limits of the whole mesh that agents of this replica use.'),
    rateGranted: gauge('rate_granted_per_second', 'What this replica grants of them, in calls per second.'),
    exchanges: new Histogram({
      name: 'switchgear_cluster_exchange_duration_seconds',
      help: 'Exchanges about circuits of the mesh with the store, by what came of them.',
      labelNames: ['result'],
      buckets: [0.002, 0.01, 0.05, 0.2, 1, 5],
      registers,
    }),
    transitions: counter(
      'cluster_circuit_transitions_total',
      'Changes of circuits of the mesh that this replica has made or seen, by the state after it.',
      ['state'],
    ),
    frozen: gauge('cluster_circuits_frozen', '1 while the store is away and no circuit of the mesh changes.'),
    refusals: counter('refusals_total', 'Policies that agents refused.'),
    streamEnds: counter('stream_ends_total', 'Streams that ended, by reason.', ['reason']),
    eventStreamsCut: counter(
      'event_streams_cut_total',
      'Readers of /v1/events that were cut for being slow.',
    ),
  };
}

/** Gauges are read when Prometheus asks. */
function gauges(registry: Registry, sources: () => Parameters<Telemetry['observe']>[0] | undefined): void {
  type Sources = NonNullable<ReturnType<typeof sources>>;
  const gauge = (name: string, help: string, read: (from: Sources) => number) =>
    new Gauge({
      name: `switchgear_${name}`,
      help,
      registers: [registry],
      collect() {
        const from = sources();
        if (from) this.set(read(from));
      },
    });
  gauge('agents_connected', 'Streams of this replica.', ({ roster }) => roster.connected);
  gauge('store_up', '1 while the store answers.', ({ mirror }) => (mirror.health.up ? 1 : 0));
  gauge('store_faults', 'Entries of the store that can not be read.', ({ mirror }) => mirror.faults.length);
  gauge('revision', 'Head of the log as seen here.', ({ mirror }) => mirror.revision);
  gauge('policies', 'Policies in the mesh.', ({ mirror }) => mirror.policies().length);
  gauge('instances', 'Live instances in the mesh.', ({ mirror }) => {
    let total = 0;
    for (const instances of mirror.services().values()) total += instances.length;
    return total;
  });
  gauge(
    'brownout_level',
    'Level at which features are off; 0: all run.',
    ({ brownout }) => brownout.view().level,
  );
  gauge('event_streams', 'Readers of /v1/events.', ({ eventStreams }) => eventStreams());
  new Gauge({
    name: 'switchgear_cluster_circuits',
    help: 'Circuits of the mesh, by state; those of single zones by themselves.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const views = sources()?.circuits?.views();
      if (!views) return;
      const byState = new Map<string, number>(clusterStates.map((state) => [state, 0]));
      for (const { record } of views) byState.set(record.state, (byState.get(record.state) ?? 0) + 1);
      for (const [state, count] of byState) this.set({ state }, count);
    },
  });
  new Gauge({
    name: 'switchgear_circuits',
    help: 'Circuits as agents report them, by state; closed ones of this replica only.',
    labelNames: ['state'],
    registers: [registry],
    collect() {
      const from = sources();
      if (!from) return;
      const byState = new Map<string, number>(circuitStates.map((state) => [state, 0]));
      for (const [said, count] of from.roster.circuitStates()) {
        const state = byState.has(said) ? said : 'other';
        byState.set(state, (byState.get(state) ?? 0) + count);
      }
      for (const [state, count] of byState) this.set({ state }, count);
    },
  });
}
