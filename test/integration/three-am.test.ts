/**
 * The three o'clock example, for real: once to its end, on counts and never on times, and once killed while a database of its
 * hangs. Whatever becomes of it, no process of its stays.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { expect } from 'chai';
import { blocks } from '../support/markdown.js';
import { descendants, gone } from '../support/process-tree.js';
import { until } from '../support/until.js';

interface Figures {
  readonly calls: number;
  readonly ok: number;
  readonly degraded: number;
  readonly failed: number;
}
type Scene = Readonly<Record<'orders' | 'catalogue', Figures>>;

const main = fileURLToPath(new URL('../../examples/three-am/main.ts', import.meta.url));
const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;

describe('examples/three-am', function () {
  this.timeout(120_000);
  let child: ChildProcess | undefined;

  afterEach(() => void child?.kill('SIGKILL'));

  function start(...argv: string[]) {
    // A user's own settings; none of them may reach the example's processes.
    const env = { ...process.env, SWITCHGEAR_DISABLED: '1' };
    const output = { stdout: '', stderr: '' };
    const started = spawn(process.execPath, ['--import', tsx, main, ...argv], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child = started;
    for (const name of ['stdout', 'stderr'] as const)
      started[name].setEncoding('utf8').on('data', (chunk: string) => {
        output[name] += chunk;
      });
    const ended = new Promise<number | null>((resolve) => started.once('close', resolve));
    return { pid: started.pid ?? 0, child: started, output, ended };
  }

  it('loses the catalogue to a hanging database without a policy, and not one call of it with one', async () => {
    const example = start('--json');
    const code = await example.ended;
    const { stdout, stderr } = example.output;
    expect(stdout, stderr).to.match(/^\{.*\}\n$/);
    const { scenes, transitions, protection, promises } = JSON.parse(stdout);
    const of = (name: string): Scene => scenes[name];

    expect(of('healthy').catalogue.calls).to.be.greaterThan(100);
    const { failed, calls } = of('unguarded').catalogue;
    expect(failed, 'catalogue calls that fail unguarded').to.be.greaterThan(calls * 0.3);
    expect(of('guarded').catalogue).to.deep.include({ failed: 0, ok: of('guarded').catalogue.calls });
    expect(of('guarded').orders).to.deep.include({ failed: 0, degraded: of('guarded').orders.calls });
    const opened = transitions.find(({ to }: { to: string }) => to === 'open');
    expect(opened).to.include({ policy: 'orders-db-guard', revision: protection.revision });
    expect(of('recovered').orders.ok).to.be.greaterThan(of('recovered').orders.calls * 0.8);
    expect(promises.filter(({ kept }: { kept: boolean }) => !kept)).to.deep.equal([]);
    expect(code).to.equal(0);
  });

  it('applies the policy that its document shows', () => {
    const policy = readFileSync(
      new URL('../../examples/three-am/orders-db-guard.yaml', import.meta.url),
      'utf8',
    );
    expect(blocks('docs/three-am.md', 'yaml').map(({ text }) => `${text}\n`)).to.deep.equal([policy]);
  });

  it('takes its databases with it when it is killed while one of them hangs', async () => {
    const example = start();
    await until(() => example.child.exitCode !== null || example.output.stdout.includes('running'), {
      timeoutMs: 60_000,
      what: 'the example to run',
    });
    const pids = descendants(example.pid);
    const servers = pids.filter((pid) => nameOf(pid).includes('redis-server'));
    expect(servers, example.output.stderr).to.have.length(2);
    for (const pid of servers) process.kill(pid, 'SIGSTOP');
    example.child.kill('SIGKILL');
    await example.ended;
    await gone(pids, 'the processes of the example to end');
  });
});

/** Empty of a process that has just ended. */
function nameOf(pid: number): string {
  return spawnSync('ps', ['-p', String(pid), '-o', 'comm='], { encoding: 'utf8' }).stdout;
}
