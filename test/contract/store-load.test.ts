/**
 * What a load says of a store with more documents than one answer holds, while somebody goes on writing: everything as it was at the
 * head that it names, no more and no less.
 */
import { expect } from 'chai';
import type { StoredDocument } from '../../control-plane/store/store.js';
import { seededRandom } from '../../core/random.js';
import { contractRedis, plainClient } from '../support/redis.js';
import { backends, del, document, eachStore, put, request } from '../support/stores.js';

const DOCUMENTS = 2_500;
const AT_ONCE = 1_000;
const LOADS = 12;

const nameOf = (i: number) => `policy-${i}`;

function sorted(documents: readonly StoredDocument[]): StoredDocument[] {
  return [...documents].sort((a, b) => a.revision - b.revision);
}

eachStore('a load of many documents', ({ store, place, backend }) => {
  it('names everything as it was at its head, while others write', async () => {
    const { dataset } = await store().load();
    const writer = backend.shared ? await place().open() : store();
    const random = seededRandom(7);
    const upTo = (most: number) => Math.floor(random.next() * most);
    /** What was true at each revision, by the writer's own word. */
    const states = new Map<number, ReadonlyMap<string, StoredDocument>>();
    let present: ReadonlyMap<string, StoredDocument> = new Map();
    let head = 0;
    const write = async (operations: Parameters<typeof request>[1]) => {
      const seen = { dataset, revision: head };
      const result = await writer.write(await request(writer, operations, { seen }));
      const next = new Map(present);
      for (const [i, { name, revision, changed }] of result.outcomes.entries()) {
        const operation = operations[i];
        if (!changed || !operation) continue;
        if (operation.kind === 'put') next.set(name, { name, revision, document: operation.document });
        else next.delete(name);
      }
      present = next;
      head = result.head;
      states.set(head, present);
    };
    for (let from = 0; from < DOCUMENTS; from += AT_ONCE) {
      const count = Math.min(AT_ONCE, DOCUMENTS - from);
      await write(Array.from({ length: count }, (_, i) => put(nameOf(from + i), 0)));
    }
    let over = false;
    const writing = (async () => {
      for (let value = 1; !over; value++) {
        const name = nameOf(upTo(DOCUMENTS + 200));
        await write([upTo(3) === 0 ? del(name) : put(name, value)]);
      }
    })();
    const loads = [];
    for (let i = 0; i < LOADS; i++) loads.push(await store().load());
    over = true;
    await writing;
    for (const load of loads) {
      const then = states.get(load.head);
      expect(then, `the state at revision ${load.head}`).to.not.equal(undefined);
      expect(sorted(load.documents)).to.deep.equal(sorted([...(then?.values() ?? [])]));
      expect(load.faults).to.deep.equal([]);
    }
    expect(loads.at(-1)?.head).to.be.greaterThan(3);
  });
});

describe('a load of many documents from Redis', () => {
  it('asks for them in pages, so that no answer is larger than Redis gives in a moment', async () => {
    const place = await backends.find(({ name }) => name === 'redis')?.place();
    if (!place) throw new Error('there is no Redis among the stores');
    try {
      const store = await place.open('pages');
      const client = plainClient(await contractRedis());
      const calls = async () => {
        const stats = await client.info('commandstats');
        const of = (command: string) =>
          Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
        return { hscan: of('hscan'), hgetall: of('hgetall') };
      };
      for (let from = 0; from < 3_000; from += AT_ONCE) {
        const operations = Array.from({ length: AT_ONCE }, (_, i) => put(nameOf(from + i), document(from)));
        await store.write(await request(store, operations, { seen: { dataset: '', revision: 0 } }));
      }
      const before = await calls();
      expect((await store.load()).documents).to.have.length(3_000);
      const after = await calls();
      expect(after.hscan - before.hscan).to.be.at.least(3);
      expect(after.hgetall - before.hgetall).to.equal(0);
      client.disconnect();
    } finally {
      await place.close();
    }
  });
});
