/**
 * Small questions about a parsed policy: what differs, what it asks of an agent, which instances its rollout reaches.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { capabilities } from '../../../core/policy/capabilities.js';
import {
  diffPolicies,
  inRollout,
  requirements,
  rolloutPlace,
  sectionNames,
  unmet,
} from '../../../core/policy/index.js';
import { property } from '../../support/property.js';
import { policyOf, withSpec } from './helpers.js';

describe('a diff', () => {
  it('tells each field that comes, changes or goes', () => {
    const before = withSpec({
      timeout: '1s',
      circuit: { window: '10s', openFor: '5s' },
      bulkhead: { maxConcurrent: 5 },
    });
    const after = withSpec({
      timeout: '2s',
      circuit: { window: '10s', halfOpen: { calls: 1 } },
      bulkhead: null,
    });
    expect(diffPolicies(before, after)).to.deep.equal([
      { path: 'spec.bulkhead', before: { maxConcurrent: 5 }, after: null },
      { path: 'spec.circuit.halfOpen.calls', after: 1 },
      { path: 'spec.circuit.openFor', before: '5s' },
      { path: 'spec.timeout', before: '1s', after: '2s' },
    ]);
  });

  it('goes into sections whose fields are named by the user, and tells a chain of fallbacks whole', () => {
    const before = withSpec({
      classify: { NOT_FOUND: 'failure', '404': 'failure' },
      bulkhead: { maxConcurrent: 9, shares: { critical: '50%' } },
      fallback: [{ static: 1 }],
    });
    const after = withSpec({
      classify: { NOT_FOUND: 'neutral' },
      bulkhead: { maxConcurrent: 9, shares: { critical: '50%', sheddable: '10%' } },
      fallback: [{ handler: 'h' }, { static: 1 }],
    });
    expect(diffPolicies(before, after)).to.deep.equal([
      { path: 'spec.bulkhead.shares.sheddable', after: '10%' },
      { path: 'spec.classify["404"]', before: 'failure' },
      { path: 'spec.classify.NOT_FOUND', before: 'failure', after: 'neutral' },
      { path: 'spec.fallback', before: [{ static: 1 }], after: [{ handler: 'h' }, { static: 1 }] },
    ]);
  });

  it('tells a list whole', () => {
    const before = withSpec({ retry: { on: ['ABORTED'] } });
    const after = withSpec({ retry: { on: ['ABORTED', 'UNAVAILABLE'] } });
    expect(diffPolicies(before, after)).to.deep.equal([
      { path: 'spec.retry.on', before: ['ABORTED'], after: ['ABORTED', 'UNAVAILABLE'] },
    ]);
  });

  it('tells a section of defaults, which has no field of its own', () => {
    expect(diffPolicies(withSpec({}), withSpec({ circuit: {} }))).to.deep.equal([
      { path: 'spec.circuit', after: {} },
    ]);
    expect(diffPolicies(withSpec({ circuit: {} }), withSpec({ circuit: { openFor: '1s' } }))).to.deep.equal([
      { path: 'spec.circuit.openFor', after: '1s' },
    ]);
  });

  it('tells a policy that is new, and one that goes, field by field', () => {
    const policy = policyOf({ policy: 'p', match: { to: 'x' }, spec: { timeout: '1s' } });
    expect(diffPolicies(undefined, policy)).to.deep.equal([
      { path: 'match.to', after: 'x' },
      { path: 'policy', after: 'p' },
      { path: 'spec.timeout', after: '1s' },
    ]);
    expect(diffPolicies(policy, undefined)).to.deep.equal([
      { path: 'match.to', before: 'x' },
      { path: 'policy', before: 'p' },
      { path: 'spec.timeout', before: '1s' },
    ]);
    expect(diffPolicies(undefined, undefined)).to.deep.equal([]);
  });
});

describe('requirements', () => {
  it('are the sections that a policy gives', () => {
    expect(
      requirements(withSpec({ timeout: '1s', circuit: {}, bulkhead: { maxConcurrent: 1 } })),
    ).to.deep.equal(['timeout', 'circuit', 'bulkhead']);
    expect(requirements(withSpec({ idempotent: false }))).to.deep.equal(['idempotent']);
  });

  it('name each section of this release, and each is among what its agent can do', () => {
    const policy = policyOf({
      policy: 'p',
      match: { to: 'x' },
      mode: 'shadow',
      spec: {
        timeout: '1s',
        attemptTimeout: '500ms',
        streamTimeout: '1m',
        idempotent: true,
        retry: {},
        hedge: {},
        circuit: { scope: 'cluster' },
        bulkhead: { maxConcurrent: 'auto', shares: { critical: '50%' }, per: 'method' },
        rateLimit: { rate: 1, scope: 'cluster', by: 'method' },
        admission: {},
        outlier: {},
        classify: {},
        fallback: [{ static: 1 }],
      },
    });
    expect(Object.keys(policy.spec)).to.have.members(sectionNames);
    expect(requirements(policy)).to.deep.equal([
      ...sectionNames,
      'bulkhead.auto',
      'bulkhead.shares',
      'bulkhead.per',
      'shadow',
    ]);
    expect(unmet(policy, capabilities)).to.deep.equal([]);
  });

  it('are none for a section that is removed, and none for a policy that is off', () => {
    expect(requirements(withSpec({ retry: null, circuit: null }))).to.deep.equal([]);
    expect(
      requirements(policyOf({ policy: 'p', match: { to: 'x' }, mode: 'off', spec: { retry: {} } })),
    ).to.deep.equal([]);
  });

  it('name a rollout also of a policy that is off: some are to switch it off, the others are not', () => {
    const off = { policy: 'p', match: { to: 'x' }, mode: 'off', rollout: { percent: 99 } };
    expect(requirements(policyOf(off))).to.deep.equal(['rollout']);
  });

  it('name an adaptive bulkhead, shadow and rollout', () => {
    const policy = policyOf({
      policy: 'p',
      match: { to: 'x' },
      mode: 'shadow',
      spec: { bulkhead: { maxConcurrent: 'auto' } },
      rollout: { percent: 99 },
    });
    expect(requirements(policy)).to.deep.equal(['bulkhead', 'bulkhead.auto', 'shadow', 'rollout']);
    expect(unmet(policy, ['bulkhead', 'rollout'])).to.deep.equal(['bulkhead.auto', 'shadow']);
  });
});

describe('a rollout', () => {
  it('reaches nobody at 0 and everybody at 100', () => {
    for (let i = 0; i < 1_000; i++) {
      expect(inRollout(0, 'p', `i-${i}`)).to.equal(false);
      expect(inRollout(100, 'p', `i-${i}`)).to.equal(true);
    }
  });

  it('places an instance where it always was', () => {
    // A figure that must never change: an agent of another version has to come to the same.
    expect(rolloutPlace('inventory-default', 'checkout-1')).to.be.closeTo(42.689405544660985, 1e-9);
  });

  it('spreads instances evenly, and differently for another policy', () => {
    const instances = Array.from({ length: 10_000 }, (_, i) => `checkout-${i}`);
    const reached = (policy: string) => new Set(instances.filter((name) => inRollout(10, policy, name)));
    const [a, b] = [reached('a'), reached('b')];
    expect(a.size).to.be.within(850, 1_150);
    expect([...a].filter((name) => b.has(name)).length).to.be.within(50, 150);
  });

  property(
    'keeps whom it reached when it grows',
    fc.tuple(fc.nat(100), fc.nat(100), fc.string()),
    ([x, y, name]) => {
      if (inRollout(Math.min(x, y), 'p', name)) expect(inRollout(Math.max(x, y), 'p', name)).to.equal(true);
    },
  );
});
