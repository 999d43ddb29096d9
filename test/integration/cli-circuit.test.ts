/** `switchgear circuit`, `top`, and circuits of the mesh in `get circuits` and `status`: what is typed, and what people see. */
import { expect } from 'chai';
import type { App } from '../../control-plane/rest/context.js';
import { buildRest } from '../../control-plane/rest/server.js';
import { type Ran, runCli } from '../support/cli.js';
import { clusterView } from '../support/cluster-view.js';
import { circuitRow } from '../support/fake-roster.js';
import { policy, type RestClient, restClient } from '../support/rest.js';
import { restContext, type TestContext } from '../support/rest-context.js';
import { until } from '../support/until.js';

const id = 'inventory|guard';

describe('switchgear circuit', () => {
  let context: TestContext;
  let app: App;
  let sg: RestClient;
  beforeEach(async () => {
    context = await restContext();
    app = await buildRest(context);
    sg = restClient(await app.listen({ host: '127.0.0.1', port: 0 }));
    await sg.put('/v1/policies/guard', policy('guard', { spec: { circuit: { scope: 'cluster' } } }));
  });
  afterEach(async () => {
    await app.close();
    await context.close();
  });

  const cli = (argv: string[], how: Parameters<typeof runCli>[1] = {}): Promise<Ran> =>
    runCli([...argv, '--server', sg.url], how);
  const said = async (...argv: string[]) => {
    const { code, stdout, stderr } = await cli(argv);
    expect(code, stderr).to.equal(0);
    return stdout;
  };

  it('opens, closes and leaves to itself, and says who, why and until when', async () => {
    expect(await said('circuit', 'open', id, '--reason', 'it burns', '--ttl', '10m')).to.equal(
      `${id}: forced open by anonymous for 10 min more: it burns\n`,
    );
    expect(context.overrides.override(id)).to.include({ state: 'open', reason: 'it burns' });
    expect(await said('circuit', 'close', id, '--reason', 'false alarm')).to.match(
      /forced closed by .* for 60 min/,
    );
    expect(await said('circuit', 'auto', id)).to.equal(`${id}: left to itself again\n`);
    expect(await said('circuit', 'auto', id)).to.equal(`${id}: no override held\n`);
    expect(JSON.parse(await said('circuit', 'auto', id, '--json'))).to.include({
      circuit: id,
      override: null,
    });
  });

  it('freezes and thaws', async () => {
    expect(await said('circuit', 'freeze', '--reason', 'nonsense')).to.equal(
      'no circuit of the mesh opens: frozen by anonymous, until somebody says otherwise: nonsense\n',
    );
    expect(await said('status')).to.include('no circuit of the mesh opens: frozen by anonymous');
    expect(await said('top', '--once')).to.include('frozen by anonymous');
    expect(await said('circuit', 'thaw')).to.equal('circuits of the mesh may open again\n');
    expect(await said('circuit', 'thaw')).to.include('nothing was frozen');
  });

  for (const [argv, words] of [
    [['circuit', 'opne', id], "circuit does not know 'opne'. Use one of open, close, auto, freeze, thaw"],
    [['circuit', 'open'], 'switchgear get circuits'],
    [['circuit', 'open', id], 'say why'],
    [['circuit', 'freeze'], 'say why'],
    [['circuit', 'freeze', id, '--reason', 'x'], 'is about all circuits'],
    [['circuit', 'auto', id, '--ttl', '1m'], '--ttl goes with open and close'],
  ] as const)
    it(`exits with 2 for ${argv.join(' ')}`, async () => {
      const { code, stderr } = await cli([...argv]);
      expect(code).to.equal(2);
      expect(stderr).to.include(words);
    });

  it('gives the faults that the control plane finds', async () => {
    const wrong = await cli(['circuit', 'open', id, '--reason', 'x', '--ttl', '10']);
    expect(wrong.code).to.equal(4);
    expect(wrong.stderr).to.match(/ttl must be a duration with its unit/);
    const unknown = await cli(['circuit', 'open', 'inventory|nobody', '--reason', 'x']);
    expect(unknown.code).to.equal(6);
    expect(unknown.stderr).to.match(/there is no policy nobody; "switchgear get circuits" lists/);
  });

  describe('shows', () => {
    beforeEach(() => {
      context.views = [clusterView({ id })];
      context.roster.circuitRows = [
        circuitRow('checkout/c1', 'open', { id, policy: 'guard', reason: 'told by the mesh' }),
        circuitRow('web/w1', 'closed', { id, policy: 'guard' }),
      ];
    });

    it('what the mesh has decided in get circuits, and where to go on', async () => {
      const text = await said('get', 'circuits');
      expect(text).to.match(/^STATE +MESH +CIRCUIT +BY POLICY +AGENTS +WHY$/m);
      expect(text).to.match(/^open +open +inventory\|guard +guard@7 +1\/2 +12 of 20 calls failed$/m);
      expect(text).to.include(`why, and how to override it: switchgear get circuits "${id}"\n`);
    });

    it('everything that is known of one', async () => {
      const text = await said('get', 'circuits', id);
      for (const line of [
        /^inventory\|guard$/m,
        /^ {2}mesh +open for 2 s, next step in 4 s$/m,
        /^ {2}why +12 of 20 calls failed$/m,
        /^ {2}by policy +guard@7$/m,
        /^ {2}reported +20 calls of 5 agents in 2 s: 12 failed, 0 slow; 3 agents over .*; 8 calls kept away$/m,
        /^ {2}suspects +checkout\/c1/m,
        /^ {2}probes +checkout\/c1 pending, web\/w1 ok$/m,
        /^ {2}taken out +10\.0\.0\.1:1 for 10 s$/m,
        /^ {2}state +open, at \d of \d agents?$/m,
        /^ {2}override +none; switchgear circuit open\|close "inventory\|guard" --reason "…"$/m,
        /^open +checkout\/c1/m,
      ])
        expect(text).to.match(line);
      expect(await said('get', 'circuits', 'inventory')).to.include('next step in');
      await said('circuit', 'close', id, '--reason', 'false alarm');
      expect(await said('get', 'circuits', id)).to.match(
        /^ {2}mesh +forced-closed, whatever was decided: open$[\s\S]*override +forced closed by .*; back: switchgear circuit auto/m,
      );
      expect(await said('get', 'circuits')).to.match(
        /forced closed by anonymous for 60 min more: false alarm$/m,
      );
    });

    it('the mesh once in status, and not each agent that follows it', async () => {
      const text = await said('status');
      expect(text).to.match(/^open +inventory\|guard +mesh +guard@7 +4 s +12 of 20 calls failed$/m);
      expect(text).not.to.match(/^open.*checkout\/c1/m);
      expect(text).to.match(/^10\.0\.0\.1:1 is out of discovery for 10 s: inventory\|guard$/m);
      expect(text).to.match(/^checkout\/c1 is suspect: it fails where all others don't: inventory\|guard$/m);
    });

    it('no instance as out in status that a policy in shadow would take out', async () => {
      context.views = [clusterView({ id, state: 'closed' }, { shadow: true })];
      expect(await said('status')).not.to.include('out of discovery');
    });

    it('one without agents, and one that only an operator has spoken of', async () => {
      context.roster.circuitRows = [];
      context.views = [];
      await said('circuit', 'open', id, '--reason', 'it burns');
      expect(await said('get', 'circuits', id)).to.match(
        /^inventory\|guard\n {2}state +forced-open, at 0 of 0 agents\n {2}override +forced open by/,
      );
      expect(await said('get', 'circuits')).to.match(
        /^forced-open +forced-open +inventory\|guard +guard@0 +0\/0 +forced open/m,
      );
    });
  });

  describe('top', () => {
    beforeEach(() => {
      context.views = [clusterView({ id })];
      context.roster.circuitRows = [circuitRow('web/w1', 'closed')];
      context.roster.healths.set('inventory', { calls: 50, failed: 5, slow: 0, rejected: 0 });
    });

    it('is said once without a terminal', async () => {
      const text = await said('top');
      expect(text).to.match(/^2 circuits, 1 not closed$/m);
      expect(text).to.match(/^STATE +CIRCUIT +CALLS\/S +FAILED +REPORTS +BY POLICY +NEXT STEP +WHY$/m);
      expect(text).to.match(/^open +inventory\|guard +10 +60 % +3\/5 +guard@7 +4 s +12 of 20 calls failed$/m);
      expect(text).to.match(/^closed +inventory\|inventory-default +- +- +1\/1 +inventory-default@7 +- +-$/m);
    });

    it('is one object with --json --once', async () => {
      const top = JSON.parse(await said('top', '--json', '--once'));
      expect(top).to.include({ frozen: null, stale: false });
      expect(top.circuits[0]).to.deep.include({
        circuit: id,
        callsPerSecond: 10,
        failedPercent: 60,
        nextStepMs: 3500,
      });
    });

    it('is an object a line with --json, until it is interrupted', async () => {
      const { code, stdout } = await cli(['top', '--json'], { interrupted: async () => 'SIGINT' });
      expect(code).to.equal(0);
      expect(
        stdout
          .split('\n')
          .filter((line) => line !== '')
          .map((line) => JSON.parse(line)),
      ).to.have.length(1);
    });

    it('is drawn on a terminal until q, and leaves the screen as it was', async () => {
      let press: (key: string) => void = () => undefined;
      let left = false;
      const keys = (onKey: (key: string) => void) => {
        press = onKey;
        return () => {
          left = true;
        };
      };
      const running = cli(['top'], { tty: true, keys });
      await until(() => press.length === 1, { what: 'the keys to be listened to' });
      press('x');
      press('q');
      const { code, stdout } = await running;
      expect(code).to.equal(0);
      expect(stdout.startsWith('\u001b[?1049h')).to.equal(true);
      expect(stdout).to.include('\u001b[H').and.include('q ends').and.include(id);
      expect(stdout.endsWith('\u001b[?1049l')).to.equal(true);
      expect(left).to.equal(true);
    });

    it('exits with 3 where nobody answers', async () => {
      expect((await runCli(['top', '--server', 'http://127.0.0.1:9'])).code).to.equal(3);
    });
  });
});
