/**
 * What the parser refuses of the sections that limit, leave out, classify and answer instead: `faults.test.ts` has the rest.
 */
import { expect } from 'chai';
import { parsePolicy } from '../../../core/policy/index.js';
import { type Refusal, refusedFor } from './helpers.js';

const table: readonly Refusal[] = [
  [
    'a fraction for a whole number',
    { bulkhead: { maxConcurrent: 1.5 } },
    'spec.bulkhead.maxConcurrent: must be a whole number from 1 to 1000000',
  ],
  [
    'a bulkhead for nobody',
    { bulkhead: { maxConcurrent: 0 } },
    'spec.bulkhead.maxConcurrent: must be a whole number from 1 to 1000000',
  ],
  [
    'a bulkhead without a number',
    { bulkhead: {} },
    'spec.bulkhead.maxConcurrent: is required: a whole number from 1 to 1000000, or auto',
  ],
  [
    'a misspelt auto',
    { bulkhead: { maxConcurrent: 'Auto' } },
    'spec.bulkhead.maxConcurrent: must be a whole number from 1 to 1000000, or auto; got "Auto"',
  ],
  [
    'a wait without a line',
    { bulkhead: { maxConcurrent: 5, queueTimeout: '1s' } },
    'spec.bulkhead.queueTimeout: decides nothing without a queue',
  ],
  ['a rate limit without a rate', { rateLimit: { per: '1s' } }, 'spec.rateLimit.rate: is required'],
  [
    'a rate limit by caller',
    { rateLimit: { rate: 1, by: 'caller' } },
    'spec.rateLimit.by: must be one of service, method; got "caller"',
  ],
  [
    'a rate limit without end',
    { rateLimit: { rate: 1, per: '25h' } },
    'spec.rateLimit.per: must be a duration',
  ],
  [
    'a bulkhead for each caller',
    { bulkhead: { maxConcurrent: 5, per: 'caller' } },
    'spec.bulkhead.per: must be one of service, method; got "caller"',
  ],
  [
    'a share in a number',
    { bulkhead: { maxConcurrent: 5, shares: { critical: 3 } } },
    'spec.bulkhead.shares.critical: must be a percentage, for example 50%, above 0% to 100%; got the number 3',
  ],
  [
    'a share of nothing',
    { bulkhead: { maxConcurrent: 5, shares: { critical: '0%' } } },
    'spec.bulkhead.shares.critical: must be a percentage',
  ],
  [
    'a share for an unknown criticality',
    { bulkhead: { maxConcurrent: 5, shares: { criticalPlus: '10%' } } },
    'spec.bulkhead.shares.criticalPlus: unknown field; did you mean critical-plus?',
  ],
  [
    'shares above the whole',
    { bulkhead: { maxConcurrent: 5, shares: { critical: '60%', sheddable: '40.1%' } } },
    'spec.bulkhead.shares: must come to at most 100% together; got 100.1%',
  ],
  [
    'one share for all',
    { bulkhead: { maxConcurrent: 5, shares: '50%' } },
    'spec.bulkhead.shares: must be an object with any of critical-plus, critical, sheddable-plus, sheddable; got "50%"',
  ],
  [
    'admission by failures',
    { admission: { failureRate: '5%' } },
    'spec.admission.failureRate: unknown field; known here: window, successRate, maxRejection',
  ],
  [
    'admission at a success rate of nothing',
    { admission: { successRate: '0%' } },
    'spec.admission.successRate: must be a percentage',
  ],
  [
    'admission that rejects more than all',
    { admission: { maxRejection: '101%' } },
    'spec.admission.maxRejection: must be a percentage',
  ],
  [
    'admission over no time',
    { admission: { window: '99ms' } },
    'spec.admission.window: must be a duration with its unit (ms, s, m, h), for example 250ms or 5s, from 100ms to 1h; got "99ms"',
  ],
  [
    'an ejection longer than the longest',
    { outlier: { ejectFor: '10m' } },
    'spec.outlier.ejectFor: must be at most maxEjectFor (5m); got 10m',
  ],
  [
    'a look at instances in no time',
    { outlier: { interval: '1ms' } },
    'spec.outlier.interval: must be a duration',
  ],
  [
    'an outlier among none',
    { outlier: { minimumHosts: 0 } },
    'spec.outlier.minimumHosts: must be a whole number from 1 to 10000; got the number 0',
  ],
  ['no instance to leave out', { outlier: { maxEjected: '0%' } }, 'spec.outlier.maxEjected: must be a'],
  [
    'a status that counts as something else',
    { classify: { NOT_FOUND: 'fail' } },
    'spec.classify.NOT_FOUND: must be one of success, failure, neutral; got "fail"',
  ],
  [
    'a list of statuses to classify',
    { classify: ['NOT_FOUND'] },
    'spec.classify: must be an object of statuses, for example { NOT_FOUND: failure, "404": failure, ECONNRESET: neutral }; got a list',
  ],
  [
    'a status that is nearly one',
    { classify: { NOT_FOUD: 'failure' } },
    'spec.classify.NOT_FOUD: is no gRPC status; did you mean NOT_FOUND?',
  ],
  ['a success that fails', { classify: { OK: 'failure' } }, 'spec.classify.OK: is always a success'],
  [
    'a word that no error is called',
    { classify: { 'not found': 'failure' } },
    'spec.classify["not found"]: must be named by a gRPC status, an HTTP status, or the code or name of an error',
  ],
  [
    'more statuses than anybody has',
    { classify: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`E${i}`, 'failure'])) },
    'spec.classify: must have at most 64 entries; got 65',
  ],
  [
    'four fallbacks',
    { fallback: Array(4).fill({ cache: { maxAge: '1s' } }) },
    'spec.fallback: must have at most 3 entries',
  ],
  ['no fallback', { fallback: [] }, 'spec.fallback: must have at least one entry'],
  ['a fallback that is no list', { fallback: { cache: {} } }, 'spec.fallback: must be a list of at most 3'],
  [
    'a fallback of two kinds',
    { fallback: [{ handler: 'x', cache: { maxAge: '1s' } }] },
    'spec.fallback[0]: must have exactly one of cache, static, target, handler, error; got cache, handler',
  ],
  [
    'a fallback of no kind',
    { fallback: [{}] },
    'spec.fallback[0]: must have exactly one of cache, static, target, handler, error; got none',
  ],
  [
    'a fallback after one that always answers',
    { fallback: [{ static: null }, { handler: 'x' }] },
    'spec.fallback[0]: static always answers: it must be the last entry',
  ],
  [
    'a fallback to defer',
    { fallback: [{ defer: {} }] },
    'spec.fallback[0].defer: deferring calls is not available yet',
  ],
  [
    'a fallback to every service',
    { fallback: [{ target: { to: '*' } }] },
    'spec.fallback[0].target.to: must be a name',
  ],
  [
    'a fallback to the call itself',
    { fallback: [{ target: { to: 'inventory' } }] },
    'spec.fallback[0].target: must be another service or method',
  ],
  [
    'a fallback to a prefix',
    { fallback: [{ target: { to: 'x', method: 'a.B/*' } }] },
    'spec.fallback[0].target.method: must be one method, as pkg.Service/Method',
  ],
];

describe('a policy is refused, of what limits calls or answers them, for', () => refusedFor(table));

describe('a rate that the mesh shares', () => {
  const policy = (match: object) => ({
    policy: 'in',
    match,
    spec: { rateLimit: { rate: 5, scope: 'cluster' } },
  });

  it('is refused for calls into whichever service, which would all share it', () => {
    const parsed = parsePolicy(policy({ to: 'self' }));
    expect(!parsed.ok && parsed.issues).to.have.length(1);
    expect(!parsed.ok && parsed.issues[0]?.path).to.equal('spec.rateLimit.scope');
  });

  it('is fine for calls into one service, and for calls to one', () => {
    expect(parsePolicy(policy({ to: 'self', from: 'inventory' })).ok).to.equal(true);
    expect(parsePolicy(policy({ to: 'inventory' })).ok).to.equal(true);
  });
});
