/**
 * All replicas were away while the store was not: nobody could renew, so leases that ran out meanwhile say nothing about their
 * owners, who may take half a minute until they try to connect again. Ending such leases emptied the lists of all callers.
 */
import { expect } from 'chai';
import { leaseTtlMs } from '../../control-plane/registry/leases.js';
import { LEASE_GRACE_MS } from '../../control-plane/store/limits.js';
import { eachStore, instance, record } from '../support/stores.js';
import { until } from '../support/until.js';

eachStore('leases after an outage of all replicas', ({ store, place }) => {
  for (const awayMs of [18_000, 70_000, 3_600_000])
    it(`of ${awayMs / 1000} s hold for a whole lease time more, from the first expiry on`, async () => {
      await store().lease([instance('shop/1')], 10_000);
      await store().expire();
      const seen = await record(store());
      await place().away(awayMs);
      expect(await store().expire()).to.equal(0);
      // The agents wait and connect; the replicas go on asking.
      for (let passedMs = 0; passedMs < 48_000; passedMs += 6_000) {
        await place().away(6_000);
        expect(await store().expire()).to.equal(0);
      }
      expect(await store().lease([instance('shop/1')], 60_000)).to.deep.equal(['held']);
      await store().lease([instance('end/1')], 60_000);
      await until(() => seen.events.some((event) => event.kind === 'up'), { what: 'the last event' });
      expect(seen.events.map(({ kind }) => kind)).to.deep.equal(['up']);
    });

  it('hold as well if the replicas went before they had looked through them once', async () => {
    await store().lease([instance('shop/1')], 10_000);
    await place().away(70_000);
    expect(await store().expire()).to.equal(0);
    await place().away(6_000);
    expect(await store().expire()).to.equal(0);
  });

  it('end all the same if nobody renews them', async () => {
    await store().lease([instance('shop/1')], 10_000);
    await store().expire();
    await place().away(70_000);
    expect(await store().expire()).to.equal(0);
    let ended = 0;
    for (let passedMs = 0; passedMs < 66_000; passedMs += 6_000) {
      await place().away(6_000);
      ended += await store().expire();
    }
    expect(ended).to.equal(1);
    expect((await store().loadRegistry()).instances).to.deep.equal([]);
  });
});

describe('the time given to leases after an outage', () => {
  it('is that of a new lease', () => {
    expect(LEASE_GRACE_MS).to.equal(leaseTtlMs);
  });
});
