/** `switchgear brownout`: the look, the level, single features, and what is wrong before anything is asked. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect } from 'chai';
import { type Ran, runCli } from '../support/cli.js';
import { type Running, startRest } from '../support/rest.js';

describe('switchgear brownout', () => {
  let sg: Running;
  beforeEach(async () => {
    sg = await startRest();
  });
  afterEach(() => sg.close());

  const cli = (...argv: string[]): Promise<Ran> => runCli(['brownout', ...argv, '--server', sg.url]);
  const present = async () => JSON.parse((await cli('--json')).stdout);

  it('says that everything runs', async () => {
    expect(await cli()).to.deep.equal({ code: 0, stdout: 'level 0: everything runs\n', stderr: '' });
  });

  it('sets a level, and says who, why and until when', async () => {
    const { code, stdout, stderr } = await cli('2', '--reason', 'payments is slow', '--ttl', '10m');
    expect(code, stderr).to.equal(0);
    expect(stdout).to.equal(
      'changed: level 2 by an operator, for 10 min more: payments is slow (revision 1)\n',
    );
    expect(await present()).to.include({ level: 2, reason: 'payments is slow', revision: 1 });
    expect((await cli('1', '--reason', 'less')).stdout).to.include('level 1 by an operator, until somebody');
    expect((await cli('0')).stdout).to.match(/^changed: level 0: everything runs/);
  });

  it('shows in switchgear status, where somebody looks first', async () => {
    const status = async (...argv: string[]) =>
      (await runCli(['status', ...argv, '--server', sg.url])).stdout;
    expect(await status()).not.to.include('brownout');
    expect(JSON.parse(await status('--json')).brownout).to.include({ level: 0, source: 'none' });
    await cli('3', '--reason', 'payments is slow', '--ttl', '10m');
    expect(await status()).to.include(
      'brownout: level 3 by an operator, for 10 min more: payments is slow\n',
    );
    expect(JSON.parse(await status('--json')).brownout).to.include({ level: 3, reason: 'payments is slow' });
  });

  it('is nothing to switchgear status where the control plane knows none yet', async () => {
    const older = createServer(async ({ url = '' }, response) => {
      const answer = await fetch(`${sg.url}${url.replace('brownout', 'unknown')}`);
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' });
      response.end(await answer.text());
    }).listen(0, '127.0.0.1');
    try {
      await once(older, 'listening');
      const server = `http://127.0.0.1:${(older.address() as AddressInfo).port}`;
      const { code, stdout, stderr } = await runCli(['status', '--json', '--server', server]);
      expect(code, stderr).to.equal(0);
      expect(JSON.parse(stdout)).to.include({ policies: 0 }).and.not.to.have.property('brownout');
    } finally {
      older.close();
    }
  });

  it('changes single features and leaves the others', async () => {
    await cli('--feature', 'ads=1', '--feature', 'search=3');
    await cli('1', '--reason', 'sale', '--feature', 'search=4', '--feature', 'ads=none', '--feature', 'a=1');
    const { level, features } = await present();
    expect({ level, features }).to.deep.equal({ level: 1, features: { a: 1, search: 4 } });
    expect((await cli()).stdout)
      .to.match(/^a +1 +off$/m)
      .and.to.match(/^search +4 +runs$/m);
  });

  it('shows the rules', async () => {
    await sg.put('/v1/brownout', { rules: [{ level: 1, when: { openCircuits: 3 } }] });
    expect((await cli()).stdout).to.match(/^\{"openCircuits":3\} +1 +off +-$/m);
  });

  it('says beside them what is easily meant otherwise', async () => {
    await sg.put('/v1/brownout', { rules: [{ level: 1, when: { circuit: 'nobody' } }] });
    const note =
      'note: rules[0].when.circuit: nobody: nobody calls it, registered as it, or has a policy for it yet\n';
    for (const argv of [[], ['1', '--reason', 'sale'], ['2', '--reason', 'more', '--dry-run']])
      expect((await cli(...argv)).stdout, argv.join(' ')).to.include(note);
  });

  it('writes only over the revision that is meant, and nothing in a dry run', async () => {
    await cli('1', '--reason', 'sale');
    expect((await cli('2', '--reason', 'more', '--if-revision', '9')).code).to.equal(5);
    const { stdout } = await cli('2', '--reason', 'more', '--dry-run');
    expect(stdout).to.equal('would be stored: {"author":"anonymous","level":2,"reason":"more"}\n');
    expect((await cli('1', '--reason', 'sale', '--dry-run')).stdout).to.equal('no difference\n');
    expect(await present()).to.include({ level: 1, revision: 1 });
  });

  it('gives the faults that the control plane finds', async () => {
    const { code, stderr } = await cli('2');
    expect(code).to.equal(4);
    expect(stderr).to.include('reason is required above level 0');
  });

  for (const [argv, words] of [
    [['5'], "whole number from 0 to 4; got '5'"],
    [['high'], "got 'high'"],
    [['--feature', 'ads'], 'name=level'],
    [['--feature', 'ads=7'], 'from 1 to 4'],
    [['--reason', 'x'], '--reason goes with a level'],
    [['--dry-run'], '--dry-run goes with a level'],
  ] as const)
    it(`refuses ${argv.join(' ')} and says what is right`, async () => {
      const { code, stderr } = await cli(...argv);
      expect(code, stderr).to.equal(2);
      expect(stderr).to.include(words);
    });
});
