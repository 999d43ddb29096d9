/**
 * Which policies match, in which order, and what they merge to; compared with a twin that sorts all policies by the rule as it is
 * written down, each time.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import {
  type Effective,
  effective,
  type Policy,
  PolicyIndex,
  type PolicyRevision,
  type Query,
  sectionNames,
} from '../../../core/policy/index.js';
import { property } from '../../support/property.js';
import { document } from './arbitraries.js';
import { policyOf, revisions } from './helpers.js';

/** Names of what matches, from general to specific. */
function order(documents: object[], query: Query): string[] {
  return new PolicyIndex(revisions(...documents)).matching(query).map(({ policy }) => policy.name);
}

const query = { from: 'checkout', to: 'inventory', method: 'shop.v1.Inventory/Reserve' };

describe('policies that match', () => {
  it('go from every callee to one', () => {
    const documents = [
      { policy: 'b-callee', match: { to: 'inventory' } },
      { policy: 'a-every', match: { to: '*' } },
      { policy: 'other', match: { to: 'payments' } },
    ];
    expect(order(documents, query)).to.deep.equal(['a-every', 'b-callee']);
  });

  it('go from no method over the service to the method, whatever their callers', () => {
    const documents = [
      { policy: 'a-method', match: { to: 'inventory', method: 'shop.v1.Inventory/Reserve' } },
      { policy: 'b-service', match: { to: 'inventory', method: 'shop.v1.Inventory/*' } },
      { policy: 'c-none', match: { to: 'inventory', from: 'checkout' } },
      { policy: 'd-other', match: { to: 'inventory', method: 'shop.v1.Inventory/List' } },
      { policy: 'e-other', match: { to: 'inventory', method: 'shop.v1.Other/*' } },
    ];
    expect(order(documents, query)).to.deep.equal(['c-none', 'b-service', 'a-method']);
  });

  it('put a callee before every method of every callee', () => {
    const documents = [
      { policy: 'a', match: { to: 'inventory' } },
      { policy: 'b', match: { to: '*', from: 'checkout', method: 'shop.v1.Inventory/Reserve' }, priority: 9 },
    ];
    expect(order(documents, query)).to.deep.equal(['b', 'a']);
  });

  it('go from no caller to one, then by priority, then by name', () => {
    const documents = [
      { policy: 'a-caller', match: { to: 'inventory', from: 'checkout' }, priority: -5 },
      { policy: 'z-low', match: { to: 'inventory' }, priority: -1 },
      { policy: 'b-high', match: { to: 'inventory' }, priority: 7 },
      { policy: 'd', match: { to: 'inventory' } },
      { policy: 'c', match: { to: 'inventory' } },
      { policy: 'other', match: { to: 'inventory', from: 'web' } },
    ];
    expect(order(documents, query)).to.deep.equal(['z-low', 'c', 'd', 'b-high', 'a-caller']);
  });

  it('of a call without a method name none', () => {
    const documents = [
      { policy: 'a', match: { to: 'postgres' } },
      { policy: 'b', match: { to: 'postgres', method: 'a.B/*' } },
    ];
    expect(order(documents, { from: 'x', to: 'postgres' })).to.deep.equal(['a']);
    expect(order(documents, { from: 'x', to: 'postgres', method: '' })).to.deep.equal(['a']);
  });

  it('of a method are found by its path too', () => {
    const documents = [{ policy: 'a', match: { to: 'x', method: 'a.B/C' } }];
    expect(order(documents, { to: 'x', method: '/a.B/C' })).to.deep.equal(['a']);
  });

  it('of an unknown caller name no caller', () => {
    const documents = [
      { policy: 'a', match: { to: 'x' } },
      { policy: 'b', match: { to: 'x', from: 'checkout' } },
    ];
    expect(order(documents, { to: 'x' })).to.deep.equal(['a']);
  });

  it('are found under names of prototypes only if they are there', () => {
    for (const to of ['__proto__', 'constructor', 'toString', 'a b', '', 'inventory|x']) {
      expect(
        order([{ policy: 'a', match: { to: 'inventory' } }], { to, from: to, method: to }),
      ).to.deep.equal([]);
    }
  });
});

describe('what policies merge to', () => {
  it('has each section whole from the most specific policy that names it', () => {
    const held = effective(
      new PolicyIndex(
        revisions(
          { policy: 'base', match: { to: '*' }, spec: { timeout: '2s', circuit: { minimumCalls: 50 } } },
          { policy: 'inv', match: { to: 'inventory' }, spec: { circuit: { failureRate: '30%' } } },
        ),
      ),
      query,
    );
    expect(held.timeout).to.deep.equal({ value: 2_000, source: { policy: 'base', revision: 1 } });
    expect(held.circuit?.source).to.deep.equal({ policy: 'inv', revision: 2 });
    expect(held.circuit?.value.minimumCalls).to.equal(20);
    expect(held.bulkhead).to.equal(undefined);
  });

  it('lacks what null removes, until a more specific policy names it again', () => {
    const base = { policy: 'base', match: { to: '*' }, spec: { timeout: '2s' } };
    const none = { policy: 'none', match: { to: 'inventory' }, spec: { timeout: null } };
    const again = { policy: 'again', match: { to: 'inventory', from: 'checkout' }, spec: { timeout: '1s' } };
    expect(effective(new PolicyIndex(revisions(base, none)), query)).to.deep.equal({});
    expect(effective(new PolicyIndex(revisions(base, none, again)), query).timeout?.value).to.equal(1_000);
  });

  it('leaves out shadow and off; beside it, shadow takes part and off does not', () => {
    const index = new PolicyIndex(
      revisions(
        { policy: 'base', match: { to: '*' }, spec: { timeout: '2s' } },
        { policy: 'shadow', match: { to: 'inventory' }, mode: 'shadow', spec: { timeout: '1s' } },
        { policy: 'zoff', match: { to: 'inventory' }, mode: 'off', spec: { timeout: '3s' } },
      ),
    );
    expect(effective(index, query).timeout?.value).to.equal(2_000);
    expect(effective(index, query, { shadow: true }).timeout?.value).to.equal(1_000);
  });

  it('gives the very value of its policy, so that an unchanged section is the same object', () => {
    const index = new PolicyIndex(revisions({ policy: 'p', match: { to: '*' }, spec: { circuit: {} } }));
    expect(effective(index, query).circuit?.value).to.equal(effective(index, { to: 'x' }).circuit?.value);
  });
});

describe('the index', () => {
  it('finds a policy where its new revision matches, and no longer where the old one did', () => {
    const index = new PolicyIndex(revisions({ policy: 'p', match: { to: 'a' } }));
    index.set({ policy: policyOf({ policy: 'p', match: { to: 'b' } }), revision: 2 });
    expect(index.matching({ to: 'a' })).to.deep.equal([]);
    expect(index.matching({ to: 'b' }).map(({ revision }) => revision)).to.deep.equal([2]);
    expect([...index.to('a')]).to.deep.equal([]);
    expect([...index.to('b')].length).to.equal(1);
    expect([index.size, [...index.all()].length]).to.deep.equal([1, 1]);
  });

  it('forgets what is deleted', () => {
    const index = new PolicyIndex(revisions({ policy: 'p', match: { to: 'a' } }));
    expect([index.delete('p'), index.delete('p')]).to.deep.equal([true, false]);
    expect([index.size, index.get('p'), index.matching({ to: 'a' })]).to.deep.equal([0, undefined, []]);
  });
});

/** The rule of docs/policies.md, word for word, over all policies. */
function twin(policies: Iterable<PolicyRevision>, { from, to, method }: Query, shadow: boolean): Effective {
  const rank = ({ match, priority, name }: Policy) => [
    match.to === '*' ? 0 : 1,
    match.method === undefined ? 0 : match.method.endsWith('/*') ? 1 : 2,
    match.from === undefined ? 0 : 1,
    priority,
    name,
  ];
  const matching = [...policies]
    .filter(({ policy: { match } }) => match.to === '*' || match.to === to)
    .filter(({ policy: { match } }) => match.from === undefined || match.from === from)
    .filter(({ policy: { match } }) =>
      match.method?.endsWith('/*')
        ? method?.startsWith(match.method.slice(0, -1))
        : match.method === undefined || match.method === method,
    )
    .filter(({ policy: { mode } }) => mode === 'enforce' || (shadow && mode === 'shadow'))
    .sort((a, b) => lexicographic(rank(a.policy), rank(b.policy)));
  const held: Record<string, unknown> = {};
  for (const section of sectionNames) {
    const last = matching.filter(({ policy }) => policy.spec[section] !== undefined).at(-1);
    const value = last?.policy.spec[section];
    if (last && value !== null)
      held[section] = { value, source: { policy: last.policy.name, revision: last.revision } };
  }
  return held as Effective;
}

function lexicographic(a: readonly (number | string)[], b: readonly (number | string)[]): number {
  for (const [i, x] of a.entries()) {
    const y = b[i] as number | string;
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

/** Policies come, change and go; few names, matches and sections, so that they meet again. */
const names = [...'abcdefghij'];
const perhaps = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 2 });
const crowded = fc.record({
  policy: fc.constantFrom(...names),
  match: fc.record({
    to: fc.constantFrom('*', 'inventory'),
    from: perhaps(fc.constant('checkout')),
    method: perhaps(fc.constantFrom('shop.v1.Inventory/*', 'shop.v1.Inventory/Reserve')),
  }),
  mode: fc.constantFrom('enforce', 'enforce', 'shadow', 'off'),
  priority: fc.integer({ min: -1, max: 1 }),
  spec: fc.record({
    timeout: fc.constantFrom('1s', '2s', null, undefined),
    circuit: fc.constantFrom({}, null, undefined),
  }),
});
const history = fc.array(
  fc.oneof(
    { weight: 9, arbitrary: crowded.map(policyOf) },
    { weight: 1, arbitrary: document.map(policyOf) },
    { weight: 1, arbitrary: fc.constantFrom(...names) },
  ),
  { maxLength: 30, size: 'max' },
);
const queries = fc.record(
  {
    to: fc.constantFrom('*', 'inventory', 'inventory', 'payments', 'unknown'),
    from: fc.constantFrom('checkout', 'checkout', 'web', 'other'),
    method: fc.constantFrom(
      '',
      'shop.v1.Inventory/Reserve',
      'shop.v1.Inventory/List',
      'shop.v1.Pay/Charge',
      'odd',
    ),
  },
  { requiredKeys: ['to'] },
);

describe('index and merge agree with a twin that sorts everything anew', () => {
  property(
    'after any history of changes',
    fc.tuple(history, fc.array(queries, { minLength: 1, maxLength: 5 }), fc.boolean()),
    ([steps, asked, shadow]) => {
      const index = new PolicyIndex();
      const present = new Map<string, PolicyRevision>();
      for (const [i, step] of steps.entries()) {
        if (typeof step === 'string') {
          expect(index.delete(step)).to.equal(present.delete(step));
        } else {
          const entry = { policy: step, revision: i + 1 };
          index.set(entry);
          present.set(step.name, entry);
        }
      }
      for (const each of asked)
        expect(effective(index, each, { shadow })).to.deep.equal(twin(present.values(), each, shadow));
      expect(index.size).to.equal(present.size);
    },
  );
});
