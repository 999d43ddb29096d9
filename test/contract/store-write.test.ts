/**
 * What every store does with a write: compares, takes it whole or not at all, counts without gaps, remembers who and what, and
 * answers a repeated request as it did the first time.
 */
import { expect } from 'chai';
import { MeshError } from '../../core/errors.js';
import { del, document, eachStore, put, rejection, request, write } from '../support/stores.js';

function refusal(error: unknown): MeshError {
  expect(error).to.be.instanceOf(MeshError);
  return error as MeshError;
}

eachStore('a write', ({ store, place, backend }) => {
  it('gives each document of an apply a revision of its own, in order', async () => {
    const result = await write(store(), put('b', 1), put('a', 1));
    expect(result.outcomes).to.deep.equal([
      { name: 'b', revision: 1, changed: true },
      { name: 'a', revision: 2, changed: true },
    ]);
    expect(result.head).to.equal(2);
    const { head, documents } = await store().load();
    expect(head).to.equal(2);
    expect([...documents].sort((x, y) => x.revision - y.revision)).to.deep.equal([
      { name: 'b', revision: 1, document: document(1) },
      { name: 'a', revision: 2, document: document(1) },
    ]);
  });

  it('says how far it is safe', async () => {
    const { durability } = await write(store(), put('a', 1));
    if (backend.shared) expect(durability).to.be.oneOf(['memory', 'fsync', 'replicated']);
    else expect(durability).to.equal(backend.name === 'memory' ? 'memory' : 'fsync');
  });

  it('is refused when the document is at another revision, and names it', async () => {
    await write(store(), put('a', 1));
    await write(store(), put('a', 2));
    const error = refusal(await rejection(write(store(), put('a', 3, 1))));
    expect(error.code).to.equal('revision_conflict');
    expect(error.revision).to.equal(2);
    expect(error.issues).to.deep.equal([
      { path: 'a', message: 'revision 1 was expected, revision 2 is there' },
    ]);
  });

  it('creates only where nothing is, if it says so', async () => {
    await write(store(), put('a', 1, null));
    const error = refusal(await rejection(write(store(), put('a', 2, null))));
    expect(error.issues).to.deep.equal([{ path: 'a', message: 'it must not exist, revision 1 is there' }]);
    await write(store(), del('a', 1));
    expect((await write(store(), put('a', 3, null))).head).to.equal(3);
  });

  it('is refused where a revision is expected and nothing is there', async () => {
    const error = refusal(await rejection(write(store(), put('a', 1, 7))));
    expect(error.issues).to.deep.equal([{ path: 'a', message: 'revision 7 was expected, there is none' }]);
  });

  it('takes all operations or none', async () => {
    await write(store(), put('a', 1), put('b', 1));
    const error = refusal(
      await rejection(write(store(), put('c', 1, null), put('a', 2, 9), put('b', 2, 2), del('d', 4))),
    );
    expect(error.issues?.map(({ path }) => path)).to.deep.equal(['a', 'd']);
    const { head, documents } = await store().load();
    expect(head).to.equal(2);
    expect(documents.map(({ name }) => name).sort()).to.deep.equal(['a', 'b']);
    expect(await store().history('c', { limit: 5 })).to.deep.equal([]);
    expect(await store().audit({ limit: 5 })).to.have.length(1);
  });

  it('that says what is stored already changes nothing and keeps the revision', async () => {
    await write(store(), put('a', 1), put('b', 1));
    const result = await write(store(), put('a', 1), put('b', 2));
    expect(result.outcomes).to.deep.equal([
      { name: 'a', revision: 1, changed: false },
      { name: 'b', revision: 3, changed: true },
    ]);
    expect((await write(store(), put('a', 1, 1))).head).to.equal(3);
    expect(await store().history('a', { limit: 5 })).to.have.length(1);
    expect(await store().audit({ limit: 5 })).to.have.length(2);
  });

  it('deletes, with a revision for the deletion', async () => {
    await write(store(), put('a', 1));
    const result = await write(store(), del('a', 1));
    expect(result.outcomes).to.deep.equal([{ name: 'a', revision: 2, changed: true }]);
    expect((await store().load()).documents).to.deep.equal([]);
    expect((await write(store(), del('a'))).outcomes).to.deep.equal([
      { name: 'a', revision: 2, changed: false },
    ]);
    expect((await write(store(), del('never'))).outcomes).to.deep.equal([
      { name: 'never', revision: 0, changed: false },
    ]);
  });

  it('of a thousand operations is one step', async () => {
    const operations = Array.from({ length: 1000 }, (_, i) => put(`p${i}`, i));
    const result = await write(store(), ...operations);
    expect(result.head).to.equal(1000);
    expect((await store().load()).documents).to.have.length(1000);
    const [entry] = await store().audit({ limit: 2 });
    expect(entry?.changes).to.have.length(1000);
    const deleted = await write(store(), ...operations.map(({ name }) => del(name)));
    expect(deleted.head).to.equal(2000);
  });

  it('is malformed with no operations, too many, one name twice, or names that cannot be kept', async () => {
    const many = Array.from({ length: 1001 }, (_, i) => put(`p${i}`, i));
    for (const operations of [[], many, [put('a', 1), del('a')], [put('', 1)], [put('\ud800', 1)]]) {
      const error = refusal(await rejection(write(store(), ...operations)));
      expect(error.code).to.equal('invalid_request');
    }
    expect((await store().load()).head).to.equal(0);
  });

  it('keeps names and documents of any content apart and intact', async () => {
    const names = [
      ...[
        '__proto__',
        'constructor',
        'hasOwnProperty',
        'a:b',
        'a/b',
        '../a',
        'a%2Fb',
        '{x}',
        '}:log',
        '*',
        ' ',
      ],
      ...['ü', '日本', '😀', 'line\nbreak', 'nul\0', 'x'.repeat(1000), '!', '~', 'meta', 'any', 'none'],
    ];
    const value = 'quote " backslash \\ newline \n nul \0 emoji 😀 </script> %s';
    const result = await write(store(), ...names.map((name) => put(name, `${name}${value}`, null)));
    expect(result.outcomes.map(({ name }) => name)).to.deep.equal(names);
    const { documents, faults } = await store().load();
    expect(faults).to.deep.equal([]);
    expect(new Map(documents.map((one) => [one.name, one.document]))).to.deep.equal(
      new Map(names.map((name) => [name, document(`${name}${value}`)])),
    );
    for (const name of names) {
      const [entry, ...more] = await store().history(name, { limit: 5 });
      expect(more, name).to.deep.equal([]);
      expect(entry?.document, name).to.equal(document(`${name}${value}`));
    }
    const [audit] = await store().audit({ limit: 1 });
    expect(audit?.changes.map(({ name }) => name)).to.deep.equal(names);
  });

  it('keeps meshes apart', async () => {
    const other = await place().open('other');
    await write(store(), put('a', 1));
    await write(other, put('b', 1), put('c', 1));
    expect((await store().load()).documents.map(({ name }) => name)).to.deep.equal(['a']);
    expect((await other.load()).head).to.equal(2);
    expect((await store().load()).dataset).to.not.equal((await other.load()).dataset);
    expect(await other.history('a', { limit: 5 })).to.deep.equal([]);
  });
});

eachStore('a repeated request', ({ store }) => {
  it('is applied once and answered the same, also after others wrote', async () => {
    const first = await request(store(), [put('a', 1), put('b', 1)]);
    const answer = await store().write(first);
    await write(store(), put('a', 2));
    const again = await store().write(first);
    expect(again).to.deep.equal(answer);
    expect((await store().load()).head).to.equal(3);
    expect(await store().audit({ limit: 9 })).to.have.length(2);
  });

  it('is applied once when its copies arrive together', async () => {
    const one = await request(store(), [put('a', 1, null)]);
    const answers = await Promise.all(Array.from({ length: 20 }, () => store().write(one)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).to.equal(1);
    expect((await store().load()).head).to.equal(1);
  });

  it('remembers that nothing changed, too', async () => {
    await write(store(), put('a', 1));
    const same = await request(store(), [put('a', 1)]);
    await store().write(same);
    await write(store(), put('a', 2));
    expect((await store().write(same)).outcomes).to.deep.equal([{ name: 'a', revision: 1, changed: false }]);
    expect((await store().load()).documents).to.deep.equal([
      { name: 'a', revision: 2, document: document(2) },
    ]);
  });

  it('may be tried again after a refusal', async () => {
    const early = await request(store(), [put('a', 2, 1)]);
    expect(refusal(await rejection(store().write(early))).code).to.equal('revision_conflict');
    await write(store(), put('a', 1));
    expect((await store().write(early)).head).to.equal(2);
  });

  it('with other contents is refused', async () => {
    const first = await request(store(), [put('a', 1)]);
    await store().write(first);
    const error = refusal(await rejection(store().write({ ...first, operations: [put('a', 2)] })));
    expect(error.code).to.equal('invalid_request');
    expect((await store().load()).head).to.equal(1);
  });
});

eachStore('a writer that knows more than the store', ({ store }) => {
  it('is refused, as is one that knows another dataset', async () => {
    await write(store(), put('a', 1));
    const { dataset } = await store().load();
    for (const seen of [
      { dataset, revision: 2 },
      { dataset: 'another', revision: 1 },
    ]) {
      const error = refusal(await rejection(store().write(await request(store(), [put('a', 2)], { seen }))));
      expect(error.code).to.equal('store_unavailable');
    }
    expect((await store().load()).head).to.equal(1);
  });

  it('gives the dataset a new name by settling, once, and keeps the data', async () => {
    await write(store(), put('a', 1));
    const { dataset } = await store().load();
    expect(await store().settleDataset({ dataset, revision: 1 })).to.equal(dataset);
    const renamed = await store().settleDataset({ dataset, revision: 5 });
    expect(renamed).to.not.equal(dataset);
    expect(await store().settleDataset({ dataset, revision: 5 })).to.equal(renamed);
    const loaded = await store().load();
    expect(loaded.dataset).to.equal(renamed);
    expect(loaded.documents).to.have.length(1);
    expect((await write(store(), put('a', 2))).head).to.equal(2);
  });
});

eachStore('history', ({ store }) => {
  it('has each revision with its author, newest first, deletions included', async () => {
    await store().write(await request(store(), [put('a', 1)], { author: 'ada', action: 'put', at: 1 }));
    await store().write(await request(store(), [del('a')], { author: 'bob', action: 'delete', at: 2 }));
    await store().write(await request(store(), [put('a', 3)], { author: 'cy', action: 'rollback', at: 3 }));
    const all = await store().history('a', { limit: 10 });
    expect(all).to.deep.equal([
      { revision: 3, name: 'a', document: document(3), author: 'cy', action: 'rollback', at: 3 },
      { revision: 2, name: 'a', document: null, author: 'bob', action: 'delete', at: 2 },
      { revision: 1, name: 'a', document: document(1), author: 'ada', action: 'put', at: 1 },
    ]);
    expect(await store().history('a', { limit: 1 })).to.deep.equal(all.slice(0, 1));
    expect(await store().history('a', { before: 3, limit: 1 })).to.deep.equal(all.slice(1, 2));
    expect(await store().history('a', { before: 1, limit: 9 })).to.deep.equal([]);
    expect(await store().revision('a', 2)).to.deep.equal(all[1]);
    for (const none of [0, 4, -1, 1.5, Number.NaN, 1e300])
      expect(await store().revision('a', none), String(none)).to.equal(undefined);
  });

  it('keeps at least the last hundred revisions and at most a bounded number', async () => {
    const { dataset, head } = await store().load();
    const seen = { dataset, revision: head };
    for (let i = 1; i <= 230; i += 1)
      await store().write(await request(store(), [put('a', i), put(`other${i}`, i)], { seen }));
    const all = await store().history('a', { limit: 1000 });
    expect(all.length).to.be.within(100, 210);
    expect(all.map(({ document: text }) => text)).to.deep.equal(all.map((_, i) => document(230 - i)));
  });
});

eachStore('the audit', ({ store }) => {
  it('has each write that changed something, with what it changed, newest first and by pages', async () => {
    for (let i = 1; i <= 5; i += 1)
      await store().write(await request(store(), [put('a', i), put('b', 1)], { author: `n${i}`, at: i }));
    const all = await store().audit({ limit: 10 });
    expect(all.map(({ author }) => author)).to.deep.equal(['n5', 'n4', 'n3', 'n2', 'n1']);
    expect(all.at(-1)?.changes).to.deep.equal([
      { name: 'a', revision: 1, previous: null },
      { name: 'b', revision: 2, previous: null },
    ]);
    expect(all[0]).to.deep.include({ action: 'apply', at: 5 });
    expect(all[0]?.changes).to.deep.equal([{ name: 'a', revision: 6, previous: 5 }]);
    const first = await store().audit({ limit: 2 });
    const next = await store().audit({ before: first.at(-1)?.id ?? '', limit: 2 });
    expect([...first, ...next]).to.deep.equal(all.slice(0, 4));
    for (const before of ['nonsense', '-1', '1e3', '99999999999999999999'])
      expect(await store().audit({ before, limit: 2 }), before).to.deep.equal([]);
  });
});
