/** Specs that the hot benchmark runs under, by callee: circuit; circuit and bulkhead; with timeout and retry; a circuit that opens at once; everything. */
export const policies = {
  one: { circuit: {} },
  two: { circuit: {}, bulkhead: { maxConcurrent: 50, maxQueue: 20 } },
  four: {
    circuit: {},
    bulkhead: { maxConcurrent: 50, maxQueue: 20 },
    timeout: '1s',
    idempotent: true,
    retry: { attempts: 3 },
  },
  broken: { circuit: { minimumCalls: 1, failureRate: '100%', openFor: '1h' } },
  all: {
    timeout: '5s',
    attemptTimeout: '2s',
    idempotent: true,
    retry: { attempts: 3 },
    hedge: { delay: '1s' },
    circuit: { slowCall: '1s' },
    bulkhead: { maxConcurrent: 50, maxQueue: 20, queueTimeout: '1s', shares: { critical: '60%' } },
    rateLimit: { rate: 100_000_000 },
    admission: {},
    classify: { NOT_FOUND: 'failure' },
    fallback: [{ static: {} }],
  },
};
