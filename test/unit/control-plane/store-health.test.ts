/**
 * Circuits of the mesh in the level store over a database that is slow, fails or is damaged, how both stores place a circuit,
 * and how a hint comes out of the mirror.
 */
import { expect } from 'chai';
import { openMirror } from '../../../control-plane/mirror.js';
import { SHARDS, shardOf } from '../../../control-plane/store/health-request.js';
import { openLevelStore } from '../../../control-plane/store/level.js';
import {
  type Change,
  type Database,
  openMemoryDatabase,
} from '../../../control-plane/store/level-database.js';
import type { Store } from '../../../control-plane/store/store.js';
import { seededRandom } from '../../../core/random.js';
import { rejection } from '../../support/stores.js';
import { until } from '../../support/until.js';
import { VirtualClock } from '../../support/virtual-clock.js';

const HOUR = 3_600_000;

describe('the shard of a circuit', () => {
  it('is that of its callee alone, and the same for ever', () => {
    // FNV-1a of the empty text, of "a" and of "foobar", by their published values.
    expect(['', 'a', 'foobar'].map(shardOf)).to.deep.equal(
      [0x811c9dc5, 0xe40c292c, 0xbf9cf968].map((h) => h % 64),
    );
    for (const id of ['foobar|p', 'foobar|p|x.Y/Z', 'foobar|p@zone', 'foobar|p|a@b@c|d'])
      expect(shardOf(id)).to.equal(shardOf('foobar'));
  });

  it('spreads callees evenly', () => {
    const counts = new Array<number>(SHARDS).fill(0);
    for (let i = 0; i < 6400; i += 1) {
      const shard = shardOf(`service-${i}|default`);
      counts[shard] = (counts[shard] ?? 0) + 1;
    }
    expect(Math.min(...counts)).to.be.greaterThan(50);
    expect(Math.max(...counts)).to.be.lessThan(160);
  });
});

describe('circuits in the level store', () => {
  let clock: VirtualClock;
  let memory: Database;
  let batches: { changes: readonly Change[]; sync: boolean }[];
  /** What happens to a batch: by default it is done. */
  let fate: (apply: () => Promise<void>) => Promise<void>;
  let said: string[];
  let store: Store;

  beforeEach(async () => {
    clock = new VirtualClock();
    memory = await openMemoryDatabase();
    batches = [];
    fate = (apply) => apply();
    said = [];
    store = await open();
  });
  afterEach(() => store.close());

  function open(): Promise<Store> {
    const db: Database = {
      ...memory,
      close: async () => {},
      batch: (changes, options) => {
        batches.push({ changes, sync: options.sync });
        return fate(() => memory.batch(changes, options));
      },
    };
    const quiet = () => {};
    const logger = {
      debug: quiet,
      info: quiet,
      warn: quiet,
      error: (f: object) => said.push(JSON.stringify(f)),
    };
    return openLevelStore(db, {
      kind: 'memory',
      description: 'test',
      clock,
      random: seededRandom(1),
      logger,
    });
  }

  const put = (expected: number, seq: number, ttlMs = HOUR) =>
    store.putRecord({ circuit: 'c|p', expected, seq, body: `at ${seq}` }, ttlMs);
  const exchange = (replica = 'a', accounts: ReadonlyMap<string, string> = new Map()) =>
    store.exchangeHealth({ replica, ttlMs: HOUR, accounts });

  it('are synced where they are records; accounts never go to the disk', async () => {
    batches = [];
    await exchange('a', new Map([['c|p', '1']]));
    expect(batches).to.deep.equal([]);
    await put(0, 1);
    expect(batches.map(({ sync, changes }) => [sync, changes[0]?.key])).to.deep.equal([
      [true, 'circuit/c%7Cp'],
    ]);
  });

  it('go down in order, however slow the disk is', async () => {
    batches = [];
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    fate = (apply) => gate.then(apply);
    const writes = [put(0, 1), put(1, 2), put(2, 3)];
    await until(() => batches.length === 1, { what: 'the first batch' });
    release();
    expect(await Promise.all(writes)).to.deep.equal([undefined, undefined, undefined]);
    const [kept] = await memory.getMany(['circuit/c%7Cp']);
    expect(JSON.parse(kept ?? '')).to.include({ seq: 3 });
  });

  it('that could not be written are unknown, and the repeat writes them', async () => {
    fate = () => Promise.reject(new Error('no space'));
    expect(await rejection(put(0, 1))).to.include({ code: 'store_unavailable' });
    expect(await memory.getMany(['circuit/c%7Cp'])).to.deep.equal([undefined]);
    fate = (apply) => apply();
    expect(await put(0, 1)).to.equal(undefined);
    expect((await memory.getMany(['circuit/c%7Cp']))[0]).to.contain('at 1');
  });

  it('have their whole time again after a restart, and leave the disk when it is over', async () => {
    await put(0, 1, 1000);
    clock.advance(900);
    await store.close();
    store = await open();
    clock.advance(900);
    expect((await exchange()).records).to.deep.equal([{ circuit: 'c|p', seq: 1, body: 'at 1' }]);
    clock.advance(100);
    expect((await exchange()).records).to.deep.equal([]);
    expect(await memory.getMany(['circuit/c%7Cp'])).to.deep.equal([undefined]);
  });

  it('damaged on the disk are named and skipped, and the next write takes their place', async () => {
    const damaged = {
      'circuit/c%7Cp': '{"seq":',
      'circuit/a': '[1]',
      'circuit/b': JSON.stringify({ circuit: 'b', seq: 0, body: '', ttlMs: 1 }),
      'circuit/d': JSON.stringify({ circuit: 'd', seq: 1, body: '', ttlMs: 1e12 }),
      'circuit/%E0': JSON.stringify({ circuit: 'two\nlines', seq: 1, body: '', ttlMs: 1000 }),
    };
    await memory.batch(
      Object.entries(damaged).map(([key, value]) => ({ type: 'put', key, value })),
      { sync: true },
    );
    await store.close();
    store = await open();
    expect((await exchange()).records).to.deep.equal([]);
    const faults = (await store.loadRegistry()).faults.map(({ path }) => path);
    expect(faults.sort()).to.deep.equal(['circuit/a', 'circuit/b', 'circuit/c%7Cp']);
    expect(said).to.have.length(2);
    expect(await put(0, 1)).to.equal(undefined);
    expect((await memory.getMany(['circuit/c%7Cp']))[0]).to.contain('at 1');
  });

  it('keeps no more accounts than a shard would, and says so', async () => {
    const accounts = new Map(Array.from({ length: 10_000 }, (_, i) => [`c${i}|p`, '']));
    for (const replica of ['a', 'b', 'c']) await exchange(replica, accounts);
    expect((await exchange('d')).accounts).to.have.length(20_000);
    expect(said).to.have.length(1);
  });

  it('are hinted at through the mirror, each once for all hints that come together, and nothing else is touched', async () => {
    const mirror = await openMirror(store, { replica: 'r', clock });
    const told: (readonly string[])[] = [];
    const off = mirror.on('circuits', (ids) => told.push(ids));
    mirror.on('instances', () => told.push(['instances']));
    mirror.on('interest', () => told.push(['interest']));
    await Promise.all([store.hintCircuits(['a|p', 'b|p']), store.hintCircuits(['b|p', 'c|p'])]);
    await until(() => told.flat().length >= 3, { what: 'the hints' });
    expect(new Set(told.flat())).to.deep.equal(new Set(['a|p', 'b|p', 'c|p']));
    off();
    await mirror.close();
  });
});
