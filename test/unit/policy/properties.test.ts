/**
 * What holds for every document: the parser answers whatever it is given, and what it took is read again as the same.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import {
  diffPolicies,
  explain,
  PolicyIndex,
  parseDocument,
  parsePolicy,
  sectionNames,
  unmet,
} from '../../../core/policy/index.js';
import { property } from '../../support/property.js';
import { document, hostile } from './arbitraries.js';
import { policyOf } from './helpers.js';

describe('the parser', () => {
  property(
    'never throws, and names at least one place for what it refuses',
    hostile,
    (value) => {
      const result = parsePolicy(value);
      if (result.ok) return;
      expect(result.issues).to.have.length.greaterThan(0);
      for (const { path, message } of result.issues) {
        expect(path).to.be.a('string');
        expect(message).to.be.a('string').and.not.equal('');
      }
      expect(Object.keys(Object.prototype)).to.deep.equal([]);
    },
    1_000,
  );

  property('never throws on text', fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
    expect(parseDocument(text).ok).to.equal(false);
  });

  property(
    'never throws on hostile parts of a document that is right',
    fc.tuple(document, hostile, hostile),
    ([whole, a, b]) => {
      parsePolicy({ ...whole, spec: a });
      for (const section of sectionNames) parsePolicy({ ...whole, spec: { ...whole.spec, [section]: a } });
      parsePolicy({ ...whole, spec: { ...whole.spec, circuit: a, fallback: b } });
    },
  );

  property('takes every document that is right', document, (value) => {
    expect(parsePolicy(value)).to.have.property('ok', true);
  });
});

describe('a canonical document', () => {
  property('is read as the policy it came from', document, (value) => {
    const policy = policyOf(value);
    expect(parseDocument(policy.document)).to.deep.equal({ ok: true, policy });
  });

  property('says what was written, and nothing else', document, (value) => {
    expect(JSON.parse(policyOf(value).document)).to.deep.equal(JSON.parse(JSON.stringify(value)));
  });

  property('does not depend on the order of keys', document, (value) => {
    expect(policyOf(reversed(value)).document).to.equal(policyOf(value).document);
  });
});

describe('explain', () => {
  const query = { to: 'inventory', from: 'checkout', method: 'shop.v1.Inventory/Reserve' };

  property(
    'is plain data, and names each policy that an agent without any capability refuses',
    fc.tuple(fc.array(document, { maxLength: 4 }), fc.constantFrom('inventory', 'self')),
    ([documents, to]) => {
      const index = new PolicyIndex(
        documents.map((each, i) => ({ policy: policyOf(each), revision: i + 1 })),
      );
      const answer = explain(index, { ...query, to }, [{ capabilities: [] }]);
      expect(JSON.parse(JSON.stringify(answer))).to.deep.equal(answer);
      const refused = answer.notes.filter(({ kind }) => kind === 'refused').length;
      expect(refused).to.equal(
        index.matching({ ...query, to }).filter(({ policy }) => unmet(policy, []).length > 0).length,
      );
      for (const { message } of answer.notes) expect(message).not.to.match(/undefined|NaN|object Object/);
    },
  );
});

describe('a diff', () => {
  property('is empty exactly for the same document', fc.tuple(document, document), ([a, b]) => {
    const [before, after] = [policyOf(a), policyOf(b)];
    expect(diffPolicies(before, before)).to.deep.equal([]);
    expect(diffPolicies(before, after).length === 0).to.equal(before.document === after.document);
  });
});

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, inner]) => [key, reversed(inner)]),
  );
}
