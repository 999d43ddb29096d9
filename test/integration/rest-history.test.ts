/** What a policy has been and the way back: revisions, rollback, audit. */
import { expect } from 'chai';
import { auditAnswer } from '../../control-plane/rest/audit.js';
import { revisionAnswer, revisionsAnswer } from '../../control-plane/rest/history.js';
import { issuesOf, policy, type Running, startRest } from '../support/rest.js';

const path = '/v1/policies/inventory-default';
const version = (n: number) => policy('inventory-default', { spec: { timeout: `${n}00ms` } });

describe('history over REST', () => {
  let sg: Running;
  beforeEach(async () => {
    sg = await startRest();
    for (const n of [1, 2, 3]) await sg.put(path, version(n));
  });
  afterEach(() => sg.close());

  it('lists revisions, newest first, with who, what and when', async () => {
    const { body } = await sg.get(`${path}/revisions`);
    const { revisions, next } = revisionsAnswer.strict().parse(body);
    expect(revisions.map(({ revision }) => revision)).to.deep.equal([3, 2, 1]);
    expect(revisions[0]).to.include({ author: 'anonymous', action: 'put', deleted: false });
    expect(Date.parse(revisions[0]?.at ?? '')).to.be.greaterThan(0);
    expect(next).to.equal(null);
  });

  it('goes back page by page', async () => {
    const first = (await sg.get(`${path}/revisions?limit=2`)).body;
    expect(first.next).to.equal(2);
    const second = (await sg.get(`${path}/revisions?limit=2&before=${first.next}`)).body;
    expect(second.revisions.map((entry: { revision: number }) => entry.revision)).to.deep.equal([1]);
    expect(second.next).to.equal(null);
  });

  it('shows a policy as it was', async () => {
    const { body } = await sg.get(`${path}/revisions/1`);
    expect(revisionAnswer.strict().parse(body).document).to.deep.equal(version(1));
  });

  it('keeps the history of what was deleted, and shows the deletion', async () => {
    await sg.delete(path);
    const { body } = await sg.get(`${path}/revisions`);
    expect(body.revisions[0]).to.include({ revision: 4, action: 'delete', deleted: true });
    expect((await sg.get(`${path}/revisions/4`)).body.document).to.equal(null);
  });

  it('rolls back by writing the old document as a new revision', async () => {
    const answer = await sg.post(`${path}/rollback`, { to: 1 });
    expect(answer.status).to.equal(200);
    expect(answer.headers.get('etag')).to.equal('"4"');
    expect(answer.body).to.include({ revision: 4, changed: true });
    expect((await sg.get(path)).body).to.deep.equal(version(1));
    expect((await sg.get(`${path}/revisions`)).body.revisions[0].action).to.equal('rollback');
  });

  it('rolls back to before a deletion, and under a condition', async () => {
    await sg.delete(path);
    expect((await sg.post(`${path}/rollback`, { to: 2 }, { 'if-match': '"3"' })).status).to.equal(412);
    expect((await sg.post(`${path}/rollback`, { to: 2 }, { 'if-none-match': '*' })).status).to.equal(200);
    expect((await sg.get(path)).body).to.deep.equal(version(2));
  });

  it('previews a rollback', async () => {
    const { body } = await sg.post(`${path}/rollback?dryRun=true`, { to: 1 });
    expect(body.changes).to.deep.equal([{ path: 'spec.timeout', before: '300ms', after: '100ms' }]);
    expect((await sg.get(path)).body).to.deep.equal(version(3));
  });

  it('refuses what there is not to go back to', async () => {
    expect((await sg.post(`${path}/rollback`, { to: 99 })).status).to.equal(404);
    await sg.delete(path);
    const deletion = await sg.post(`${path}/rollback`, { to: 4 });
    expect(deletion.status).to.equal(400);
    expect(issuesOf(deletion)[0]).to.include('to: ');
    for (const name of ['nobody/revisions', 'nobody/revisions/1', 'nobody/status', 'nobody'])
      expect((await sg.get(`/v1/policies/${name}`)).body.code, name).to.equal('not_found');
  });

  for (const [what, body, fault] of [
    ['nothing', {}, 'to: must be a whole number'],
    ['a word', { to: 'yesterday' }, 'to: must be a whole number'],
    ['a fraction', { to: 1.5 }, 'to: must be a whole number'],
    ['zero', { to: 0 }, 'to: must be a whole number'],
    ['something else besides', { to: 1, from: 2 }, 'from: is unknown; known here: to'],
    ['a list', [1], ': '],
  ] as const)
    it(`refuses to roll back to ${what}`, async () => {
      const answer = await sg.post(`${path}/rollback`, body);
      expect(answer.status).to.equal(400);
      expect(issuesOf(answer)[0]).to.include(fault);
    });

  it('takes the body of a rollback as YAML', async () => {
    expect((await sg.post(`${path}/rollback`, 'to: 1\n')).status).to.equal(200);
  });

  it('audits each write that changed something, newest first, page by page', async () => {
    await sg.put(path, version(3));
    const { body } = await sg.get('/v1/audit?limit=2');
    const { entries, next } = auditAnswer.strict().parse(body);
    expect(entries.map(({ changes }) => changes[0])).to.deep.equal([
      { policy: 'inventory-default', revision: 3, previous: 2 },
      { policy: 'inventory-default', revision: 2, previous: 1 },
    ]);
    const rest = (await sg.get(`/v1/audit?limit=2&before=${next}`)).body;
    expect(rest.entries).to.have.length(1);
    expect(rest.next).to.equal(null);
  });

  it('refuses a page of the audit that no entry can begin', async () => {
    const answer = await sg.get('/v1/audit?before=abc');
    expect(answer.status).to.equal(400);
    expect(issuesOf(answer)[0]).to.include('query.before');
  });
});
