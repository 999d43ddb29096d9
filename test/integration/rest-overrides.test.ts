/** Overrides of circuits and the kill switch over REST: said, seen, ended, refused, and told of in the audit. */
import { expect } from 'chai';
import { circuitAnswer, circuitsAnswer } from '../../control-plane/rest/circuits.js';
import type { App } from '../../control-plane/rest/context.js';
import { freezeAnswer, freezeWriteAnswer, overrideAnswer } from '../../control-plane/rest/overrides.js';
import { buildRest } from '../../control-plane/rest/server.js';
import { connect, type Mesh } from '../../sdk/index.js';
import { clusterView } from '../support/cluster-view.js';
import { circuitRow } from '../support/fake-roster.js';
import { keptLogger } from '../support/logs.js';
import { issuesOf, policy, type RestClient, type Running, restClient, startRest } from '../support/rest.js';
import { restContext, type TestContext } from '../support/rest-context.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

const id = 'inventory|guard';
const path = `/v1/circuits/${encodeURIComponent(id)}/override`;
const open = { state: 'open', reason: 'it burns' };

describe('overrides over REST', () => {
  let context: TestContext;
  let app: App;
  let sg: RestClient;
  let clock: VirtualClock;
  beforeEach(async () => {
    clock = new VirtualClock(1000);
    context = await restContext({ clock });
    app = await buildRest(context);
    sg = restClient(await app.listen({ host: '127.0.0.1', port: 0 }));
    await sg.put('/v1/policies/guard', policy('guard', { spec: { circuit: {} } }));
  });
  afterEach(async () => {
    await app.close();
    await context.close();
  });

  const put = async (body: unknown, at = path) => {
    const answer = await sg.put(at, body);
    expect(answer.status, answer.text).to.equal(200);
    return overrideAnswer.strict().parse(answer.body);
  };
  const circuits = async () => circuitsAnswer.strict().parse((await sg.get('/v1/circuits')).body).circuits;

  it('are what was put, for an hour if nothing else was said, by whom and why', async () => {
    const override = { state: 'open', reason: 'it burns', author: 'anonymous', ttlMs: 3_600_000 };
    expect(await put(open)).to.deep.equal({
      ...{ circuit: id, override, revision: 2, changed: true, durability: 'memory' },
    });
    clock.advance(60_000);
    const shown = circuitAnswer.strict().parse((await sg.get(`/v1/circuits/${id}`)).body);
    expect(shown).to.deep.equal({
      ...{ id, callee: 'inventory', method: '', policy: 'guard', revision: 0, state: 'forced-open' },
      ...{ agents: [], cluster: null, override: { ...override, ttlMs: 3_540_000 } },
    });
  });

  it('end by themselves, and leave the list with the next write', async () => {
    await put({ ...open, ttl: '10s' });
    clock.advance(10_000);
    expect(await circuits()).to.deep.equal([]);
    expect(context.mirror.overrides?.setting.overrides.size).to.equal(1);
    await sg.put('/v1/policies/other', policy('other', { spec: { circuit: {} } }));
    await put({ state: 'closed', reason: 'x' }, '/v1/circuits/inventory|other/override');
    expect([...(context.mirror.overrides?.setting.overrides.keys() ?? [])]).to.deep.equal([
      'inventory|other',
    ]);
  });

  it('are told as events: said, ended by themselves, and the kill switch', async () => {
    const told: object[] = [];
    const stop = context.events.read(({ type, data }) => {
      if (type === 'override' || type === 'freeze') told.push({ type, ...data });
    });
    await put({ ...open, ttl: '10s' });
    clock.advance(10_000);
    await sg.put('/v1/freeze', { reason: 'a strange night' });
    await sg.delete('/v1/freeze');
    stop();
    const nobody = { reason: '', author: '', ttlMs: null };
    const [author, frozen] = ['anonymous', { type: 'freeze', frozen: true }];
    expect(told).to.deep.equal([
      { type: 'override', circuit: id, ...open, author, ttlMs: 10_000 },
      { type: 'override', circuit: id, state: 'auto', ...nobody },
      { ...frozen, reason: 'a strange night', author, ttlMs: null },
      { type: 'freeze', frozen: false, ...nobody },
    ]);
  });

  it('are taken away, and a second time is no change', async () => {
    await put(open);
    const gone = overrideAnswer.strict().parse((await sg.delete(path)).body);
    expect(gone).to.deep.include({ override: null, revision: 3, changed: true });
    expect((await sg.delete(path)).body).to.deep.include({ revision: 3, changed: false });
    expect(await circuits()).to.deep.equal([]);
  });

  it('can be taken away when the policy is gone', async () => {
    await put(open);
    await sg.delete('/v1/policies/guard');
    expect((await sg.delete(path)).body).to.include({ changed: true });
  });

  it('stand beside what agents report, and the worst speaks for the circuit', async () => {
    context.roster.circuitRows = [circuitRow('checkout/c1', 'open', { id, policy: 'guard' })];
    await put({ state: 'closed', reason: 'a false alarm' });
    const [circuit] = await circuits();
    expect(circuit).to.include({ id, state: 'open' });
    expect(circuit?.override).to.include({ state: 'closed' });
  });

  it('lose nothing of writes that come together', async () => {
    const methods = Array.from({ length: 5 }, (_, n) => `m${n}`);
    for (const name of methods) await sg.put(`/v1/policies/${name}`, policy(name, { spec: { circuit: {} } }));
    await Promise.all(methods.map((name) => put(open, `/v1/circuits/inventory|${name}/override`)));
    expect((await circuits()).map((circuit) => circuit.policy)).to.deep.equal(methods);
  });

  it('are one write under one Idempotency-Key', async () => {
    const first = await sg.put(path, open, { 'idempotency-key': 'k' });
    await sg.delete(path);
    const again = await sg.put(path, open, { 'idempotency-key': 'k' });
    expect(again.body).to.include({ revision: first.body.revision });
    expect((await sg.put(path, { ...open, state: 'closed' }, { 'idempotency-key': 'k' })).status).to.equal(
      400,
    );
  });

  for (const [what, body, issue] of [
    ['no state', { reason: 'x' }, /^state: is required: one of open, closed/],
    ['no reason', { state: 'open' }, /^reason: is required: a text that says why/],
    [
      'another state',
      { state: 'opne', reason: 'x' },
      /^state: must be one of open, closed; got "opne"; did you/,
    ],
    ['a time without a unit', { ...open, ttl: '10' }, /^ttl: must be a duration with its unit/],
    ['a time too long', { ...open, ttl: '200h' }, /^ttl: .* from 1s to 168h/],
    ['a misspelt field', { ...open, tll: '1h' }, /^tll: unknown field; did you mean ttl\?/],
    ['no object', [], /^: must be an object with any of state, reason, ttl/],
  ] as const)
    it(`refuse ${what} with its path`, async () => {
      const answer = await sg.put(path, body);
      expect(answer.status, answer.text).to.equal(422);
      expect(issuesOf(answer)[0]).to.match(issue);
    });

  for (const [what, circuit, reason] of [
    ['no such policy', 'inventory|nobody', /there is no policy nobody/],
    ['a policy for another callee', 'payments|guard', /for calls to inventory: inventory\|guard/],
    ['a policy without a circuit', 'inventory|plain', /has no section circuit/],
    ['a policy that is off', 'inventory|off', /is off/],
    [
      'a circuit for each method',
      'inventory|per',
      /circuit for each method: inventory\|per\|<pkg.Service\/Method>/,
    ],
    ['one circuit for all', 'inventory|guard|a.B/C', /one circuit for all methods: inventory\|guard/],
    ['another method', 'inventory|per|a.X/C', /is for the method a.B\/\*/],
    ['calls into a service', 'self|inbound', /calls into a service have no circuit/],
    ['a zone', 'inventory|guard@eu', /override is of all zones: inventory\|guard/],
    ['no id at all', 'inventory', /an id reads <callee>\|<policy>/],
  ] as const)
    it(`are refused for ${what}, with what would be right`, async () => {
      await sg.put('/v1/policies/plain', policy('plain'));
      const inbound = { match: { to: 'self' }, spec: { circuit: {} } };
      await sg.put('/v1/policies/inbound', policy('inbound', inbound));
      await sg.put('/v1/policies/off', policy('off', { mode: 'off', spec: { circuit: {} } }));
      const per = { match: { to: 'inventory', method: 'a.B/*' }, spec: { circuit: { per: 'method' } } };
      await sg.put('/v1/policies/per', policy('per', per));
      const answer = await sg.put(`/v1/circuits/${circuit}/override`, open);
      expect(answer.status).to.equal(404);
      expect(answer.body.detail).to.match(reason);
      expect((await sg.put('/v1/circuits/inventory|per|a.B/C/override', open)).status).to.equal(200);
    });

  it('are possible for what an agent reports, whatever the policies say', async () => {
    context.roster.circuitRows = [circuitRow('checkout/c1', 'open')];
    expect((await sg.put('/v1/circuits/inventory|inventory-default/override', open)).status).to.equal(200);
  });

  it('take no conditions, no dry run and no other path', async () => {
    expect((await sg.put(path, open, { 'if-match': '"1"' })).body.code).to.equal('invalid_request');
    expect((await sg.put(`${path}?dryRun=true`, open)).status).to.equal(400);
    expect((await sg.put(`/v1/circuits/${id}`, open)).body.detail).to.include('/v1/circuits/{id}/override');
    expect((await sg.post(path, open)).headers.get('allow')).to.equal('GET, HEAD, PUT, DELETE');
  });

  it('are in the audit with what was done, and nowhere among the policies', async () => {
    await put(open);
    await sg.delete(path);
    await sg.put('/v1/freeze', { reason: 'x' });
    const { entries } = (await sg.get('/v1/audit')).body;
    expect(entries.map(({ action }: { action: string }) => action).slice(0, 3)).to.deep.equal([
      'freeze circuits: x',
      `circuit auto ${id}`,
      `circuit open ${id}: it burns`,
    ]);
    expect(entries[2].changes).to.deep.equal([{ policy: '~circuits', revision: 2, previous: null }]);
    expect((await sg.get('/v1/policies')).body.policies).to.have.length(1);
    expect((await sg.get('/v1/export')).text).not.to.include('~circuits');
    expect((await sg.get('/metrics')).text)
      .to.match(/^switchgear_writes_total\{.*action="override".*\} 2$/m)
      .and.to.match(/^switchgear_store_faults\{.*\} 0$/m);
  });

  it('show what the mesh has decided, and what it was decided from', async () => {
    context.views = [clusterView({ id }), clusterView({ id: `${id}@eu`, state: 'closed' }, { shadow: true })];
    const [first, second] = await circuits();
    expect(first).to.include({ id, state: 'open', revision: 7, callee: 'inventory', policy: 'guard' });
    expect(first?.cluster).to.deep.include({
      ...{ state: 'open', epoch: 4, reason: '12 of 20 calls failed', ageMs: 1500, nextStepMs: 3500 },
      window: { ms: 2000, calls: 20, failed: 12, slow: 0, agents: 5, over: 3, blocked: 8 },
      reporters: [{ agent: 'checkout/c1', zone: 'eu', calls: 9, failed: 9, slow: 0 }],
      suspects: ['checkout/c1'],
      permits: [
        { agent: 'checkout/c1', outcome: 'pending' },
        { agent: 'web/w1', outcome: 'ok' },
      ],
      ejected: [{ endpoint: '10.0.0.1:1', leftMs: 10_000, times: 1 }],
    });
    expect(second).to.include({ id: `${id}@eu`, state: 'shadow', policy: 'guard' });
  });

  describe('the kill switch', () => {
    it('is off at first, on with a reason, and off again', async () => {
      const off = { frozen: false, reason: '', author: '', ttlMs: null };
      expect(freezeAnswer.strict().parse((await sg.get('/v1/freeze')).body)).to.deep.equal(off);
      const on = freezeWriteAnswer.strict().parse((await sg.put('/v1/freeze', { reason: 'panic' })).body);
      expect(on).to.include({ frozen: true, reason: 'panic', author: 'anonymous', ttlMs: null, revision: 2 });
      expect(context.overrides.frozen()).to.equal('frozen by anonymous: panic');
      expect((await sg.delete('/v1/freeze')).body).to.include({ ...off, changed: true });
      expect((await sg.delete('/v1/freeze')).body).to.include({ ...off, changed: false });
    });

    it('ends by itself where it was told to', async () => {
      expect((await sg.put('/v1/freeze', { reason: 'panic', ttl: '5m' })).body).to.include({
        ttlMs: 300_000,
      });
      clock.advance(300_000);
      expect((await sg.get('/v1/freeze')).body).to.include({ frozen: false });
    });

    it('needs a reason', async () => {
      expect(issuesOf(await sg.put('/v1/freeze', {}))[0]).to.match(/^reason: is required/);
    });
  });
});

describe('overrides as services meet them', () => {
  let sg: Running;
  let mesh: Mesh;
  beforeEach(async () => {
    sg = await startRest();
  });
  afterEach(async () => {
    await mesh?.close();
    await sg.close();
  });

  for (const scope of ['local', 'cluster'])
    it(`open a circuit of scope ${scope} at once, also where nobody has called yet, and let go of it`, async () => {
      await sg.put('/v1/policies/guard', policy('guard', { spec: { circuit: { scope } } }));
      await sg.put(path, open);
      mesh = await connect({
        ...{ service: 'checkout', controlPlane: sg.plane.grpcAddress, callees: ['inventory'] },
        ...{ snapshot: false, logger: keptLogger() },
      });
      const call = () => mesh.guard('inventory', () => 'ok').catch(({ code }: { code: string }) => code);
      await until(async () => (await call()) === 'circuit_open', { what: 'the circuit to be forced open' });
      expect(mesh.circuit('inventory')).to.include({ state: 'forced-open' });
      await until(async () => (await sg.get(`/v1/circuits/${id}`)).body.agents.length > 0, {
        what: 'a report',
      });
      expect((await sg.get(`/v1/circuits/${id}`)).body).to.include({ state: 'forced-open' });
      await sg.delete(path);
      await until(async () => (await call()) === 'ok', {
        what: 'the circuit to be left to itself',
        timeoutMs: 3000,
      });
      await sg.put(path, { ...open, state: 'closed' });
      await until(() => mesh.circuit('inventory').state === 'forced-closed', { what: 'the override' });
      expect(await call()).to.equal('ok');
    });
});
