/** What an agent holds, refuses and says of itself, delta by delta. */
import { expect } from 'chai';
import type { DeltaContent, DocumentRevision } from '../../../core/sync/delta.js';
import { AgentSession } from '../../../core/sync/session.js';
import { documentOf, policyRevision } from '../../support/policies.js';

const capabilities = ['timeout', 'circuit'];
const good = (name: string, revision: number, timeoutMs = 100) =>
  documentOf(policyRevision({ name, to: 'inventory', timeoutMs }, revision));
const unenforceable = (name: string, revision: number) =>
  documentOf(policyRevision({ name, to: 'inventory', retry: true }, revision));

function delta(
  revision: number,
  upserts: DocumentRevision[],
  more: Partial<DeltaContent> = {},
): DeltaContent {
  return { dataset: 'd1', revision, complete: false, upserts, removals: [], ...more };
}

function started(...upserts: DocumentRevision[]): AgentSession {
  const session = new AgentSession({ capabilities });
  session.apply(delta(5, upserts, { complete: true }));
  return session;
}

const held = (session: AgentSession) =>
  [...session.policies().values()].map(({ policy, revision }) => `${policy.name}@${revision}`).sort();

describe('agent session', () => {
  it('is complete only once it has had a complete delta', () => {
    const session = new AgentSession({ capabilities });
    session.apply(delta(1, [good('a', 1)]));
    expect(session.complete).to.equal(false);
    session.apply(delta(2, [], { complete: true }));
    expect(session.complete).to.equal(true);
    expect(held(session)).to.deep.equal([]);
  });

  it('applies what came, drops what went, and names both in the answer', () => {
    const session = started(good('a', 1), good('b', 2));
    const outcome = session.apply(delta(7, [good('a', 7, 200)], { removals: ['b'] }));
    expect(outcome).to.deep.equal({ applied: ['a'], rejected: [], refusedNow: [], changed: true });
    expect(held(session)).to.deep.equal(['a@7']);
    expect(session.revision).to.equal(7);
  });

  it('never applies a delta of a lower revision of the same dataset', () => {
    const session = started(good('a', 5, 500));
    const outcome = session.apply(delta(4, [good('a', 4, 400)], { complete: true }));
    expect(outcome.changed).to.equal(false);
    expect(held(session)).to.deep.equal(['a@5']);
    expect(session.revision).to.equal(5);
  });

  it('never applies a lower revision of one policy within a newer delta', () => {
    const session = started(good('a', 5, 500));
    session.apply(delta(6, [good('a', 4, 400), good('b', 6)]));
    expect(held(session)).to.deep.equal(['a@5', 'b@6']);
  });

  it('follows another dataset whatever its numbers are', () => {
    const session = started(good('a', 5, 500), good('b', 3));
    session.apply(delta(2, [good('a', 2, 200)], { dataset: 'd2', complete: true }));
    expect(held(session)).to.deep.equal(['a@2']);
    expect(session.hello()).to.include({ dataset: 'd2', revision: 2 });
  });

  it('refuses a policy that it can not enforce, says why, and keeps the last good one', () => {
    const session = started(good('a', 5), good('b', 5));
    const outcome = session.apply(delta(6, [unenforceable('a', 6), good('b', 6, 200)]));
    expect(outcome.applied).to.deep.equal(['b']);
    expect(outcome.rejected).to.have.length(1);
    expect(outcome.rejected[0]).to.include({ name: 'a', revision: 6 });
    expect(outcome.rejected[0]?.reason).to.contain('retry');
    expect(held(session)).to.deep.equal(['a@5', 'b@6']);
  });

  it('says in its Hello that refused content was seen, so that it is not sent again', () => {
    const session = started(unenforceable('a', 5));
    expect(session.hello().hashes).to.deep.equal([
      { name: 'a', revision: 5, hash: unenforceable('a', 5).hash },
    ]);
  });

  it('goes on naming what it refuses until something good comes, and logs it once', () => {
    const session = started(unenforceable('a', 5));
    const next = session.apply(delta(6, [good('b', 6)]));
    expect(next.rejected.map(({ name }) => name)).to.deep.equal(['a']);
    expect(next.refusedNow).to.deep.equal([]);
    expect(session.apply(delta(7, [good('a', 7)])).rejected).to.deep.equal([]);
    expect(held(session)).to.deep.equal(['a@7', 'b@6']);
  });

  it('takes back the last good content after a refusal of what came between', () => {
    const session = started(good('a', 5));
    session.apply(delta(6, [unenforceable('a', 6)]));
    const outcome = session.apply(delta(7, [good('a', 7)]));
    expect(outcome.rejected).to.deep.equal([]);
    expect(held(session)).to.deep.equal(['a@7']);
  });

  for (const [what, damage] of [
    ['no JSON', (from: DocumentRevision) => ({ ...from, document: '{' })],
    ['of another hash', (from: DocumentRevision) => ({ ...from, hash: '0000000000000000' })],
  ] as const) {
    it(`refuses a document that is ${what}, and does not count it as seen`, () => {
      const session = started(good('a', 5));
      const outcome = session.apply(delta(6, [damage(good('a', 6, 200))]));
      expect(outcome.rejected[0]?.reason).to.contain('damaged');
      expect(held(session)).to.deep.equal(['a@5']);
      expect(session.hello().hashes).to.deep.equal([{ name: 'a', revision: 5, hash: good('a', 5).hash }]);
    });
  }

  it('refuses a document of another name', () => {
    const session = started(good('a', 5));
    const outcome = session.apply(delta(6, [{ ...good('b', 6), name: 'a' }]));
    expect(outcome.rejected[0]?.reason).to.match(/must be "a"/);
    expect(held(session)).to.deep.equal(['a@5']);
  });

  it('a removal takes the refusal along', () => {
    const session = started(unenforceable('a', 5));
    session.apply(delta(6, [], { removals: ['a'] }));
    expect(session.refused()).to.deep.equal([]);
    expect(session.hello().hashes).to.deep.equal([]);
  });

  it('goes on from what was saved, and counts as complete', () => {
    const before = started(good('a', 5), good('b', 4));
    const after = new AgentSession({ capabilities });
    expect(after.restore(JSON.parse(JSON.stringify(before.save())))).to.deep.equal([]);
    expect(after.complete).to.equal(true);
    expect(held(after)).to.deep.equal(['a@5', 'b@4']);
    expect(after.hello()).to.deep.equal(before.hello());
    expect(after.digest()).to.equal(before.digest());
  });

  it('asks anew after a restart for what it refused before', () => {
    const before = started(good('a', 4));
    before.apply(delta(6, [unenforceable('a', 6)]));
    const after = new AgentSession({ capabilities: [...capabilities, 'retry'] });
    after.restore(before.save());
    expect(after.hello().hashes).to.deep.equal([{ name: 'a', revision: 4, hash: good('a', 4).hash }]);
  });

  it('a saved policy that can not be used any more is told, and not held', () => {
    const after = new AgentSession({ capabilities: ['circuit'] });
    const told = after.restore(started(good('a', 5)).save());
    expect(told.map(({ name }) => name)).to.deep.equal(['a']);
    expect(held(after)).to.deep.equal([]);
    expect(after.hello().hashes).to.deep.equal([]);
  });

  it('has one digest for one content, in whatever order it came', () => {
    const one = started(good('a', 1), good('b', 2));
    const other = started(good('b', 2));
    expect(other.digest()).to.not.equal(one.digest());
    other.apply(delta(6, [good('a', 1)]));
    expect(other.digest()).to.equal(one.digest());
  });
});
