/**
 * Random lives of a store, compared step by step with a twin that is too simple to be wrong. The same seed gives each
 * implementation the same life, so that they cannot differ from each other either.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import type { Operation, Store } from '../../control-plane/store/store.js';
import { MeshError } from '../../core/errors.js';
import { property } from '../support/property.js';
import { StoreTwin } from '../support/store-twin.js';
import { backends, document, instance, Recorder } from '../support/stores.js';
import { until } from '../support/until.js';

const names = ['a', 'b', 'c', '__proto__'] as const;

type Step =
  | {
      kind: 'write';
      operations: {
        name: string;
        remove: boolean;
        value: number;
        expected: 'any' | 'none' | 'right' | 'wrong';
      }[];
    }
  | { kind: 'repeat'; which: number }
  | { kind: 'lease'; id: string; boot: number }
  | { kind: 'release'; id: string; boot: number }
  | { kind: 'learn'; service: string; callees: string[] }
  | { kind: 'reopen' };

const operation = fc.record({
  name: fc.constantFrom(...names),
  remove: fc.boolean(),
  value: fc.integer({ min: 0, max: 2 }),
  expected: fc.constantFrom(
    'any' as const,
    'any' as const,
    'right' as const,
    'none' as const,
    'wrong' as const,
  ),
});

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      operations: fc.uniqueArray(operation, { selector: ({ name }) => name, minLength: 1, maxLength: 4 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('repeat' as const), which: fc.nat(50) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('lease' as const),
      id: fc.constantFrom('s/1', 's/2', 't/1'),
      boot: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('release' as const),
      id: fc.constantFrom('s/1', 's/2', 't/1'),
      boot: fc.integer({ min: 1, max: 3 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('learn' as const),
      service: fc.constantFrom('s', 't'),
      callees: fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
);

/** Both sides of a life so far. */
class Life {
  readonly twin = new StoreTwin();
  readonly #requests: { requestId: string; operations: Operation[] }[] = [];
  #dataset = '';
  store: Store;

  constructor(store: Store) {
    this.store = store;
  }

  async start(): Promise<void> {
    this.#dataset = (await this.store.load()).dataset;
  }

  async step(one: Step): Promise<void> {
    if (one.kind === 'reopen') return;
    if (one.kind === 'lease')
      expect(await this.store.lease([instance(one.id, { boot: one.boot })], 1e6)).to.deep.equal([
        this.twin.lease(one.id, one.boot),
      ]);
    else if (one.kind === 'release') {
      await this.store.release(one.id, one.boot);
      this.twin.release(one.id, one.boot);
    } else if (one.kind === 'learn') {
      await this.store.learn(one.service, one.callees);
      this.twin.learn(one.service, one.callees);
    } else if (one.kind === 'repeat') {
      const request = this.#requests[one.which % Math.max(1, this.#requests.length)];
      if (request) await this.#write(request);
    } else {
      const operations = one.operations.map(({ name, remove, value, expected }): Operation => {
        const now = this.twin.revision(name);
        const wanted = { any: 'any', none: null, right: now, wrong: (now ?? 0) + 1 }[
          expected
        ] as Operation['expected'];
        return remove
          ? { kind: 'delete', name, expected: wanted }
          : { kind: 'put', name, document: document(value), expected: wanted };
      });
      const request = { requestId: `request ${this.#requests.length}`, operations };
      this.#requests.push(request);
      await this.#write(request);
    }
  }

  async #write({ requestId, operations }: { requestId: string; operations: Operation[] }): Promise<void> {
    const seen = { dataset: this.#dataset, revision: this.twin.head };
    const wanted = this.twin.write(requestId, operations);
    const got = await this.store
      .write({ requestId, author: 'ada', action: 'apply', at: 1, seen, operations })
      .catch((error: unknown) => error);
    if (Array.isArray(wanted)) {
      expect(got).to.be.instanceOf(MeshError);
      expect((got as MeshError).issues?.map(({ path }) => path)).to.deep.equal(wanted);
    } else expect(got).to.deep.include(wanted);
  }

  /** All there is to see, at the end. */
  async compare(): Promise<void> {
    const { twin, store } = this;
    const { head, documents, faults } = await store.load();
    expect(head).to.equal(twin.head);
    expect(faults).to.deep.equal([]);
    expect([...documents].sort((a, b) => a.revision - b.revision)).to.deep.equal(twin.documents());
    for (const name of names) {
      const history = await store.history(name, { limit: 1000 });
      const wanted = twin.lines.filter((line) => line.name === name).reverse();
      expect(history.map(({ revision, document: text }) => [revision, text])).to.deep.equal(
        wanted.map(({ revision, document: text }) => [revision, text]),
      );
    }
    const audit = await store.audit({ limit: 1000 });
    expect(audit.map(({ changes }) => changes)).to.deep.equal([...twin.audit].reverse());
    const { instances, interests } = await store.loadRegistry();
    expect(instances.map(({ id, boot }) => `${id} ${boot}`).sort()).to.deep.equal(
      twin.instances.map(({ id, boot }) => `${id} ${boot}`).sort(),
    );
    const flat = [...interests].flatMap(([service, callees]) =>
      callees.map((callee) => `${service} ${callee}`),
    );
    expect(flat.sort()).to.deep.equal(twin.interests.map(([a, b]) => `${a} ${b}`).sort());
  }

  /** What a watch from the beginning is told. */
  async watched(): Promise<void> {
    const recorder = new Recorder();
    const { cursor } = await this.store.loadRegistry();
    const watch = this.store.watch({ dataset: this.#dataset, revision: 0, cursor }, recorder);
    await until(() => recorder.up && recorder.entries.length >= this.twin.head, { what: 'the whole log' });
    await watch.close();
    expect(recorder.entries).to.deep.equal(this.twin.lines);
  }
}

for (const backend of backends)
  describe(`a random life: ${backend.name}`, () => {
    property(
      'is that of the twin',
      fc.array(step, { minLength: 1, maxLength: 60 }),
      async (steps) => {
        const place = await backend.place();
        try {
          const life = new Life(await place.open());
          await life.start();
          for (const one of steps) {
            if (one.kind === 'reopen' && backend.durable) {
              await life.store.close();
              life.store = await place.open();
            }
            await life.step(one);
          }
          await life.compare();
          await life.watched();
        } finally {
          await place.close();
        }
      },
      25,
    );
  });
