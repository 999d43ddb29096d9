/**
 * Accounts and records of the mesh's circuits on Redis where it is not as we left it: keys that are other people's, fields
 * damaged by hand, data that is gone, answers that are lost, slots on several nodes. And what it all costs in commands.
 */
import { expect } from 'chai';
import type { Redis } from 'ioredis';
import { shardOf } from '../../control-plane/store/health-request.js';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import { plainClient, RedisServer } from '../support/redis.js';
import { record, rejection } from '../support/stores.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { until } from '../support/until.js';

const HOUR = 3_600_000;
const index = '{sg:default}:shards';
const key = (name: string, circuit: string) => `{sg:default:${shardOf(circuit)}}:${name}`;

/** One circuit for each shard, in the order of the shards. */
const spread = Array.from({ length: 64 }, (_, n) => {
  for (let i = 0; ; i += 1) if (shardOf(`callee-${i}|p`) === n) return `callee-${i}|p`;
});

describe('circuits on Redis', function () {
  this.timeout(30_000);
  const opened: (() => Promise<unknown> | unknown)[] = [];
  let redis: RedisServer;
  let client: Redis;
  let store: Store;
  let said: { path: string; fault: string }[];

  beforeEach(async () => {
    said = [];
    redis = await serverOf();
    client = clientOf(redis);
    store = await storeAt(redis.url);
  });
  afterEach(async () => {
    for (const close of opened.splice(0).reverse()) await close();
  });

  async function serverOf(...args: string[]): Promise<RedisServer> {
    const server = await RedisServer.start({ args });
    opened.push(() => server.close());
    return server;
  }

  function clientOf(server: RedisServer): Redis {
    const plain = plainClient(server.url);
    opened.push(() => plain.disconnect());
    return plain;
  }

  async function storeAt(url: string): Promise<Store> {
    const quiet = () => {};
    const error = (fields: object) => said.push(fields as (typeof said)[number]);
    const one = await openStore(url, {
      ...{ mesh: 'default', replica: 'r', logger: { debug: quiet, info: quiet, warn: quiet, error } },
    });
    opened.push(() => one.close());
    return one;
  }

  const exchange = (circuits: readonly string[] = [], replica = 'a', through = store) =>
    through.exchangeHealth({ replica, ttlMs: HOUR, accounts: new Map(circuits.map((id) => [id, 'body'])) });
  const put = (circuit: string, expected = 0, seq = expected + 1, through = store) =>
    through.putRecord({ circuit, expected, seq, body: `at ${seq}` }, HOUR);

  describe('with fields that are none of ours', () => {
    it('names and skips each once, leaves it where it is, and goes on with the rest', async () => {
      await exchange(['c|p']);
      await put('c|p');
      const far = Date.now() + 100 * HOUR;
      const soon = Date.now() + HOUR;
      const damaged = {
        health: {
          'r\nempty': '',
          'r\nc|no deadline': 'body',
          'r\nc|far': `${far} body`,
          'no replica': `${soon} body`,
          '\nc|nobody': `${soon} body`,
          'r\nelsewhere|p': `${soon} body`,
          'r\nc|large': `${soon} ${'x'.repeat(16_385)}`,
        },
        circuits: {
          'c|empty': '',
          'c|no deadline': '7 body',
          'c|far': `7 ${far} body`,
          'c|zero': `0 ${soon} body`,
          'c|huge': `99999999999999999999 ${soon} body`,
          'c|minus': `-1 ${soon} body`,
          'elsewhere|p': `1 ${soon} body`,
          'two\nlines': `1 ${soon} body`,
        },
      };
      for (const [name, fields] of Object.entries(damaged)) await client.hset(key(name, 'c|p'), fields);
      for (let i = 0; i < 3; i += 1) {
        const { accounts, records } = await exchange(['d|p']);
        expect(accounts.map(({ circuit }) => circuit).sort()).to.deep.equal(['c|p', 'd|p']);
        expect(records.map(({ circuit }) => circuit)).to.deep.equal(['c|p']);
      }
      const paths = Object.entries(damaged).flatMap(([name, fields]) =>
        Object.keys(fields).map((field) => `${key(name, 'c|p')} ${field}`),
      );
      expect(said.map(({ path }) => path).sort()).to.deep.equal(paths.sort());
      for (const { fault } of said)
        expect(fault).to.equal('is not as we write it; it is skipped, delete the field');
      expect(await client.hlen(key('circuits', 'c|p'))).to.equal(9);
      expect(await client.hlen(key('health', 'c|p'))).to.be.within(8, 9);
    });

    it('writes a record over one that cannot be read, which counts as nothing', async () => {
      await client.hset(key('circuits', 'c|p'), 'c|p', 'hello');
      expect(await put('c|p', 7)).to.deep.equal({ circuit: 'c|p', seq: 0, body: '' });
      expect(await client.hget(key('circuits', 'c|p'), 'c|p')).to.equal('hello');
      expect(await put('c|p')).to.equal(undefined);
      expect((await exchange()).records).to.deep.equal([{ circuit: 'c|p', seq: 1, body: 'at 1' }]);
    });

    it('in the index: a shard whose deadline is none is looked at, and all else is never read', async () => {
      await put('c|p');
      await client.hset(index, { [shardOf('c|p')]: 'soon', 64: '1', '-1': '1', mine: 'x' });
      expect((await exchange()).records).to.have.length(1);
      expect(said.map(({ path }) => path)).to.deep.equal([`${index} ${shardOf('c|p')}`]);
      expect(await client.hget(index, 'mine')).to.equal('x');
    });

    it('in the stream of hints: skipped, or cut to what can be an id', async () => {
      const seen = await record(store);
      await store.hintCircuits(['first']);
      const events = [
        '{"kind":"circuits","circuits":"c|p"}',
        '{"kind":"circuits","circuits":[1,null,"","a\\nb"]}',
        '{"kind":"circuits"}',
        '{"kind":"circuits","circuits":[1,"good|p",{}]}',
        JSON.stringify({ kind: 'circuits', circuits: Array.from({ length: 3000 }, (_, i) => `c${i}`) }),
      ];
      for (const [i, event] of events.entries()) {
        await client.hset('{sg:default}:meta', 'registry', i + 2);
        await client.xadd('{sg:default}:registry', `${i + 2}-0`, 'event', event);
      }
      await store.hintCircuits(['last']);
      await until(() => seen.events.length === 4, { what: 'the events' });
      const lists = seen.events.map((event) => (event.kind === 'circuits' ? event.circuits : []));
      expect([lists[0], lists[1], lists[2]?.length, lists[3]]).to.deep.equal([
        ['first'],
        ['good|p'],
        1000,
        ['last'],
      ]);
      expect(seen.resets).to.deep.equal([]);
    });
  });

  describe('with keys that are none of ours', () => {
    it('names those in our name space, also in the shards, and knows its own', async () => {
      await exchange(spread);
      await put('c|p');
      const foreign = [
        '{sg:default:7}:mine',
        '{sg:default:64}:health',
        '{sg:default:07}:health',
        '{sg:default}:health',
      ];
      for (const name of foreign) await client.set(name, 'x');
      await client.set('{sg:default2}:mine', 'x');
      await client.set('{sg:default-2:1}:mine', 'x');
      const { faults } = await store.load();
      expect(faults.map(({ path }) => path).sort()).to.deep.equal(foreign.sort());
    });

    it('in the place of a shard: named, nothing is overwritten, and the other shards go on', async () => {
      await client.set(key('health', 'c|p'), 'not yours');
      const { accounts } = await exchange(['c|p', 'd|p']);
      expect(accounts.map(({ circuit }) => circuit)).to.deep.equal(['d|p']);
      expect(said).to.have.length(1);
      expect(said[0]?.fault).to.contain(`${key('health', 'c|p')} is a string where a hash belongs`);
      await client.set(key('circuits', 'd|p'), 'not yours');
      const error = await rejection(put('d|p'));
      expect(error).to.include({ code: 'store_corrupt' });
      expect(String(error)).to.contain(`${key('circuits', 'd|p')} is a string where a hash belongs`);
      expect(await client.get(key('circuits', 'd|p'))).to.equal('not yours');
    });

    it('in the place of the index: named, and every shard is looked at', async () => {
      const other = await storeAt(redis.url);
      await client.set(index, 'not yours');
      await put('c|p');
      await exchange(['d|p'], 'b', other);
      const { accounts, records } = await exchange(['e|p']);
      expect(accounts.map(({ circuit }) => circuit).sort()).to.deep.equal(['d|p', 'e|p']);
      expect(records).to.have.length(1);
      expect(said[0]?.fault).to.contain(`${index} is a string where a hash belongs`);
      expect(await client.get(index)).to.equal('not yours');
    });
  });

  it('whose data is gone answers what was written since, and a record has to be begun anew', async () => {
    await exchange(['c|p', 'd|p']);
    await put('c|p', 0, 9);
    await client.flushall();
    expect((await exchange(['d|p'])).accounts).to.have.length(1);
    expect((await exchange()).records).to.deep.equal([]);
    expect(await put('c|p', 9)).to.deep.equal({ circuit: 'c|p', seq: 0, body: '' });
    expect(await put('c|p', 0, 10)).to.equal(undefined);
  });

  it('goes by itself where nobody writes any more', async () => {
    await store.exchangeHealth({ replica: 'a', ttlMs: 30, accounts: new Map([['c|p', 'body']]) });
    await store.putRecord({ circuit: 'c|p', expected: 0, seq: 1, body: 'x' }, 30);
    await until(async () => (await client.exists(key('health', 'c|p'), key('circuits', 'c|p'))) === 0, {
      what: 'the keys to go',
    });
    expect(await client.pttl(index)).to.be.within(1, 5030);
  });

  it('whose scripts Redis has forgotten are sent again, each in the same exchange', async () => {
    await exchange(spread);
    await client.script('FLUSH');
    expect((await exchange(spread, 'b')).accounts).to.have.length(128);
    await client.script('FLUSH');
    expect(await put('c|p')).to.equal(undefined);
    expect((await exchange()).records).to.have.length(1);
  });

  it('that does not answer says so in time', async () => {
    await exchange(['c|p']);
    redis.freeze();
    try {
      for (const attempt of [exchange(['c|p']), put('c|p'), store.hintCircuits(['c|p'])].map(rejection))
        expect(await attempt).to.include({ code: 'store_unavailable' });
    } finally {
      redis.thaw();
    }
    await until(() => exchange(['c|p']).then(() => true), { what: 'the next exchange' });
  });

  it('whose answer to a write is lost has it all the same, and the repeat finds its own', async () => {
    const proxy = await TcpProxy.start(redis.port);
    opened.push(() => proxy.close());
    const through = await storeAt(`redis://127.0.0.1:${proxy.port}`);
    expect(await put('c|p', 0, 1, through)).to.equal(undefined);
    proxy.cutAnswerTo('at 2');
    expect(await rejection(put('c|p', 1, 2, through))).to.include({ code: 'store_unavailable' });
    expect((await exchange()).records).to.deep.equal([{ circuit: 'c|p', seq: 2, body: 'at 2' }]);
    expect(await put('c|p', 1, 2, through)).to.equal(undefined);
    proxy.cutAnswerTo('body');
    expect(await rejection(exchange(['c|p'], 'b', through))).to.include({ code: 'store_unavailable' });
    expect((await exchange(['c|p'], 'b', through)).accounts).to.have.length(1);
  });

  it('as a Cluster of two nodes: every shard is found on its own', async () => {
    const cluster = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'];
    const nodes = [await serverOf(...cluster), await serverOf(...cluster)];
    const [first, second] = nodes.map(clientOf);
    await first?.call('cluster', 'addslotsrange', '0', '8191');
    await second?.call('cluster', 'addslotsrange', '8192', '16383');
    await first?.call('cluster', 'meet', '127.0.0.1', String(nodes[1]?.port));
    for (const one of [first, second])
      await until(
        async () => /cluster_state:ok[\s\S]*cluster_known_nodes:2/.test((await one?.cluster('INFO')) ?? ''),
        {
          what: 'the cluster',
        },
      );
    const whole = await storeAt(`redis-cluster://127.0.0.1:${nodes[0]?.port}`);
    expect((await exchange(spread, 'a', whole)).accounts).to.have.length(64);
    for (const circuit of spread) expect(await put(circuit, 0, 1, whole)).to.equal(undefined);
    const other = await storeAt(`redis-cluster://127.0.0.1:${nodes[1]?.port}`);
    const answer = await exchange([], 'b', other);
    expect([answer.accounts.length, answer.records.length]).to.deep.equal([64, 64]);
    for (const one of [first, second]) expect(await one?.dbsize()).to.be.within(20, 110);
  });

  describe('costs commands', () => {
    /** Every command that Redis carries out meanwhile, those within scripts too; by name. */
    async function costOf(act: () => Promise<unknown>): Promise<ReadonlyMap<string, number>> {
      await client.config('RESETSTAT');
      await act();
      const stats = await client.info('commandstats');
      const counts = [...stats.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)].map(
        ([, name = '', calls]) => [name, Number(calls)] as const,
      );
      return new Map(counts.filter(([name]) => !/^(config|info|client|hello|ping)/.test(name)));
    }
    const sum = (cost: ReadonlyMap<string, number>) =>
      [...cost.values()].reduce((total, calls) => total + calls, 0);
    /** An exchange moves a deadline in the index only where it is another millisecond's: two commands that a fast machine spares. */
    const nextMillisecond = async () => {
      const now = async () => {
        const [seconds, micros] = await client.time();
        return Number(seconds) * 1000 + Math.floor(Number(micros) / 1000);
      };
      const then = await now();
      while ((await now()) === then);
    };
    const methods = (count: number) => Array.from({ length: count }, (_, i) => `inventory|p|${i}`);

    it('one for a mesh in which nothing happens', async () => {
      await exchange();
      const cost = await costOf(() => exchange());
      expect(cost.get('evalsha')).to.equal(1);
      expect(sum(cost)).to.be.at.most(4);
    });

    it('as many for 1, 100 and 1,000 circuits in one shard, and no more where all replicas have them', async () => {
      const costs: number[] = [];
      for (const count of [1, 100, 1000]) {
        await client.flushdb();
        for (const replica of ['a', 'b', 'c']) await exchange(methods(count), replica);
        await nextMillisecond();
        const cost = await costOf(() => exchange(methods(count)));
        expect(cost.get('evalsha')).to.equal(2);
        costs.push(sum(cost));
      }
      expect(new Set(costs).size, String(costs)).to.equal(1);
    });

    it('in proportion to the shards that hold anything: one script each, whoever wrote there', async () => {
      for (const count of [1, 4, 16, 64]) {
        await client.flushdb();
        const other = await storeAt(redis.url);
        await exchange(spread.slice(0, count), 'b', other);
        await exchange();
        for (const circuits of [spread.slice(0, count), []]) {
          const cost = await costOf(() => exchange(circuits));
          expect(cost.get('evalsha')).to.equal(1 + count);
          expect(sum(cost)).to.be.at.most(5 + 1 + 12 * count);
        }
      }
    });

    it('at most 65 scripts for a thousand callees', async () => {
      const circuits = Array.from({ length: 1000 }, (_, i) => `callee-${i}|p`);
      await exchange(circuits);
      const cost = await costOf(() => exchange(circuits));
      expect(cost.get('evalsha')).to.equal(65);
    });

    it('two scripts for a record, one for a hint', async () => {
      await put('c|p');
      expect((await costOf(() => put('c|p', 1))).get('evalsha')).to.equal(2);
      await store.hintCircuits(['c|p']);
      expect((await costOf(() => store.hintCircuits(['c|p']))).get('evalsha')).to.equal(1);
    });
  });
});
