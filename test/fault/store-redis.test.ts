/**
 * Redis itself in trouble: killed, stopped, restarted without its data, emptied, failed over to a replica that missed
 * something, full of things that are not ours. What was acknowledged and kept is there; what was lost is noticed and named.
 */
import { expect } from 'chai';
import type { Redis } from 'ioredis';
import { type MirrorOptions, openMirror } from '../../control-plane/mirror.js';
import type { Mirror } from '../../control-plane/ports.js';
import { openStore } from '../../control-plane/store/open.js';
import { OutcomeUnknown } from '../../control-plane/store/request.js';
import type { Store } from '../../control-plane/store/store.js';
import { systemRandom } from '../../core/random.js';
import { plainClient, RedisServer } from '../support/redis.js';
import { policyPut, record, rejection, request } from '../support/stores.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/until.js';

function change(mirror: Mirror, ...operations: ReturnType<typeof policyPut>[]) {
  return mirror.write({ requestId: systemRandom.hex(8), author: 'ada', action: 'apply', operations });
}

/** What a test opened, closed after it in reverse. */
const open: (() => Promise<unknown> | unknown)[] = [];

async function server(options: Parameters<typeof RedisServer.start>[0] = {}): Promise<RedisServer> {
  const redis = await RedisServer.start(options);
  open.push(() => redis.close());
  return redis;
}

async function mirrorOf(
  url: string,
  options: Partial<MirrorOptions> = {},
): Promise<{ store: Store; mirror: Mirror }> {
  const store = await openStore(url, { mesh: 'default', replica: 'r1' });
  open.push(() => store.close());
  const mirror = await openMirror(store, { replica: 'r1', ...options });
  open.push(() => mirror.close());
  return { store, mirror };
}

function clientOf(redis: RedisServer): Redis {
  const client = plainClient(redis.url);
  open.push(() => client.disconnect());
  return client;
}

describe('Redis in trouble', function () {
  this.timeout(60_000);
  afterEach(async () => {
    for (const close of open.splice(0).reverse()) await close();
  });

  it('killed in a storm of writes: all that was acknowledged as fsync is there', async () => {
    const redis = await server({ fsync: 'always' });
    for (let round = 0; round < 3; round += 1) {
      const store = await openStore(redis.url, { mesh: 'default', replica: 'r1' });
      const { dataset, head } = await store.load();
      const seen = { dataset, revision: head };
      const acknowledged = new Map<string, number>();
      let stop = false;
      const writers = Array.from({ length: 16 }, async (_, writer) => {
        for (let i = 0; !stop; i += 1) {
          const name = `p${round}-${writer}-${i % 3}`;
          try {
            const result = await store.write(await request(store, [policyPut(name, i + 1)], { seen }));
            expect(result.durability).to.equal('fsync');
            acknowledged.set(name, result.outcomes[0]?.revision ?? 0);
          } catch {
            stop = true;
          }
        }
      });
      await until(() => acknowledged.size >= 30, { what: 'a storm' });
      await redis.kill();
      await Promise.all(writers);
      await store.close();
      await redis.restart();
      const again = await openStore(redis.url, { mesh: 'default', replica: 'r1' });
      const snapshot = await again.load();
      expect(snapshot.dataset).to.equal(dataset);
      const stored = new Map(snapshot.documents.map(({ name, revision }) => [name, revision]));
      for (const [name, revision] of acknowledged) expect(stored.get(name), name).to.be.at.least(revision);
      await again.close();
    }
  });

  it('stopped with SIGSTOP: health goes down in time, writes are refused in time, reads go on; then all recovers', async () => {
    const redis = await server();
    const { mirror } = await mirrorOf(redis.url);
    await change(mirror, policyPut('a', 1));
    redis.freeze();
    try {
      await until(() => !mirror.health.up, { what: 'health to go down', timeoutMs: 5000 });
      expect(await rejection(change(mirror, policyPut('a', 2)))).to.include({ code: 'store_unavailable' });
      expect(mirror.policies()).to.have.length(1);
    } finally {
      redis.thaw();
    }
    await until(() => mirror.health.up, { what: 'health to return' });
    await change(mirror, policyPut('a', 3));
    expect(mirror.policy('a')?.policy.spec.timeout).to.equal(3);
  });

  it('away at the start: the mirror is there at once, empty, and loads when Redis comes', async () => {
    const redis = await server({ fsync: 'always' });
    await change((await mirrorOf(redis.url)).mirror, policyPut('a', 1));
    await redis.kill();
    const { mirror } = await mirrorOf(redis.url);
    expect(mirror.dataset).to.equal('');
    expect(mirror.health.up).to.equal(false);
    expect(mirror.health.reason).to.contain(`127.0.0.1:${redis.port}`);
    const unsent = await rejection(change(mirror, policyPut('a', 2)));
    expect(unsent).to.include({ code: 'store_unavailable' }).and.not.to.be.instanceOf(OutcomeUnknown);
    let resets = 0;
    mirror.on('reset', () => {
      resets += 1;
    });
    await redis.restart();
    await until(() => mirror.policy('a'), { what: 'the policy' });
    expect(mirror.health).to.deep.equal({ up: true, reason: '' });
    expect(resets).to.equal(1);
  });

  it('restarted with its data: the watch goes on, without a reset', async () => {
    const redis = await server({ fsync: 'always' });
    const { mirror } = await mirrorOf(redis.url);
    await change(mirror, policyPut('a', 1));
    let resets = 0;
    mirror.on('reset', () => {
      resets += 1;
    });
    await redis.kill();
    await until(() => !mirror.health.up, { what: 'health to go down' });
    await redis.restart();
    const { mirror: other } = await mirrorOf(redis.url);
    await change(other, policyPut('a', 2));
    await until(() => mirror.policy('a')?.revision === 2, { what: 'the new revision' });
    expect(resets).to.equal(0);
    expect(mirror.faults).to.deep.equal([]);
  });

  it('restarted without its data: another dataset, and what is lost is named until it is applied again', async () => {
    const redis = await server();
    const { mirror } = await mirrorOf(redis.url);
    await change(mirror, policyPut('a', 1), policyPut('b', 1));
    const { dataset } = mirror;
    await redis.kill();
    await redis.restart();
    await until(() => mirror.dataset !== dataset, { what: 'another dataset' });
    expect(mirror.policies()).to.deep.equal([]);
    expect(mirror.faults).to.deep.equal([
      {
        path: 'a',
        message:
          'revision 1, which replica r1 has seen, is lost in the store; apply it again if it is still wanted',
      },
      {
        path: 'b',
        message:
          'revision 2, which replica r1 has seen, is lost in the store; apply it again if it is still wanted',
      },
    ]);
    await change(mirror, policyPut('a', 1));
    expect(mirror.faults.map(({ path }) => path)).to.deep.equal(['b']);
  });

  it('emptied under our connections: noticed although nothing breaks and nobody writes', async () => {
    const redis = await server();
    const { mirror } = await mirrorOf(redis.url);
    await change(mirror, policyPut('a', 1));
    const { dataset } = mirror;
    await clientOf(redis).flushall();
    await until(() => mirror.dataset !== dataset, { what: 'another dataset' });
    expect(mirror.policies()).to.deep.equal([]);
    const result = await change(mirror, policyPut('a', 2));
    expect(result.outcomes).to.deep.equal([{ name: 'a', revision: 1, changed: true }]);
  });

  it('without its log: loaded anew, and the numbers go on', async () => {
    const redis = await server();
    const { mirror } = await mirrorOf(redis.url);
    await change(mirror, policyPut('a', 1));
    await change(mirror, policyPut('a', 2));
    await clientOf(redis).del('{sg:default}:log');
    const result = await change(mirror, policyPut('a', 3));
    expect(result.head).to.equal(3);
    expect(mirror.policy('a')?.revision).to.equal(3);
    expect(await mirror.history('a', { limit: 9 })).to.have.length(3);
  });

  it('without its log while we were away: what was missed is loaded', async () => {
    const redis = await server();
    const proxy = await TcpProxy.start(redis.port);
    open.push(() => proxy.close());
    const { mirror } = await mirrorOf(`redis://127.0.0.1:${proxy.port}`);
    await change(mirror, policyPut('a', 1));
    proxy.refuse();
    await until(() => !mirror.health.up, { what: 'health to go down' });
    const { mirror: other } = await mirrorOf(redis.url);
    await change(other, policyPut('a', 2));
    await clientOf(redis).del('{sg:default}:log');
    proxy.allow();
    await until(() => mirror.policy('a')?.revision === 2, { what: 'revision 2' });
  });

  it('failed over to a replica that missed a write and was then written to: the numbers meet, the dataset changes', async () => {
    const redis = await server();
    const proxy = await TcpProxy.start(redis.port);
    open.push(() => proxy.close());
    const { mirror } = await mirrorOf(`redis://127.0.0.1:${proxy.port}`);
    await change(mirror, policyPut('a', 1));
    const client = clientOf(redis);
    const older = await dump(client);
    await change(mirror, policyPut('a', 2));
    const { dataset } = mirror;
    expect(mirror.revision).to.equal(2);
    // Out of this replica's sight, Redis goes back to what it was, and somebody else writes a revision 2.
    proxy.refuse();
    await until(() => !mirror.health.up, { what: 'health to go down' });
    await client.flushall();
    for (const [key, value] of older) await client.restore(key, 0, value);
    const other = await openStore(redis.url, { mesh: 'default', replica: 'r2' });
    open.push(() => other.close());
    await other.write(await request(other, [policyPut('b', 9)]));
    const watched = await record(other);
    proxy.allow();
    await until(() => mirror.dataset !== dataset, { what: 'another dataset' });
    expect(mirror.revision).to.equal(2);
    expect(mirror.policies().map(({ policy, revision }) => `${policy.name}@${revision}`)).to.deep.equal([
      'a@1',
      'b@2',
    ]);
    expect(mirror.faults.map(({ path }) => path)).to.deep.equal(['a']);
    await until(() => watched.resets.length === 1, { what: 'the other replica to be told' });
  });
});

async function dump(client: Redis): Promise<[key: string, value: Buffer][]> {
  const keys = (await client.keys('{sg:default}:*')).filter((key) => !key.includes(':request:'));
  return Promise.all(keys.map(async (key): Promise<[string, Buffer]> => [key, await client.dumpBuffer(key)]));
}
