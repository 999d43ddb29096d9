/** What REST says of the mesh: services, agents, circuits, how far a policy has come, and why a call is treated as it is. */
import { expect } from 'chai';
import { agentAnswer, agentsAnswer } from '../../control-plane/rest/agents.js';
import { circuitAnswer, circuitsAnswer } from '../../control-plane/rest/circuits.js';
import type { App } from '../../control-plane/rest/context.js';
import { explainAnswer } from '../../control-plane/rest/explain.js';
import { buildRest } from '../../control-plane/rest/server.js';
import { serviceAnswer, servicesAnswer } from '../../control-plane/rest/services.js';
import { statusAnswer } from '../../control-plane/rest/status.js';
import type { Instance } from '../../control-plane/store/store.js';
import { agentRow, circuitRow } from '../support/fake-roster.js';
import { policy, type RestClient, restClient } from '../support/rest.js';
import { restContext, type TestContext } from '../support/rest-context.js';
import { until } from '../support/until.js';

const instance = (service: string, name: string): Instance => ({
  id: `${service}/${name}`,
  service,
  instance: name,
  boot: 1,
  address: '127.0.0.1:50051',
  protocol: 'grpc',
  zone: 'z1',
  version: '1.4.2',
  weight: 1,
  registeredAt: 1_700_000_000_000,
  replica: 'r1',
});

describe('the mesh over REST', () => {
  let context: TestContext;
  let app: App;
  let sg: RestClient;
  beforeEach(async () => {
    context = await restContext();
    app = await buildRest(context);
    sg = restClient(await app.listen({ host: '127.0.0.1', port: 0 }));
  });
  afterEach(async () => {
    await app.close();
    await context.close();
  });

  describe('services', () => {
    beforeEach(async () => {
      const { store, roster, mirror } = context;
      await store.lease([instance('inventory', 'i1'), instance('inventory', 'i2')], 60_000);
      await store.learn('checkout', ['inventory', 'payments']);
      roster.rows = [agentRow('inventory', 'i1')];
      roster.healths.set('inventory', { calls: 10, failed: 3, slow: 2, rejected: 1 });
      await until(() => mirror.instances('inventory').length === 2 && mirror.interests().has('checkout'), {
        what: 'the mirror to know them',
      });
    });

    it('are who can be called and who calls, with instances, leases and health', async () => {
      const { services } = servicesAnswer.strict().parse((await sg.get('/v1/services')).body);
      expect(services.map(({ service }) => service)).to.deep.equal(['checkout', 'inventory']);
      expect(services[0]).to.deep.include({ instances: [], callees: ['inventory', 'payments'] });
      expect(services[1]?.health).to.deep.equal({ calls: 10, failed: 3, slow: 2, rejected: 1 });
    });

    it('tell of each instance where it is, and whether its stream is there', async () => {
      const { body } = await sg.get('/v1/services/inventory');
      const { instances } = serviceAnswer.strict().parse(body);
      expect(instances.map(({ id, lease }) => [id, lease.connected])).to.deep.equal([
        ['inventory/i1', true],
        ['inventory/i2', false],
      ]);
      expect(instances[0]).to.deep.include({
        address: '127.0.0.1:50051',
        zone: 'z1',
        version: '1.4.2',
        lease: { since: '2023-11-14T22:13:20.000Z', replica: 'r1', connected: true },
      });
    });

    it('are 404 when nobody has heard of them', async () => {
      expect((await sg.get('/v1/services/nobody')).body.code).to.equal('not_found');
    });
  });

  describe('agents', () => {
    beforeEach(() => {
      const refused = [{ policy: 'inventory-default', revision: 7, reason: 'needs retry' }];
      context.roster.rows = [
        agentRow('checkout', 'c1', { sent: 9, acked: 9, applied: 6, refused }),
        agentRow('web', 'w1'),
      ];
    });

    it('are listed, all or of one service', async () => {
      const { agents } = agentsAnswer.strict().parse((await sg.get('/v1/agents')).body);
      expect(agents.map(({ agent }) => agent)).to.deep.equal(['checkout/c1', 'web/w1']);
      const { body } = await sg.get('/v1/agents?service=web');
      expect(body.agents.map(({ agent }: { agent: string }) => agent)).to.deep.equal(['web/w1']);
    });

    for (const id of ['checkout/c1', 'checkout%2Fc1'])
      it(`are found as ${id}`, async () => {
        const agent = agentAnswer.strict().parse((await sg.get(`/v1/agents/${id}`)).body);
        expect(agent).to.deep.include({ agent: 'checkout/c1', sent: 9, applied: 6 });
        expect(agent.refused[0]?.reason).to.equal('needs retry');
      });

    it('are 404 when they are not connected', async () => {
      for (const id of ['checkout/c2', 'checkout', 'c1'])
        expect((await sg.get(`/v1/agents/${id}`)).body.code, id).to.equal('not_found');
    });
  });

  it('tells in a dry run which agents would refuse the policy, and for want of what', async () => {
    context.roster.rows = [
      agentRow('checkout', '1', { callees: ['inventory'] }),
      agentRow('checkout', '2', { callees: ['inventory'], capabilities: ['timeout', 'retry', 'idempotent'] }),
    ];
    const document = { match: { to: 'inventory' }, spec: { timeout: '1s', retry: { attempts: 3 } } };
    const { status, body } = await sg.put('/v1/policies/a?dryRun=true', document);
    expect(status, JSON.stringify(body)).to.equal(200);
    expect(body.agents).to.deep.equal(['checkout/1', 'checkout/2']);
    expect(body.refusedBy).to.deep.equal([{ agent: 'checkout/1', missing: ['retry'] }]);
  });

  it('tells in a dry run of a policy that moves only of agents that keep it that they would refuse it', async () => {
    context.roster.rows = [
      agentRow('checkout', '1', { callees: ['inventory'] }),
      agentRow('web', '1', { callees: ['payments'] }),
    ];
    await sg.put('/v1/policies/a', policy('a'));
    const shares = { maxConcurrent: 9, shares: { critical: '50%' } };
    const document = { match: { to: 'payments' }, spec: { bulkhead: shares } };
    const { body } = await sg.put('/v1/policies/a?dryRun=true', document);
    expect(body.agents).to.deep.equal(['checkout/1', 'web/1']);
    expect(body.refusedBy).to.deep.equal([{ agent: 'web/1', missing: ['bulkhead', 'bulkhead.shares'] }]);
  });

  describe('circuits', () => {
    it('tells whole milliseconds', async () => {
      context.roster.circuitRows = [circuitRow('a/1', 'open', { ageMs: 284.896, retryAfterMs: 99.6 })];
      const { circuits } = circuitsAnswer.strict().parse((await sg.get('/v1/circuits')).body);
      expect(circuits[0]?.agents[0]).to.include({ ageMs: 285, retryAfterMs: 100 });
    });

    const method = {
      id: 'inventory|inv|shop.v1.Inventory/Reserve',
      policy: 'inv',
      method: 'shop.v1.Inventory/Reserve',
    };
    beforeEach(() => {
      context.roster.circuitRows = [
        circuitRow('checkout/c1', 'closed'),
        circuitRow('checkout/c2', 'open', { revision: 8, retryAfterMs: 1200, reason: '9 of 10 failed' }),
        circuitRow('web/w1', 'half-open'),
        circuitRow('checkout/c1', 'closed', method),
        circuitRow('checkout/c1', 'something-new', { id: 'b|p', callee: 'b', policy: 'p' }),
      ];
    });

    it('are grouped by their id, the worst first', async () => {
      const { circuits } = circuitsAnswer.strict().parse((await sg.get('/v1/circuits')).body);
      expect(circuits.map(({ id, state }) => [id, state])).to.deep.equal([
        ['inventory|inventory-default', 'open'],
        ['b|p', 'something-new'],
        [method.id, 'closed'],
      ]);
    });

    for (const id of ['inventory|inventory-default', 'inventory%7Cinventory-default'])
      it(`are found as ${id}, with each agent's account`, async () => {
        const circuit = circuitAnswer.strict().parse((await sg.get(`/v1/circuits/${id}`)).body);
        expect(circuit).to.include({
          state: 'open',
          revision: 8,
          callee: 'inventory',
          policy: 'inventory-default',
        });
        expect(circuit.agents.map(({ agent, state }) => [agent, state])).to.deep.equal([
          ['checkout/c2', 'open'],
          ['web/w1', 'half-open'],
          ['checkout/c1', 'closed'],
        ]);
        expect(circuit.agents[0]).to.include({ retryAfterMs: 1200, reason: '9 of 10 failed' });
      });

    it('are found by an id with a method', async () => {
      expect((await sg.get(`/v1/circuits/${encodeURIComponent(method.id)}`)).body.method).to.equal(
        method.method,
      );
      expect((await sg.get(`/v1/circuits/${method.id}`)).status).to.equal(200);
    });

    it('are 404 when no agent reports them', async () => {
      expect((await sg.get('/v1/circuits/a|b')).body.code).to.equal('not_found');
    });

    it('count by state in the metrics, unknown states together', async () => {
      const { text } = await sg.get('/metrics');
      const count = (state: string) =>
        new RegExp(`^switchgear_circuits\\{[^}]*state="${state}"[^}]*\\} (\\d+)$`, 'm').exec(text)?.[1];
      expect([count('open'), count('closed'), count('half-open'), count('other')]).to.deep.equal([
        '1',
        '2',
        '1',
        '1',
      ]);
      expect(text).not.to.include('something-new');
    });
  });

  it('says how far a policy has come', async () => {
    await sg.put('/v1/policies/inv', policy('inv'));
    context.roster.rows = [
      agentRow('checkout', 'c1', { applied: 1 }),
      agentRow('checkout', 'c2', { refused: [{ policy: 'inv', revision: 1, reason: 'needs retry' }] }),
      agentRow('web', 'w1'),
    ];
    expect(statusAnswer.strict().parse((await sg.get('/v1/policies/inv/status')).body)).to.deep.equal({
      policy: 'inv',
      revision: 1,
      agents: {
        total: 3,
        applied: 1,
        pending: 1,
        refused: [{ agent: 'checkout/c2', reason: 'needs retry' }],
      },
    });
  });

  it('names in a dry run the agents that would be told, of the old match and the new', async () => {
    context.roster.rows = [
      agentRow('checkout', 'c1', { callees: ['inventory'] }),
      agentRow('web', 'w1', { callees: ['payments'] }),
      agentRow('idle', 'i1'),
    ];
    await sg.put('/v1/policies/inv', policy('inv'));
    const path = '/v1/policies/inv?dryRun=true';
    const agents = async (document: object) => (await sg.put(path, document)).body.agents;
    expect(await agents(policy('inv'))).to.deep.equal([]);
    expect(await agents(policy('inv', { spec: {} }))).to.deep.equal(['checkout/c1']);
    expect(await agents(policy('inv', { match: { to: 'payments' } }))).to.deep.equal([
      'checkout/c1',
      'web/w1',
    ]);
    expect((await sg.delete(path)).body.agents).to.deep.equal(['checkout/c1']);
  });

  describe('explain', () => {
    beforeEach(async () => {
      await sg.post('/v1/apply', [
        policy('all', { match: { to: '*' }, spec: { timeout: '2s', circuit: { window: '10s' } } }),
        policy('inv', { match: { to: 'inventory' }, spec: { timeout: '800ms', circuit: null } }),
        policy('inv-checkout', {
          match: { to: 'inventory', from: 'checkout', method: 'shop.v1.Inventory/*' },
          spec: { retry: { attempts: 3 }, idempotent: true },
        }),
      ]);
      context.roster.rows = [
        agentRow('checkout', 'c1', {
          capabilities: ['timeout', 'circuit', 'idempotent'],
          callees: ['inventory'],
          refused: [{ policy: 'inv-checkout', revision: 3, reason: "this agent can't enforce retry" }],
        }),
      ];
    });

    it('shows each field with the policy and revision it comes from', async () => {
      const answer = await sg.get('/v1/explain?from=web&to=inventory&method=shop.v1.Inventory/Reserve');
      const { matches, fields, refused } = explainAnswer.strict().parse(answer.body);
      expect(matches.map(({ policy, revision }) => [policy, revision])).to.deep.equal([
        ['all', 1],
        ['inv', 2],
      ]);
      expect(matches[1]).to.deep.include({ gives: ['timeout'], removes: ['circuit'] });
      expect(fields).to.deep.equal([
        { path: 'timeout', value: '800ms', default: false, policy: 'inv', revision: 2 },
      ]);
      expect(refused).to.deep.equal([]);
    });

    it('says what the agents concerned refuse, and why', async () => {
      const { body } = await sg.get(
        '/v1/explain?from=checkout&to=inventory&method=shop.v1.Inventory/Reserve',
      );
      const { fields, notes, refused } = explainAnswer.strict().parse(body);
      expect(fields.map(({ path }) => path)).to.include('retry.attempts');
      expect(refused).to.deep.equal([
        {
          agent: 'checkout/c1',
          policy: 'inv-checkout',
          revision: 3,
          reason: "this agent can't enforce retry",
          keeps: null,
        },
      ]);
      expect(
        notes
          .filter(({ kind }) => kind === 'refused')
          .map(({ message }) => message)
          .join(),
      ).to.match(/inv-checkout@3 .*retry/);
    });

    it('judges by what the agents can do that make such calls, each for itself', async () => {
      const able = ['timeout', 'idempotent', 'retry', 'rateLimit', 'rateLimit.cluster', 'bulkhead'];
      context.roster.rows = [
        agentRow('checkout', 'new', { capabilities: [...able, 'bulkhead.shares'], callees: ['inventory'] }),
        agentRow('web', 'old', { capabilities: ['timeout'], callees: ['other'] }),
      ];
      const shares = { maxConcurrent: 9, shares: { critical: '50%' } };
      const limit = { rate: 9, scope: 'cluster' };
      await sg.put('/v1/policies/s', policy('s', { spec: { bulkhead: shares, rateLimit: limit } }));
      const notes = async (query: string) => {
        const { body } = await sg.get(`/v1/explain?to=inventory${query}`);
        return explainAnswer
          .strict()
          .parse(body)
          .notes.filter(({ kind }) => kind === 'refused' || kind === 'approximated')
          .map(({ kind, message }) => `${kind} ${message.split(' ')[0]}`);
      };
      expect(await notes('&from=checkout')).to.deep.equal(['refused all@1']);
      expect(await notes('&from=web')).to.deep.equal(['refused all@1', 'refused s@4']);
      expect(await notes('')).to.deep.equal(['refused all@1']);
      context.roster.rows.push(agentRow('mail', 'old', { capabilities: able, callees: ['inventory'] }));
      expect(await notes('')).to.deep.equal(['refused all@1', 'refused all@1', 'refused s@4']);
    });

    it('notes a name that nobody has, and which one may have been meant', async () => {
      const unknown = async (query: string) => {
        const { body } = await sg.get(`/v1/explain?${query}`);
        return explainAnswer
          .strict()
          .parse(body)
          .notes.filter(({ kind }) => kind === 'unknown')
          .map(({ message }) => message);
      };
      expect(await unknown('to=inventroy&from=chekout')).to.deep.equal([
        'inventroy: nobody calls it, registered as it, or has a policy for it yet; did you mean inventory?',
        'chekout: nobody registered as it or has a policy from it yet; did you mean checkout?',
      ]);
      expect(await unknown('to=postgres')).to.deep.equal([
        'postgres: nobody calls it, registered as it, or has a policy for it yet',
      ]);
      expect(await unknown('to=inventory&from=checkout')).to.deep.equal([]);
      expect(await unknown('to=checkout')).to.deep.equal([]);
      expect(await unknown('to=self&from=checkout')).to.deep.equal([]);
    });

    it('says of a callee without any policy what holds for all', async () => {
      const { body } = await sg.get('/v1/explain?to=postgres');
      expect(body.fields.map(({ path }: { path: string }) => path)).to.include('circuit.window');
    });
  });
});
