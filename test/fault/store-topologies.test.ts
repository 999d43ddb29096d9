/**
 * The other shapes of Redis: with a replica, behind Sentinel through a failover, as a Cluster, behind a password, and under a
 * user who may do little. Small ones of each, real servers.
 */
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { openMirror } from '../../control-plane/mirror.js';
import type { Mirror } from '../../control-plane/ports.js';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import { systemRandom } from '../../core/random.js';
import { freePort, plainClient, RedisServer } from '../support/redis.js';
import { instance, policyPut, put, record, rejection, write } from '../support/stores.js';
import { startStorm } from '../support/storm.js';
import { until } from '../support/until.js';

describe('Redis in other shapes', function () {
  this.timeout(60_000);
  const opened: (() => Promise<unknown> | unknown)[] = [];
  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close();
  });

  async function server(...args: string[]): Promise<RedisServer> {
    const redis = await RedisServer.start({ args });
    opened.push(() => redis.close());
    return redis;
  }

  async function storeAt(url: string): Promise<Store> {
    const store = await openStore(url, { mesh: 'default', replica: 'r 1' });
    opened.push(() => store.close());
    return store;
  }

  async function mirrorAt(url: string): Promise<Mirror> {
    const mirror = await openMirror(await storeAt(url), { replica: 'r1' });
    opened.push(() => mirror.close());
    return mirror;
  }

  async function replicaOf(master: RedisServer): Promise<RedisServer> {
    const replica = await server(
      '--replicaof',
      '127.0.0.1',
      String(master.port),
      '--repl-diskless-sync-delay',
      '0',
    );
    const client = plainClient(master.url);
    await until(() => client.set('probe', 1).then(() => client.wait(1, 100)), {
      what: 'the replica to follow',
      timeoutMs: 20_000,
    });
    client.disconnect();
    return replica;
  }

  it('with a replica a write is replicated, and says so only while the replica keeps up', async () => {
    const master = await server('--repl-diskless-sync-delay', '0');
    const replica = await replicaOf(master);
    const store = await storeAt(master.url);
    expect((await write(store, put('a', 1))).durability).to.equal('replicated');
    const client = plainClient(replica.url);
    opened.push(() => client.disconnect());
    expect(await client.hget('{sg:default}:documents', 'a')).to.equal('1 {"value":1}');
    replica.freeze();
    try {
      expect((await write(store, put('a', 2))).durability).to.equal('memory');
    } finally {
      replica.thaw();
    }
  });

  it('behind Sentinel a failover loses nothing that was replicated, and writes go on', async () => {
    const master = await server('--repl-diskless-sync-delay', '0');
    await replicaOf(master);
    const sentinel = await sentinelOf(master);
    const mirror = await mirrorAt(`redis-sentinel://127.0.0.1:${sentinel.port}/shop`);
    const acknowledged: string[] = [];
    for (let i = 0; i < 20; i += 1) {
      const name = `p${i}`;
      const result = await mirror.write({
        requestId: name,
        author: 'a',
        action: 'put',
        operations: [policyPut(name, 1)],
      });
      expect(result.durability, name).to.equal('replicated');
      acknowledged.push(name);
    }
    const { dataset } = mirror;
    await master.kill();
    await until(() => !mirror.health.up, { what: 'health to go down' });
    await until(() => mirror.health.up, { what: 'the failover', timeoutMs: 40_000 });
    const result = await mirror.write({
      requestId: systemRandom.hex(8),
      author: 'a',
      action: 'put',
      operations: [policyPut('after', 1)],
    });
    expect(result.head).to.equal(21);
    expect(mirror.dataset).to.equal(dataset);
    expect(
      mirror
        .policies()
        .map(({ policy }) => policy.name)
        .sort(),
    ).to.deep.equal([...acknowledged, 'after'].sort());
  });

  async function sentinelOf(master: RedisServer): Promise<RedisServer> {
    const redis = await RedisServer.start({
      sentinel: [
        `sentinel monitor shop 127.0.0.1 ${master.port} 1`,
        'sentinel down-after-milliseconds shop 500',
        'sentinel failover-timeout shop 5000',
      ],
    });
    opened.push(() => redis.close());
    const client = plainClient(redis.url);
    await until(async () => ((await client.call('sentinel', 'replicas', 'shop')) as unknown[]).length === 1, {
      what: 'Sentinel to know the replica',
      timeoutMs: 30_000,
    });
    client.disconnect();
    return redis;
  }

  it('as a Cluster: writes, watches, leases and everything else', async () => {
    const node = await server('--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1');
    const client = plainClient(node.url);
    await client.call('cluster', 'addslotsrange', '0', '16383');
    await until(async () => /cluster_state:ok/.test(await client.cluster('INFO')), { what: 'the cluster' });
    client.disconnect();
    const store = await storeAt(`redis-cluster://127.0.0.1:${node.port}`);
    const seen = await record(store);
    await write(store, put('a', 1), put('b', 1));
    await store.lease([instance('shop/1')], 60_000);
    await store.learn('shop', ['mail']);
    await store.publishSummaries([{ replica: 'r', body: 'x' }], 60_000);
    await until(() => seen.entries.length === 2 && seen.events.length === 2, { what: 'the events' });
    expect((await store.load()).documents).to.have.length(2);
    expect(await store.history('a', { limit: 9 })).to.have.length(1);
    expect(await store.audit({ limit: 9 })).to.have.length(1);
    expect(await store.summaries()).to.have.length(1);
    expect(await store.expire()).to.equal(0);
    await store.ping();
    await node.kill();
    await until(() => seen.up === false, { what: 'health to go down' });
    expect(await rejection(store.load())).to.include({ code: 'store_unavailable' });
    await node.restart();
    await until(() => seen.up || seen.resets.length > 0, { what: 'the watch to return' });
  });

  it('behind a password: in with the right one; with a wrong one the reason says so, and never the password', async () => {
    const redis = await server('--requirepass', 'open sesame');
    const mirror = await mirrorAt(`redis://:${encodeURIComponent('open sesame')}@127.0.0.1:${redis.port}`);
    expect(mirror.health).to.deep.equal({ up: true, reason: '' });
    const locked = await mirrorAt(`redis://:wrong-secret@127.0.0.1:${redis.port}`);
    expect(locked.health.up).to.equal(false);
    expect(locked.health.reason).to.match(/WRONGPASS/);
    expect(locked.health.reason).to.not.contain('wrong-secret');
    const without = await mirrorAt(redis.url);
    expect(without.health.reason).to.match(/NOAUTH/);
  });

  it('under a user who may use our keys alone, with neither CONFIG, INFO nor SCAN: all works, durability is not claimed', async () => {
    const redis = await RedisServer.start({ fsync: 'always' });
    opened.push(() => redis.close());
    const client = plainClient(redis.url);
    await client.call(
      ...(['acl', 'setuser', 'sg', 'on', '>pw', '~{sg:*', '&*', '+@all', '-@dangerous', '-scan'] as [
        string,
        ...string[],
      ]),
    );
    client.disconnect();
    const store = await storeAt(`redis://sg:pw@127.0.0.1:${redis.port}`);
    const seen = await record(store);
    expect((await write(store, put('a', 1))).durability).to.equal('memory');
    await until(() => seen.entries.length === 1, { what: 'the entry' });
    const accounts = new Map([['c|p', 'body']]);
    expect((await store.exchangeHealth({ replica: 'r', ttlMs: 60_000, accounts })).accounts).to.have.length(
      1,
    );
    expect(await store.putRecord({ circuit: 'c|p', expected: 0, seq: 1, body: 'x' }, 60_000)).to.equal(
      undefined,
    );
    await store.hintCircuits(['c|p']);
    await until(() => seen.events.length === 1, { what: 'the hint' });
    expect((await store.load()).faults).to.deep.equal([]);
  });

  it('over TLS: in where the certificate is trusted, else out with the reason', async () => {
    const pem = (name: string) => fileURLToPath(new URL(`../support/tls/${name}.pem`, import.meta.url));
    const port = await freePort();
    const files = [
      '--tls-cert-file',
      pem('cert'),
      '--tls-key-file',
      pem('key'),
      '--tls-ca-cert-file',
      pem('cert'),
    ];
    await server('--tls-port', String(port), '--tls-auth-clients', 'no', ...files);
    const url = `rediss://127.0.0.1:${port}`;
    const stranger = await mirrorAt(url);
    expect(stranger.health.reason).to.match(/self-signed certificate/);
    const storm = startStorm(url, 0, { NODE_EXTRA_CA_CERTS: pem('cert') });
    try {
      await storm.acknowledges(1);
    } finally {
      await storm.kill();
    }
  });

  it('another database of the server holds other data', async () => {
    const redis = await server();
    await write(await storeAt(redis.url), put('a', 1));
    expect((await (await storeAt(`${redis.url}/3`)).load()).documents).to.deep.equal([]);
  });
});
