/**
 * A bad wire between us and Redis: answers that are cut, a peer that says nothing, connections that break. Nothing is written
 * twice, nothing waits without an end, and reads go on from memory.
 */
import { expect } from 'chai';
import { openMirror } from '../../control-plane/mirror.js';
import type { Mirror } from '../../control-plane/ports.js';
import { openStore } from '../../control-plane/store/open.js';
import { OutcomeUnknown } from '../../control-plane/store/request.js';
import type { Store } from '../../control-plane/store/store.js';
import { systemRandom } from '../../core/random.js';
import { plainClient, RedisServer } from '../support/redis.js';
import { policyPut, put, record, rejection, request, write } from '../support/stores.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/until.js';

function change(mirror: Mirror, requestId: string, ...operations: ReturnType<typeof policyPut>[]) {
  return mirror.write({ requestId, author: 'ada', action: 'apply', operations });
}

describe('a bad wire to Redis', function () {
  this.timeout(30_000);
  let redis: RedisServer;
  let proxy: TcpProxy;
  let mesh: string;
  let store: Store;
  let mirror: Mirror;

  before(async () => {
    redis = await RedisServer.start();
  });
  after(() => redis.close());

  beforeEach(async () => {
    proxy = await TcpProxy.start(redis.port);
    const url = `redis://127.0.0.1:${proxy.port}`;
    mesh = `m${systemRandom.hex(4)}`;
    store = await openStore(url, { mesh, replica: 'r' });
    mirror = await openMirror(store, { replica: 'r' });
    expect(mirror.health.up).to.equal(true);
  });
  afterEach(async () => {
    await mirror.close();
    await store.close();
    await proxy.close();
  });

  it('that cuts an answer: the store says it does not know, and a repetition is no second write', async () => {
    // From now on Redis knows the script: the next request is the write itself.
    await write(store, put('known', 1));
    const one = await request(store, [put('a', 1, null), put('b', 1, null)]);
    proxy.cutAnswerTo(one.requestId);
    const lost = await rejection(store.write(one));
    expect(lost).to.be.instanceOf(OutcomeUnknown).and.to.include({ code: 'store_unavailable' });
    expect(proxy.cuts).to.equal(1);
    expect((await store.load()).head).to.equal(3);
    expect((await store.write(one)).outcomes).to.deep.equal([
      { name: 'a', revision: 2, changed: true },
      { name: 'b', revision: 3, changed: true },
    ]);
    expect((await store.load()).head).to.equal(3);
    expect(await store.audit({ limit: 9 })).to.have.length(2);
  });

  it('that cuts an answer: the mirror repeats the write by itself, and it is there once', async () => {
    await change(mirror, 'the-first', policyPut('known', 5));
    const seen = await record(store);
    proxy.cutAnswerTo('the-request', 2);
    const result = await change(mirror, 'the-request', policyPut('a', 5));
    expect(proxy.cuts).to.equal(2);
    expect(result.outcomes).to.deep.equal([{ name: 'a', revision: 2, changed: true }]);
    expect(mirror.policy('a')?.revision).to.equal(2);
    expect(await store.history('a', { limit: 9 })).to.have.length(1);
    await until(() => seen.entries.length === 1, { what: 'the entry' });
    expect(seen.revisions).to.deep.equal([2]);
  });

  it('that stalls: health goes down, reads go on, a write ends in time, and all recovers', async () => {
    await change(mirror, 'r1', policyPut('a', 5));
    proxy.stall();
    const refused = rejection(change(mirror, 'r2', policyPut('a', 6)));
    await until(() => !mirror.health.up, { what: 'health to go down', timeoutMs: 5000 });
    expect(mirror.health.reason).to.match(/redis:\/\/127\.0\.0\.1:\d+: does not answer/);
    expect(mirror.policy('a')?.revision).to.equal(1);
    expect(await refused).to.include({ code: 'store_unavailable' });
    expect(await rejection(store.audit({ limit: 1 }))).to.include({ code: 'store_unavailable' });
    proxy.resume();
    await until(() => mirror.health.up, { what: 'health to return' });
    // The refused write may have reached Redis: it is there once or not at all.
    const { head } = await store.load();
    expect(head).to.be.oneOf([1, 2]);
    await change(mirror, 'r2', policyPut('a', 6));
    expect(mirror.policy('a')?.revision).to.equal(2);
  });

  it('that breaks: the watch resumes where it was, without a gap or a repetition', async () => {
    const seen = await record(store);
    await until(() => seen.up, { what: 'the watch' });
    const direct = await openStore(redis.url, { mesh: mesh, replica: 'other' });
    try {
      await write(direct, put('a', 0));
      for (let i = 1; i <= 5; i += 1) {
        proxy.refuse();
        await until(() => seen.up === false, { what: 'health to go down' });
        await write(direct, put('a', i), put('b', i));
        proxy.allow();
        await until(() => seen.up, { what: 'health to return' });
      }
      await until(() => seen.entries.length >= 11, { what: 'all entries' });
      expect(seen.revisions).to.deep.equal(Array.from({ length: 11 }, (_, i) => i + 1));
      expect(seen.resets).to.deep.equal([]);
    } finally {
      await direct.close();
    }
  });

  it('that breaks while nothing happens: the mirror compares and is right again', async () => {
    await change(mirror, 'r1', policyPut('a', 5));
    const client = plainClient(redis.url);
    try {
      proxy.refuse();
      await until(() => !mirror.health.up, { what: 'health to go down' });
      // Somebody edits the documents behind the log's back.
      await client.hset(`{sg:${mesh}}:documents`, 'a', `1 ${policyPut('a', 9).document}`);
      proxy.allow();
      await until(() => mirror.policy('a')?.policy.spec.timeout === 9, {
        what: 'the mirror to be set right',
      });
    } finally {
      client.disconnect();
    }
  });
});
