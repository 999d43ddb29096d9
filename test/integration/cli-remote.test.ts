/**
 * The verbs that ask a control plane, against a real one in this process: what they answer, in what form, and with which exit
 * code. Files are real files.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { parse, parseAllDocuments } from 'yaml';
import { type ControlPlane, startControlPlane } from '../../control-plane/index.js';
import { silentLogger } from '../../control-plane/telemetry/logger.js';
import { connect, type Mesh } from '../../sdk/index.js';
import { type Ran, runCli } from '../support/cli.js';
import { olderAgents } from '../support/older-agents.js';
import { until } from '../support/until.js';

const inventory = `policy: inventory-default
match: { to: inventory }
spec:
  timeout: 800ms
  circuit: { failureRate: 40% }
`;

describe('the command line with a control plane', () => {
  let plane: ControlPlane;
  let folder: string;
  let mesh: Mesh | undefined;

  const cli = (...argv: string[]): Promise<Ran> => runCli([...argv, '--server', plane.restUrl]);
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const json = async (...argv: string[]) => {
    const { code, stdout, stderr } = await cli(...argv, '--json');
    return { code, value: JSON.parse(stdout || stderr) };
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'switchgear-cli-'));
    plane = await startControlPlane({
      rest: '127.0.0.1:0',
      grpc: '127.0.0.1:0',
      store: 'memory',
      mesh: 'test',
      logger: silentLogger,
    });
  });

  afterEach(async () => {
    await mesh?.close();
    mesh = undefined;
    await plane.close();
    rmSync(folder, { recursive: true });
  });

  describe('apply', () => {
    it('writes what a file says, once', async () => {
      const path = file('a.yaml', inventory);
      const first = await cli('apply', '-f', path);
      expect(first.code, first.stderr).to.equal(0);
      expect(first.stdout).to.match(/^changed +inventory-default@1\n1 policy changed, in memory only\n$/);
      expect((await cli('apply', '-f', path)).stdout).to.match(/^unchanged inventory-default@1\n0 policies/);
    });

    it('takes a directory, a stream of documents and standard input', async () => {
      file('1.yaml', `${inventory}---\n${inventory.replace('inventory-default', 'second')}`);
      file('2.json', JSON.stringify({ policy: 'third', match: { to: '*' }, spec: { timeout: '1s' } }));
      file('notes.txt', 'no policy at all');
      mkdirSync(join(folder, 'sub.yaml'));
      expect((await json('apply', '-f', folder)).value.results).to.have.length(3);
      const { code } = await runCli(['apply', '-f', '-', '--server', plane.restUrl], {
        stdin: inventory.replace('inventory-default', 'fourth'),
      });
      expect(code).to.equal(0);
      expect((await json('get', 'policies')).value.policies).to.have.length(4);
    });

    it('refuses all files for one fault, and tells every fault with file, path and line', async () => {
      file('1-good.yaml', inventory);
      file(
        '2-bad.yaml',
        'policy: bad\nmatch: { to: x }\nspec:\n  timout: 1s\n  circuit: { failureRate: 150% }\n',
      );
      file('3-worse.yaml', 'policy: [unclosed\n');
      const { code, stdout, stderr } = await cli('apply', '-f', folder);
      expect(code).to.equal(4);
      expect(stdout).to.equal('');
      expect(stderr).to.match(/2-bad\.yaml: spec\.timout: .*timeout.*\(line 4\)/);
      expect(stderr).to.match(/2-bad\.yaml: spec\.circuit\.failureRate: .*\(line 5\)/);
      expect(stderr).to.match(/3-worse\.yaml: /);
      expect((await json('get', 'policies')).value.policies).to.deep.equal([]);
    });

    it('refuses a policy that is in two files', async () => {
      file('a.yaml', inventory);
      file('b.yaml', inventory);
      const { code, stderr } = await cli('apply', '-f', folder);
      expect(code).to.equal(4);
      expect(stderr).to.match(/b\.yaml: policy: "inventory-default" is in .*a\.yaml too/);
    });

    it('gives its faults to programs as data', async () => {
      const path = file('bad.yaml', 'policy: bad\nmatch: { to: x }\nspec: { timeout: 5 }\n');
      const { code, value } = await json('apply', '-f', path);
      expect(code).to.equal(4);
      expect(value.error).to.include({ code: 'invalid_policy', exitCode: 4 });
      expect(value.error.issues[0]).to.include({ file: path, path: 'spec.timeout' });
    });

    it('writes nothing with --dry-run', async () => {
      const { code, stdout } = await cli('apply', '-f', file('a.yaml', inventory), '--dry-run');
      expect(code).to.equal(0);
      expect(stdout).to.include('inventory-default: new').and.to.include('+ spec.timeout: 800ms');
      expect((await json('get', 'policies')).value.policies).to.deep.equal([]);
    });
  });

  describe('validate', () => {
    it('needs no control plane', async () => {
      const good = await runCli(['validate', '-f', file('a.yaml', inventory)]);
      expect(good).to.deep.equal({ code: 0, stdout: '1 policy valid\n', stderr: '' });
      const bad = await runCli(['validate', '-f', file('a.yaml', 'match: {}')]);
      expect(bad.code).to.equal(4);
      expect(bad.stderr).to.include('a.yaml: ').and.not.to.include('written');
    });

    it('prints the faults that docs/cli.md shows', async () => {
      mkdirSync(join(folder, 'policies'));
      file(
        'policies/inventory.yaml',
        'policy: a\nmatch:\n  to: inventory\n\nspec:\n  timout: 1s\n  circuit:\n    minimumCalls: 20\n    failureRate: 150%\n',
      );
      const { stderr } = await runCli(['validate', '-f', join(folder, 'policies')]);
      const text = readFileSync(new URL('../../docs/cli.md', import.meta.url), 'utf8');
      expect(text).to.include(`\n${stderr.replaceAll(`${folder}/`, '')}`);
    });

    it('warns, as apply does, of what no agent of this release enforces', async () => {
      const path = file('a.yaml', `${inventory}rollout: { percent: 50 }\n`);
      const restore = olderAgents('rollout');
      const ran = [await runCli(['validate', '-f', path]), await cli('apply', '-f', path)];
      restore();
      for (const { code, stderr } of ran) {
        expect(code, stderr).to.equal(0);
        expect(stderr).to.match(/^warning: .*a\.yaml: inventory-default needs rollout, .*\n$/);
      }
    });
  });

  it('tells a fault once, and with verbs of the command line', async () => {
    await cli('apply', '-f', file('a.yaml', inventory));
    await cli('apply', '-f', file('a.yaml', inventory.replace('40%', '60%')));
    for (const argv of [
      ['explain', 'inventory', '--method', 'Hello'],
      ['rollback', 'inventory-default', '--to', '1', '--if-revision', '1'],
    ]) {
      const { stderr } = await cli(...argv);
      expect(stderr.split('\n'), stderr).to.have.length(2);
    }
    expect((await cli('get', 'policies', 'none')).stderr).to.include('"switchgear get policies"');
    expect((await cli('rollback', 'inventory-default', '--to', '99')).stderr)
      .to.include('"switchgear history inventory-default"')
      .and.not.to.include('/v1/');
  });

  it('takes the word for one of them as well', async () => {
    await cli('apply', '-f', file('a.yaml', inventory));
    expect((await cli('get', 'policy', 'inventory-default')).stdout).to.include('timeout: 800ms');
    expect((await cli('get', 'circuit')).stdout).to.include('no circuits');
  });

  describe('diff', () => {
    it('exits like diff(1), and shows each field', async () => {
      const path = file('a.yaml', inventory);
      await cli('apply', '-f', path);
      expect(await cli('diff', '-f', path)).to.deep.equal({ code: 0, stdout: '', stderr: '' });
      file('a.yaml', inventory.replace('40%', '60%').replace('  timeout: 800ms\n', ''));
      const { code, stdout } = await cli('diff', '-f', path);
      expect(code).to.equal(1);
      expect(stdout).to.include('inventory-default@1 (concerns 0 agents)');
      expect(stdout)
        .to.include('~ spec.circuit.failureRate: 40% → 60%')
        .and.to.include('- spec.timeout: 800ms');
      expect((await json('diff', '-f', path)).value.differences).to.equal(1);
    });
  });

  describe('export', () => {
    it('gives back what apply takes, unchanged', async () => {
      await cli(
        'apply',
        '-f',
        file('a.yaml', `${inventory}---\n${inventory.replace('inventory-default', 'b')}`),
      );
      const { stdout } = await cli('export');
      expect(parseAllDocuments(stdout).flat().length).to.be.greaterThan(0);
      const again = await runCli(['apply', '-f', '-', '--server', plane.restUrl], { stdin: stdout });
      expect(again.stdout).to.include('0 policies changed');
      const asJson = await runCli(['apply', '-f', '-', '--server', plane.restUrl], {
        stdin: (await cli('export', '--json')).stdout,
      });
      expect(asJson.stdout).to.include('0 policies changed');
    });
  });

  describe('history, rollback and delete', () => {
    const path = () => file('a.yaml', inventory);

    it('go back to what was, as a new revision', async () => {
      await cli('apply', '-f', path());
      await cli('apply', '-f', file('a.yaml', inventory.replace('40%', '60%')));
      expect((await cli('rollback', 'inventory-default', '--to', '1', '--dry-run')).stdout).to.include(
        '60% → 40%',
      );
      const back = await cli('rollback', 'inventory-default', '--to', '1');
      expect(back.stdout).to.equal('changed   inventory-default@3 (as it was at 1)\n');
      const { value } = await json('history', 'inventory-default');
      expect(value.revisions.map((entry: { action: string }) => entry.action)).to.deep.equal([
        'rollback',
        'apply',
        'apply',
      ]);
      expect((await cli('history', 'inventory-default')).stdout).to.match(
        / 3 .* rollback \(as it was at 1\) /,
      );
      const then = await cli('history', 'inventory-default', '2');
      expect(then.stdout).to.include('# revision 2: apply by anonymous');
      expect(parse(then.stdout).spec.circuit.failureRate).to.equal('60%');
    });

    it('page', async () => {
      await cli('apply', '-f', path());
      await cli('apply', '-f', file('a.yaml', inventory.replace('40%', '60%')));
      const { stdout } = await cli('history', 'inventory-default', '--limit', '1');
      expect(stdout).to.include('more: --before 2');
      const { value } = await json('history', 'inventory-default', '--limit', '1', '--before', '2');
      expect(value.revisions[0].revision).to.equal(1);
    });

    it('refuse with 5 over a revision that is no longer the present one', async () => {
      await cli('apply', '-f', path());
      await cli('apply', '-f', file('a.yaml', inventory.replace('40%', '60%')));
      for (const argv of [
        ['delete', 'inventory-default', '--if-revision', '1'],
        ['rollback', 'inventory-default', '--to', '1', '--if-revision', '1'],
      ]) {
        const { code, stderr } = await cli(...argv);
        expect(code, stderr).to.equal(5);
        expect(stderr).to.include('revision 2 is there');
      }
    });

    it('delete and bring back', async () => {
      await cli('apply', '-f', path());
      expect((await cli('delete', 'inventory-default')).stdout).to.match(
        /^deleted inventory-default \(revision 2/,
      );
      expect((await cli('history', 'inventory-default')).stdout).to.match(/2 .*delete/);
      expect((await cli('rollback', 'inventory-default', '--to', '1')).code).to.equal(0);
      expect((await cli('get', 'policies', 'inventory-default')).code).to.equal(0);
    });
  });

  it('exits with 6 for what does not exist', async () => {
    for (const argv of [
      ['get', 'policies', 'none'],
      ['get', 'services', 'none'],
      ['get', 'agents', 'none/none'],
      ['get', 'agents', 'none'],
      ['get', 'circuits', 'none|none'],
      ['get', 'circuits', 'none'],
      ['status', 'none'],
      ['history', 'none'],
      ['rollback', 'none', '--to', '1'],
      ['delete', 'none'],
    ])
      expect((await cli(...argv)).code, argv.join(' ')).to.equal(6);
  });

  it('says of nothing that it is nothing', async () => {
    expect((await cli('get', 'policies')).stdout).to.include('nothing is enforced');
    expect((await cli('get', 'services')).stdout).to.include('no services');
    expect((await cli('get', 'agents')).stdout).to.include('no agents');
    expect((await cli('get', 'circuits')).stdout).to.include('no circuits');
    expect((await cli('explain', 'inventory')).stdout).to.include('nothing is enforced');
    expect((await cli('status')).stdout).to.include('test: 0 policies');
  });

  describe('with a service connected', () => {
    const joined = async () => {
      mesh = await connect({
        service: 'checkout',
        instance: 'a1',
        callees: ['inventory'],
        controlPlane: plane.grpcAddress,
        snapshot: false,
        version: '1.4.2',
        logger: { debug() {}, info() {}, warn() {}, error() {} },
      });
      await mesh.register({ port: 50051 });
    };

    beforeEach(async () => {
      await cli('apply', '-f', file('a.yaml', inventory));
      await joined();
    });

    it('shows services, agents and instances', async () => {
      expect((await cli('get', 'agents')).stdout).to.match(/checkout\/a1 +1\.4\.2/);
      expect((await cli('get', 'agents', 'checkout')).stdout).to.match(/checkout\/a1 +1\.4\.2/);
      expect((await cli('get', 'agents', 'checkout/a1')).stdout).to.include('capabilities');
      expect((await cli('get', 'services')).stdout).to.match(/checkout +1 /);
      expect((await cli('get', 'services', 'checkout')).stdout).to.match(
        /a1 +127\.0\.0\.1:50051 .*connected/,
      );
    });

    it('waits until a policy is everywhere, and exits with 0', async () => {
      const { code, stdout } = await cli('status', 'inventory-default', '--wait', '10000');
      expect(stdout).to.equal('inventory-default@1: 1 agent: 1 applied, 0 pending, 0 refused\n');
      expect(code).to.equal(0);
    });

    it('exits with 1 when an agent refuses a policy, and says which section', async () => {
      await mesh?.close();
      const restore = olderAgents('shadow');
      await joined().finally(restore);
      await cli('apply', '-f', file('a.yaml', `${inventory}mode: shadow\n`));
      const one = await until(
        async () => {
          const ran = await cli('status', 'inventory-default', '--wait', '10000');
          return ran.code === 1 && ran;
        },
        { what: 'the refusal' },
      );
      expect(one.stdout).to.match(/1 refused\n\nREFUSED BY +WHY\ncheckout\/a1 +.*shadow/);
      const all = await cli('status');
      expect(all.code).to.equal(1);
      expect(all.stdout).to.match(/inventory-default@2 +checkout\/a1/);
      expect((await cli('get', 'agents')).stdout).to.include('inventory-default@2');
      expect((await cli('explain', 'inventory')).stdout).to.match(/inventory-default@2 +checkout\/a1/);
    });

    it('shows a circuit that opened, why, and by which policy', async () => {
      await cli('status', 'inventory-default', '--wait', '10000');
      for (let i = 0; i < 20; i += 1)
        await mesh?.guard('inventory', () => Promise.reject(new Error('broken'))).catch(() => undefined);
      const all = await until(
        async () => {
          const ran = await cli('status');
          return ran.stdout.includes('inventory|inventory-default') && ran;
        },
        { what: 'the circuit in the status' },
      );
      expect(all.code).to.equal(0);
      expect(all.stdout).to.match(/open +inventory\|inventory-default +checkout\/a1 +inventory-default@1/);
      expect((await cli('get', 'circuits')).stdout).to.match(/open .*inventory-default@1 +1\/1 +20 of 20/);
      expect((await cli('get', 'circuits', 'inventory|inventory-default')).stdout).to.match(
        /open +checkout\/a1/,
      );
      expect((await cli('get', 'circuits', 'inventory')).stdout).to.match(
        /open +inventory\|inventory-default +checkout\/a1/,
      );
      const mine = await json('get', 'circuits', 'inventory');
      expect(mine.value.circuits.map(({ id }: { id: string }) => id)).to.deep.equal([
        'inventory|inventory-default',
      ]);
      const { value } = await json('status');
      expect(value.circuits.troubled[0]).to.include({ state: 'open', policy: 'inventory-default@1' });
    });

    it('explains each field with its policy', async () => {
      const { stdout } = await cli('explain', 'inventory', '--from', 'checkout');
      expect(stdout).to.match(/timeout +800ms +inventory-default@1\n/);
      expect(stdout).to.match(/circuit\.failureRate +40% +inventory-default@1\n/);
      expect(stdout).to.match(/circuit\.openFor +5s +inventory-default@1, default\n/);
    });
  });
});
