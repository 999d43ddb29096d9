/**
 * What a section's absent fields mean, in the words of a document: the one place the schema, explain and the reference
 * (docs/policies.md) take them from. A field that is not here has no default: absent, it is off.
 */
export const defaults = {
  mode: 'enforce',
  priority: 0,
  rollout: { percent: 100 },
  circuit: {
    window: '10s',
    failureRate: '50%',
    slowRate: '100%',
    minimumCalls: 20,
    openFor: '5s',
    halfOpen: { calls: 3, maxWait: '30s' },
    per: 'service',
    scope: 'local',
    cluster: {
      window: '2s',
      quorum: '20%',
      minReporters: 3,
      ramp: ['5%', '25%', '50%', '100%'],
      rampStep: '2s',
    },
  },
  bulkhead: { maxQueue: 0, per: 'service' },
  retry: { attempts: 3, on: ['UNAVAILABLE'], backoff: { base: '25ms', max: '250ms' }, budget: '20%' },
  hedge: { delay: 'p95', extra: 1 },
  rateLimit: { per: '1s', scope: 'local', by: 'service' },
  admission: { window: '30s', successRate: '95%', maxRejection: '80%' },
  outlier: {
    interval: '10s',
    failureRate: '50%',
    minimumCalls: 10,
    minimumHosts: 2,
    ejectFor: '30s',
    maxEjectFor: '5m',
    maxEjected: '50%',
  },
} as const;

/** A time window is cut into this many buckets. */
export const WINDOW_BUCKETS = 10;
