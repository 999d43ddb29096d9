/** What an agent holds of a policy in a staged rollout, in it and outside, over restarts, and with control planes of before. */
import { expect } from 'chai';
import type { PolicyRevision } from '../../../core/policy/index.js';
import { parsePolicy } from '../../../core/policy/index.js';
import { staged } from '../../../core/policy/rollout.js';
import type { DocumentRevision } from '../../../core/sync/delta.js';
import { Interest } from '../../../core/sync/interest.js';
import { AgentSession } from '../../../core/sync/session.js';

const capabilities = ['timeout', 'rollout'];

function revision(number: number, timeout: string, fields: object = {}): PolicyRevision {
  const result = parsePolicy({ policy: 'p', match: { to: 'inventory' }, spec: { timeout }, ...fields });
  if (!result.ok) throw new Error(JSON.stringify(result.issues));
  return { policy: result.policy, revision: number };
}

const half = { rollout: { percent: 50 } };
const base = revision(1, '1s');
const newer = staged(base, revision(2, '2s', half));
const fresh = staged(undefined, revision(2, '2s', half));

/** As the control plane makes it. */
function wire(entry: PolicyRevision): DocumentRevision {
  const source = {
    dataset: 'd',
    revision: entry.revision,
    policy: () => entry,
    policiesTo: (to: string) => (to === 'inventory' ? [entry] : []),
  };
  const interest = new Interest('checkout');
  interest.add(['inventory'], source);
  return interest.content({ kind: 'complete' }, source).upserts[0] as DocumentRevision;
}

function session(inside: boolean, able = capabilities): AgentSession {
  return new AgentSession({
    capabilities: able,
    reaches: ({ rollout }) => inside || rollout.percent >= 100,
  });
}

function give(to: AgentSession, upsert: DocumentRevision, complete = false) {
  return to.apply({ dataset: 'd', revision: upsert.revision, complete, upserts: [upsert], removals: [] });
}

const held = (of: AgentSession) => of.policies().get('p')?.revision;

describe('an agent and a staged rollout', () => {
  it('has the new revision inside, and keeps the one before outside', () => {
    for (const inside of [true, false]) {
      const agent = session(inside);
      give(agent, wire(base), true);
      const { rejected, changed } = give(agent, wire(newer));
      expect(held(agent)).to.equal(inside ? 2 : 1);
      expect(rejected).to.deep.equal([]);
      expect(changed).to.equal(inside);
    }
  });

  it('is given the revision before where it comes anew and is outside, and nothing of a policy that is new', () => {
    const agent = session(false);
    expect(give(agent, wire(newer), true)).to.include({ changed: true });
    expect(held(agent)).to.equal(1);
    const other = session(false);
    give(other, wire(fresh), true);
    expect(held(other)).to.equal(undefined);
  });

  it('says that it has seen the new revision, so that nothing is sent twice', () => {
    const agent = session(false);
    give(agent, wire(newer), true);
    expect(agent.hello().hashes).to.deep.equal([{ name: 'p', hash: newer.policy.hash, revision: 2 }]);
    expect(agent.digest()).to.equal(sessionOf(newer).digest());
  });

  it('takes the new one as the percentage grows, and goes back as it shrinks', () => {
    let percent = 50;
    const agent = new AgentSession({ capabilities, reaches: ({ rollout }) => rollout.percent > 60 });
    const at = (number: number) => staged(newer, revision(number, '2s', { rollout: { percent } }));
    give(agent, wire(newer), true);
    expect(held(agent)).to.equal(1);
    percent = 70;
    give(agent, wire(at(3)));
    expect(held(agent)).to.equal(3);
    percent = 55;
    give(agent, wire(at(4)));
    expect(held(agent)).to.equal(1);
  });

  it('does not refuse outside what it could not enforce', () => {
    const retrying = staged(base, revision(2, '2s', { ...half, spec: { retry: { attempts: 2 } } }));
    const outside = session(false);
    give(outside, wire(base), true);
    expect(give(outside, wire(retrying)).rejected).to.deep.equal([]);
    const inside = session(true);
    give(inside, wire(base), true);
    expect(give(inside, wire(retrying)).rejected[0]?.reason).to.contain('retry');
    expect(held(inside)).to.equal(1);
  });

  it('has the revision before rather than none where it refuses the new one and holds nothing', () => {
    const retrying = staged(base, revision(2, '2s', { ...half, spec: { retry: { attempts: 2 } } }));
    const agent = session(true);
    expect(give(agent, wire(retrying), true).rejected).to.have.length(1);
    expect(held(agent)).to.equal(1);
  });

  it('refuses one that is damaged, and the revision before if that is', () => {
    const agent = session(false);
    const upsert = wire(newer);
    const damaged = { ...upsert, previous: { revision: 1, document: '{}', hash: 'ffff' } };
    expect(give(agent, damaged, true).rejected[0]?.reason).to.match(/revision before \(1\): arrived damaged/);
    expect(held(agent)).to.equal(undefined);
    give(agent, upsert);
    expect(held(agent)).to.equal(1);
    expect(agent.refused()).to.deep.equal([]);
  });

  it('keeps what it has where the control plane says nothing of a revision before', () => {
    const agent = session(false);
    give(agent, wire(base), true);
    const { previous: _, ...older } = wire(newer);
    give(agent, older);
    expect(held(agent)).to.equal(1);
  });

  it('goes on from what was saved, in it or outside, whatever its name is now', () => {
    for (const was of [true, false])
      for (const is of [true, false]) {
        const before = session(was);
        give(before, wire(newer), true);
        const now = session(is);
        expect(now.restore(JSON.parse(JSON.stringify(before.save())))).to.deep.equal([]);
        expect(held(now), `${was} → ${is}`).to.equal(is ? 2 : 1);
        expect(now.hello().hashes).to.deep.equal(before.hello().hashes);
      }
  });

  it('forgets both with the policy', () => {
    const agent = session(false);
    give(agent, wire(newer), true);
    agent.apply({ dataset: 'd', revision: 3, complete: false, upserts: [], removals: ['p'] });
    expect(held(agent)).to.equal(undefined);
    expect(agent.save().policies).to.deep.equal([]);
  });
});

describe('the interest in a staged rollout', () => {
  it('is that of whom either of its two revisions is for', () => {
    const moved = staged(base, revision(2, '1s', { ...half, match: { to: 'payments' } }));
    const source = {
      dataset: 'd',
      revision: 2,
      policy: () => moved,
      policiesTo: (to: string) => (to === 'inventory' || to === 'payments' ? [moved] : []),
    };
    for (const callees of [['inventory'], ['payments'], ['inventory', 'payments']]) {
      const interest = new Interest('checkout');
      interest.add(callees, source);
      expect(interest.policies(source)).to.deep.equal([moved]);
      expect(interest.note('p', base, moved)).to.equal(true);
      expect(interest.content({ kind: 'names', names: ['p'] }, source).upserts).to.have.length(1);
    }
  });
});

function sessionOf(entry: PolicyRevision): AgentSession {
  const agent = session(true);
  give(agent, wire(entry), true);
  return agent;
}
