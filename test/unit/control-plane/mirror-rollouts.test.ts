/**
 * What the mirror knows of staged rollouts: the same whether it followed them from their beginning or loaded in the middle, and
 * which are halted, over restarts.
 */
import { expect } from 'chai';
import fc from 'fast-check';
import { openMirror } from '../../../control-plane/mirror.js';
import type { Mirror } from '../../../control-plane/ports.js';
import { openStore } from '../../../control-plane/store/open.js';
import type { Operation, Store } from '../../../control-plane/store/store.js';
import { formatHalts, haltInForce, haltsName } from '../../../core/policy/halts.js';
import { property } from '../../support/property.js';
import { write } from '../../support/stores.js';
import { until } from '../../support/until.js';

function put(name: string, timeout: string, percent = 100, to = 'inventory'): Operation {
  const document = JSON.stringify({
    match: { to },
    policy: name,
    rollout: { percent },
    spec: { timeout },
  });
  return { kind: 'put', name, document, expected: 'any' };
}

const gone = (name: string): Operation => ({ kind: 'delete', name, expected: 'any' });

/** What follows from the order of revisions, for all policies. */
const stages = (mirror: Mirror) =>
  mirror
    .policies()
    .map(({ policy, revision, staged }) => [
      policy.name,
      revision,
      staged && [staged.since, staged.previous?.revision, staged.previous?.policy.spec.timeout],
    ]);

describe('the mirror and staged rollouts', () => {
  let store: Store;
  let mirrors: Mirror[];
  const open = async (over: Store = store) => {
    const mirror = await openMirror(over, { replica: 'r1' });
    mirrors.push(mirror);
    return mirror;
  };
  const level = (mirror: Mirror, head: number) =>
    until(() => mirror.revision === head, { what: `revision ${head}` });

  beforeEach(async () => {
    mirrors = [];
    store = await openStore('memory', { mesh: 'm', replica: 'r1' });
  });
  afterEach(async () => {
    await Promise.all(mirrors.map((mirror) => mirror.close()));
    await store.close();
  });

  it('knows what each started from, live', async () => {
    const mirror = await open();
    await write(store, put('p', '1s'));
    await write(store, put('p', '2s', 25));
    const { head } = await write(store, put('p', '2s', 50));
    await level(mirror, head);
    expect(stages(mirror)).to.deep.equal([['p', 3, [2, 1, 1000]]]);
  });

  it('finds it in the history where it loads in the middle, further back than a page', async () => {
    await write(store, put('p', '1s'));
    for (let percent = 1; percent <= 45; percent++) await write(store, put('p', '2s', percent));
    expect(stages(await open())).to.deep.equal([['p', 46, [2, 1, 1000]]]);
  });

  it('lists a policy under both callees while its two revisions are for different ones', async () => {
    const mirror = await open();
    await write(store, put('p', '1s'));
    const { head } = await write(store, put('p', '1s', 25, 'payments'));
    await level(mirror, head);
    for (const to of ['inventory', 'payments'])
      expect(mirror.policiesTo(to).map(({ revision }) => revision)).to.deep.equal([2]);
    const over = await write(store, put('p', '1s', 100, 'payments'));
    await level(mirror, over.head);
    expect(mirror.policiesTo('inventory')).to.deep.equal([]);
    expect(mirror.policiesTo('payments')).to.have.length(1);
  });

  it('does not load as long as the history can not be read', async () => {
    await write(store, put('p', '1s'));
    await write(store, put('p', '2s', 25));
    const broken = new Proxy(store, {
      get(target, property) {
        if (property === 'history') return () => Promise.reject(new Error('no history at present'));
        const value: unknown = Reflect.get(target, property, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const mirror = await open(broken);
    expect(mirror.dataset).to.equal('');
    expect(mirror.health.reason).to.contain('no history at present');
  });

  it('has the halts of the store, live and after a restart, and keeps what it knew of a document it can not read', async () => {
    const mirror = await open();
    await write(store, put('p', '1s'));
    const { head } = await write(store, put('p', '2s', 25));
    await level(mirror, head);
    const halt = { policy: 'p', revision: head, percent: 25, reason: 'why', at: 7 };
    const document = formatHalts(new Map(), halt, (name) => mirror.policy(name));
    let told = 0;
    mirror.on('rollouts', () => told++);
    await write(store, { kind: 'put', name: haltsName, document, expected: 'any' });
    await until(() => told === 1, { what: 'the halt' });
    for (const one of [mirror, await open()])
      expect(haltInForce(one.halts.halts, one.policy('p'))).to.deep.equal(halt);
    expect(mirror.policies()).to.have.length(1);
    const broken = await write(store, {
      kind: 'put',
      name: haltsName,
      document: '{"halts":3}',
      expected: 'any',
    });
    await level(mirror, broken.head);
    expect(mirror.faults[0]?.message).to.contain('stay halted');
    expect(haltInForce(mirror.halts.halts, mirror.policy('p'))).to.deep.equal(halt);
  });

  property(
    'comes to the same whether it followed or loaded',
    fc.array(
      fc.oneof(
        {
          weight: 5,
          arbitrary: fc.record({
            timeout: fc.constantFrom('1s', '2s', '3s'),
            percent: fc.constantFrom(5, 50, 100),
          }),
        },
        { weight: 1, arbitrary: fc.constant(undefined) },
      ),
      { minLength: 1, maxLength: 12 },
    ),
    async (steps) => {
      const own = await openStore('memory', { mesh: 'm', replica: 'r1' });
      const following = await open(own);
      let head = 0;
      for (const step of steps) {
        const operation = step ? put('p', step.timeout, step.percent) : gone('p');
        ({ head } = await write(own, operation));
      }
      await level(following, head);
      const loaded = await open(own);
      expect(stages(loaded)).to.deep.equal(stages(following));
      await Promise.all([following.close(), loaded.close()]);
      await own.close();
    },
    40,
  );
});
