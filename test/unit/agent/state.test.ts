/**
 * What an agent knows: policies come into force between two calls, bad ones are refused with the last good one kept, and a
 * restart goes on from what was saved.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import { State } from '../../../agent/state.js';
import type { CircuitChange } from '../../../agent/targets.js';
import { seededRandom } from '../../../core/random.js';
import type { Delta } from '../../../proto/messages.js';
import { wirePolicy } from '../../support/fake-control-plane.js';
import { keptLogger } from '../../support/logs.js';
import { rejectionOf } from '../../support/targets.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const tripping = { match: { to: 'inventory' }, spec: { circuit: { minimumCalls: 2, openFor: '10s' } } };

function setUp(clock = new VirtualClock()) {
  const logger = keptLogger();
  const changes: CircuitChange[] = [];
  const state = new State({
    service: 'checkout',
    callees: ['inventory'],
    clock,
    random: seededRandom(1),
    logger,
    onCircuit: (change) => void changes.push(change),
    onCallees: () => {},
    onInstances: () => {},
    onBrownout: () => {},
  });
  return { clock, logger, changes, state };
}

function delta(upserts: Delta['upserts'], rest: Partial<Delta> = {}): Delta {
  const revision = Math.max(1, ...upserts.map((upsert) => upsert.revision));
  return { dataset: 'd1', revision, nonce: revision, complete: true, upserts, removals: [], ...rest };
}

async function trip({ targets }: State): Promise<void> {
  for (let i = 0; i < 2; i++)
    await rejectionOf(
      guard(targets, 'inventory', () => {
        throw new Error('down');
      }),
    );
}

describe('the state of an agent', () => {
  it('puts policies into force and acknowledges them', () => {
    const { state } = setUp();
    const { ack, changed, event } = state.apply(delta([wirePolicy('p', 7)]));
    expect(ack).to.deep.equal({ nonce: 7, applied: ['p'], rejected: [] });
    expect(changed).to.equal(true);
    expect(event).to.deep.equal({ revision: 7, dataset: 'd1', applied: ['p'], removed: [], refused: [] });
    expect(state.targets.circuit('inventory')).to.include({ state: 'closed', policy: 'p', revision: 7 });
    expect(state.status()).to.include({ policies: 1, revision: 7, dataset: 'd1' });
  });

  it('tells which policies went', () => {
    const { state } = setUp();
    state.apply(delta([wirePolicy('p', 1), wirePolicy('q', 2)]));
    expect(
      state.apply(delta([], { complete: false, revision: 3, removals: ['p'] })).event.removed,
    ).to.deep.equal(['p']);
    expect(state.apply(delta([], { revision: 4 })).event.removed).to.deep.equal(['q']);
    expect(state.targets.circuit('inventory').state).to.equal('disabled');
  });

  it('keeps a circuit open over a change of its policy, with its epoch', async () => {
    const { state } = setUp();
    state.apply(delta([wirePolicy('p', 1, tripping)]));
    await trip(state);
    const before = state.targets.circuit('inventory');
    expect(before.state).to.equal('open');
    const looser = { ...tripping, spec: { circuit: { minimumCalls: 10, openFor: '10s' } } };
    state.apply(delta([wirePolicy('p', 2, looser)]));
    expect(state.targets.circuit('inventory')).to.deep.equal({ ...before, revision: 2 });
  });

  it('refuses what it can not enforce, keeps the last good one, and takes a good one later (trap 18)', () => {
    const { state, logger } = setUp();
    state.apply(delta([wirePolicy('p', 1)]));
    const newer = { match: { to: 'inventory' }, spec: { teleport: '1s' } };
    const refused = state.apply(delta([wirePolicy('p', 2, newer)], { complete: false }));
    expect(refused.ack.rejected[0]).to.include({ name: 'p', revision: 2 });
    expect(refused.ack.rejected[0]?.reason).to.match(/teleport/);
    expect(refused.event.refused[0]).to.include({ policy: 'p', revision: 2 });
    expect(logger.of('warn')).to.have.length(1);
    expect(state.targets.circuit('inventory')).to.include({ policy: 'p', revision: 1 });
    expect(state.status().refused[0]).to.include({ policy: 'p', revision: 2 });
    state.apply(delta([wirePolicy('p', 3)], { complete: false }));
    expect(state.targets.circuit('inventory')).to.include({ policy: 'p', revision: 3 });
    expect(state.status().refused).to.deep.equal([]);
  });

  it('never applies a lower revision of the same dataset', () => {
    const { state } = setUp();
    state.apply(delta([wirePolicy('p', 5)]));
    expect(state.apply(delta([wirePolicy('p', 4)])).changed).to.equal(false);
    expect(state.targets.circuit('inventory').revision).to.equal(5);
  });

  it('enforces only policies for its own service', () => {
    const { state } = setUp();
    const others = { ...tripping, match: { to: 'inventory', from: 'billing' } };
    state.apply(delta([wirePolicy('p', 1, others)]));
    expect(state.targets.circuit('inventory').state).to.equal('disabled');
  });

  it('learns the names that are used', () => {
    const { state } = setUp();
    state.targets.get('payments');
    expect(state.callees.since(0)).to.deep.equal(['inventory', 'payments']);
  });

  it('has nothing to save before its first complete state', () => {
    const { state } = setUp();
    expect(state.save()).to.equal(undefined);
  });

  it('goes on after a restart: policies, endpoints, callees, and what it says of itself', () => {
    const first = setUp().state;
    first.apply(delta([wirePolicy('p', 7)]));
    const endpoint = { instance: 'i/1', address: 'h:1', zone: '', version: '', protocol: 'grpc', weight: 1 };
    first.setEndpoints({ service: 'inventory', instances: [endpoint] });
    first.targets.get('payments');
    const saved = first.save();
    if (!saved) throw new Error('nothing was saved');
    const { state } = setUp();
    state.restore(saved);
    expect(state.status()).to.include({
      policies: 1,
      revision: 7,
      dataset: 'd1',
      digest: first.status().digest,
    });
    expect(state.instances.get('inventory')).to.deep.equal([endpoint]);
    expect(state.callees.since(0)).to.deep.equal(['inventory', 'payments']);
    expect(state.hello()).to.deep.include({ dataset: 'd1', revision: 7 });
    expect(state.hello().hashes[0]).to.include({ name: 'p', revision: 7 });
    expect(state.hello().boot).to.be.greaterThan(first.hello().boot);
  });

  it('opens a restored circuit for the time that is left, never longer (traps 8 and 9)', async () => {
    const before = setUp();
    before.state.apply(delta([wirePolicy('p', 1, tripping)]));
    await trip(before.state);
    before.clock.advance(2_000);
    const leftMs = before.state.targets.circuit('inventory').retryAfterMs;
    const saved = before.state.save();
    if (!saved) throw new Error('nothing was saved');
    for (const [what, awayMs, expected] of [
      ['three seconds', 3_000, leftMs - 3_000],
      ['an hour', 3_600_000, 0],
      ['minus an hour, by a clock that was set back', -3_600_000, leftMs],
    ] as const) {
      const clock = new VirtualClock();
      clock.wallOffset = 2_000 + awayMs;
      const { state } = setUp(clock);
      state.restore(saved);
      state.targets.get('inventory');
      const circuit = state.targets.circuit('inventory');
      expect(circuit.retryAfterMs, what).to.be.closeTo(expected, 1);
      expect(circuit.state, what).to.equal(expected > 0 ? 'open' : 'half-open');
    }
  });

  it('does not look older than the process before, though the wall clock was set back', () => {
    const first = setUp().state;
    first.apply(delta([]));
    const saved = first.save();
    if (!saved) throw new Error('nothing was saved');
    const clock = new VirtualClock();
    clock.wallOffset = -3_600_000;
    const { state } = setUp(clock);
    state.restore(saved);
    expect(state.hello().boot).to.equal(first.hello().boot + 1);
  });

  it('leaves out of a restored snapshot what it can not use', () => {
    const first = setUp().state;
    first.apply(delta([wirePolicy('p', 7)]));
    const saved = first.save();
    if (!saved) throw new Error('nothing was saved');
    const damaged = { ...wirePolicy('q', 8), document: '{' };
    const policies = [...saved.session.policies, damaged];
    const { state, logger } = setUp();
    state.restore({ ...saved, session: { ...saved.session, policies } });
    expect(state.status().policies).to.equal(1);
    expect(logger.of('warn')[0]?.fields.policy).to.equal('q');
    expect(state.hello().hashes.map(({ name }) => name)).to.deep.equal(['p']);
  });
});
