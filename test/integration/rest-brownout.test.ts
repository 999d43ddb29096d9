/** The brownout over REST: set, read, refused, conditioned, previewed, told, and seen by nobody who asks for policies. */
import { expect } from 'chai';
import { brownoutAnswer, brownoutPreview, brownoutWriteAnswer } from '../../control-plane/rest/brownout.js';
import type { App } from '../../control-plane/rest/context.js';
import { buildRest } from '../../control-plane/rest/server.js';
import { EventReader } from '../support/event-reader.js';
import { circuitRow } from '../support/fake-roster.js';
import { issuesOf, policy, type RestClient, type Running, restClient, startRest } from '../support/rest.js';
import { restContext, type TestContext } from '../support/rest-context.js';
import { VirtualClock } from '../support/virtual-clock.js';

const path = '/v1/brownout';
const sale = { level: 2, reason: 'sale', ttl: '10m' };

describe('the brownout over REST', () => {
  let sg: Running;
  beforeEach(async () => {
    sg = await startRest();
  });
  afterEach(() => sg.close());

  const put = async (body: unknown, headers: Record<string, string> = {}) => {
    const answer = await sg.put(path, body, headers);
    expect(answer.status, answer.text).to.equal(200);
    return brownoutWriteAnswer.strict().parse(answer.body);
  };
  const get = async () => brownoutAnswer.strict().parse((await sg.get(path)).body);

  it('is level 0 of nobody at first', async () => {
    const answer = await sg.get(path);
    expect(answer.headers.get('etag')).to.equal(null);
    expect(brownoutAnswer.strict().parse(answer.body)).to.deep.equal({
      ...{ level: 0, source: 'none', reason: '', ttlMs: null, revision: null, features: {}, rules: [] },
      notes: [],
      operator: { level: 0, reason: '', author: '', ttl: null },
    });
  });

  it('is what was put, with what is left of its time, its revision and its author', async () => {
    const answer = await sg.put(path, { ...sale, features: { ads: 1 } });
    expect(answer.status).to.equal(200);
    expect(answer.headers.get('etag')).to.equal('"1"');
    expect(answer.body).to.include({ revision: 1, changed: true, durability: 'memory', level: 2 });
    const present = await get();
    expect(present).to.deep.include({ level: 2, source: 'operator', reason: 'sale', revision: 1 });
    expect(present.operator).to.deep.equal({ level: 2, reason: 'sale', author: 'anonymous', ttl: '10m' });
    expect(present.ttlMs).to.be.within(590_000, 600_000);
    expect(present.features).to.deep.equal({ ads: 1 });
    expect((await sg.get(path)).headers.get('etag')).to.equal('"1"');
  });

  it('comes and goes as YAML too', async () => {
    const answer = await sg.send('PUT', path, {
      body: 'level: 1\nreason: sale\nrules:\n  - { level: 3, when: { openCircuits: 2 } }\n',
      headers: { 'content-type': 'application/yaml' },
    });
    expect(answer.status, answer.text).to.equal(200);
    expect((await sg.get(path, { accept: 'application/yaml' })).text).to.include('openCircuits: 2');
  });

  it('keeps what a PUT does not name', async () => {
    await put({ ...sale, features: { ads: 1 }, rules: [{ level: 1, when: { openCircuits: 3 } }] });
    const after = await put({ features: { search: 3 } });
    expect(after).to.deep.include({ level: 2, features: { search: 3 } });
    expect(after.rules).to.deep.equal([{ level: 1, when: { openCircuits: 3 }, on: false, evidence: '' }]);
    expect(await put({ level: 0 })).to.deep.include({ level: 0, features: { search: 3 }, ttlMs: null });
  });

  it('that says the same is no change', async () => {
    await put({ level: 1, reason: 'sale' });
    expect(await put({ level: 1, reason: 'sale' })).to.include({ changed: false, revision: 1 });
  });

  for (const [what, body, issue] of [
    [
      'a level beyond 4',
      { level: 5, reason: 'x' },
      'level: must be a whole number from 0 to 4; got the number 5',
    ],
    ['no reason', { level: 1 }, 'reason: is required above level 0'],
    ['a time without a unit', { ...sale, ttl: '600' }, 'ttl: must be a duration with its unit'],
    ['a misspelt field', { ...sale, feature: {} }, 'feature: unknown field; did you mean features?'],
    ['a level of a feature', { features: { ads: 9 } }, 'features.ads: must be a whole number from 1 to 4'],
    ['half a rule', { rules: [{ level: 1 }] }, 'rules[0].when: is required'],
    ['no object', [], ': must be an object with any of level'],
  ] as const)
    it(`refuses ${what} with its path`, async () => {
      const answer = await sg.put(path, body);
      expect(answer.status).to.equal(422);
      expect(answer.body.title).to.equal('The document is not valid');
      expect(answer.body).to.include({ code: 'invalid_policy', instance: path });
      expect(issuesOf(answer)[0]).to.match(new RegExp(`^${issue.replace(/[[\]?]/g, '\\$&')}`));
      expect((await get()).revision).to.equal(null);
    });

  it('refuses what is too much together, and a key that is there twice', async () => {
    const many = (prefix: string) =>
      Object.fromEntries(Array.from({ length: 900 }, (_, i) => [`${prefix.repeat(80)}${i}`, 1]));
    expect((await sg.put(path, { features: many('a') })).status).to.equal(422);
    const twice = await sg.send('PUT', path, {
      body: '{"level":0,"level":0}',
      headers: { 'content-type': 'application/json' },
    });
    expect(issuesOf(twice)).to.deep.equal(['level: "level" is there twice']);
    expect((await sg.put(`${path}?dryrun=true`, sale)).status).to.equal(400);
  });

  it('takes the conditions of any write', async () => {
    expect((await sg.put(path, sale, { 'if-match': '"1"' })).status).to.equal(412);
    await put(sale, { 'if-none-match': '*' });
    const late = await sg.put(path, { features: {} }, { 'if-none-match': '*' });
    expect(late.status).to.equal(412);
    expect(late.body).to.include({ code: 'revision_conflict', revision: 1 });
    expect(late.text).not.to.include('~brownout');
    await put({ features: { ads: 1 } }, { 'if-match': '"1"' });
    expect((await sg.put(path, sale, { 'if-match': '"1"' })).body.revision).to.equal(2);
  });

  it('loses nothing of writes that come together', async () => {
    await put(sale);
    await Promise.all([
      put({ features: { ads: 1 } }),
      put({ rules: [{ level: 1, when: { openCircuits: 9 } }] }),
      put({ level: 3, reason: 'more' }),
    ]);
    const { level, features, rules } = await get();
    expect([level, features, rules.length]).to.deep.equal([3, { ads: 1 }, 1]);
  });

  it('is one write under one Idempotency-Key, with its first time', async () => {
    const first = await put(sale, { 'idempotency-key': 'k' });
    await put({ level: 0 });
    expect(await put(sale, { 'idempotency-key': 'k' })).to.include({ revision: first.revision, level: 0 });
    expect((await sg.put(path, { level: 0 }, { 'idempotency-key': 'k' })).status).to.equal(400);
  });

  it('can be tried first', async () => {
    const { status, body } = await sg.put(`${path}?dryRun=true`, sale);
    expect(status).to.equal(200);
    expect(brownoutPreview.strict().parse(body)).to.deep.equal({
      ...{ dryRun: true, revision: null, changed: true },
      setting: { level: 2, reason: 'sale', ttl: '10m', author: 'anonymous' },
      notes: [],
    });
    expect((await get()).revision).to.equal(null);
    expect((await sg.put(`${path}?dryRun=true`, sale, { 'if-match': '"3"' })).status).to.equal(412);
  });

  it('has no other methods', async () => {
    const answer = await sg.delete(path);
    expect(answer.status).to.equal(405);
    expect(answer.headers.get('allow')).to.equal('GET, HEAD, PUT');
  });

  it('is in the audit and in the events, and nowhere among the policies', async () => {
    const events = await EventReader.open(`${sg.url}/v1/events`);
    await sg.put('/v1/policies/inv', policy('inv'));
    await put(sale);
    expect((await events.next('brownout')).data).to.deep.include({
      ...{ level: 2, before: 0, source: 'operator', reason: 'sale', revision: 2 },
    });
    events.close();
    const [entry] = (await sg.get('/v1/audit')).body.entries;
    expect(entry).to.deep.include({
      ...{ action: 'brownout', author: 'anonymous' },
      changes: [{ policy: '~brownout', revision: 2, previous: null }],
    });
    expect((await sg.get('/v1/policies')).body.policies).to.have.length(1);
    expect((await sg.get('/v1/export')).text).not.to.include('brownout');
    expect((await sg.get('/v1/export', { accept: 'application/json' })).body).to.have.length(1);
    expect((await sg.get('/v1/explain?to=inventory')).body.matches).to.have.length(1);
    expect((await sg.get('/v1/policies/~brownout')).status).to.equal(400);
    expect((await sg.put('/v1/policies/~brownout', policy('~brownout'))).status).to.equal(400);
    expect((await sg.post('/v1/apply', [policy('~brownout')])).status).to.equal(422);
    expect((await sg.get('/metrics')).text)
      .to.match(/^switchgear_brownout_level\{.*\} 2$/m)
      .and.to.match(/^switchgear_policies\{.*\} 1$/m)
      .and.to.match(/^switchgear_store_faults\{.*\} 0$/m);
  });
});

describe('brownout rules over REST', () => {
  let context: TestContext;
  let app: App;
  let sg: RestClient;
  const clock = new VirtualClock();
  beforeEach(async () => {
    context = await restContext({ clock });
    app = await buildRest(context);
    sg = restClient(await app.listen({ host: '127.0.0.1', port: 0 }));
  });
  afterEach(async () => {
    await app.close();
    await context.close();
  });

  it('show which of them are on, and why', async () => {
    const rules = [
      { level: 3, when: { circuit: 'inventory' }, for: '5s' },
      { level: 1, when: { openCircuits: 9 } },
    ];
    expect((await sg.put(path, { rules })).status).to.equal(200);
    context.roster.circuitRows = [circuitRow('checkout/c1', 'open', { retryAfterMs: 5000 })];
    for (let second = 0; second < 7; second++) {
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const { body } = await sg.get(path);
    const reason = 'inventory is open at 1 agent (the rule says 1)';
    expect(body).to.include({ level: 3, source: 'rule', reason, ttlMs: null });
    expect(body.rules).to.deep.equal([
      { ...rules[0], on: true, evidence: reason },
      { ...rules[1], on: false, evidence: '' },
    ]);
  });

  it('hold a level against an operator, and the answer says which one, and how to be rid of it', async () => {
    const rules = [
      { level: 1, when: { openCircuits: 1 }, for: '0s' },
      { level: 2, when: { circuit: 'inventory' }, for: '0s', clearAfter: '90s' },
    ];
    await sg.put('/v1/policies/inv', policy('inv'));
    await sg.put(path, { rules });
    context.roster.circuitRows = [circuitRow('checkout/c1', 'open', { retryAfterMs: 5000 })];
    clock.advance(1000);
    await new Promise((resolve) => setImmediate(resolve));
    const { body } = await sg.put(path, { level: 0 });
    expect(body).to.include({ level: 2, source: 'rule' });
    const message =
      'rules[1] holds level 2 (inventory is open at 1 agent (the rule says 1)), whatever lower level an operator sets; ' +
      'it goes 90 s after its condition. To be rid of it now, PUT /v1/brownout with the rules but this one, {"rules": []} for none at all';
    expect(body.notes).to.deep.equal([{ kind: 'rule', message }]);
    expect((await sg.get(path)).body.notes).to.deep.equal(body.notes);
    const without = (await sg.put(path, { rules: [] })).body;
    expect(without).to.deep.include({ level: 0, source: 'none', notes: [] });
  });

  it('are taken with a note where nobody knows the callee, or where they may come and go by the second', async () => {
    await sg.put('/v1/policies/inv', policy('inv'));
    const rules = [
      { level: 1, when: { callee: 'inventroy', failureRate: '50%' } },
      { level: 1, when: { circuit: 'inventory' }, for: '0s', clearAfter: '0s' },
    ];
    const notes = [
      {
        kind: 'unknown',
        message:
          'rules[0].when.callee: inventroy: nobody calls it, registered as it, or has a policy for it yet; did you mean inventory?',
      },
      {
        kind: 'flapping',
        message:
          'rules[1], with for 0 s and clearAfter 0 s, may turn its features off and on again every few seconds; a longer clearAfter bounds that',
      },
    ];
    expect((await sg.put(`${path}?dryRun=true`, { rules })).body.notes).to.deep.equal(notes);
    expect((await sg.put(path, { rules })).body.notes).to.deep.equal(notes);
    expect((await sg.get(path)).body.notes).to.deep.equal(notes);
  });

  it("show an operator's time running out", async () => {
    await sg.put(path, sale);
    clock.advance(540_000);
    expect((await sg.get(path)).body).to.include({ level: 2, ttlMs: 60_000 });
    clock.advance(60_000);
    const { body } = await sg.get(path);
    expect(body).to.include({ level: 0, source: 'none', ttlMs: 0 });
    expect(body.operator).to.include({ level: 2, reason: 'sale' });
  });
});
