/**
 * What every store tells its watchers: the log in order, each entry once, from any place that is still known, however many
 * write at the same time; and `reset` where it can't.
 */
import { expect } from 'chai';
import type { LogEntry } from '../../control-plane/store/store.js';
import { del, document, eachStore, put, Recorder, record, request, write } from '../support/stores.js';
import { until } from '../support/until.js';

eachStore('a watch', ({ store, place, backend }) => {
  it('tells what is written after its place, in order, deletions as null', async () => {
    await write(store(), put('before', 1));
    const seen = await record(store());
    await write(store(), put('a', 1), put('b', 1));
    await write(store(), del('a'));
    await until(() => seen.entries.length === 3, { what: 'three entries' });
    expect(seen.entries).to.deep.equal([
      { revision: 2, name: 'a', document: document(1) },
      { revision: 3, name: 'b', document: document(1) },
      { revision: 4, name: 'a', document: null },
    ]);
    expect(seen.resets).to.deep.equal([]);
    expect(seen.healths).to.deep.equal([{ up: true, reason: '' }]);
  });

  it('calls nobody before it has returned', async () => {
    const { dataset, head } = await store().load();
    const recorder = new Recorder();
    store().watch({ dataset, revision: head, cursor: '0' }, recorder);
    expect(recorder.healths).to.deep.equal([]);
    await until(() => recorder.up, { what: 'health' });
  });

  it('resumes anywhere in the log without a gap or a repetition', async () => {
    const seen = await request(store(), [put('p0', 0)]).then(({ seen: place }) => place);
    for (let i = 1; i <= 30; i += 1) await store().write(await request(store(), [put(`p${i}`, i)], { seen }));
    for (const revision of [0, 1, 17, 29, 30]) {
      const recorder = new Recorder();
      const watch = store().watch({ dataset: seen.dataset, revision, cursor: '0' }, recorder);
      await until(() => recorder.up && recorder.entries.length === 30 - revision, {
        what: `what follows ${revision}`,
      });
      await watch.close();
      expect(recorder.revisions).to.deep.equal(
        Array.from({ length: 30 - revision }, (_, i) => revision + i + 1),
      );
    }
  });

  it('says nothing after it was closed', async () => {
    const { dataset, head } = await store().load();
    const recorder = new Recorder();
    const watch = store().watch({ dataset, revision: head, cursor: '0' }, recorder);
    await until(() => recorder.up, { what: 'health' });
    await watch.close();
    const other = await record(store());
    await write(store(), put('a', 1));
    await until(() => other.entries.length === 1, { what: 'the other watch' });
    expect(recorder.entries).to.deep.equal([]);
  });

  it('tells two watchers and many writers the same story, which adds up to what is stored', async () => {
    const second = backend.shared ? await place().open() : store();
    const recorders = [await record(store()), await record(second)];
    const { seen } = await request(store(), [put('x', 0)]);
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let i = 0; i < 15; i += 1) {
        const operations =
          i % 4 === 3 ? [del(`p${i % 5}`)] : [put(`p${i % 5}`, `${writer}-${i}`), put(`w${writer}`, i)];
        const through = writer % 2 === 0 ? store() : second;
        await through.write(await request(through, operations, { seen }));
      }
    });
    await Promise.all(writers);
    const { head, documents } = await store().load();
    for (const recorder of recorders) {
      await until(() => recorder.entries.length >= head, { what: `${head} entries` });
      expect(recorder.revisions).to.deep.equal(Array.from({ length: head }, (_, i) => i + 1));
      expect(replay(recorder.entries)).to.deep.equal(
        new Map(documents.map(({ name, revision, document: text }) => [name, { revision, text }])),
      );
      expect(recorder.resets).to.deep.equal([]);
    }
    expect(recorders[0]?.entries).to.deep.equal(recorders[1]?.entries);
  });

  it('is reset when its place is in another dataset, or ahead of the log', async () => {
    await write(store(), put('a', 1));
    const { dataset, head } = await store().load();
    for (const from of [
      { dataset: 'another', revision: head, cursor: '0' },
      { dataset, revision: head + 1, cursor: '0' },
      { dataset, revision: head, cursor: '99' },
    ]) {
      const recorder = new Recorder();
      store().watch(from, recorder);
      await until(() => recorder.resets.length > 0, { what: `a reset from ${JSON.stringify(from)}` });
      expect(recorder.entries).to.deep.equal([]);
    }
  });

  it('is reset when the dataset gets a new name', async () => {
    await write(store(), put('a', 1));
    const seen = await record(store());
    await until(() => seen.up, { what: 'health' });
    const { dataset } = await store().load();
    await store().settleDataset({ dataset, revision: 9 });
    await until(() => seen.resets.length === 1, { what: 'a reset' });
  });

  it('does not let one listener that throws disturb another', async () => {
    const { dataset, head } = await store().load();
    const broken = new Recorder();
    broken.log = () => {
      throw new Error('listener');
    };
    store().watch({ dataset, revision: head, cursor: '0' }, broken);
    const seen = await record(store());
    await write(store(), put('a', 1));
    await until(() => seen.entries.length === 1, { what: 'the entry' });
  });
});

function replay(entries: readonly LogEntry[]): Map<string, { revision: number; text: string }> {
  const state = new Map<string, { revision: number; text: string }>();
  for (const { name, revision, document: text } of entries)
    if (text === null) state.delete(name);
    else state.set(name, { revision, text });
  return state;
}

eachStore('a watch of a long log', ({ store }) => {
  it('is reset behind what is trimmed, and the log is trimmed', async () => {
    const { seen } = await request(store(), [put('x', 0)]);
    for (let round = 0; round < 12; round += 1) {
      const operations = Array.from({ length: 1000 }, (_, i) => put(`p${i}`, round));
      await store().write(await request(store(), operations, { seen }));
    }
    const behind = new Recorder();
    store().watch({ dataset: seen.dataset, revision: 5, cursor: '0' }, behind);
    await until(() => behind.resets.length === 1, { what: 'a reset' });
    const within = new Recorder();
    store().watch({ dataset: seen.dataset, revision: 2500, cursor: '0' }, within);
    await until(() => within.entries.length === 9500, { what: 'the last 9,500 entries' });
    expect(within.resets).to.deep.equal([]);
  }).timeout(60_000);
});
