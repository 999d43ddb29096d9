/**
 * What the parser makes of a document that is right: the model, complete with defaults; the canonical text and its hash.
 */
import { createHash } from 'node:crypto';
import { expect } from 'chai';
import { parseDocument, parsePolicy, sectionNames } from '../../../core/policy/index.js';
import { policyOf, withSpec } from './helpers.js';

/** The example of the design, with everything in it. */
const whole = {
  policy: 'inventory-default',
  match: { to: 'inventory', from: 'checkout', method: 'shop.v1.Inventory/*' },
  mode: 'enforce',
  spec: {
    timeout: '800ms',
    attemptTimeout: '300ms',
    idempotent: true,
    retry: { attempts: 3, on: ['UNAVAILABLE'], backoff: { base: '25ms', max: '250ms' }, budget: '20%' },
    hedge: { delay: 'p95', extra: 1 },
    circuit: {
      window: '10s',
      failureRate: '50%',
      slowCall: '500ms',
      slowRate: '80%',
      minimumCalls: 20,
      openFor: '5s',
      halfOpen: { calls: 3, maxWait: '30s' },
      per: 'service',
      scope: 'cluster',
      cluster: {
        window: '2s',
        quorum: '20%',
        minReporters: 3,
        ramp: ['5%', '25%', '50%', '100%'],
        rampStep: '2s',
      },
    },
    bulkhead: {
      maxConcurrent: 50,
      maxQueue: 20,
      queueTimeout: '100ms',
      shares: { 'critical-plus': '20%', critical: '33.3%', sheddable: '0.5%' },
      per: 'method',
    },
    rateLimit: { rate: 500, per: '1s', burst: 100, scope: 'local', by: 'method' },
    admission: { window: '1m', successRate: '90%', maxRejection: '50%' },
    outlier: {
      interval: '5s',
      failureRate: '30%',
      minimumCalls: 5,
      minimumHosts: 3,
      ejectFor: '10s',
      maxEjectFor: '1m',
      maxEjected: '25%',
    },
    classify: { NOT_FOUND: 'failure', '404': 'failure', ECONNRESET: 'neutral', UNKNOWN: 'success' },
    fallback: [{ cache: { maxAge: '60s' } }, { static: { available: false } }],
  },
  rollout: { percent: 100 },
};

describe('a policy', () => {
  it('with every section becomes the model, in milliseconds and fractions', () => {
    const { document, hash, ...policy } = policyOf(whole);
    expect(policy).to.deep.equal({
      name: 'inventory-default',
      match: { to: 'inventory', from: 'checkout', method: 'shop.v1.Inventory/*' },
      priority: 0,
      mode: 'enforce',
      spec: {
        timeout: 800,
        attemptTimeout: 300,
        idempotent: true,
        retry: { attempts: 3, on: ['UNAVAILABLE'], backoff: { baseMs: 25, maxMs: 250 }, budget: 0.2 },
        hedge: { delay: { kind: 'percentile', p: 0.95 }, extra: 1 },
        circuit: {
          window: { kind: 'time', durationMs: 10_000, buckets: 10 },
          failureRate: 0.5,
          slowCallMs: 500,
          slowRate: 0.8,
          minimumCalls: 20,
          openForMs: 5_000,
          halfOpen: { calls: 3, maxWaitMs: 30_000 },
          per: 'service',
          scope: 'cluster',
          cluster: {
            windowMs: 2_000,
            quorum: 0.2,
            minReporters: 3,
            ramp: [0.05, 0.25, 0.5, 1],
            rampStepMs: 2_000,
          },
        },
        bulkhead: {
          maxConcurrent: 50,
          maxQueue: 20,
          queueTimeoutMs: 100,
          shares: { 'critical-plus': 0.2, critical: 0.333, sheddable: 0.005 },
          per: 'method',
        },
        rateLimit: { rate: 500, perMs: 1_000, burst: 100, scope: 'local', by: 'method' },
        admission: { windowMs: 60_000, successRate: 0.9, maxRejection: 0.5 },
        outlier: {
          intervalMs: 5_000,
          failureRate: 0.3,
          minimumCalls: 5,
          minimumHosts: 3,
          ejectForMs: 10_000,
          maxEjectForMs: 60_000,
          maxEjected: 0.25,
        },
        classify: { NOT_FOUND: 'failure', '404': 'failure', ECONNRESET: 'neutral', UNKNOWN: 'success' },
        fallback: [
          { kind: 'cache', maxAgeMs: 60_000 },
          { kind: 'static', value: Object.assign(Object.create(null), { available: false }) },
        ],
      },
      rollout: { percent: 100 },
    });
    expect(JSON.parse(document)).to.deep.equal(whole);
    expect(hash).to.equal(createHash('sha256').update(document).digest('hex').slice(0, 16));
  });

  it('needs a name and a callee, and then enforces nothing', () => {
    const { document, hash: _, ...policy } = policyOf({ policy: 'p', match: { to: '*' } });
    expect(policy).to.deep.equal({
      name: 'p',
      match: { to: '*' },
      priority: 0,
      mode: 'enforce',
      spec: {},
      rollout: { percent: 100 },
    });
    expect(document).to.equal('{"match":{"to":"*"},"policy":"p"}');
  });

  it('has the defaults of the semantics in an empty circuit', () => {
    expect(withSpec({ circuit: {} }).spec.circuit).to.deep.equal({
      window: { kind: 'time', durationMs: 10_000, buckets: 10 },
      failureRate: 0.5,
      slowRate: 1,
      minimumCalls: 20,
      openForMs: 5_000,
      halfOpen: { calls: 3, maxWaitMs: 30_000 },
      per: 'service',
      scope: 'local',
      cluster: {
        windowMs: 2_000,
        quorum: 0.2,
        minReporters: 3,
        ramp: [0.05, 0.25, 0.5, 1],
        rampStepMs: 2_000,
      },
    });
  });

  it('has the defaults of the semantics in the other sections', () => {
    const { spec } = withSpec({
      idempotent: true,
      retry: {},
      hedge: {},
      bulkhead: { maxConcurrent: 5 },
      rateLimit: { rate: 7 },
      admission: {},
      outlier: {},
    });
    expect(spec.retry).to.deep.equal({
      attempts: 3,
      on: ['UNAVAILABLE'],
      backoff: { baseMs: 25, maxMs: 250 },
      budget: 0.2,
    });
    expect(spec.hedge).to.deep.equal({ delay: { kind: 'percentile', p: 0.95 }, extra: 1 });
    expect(spec.bulkhead).to.deep.equal({ maxConcurrent: 5, maxQueue: 0, per: 'service' });
    expect(spec.rateLimit).to.deep.equal({ rate: 7, perMs: 1_000, burst: 7, scope: 'local', by: 'service' });
    expect(spec.admission).to.deep.equal({ windowMs: 30_000, successRate: 0.95, maxRejection: 0.8 });
    expect(spec.outlier).to.deep.equal({
      intervalMs: 10_000,
      failureRate: 0.5,
      minimumCalls: 10,
      minimumHosts: 2,
      ejectForMs: 30_000,
      maxEjectForMs: 300_000,
      maxEjected: 0.5,
    });
  });

  it('may count calls instead of time, hedge after a fixed time, adapt its bulkhead', () => {
    const { spec } = withSpec({
      idempotent: true,
      hedge: { delay: '50ms' },
      circuit: { window: { calls: 100 } },
      bulkhead: { maxConcurrent: 'auto' },
    });
    expect(spec.circuit?.window).to.deep.equal({ kind: 'count', calls: 100 });
    expect(spec.hedge?.delay).to.deep.equal({ kind: 'fixed', ms: 50 });
    expect(spec.bulkhead?.maxConcurrent).to.equal('auto');
  });

  it('may guarantee parts of an adaptive limit, to all of its calls together', () => {
    const shares = { 'critical-plus': '25%', critical: '25%', 'sheddable-plus': '25%', sheddable: '25%' };
    expect(withSpec({ bulkhead: { maxConcurrent: 'auto', shares } }).spec.bulkhead?.shares).to.deep.equal({
      'critical-plus': 0.25,
      critical: 0.25,
      'sheddable-plus': 0.25,
      sheddable: 0.25,
    });
    // 33.4 + 33.3 + 33.3 is above 100 in the arithmetic of floating point.
    withSpec({
      bulkhead: {
        maxConcurrent: 9,
        shares: { critical: '33.4%', 'sheddable-plus': '33.3%', sheddable: '33.3%' },
      },
    });
  });

  it('may move what any status or error counts as, by whichever name it goes', () => {
    const classify = {
      RESOURCE_EXHAUSTED: 'neutral',
      '503': 'success',
      '23505': 'success',
      TimeoutError: 'failure',
      'ERR_HTTP2.x-1': 'neutral',
      QUERY_CANCELED: 'neutral',
    };
    expect({ ...withSpec({ classify }).spec.classify }).to.deep.equal(classify);
  });

  it('may leave out instances for one length of time alone', () => {
    const outlier = withSpec({ outlier: { ejectFor: '5m' } }).spec.outlier;
    expect([outlier?.ejectForMs, outlier?.maxEjectForMs]).to.deep.equal([300_000, 300_000]);
  });

  it('may fall back in each of the ways', () => {
    expect(
      withSpec({
        fallback: [
          { target: { to: 'inventory', method: 'a.B/Cached' } },
          { handler: 'lastKnown' },
          { error: { status: 'NOT_FOUND', message: 'gone' } },
        ],
      }).spec.fallback,
    ).to.deep.equal([
      { kind: 'target', to: 'inventory', method: 'a.B/Cached' },
      { kind: 'handler', name: 'lastKnown' },
      { kind: 'error', status: 'NOT_FOUND', message: 'gone' },
    ]);
    expect(withSpec({ fallback: [{ static: null }] }).spec.fallback).to.deep.equal([
      { kind: 'static', value: null },
    ]);
  });

  it('keeps null of a section apart from its absence', () => {
    const removed = Object.fromEntries(sectionNames.map((section) => [section, null]));
    expect(withSpec(removed).spec).to.deep.equal(removed);
  });

  it('may have settings that are idle, and no fault', () => {
    withSpec({ timeout: '20ms', retry: {} });
    withSpec({ idempotent: true, retry: { attempts: 1 }, hedge: {} });
    withSpec({ bulkhead: { maxConcurrent: 3, shares: { sheddable: '1%' } } });
    withSpec({ timeout: '1s', attemptTimeout: '300ms', circuit: { slowCall: '500ms' } });
    withSpec({ timeout: '100ms', bulkhead: { maxConcurrent: 1, maxQueue: 1, queueTimeout: '1s' } });
  });
});

describe('a canonical document', () => {
  it('is the same for the same words in another order', () => {
    const a = policyOf({ policy: 'p', match: { to: 'x', from: 'y' }, spec: { timeout: '1s', circuit: {} } });
    const b = policyOf({ spec: { circuit: {}, timeout: '1s' }, match: { from: 'y', to: 'x' }, policy: 'p' });
    expect(a.document).to.equal(b.document);
    expect(a.hash).to.equal(b.hash);
  });

  it('is another for other words that mean the same', () => {
    const document = (timeout: string) => policyOf({ policy: 'p', match: { to: 'x' }, spec: { timeout } });
    expect(document('1s').hash).not.to.equal(document('1000ms').hash);
    expect(document('1s').spec).to.deep.equal(document('1000ms').spec);
  });

  it('has no fields that are undefined', () => {
    const { document } = policyOf({ policy: 'p', match: { to: 'x', from: undefined }, mode: undefined });
    expect(document).to.equal('{"match":{"to":"x"},"policy":"p"}');
  });
});

describe('a name given beside the document', () => {
  const document = { match: { to: 'x' } };

  it('is taken by a document without one', () => {
    const result = parsePolicy(document, { name: 'given' });
    expect(result.ok && result.policy.name).to.equal('given');
    expect(result.ok && result.policy.document).to.equal('{"match":{"to":"x"},"policy":"given"}');
  });

  it('may be in the document as well', () => {
    expect(parsePolicy({ ...document, policy: 'given' }, { name: 'given' }).ok).to.equal(true);
  });

  it('refuses a document of another name, beside all its other faults', () => {
    expect(parsePolicy({ policy: 'other', match: {} }, { name: 'given' })).to.deep.equal({
      ok: false,
      issues: [
        { path: 'policy', message: 'must be "given", the name it is put under; got "other"' },
        {
          path: 'match.to',
          message: 'is required: a name of letters, digits and . _ : - (at most 128), or "*"',
        },
      ],
    });
  });
});

describe('a document as text', () => {
  it('is read from JSON', () => {
    const result = parseDocument('{"policy":"p","match":{"to":"x"}}');
    expect(result.ok && result.policy.name).to.equal('p');
  });

  it('that is no JSON is refused with the reason', () => {
    const result = parseDocument('{"policy":');
    expect(result.ok ? [] : result.issues[0]?.message).to.match(/^is no JSON: /);
  });

  it('over 64 KiB is refused unread', () => {
    expect(parseDocument('['.repeat(65_537))).to.deep.equal({
      ok: false,
      issues: [{ path: '', message: 'is too large; at most 64 KiB' }],
    });
  });

  it('with a number beyond all numbers is refused', () => {
    const result = parseDocument('{"policy":"p","match":{"to":"x"},"spec":{"fallback":[{"static":1e999}]}}');
    expect(result.ok ? [] : result.issues).to.deep.equal([
      { path: 'spec.fallback[0].static', message: 'must be a finite number; got Infinity' },
    ]);
  });
});
