/**
 * A registry that lost its data fills again only as instances come back to it. Callers that took its first, empty lists at
 * their word failed all calls to callees that had been alive all the time.
 */
import { expect } from 'chai';
import { HOLD_MS, Instances } from '../../agent/instances.js';
import { State } from '../../agent/state.js';
import { leaseTtlMs } from '../../control-plane/registry/leases.js';
import { seededRandom } from '../../core/random.js';
import type { Endpoint } from '../../proto/messages.js';
import { keptLogger } from '../support/logs.js';
import { startPlane } from '../support/stream/plane.js';
import { RawAgent } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

const one: Endpoint = { instance: '1', address: 'h:1', zone: '', version: '', protocol: 'grpc', weight: 1 };
const two: Endpoint = { ...one, instance: '2', address: 'h:2' };

function setUp(known: readonly Endpoint[] | undefined) {
  const clock = new VirtualClock();
  let late = 0;
  let woken = 0;
  const instances = new Instances({ clock, onChange: () => void late++ });
  if (known) instances.set('a', known);
  instances.watch('a', () => void woken++);
  return { clock, instances, late: () => late, woken: () => woken };
}

describe('an empty list of instances', () => {
  it('soon after a connection leaves those known until others are named', () => {
    const { clock, instances, woken } = setUp([one]);
    instances.settle();
    expect(instances.set('a', [])).to.equal(false);
    expect(instances.get('a')).to.deep.equal([one]);
    expect(woken()).to.equal(0);
    clock.advance(20_000);
    expect(instances.set('a', [two])).to.equal(true);
    clock.advance(HOLD_MS);
    expect(instances.get('a')).to.deep.equal([two]);
  });

  it('holds once a lease time has passed without others, and is told', () => {
    const { clock, instances, late, woken } = setUp([one]);
    instances.settle();
    instances.set('a', []);
    clock.advance(HOLD_MS - 1);
    expect(instances.get('a')).to.deep.equal([one]);
    clock.advance(1);
    expect(instances.get('a')).to.deep.equal([]);
    expect([late(), woken()]).to.deep.equal([1, 1]);
    expect(clock.pendingTimers).to.equal(0);
  });

  it('holds at once as a first answer, after an empty one, and long after the connection', () => {
    const first = setUp(undefined);
    first.instances.settle();
    expect(first.instances.set('a', [])).to.equal(true);
    expect(first.instances.get('a')).to.deep.equal([]);
    const long = setUp([one]);
    long.instances.settle();
    long.clock.advance(HOLD_MS);
    expect(long.instances.set('a', [])).to.equal(true);
    expect(long.instances.get('a')).to.deep.equal([]);
  });

  it('holds at once after the same registry has named instances: then it is news', () => {
    const { instances } = setUp([one]);
    instances.settle();
    expect(instances.set('a', [one])).to.equal(false);
    expect(instances.set('a', [])).to.equal(true);
    expect(instances.get('a')).to.deep.equal([]);
  });

  it('that was held back is forgotten with its connection, timer and all', () => {
    const { clock, instances } = setUp([one]);
    instances.settle();
    instances.set('a', []);
    instances.disconnect();
    expect(clock.pendingTimers).to.equal(0);
    clock.advance(HOLD_MS);
    expect(instances.get('a')).to.deep.equal([one]);
  });

  it('is held back anew from a change of the dataset on, while connected', () => {
    const clock = new VirtualClock();
    const state = new State({
      service: 'checkout',
      callees: ['a'],
      clock,
      random: seededRandom(1),
      logger: keptLogger(),
      onCircuit: () => {},
      onCallees: () => {},
      onInstances: () => {},
      onBrownout: () => {},
    });
    const delta = (dataset: string) =>
      state.apply({ dataset, revision: 1, nonce: 1, complete: true, upserts: [], removals: [] });
    state.instances.settle();
    delta('d1');
    state.setEndpoints({ service: 'a', instances: [one] });
    clock.advance(HOLD_MS);
    delta('d2');
    expect(state.setEndpoints({ service: 'a', instances: [] })).to.equal(false);
    expect(state.instances.get('a')).to.deep.equal([one]);
    clock.advance(HOLD_MS);
    expect(state.instances.get('a')).to.deep.equal([]);
  });

  it('is held back for as long as a lease', () => {
    expect(HOLD_MS).to.equal(leaseTtlMs);
  });
});

describe('a change of the dataset', () => {
  it('is told before the instances that belong to it, also while a push has to wait', async () => {
    const clock = new VirtualClock();
    const plane = await startPlane({ clock });
    const agent = await RawAgent.connect(plane.address, { callees: ['inventory'] });
    try {
      await until(() => agent.heard.some(({ message }) => message === 'endpoints'), {
        what: 'the first list',
      });
      await plane.put({ name: 'a', to: 'inventory' });
      await until(() => agent.held.includes('a@1'), { what: 'the first change' });
      const { dataset } = plane.mirror;
      const from = agent.heard.length;
      await plane.store.settleDataset({ dataset, revision: 1000 });
      await until(() => plane.mirror.dataset !== dataset, { what: 'the new dataset' });
      // A whole round of the pump: what may go out before the clock moves is out.
      for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
      const news = () => agent.heard.slice(from).map(({ message }) => message);
      await until(
        () => {
          clock.advance(50);
          return news().includes('delta') && news().includes('endpoints');
        },
        { what: 'both' },
      );
      expect(news().filter((message) => message === 'delta' || message === 'endpoints')[0]).to.equal('delta');
    } finally {
      agent.close();
      await plane.close();
    }
  });
});
