/**
 * What an agent makes of the mesh's directives: for which circuits they hold, for how long, and which are too old to be believed.
 */
import { expect } from 'chai';
import { guard } from '../../../agent/guard.js';
import { State } from '../../../agent/state.js';
import { statsOf } from '../../../agent/stats.js';
import type { CircuitChange } from '../../../agent/targets.js';
import { seededRandom } from '../../../core/random.js';
import type { Delta, Directive } from '../../../proto/messages.js';
import { wirePolicy } from '../../support/fake-control-plane.js';
import { keptLogger } from '../../support/logs.js';
import { rejectionOf } from '../../support/targets.js';
import { VirtualClock } from '../../support/virtual-clock.js';

function setUp() {
  const clock = new VirtualClock();
  const logger = keptLogger();
  const changes: CircuitChange[] = [];
  const probes: [circuit: string, permit: number, ok: boolean][] = [];
  const state = new State({
    service: 'checkout',
    callees: ['inventory'],
    clock,
    random: seededRandom(1),
    logger,
    onCircuit: (change) => void changes.push(change),
    onProbe: (...probe) => void probes.push(probe),
    onCallees: () => {},
    onInstances: () => {},
    onBrownout: () => {},
  });
  const { targets } = state;
  targets.directions.use('d1');
  return {
    clock,
    logger,
    changes,
    probes,
    state,
    targets,
    call: (callee = 'inventory', key?: string) =>
      guard(targets, callee, async () => 'done', key === undefined ? {} : { key }),
    now: (method?: string) => targets.circuit('inventory', method).state,
    take: (...directives: Directive[]) => targets.directions.take(directives),
  };
}

function directive(state: string, changes: Partial<Directive> = {}): Directive {
  return {
    circuit: 'inventory|p',
    state,
    circuitEpoch: 1,
    seq: 1,
    admitPercent: 100,
    permits: [],
    ttlMs: 3_000,
    reason: '12 of 20 agents agree',
    ...changes,
  };
}

const cluster = { match: { to: 'inventory' }, spec: { circuit: { scope: 'cluster' } } };

function delta(rest: Partial<Delta> = {}, policy: Record<string, unknown> = cluster): Delta {
  return {
    dataset: 'd1',
    revision: 1,
    nonce: 1,
    complete: true,
    upserts: [wirePolicy('p', 1, policy)],
    removals: [],
    ...rest,
  };
}

describe('directives of the mesh', () => {
  it('that come after the policy keep the first call from the callee', async () => {
    const { state, take, now, call } = setUp();
    state.apply(delta());
    take(directive('open'));
    expect(now()).to.equal('open');
    expect(await rejectionOf(call())).to.include({ code: 'circuit_open', retryAfterMs: 1_000 });
  });

  it('that come before the policy do as well', async () => {
    const { state, take, now, call, targets } = setUp();
    take(directive('open'));
    state.apply(delta());
    expect(now()).to.equal('open');
    expect(targets.circuit('inventory').retryAfterMs, 'before it is made').to.equal(1_000);
    expect(String(await rejectionOf(call()))).to.include('the mesh opened it: 12 of 20 agents agree');
  });

  it('show in the circuit’s state, in statistics, in the status and to who listens', async () => {
    const { state, take, call, targets, changes } = setUp();
    state.apply(delta());
    await call();
    take(directive('ramping', { admitPercent: 25 }));
    const reason = 'the mesh lets 25 % through: 12 of 20 agents agree';
    expect(changes.map(({ from, to, reason: why }) => [from, to, why])).to.deep.equal([
      ['closed', 'ramping', reason],
    ]);
    expect(state.status().circuits[0]).to.include({ state: 'ramping', reason });
    expect(statsOf(targets).inventory?.circuits[0]).to.include({ state: 'ramping', reason });
  });

  it('of one method hold for that method', () => {
    const { state, take, now } = setUp();
    const spec = { circuit: { scope: 'cluster', per: 'method' } };
    state.apply(delta({}, { match: { to: 'inventory' }, spec }));
    take(directive('open', { circuit: 'inventory|p|shop.v1.Inventory/Get' }));
    expect([now('shop.v1.Inventory/Get'), now('shop.v1.Inventory/Put')]).to.deep.equal(['open', 'closed']);
  });

  it('lapse without a word, and tell so once', async () => {
    const { state, take, now, call, clock, changes } = setUp();
    state.apply(delta());
    await call();
    take(directive('open'));
    clock.advance(2_999);
    expect(now()).to.equal('open');
    clock.advance(1);
    expect(now()).to.equal('closed');
    expect(changes.map(({ to }) => to)).to.deep.equal(['open', 'closed']);
    expect(await call()).to.equal('done');
  });

  it('that wait for their circuit lapse on time, too', async () => {
    const { state, take, call, clock } = setUp();
    take(directive('open'));
    clock.advance(2_000);
    state.apply(delta());
    expect(await rejectionOf(call())).to.include({ code: 'circuit_open' });
    clock.advance(1_000);
    expect(await call()).to.equal('done');
  });

  it('are renewed by the same one, and ended by a greater one', async () => {
    const { take, now, clock, state } = setUp();
    state.apply(delta());
    take(directive('open'));
    clock.advance(2_000);
    take(directive('open'));
    clock.advance(2_000);
    expect(now()).to.equal('open');
    take(directive('closed', { seq: 2 }));
    expect(now()).to.equal('closed');
  });

  it('that are stale change nothing, whatever they say', () => {
    const { take, now, state } = setUp();
    state.apply(delta());
    take(directive('open', { circuitEpoch: 5, seq: 50 }));
    take(
      directive('closed', { circuitEpoch: 5, seq: 49 }),
      directive('closed', { circuitEpoch: 4, seq: 60 }),
    );
    expect(now()).to.equal('open');
    take(directive('closed', { circuitEpoch: 5, seq: 51 }), directive('open', { circuitEpoch: 5, seq: 50 }));
    expect(now()).to.equal('closed');
  });

  it('of another dataset are compared with nothing from before', () => {
    const { take, now, state, targets } = setUp();
    state.apply(delta());
    take(directive('open', { circuitEpoch: 5, seq: 50 }));
    targets.directions.use('');
    take(directive('closed', { circuitEpoch: 1, seq: 1 }));
    expect(now(), 'who names no dataset speaks of the same').to.equal('open');
    state.apply(delta({ dataset: 'd2' }));
    expect(now(), 'what was said still holds').to.equal('open');
    take(directive('closed', { circuitEpoch: 1, seq: 1 }));
    expect(now()).to.equal('closed');
  });

  it('let a probe through for each permit, once, and tell what it came to', async () => {
    const { state, take, call, probes } = setUp();
    state.apply(delta());
    take(directive('half-open', { circuitEpoch: 2, permits: [513] }));
    expect(await call()).to.equal('done');
    take(directive('half-open', { circuitEpoch: 2, seq: 2, permits: [513] }));
    expect(await rejectionOf(call())).to.include({ code: 'circuit_open' });
    expect(probes).to.deep.equal([['inventory|p', 513, true]]);
  });

  it('hold again for a circuit that went with its policy and is back', async () => {
    const { state, take, call, now } = setUp();
    state.apply(delta());
    await call();
    take(directive('open'));
    state.apply(delta({ revision: 2, upserts: [] }));
    expect(now()).to.equal('disabled');
    state.apply(delta({ revision: 3, upserts: [wirePolicy('p', 3, cluster)] }));
    expect(now()).to.equal('open');
  });

  it('do nothing to a policy that is in shadow', async () => {
    const { state, take, call, now } = setUp();
    state.apply(delta({}, { ...cluster, mode: 'shadow' }));
    take(directive('open'));
    expect(await call()).to.equal('done');
    expect(now()).to.equal('shadow');
  });

  it('are kept for 10,000 circuits', () => {
    const { take, targets, logger, state, now } = setUp();
    const many = Array.from({ length: 10_000 }, (_, i) => directive('open', { circuit: `c${i}|p` }));
    take(...many);
    state.apply(delta());
    take(directive('open'));
    expect([targets.directions.size, now()]).to.deep.equal([10_000, 'closed']);
    expect(logger.lines.map(({ message }) => message)).to.include(
      'the mesh directs too many circuits: further ones decide by themselves',
    );
  });

  it('that make no sense are left out', () => {
    const { take, targets, state, now } = setUp();
    state.apply(delta());
    take(directive('ajar'), directive('open', { ttlMs: 0, seq: 2 }));
    expect([targets.directions.size, now()]).to.deep.equal([0, 'closed']);
  });

  it('never hold for more than an hour', () => {
    const { take, clock, state, now } = setUp();
    state.apply(delta());
    take(directive('open', { ttlMs: Number.MAX_SAFE_INTEGER }));
    clock.advance(3_600_000 - 1);
    expect(now()).to.equal('open');
    clock.advance(1);
    expect(now()).to.equal('closed');
  });

  it('leave no timer behind', () => {
    const { take, targets, clock } = setUp();
    take(directive('open'), directive('open', { circuit: 'payments|p', ttlMs: 5_000 }));
    expect(clock.pendingTimers).to.equal(1);
    targets.close();
    expect(clock.pendingTimers).to.equal(0);
  });
});
