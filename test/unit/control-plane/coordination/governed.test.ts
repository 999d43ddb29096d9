/** Which circuit of the mesh calls belong to, as the policies in force have it. */
import { expect } from 'chai';
import { circuitId } from '../../../../agent/parts.js';
import { GovernedCircuits } from '../../../../control-plane/coordination/governed.js';
import { inRollout } from '../../../../core/policy/rollout.js';
import { CircuitMirror } from '../../../support/circuit-rooms.js';

const document = (changes: Record<string, unknown> = {}, circuit: object = {}) => ({
  policy: 'p',
  match: { to: 'inventory' },
  spec: { circuit: { scope: 'cluster', ...circuit } },
  ...changes,
});

describe('a circuit that policies govern', () => {
  let mirror: CircuitMirror;
  let governed: GovernedCircuits;

  beforeEach(() => {
    mirror = new CircuitMirror();
    governed = new GovernedCircuits(mirror);
    mirror.on('policies', (changes) => governed.changed(changes));
  });
  const circuits = (callee = 'inventory', method = '', service = 'checkout', instance = 'i') =>
    governed.circuitsOf(service, instance, callee, method);

  it('is none where no policy has scope cluster', () => {
    expect(governed.any).to.equal(false);
    mirror.put({ ...document(), spec: { circuit: {} } });
    expect(governed.any).to.equal(false);
    expect(circuits()).to.deep.equal([]);
    expect(governed.governed('inventory|p')).to.equal(undefined);
  });

  it('is called as agents call it', () => {
    for (const per of ['service', 'method'] as const) {
      const { policy, revision } = mirror.put(document({}, { per }));
      const spec = policy.spec.circuit;
      if (!spec) throw new Error('no circuit');
      for (const method of ['', 'shop.v1.Inventory/Reserve']) {
        const id = circuitId('inventory', method, spec, { policy: 'p', revision });
        expect(circuits('inventory', method)).to.deep.equal([id]);
        expect(governed.governed(id)).to.deep.include({
          callee: 'inventory',
          source: { policy: 'p', revision },
        });
      }
    }
    expect(governed.governed('inventory|p|a/B')?.spec.per).to.equal('method');
    mirror.put(document({}, { per: 'service' }));
    expect(governed.governed('inventory|p|a/B')).to.equal(undefined);
  });

  it('belongs to the most specific policy, also if that one keeps it local', () => {
    mirror.put(document({ policy: 'all', match: { to: '*' } }));
    mirror.put(document({ policy: 'one', match: { to: 'inventory', from: 'checkout' } }));
    mirror.put({ policy: 'own', match: { to: 'ledger' }, spec: { circuit: {} } });
    expect(circuits('inventory')).to.deep.equal(['inventory|one']);
    expect(circuits('inventory', '', 'billing')).to.deep.equal(['inventory|all']);
    expect(circuits('ledger')).to.deep.equal([]);
    expect(governed.governed('inventory|one')?.from).to.equal('checkout');
    expect(governed.governed('payments|all')?.callee).to.equal('payments');
    expect(governed.governed('payments|one')).to.equal(undefined);
  });

  it('is watched beside where a policy in shadow would bring it, and not at all where it is off', () => {
    mirror.put(document({ policy: 'old' }));
    mirror.put(document({ policy: 'zz', mode: 'shadow' }));
    expect(circuits()).to.deep.equal(['inventory|old', 'inventory|zz']);
    expect(governed.governed('inventory|zz')?.shadow).to.equal(true);
    expect(governed.governed('inventory|old')?.shadow).to.equal(false);
    mirror.put(document({ policy: 'zz', mode: 'off' }));
    expect(circuits()).to.deep.equal(['inventory|old']);
    expect(governed.governed('inventory|zz')).to.equal(undefined);
  });

  it('is another as soon as policies change', () => {
    mirror.put(document());
    expect(circuits()).to.have.length(1);
    mirror.remove('p');
    expect(circuits()).to.deep.equal([]);
    expect(governed.governed('inventory|p')).to.equal(undefined);
  });

  it('knows the addresses of the instances that are there now', () => {
    mirror.on('instances', (services) => governed.moved(services));
    mirror.put(document());
    const endpoints = () => governed.governed('inventory|p')?.endpoints;
    expect(endpoints()).to.deep.equal([]);
    mirror.register('inventory', 'a:1', 'b:1');
    expect(endpoints()).to.deep.equal(['a:1', 'b:1']);
    mirror.register('inventory', 'b:1');
    expect(endpoints()).to.deep.equal(['b:1']);
  });

  it('is that of the revision an instance has, while a rollout is under way', () => {
    const previous = mirror.put({ ...document({ policy: 'p' }), spec: { circuit: {} } });
    mirror.put(document({ rollout: { percent: 50 } }), { staged: { previous, since: 2 } });
    for (const instance of ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']) {
      const ids = inRollout(50, 'p', instance) ? ['inventory|p'] : [];
      expect(circuits('inventory', '', 'checkout', instance), instance).to.deep.equal(ids);
    }
    mirror.put(
      { ...document({ rollout: { percent: 50 } }), spec: { circuit: {} } },
      {
        staged: { previous: mirror.put(document()), since: 3 },
      },
    );
    expect(governed.any).to.equal(true);
    expect(governed.governed('inventory|p')?.source.revision).to.equal(3);
  });

  it('comes out right for names of any kind', () => {
    mirror.put(document());
    for (const id of ['', '|', 'inventory', 'inventory|', '|p', 'inventory|p|', 'a|b|c|d', '__proto__|p'])
      expect(() => governed.governed(id), id).to.not.throw();
    expect(governed.governed('other|p')).to.equal(undefined);
    mirror.put(document({ match: { to: '*' } }, { per: 'method' }));
    for (const callee of ['a|p', 'a@z', '|']) expect(circuits(callee), callee).to.deep.equal([]);
    expect(circuits('inventory', 'x|y')).to.deep.equal([]);
  });
});
