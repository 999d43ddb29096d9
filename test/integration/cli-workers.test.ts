/**
 * `switchgear up --workers N` as processes over a real Redis: one address for all, a worker that is killed, the end of the primary, and
 * the ways in which it refuses to start, each told once.
 */
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import { expect } from 'chai';
import { connect, type Mesh } from '../../sdk/index.js';
import { type CliProcess, runCli, spawnCli } from '../support/cli.js';
import { EchoClient, startEcho, unary } from '../support/echo.js';
import { descendants, gone } from '../support/process-tree.js';
import { contractRedis, dropMesh, freePort } from '../support/redis.js';
import { until } from '../support/until.js';
import { putPolicy } from '../support/up.js';

interface Ready {
  readonly rest: string;
  readonly grpc: string;
  readonly replica: string;
  readonly workers: number;
}

interface Agent {
  readonly agent: string;
  readonly replica: string;
}

const anywhere = ['up', '--rest', '127.0.0.1:0', '--grpc', '127.0.0.1:0'];

describe('switchgear up --workers', function () {
  this.timeout(90_000);
  let redis: string;
  let mesh: string;
  let started: CliProcess[];
  let meshes: Mesh[];
  let turn = 0;

  beforeEach(async () => {
    redis = await contractRedis();
    mesh = `workers-${process.pid}-${turn++}`;
    started = [];
    meshes = [];
  });

  afterEach(async () => {
    await Promise.all(meshes.map((one) => one.close()));
    for (const { child, ended } of started) {
      // The workers go with it.
      child.kill('SIGKILL');
      await ended;
    }
    await dropMesh(redis, mesh);
  });

  const begin = (argv: readonly string[]): CliProcess => {
    const up = spawnCli(argv);
    started.push(up);
    return up;
  };

  const start = async (flags: readonly string[] = []): Promise<{ up: CliProcess; ready: Ready }> => {
    const argv = [...anywhere, '--store', redis, '--mesh', mesh, '--replica', 'one', '--workers', '2'];
    const up = begin([...argv, ...flags]);
    const line = await until(() => up.child.exitCode !== null || /.*\n/.exec(up.output.stdout)?.[0], {
      timeoutMs: 30_000,
      what: 'the line that says they are ready',
    });
    expect(line, up.output.stderr).to.be.a('string');
    return { up, ready: JSON.parse(String(line)) };
  };

  /** Each by the name of its replica. */
  const processes = (up: CliProcess): Map<string, number> => {
    const found = new Map<string, number>();
    for (const pid of descendants(up.child.pid ?? 0)) {
      const words = commandOf(pid);
      if (words.some((word) => /workers\/worker\.[jt]s$/.test(word))) found.set(words.at(-1) ?? '', pid);
    }
    return found;
  };

  const get = async <T>(url: string): Promise<T> => {
    // No connection is used twice, so that each question goes to the next worker.
    const response = await fetch(url, { headers: { connection: 'close' } });
    return (await response.json()) as T;
  };

  const agents = async (rest: string) => (await get<{ agents: Agent[] }>(`${rest}/v1/agents`)).agents;

  const replicasOf = async (rest: string) =>
    (await agents(rest)).reduce(
      (counts, { replica }) => counts.set(replica, (counts.get(replica) ?? 0) + 1),
      new Map<string, number>(),
    );

  const agent = async (grpc: string, service: string, instance: string): Promise<Mesh> => {
    const made = await connect({
      ...{ service, controlPlane: grpc, instance, callees: ['inventory'], snapshot: false },
    });
    meshes.push(made);
    return made;
  };

  it('serves behind one address, and any worker answers for all', async () => {
    const { up, ready } = await start();
    expect(Object.keys(ready)).to.deep.equal(['rest', 'grpc', 'store', 'mesh', 'replica', 'workers']);
    expect(ready).to.include({ replica: 'one', workers: 2 });
    expect([...processes(up).keys()].sort()).to.deep.equal(['one-1', 'one-2']);

    const answered = new Set<string>();
    await until(async () => answered.add((await get<Ready>(`${ready.rest}/readyz`)).replica).size === 2, {
      what: 'an answer of each worker',
    });
    expect([...answered].sort()).to.deep.equal(['one-1', 'one-2']);

    const callers: Mesh[] = [];
    for (let i = 0; i < 4; i++) callers.push(await agent(ready.grpc, 'checkout', `c${i}`));
    const { body } = await putPolicy(ready.rest, 'p', { match: { to: 'inventory' }, spec: { circuit: {} } });
    await until(() => callers.every((one) => one.status().revision === body.revision), {
      what: 'the policy at the agents of both workers',
    });
    // Whichever worker is asked.
    for (let i = 0; i < 4; i++)
      await until(async () => [...(await replicasOf(ready.rest)).values()].join() === '2,2', {
        what: 'two agents at each worker',
      });

    const scrape = await (await fetch(`${ready.rest}/metrics`)).text();
    for (const replica of ['one-1', 'one-2']) {
      expect(scrape).to.match(new RegExp(`^switchgear_agents_connected\\{.*replica="${replica}"\\} 2$`, 'm'));
      expect(scrape).to.match(
        new RegExp(`^process_resident_memory_bytes\\{.*replica="${replica}"\\} \\d+$`, 'm'),
      );
    }
    expect(scrape).to.match(/^switchgear_workers_ready\{.*replica="one"\} 2$/m);
    expect(scrape.match(/^# TYPE switchgear_agents_connected /gm)).to.have.length(1);
  });

  it('starts a killed worker again, and no call fails; it gets its share of the agents back', async () => {
    const { up, ready } = await start();
    const callee = await startEcho();
    try {
      await putPolicy(ready.rest, 'p', { match: { to: 'inventory' }, spec: { circuit: {}, timeout: '5s' } });
      const server = await agent(ready.grpc, 'inventory', 'callee');
      await server.register({ port: callee.port });
      const callers = await Promise.all(
        Array.from({ length: 11 }, (_, i) => agent(ready.grpc, 'checkout', `c${i}`)),
      );
      const clients = callers.slice(0, 2).map((one) => one.client(EchoClient, 'inventory'));
      let stop = false;
      let calls = 0;
      const failures: unknown[] = [];
      const load = clients.map(async (client) => {
        while (!stop)
          await unary(client, 'x').then(
            () => calls++,
            (error: unknown) => failures.push(error),
          );
      });
      await until(() => calls > 100, { what: 'a steady load' });
      const before = processes(up).get('one-1') ?? 0;
      process.kill(before, 'SIGKILL');
      const after = await until(
        () => [processes(up).get('one-1')].find((pid) => pid !== undefined && pid !== before),
        { what: 'another process' },
      );
      expect(after).not.to.equal(before);
      await until(() => up.output.stderr.includes('a worker serves again'), {
        what: 'it serves',
        timeoutMs: 20_000,
      });
      await until(() => meshes.every((one) => one.status().connected), {
        what: 'all agents',
        timeoutMs: 40_000,
      });
      await until(
        async () => {
          const counts = await replicasOf(ready.rest);
          const few = Math.min(counts.get('one-1') ?? 0, counts.get('one-2') ?? 0);
          return few >= 4 && counts;
        },
        { what: 'four of the twelve agents at each worker at least', timeoutMs: 60_000 },
      );
      const reached = calls;
      await until(() => calls > reached + 100, { what: 'calls after all' });
      stop = true;
      await Promise.all(load);
      expect(failures).to.deep.equal([]);
      for (const client of clients) client.close();
      const scrape = await (await fetch(`${ready.rest}/metrics`)).text();
      expect(scrape).to.match(/^switchgear_worker_restarts_total\{.*\} 1$/m);
    } finally {
      callee.stop();
    }
  });

  it('ends with all its workers at SIGTERM, and the exit code is 0', async () => {
    const { up } = await start();
    const below = [...processes(up).values()];
    expect(below).to.have.length(2);
    up.child.kill('SIGTERM');
    const { code, stdout, stderr } = await up.ended;
    expect(code, stderr).to.equal(0);
    expect(stdout.trim().split('\n')).to.have.length(1);
    await gone(below, 'the workers');
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    for (const replica of ['one-1', 'one-2'])
      expect(lines.filter((line) => line.replica === replica).at(-1)?.msg).to.equal('stopped');
    expect(stderr).not.to.include('a worker has ended');
  });

  it('takes its workers along when it is killed', async () => {
    const { up } = await start();
    const below = [...processes(up).values()];
    up.child.kill('SIGKILL');
    await up.ended;
    await gone(below, 'the workers');
  });

  it('gives up on a worker that ends again and again, says which, and exits with 1', async () => {
    const { up } = await start();
    const killed = new Set<number>();
    await until(
      () => {
        const pid = processes(up).get('one-2');
        const serves = up.output.stderr.split('a worker serves again').length > killed.size;
        if (pid !== undefined && serves && !killed.has(pid)) process.kill(pid, 'SIGKILL') && killed.add(pid);
        return up.child.exitCode !== null;
      },
      { what: 'the end', timeoutMs: 60_000 },
    );
    const { code, stderr } = await up.ended;
    expect(killed.size).to.equal(5);
    expect(code).to.equal(1);
    expect(stderr).to.match(/^error: worker 2 \(one-2\) ended 5 times within 60 s, at last with SIGKILL/m);
  });

  it('replaces a worker that is told to end, and applies files at the first start alone', async () => {
    const { up, ready } = await start(['--policies', 'examples/shop']);
    const { status, body } = await putPolicy(ready.rest, 'payments-guard', {
      match: { to: 'payments' },
      spec: { timeout: '9s' },
    });
    // It was there.
    expect(status).to.equal(200);
    // That one only, in good order.
    process.kill(processes(up).get('one-1') ?? 0, 'SIGTERM');
    await until(() => up.output.stderr.includes('a worker serves again'), {
      what: 'it serves',
      timeoutMs: 20_000,
    });
    const { headers } = await fetch(`${ready.rest}/v1/policies/payments-guard`);
    expect(headers.get('etag')).to.equal(`"${body.revision}"`);
  });

  for (const store of ['memory', 'embedded:.never-made'])
    it(`refuses the store ${store}, and says what would be right`, async () => {
      const { code, stdout, stderr } = await begin([...anywhere, '--store', store, '--workers', '3']).ended;
      expect([code, stdout]).to.deep.equal([2, '']);
      expect(stderr).to.include('--workers 3').and.include('--store redis://').and.include('--workers 1');
    });

  for (const [flags, fault] of [
    [['--workers', '0'], '1 to 64'],
    [['--workers', 'all'], '1 to 64'],
    [['--connection-age', '5s'], '10s to 24h'],
  ] as const)
    it(`refuses ${flags.join(' ')}`, async () => {
      const { code, stderr } = await runCli([...anywhere, '--store', 'memory', ...flags]);
      expect(code, stderr).to.equal(2);
      expect(stderr).to.include(flags[0]).and.include(fault);
    });

  it('tells a start that fails once, as one without workers does', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    const flags = ['--store', redis, '--mesh', mesh, '--log-level', 'silent', '--grpc', `127.0.0.1:${port}`];
    const [alone, several] = await Promise.all(
      [[], ['--workers', '3']].map((more) => begin([...anywhere, ...flags, ...more]).ended),
    );
    other.close();
    expect(several?.stderr).to.include('--grpc').and.include(`127.0.0.1:${port}`);
    expect(several).to.deep.equal(alone);
    expect(several?.code).to.equal(1);
  });

  it('waits for a Redis that is away, as one without workers does', async () => {
    const { ready } = await start(['--store', `redis://127.0.0.1:${await freePort()}`]);
    const answer = await fetch(`${ready.rest}/readyz`);
    expect(answer.status).to.equal(503);
    expect(((await answer.json()) as { code: string }).code).to.equal('unavailable');
  });
});

/** Of a process, in words; none if it has just ended. */
function commandOf(pid: number): string[] {
  try {
    return execFileSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' })
      .trim()
      .split(/\s+/);
  } catch {
    return [];
  }
}
