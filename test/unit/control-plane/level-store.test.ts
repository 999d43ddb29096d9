/**
 * The level store over a database that fails, is slow, or counts: a batch whose fate is unknown, writers that share a batch,
 * and what is dropped in the end.
 */
import { expect } from 'chai';
import { openLevelStore } from '../../../control-plane/store/level.js';
import {
  type Change,
  type Database,
  openMemoryDatabase,
} from '../../../control-plane/store/level-database.js';
import { OutcomeUnknown } from '../../../control-plane/store/request.js';
import type { Store } from '../../../control-plane/store/store.js';
import { silentLogger } from '../../../control-plane/telemetry/logger.js';
import { seededRandom } from '../../../core/random.js';
import { del, put, record, rejection, request, write } from '../../support/stores.js';
import { until } from '../../support/until.js';
import { VirtualClock } from '../../support/virtual-clock.js';

describe('the level store', () => {
  let clock: VirtualClock;
  let memory: Database;
  let batches: { changes: readonly Change[]; sync: boolean }[];
  /** What happens to a batch: by default it is done. */
  let fate: (apply: () => Promise<void>) => Promise<void>;
  let readable: boolean;
  let store: Store;

  beforeEach(async () => {
    clock = new VirtualClock();
    memory = await openMemoryDatabase();
    batches = [];
    fate = (apply) => apply();
    readable = true;
    store = await open();
  });
  afterEach(() => store.close());

  function open(): Promise<Store> {
    const db: Database = {
      ...memory,
      range: (range) => (readable ? memory.range(range) : Promise.reject(new Error('the disk is gone'))),
      batch: (changes, options) => {
        batches.push({ changes, sync: options.sync });
        return fate(() => memory.batch(changes, options));
      },
    };
    const common = { clock, random: seededRandom(1), logger: silentLogger };
    return openLevelStore(db, { kind: 'memory', description: 'test', ...common });
  }

  it('syncs writes, and lets writers of one moment share a batch', async () => {
    const { seen } = await request(store, [put('x', 0)]);
    batches = [];
    const requests = await Promise.all(
      Array.from({ length: 200 }, (_, i) => request(store, [put(`p${i % 7}`, i)], { seen })),
    );
    const results = await Promise.all(requests.map((one) => store.write(one)));
    expect(results.map(({ head }) => head)).to.deep.equal(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(batches.length).to.be.at.most(2);
    expect(batches.every(({ sync }) => sync)).to.equal(true);
  });

  it('tells nobody of a write before it is down', async () => {
    const seen = await record(store);
    await until(() => seen.up, { what: 'the watch' });
    let release = () => {};
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    fate = async (apply) => {
      await gate;
      return apply();
    };
    let answered = false;
    const done = write(store, put('a', 1)).finally(() => {
      answered = true;
    });
    for (let i = 0; i < 20; i += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(answered).to.equal(false);
    expect(seen.entries).to.deep.equal([]);
    expect((await store.load()).documents).to.deep.equal([]);
    release();
    await done;
    await until(() => seen.entries.length === 1, { what: 'the entry' });
  });

  for (const [what, applied] of [
    ['did not reach', false],
    ['reached', true],
  ] as const)
    it(`does not know of a batch that failed and ${what} the disk; a repetition applies it once`, async () => {
      await write(store, put('a', 1));
      const seen = await record(store);
      await until(() => seen.up, { what: 'the watch' });
      const one = await request(store, [put('a', 2, 1), put('b', 1, null)]);
      fate = async (apply) => {
        if (applied) await apply();
        throw new Error('no space left on device');
      };
      const error = await rejection(store.write(one));
      expect(error).to.include({ code: 'store_unavailable' }).and.to.be.instanceOf(OutcomeUnknown);
      expect(String(error)).to.contain('no space left on device');
      await until(() => seen.up === false, { what: 'health to go down' });
      expect((await store.load()).head).to.equal(applied ? 3 : 1);
      fate = (apply) => apply();
      const result = await store.write(one);
      expect(result.outcomes.map(({ revision }) => revision)).to.deep.equal([2, 3]);
      expect((await store.load()).head).to.equal(3);
      await until(() => seen.entries.length === 2, { what: 'the entries' });
      expect(seen.revisions).to.deep.equal([2, 3]);
      expect(seen.resets).to.deep.equal([]);
      await write(store, put('c', 1));
      await until(() => seen.up, { what: 'health to return' });
    });

  it('reads the disk before the next write where it could not after the one that failed', async () => {
    await write(store, put('a', 1));
    const one = await request(store, [put('a', 2, 1)]);
    fate = async (apply) => {
      await apply();
      readable = false;
      throw new Error('the disk is gone');
    };
    expect(await rejection(store.write(one))).to.include({ code: 'store_unavailable' });
    fate = (apply) => apply();
    const unsent = await rejection(store.write(one));
    expect(unsent).to.include({ code: 'store_unavailable' }).and.not.to.be.instanceOf(OutcomeUnknown);
    readable = true;
    expect((await store.write(one)).outcomes).to.deep.equal([{ name: 'a', revision: 2, changed: true }]);
    expect((await store.load()).head).to.equal(2);
  });

  it('forgets a request after ten minutes, not before, and not because a clock was set', async () => {
    const one = await request(store, [put('a', 1)]);
    await store.write(one);
    await write(store, put('a', 2));
    clock.wallOffset = 3_600_000;
    clock.advance(599_000);
    expect((await store.write(one)).outcomes[0]?.revision).to.equal(1);
    clock.wallOffset = 0;
    clock.advance(2000);
    expect((await store.write(one)).outcomes[0]?.revision).to.equal(3);
  });

  it('drops what it need not keep: requests, long deleted names, the log and the audit', async () => {
    const { seen } = await request(store, [put('x', 0)]);
    const names = Array.from({ length: 11_000 }, (_, i) => `p${i}`);
    for (let from = 0; from < names.length; from += 1000) {
      const part = names.slice(from, from + 1000);
      await store.write(
        await request(
          store,
          part.map((name) => put(name, 1)),
          { seen },
        ),
      );
      await store.write(
        await request(
          store,
          part.map((name) => del(name)),
          { seen },
        ),
      );
    }
    clock.advance(600_001);
    await write(store, put('last', 1));
    const counts = new Map<string, number>();
    for (const [key] of await memory.range({})) {
      const prefix = key.split('/')[0] ?? '';
      counts.set(prefix, (counts.get(prefix) ?? 0) + 1);
    }
    expect(Object.fromEntries(counts)).to.deep.equal({
      meta: 1,
      log: 10_000,
      record: 10_001,
      history: 20_001,
      audit: 23,
      request: 1,
    });
    expect(await store.history('p0', { limit: 9 })).to.deep.equal([]);
    expect(await store.history('p10999', { limit: 9 })).to.have.length(2);
  }).timeout(60_000);
});
