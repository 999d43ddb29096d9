/**
 * What the command line shows to somebody who looks for a cause: a circuit whose policy went into shadow, an instance that is gone,
 * a policy that does nothing, an argument that can't be used. Against a real control plane in this process.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { connect } from '../../sdk/index.js';
import { type Ran, runCli } from '../support/cli.js';
import { type Running, startRest } from '../support/rest.js';
import { RawAgent } from '../support/stream/raw-agent.js';
import { until } from '../support/until.js';

describe('the command line, for who looks for a cause', () => {
  let sg: Running;
  let folder: string;
  const open: { close(): unknown }[] = [];

  const cli = (...argv: string[]): Promise<Ran> => runCli([...argv, '--server', sg.url]);
  const file = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'switchgear-cli-'));
    sg = await startRest();
  });

  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    await sg.close();
    rmSync(folder, { recursive: true });
  });

  it('warns of sections that do nothing for self', async () => {
    const spec = 'spec: { timeout: 1s, circuit: {}, bulkhead: { maxConcurrent: 9 } }';
    const path = file('a.yaml', `policy: a\nmatch: { to: self }\n${spec}\n`);
    for (const ran of [await runCli(['validate', '-f', path]), await cli('apply', '-f', path)]) {
      expect(ran.code, ran.stderr).to.equal(0);
      expect(ran.stderr).to.match(/^warning: .*a is for self, .* without effect there: timeout, circuit\n$/);
    }
    const fit = file('b.yaml', 'policy: b\nmatch: { to: self }\nspec: { bulkhead: { maxConcurrent: 9 } }\n');
    expect((await runCli(['validate', '-f', fit])).stderr).to.equal('');
  });

  it('names the flag or the argument that explain can not use, with its value', async () => {
    for (const [argv, words] of [
      [['explain', 'postgres', '--method', 'foo'], /--method.*'foo'.*package\.Service\/Method/],
      [['explain', 'postgres', '--from', 'a b'], /--from.*'a b'.*name of a service/],
      [['explain', 'a b'], /a callee is the name of a service.*got 'a b'/],
    ] as const) {
      const { code, stderr } = await cli(...argv);
      expect(code, stderr).to.equal(2);
      expect(stderr).to.match(words).and.not.to.include('query.');
    }
  });

  it('says that status --wait without a policy waits for nothing', async () => {
    const { code, stderr } = await cli('status', '--wait', '10');
    expect(code).to.equal(0);
    expect(stderr).to.match(/^note: --wait goes with a policy/);
  });

  it('hints at an instance whose stream is gone', async () => {
    const agent = await RawAgent.connect(sg.plane.grpcAddress, { service: 'inventory', instance: 'i1' });
    open.push(agent);
    agent.say({
      message: 'lease',
      lease: {
        requestId: '1',
        release: false,
        address: '127.0.0.1:50051',
        protocol: 'grpc',
        version: '',
        weight: 1,
      },
    });
    const shown = (what: RegExp) =>
      until(async () => what.test((await cli('get', 'services')).stdout), { what: String(what) });
    await shown(/inventory +1 /);
    agent.close();
    await shown(/inventory +1 \(1 gone\) /);
  });

  it('shows what became of an open circuit when its policy goes into shadow, and back', async () => {
    const mesh = await connect({
      service: 'checkout',
      instance: 'a1',
      callees: ['inventory'],
      controlPlane: sg.plane.grpcAddress,
      snapshot: false,
      logger: { debug() {}, info() {}, warn() {}, error() {} },
    });
    open.push(mesh);
    const trial = (mode: string) =>
      file(
        'a.yaml',
        `policy: inventory-default\nmatch: { to: inventory }\nmode: ${mode}\nspec:\n  circuit: { window: 5s, failureRate: 10%, minimumCalls: 5, openFor: 1s }\n`,
      );
    const state = async () =>
      JSON.parse((await cli('get', 'circuits', 'inventory|inventory-default', '--json')).stdout || '{}')
        .agents?.[0];
    await cli('apply', '-f', trial('enforce'));
    await cli('status', 'inventory-default', '--wait', '10000');
    for (let i = 0; i < 20; i += 1)
      await mesh.guard('inventory', () => Promise.reject(new Error('broken'))).catch(() => undefined);
    await until(async () => (await state())?.state === 'open', { what: 'the open circuit' });
    await until(async () => (await cli('status')).stdout.includes(' next call '), {
      what: 'the end of its time',
    });
    await cli('apply', '-f', trial('shadow'));
    await until(async () => (await state())?.state === 'shadow', { what: 'the circuit in shadow' });
    expect((await cli('status')).stdout).to.match(/shadow +inventory\|inventory-default .*@2/);
    await cli('apply', '-f', trial('enforce'));
    await until(async () => (await state())?.state === 'closed', { what: 'the enforced circuit' });
    expect(await state()).to.include({ revision: 3 });
  });
});
