/**
 * `switchgear up` as a process: the one line on standard output, the logs on standard error, signals, and the ways in which it
 * refuses to start, each with a message that names the flag.
 */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { type CliProcess, runCli, spawnCli } from '../support/cli.js';
import { until } from '../support/until.js';

interface Ready {
  readonly rest: string;
  readonly grpc: string;
  readonly store: string;
  readonly mesh: string;
  readonly replica: string;
}

const anywhere = ['up', '--rest', '127.0.0.1:0', '--grpc', '127.0.0.1:0'];
const certificate = fileURLToPath(new URL('../support/tls/cert.pem', import.meta.url));
const key = fileURLToPath(new URL('../support/tls/key.pem', import.meta.url));

describe('switchgear up', () => {
  let folder: string;
  let up: CliProcess | undefined;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'switchgear-up-'));
  });

  afterEach(async () => {
    up?.child.kill('SIGKILL');
    await up?.ended;
    up = undefined;
    rmSync(folder, { recursive: true });
  });

  const start = async (argv: readonly string[], env: Record<string, string> = {}): Promise<Ready> => {
    const started = spawnCli(argv, { env, cwd: folder });
    up = started;
    const line = await until(
      () => {
        if (started.child.exitCode !== null) return started.output.stderr;
        return started.output.stdout.includes('\n') && started.output.stdout;
      },
      { what: 'the line that says it is ready' },
    );
    return JSON.parse(line);
  };

  it('prints one line of JSON once it is ready, logs JSON on standard error, and drains on SIGTERM', async () => {
    const ready = await start([...anywhere, '--store', 'memory', '--mesh', 'm', '--replica', 'one']);
    expect(Object.keys(ready)).to.deep.equal(['rest', 'grpc', 'store', 'mesh', 'replica']);
    expect(ready.rest).to.match(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(ready.grpc).to.match(/^127\.0\.0\.1:\d+$/);
    expect(ready).to.include({ store: 'memory', mesh: 'm', replica: 'one' });
    expect((await fetch(`${ready.rest}/readyz`)).status).to.equal(200);
    up?.child.kill('SIGTERM');
    const ran = await up?.ended;
    expect(ran?.code, ran?.stderr).to.equal(0);
    expect(ran?.stdout.trim().split('\n')).to.have.length(1);
    for (const line of ran?.stderr.trim().split('\n') ?? [])
      expect(JSON.parse(line)).to.include({ mesh: 'm' });
    const lines = (ran?.stderr.trim().split('\n') ?? []).map((line) => JSON.parse(line));
    expect(lines.find(({ msg }) => msg === 'stopping')).to.include({ signal: 'SIGTERM' });
    expect(lines.at(-1)?.msg).to.equal('stopped');
    expect(lines.map(({ msg }) => msg)).not.to.include('the store answers');
  });

  it('drains on SIGINT as well', async () => {
    await start([...anywhere, '--store', 'memory']);
    up?.child.kill('SIGINT');
    expect((await up?.ended)?.code).to.equal(0);
  });

  it('keeps everything in .switchgear by default, and finds it again', async () => {
    const first = await start(anywhere);
    expect(first.store).to.match(/^embedded:.*[/]\.switchgear$/);
    const body = 'policy: a\nmatch: { to: b }\nspec: { timeout: 1s }\n';
    const path = join(folder, 'a.yaml');
    writeFileSync(path, body);
    expect((await runCli(['apply', '-f', path, '--server', first.rest])).stdout).to.include('fsync');
    up?.child.kill('SIGTERM');
    await up?.ended;
    expect(existsSync(join(folder, '.switchgear'))).to.equal(true);
    const second = await start(anywhere);
    expect((await runCli(['get', 'policies', 'a', '--server', second.rest])).stdout).to.include(
      'timeout: 1s',
    );
  });

  it('takes every flag from variables', async () => {
    const ready = await start(['up'], {
      SWITCHGEAR_REST: '127.0.0.1:0',
      SWITCHGEAR_GRPC: '127.0.0.1:0',
      SWITCHGEAR_STORE: 'memory',
      SWITCHGEAR_MESH: 'from-variables',
      SWITCHGEAR_LOG_LEVEL: 'silent',
    });
    expect(ready.mesh).to.equal('from-variables');
    expect(up?.output.stderr).to.equal('');
  });

  it('applies the policies of a directory before it is ready', async () => {
    writeFileSync(join(folder, 'a.yaml'), 'policy: a\nmatch: { to: b }\nspec: { timeout: 1s }\n');
    const { rest } = await start([...anywhere, '--store', 'memory', '--policies', folder]);
    expect((await runCli(['get', 'policies', 'a', '--server', rest])).code).to.equal(0);
  });

  it('does not start with a wrong policy, names its file, and exits with 4', async () => {
    writeFileSync(join(folder, 'a.yaml'), 'policy: a\nmatch: { to: b }\nspec: { timeout: never }\n');
    const { code, stdout, stderr } = await spawnCli([...anywhere, '--store', 'memory', '--policies', folder])
      .ended;
    expect(code).to.equal(4);
    expect(stdout).to.equal('');
    expect(stderr).to.include('a.yaml: spec.timeout');
  });

  it('says whose port it wanted, and exits with 1', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    for (const flag of ['--rest', '--grpc']) {
      const argv = [...anywhere, '--store', 'memory', flag, `127.0.0.1:${port}`];
      const { code, stderr } = await spawnCli(argv).ended;
      expect(code, stderr).to.equal(1);
      expect(stderr).to.include(flag).and.to.include(`127.0.0.1:${port}`);
    }
    other.close();
  });

  it('says that the store belongs to another process, and exits with 1', async () => {
    await start(anywhere);
    const { code, stderr } = await spawnCli(anywhere, { cwd: folder }).ended;
    expect(code).to.equal(1);
    expect(stderr).to.include('.switchgear');
  });

  it('speaks TLS and asks for tokens on both listeners, and the command line gives them', async () => {
    writeFileSync(
      join(folder, 'tokens'),
      '# who may do what\noperator alice secret-of-alice\nviewer bob secret-of-bob\nagent shop secret-of-shop\n',
    );
    const ready = await start([
      ...anywhere,
      ...['--store', 'memory', '--tls-cert', certificate, '--tls-key', key],
      ...['--token-file', join(folder, 'tokens')],
    ]);
    expect(ready.rest).to.match(/^https:/);
    const server = ['--server', ready.rest.replace('127.0.0.1', 'localhost')];
    const path = join(folder, 'a.yaml');
    writeFileSync(path, 'policy: a\nmatch: { to: b }\nspec: { timeout: 1s }\n');
    const apply = (...more: string[]) => runCli(['apply', '-f', path, ...server, ...more]);

    const stranger = await apply('--token', 'secret-of-alice');
    expect(stranger.code).to.equal(3);
    expect(stranger.stderr).to.include('--tls-ca');
    const ca = ['--tls-ca', certificate];
    expect((await apply(...ca)).code).to.equal(7);
    expect((await apply(...ca, '--token', 'secret-of-bob')).code).to.equal(7);
    expect((await apply(...ca, '--token', 'secret-of-shop')).code).to.equal(7);
    expect((await apply(...ca, '--token', 'secret-of-alice')).code).to.equal(0);
    const history = await runCli(['history', 'a', ...server, ...ca, '--token', 'secret-of-bob']);
    expect(history.stdout).to.match(/1 .* apply +alice/);
  });

  it('does not start with a broken token file, and repeats no token', async () => {
    writeFileSync(join(folder, 'tokens'), 'king alice secret-of-alice\n');
    const { code, stderr } = await spawnCli([
      ...anywhere,
      '--store',
      'memory',
      '--token-file',
      join(folder, 'tokens'),
    ]).ended;
    expect(code).to.equal(2);
    expect(stderr)
      .to.include('tokens')
      .and.to.match(/viewer/)
      .and.not.to.include('secret');
  });

  it('stands open beyond loopback only when told so aloud', async () => {
    const ready = await start([
      'up',
      '--rest',
      '0.0.0.0:0',
      '--grpc',
      '0.0.0.0:0',
      '--store',
      'memory',
      '--insecure',
    ]);
    expect(ready.rest).to.match(/^http:\/\/127\.0\.0\.1:/);
    expect(ready.grpc).to.match(/^127\.0\.0\.1:/);
    expect(up?.output.stderr).to.match(/insecure/i);
  });
});
