/** One policy over REST: written, read, compared, conditioned, previewed, deleted; in both forms. */
import { expect } from 'chai';
import { parse } from 'yaml';
import { policiesAnswer } from '../../control-plane/rest/policies.js';
import { previewAnswer, writeAnswer } from '../../control-plane/rest/writes.js';
import { issuesOf, policy, type Running, startRest } from '../support/rest.js';

const path = '/v1/policies/inventory-default';
const slow = policy('inventory-default');
const fast = policy('inventory-default', { spec: { timeout: '100ms' } });

describe('a policy over REST', () => {
  let sg: Running;
  beforeEach(async () => {
    sg = await startRest();
  });
  afterEach(() => sg.close());

  it('is created with 201, its revision and its entity tag', async () => {
    const created = await sg.put(path, slow);
    expect(created.status).to.equal(201);
    expect(created.headers.get('etag')).to.equal('"1"');
    expect(created.headers.get('location')).to.equal(path);
    expect(writeAnswer.strict().parse(created.body)).to.deep.equal({
      policy: 'inventory-default',
      revision: 1,
      changed: true,
      durability: 'memory',
    });
  });

  it('keeps its revision when it says the same in other words of the same form', async () => {
    await sg.put(path, slow);
    const again = await sg.put(path, '# a comment\nspec: { timeout: 800ms }\nmatch: { to: inventory }\n');
    expect(again.status).to.equal(200);
    expect(again.body).to.include({ revision: 1, changed: false });
  });

  it('is replaced with a greater revision', async () => {
    await sg.put(path, slow);
    const replaced = await sg.put(path, fast);
    expect(replaced.status).to.equal(200);
    expect(replaced.body).to.include({ revision: 2, changed: true });
    expect((await sg.get(path)).body.spec).to.deep.equal({ timeout: '100ms' });
  });

  it('comes as JSON or as YAML that can be put back', async () => {
    await sg.put(path, slow);
    const json = await sg.get(path);
    expect(json.headers.get('content-type')).to.equal('application/json; charset=utf-8');
    expect(json.headers.get('etag')).to.equal('"1"');
    expect(json.body).to.deep.equal(slow);
    const yaml = await sg.get(path, { accept: 'application/yaml' });
    expect(yaml.headers.get('content-type')).to.equal('application/yaml; charset=utf-8');
    expect(yaml.text.startsWith('policy: inventory-default\n')).to.equal(true);
    expect(parse(yaml.text)).to.deep.equal(slow);
    expect((await sg.put(path, yaml.text)).body.changed).to.equal(false);
  });

  it('answers 304 to whoever has it already, and without a body to HEAD', async () => {
    await sg.put(path, slow);
    const unchanged = await sg.get(path, { 'if-none-match': '"1"' });
    expect(unchanged.status).to.equal(304);
    expect(unchanged.text).to.equal('');
    const head = await sg.send('HEAD', path);
    expect(head.status).to.equal(200);
    expect(head.headers.get('etag')).to.equal('"1"');
  });

  it('is listed with its revision', async () => {
    await sg.put(path, slow);
    const { body } = await sg.get('/v1/policies');
    expect(policiesAnswer.strict().parse(body).policies).to.have.length(1);
    expect(body.policies[0]).to.deep.include({ policy: 'inventory-default', revision: 1, document: slow });
    expect(body.revision).to.equal(1);
  });

  it('is written over the revision that If-Match names, and only over that', async () => {
    await sg.put(path, slow);
    expect((await sg.put(path, fast, { 'if-match': '"1"' })).status).to.equal(200);
    const conflict = await sg.put(path, slow, { 'if-match': '"1"' });
    expect(conflict.status).to.equal(412);
    expect(conflict.body).to.include({ code: 'revision_conflict', policy: 'inventory-default', revision: 2 });
    expect(conflict.body.detail).to.include('revision 1 was expected, revision 2 is there');
    expect((await sg.get(path)).body).to.deep.equal(fast);
  });

  it('is created with If-None-Match: * only where there is none', async () => {
    expect((await sg.put(path, slow, { 'if-none-match': '*' })).status).to.equal(201);
    const conflict = await sg.put(path, fast, { 'if-none-match': '*' });
    expect(conflict.status).to.equal(412);
    expect(conflict.body.revision).to.equal(1);
  });

  it('tells a conflict on what does not exist by the revision null', async () => {
    for (const tag of ['"7"', '*']) {
      const conflict = await sg.put(path, slow, { 'if-match': tag });
      expect(conflict.status).to.equal(412);
      expect(conflict.body).to.include({ code: 'revision_conflict', revision: null });
    }
  });

  it('lets one of two writers win who saw the same revision', async () => {
    await sg.put(path, slow);
    const answers = await Promise.all(
      ['200ms', '300ms'].map((timeout) =>
        sg.put(path, policy('inventory-default', { spec: { timeout } }), { 'if-match': '"1"' }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).to.deep.equal([200, 412]);
  });

  it('takes the name of its path, and refuses another one', async () => {
    const { policy: _, ...nameless } = slow;
    expect((await sg.put(path, nameless)).status).to.equal(201);
    const other = await sg.put(path, policy('something-else'));
    expect(other.status).to.equal(422);
    expect(other.body.code).to.equal('invalid_policy');
    expect(issuesOf(other)[0]).to.match(/^policy: .*inventory-default.*something-else/);
  });

  it('says in a dry run what would change, path by path, and writes nothing', async () => {
    const fresh = await sg.put(`${path}?dryRun=true`, slow);
    expect(previewAnswer.strict().parse(fresh.body)).to.deep.include({
      revision: null,
      changed: true,
      agents: [],
    });
    expect((await sg.get(path)).status).to.equal(404);
    await sg.put(path, slow);
    const changed = await sg.put(`${path}?dryRun=true`, fast);
    expect(changed.body).to.deep.include({
      revision: 1,
      changes: [{ path: 'spec.timeout', before: '800ms', after: '100ms' }],
    });
    expect((await sg.put(`${path}?dryRun=true`, slow)).body).to.deep.include({ changed: false, changes: [] });
    expect((await sg.get(path)).headers.get('etag')).to.equal('"1"');
    expect((await sg.get('/v1/audit')).body.entries).to.have.length(1);
  });

  it('refuses in a dry run what the write would refuse', async () => {
    await sg.put(path, slow);
    expect((await sg.put(`${path}?dryRun=true`, fast, { 'if-match': '"9"' })).status).to.equal(412);
    expect((await sg.put(`${path}?dryRun=true`, { policy: 'inventory-default' })).status).to.equal(422);
    expect((await sg.delete('/v1/policies/nobody?dryRun=true')).status).to.equal(404);
  });

  it('is deleted once, under the same conditions', async () => {
    await sg.put(path, slow);
    expect((await sg.delete(path, { 'if-match': '"9"' })).status).to.equal(412);
    expect((await sg.delete(`${path}?dryRun=true`)).body).to.deep.include({ changed: true, revision: 1 });
    const deleted = await sg.delete(path, { 'if-match': '"1"' });
    expect(deleted.status).to.equal(200);
    expect(deleted.body).to.include({ revision: 2, changed: true });
    expect((await sg.get(path)).status).to.equal(404);
    const again = await sg.delete(path);
    expect(again.status).to.equal(404);
    expect(again.body.code).to.equal('not_found');
  });

  it('is one write when the same Idempotency-Key comes twice', async () => {
    const key = { 'idempotency-key': 'deploy-42' };
    await sg.put(path, slow, key);
    await sg.put(path, fast);
    const repeated = await sg.put(path, slow, key);
    expect(repeated.body).to.include({ revision: 1, changed: true });
    expect((await sg.get(path)).body).to.deep.equal(fast);
  });

  it('refuses the Idempotency-Key of another write, and one that is none', async () => {
    await sg.put(path, slow, { 'idempotency-key': 'deploy-42' });
    const other = await sg.put(path, fast, { 'idempotency-key': 'deploy-42' });
    expect(other.status).to.equal(400);
    expect(other.body.detail).to.match(/^Idempotency-Key "deploy-42" belongs to another write/);
    expect(issuesOf(other)[0]).to.include('header.idempotency-key');
    const long = await sg.put(path, fast, { 'idempotency-key': 'x'.repeat(256) });
    expect(long.status).to.equal(400);
    expect(issuesOf(long)[0]).to.include('header.idempotency-key');
  });
});
