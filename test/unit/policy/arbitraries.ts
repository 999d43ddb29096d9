/**
 * Documents at random: right ones with every section, and trees of JSON with keys that mean harm.
 */
import fc from 'fast-check';

const duration = (minMs: number, maxMs: number) =>
  fc.integer({ min: minMs, max: maxMs }).map((ms) => `${ms}ms`);
const rate = fc.integer({ min: 1, max: 1_000 }).map((n) => `${n / 10}%`);
const some = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(shape, { requiredKeys: [] });

export const callee = fc.constantFrom('*', 'inventory', 'payments', 'self');
export const caller = fc.constantFrom('checkout', 'web');
export const method = fc.constantFrom(
  'shop.v1.Inventory/*',
  'shop.v1.Inventory/Reserve',
  'shop.v1.Pay/*',
  'shop.v1.Pay/Charge',
);

const circuit = fc.oneof(
  some({
    window: duration(10, 60_000),
    failureRate: rate,
    slowCall: duration(1, 500),
    minimumCalls: fc.integer({ min: 1, max: 1_000 }),
    openFor: duration(1, 60_000),
    halfOpen: some({ calls: fc.integer({ min: 1, max: 10 }), maxWait: duration(1, 60_000) }),
    per: fc.constantFrom('service', 'method'),
    scope: fc.constantFrom('local', 'cluster'),
  }),
  fc.integer({ min: 1, max: 100 }).map((calls) => ({ window: { calls }, minimumCalls: calls })),
);

const choice = fc.constantFrom('service', 'method');
const share = fc.integer({ min: 1, max: 250 }).map((n) => `${n / 10}%`);

const bulkhead = fc.record(
  {
    maxConcurrent: fc.oneof(fc.integer({ min: 1, max: 99 }), fc.constant('auto')),
    maxQueue: fc.integer({ min: 0, max: 99 }),
    shares: some({ 'critical-plus': share, critical: share, 'sheddable-plus': share, sheddable: share }),
    per: choice,
  },
  { requiredKeys: ['maxConcurrent'] },
);

const rateLimit = fc.record(
  {
    rate: fc.integer({ min: 1, max: 1_000 }),
    per: duration(1, 60_000),
    burst: fc.integer({ min: 1, max: 1_000 }),
    scope: fc.constantFrom('local', 'cluster'),
    by: choice,
  },
  { requiredKeys: ['rate'] },
);

const admission = some({ window: duration(100, 60_000), successRate: rate, maxRejection: rate });

const outlier = some({
  interval: duration(100, 60_000),
  failureRate: rate,
  minimumCalls: fc.integer({ min: 1, max: 1_000 }),
  minimumHosts: fc.integer({ min: 1, max: 10 }),
  ejectFor: duration(100, 60_000),
  maxEjectFor: duration(60_000, 600_000),
  maxEjected: rate,
});

const classify = fc.dictionary(
  fc.constantFrom('NOT_FOUND', 'UNKNOWN', '404', '503', 'ECONNRESET', 'TimeoutError', 'toString'),
  fc.constantFrom('success', 'failure', 'neutral'),
);

const hedge = some({
  delay: fc.oneof(fc.constantFrom('p50', 'p95', 'p99.9'), duration(1, 499)),
  extra: fc.integer({ min: 1, max: 4 }),
});

const retry = some({
  attempts: fc.integer({ min: 1, max: 5 }),
  on: fc.uniqueArray(fc.constantFrom('UNAVAILABLE', 'ABORTED', 'UNKNOWN'), { minLength: 1 }),
  backoff: some({ base: duration(1, 250), max: duration(250, 1_000) }),
  budget: rate,
});

/** A chain of up to two that may pass on, and perhaps one that always answers. */
const fallback = fc
  .tuple(
    fc.array(
      fc.oneof(
        fc.record({ cache: fc.record({ maxAge: duration(1, 60_000) }) }),
        fc.record({ target: fc.record({ to: fc.constant('elsewhere') }) }),
        fc.record({ handler: fc.constantFrom('lastKnown', 'toString') }),
      ),
      { maxLength: 2 },
    ),
    fc.oneof(
      fc.jsonValue().map((value) => ({ static: harmless(value) })),
      fc.record({ error: fc.record({ status: fc.constantFrom('NOT_FOUND', 'UNAVAILABLE') }) }),
    ),
  )
  .map(([chain, last]) => [...chain, last]);

const spec = some({
  timeout: fc.option(duration(500, 5_000)),
  attemptTimeout: fc.option(duration(1, 499)),
  streamTimeout: fc.option(duration(1, 60_000)),
  idempotent: fc.option(fc.boolean()),
  retry: fc.option(retry),
  circuit: fc.option(circuit),
  bulkhead: fc.option(bulkhead),
  rateLimit: fc.option(rateLimit),
  admission: fc.option(admission),
  outlier: fc.option(outlier),
  classify: fc.option(classify),
  fallback: fc.option(fallback),
});

/** A hedge comes with what it needs. */
const withHedge = fc
  .tuple(spec, fc.option(hedge, { nil: undefined }))
  .map(([rest, hedging]) => (hedging === undefined ? rest : { ...rest, idempotent: true, hedge: hedging }));

/** A document that the parser takes. */
/** A rate that all services would share is refused. */
function possible({ match, spec }: { match: { to: string; from?: unknown }; spec?: unknown }): boolean {
  const { rateLimit } = (spec ?? {}) as { rateLimit?: { scope?: unknown } | null };
  return match.to !== 'self' || match.from !== undefined || rateLimit?.scope !== 'cluster';
}

const anyDocument = fc.record(
  {
    policy: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,8}$/),
    match: fc.record({ to: callee, from: caller, method }, { requiredKeys: ['to'] }),
    mode: fc.constantFrom('enforce', 'shadow', 'off'),
    priority: fc.integer({ min: -2, max: 2 }),
    spec: withHedge,
    rollout: some({ percent: fc.integer({ min: 0, max: 100 }) }),
  },
  { requiredKeys: ['policy', 'match'] },
);
export const document = anyDocument.filter(possible);

/** Without keys that the parser refuses, and not as deep as it refuses. */
function harmless(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(harmless);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !['__proto__', 'constructor', 'prototype'].includes(key))
      .map(([key, inner]) => [key, harmless(inner)]),
  );
}

const words = fc.constantFrom(
  'policy',
  'match',
  'to',
  'spec',
  'circuit',
  'window',
  'calls',
  'halfOpen',
  'retry',
  'on',
  'hedge',
  'fallback',
  'static',
  'bulkhead',
  'shares',
  'critical',
  'rateLimit',
  'admission',
  'outlier',
  'classify',
  'NOT_FOUND',
  'rollout',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  '',
);
const leaf = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    0,
    -1,
    1e308,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    '5s',
    '50%',
    '*',
    'auto',
    'failure',
    'UNAVAILABLE',
    '',
  ),
  fc.anything(),
);

/** Trees of known and hostile keys with anything at all in the leaves. */
export const hostile = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 6, depthSize: 'medium' },
    leaf,
    fc.array(tie('tree'), { maxLength: 4 }),
    fc.array(fc.tuple(words, tie('tree')), { maxLength: 6 }).map((entries) => {
      const record: object = {};
      // As JSON.parse makes them: an own property, whatever its name.
      for (const [key, value] of entries)
        Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
      return record;
    }),
  ),
})).tree;
