/**
 * Other people's keys in our name space, and our own keys damaged by hand: each is named, none is deleted or overwritten, what
 * is whole goes on working, and the process lives.
 */
import { expect } from 'chai';
import type { Redis } from 'ioredis';
import { openMirror } from '../../control-plane/mirror.js';
import type { Mirror } from '../../control-plane/ports.js';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import { MeshError } from '../../core/errors.js';
import { contractRedis, dropMesh, plainClient } from '../support/redis.js';
import { instance, policyPut, put, rejection, write } from '../support/stores.js';
import { until } from '../support/until.js';

describe('foreign keys in our name space', () => {
  const mesh = 'foreign';
  const prefix = `{sg:${mesh}}:`;
  let url: string;
  let client: Redis;
  let store: Store;
  let mirrors: Mirror[];

  beforeEach(async () => {
    url = await contractRedis();
    client = plainClient(url);
    await until(() => client.ping(), { what: 'Redis' });
    await dropMesh(url, mesh);
    store = await openStore(url, { mesh, replica: 'r1' });
    mirrors = [];
  });
  afterEach(async () => {
    for (const mirror of mirrors) await mirror.close();
    await store.close();
    await dropMesh(url, mesh);
    client.disconnect();
  });

  async function mirrorOf(): Promise<Mirror> {
    const mirror = await openMirror(store, { replica: 'r1' });
    mirrors.push(mirror);
    return mirror;
  }

  it('are named and ignored', async () => {
    await client.set(`${prefix}mine`, 'x');
    await client.set(`${prefix}policy:inventory`, '{}');
    await write(store, put('a', 1));
    const { documents, faults } = await store.load();
    expect(documents).to.have.length(1);
    expect([...faults].sort((a, b) => (a.path < b.path ? -1 : 1))).to.deep.equal(
      ['mine', 'policy:inventory'].map((key) => ({
        path: `${prefix}${key}`,
        message: 'is not a key of ours; it is ignored, move it out of this name space',
      })),
    );
    expect(await client.get(`${prefix}mine`)).to.equal('x');
  });

  it('under the names of documents: skipped, named, and replaced only by a write that expects nothing', async () => {
    await write(store, put('good', 1));
    const damaged = {
      list: '3 [1,2]',
      nodash: '{"value":1}',
      zero: '0 {"value":1}',
      huge: '99999999999999999999 {"value":1}',
      minus: '-1 {"value":1}',
      broken: '1 {"value"',
      empty: '',
    };
    await client.hset(`${prefix}documents`, damaged);
    const { documents, faults } = await store.load();
    expect(documents.map(({ name }) => name)).to.deep.equal(['good']);
    expect(faults.map(({ path }) => path).sort()).to.deep.equal(
      Object.keys(damaged)
        .map((name) => `${prefix}documents ${name}`)
        .sort(),
    );
    const error = await rejection(write(store, put('nodash', 2, null)));
    expect(error).to.be.instanceOf(MeshError).with.property('code', 'revision_conflict');
    expect(await client.hget(`${prefix}documents`, 'nodash')).to.equal('{"value":1}');
    await write(store, put('nodash', 2));
    expect((await store.load()).documents.map(({ name }) => name).sort()).to.deep.equal(['good', 'nodash']);
  });

  it('that are JSON but no policy: the mirror names them and keeps the last good revision', async () => {
    const mirror = await mirrorOf();
    await mirror.write({ requestId: 'r', author: 'a', action: 'put', operations: [policyPut('a', 5)] });
    await write(store, put('a', 1), put('b', 1));
    await until(() => mirror.revision === 3, { what: 'revision 3' });
    expect(mirror.policy('a')?.revision).to.equal(1);
    expect(mirror.policy('b')).to.equal(undefined);
    const messages = Object.fromEntries(mirror.faults.map(({ path, message }) => [path, message]));
    expect(messages.a).to.match(
      /^revision 2 in the store is no valid policy \(.+\); revision 1 stays in force; put it anew/,
    );
    expect(messages.b).to.match(/^revision 3 .*; nothing of it is in force; /);
    await write(store, policyPut('a', 6));
    await until(() => mirror.policy('a')?.revision === 4, { what: 'the repair' });
    expect(mirror.faults.map(({ path }) => path)).to.deep.equal(['b']);
  });

  for (const [key, type] of [
    ['meta', 'hash'],
    ['documents', 'hash'],
    ['log', 'stream'],
    ['audit', 'stream'],
    ['deleted', 'zset'],
    ['history:b', 'stream'],
  ] as const)
    it(`where ${key} belongs: no part of a write happens, and the key is named`, async () => {
      await write(store, put('a', 1));
      const before = await client.dumpBuffer(`${prefix}documents`);
      const was =
        (await client.exists(prefix + key)) === 1 ? await client.dumpBuffer(prefix + key) : undefined;
      await client.set(prefix + key, 'not yours');
      const error = await rejection(
        write(store, put('c', 1), put('b', 1)).catch(async (thrown) => {
          // Where even loading fails, the write is tried without it.
          if (key !== 'meta' && key !== 'documents' && key !== 'log') throw thrown;
          throw await rejection(
            store.write({
              ...{
                requestId: 'x',
                author: 'a',
                action: 'put',
                at: 1,
                operations: [put('c', 1), put('b', 1)],
              },
              seen: { dataset: '', revision: 0 },
            }),
          );
        }),
      );
      expect(error).to.include({ code: 'store_corrupt' });
      expect(String(error)).to.contain(`${prefix}${key} is a string where a ${type} belongs`);
      expect(await client.get(prefix + key)).to.equal('not yours');
      if (key !== 'documents') expect(await client.dumpBuffer(`${prefix}documents`)).to.deep.equal(before);
      await client.del(prefix + key);
      if (was) await client.restore(prefix + key, 0, was);
      expect((await write(store, put('c', 1), put('b', 1))).head).to.equal(3);
    });

  it('in a history, beyond every revision: no part of a write happens, and the key is named', async () => {
    await write(store, put('a', 1));
    await client.xadd(`${prefix}history:b`, '99-0', 'hello', 'world');
    const error = await rejection(write(store, put('c', 1), put('b', 1)));
    expect(error).to.include({ code: 'store_corrupt' });
    expect(String(error)).to.contain(`${prefix}history:b has an entry beyond the last revision`);
    expect((await store.load()).documents.map(({ name }) => name)).to.deep.equal(['a']);
  });

  it('where a counter belongs: named', async () => {
    await write(store, put('a', 1));
    await client.hset(`${prefix}meta`, 'head', 'many');
    const error = await rejection(store.load());
    expect(error).to.include({ code: 'store_corrupt' });
    expect(String(error)).to.contain(`${prefix}meta has a head that is no number`);
  });

  it('in the log: the mirror loads anew, numbers go on above them, and no write is lost', async () => {
    const mirror = await mirrorOf();
    await mirror.write({ requestId: 'r1', author: 'a', action: 'put', operations: [policyPut('a', 1)] });
    await client.xadd(`${prefix}log`, '5-3', 'hello', 'world');
    const result = await mirror.write({
      requestId: 'r2',
      author: 'a',
      action: 'put',
      operations: [policyPut('a', 2)],
    });
    expect(result.head).to.equal(6);
    await until(() => mirror.policy('a')?.revision === 6, { what: 'revision 6' });
    expect(mirror.health.up).to.equal(true);
    await mirror.write({ requestId: 'r3', author: 'a', action: 'put', operations: [policyPut('a', 3)] });
    expect(mirror.policy('a')?.revision).to.equal(7);
  });

  it('in the registry: instances that are none are named and skipped, leases go on', async () => {
    await store.lease([instance('shop/1')], 60_000);
    await client.hset(`${prefix}instances`, {
      'evil/1': 'x',
      'evil/2': '{"id":"evil/2"}',
      'no/lease': JSON.stringify(instance('no/lease')),
    });
    await client.hset(`${prefix}interests`, { shop: '{"a":1}', other: '[1]' });
    await client.zadd(`${prefix}leases`, 5, 'gone/1');
    const { instances, interests, faults } = await store.loadRegistry();
    expect(instances.map(({ id }) => id)).to.deep.equal(['shop/1']);
    expect(interests.size).to.equal(0);
    expect(faults.map(({ path }) => path.slice(prefix.length)).sort()).to.deep.equal([
      'instances evil/1',
      'instances evil/2',
      'instances no/lease',
      'interests other',
      'interests shop',
    ]);
    expect(await store.expire()).to.equal(1);
    expect(await store.lease([instance('evil/1')], 60_000)).to.deep.equal(['held']);
    await store.release('evil/2', 1);
    expect((await store.loadRegistry()).instances.map(({ id }) => id).sort()).to.deep.equal([
      'evil/1',
      'shop/1',
    ]);
  });

  it('where the documents belong, under a mirror: what is in force stays in force, and the mirror says why', async () => {
    const mirror = await mirrorOf();
    await mirror.write({ requestId: 'r', author: 'a', action: 'put', operations: [policyPut('a', 5)] });
    await client.rename(`${prefix}documents`, `${prefix}kept`);
    await client.set(`${prefix}documents`, 'x');
    await client.hset(`${prefix}meta`, 'dataset', 'forced');
    await until(() => !mirror.health.up, { what: 'health to go down' });
    expect(mirror.health.reason).to.contain(`${prefix}documents is a string where a hash belongs`);
    expect(mirror.policy('a')?.revision).to.equal(1);
    await client.rename(`${prefix}kept`, `${prefix}documents`);
    await until(() => mirror.health.up, { what: 'health to return' });
    expect(mirror.dataset).to.equal('forced');
    expect(mirror.policy('a')?.revision).to.equal(1);
  });
});
