/**
 * What every store does for the registry: leases on its own clock, the newer boot before the older, each end told once, and
 * interests and summaries within their bounds.
 */
import { expect } from 'chai';
import { eachStore, instance, Recorder, record } from '../support/stores.js';
import { until } from '../support/until.js';

eachStore('a lease', ({ store, place, backend }) => {
  it('shows its instance to all, with what is left of it', async () => {
    const one = instance('shop/1', { zone: 'ü"\n' });
    const seen = await record(store());
    expect(await store().lease([one], 60_000)).to.deep.equal(['held']);
    const { instances } = await store().loadRegistry();
    const [{ remainingMs, ...rest } = { remainingMs: -1 }] = instances;
    expect(rest).to.deep.equal(one);
    expect(remainingMs).to.be.within(1, 60_000);
    await until(() => seen.events.length === 1, { what: 'the event' });
    expect(seen.events).to.deep.equal([{ kind: 'up', instance: one }]);
  });

  it('renewed unchanged tells nobody; changed, it tells', async () => {
    const seen = await record(store());
    await store().lease([instance('shop/1')], 60_000);
    await store().lease([instance('shop/1')], 60_000);
    const moved = instance('shop/1', { address: '127.0.0.1:2' });
    await store().lease([moved], 60_000);
    await until(() => seen.events.length === 2, { what: 'two events' });
    expect(seen.events.at(-1)).to.deep.equal({ kind: 'up', instance: moved });
  });

  it('of a newer boot replaces an older one, never the other way round', async () => {
    await store().lease([instance('shop/1', { boot: 5 })], 60_000);
    expect(
      await store().lease(
        [
          instance('shop/1', { boot: 4, address: 'old:1' }),
          instance('shop/2'),
          instance('shop/1', { boot: 6 }),
        ],
        60_000,
      ),
    ).to.deep.equal(['stale', 'held', 'held']);
    const { instances } = await store().loadRegistry();
    expect(instances.map(({ id, boot, address }) => [id, boot, address]).sort()).to.deep.equal([
      ['shop/1', 6, '127.0.0.1:50051'],
      ['shop/2', 1, '127.0.0.1:50051'],
    ]);
  });

  it('released is gone and told once; an older boot cannot release a newer one', async () => {
    await store().lease([instance('shop/1', { boot: 2 })], 60_000);
    const seen = await record(store());
    await store().release('shop/1', 1);
    expect((await store().loadRegistry()).instances).to.have.length(1);
    await store().release('shop/1', 2);
    await store().release('shop/1', 2);
    await store().release('never/1', 1);
    await store().lease([instance('end/1')], 60_000);
    await until(() => seen.events.some((event) => event.kind === 'up'), { what: 'the last event' });
    expect(seen.events[0]).to.deep.equal({ kind: 'down', id: 'shop/1', service: 'shop', reason: 'released' });
    expect(seen.events).to.have.length(2);
  });

  it('that ran out stays until somebody ends it, and is told once, whoever asks', async () => {
    const second = backend.shared ? await place().open() : store();
    await store().lease([instance('shop/1'), instance('shop/2')], 20);
    await store().lease([instance('shop/3')], 60_000);
    const recorders = [await record(store()), await record(second)];
    let ended = 0;
    await until(
      async () => {
        place().tick();
        const counts = await Promise.all([store().expire(), second.expire(), store().expire()]);
        ended += counts.reduce((sum, count) => sum + count, 0);
        return ended >= 2;
      },
      { what: 'two ends' },
    );
    expect(ended).to.equal(2);
    expect(await store().expire()).to.equal(0);
    expect((await store().loadRegistry()).instances.map(({ id }) => id)).to.deep.equal(['shop/3']);
    for (const { events } of recorders) {
      await until(() => events.length === 2, { what: 'both events' });
      expect(events.map((event) => event.kind === 'down' && [event.id, event.reason]).sort()).to.deep.equal([
        ['shop/1', 'expired'],
        ['shop/2', 'expired'],
      ]);
    }
  });

  it('renewed in time does not run out', async () => {
    await store().lease([instance('shop/1')], 20);
    await store().lease([instance('shop/1')], 60_000);
    await store().lease([instance('canary/1')], 20);
    await until(
      async () => {
        place().tick();
        return (await store().expire()) === 1;
      },
      { what: 'the end of the canary' },
    );
    expect((await store().loadRegistry()).instances.map(({ id }) => id)).to.deep.equal(['shop/1']);
  });

  it('that ran out while nobody asked gets time to be renewed in: the store, or everybody, was away', async () => {
    await store().lease([instance('shop/1')], 20);
    await store().expire();
    await place().away(60_000);
    expect(await store().expire()).to.equal(0);
    expect(await store().expire()).to.equal(0);
    const { instances } = await store().loadRegistry();
    expect(instances.map(({ id }) => id)).to.deep.equal(['shop/1']);
    expect(instances[0]?.remainingMs).to.be.within(50_000, 60_000);
  });

  it('of thousands of instances is renewed and ended in one call each', async () => {
    const many = Array.from({ length: 2500 }, (_, i) => instance(`s${i % 50}/${i}`));
    expect(new Set(await store().lease(many, 1))).to.deep.equal(new Set(['held']));
    let ended = 0;
    await until(
      async () => {
        place().tick();
        ended += await store().expire();
        return ended === many.length;
      },
      { what: 'all to end' },
    );
    expect((await store().loadRegistry()).instances).to.deep.equal([]);
  });

  it('is seen again by a watch that resumes at the cursor, and not before it', async () => {
    await store().lease([instance('shop/1')], 60_000);
    const { cursor } = await store().loadRegistry();
    await store().lease([instance('shop/2')], 60_000);
    const { dataset, head } = await store().load();
    const seen = new Recorder();
    store().watch({ dataset, revision: head, cursor }, seen);
    await until(() => seen.events.length > 0, { what: 'the event' });
    expect(seen.events).to.deep.equal([{ kind: 'up', instance: instance('shop/2') }]);
  });
});

eachStore('interests', ({ store }) => {
  it('grow by what is new, and only that is told', async () => {
    const seen = await record(store());
    await store().learn('shop', ['inventory', 'payments']);
    await store().learn('shop', ['payments', 'mail', 'mail']);
    await store().learn('shop', ['mail']);
    await store().learn('shop', []);
    await store().learn('back/"office', ['ü\n']);
    const { interests } = await store().loadRegistry();
    expect([...interests].map(([service, callees]) => [service, [...callees].sort()]).sort()).to.deep.equal([
      ['back/"office', ['ü\n']],
      ['shop', ['inventory', 'mail', 'payments']],
    ]);
    await until(() => seen.events.length === 3, { what: 'three events' });
    expect(seen.events).to.deep.equal([
      { kind: 'interest', service: 'shop', callees: ['inventory', 'payments'] },
      { kind: 'interest', service: 'shop', callees: ['mail'] },
      { kind: 'interest', service: 'back/"office', callees: ['ü\n'] },
    ]);
  });

  it('of one service are at most a thousand', async () => {
    const names = Array.from({ length: 1500 }, (_, i) => `callee-${i}`);
    await store().learn('shop', names.slice(0, 900));
    await store().learn('shop', names);
    await store().learn('shop', names);
    const { interests } = await store().loadRegistry();
    expect(interests.get('shop')).to.have.length(1000);
  });
});

eachStore('summaries', ({ store, place, backend }) => {
  it('are replaced whole, seen by all and run out', async () => {
    const second = backend.shared ? await place().open() : store();
    await store().publishSummaries([{ replica: 'a', body: 'old' }], 60_000);
    await store().publishSummaries([{ replica: 'a', body: '{"new":"ü"}' }], 60_000);
    await second.publishSummaries([{ replica: 'b', body: 'short' }], 20);
    await until(
      async () => {
        place().tick();
        return (await store().summaries()).length === 1;
      },
      { what: 'the short one to run out' },
    );
    expect(await second.summaries()).to.deep.equal([{ replica: 'a', body: '{"new":"ü"}' }]);
  });

  it('of one board are not seen on the other', async () => {
    await store().publishSummaries([{ replica: 'a', body: 'who' }], 60_000);
    await store().publishSummaries([{ replica: 'a', body: 'claims' }], 60_000, 'rates');
    await store().publishSummaries([{ replica: 'b', body: 'more claims' }], 60_000, 'rates');
    expect(await store().summaries()).to.deep.equal([{ replica: 'a', body: 'who' }]);
    expect(await store().summaries('roster')).to.have.length(1);
    expect((await store().summaries('rates')).map(({ body }) => body).sort()).to.deep.equal([
      'claims',
      'more claims',
    ]);
  });
});

eachStore('a store', ({ store, place, backend }) => {
  it('answers a ping, and refuses everything once it is closed', async () => {
    await store().ping();
    await store().close();
    await store().close();
    for (const attempt of [
      () => store().ping(),
      () => store().load(),
      () => store().lease([instance('a/1')], 1),
    ]) {
      const error = await attempt().then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      expect(error).to.include({ code: 'store_unavailable' });
    }
  });

  if (!backend.durable) return;

  it('finds its data, instances and interests again after closing', async () => {
    await store().lease([instance('shop/1')], 60_000);
    await store().learn('shop', ['mail']);
    const { dataset } = await store().load();
    await store().close();
    const again = await place().open();
    expect((await again.load()).dataset).to.equal(dataset);
    const { instances, interests } = await again.loadRegistry();
    expect(instances.map(({ id }) => id)).to.deep.equal(['shop/1']);
    expect(interests.get('shop')).to.deep.equal(['mail']);
  });
});
