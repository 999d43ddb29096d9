/**
 * A document that is no policy, in every store: it is compared, numbered, remembered and audited like one, the mirror keeps it out of
 * the policies, and a repeat of its write is known by what was wanted.
 */
import { expect } from 'chai';
import { openMirror } from '../../control-plane/mirror.js';
import type { Operation } from '../../control-plane/store/store.js';
import { brownoutName } from '../../core/brownout/setting.js';
import { MeshError } from '../../core/errors.js';
import { eachStore, policyPut, rejection, request, write } from '../support/stores.js';
import { until } from '../support/until.js';

const setting = (level: number, expected: Operation['expected'] = 'any', intent?: string): Operation => ({
  kind: 'put',
  name: brownoutName,
  document: JSON.stringify({ level, reason: 'sale' }),
  expected,
  ...(intent === undefined ? {} : { intent }),
});

eachStore('the brownout setting', ({ store }) => {
  it('is compared, numbered, remembered and audited with the policies', async () => {
    await write(store(), policyPut('inventory', 100), setting(1, null));
    await write(store(), setting(2, 2));
    const error = (await rejection(write(store(), setting(3, 2)))) as MeshError;
    expect(error).to.be.instanceOf(MeshError);
    expect([error.code, error.revision]).to.deep.equal(['revision_conflict', 3]);
    const history = await store().history(brownoutName, { limit: 9 });
    expect(history.map(({ revision }) => revision)).to.deep.equal([3, 2]);
    const [entry] = await store().audit({ limit: 1 });
    expect(entry?.changes).to.deep.equal([{ name: brownoutName, revision: 3, previous: 2 }]);
    const { documents, faults } = await store().load();
    expect(documents.map(({ name }) => name).sort()).to.deep.equal(['inventory', brownoutName].sort());
    expect(faults).to.deep.equal([]);
  });

  it('comes to a mirror that loads it and to one that is told, and is a policy to neither', async () => {
    const told = await openMirror(store(), { replica: 'a' });
    await write(store(), policyPut('inventory', 100), setting(1));
    await until(() => told.revision === 2, { what: 'both entries of the log' });
    const loaded = await openMirror(store(), { replica: 'b' });
    for (const mirror of [told, loaded]) {
      expect(mirror.brownout?.revision).to.equal(2);
      expect(mirror.brownout?.setting.operator).to.include({ level: 1, reason: 'sale' });
      expect(mirror.policies().map(({ policy }) => policy.name)).to.deep.equal(['inventory']);
      expect(mirror.faults).to.deep.equal([]);
      await mirror.close();
    }
  });

  it('is written once by a repeat that wants the same, though its document has another time in it', async () => {
    const first = await request(store(), [setting(1, 'any', 'level 1')]);
    const answer = await store().write(first);
    const again = { ...first, operations: [setting(2, 1, 'level 1')] };
    expect(await store().write(again)).to.deep.equal(answer);
    expect((await store().load()).head).to.equal(1);
    const other = { ...first, operations: [setting(1, 'any', 'level 2')] };
    expect(((await rejection(store().write(other))) as MeshError).code).to.equal('invalid_request');
  });
});
