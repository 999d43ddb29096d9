/** What concerns a service, what an agent of it lacks, and what a push says. */
import { expect } from 'chai';
import { Interest } from '../../../core/sync/interest.js';
import { TouchLog } from '../../../core/sync/touch-log.js';
import { FakeMesh } from '../../support/fake-mesh.js';

function mesh(): FakeMesh {
  const given = new FakeMesh('d1');
  given.put({ name: 'all', to: '*' });
  given.put({ name: 'inventory', to: 'inventory' });
  given.put({ name: 'inventory-for-cart', to: 'inventory', from: 'cart' });
  given.put({ name: 'payments', to: 'payments' });
  return given;
}
const names = (interest: Interest, source: FakeMesh) =>
  interest.policies(source).map(({ policy }) => policy.name);
const seen = (source: FakeMesh, ...which: string[]) =>
  which.map((name) => {
    const entry = source.policy(name);
    return { name, hash: entry?.policy.hash ?? '', revision: entry?.revision ?? 0 };
  });

describe('interest', () => {
  it('has the policies of * and of its callees, but none meant for another caller', () => {
    const source = mesh();
    const interest = new Interest('checkout');
    expect(names(interest, source)).to.deep.equal(['all']);
    interest.add(['inventory'], source);
    expect(names(interest, source)).to.deep.equal(['all', 'inventory']);
    const cart = new Interest('cart');
    cart.add(['inventory'], source);
    expect(names(cart, source)).to.deep.equal(['all', 'inventory', 'inventory-for-cart']);
  });

  it('a callee that is added touches exactly its policies', () => {
    const source = mesh();
    const interest = new Interest('checkout');
    const before = interest.log.position;
    expect(interest.add(['payments', 'payments', '*'], source)).to.deep.equal(['payments']);
    expect(interest.since(before)).to.deep.equal({ kind: 'names', names: ['payments'] });
  });

  it('has a bounded number of callees', () => {
    const source = mesh();
    const interest = new Interest('checkout', 2);
    expect(interest.add(['a', 'b', 'c'], source)).to.deep.equal(['a', 'b']);
    expect([...interest.callees]).to.deep.equal(['a', 'b']);
  });

  it('a policy that turns to another callee is a removal', () => {
    const source = mesh();
    const interest = new Interest('checkout');
    interest.add(['inventory'], source);
    const { before, after } = source.put({ name: 'inventory', to: 'payments' });
    const position = interest.log.position;
    expect(interest.note('inventory', before, after)).to.equal(true);
    const content = interest.content(interest.since(position), source);
    expect(content.upserts).to.deep.equal([]);
    expect(content.removals).to.deep.equal(['inventory']);
  });

  it('takes no note of what concerns others', () => {
    const source = mesh();
    const interest = new Interest('checkout');
    interest.add(['inventory'], source);
    const { before, after } = source.put({ name: 'payments', to: 'payments', timeoutMs: 1 });
    expect(interest.note('payments', before, after)).to.equal(false);
  });

  it('resumes with what is newer, when the rest is the same', () => {
    const source = mesh();
    const interest = new Interest('checkout');
    interest.add(['inventory', 'payments'], source);
    const holdings = {
      dataset: 'd1',
      revision: source.revision,
      hashes: seen(source, 'all', 'inventory', 'payments'),
    };
    expect(interest.resume(holdings, source)).to.deep.equal({ kind: 'names', names: [] });
    source.put({ name: 'payments', to: 'payments', timeoutMs: 1 });
    source.remove('inventory');
    expect(interest.resume(holdings, source)).to.deep.equal({
      kind: 'names',
      names: ['inventory', 'payments'],
    });
  });

  it('trusts no number: equal revisions with other content are a difference', () => {
    const source = mesh();
    const interest = new Interest('checkout');
    interest.add(['inventory'], source);
    const hashes = seen(source, 'all', 'inventory').map((one) =>
      one.name === 'inventory' ? { ...one, hash: '0123456789abcdef' } : one,
    );
    const resumption = interest.resume({ dataset: 'd1', revision: source.revision, hashes }, source);
    expect(resumption).to.deep.equal({ kind: 'names', names: ['inventory'] });
  });

  it('sends the number along when another dataset has the same content under another', () => {
    const source = mesh();
    const interest = new Interest('checkout');
    interest.add(['inventory'], source);
    const [all, inventory] = seen(source, 'all', 'inventory');
    if (!all || !inventory) throw new Error('the mesh has both');
    const hashes = [all, { ...inventory, revision: 77 }];
    const resumption = interest.resume({ dataset: 'd0', revision: 99, hashes }, source);
    expect(resumption).to.deep.equal({ kind: 'names', names: ['inventory'] });
  });

  it('waits where the agent has seen more than we have', () => {
    const source = mesh();
    const holdings = { dataset: 'd1', revision: source.revision + 1, hashes: seen(source, 'all') };
    expect(new Interest('checkout').resume(holdings, source)).to.deep.equal({ kind: 'ahead' });
  });

  it('sends everything to an agent that has nothing, or nothing that is right', () => {
    const source = mesh();
    const interest = new Interest('checkout');
    expect(interest.resume({ dataset: '', revision: 0, hashes: [] }, source)).to.deep.equal({
      kind: 'complete',
    });
    const hashes = [{ name: 'all', hash: 'x', revision: 1 }];
    expect(interest.resume({ dataset: 'd1', revision: 1, hashes }, source)).to.deep.equal({
      kind: 'complete',
    });
  });
});

describe('touch log', () => {
  it('answers distinct names behind a place', () => {
    const log = new TouchLog();
    log.touch('b');
    const place = log.position;
    for (const name of ['c', 'a', 'c']) log.touch(name);
    expect(log.since(place)).to.deep.equal(['a', 'c']);
    expect(log.since(log.position)).to.deep.equal([]);
  });

  it('forgets what lies too far back, and says so', () => {
    const log = new TouchLog(10);
    for (let i = 0; i < 100; i++) log.touch(`n${i}`);
    expect(log.position).to.equal(100);
    expect(log.since(50)).to.equal(undefined);
    expect(log.since(98)).to.deep.equal(['n98', 'n99']);
  });
});
