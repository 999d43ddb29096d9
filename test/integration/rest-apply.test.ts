/** Several policies at once: applied all or nothing, only validated, exported and applied again. */
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { applyAnswer, applyPreview, validateAnswer } from '../../control-plane/rest/apply.js';
import { issuesOf, policy, type Running, startRest } from '../support/rest.js';

const stream = `
policy: inventory-default
match: { to: inventory }
spec: { timeout: 800ms }
---
# the second
policy: payments-default
match: { to: payments }
spec: { circuit: { window: 5s } }
`;

describe('several policies over REST', () => {
  let sg: Running;
  beforeEach(async () => {
    sg = await startRest();
  });
  afterEach(() => sg.close());

  it('are applied in one step, each with a revision of its own', async () => {
    const { status, body } = await sg.post('/v1/apply', stream);
    expect(status).to.equal(200);
    expect(applyAnswer.strict().parse(body)).to.deep.equal({
      results: [
        { policy: 'inventory-default', revision: 1, changed: true, durability: 'memory' },
        { policy: 'payments-default', revision: 2, changed: true, durability: 'memory' },
      ],
      revision: 2,
      durability: 'memory',
    });
    expect((await sg.get('/v1/audit')).body.entries).to.have.length(1);
  });

  it('come as a JSON list too, and what is unchanged keeps its revision', async () => {
    await sg.post('/v1/apply', stream);
    const documents = parseAllDocuments(stream).map((document) => document.toJS());
    const { body } = await sg.post('/v1/apply', [documents[0], { ...documents[1], spec: {} }]);
    expect(body.results.map((result: { revision: number }) => result.revision)).to.deep.equal([1, 3]);
    expect(body.results.map((result: { changed: boolean }) => result.changed)).to.deep.equal([false, true]);
  });

  it('are refused together, each fault with its document and path, and nothing is written', async () => {
    const answer = await sg.post('/v1/apply', [
      policy('good'),
      policy('bad', { spec: { timeout: 5, tmeout: 1 } }),
      policy('good'),
    ]);
    expect(answer.status).to.equal(422);
    expect(answer.body.code).to.equal('invalid_policy');
    const paths = answer.body.issues.map((issue: { path: string }) => issue.path);
    expect(paths).to.include.members(['[1].spec.timeout', '[1].spec.tmeout', '[2].policy']);
    expect((await sg.get('/v1/policies')).body.policies).to.deep.equal([]);
  });

  it('tell the line of a fault in YAML', async () => {
    const answer = await sg.post(
      '/v1/apply',
      `${stream}---\npolicy: third\nmatch: { to: x }\nspec: { timeout: soon }\n`,
    );
    expect(issuesOf(answer)).to.have.length(1);
    expect(issuesOf(answer)[0]).to.match(/^\[2\]\.spec\.timeout: .*line 13/);
  });

  it('can be previewed without writing', async () => {
    await sg.put('/v1/policies/inventory-default', policy('inventory-default'));
    const { body } = await sg.post('/v1/apply?dryRun=true', stream);
    const { results } = applyPreview.strict().parse(body);
    expect(results.map(({ policy, changed }) => [policy, changed])).to.deep.equal([
      ['inventory-default', false],
      ['payments-default', true],
    ]);
    expect((await sg.get('/v1/policies')).body.policies).to.have.length(1);
  });

  it('take no If-Match, since it could name one of them only', async () => {
    expect((await sg.post('/v1/apply', stream, { 'if-match': '"1"' })).body.code).to.equal('invalid_request');
  });

  it('have to be there, and not be more than a thousand', async () => {
    expect((await sg.post('/v1/apply', '# nothing\n')).status).to.equal(422);
    expect((await sg.post('/v1/apply', [])).status).to.equal(422);
    const many = Array.from({ length: 1001 }, (_, n) => policy(`p${n}`));
    const answer = await sg.post('/v1/apply', many);
    expect(answer.status).to.equal(422);
    expect(issuesOf(answer)[0]).to.include('at most 1000').and.include('1001');
  });

  it('are validated without being written', async () => {
    const valid = await sg.post('/v1/validate', stream);
    expect(valid.status).to.equal(200);
    expect(validateAnswer.strict().parse(valid.body).policies).to.deep.equal([
      'inventory-default',
      'payments-default',
    ]);
    expect((await sg.post('/v1/validate', '{ policy: x }')).status).to.equal(422);
    expect((await sg.get('/v1/policies')).body.policies).to.deep.equal([]);
  });

  it('are exported as one stream that apply takes back unchanged', async () => {
    await sg.post('/v1/apply', stream);
    const exported = await sg.get('/v1/export');
    expect(exported.headers.get('content-type')).to.equal('application/yaml; charset=utf-8');
    expect(parseAllDocuments(exported.text).map((document) => document.toJS().policy)).to.deep.equal([
      'inventory-default',
      'payments-default',
    ]);
    const again = await sg.post('/v1/apply', exported.text);
    expect(again.body.results.map((result: { changed: boolean }) => result.changed)).to.deep.equal([
      false,
      false,
    ]);
  });

  it('are exported as a JSON list to whoever asks for JSON', async () => {
    await sg.post('/v1/apply', stream);
    const { body } = await sg.get('/v1/export', { accept: 'application/json' });
    expect(body.map((document: { policy: string }) => document.policy)).to.deep.equal([
      'inventory-default',
      'payments-default',
    ]);
  });

  it('answer in YAML as well', async () => {
    const { text } = await sg.post('/v1/apply', stream, { accept: 'application/yaml' });
    expect(parse(text).results).to.have.length(2);
  });
});
