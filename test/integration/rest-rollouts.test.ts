/** Staged rollouts over REST: who would have one and who has, what a halted one refuses, and how it is let go on. */
import { expect } from 'chai';
import { agentAnswer } from '../../control-plane/rest/agents.js';
import { applyAnswer } from '../../control-plane/rest/apply.js';
import type { App } from '../../control-plane/rest/context.js';
import { policiesAnswer } from '../../control-plane/rest/policies.js';
import { buildRest } from '../../control-plane/rest/server.js';
import { statusAnswer } from '../../control-plane/rest/status.js';
import { previewAnswer, writeAnswer } from '../../control-plane/rest/writes.js';
import { formatHalts, haltInForce, haltOf, haltsName } from '../../core/policy/halts.js';
import { inRollout } from '../../core/policy/index.js';
import { agentRow } from '../support/fake-roster.js';
import { mirrorView } from '../support/mirror-view.js';
import { policy, type RestClient, restClient } from '../support/rest.js';
import { restContext, type TestContext } from '../support/rest-context.js';

const path = '/v1/policies/p';
const names = Array.from({ length: 30 }, (_, i) => `a${i}`);
const [in1 = '', in2 = ''] = names.filter((name) => inRollout(25, 'p', name));
const [out1 = ''] = names.filter((name) => !inRollout(25, 'p', name));

const said = (timeout: string, percent = 100, name = 'p') =>
  policy(name, { spec: { timeout }, ...(percent === 100 ? {} : { rollout: { percent } }) });

describe('staged rollouts over REST', () => {
  let context: TestContext;
  let app: App;
  let sg: RestClient;
  /** Called once, before the next write. */
  let between: (() => Promise<unknown>) | undefined;
  beforeEach(async () => {
    between = undefined;
    context = await restContext({
      mirror: (real) =>
        mirrorView(real, () => ({
          write: async (request: Parameters<typeof real.write>[0]) => {
            const first = between;
            between = undefined;
            await first?.();
            return real.write(request);
          },
        })),
    });
    app = await buildRest(context);
    sg = restClient(await app.listen({ host: '127.0.0.1', port: 0 }));
    await sg.put(path, said('1s'));
    const able = { callees: ['inventory'], capabilities: ['timeout', 'rollout'] };
    context.roster.rows = [in1, in2, out1].map((name) => agentRow('checkout', name, able));
  });
  afterEach(async () => {
    await app.close();
    await context.close();
  });

  const put = async (body: object, query = '', headers: Record<string, string> = {}) => {
    const answer = await sg.put(`${path}${query}`, body, headers);
    expect(answer.status, answer.text).to.equal(200);
    return writeAnswer.strict().parse(answer.body);
  };
  /** As the control plane does it. */
  const halt = async (name = 'p') => {
    const { mirror } = context;
    const present = mirror.policy(name);
    const { halts } = mirror.halts;
    const one = {
      policy: name,
      revision: present?.revision ?? 0,
      percent: present?.policy.rollout.percent ?? 0,
      reason: `checkout/${in1} refuses it`,
      at: 1_700_000_000_000,
    };
    const document = formatHalts(halts, one, (other) => mirror.policy(other));
    const operations = [{ kind: 'put', name: haltsName, document, expected: 'any' }] as const;
    await mirror.write({ requestId: `${Math.random()}`, author: 'switchgear', action: 'halt', operations });
  };
  const inForce = (name = 'p') => haltInForce(context.mirror.halts.halts, context.mirror.policy(name));
  const rollout = async () => statusAnswer.strict().parse((await sg.get(`${path}/status`)).body).rollout;

  it('say before whom they would reach, and who would refuse: nobody whom they are not for', async () => {
    const old = agentRow('checkout', out1, { callees: ['inventory'], capabilities: ['timeout'] });
    const poor = agentRow('checkout', `${out1}`, { callees: ['inventory'], capabilities: ['rollout'] });
    const preview = async () =>
      previewAnswer.strict().parse((await sg.put(`${path}?dryRun=true`, said('2s', 25))).body);
    expect(await preview()).to.deep.include({
      rollout: { percent: 25, reached: 2, total: 3, previous: 1 },
      refusedBy: [],
    });
    context.roster.rows = [poor];
    expect(await preview()).to.deep.include({ refusedBy: [] });
    context.roster.rows = [old];
    expect((await preview()).refusedBy).to.deep.equal([{ agent: old.agent, missing: ['rollout'] }]);
    const whole = (await sg.put(`${path}?dryRun=true`, said('2s'))).body;
    expect(whole).to.not.have.property('rollout');
  });

  it('say who has them, in the status, the list and of each agent', async () => {
    const { revision } = await put(said('2s', 25));
    expect(await rollout()).to.deep.equal({ percent: 25, reached: 0, total: 3, previous: 1 });
    const acked = { acked: revision };
    context.roster.rows = context.roster.rows.map((row) => ({ ...row, ...acked }));
    expect(await rollout()).to.deep.equal({ percent: 25, reached: 2, total: 3, previous: 1 });
    const { policies } = policiesAnswer.strict().parse((await sg.get('/v1/policies')).body);
    expect(policies[0]?.rollout).to.deep.equal({ percent: 25, previous: 1 });
    const agent = agentAnswer.strict().parse((await sg.get(`/v1/agents/checkout/${out1}`)).body);
    expect(agent.rollouts).to.deep.equal([
      { policy: 'p', revision, percent: 25, reached: false, previous: 1 },
    ]);
  });

  it('do not grow while they are halted, neither alone nor among others, and say why', async () => {
    const { revision } = await put(said('2s', 25));
    await halt();
    expect(await rollout()).to.deep.include({
      halted: { reason: `checkout/${in1} refuses it`, at: '2023-11-14T22:13:20.000Z', revision },
    });
    for (const percent of [26, 100])
      for (const query of ['', '?dryRun=true', '?resume=false']) {
        const { status, body } = await sg.put(`${path}${query}`, said('2s', percent));
        expect([status, body.code, body.policy, body.revision]).to.deep.equal([
          409,
          'rollout_halted',
          'p',
          revision,
        ]);
        expect(body.detail).to.contain(`halted at 25 %: checkout/${in1} refuses it.`);
      }
    const many = await sg.post('/v1/apply', [said('1s', 100, 'other'), said('2s', 50)]);
    expect(many.status).to.equal(409);
    expect(context.mirror.policy('other')).to.equal(undefined);
  });

  it('may shrink, stay, become others, or be rolled back while they are halted', async () => {
    await put(said('2s', 25));
    await halt();
    expect(await put(said('2s', 25))).to.include({ changed: false });
    await put(said('2s', 10));
    expect(inForce()?.percent).to.equal(25);
    expect((await sg.put(path, said('2s', 25))).status).to.equal(409);
    await put(said('3s', 90));
    expect(inForce()).to.equal(undefined);
    await put(said('3s', 95));
    await halt();
    expect((await sg.post(`${path}/rollback`, { to: 1 })).status).to.equal(200);
    expect(context.mirror.policy('p')?.staged).to.equal(undefined);
  });

  it('go on by a write that says so, whether they grow by it or not', async () => {
    const { revision } = await put(said('2s', 25));
    await halt();
    expect(await put(said('2s', 25), '?resume=true')).to.deep.include({ revision, changed: false });
    expect(inForce()).to.equal(undefined);
    expect(await rollout()).to.not.have.property('halted');
    const { halts } = context.mirror.halts;
    expect(haltOf(halts, context.mirror.policy('p'))?.resumed?.author).to.equal('anonymous');
    await put(said('2s', 50));
    await halt();
    expect(await put(said('2s', 75), '?resume=true')).to.include({ changed: true });
    expect(inForce()).to.equal(undefined);
  });

  it('go on among others, whose answers are as ever', async () => {
    await put(said('2s', 25));
    await sg.put('/v1/policies/q', said('2s', 25, 'q'));
    await halt();
    await halt('q');
    const many = [said('1s', 100, 'other'), said('2s', 50), said('2s', 60, 'q')];
    const { results } = applyAnswer.strict().parse((await sg.post('/v1/apply?resume=true', many)).body);
    expect(results.map(({ policy, changed }) => [policy, changed])).to.deep.equal([
      ['other', true],
      ['p', true],
      ['q', true],
    ]);
    expect([inForce(), inForce('q')]).to.deep.equal([undefined, undefined]);
  });

  it('go on also where another is halted at the same moment, which stays', async () => {
    await put(said('2s', 25));
    await sg.put('/v1/policies/q', said('2s', 25, 'q'));
    await halt();
    between = () => halt('q');
    await put(said('2s', 50), '?resume=true');
    expect([inForce(), inForce('q')?.policy]).to.deep.equal([undefined, 'q']);
  });

  it('are one write under one key', async () => {
    await put(said('2s', 25));
    await halt();
    const key = { 'idempotency-key': 'k1' };
    const first = await put(said('2s', 50), '?resume=true', key);
    expect(await put(said('2s', 50), '?resume=true', key)).to.deep.equal(first);
    await halt();
    expect(await put(said('2s', 50), '?resume=true', key)).to.deep.equal(first);
    expect(inForce()?.percent).to.equal(50);
  });

  it('have nothing to go on where nothing is halted', async () => {
    await put(said('2s', 25), '?resume=true');
    expect(context.mirror.halts.revision).to.equal(0);
    expect((await sg.put(`${path}?resume=yes`, said('2s', 25))).status).to.equal(400);
  });
});
