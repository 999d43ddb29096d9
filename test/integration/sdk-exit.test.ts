/**
 * A process that has closed its mesh ends by itself, whatever is at the other end: a control plane, nobody, somebody silent, or
 * a network that swallows. And closing takes less than two seconds of the agent's clock.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { parseAddresses } from '../../agent/addresses.js';
import { Agent } from '../../agent/agent.js';
import { seededRandom } from '../../core/random.js';
import { startEcho } from '../support/echo.js';
import { fakeControlPlane } from '../support/fake-control-plane.js';
import { keptLogger } from '../support/logs.js';
import { startRest } from '../support/rest.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';
import { VirtualClock } from '../support/virtual-clock.js';

const script = fileURLToPath(new URL('../support/bare-process.ts', import.meta.url));
const running = new Set<ChildProcess>();

/** Runs the process to its own end. */
async function bare(
  controlPlane: string,
): Promise<{ code: number | null; said: Record<string, unknown>; log: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', script, controlPlane], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let out = '';
  let log = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const [code] = (await once(child, 'close')) as [number | null];
  running.delete(child);
  expect(out, log).to.not.equal('');
  return { code, said: JSON.parse(out), log };
}

describe('a process that has closed its mesh', () => {
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL');
    running.clear();
  });

  it('ends by itself after all kinds of use', async () => {
    const plane = await startRest();
    const echo = await startEcho();
    try {
      const { code, said } = await bare(plane.plane.grpcAddress);
      expect(code).to.equal(0);
      expect(said).to.deep.equal({ connected: true, answer: 'a row', called: grpc.status.UNAVAILABLE });
    } finally {
      await plane.close();
      echo.stop();
    }
  });

  it('ends by itself with live connections of its clients', async () => {
    const fake = await fakeControlPlane();
    const echo = await startEcho();
    fake.onStream = (stream) => {
      stream.welcome();
      stream.delta();
      stream.endpoints('inventory', [echo.address]);
      void until(() => stream.of('lease')[0], { what: 'the registration' }).then(
        ({ lease: { requestId } }) => {
          stream.say({ message: 'lease', lease: { requestId, ttlMs: 60_000, error: '', code: '' } });
        },
      );
    };
    try {
      const { code, said } = await bare(fake.address);
      expect(code).to.equal(0);
      expect(said.called).to.equal('hello');
    } finally {
      fake.stop();
      echo.stop();
    }
  });

  it('ends by itself though nobody listens', async () => {
    const { code, said, log } = await bare('127.0.0.1:1');
    expect(code).to.equal(0);
    expect(said).to.deep.equal({ connected: false, answer: 'a row', called: grpc.status.DEADLINE_EXCEEDED });
    expect(log).to.match(/switchgear warning: the control plane does not answer/);
    expect(log).to.match(/starting unprotected/);
  });

  it('ends by itself though the other end is silent', async () => {
    const silent = await silentPeer();
    try {
      expect((await bare(silent.address)).code).to.equal(0);
    } finally {
      silent.stop();
    }
  });

  it('ends by itself though its connection hangs in TCP', async () => {
    // A listener whose queue is full drops the SYNs of those who come after.
    const hole = spawn('/usr/bin/python3', ['-c', HOLE], { stdio: ['pipe', 'pipe', 'inherit'] });
    running.add(hole);
    const [port] = (await once(createInterface({ input: hole.stdout }), 'line')) as [string];
    expect((await bare(`127.0.0.1:${port}`)).code).to.equal(0);
    hole.kill();
    running.delete(hole);
  });
});

const HOLE = `
import socket, sys
listener = socket.socket()
listener.bind(('127.0.0.1', 0))
listener.listen(0)
waiting = []
for _ in range(8):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex(listener.getsockname())
    waiting.append(s)
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
`;

async function silentPeer(): Promise<{ address: string; stop(): void; sockets: Set<Socket> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket.resume());
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const bound = server.address();
  if (bound === null || typeof bound === 'string') throw new Error('not bound');
  const stop = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { address: `127.0.0.1:${bound.port}`, stop, sockets };
}

describe('closing an agent', () => {
  const agentFor = (address: string) => {
    const clock = new VirtualClock();
    const agent = new Agent({
      service: 'checkout',
      instance: '1',
      zone: '',
      version: '',
      callees: [],
      addresses: parseAddresses(address, 'address'),
      credentials: { credentials: grpc.credentials.createInsecure() },
      token: undefined,
      snapshot: undefined,
      clock,
      random: seededRandom(1),
      logger: keptLogger(),
    });
    return { clock, agent };
  };

  it('takes no time without a control plane, and rejects who waits for a registration', async () => {
    const silent = await silentPeer();
    const { clock, agent } = agentFor(silent.address);
    await agent.start();
    await until(() => silent.sockets.size === 1, { what: 'the connection' });
    const registered = agent.register({ address: ':1', protocol: 'grpc', version: '' });
    await agent.close();
    expect(await rejectionOf(registered)).to.have.property('code', 'mesh_closed');
    expect(clock.pendingTimers).to.equal(0);
    await until(() => silent.sockets.size === 0, { what: 'the end of the connection' });
    silent.stop();
  });

  it('takes two seconds at most with one that answers nothing any more', async () => {
    const fake = await fakeControlPlane();
    const { clock, agent } = agentFor(fake.address);
    await agent.start();
    const stream = await fake.stream(0);
    stream.welcome();
    stream.delta();
    await until(() => agent.status().connected, { what: 'the stream' });
    const registered = agent.register({ address: ':1', protocol: 'grpc', version: '' });
    const closed = agent.close();
    clock.advance(2_000);
    await Promise.all([closed, rejectionOf(registered)]);
    expect(clock.pendingTimers).to.equal(0);
    fake.stop();
  });

  it('can be asked for twice, before the start as well', async () => {
    const { clock, agent } = agentFor('127.0.0.1:1');
    await Promise.all([agent.start(), agent.close(), agent.close()]);
    expect(clock.pendingTimers).to.equal(0);
    expect(
      await rejectionOf(agent.register({ address: ':1', protocol: 'grpc', version: '' })),
    ).to.have.property('code', 'mesh_closed');
  });
});
