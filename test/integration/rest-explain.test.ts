/** Explain in a fleet of several releases: who enforces what, who refuses what, and what those keep. */
import { expect } from 'chai';
import type { App } from '../../control-plane/rest/context.js';
import { explainAnswer } from '../../control-plane/rest/explain.js';
import { buildRest } from '../../control-plane/rest/server.js';
import { runCli } from '../support/cli.js';
import { agentRow } from '../support/fake-roster.js';
import { policy, type RestClient, restClient } from '../support/rest.js';
import { restContext, type TestContext } from '../support/rest-context.js';

const able = ['timeout', 'circuit', 'rateLimit'];
const path = '/v1/explain?from=checkout&to=inventory';

describe('explain in a mixed fleet', () => {
  let context: TestContext;
  let app: App;
  let sg: RestClient;
  let url: string;
  beforeEach(async () => {
    context = await restContext();
    app = await buildRest(context);
    url = await app.listen({ host: '127.0.0.1', port: 0 });
    sg = restClient(url);
  });
  afterEach(async () => {
    await app.close();
    await context.close();
  });

  const explained = async () => explainAnswer.strict().parse((await sg.get(path)).body);
  const put = async (name: string, spec: object) => {
    expect((await sg.put(`/v1/policies/${name}`, policy(name, { spec }))).status).to.be.oneOf([200, 201]);
  };
  const [first, second] = [{ timeout: '1s' }, { timeout: '1s', rateLimit: { rate: 5, scope: 'cluster' } }];
  const refusal = { policy: 'inv', revision: 2, reason: "this agent can't enforce rateLimit" };
  const young = () => agentRow('checkout', 'new', { version: '2.0.0', capabilities: able, applied: 2 });
  const old = (fields = {}) =>
    agentRow('checkout', 'old', { version: '1.0.0', applied: 1, refused: [refusal], ...fields });

  it('tells of each release what it enforces, what it refuses, and the revision that it keeps', async () => {
    await put('inv', first);
    await put('inv', second);
    context.roster.rows = [young(), old()];
    const { agents, notes, refused } = await explained();
    expect(agents).to.deep.equal([
      {
        ...{ agents: 1, examples: ['checkout/new'], version: '2.0.0', protocol: '1.0' },
        ...{ enforces: [{ policy: 'inv', revision: 2 }], refuses: [] },
      },
      {
        ...{ agents: 1, examples: ['checkout/old'], version: '1.0.0', protocol: '1.0', enforces: [] },
        refuses: [{ policy: 'inv', revision: 2, lacks: ['rateLimit'], keeps: 1 }],
      },
    ]);
    expect(notes.map(({ message }) => message)).to.deep.equal([
      "inv@2 is refused whole by 1 of 2 agents (version 1.0.0, protocol 1.0), which can't enforce rateLimit; they keep inv@1",
      'rateLimit.scope: cluster of inv@2 is enforced by 1 of 2 agents (version 2.0.0, protocol 1.0), each for itself',
    ]);
    expect(refused).to.deep.equal([{ agent: 'checkout/old', ...refusal, keeps: 1 }]);
  });

  it('reads each document of the past once, however many agents refuse the present one', async () => {
    for (let i = 1; i <= 5; i++) await put('inv', { ...second, timeout: `${i}s` });
    context.roster.rows = Array.from({ length: 50 }, (_, i) => ({ ...old(), agent: `checkout/old-${i}` }));
    let parsed = 0;
    const { parse } = JSON;
    JSON.parse = (text: string, ...more: []) => {
      if (text.includes('"rateLimit"')) parsed++;
      return parse(text, ...more);
    };
    const { agents } = await explained().finally(() => {
      JSON.parse = parse;
    });
    expect(agents[0]).to.include({ agents: 50 });
    expect(parsed).to.be.at.most(10);
  });

  it('counts agents that do the same together', async () => {
    await put('inv', first);
    context.roster.rows = Array.from({ length: 5 }, (_, i) => agentRow('checkout', `c${i}`));
    const { agents } = await explained();
    expect(agents).to.have.length(1);
    expect(agents[0]).to.deep.include({
      ...{ agents: 5, examples: ['checkout/c0', 'checkout/c1', 'checkout/c2'] },
      ...{ enforces: [{ policy: 'inv', revision: 1 }], refuses: [] },
    });
  });

  it('says of a policy that an old agent never had, or that was away in between, that it keeps nothing', async () => {
    await put('other', first);
    await put('inv', second);
    context.roster.rows = [young(), old()];
    expect((await explained()).agents[1]?.refuses).to.deep.equal([
      { policy: 'inv', revision: 2, lacks: ['rateLimit'], keeps: null },
    ]);
    await put('more', first);
    await sg.delete('/v1/policies/more');
    await put('more', second);
    const { agents, notes } = await explained();
    expect(agents[1]?.refuses[1]).to.include({ policy: 'more', keeps: null });
    expect(notes.map(({ message }) => message).join('\n')).to.match(/^more@5 .*; they have nothing of it$/m);
  });

  it('does not claim to know what an agent keeps that came after the revision it refuses', async () => {
    await put('inv', first);
    await put('inv', second);
    const keeps = async (connectedMs: number) => {
      context.roster.rows = [old({ applied: 0, connectedMs })];
      const { agents, notes } = await explained();
      return [agents[0]?.refuses[0]?.keeps, notes[0]?.message.split('; ')[1]];
    };
    // Below zero: a minute from now, which is certainly after the writes.
    expect(await keeps(-60_000)).to.deep.equal([undefined, 'they keep the revision they had, if any']);
    expect(await keeps(60_000)).to.deep.equal([1, 'they keep inv@1']);
  });

  it('says that full ability is assumed where no such agent is connected', async () => {
    await put('inv', second);
    const { agents, notes } = await explained();
    expect(agents).to.deep.equal([]);
    expect(notes.map(({ kind }) => kind)).to.include('assumed');
    expect(notes.find(({ kind }) => kind === 'assumed')?.message).to.match(
      /^no agent that makes such calls is/,
    );
  });

  it('is one look at the command line', async () => {
    await put('inv', first);
    await put('inv', second);
    context.roster.rows = [young(), old()];
    const { stdout } = await runCli(['explain', 'inventory', '--from', 'checkout', '--server', url]);
    expect(stdout)
      .to.match(/^AGENTS +VERSION +PROTOCOL +ENFORCES +KEEPS$/m)
      .and.to.match(/^checkout\/new +2.0.0 +1.0 +inv@2 +-$/m)
      .and.to.match(/^checkout\/old +1.0.0 +1.0 +- +inv@1 for 2$/m);
  });
});
