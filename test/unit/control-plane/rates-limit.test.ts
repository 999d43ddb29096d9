/** Which ids stand for a limit of the whole mesh, and in which measure it is granted. */
import { expect } from 'chai';
import fc from 'fast-check';
import { clusterLimit, measureOf, tokensPerSecond } from '../../../control-plane/rates/limit.js';
import type { PolicyRevision, RateLimitSpec } from '../../../core/policy/model.js';
import { parsePolicy } from '../../../core/policy/parse.js';
import { property } from '../../support/property.js';

function policies(...documents: object[]) {
  const byName = new Map<string, PolicyRevision>();
  for (const document of documents) {
    const parsed = parsePolicy(document);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues));
    byName.set(parsed.policy.name, { policy: parsed.policy, revision: 1 });
  }
  return { policy: (name: string) => byName.get(name) };
}

const cluster = { rate: 100, scope: 'cluster' };

describe('the limit behind an id', () => {
  const known = policies(
    { policy: 'inventory', match: { to: 'inventory', from: 'shop' }, spec: { rateLimit: cluster } },
    { policy: 'general', match: { to: '*' }, spec: { rateLimit: { ...cluster, by: 'method' } } },
    {
      policy: 'narrow',
      match: { to: 'inventory', method: 'shop.v1.Inventory/*' },
      spec: { rateLimit: { ...cluster, by: 'method' } },
    },
    { policy: 'local', match: { to: 'inventory' }, spec: { rateLimit: { rate: 100 } } },
    { policy: 'none', match: { to: 'inventory' }, spec: { timeout: '1s', rateLimit: null } },
    { policy: 'shadow', mode: 'shadow', match: { to: 'inventory' }, spec: { rateLimit: cluster } },
    { policy: 'off', mode: 'off', match: { to: 'inventory' }, spec: { rateLimit: cluster } },
  );
  const limit = (id: string) => clusterLimit(id, known);

  it('comes from the policy', () => {
    expect(limit('inventory|inventory')).to.deep.include({ callee: 'inventory', from: 'shop' });
    expect(limit('inventory|inventory')?.spec).to.include({ rate: 100, perMs: 1000 });
    expect(limit('payments|general')?.callee).to.equal('payments');
    expect(limit('payments|general|shop.v1.Pay/Charge')?.callee).to.equal('payments');
    expect(limit('inventory|narrow|shop.v1.Inventory/Get')?.callee).to.equal('inventory');
  });

  for (const [id, why] of [
    ['payments|inventory', 'a callee that the policy is not for'],
    ['inventory|unknown', 'a policy that is not there'],
    ['inventory|local', 'a limit of each agent'],
    ['inventory|none', 'a policy that removes the limit'],
    ['inventory|shadow', 'a policy that is not in force'],
    ['inventory|off', 'a policy that is off'],
    ['inventory|inventory|shop.v1.Inventory/Get', 'a method, where the limit is of the callee'],
    ['inventory|narrow|shop.v1.Other/Get', 'a method that the policy is not for'],
    ['payments|general|', 'an empty method'],
    ['payments|general|shop.v1.Pay/*', 'a pattern'],
    ['payments|general|shop.v1.Pay/Charge|x', 'too many parts'],
    ['*|general', 'no callee'],
    ['(overflow)|general', 'what shares one target'],
    ['a b|general', 'a callee that can not be called so'],
    ['inventory', 'no policy'],
    ['', 'nothing'],
  ] as const)
    it(`is none for ${why}: ${id}`, () => expect(limit(id)).to.equal(undefined));
});

describe('the measure of a limit', () => {
  const measure = (rate: number, perMs: number, agents: number) => {
    const { tokens, intervalMs } = measureOf({ rate, perMs } as RateLimitSpec, agents);
    return [tokens, intervalMs];
  };

  it('is a second where that makes whole tokens enough', () => {
    expect(measure(500, 1000, 3)).to.deep.equal([500, 1000]);
    expect(measure(50, 100, 3)).to.deep.equal([500, 1000]);
    expect(measure(30_000, 60_000, 3)).to.deep.equal([500, 1000]);
  });

  it('is longer where agents would go without a token', () => {
    expect(measure(10, 60_000, 1)).to.deep.equal([2, 12_000]);
    expect(measure(10, 60_000, 3)).to.deep.equal([8, 48_000]);
    expect(measure(5, 1000, 20)).to.deep.equal([64, 12_800]);
  });

  it('ends at an hour, or at the interval of the policy', () => {
    expect(measure(1, 60_000, 1000)).to.deep.equal([60, 3_600_000]);
    expect(measure(1, 86_400_000, 1000)).to.deep.equal([1, 86_400_000]);
  });

  property(
    'is never more than the limit, hardly less, and fits the wire',
    fc.record({
      rate: fc.integer({ min: 1, max: 1_000_000_000 }),
      perMs: fc.integer({ min: 1, max: 86_400_000 }),
      agents: fc.integer({ min: 0, max: 10_000 }),
    }),
    ({ rate, perMs, agents }) => {
      const spec = { rate, perMs } as RateLimitSpec;
      const { tokens, intervalMs } = measureOf(spec, agents);
      const granted = (tokens * 1000) / intervalMs;
      expect(granted).to.be.at.most(tokensPerSecond(spec) * (1 + 1e-9));
      expect(Number.isInteger(tokens) && tokens >= 1 && tokens < 2 ** 32).to.equal(true);
      expect(Number.isInteger(intervalMs) && intervalMs >= 1 && intervalMs <= 86_400_000).to.equal(true);
      if (intervalMs < 3_600_000 && tokens < 2 ** 32 - 1)
        expect(tokens * perMs).to.be.greaterThan((intervalMs - 1) * rate - 1);
    },
  );
});
