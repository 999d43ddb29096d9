/**
 * From the document as read to the model: the model's names carry their units, and defaults that depend on another field are
 * filled in. Never refuses anything; that is the schema's work.
 */
import { defaults, WINDOW_BUCKETS } from './defaults.js';
import type { AdmissionSpec, CircuitSpec, FallbackSpec, Match, OutlierSpec, Sections } from './model.js';
import type { Written } from './schema.js';
import { parseRate } from './units.js';

const usualSlowRate = parseRate(defaults.circuit.slowRate) ?? 1;

type WrittenSpec = Written['spec'];
type Present<S extends keyof WrittenSpec> = NonNullable<WrittenSpec[S]>;

export function buildMatch({ to, from, method }: Written['match']): Match {
  return { to, ...(from === undefined ? {} : { from }), ...(method === undefined ? {} : { method }) };
}

export function buildSections(spec: WrittenSpec): Sections {
  const { retry, hedge, circuit, bulkhead, rateLimit, admission, outlier, fallback, ...scalars } = spec;
  return {
    ...scalars,
    ...(retry === undefined ? {} : { retry: retry && buildRetry(retry) }),
    ...(hedge === undefined ? {} : { hedge }),
    ...(circuit === undefined ? {} : { circuit: circuit && buildCircuit(circuit) }),
    ...(bulkhead === undefined ? {} : { bulkhead: bulkhead && buildBulkhead(bulkhead) }),
    ...(rateLimit === undefined ? {} : { rateLimit: rateLimit && buildRateLimit(rateLimit) }),
    ...(admission === undefined ? {} : { admission: admission && buildAdmission(admission) }),
    ...(outlier === undefined ? {} : { outlier: outlier && buildOutlier(outlier) }),
    ...(fallback === undefined ? {} : { fallback: fallback?.map(buildFallback) ?? null }),
  };
}

function buildRetry({ attempts, on, backoff, budget }: Present<'retry'>) {
  return { attempts, on, backoff: { baseMs: backoff.base, maxMs: backoff.max }, budget };
}

/** Field by field: a copy of the rest costs more than all the others together, and a mesh has a hundred thousand of them to read. */
function buildCircuit(circuit: Present<'circuit'>): CircuitSpec {
  const { window, failureRate, slowCall, slowRate, minimumCalls, openFor, halfOpen, per, scope, cluster } =
    circuit;
  return {
    window: window.kind === 'time' ? { ...window, buckets: WINDOW_BUCKETS } : window,
    failureRate,
    ...(slowCall === undefined ? {} : { slowCallMs: slowCall }),
    slowRate: slowRate ?? usualSlowRate,
    minimumCalls,
    openForMs: openFor,
    halfOpen: { calls: halfOpen.calls, maxWaitMs: halfOpen.maxWait },
    per,
    scope,
    cluster: {
      windowMs: cluster.window,
      quorum: cluster.quorum,
      minReporters: cluster.minReporters,
      ramp: cluster.ramp,
      rampStepMs: cluster.rampStep,
    },
  };
}

function buildBulkhead({ queueTimeout, ...same }: Present<'bulkhead'>) {
  return { ...same, ...(queueTimeout === undefined ? {} : { queueTimeoutMs: queueTimeout }) };
}

function buildRateLimit({ per, burst, ...same }: Present<'rateLimit'>) {
  return { ...same, perMs: per, burst: burst ?? same.rate };
}

function buildAdmission({ window, ...same }: Present<'admission'>): AdmissionSpec {
  return { ...same, windowMs: window };
}

function buildOutlier({ interval, ejectFor, maxEjectFor, ...same }: Present<'outlier'>): OutlierSpec {
  return { ...same, intervalMs: interval, ejectForMs: ejectFor, maxEjectForMs: maxEjectFor };
}

function buildFallback(entry: Present<'fallback'>[number]): FallbackSpec {
  const { cache, target, handler, error } = entry;
  if (cache) return { kind: 'cache', maxAgeMs: cache.maxAge };
  if (target) return { kind: 'target', ...target };
  if (handler !== undefined) return { kind: 'handler', name: handler };
  if (error) return { kind: 'error', ...error };
  return { kind: 'static', value: entry.static };
}
