/**
 * Short ways to say what tests of policies say often: this document parses, that one has these faults.
 */
import { expect } from 'chai';
import { type Policy, type PolicyRevision, parsePolicy } from '../../../core/policy/index.js';

/** The parsed policy, or an error with all faults. */
export function policyOf(document: unknown): Policy {
  const result = parsePolicy(document);
  if (result.ok) return result.policy;
  throw new Error(`refused: ${JSON.stringify(result.issues)}`);
}

/** A policy for `inventory` with this spec. */
export function withSpec(spec: object): Policy {
  return policyOf({ policy: 'p', match: { to: 'inventory' }, spec });
}

/** `path: message` of each fault; empty: it parses. */
export function faultsOf(document: unknown): string[] {
  const result = parsePolicy(document);
  return result.ok ? [] : result.issues.map(({ path, message }) => `${path}: ${message}`);
}

export function faultsOfSpec(spec: unknown): string[] {
  return faultsOf({ policy: 'p', match: { to: 'inventory' }, spec });
}

/** Revisions 1, 2, … in this order. */
export function revisions(...documents: object[]): PolicyRevision[] {
  return documents.map((document, i) => ({ policy: policyOf(document), revision: i + 1 }));
}

/** Title, spec, and the faults of it, each told by how it begins. */
export type Refusal = readonly [title: string, spec: unknown, ...faults: string[]];

/** A test for each. */
export function refusedFor(table: readonly Refusal[]): void {
  for (const [title, spec, ...faults] of table)
    it(title, () => {
      const found = faultsOfSpec(spec);
      expect(found, found.join('\n')).to.have.length(faults.length);
      for (const [i, fault] of faults.entries()) expect(found[i]?.slice(0, fault.length)).to.equal(fault);
    });
}
