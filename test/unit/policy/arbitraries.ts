/**
 * Documents at random: right ones with every section, and trees of JSON with keys that mean harm.
 */
import fc from 'fast-check';

const duration = (minMs: number, maxMs: number) =>
  fc.integer({ min: minMs, max: maxMs }).map((ms) => `${ms}ms`);
const rate = fc.integer({ min: 1, max: 1_000 }).map((n) => `${n / 10}%`);
const some = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }) => fc.record(shape, { requiredKeys: [] });

export const callee = fc.constantFrom('*', 'inventory', 'payments');
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

const spec = some({
  timeout: fc.option(duration(500, 5_000)),
  attemptTimeout: fc.option(duration(1, 499)),
  streamTimeout: fc.option(duration(1, 60_000)),
  idempotent: fc.option(fc.boolean()),
  retry: fc.option(some({ attempts: fc.integer({ min: 1, max: 5 }), budget: rate })),
  circuit: fc.option(circuit),
  bulkhead: fc.option(
    fc.record({ maxConcurrent: fc.oneof(fc.integer({ min: 1, max: 99 }), fc.constant('auto')) }),
  ),
  rateLimit: fc.option(fc.record({ rate: fc.integer({ min: 1, max: 1_000 }) })),
  fallback: fc.option(fc.jsonValue().map((value) => [{ static: harmless(value) }])),
});

/** A document that the parser takes. */
export const document = fc.record(
  {
    policy: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,8}$/),
    match: fc.record({ to: callee, from: caller, method }, { requiredKeys: ['to'] }),
    mode: fc.constantFrom('enforce', 'shadow', 'off'),
    priority: fc.integer({ min: -2, max: 2 }),
    spec,
    rollout: some({ percent: fc.integer({ min: 0, max: 100 }) }),
  },
  { requiredKeys: ['policy', 'match'] },
);

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
