/**
 * A Redis Cluster of three masters: circuits of the mesh are spread over all of them, slots move while we write, and masters die. One
 * cluster for all tests, each with a mesh of its own.
 */
import { expect } from 'chai';
import { openMirror } from '../../control-plane/mirror.js';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import { systemRandom } from '../../core/random.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { policyPut, put, record, rejection, write } from '../support/stores.js';
import { until } from '../support/until.js';

const CIRCUITS = 64;

describe('a Redis Cluster of three masters', function () {
  this.timeout(60_000);
  let cluster: RedisCluster;
  let mesh: string;
  const opened: (() => Promise<unknown>)[] = [];

  before(async () => {
    cluster = await RedisCluster.start();
  });
  after(() => cluster.close());
  beforeEach(() => {
    mesh = `m${systemRandom.hex(4)}`;
  });
  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close();
    await cluster.revive();
  });

  async function open(replica = 'r1'): Promise<Store> {
    const store = await openStore(cluster.url, { mesh, replica });
    opened.push(() => store.close());
    return store;
  }

  const accounts = (text: string) =>
    new Map(Array.from({ length: CIRCUITS }, (_, i) => [`callee-${i}|p`, `${text} ${i}`]));
  const exchange = (store: Store, replica: string, text: string) =>
    store.exchangeHealth({ replica, ttlMs: 30_000, accounts: accounts(text) });

  /** The node of the documents, and one that has only shards of this mesh. */
  async function nodes(): Promise<{ main: number; other: number }> {
    const main = await cluster.masterOf(await cluster.slotOf(`{sg:${mesh}}:meta`));
    return { main, other: (main + 1) % 3 };
  }

  it('has circuits of a mesh on each of them, and all in one exchange', async () => {
    const [one, two] = [await open('r1'), await open('r2')];
    await exchange(one, 'r1', 'one');
    const { accounts: seen } = await exchange(two, 'r2', 'two');
    expect(seen).to.have.length(2 * CIRCUITS);
    for (const count of await cluster.keysPerNode(`{sg:${mesh}:*}:health`)) expect(count).to.be.above(5);
  });

  it('moves the slot of the documents while they are written: nothing is lost or refused', async () => {
    const store = await open();
    const seen = await record(store);
    const { main, other } = await nodes();
    const slot = await cluster.slotOf(`{sg:${mesh}}:meta`);
    let moved = false;
    const move = cluster.move(slot, other).then(() => {
      moved = true;
    });
    const written: number[] = [];
    while (!moved || written.length < 20) {
      const { head: revision } = await write(store, put('p', written.length));
      written.push(revision);
    }
    await move;
    expect(await cluster.masterOf(slot))
      .to.equal(other)
      .and.not.to.equal(main);
    const { head: revision } = await write(store, put('p', 'last'));
    expect(revision).to.equal(written.length + 1);
    await until(() => seen.revisions.includes(revision), { what: 'the watch to see the last one' });
    expect(seen.revisions).to.deep.equal([...written, revision]);
  });

  it('moves the slot of a shard while accounts are exchanged', async () => {
    const store = await open();
    await exchange(store, 'r1', 'before');
    const client = cluster.client();
    const [n] = (await client.call('hkeys', `{sg:${mesh}}:shards`)) as string[];
    client.disconnect();
    const slot = await cluster.slotOf(`{sg:${mesh}:${n}}:health`);
    const to = ((await cluster.masterOf(slot)) + 1) % 3;
    await Promise.all([cluster.move(slot, to), exchange(store, 'r1', 'meanwhile')]);
    const { accounts: seen } = await exchange(store, 'r1', 'after');
    expect(seen).to.have.length(CIRCUITS);
    expect(seen.every(({ body }) => body.startsWith('after'))).to.equal(true);
  });

  it('whose master of the documents dies: writes say so, reads go on, all is there when it is back', async () => {
    const store = await open();
    const mirror = await openMirror(store, { replica: 'r1' });
    opened.push(() => mirror.close());
    await write(store, policyPut('inventory', 100));
    await until(() => mirror.policy('inventory'), { what: 'the policy' });
    const node = cluster.nodes[(await nodes()).main];
    await node?.kill();
    await until(() => !mirror.health.up, { what: 'the mirror to notice', timeoutMs: 20_000 });
    expect(await rejection(write(store, policyPut('inventory', 200)))).to.include({
      code: 'store_unavailable',
    });
    expect(mirror.policy('inventory')?.policy.spec.timeout).to.equal(100);
    await node?.restart();
    await until(() => mirror.health.up, { what: 'the mirror to be well', timeoutMs: 20_000 });
    const { head: revision } = await until(
      () => write(store, policyPut('inventory', 300)).catch(() => undefined),
      {
        what: 'a write',
        timeoutMs: 20_000,
      },
    );
    await until(() => mirror.policy('inventory')?.revision === revision, { what: 'the last write' });
  });

  it('whose master of some shards dies: documents are written, circuits are frozen, and all goes on when it is back', async () => {
    const store = await open();
    await exchange(store, 'r1', 'before');
    const node = cluster.nodes[(await nodes()).other];
    await node?.kill();
    expect(await rejection(exchange(store, 'r1', 'meanwhile'))).to.include({ code: 'store_unavailable' });
    const { head: revision } = await until(() => write(store, put('p', 1)).catch(() => undefined), {
      what: 'a write to another master',
      timeoutMs: 20_000,
    });
    expect(revision).to.be.above(0);
    await node?.restart();
    const { accounts: seen } = await until(() => exchange(store, 'r1', 'after').catch(() => undefined), {
      what: 'an exchange',
      timeoutMs: 20_000,
    });
    expect(seen).to.have.length(CIRCUITS);
  });
});
