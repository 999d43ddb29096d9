/**
 * The embedded store and the ways a process and its files end: killed in the middle of writes, opened twice, damaged, out of
 * reach. What was acknowledged is there, and what cannot be is said with its place.
 */
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { ClassicLevel } from 'classic-level';
import { openStore } from '../../control-plane/store/open.js';
import type { Store } from '../../control-plane/store/store.js';
import { MeshError } from '../../core/errors.js';
import { document, put, rejection, write } from '../support/stores.js';
import { startStorm } from '../support/storm.js';

function open(directory: string, mesh = 'default'): Promise<Store> {
  return openStore(`embedded:${directory}`, { mesh, replica: 'r' });
}

describe('the embedded store', function () {
  this.timeout(60_000);
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'switchgear-embedded-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('killed in a storm of writes has everything it acknowledged, and nothing by halves', async () => {
    const acknowledged = new Map<string, { revision: number; i: number }>();
    let dataset = '';
    for (let round = 0; round < 4; round += 1) {
      const storm = startStorm(`embedded:${directory}`, round);
      try {
        await storm.acknowledges(150 + round * 40);
      } finally {
        await storm.kill();
      }
      for (const line of storm.lines()) {
        const [name = '', revision, i] = line.split(' ');
        acknowledged.set(name, { revision: Number(revision), i: Number(i) });
      }
      const store = await open(directory);
      const snapshot = await store.load();
      expect(snapshot.faults).to.deep.equal([]);
      dataset ||= snapshot.dataset;
      expect(snapshot.dataset).to.equal(dataset);
      const stored = new Map(snapshot.documents.map((one) => [one.name, one]));
      for (const [name, { revision, i }] of acknowledged) {
        const found = stored.get(name);
        expect(found?.revision, name).to.be.at.least(revision);
        expect(JSON.parse(found?.document ?? '{}').i, name).to.be.at.least(i);
        const [newest] = await store.history(name, { limit: 1 });
        expect(newest, name).to.deep.include({ revision: found?.revision, document: found?.document });
      }
      // Both documents of one write are there, or neither: the last of each writer belong together.
      const [last] = await store.audit({ limit: 1 });
      expect(last?.changes.at(-1)?.revision).to.equal(snapshot.head);
      for (const { name, revision } of last?.changes ?? [])
        expect(stored.get(name)?.revision).to.equal(revision);
      await store.close();
    }
  });

  it('open in another process is refused, with the directory and what to do', async () => {
    const storm = startStorm(`embedded:${directory}`, 0);
    try {
      await storm.acknowledges(1);
      const error = await rejection(open(directory));
      expect(error).to.be.instanceOf(MeshError);
      expect(String(error)).to.equal(
        `MeshError: [store_locked] ${join(directory, 'default')}: another process has this store open; stop that process, or give this one a directory of its own with --store embedded:DIR`,
      );
    } finally {
      await storm.kill();
    }
    const store = await open(directory);
    expect((await store.load()).head).to.be.above(0);
    await store.close();
  });

  it('open twice in one process is refused too, and free again once closed', async () => {
    const first = await open(directory);
    expect(await rejection(open(directory))).to.include({ code: 'store_locked' });
    await first.close();
    await (await open(directory)).close();
  });

  it('in a place that is no directory, or may not be written, is a fault of the configuration', async () => {
    const file = join(directory, 'file');
    writeFileSync(file, 'x');
    const error = await rejection(open(file));
    expect(error).to.include({ code: 'invalid_configuration' });
    expect(String(error)).to.contain(file);
    if (process.getuid?.() === 0) return;
    const locked = join(directory, 'locked');
    mkdirSync(locked);
    chmodSync(locked, 0o500);
    expect(await rejection(open(join(locked, 'data')))).to.include({ code: 'invalid_configuration' });
  });

  it('whose files are damaged says so, and leaves them', async () => {
    const store = await open(directory);
    await write(store, put('a', 1));
    await store.close();
    const place = join(directory, 'default');
    const manifest = readdirSync(place).find((name) => name.startsWith('MANIFEST')) ?? '';
    writeFileSync(join(place, manifest), 'garbage that is no manifest at all');
    const error = await rejection(open(directory));
    expect(error).to.include({ code: 'store_corrupt' });
    expect(String(error)).to.contain(place);
    expect(readdirSync(place)).to.include(manifest);
  });

  it('with entries damaged by hand names and skips them, and goes on', async () => {
    const store = await open(directory);
    await write(store, put('a', 1), put('b', 1), put('c', 1));
    await store.close();
    const raw = new ClassicLevel<string, string>(join(directory, 'default'));
    await raw.put('record/b', '{"name":');
    await raw.put('record/c', '{"name":"c","revision":0,"document":"{}","history":[]}');
    await raw.put('record/foreign', 'not ours');
    await raw.put('history/a/0000000000000001', '[]');
    await raw.put('request/x', '1');
    await raw.put('instance/x', '{}');
    await raw.put('zzz', 'not ours');
    await raw.close();
    const again = await open(directory);
    const { documents, faults, head } = await again.load();
    expect(head).to.equal(3);
    expect(documents).to.deep.equal([{ name: 'a', revision: 1, document: document(1) }]);
    expect(faults.map(({ path }) => path).sort()).to.deep.equal(['record/b', 'record/c', 'record/foreign']);
    expect((await again.loadRegistry()).faults.map(({ path }) => path)).to.deep.equal([
      'request/x',
      'instance/x',
    ]);
    expect(await again.history('a', { limit: 9 })).to.deep.equal([]);
    expect(await rejection(write(again, put('b', 2, null)))).to.include({ code: 'revision_conflict' });
    expect((await write(again, put('b', 2))).outcomes).to.deep.equal([
      { name: 'b', revision: 4, changed: true },
    ]);
    expect((await again.load()).faults.map(({ path }) => path).sort()).to.deep.equal([
      'record/c',
      'record/foreign',
    ]);
    await again.close();
  });

  it('remembers requests beyond a restart', async () => {
    const store = await open(directory);
    const { dataset } = await store.load();
    const one = {
      ...{ requestId: 'the one', author: 'ada', action: 'put', at: 1 },
      seen: { dataset, revision: 0 },
      operations: [put('a', 1, null)],
    };
    const answer = await store.write(one);
    await store.close();
    const again = await open(directory);
    expect(await again.write(one)).to.deep.equal(answer);
    expect((await again.load()).head).to.equal(1);
    await again.close();
  });
});
