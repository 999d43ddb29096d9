/**
 * Circuits of the mesh as a service meets them, over real sockets, against a control plane that says what the test wants: a service
 * that starts during an outage, one whose control plane goes away meanwhile, what a probe and a first failure tell.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import type { Directive, Report } from '../../proto/messages.js';
import { connect, type Mesh } from '../../sdk/index.js';
import { EchoClient, type EchoServer, startEcho, unary } from '../support/echo.js';
import {
  type FakeControlPlane,
  type FakeStream,
  fakeControlPlane,
  wirePolicy,
} from '../support/fake-control-plane.js';
import { keptLogger } from '../support/logs.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

const policy = wirePolicy('p', 1, {
  match: { to: 'inventory' },
  spec: { circuit: { scope: 'cluster' } },
});

function open(changes: Partial<Directive> = {}): Directive {
  return {
    circuit: 'inventory|p',
    state: 'open',
    circuitEpoch: 1,
    seq: 1,
    admitPercent: 100,
    permits: [],
    ttlMs: 30_000,
    reason: '12 of 20 agents agree',
    ...changes,
  };
}

describe('a service under circuits of the mesh', () => {
  let fake: FakeControlPlane;
  let echo: EchoServer;
  let meshes: Mesh[];
  let clients: grpc.Client[];

  beforeEach(async () => {
    fake = await fakeControlPlane();
    echo = await startEcho();
    meshes = [];
    clients = [];
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    await Promise.all(meshes.map((mesh) => mesh.close()));
    fake.stop();
    echo.stop();
  });

  /** `greet`: what the control plane says first. */
  async function join(greet: (stream: FakeStream) => void): Promise<{ mesh: Mesh; client: grpc.Client }> {
    fake.onStream = greet;
    const mesh = await connect({
      service: 'checkout',
      controlPlane: fake.address,
      callees: ['inventory'],
      snapshot: false,
      logger: keptLogger(),
    });
    meshes.push(mesh);
    const client = mesh.client(EchoClient, 'inventory');
    clients.push(client);
    return { mesh, client };
  }

  const direct = (stream: FakeStream, ...directives: Directive[]) =>
    stream.say({ message: 'directives', directives: { directives } });
  const greeting = (stream: FakeStream) => {
    stream.welcome();
    stream.endpoints('inventory', [echo.address]);
    stream.delta({ upserts: [policy] });
  };
  const reports = async (n: number): Promise<readonly Report[]> =>
    (await fake.stream(n)).of('report').map(({ report }) => report);

  for (const order of ['before', 'after'] as const)
    it(`that starts during an outage makes no call that fails: the word comes ${order} the policies`, async () => {
      const { mesh, client } = await join((stream) => {
        stream.welcome();
        if (order === 'before') direct(stream, open());
        stream.endpoints('inventory', [echo.address]);
        stream.delta({ upserts: [policy] });
        if (order === 'after') direct(stream, open());
      });
      await until(() => mesh.circuit('inventory').state === 'open', { what: 'the circuit to be open' });
      const error = await rejectionOf(unary(client, 'fail'));
      expect(String(error)).to.include(
        '[circuit_open] inventory: the mesh opened it: 12 of 20 agents agree; retry in 1000 ms (policy p@1)',
      );
      expect(echo.calls.count).to.equal(0);
    });

  it('loses its control plane: what was said lapses, and its own circuit rules', async () => {
    const { mesh, client } = await join((stream) => {
      greeting(stream);
      direct(stream, open({ ttlMs: 500 }));
    });
    await until(() => mesh.circuit('inventory').state === 'open', { what: 'the circuit to be open' });
    fake.onStream = () => {};
    (await fake.stream(0)).fail(grpc.status.UNAVAILABLE, 'gone');
    await until(() => !mesh.status().connected, { what: 'the end of the stream' });
    await until(() => mesh.circuit('inventory').state === 'closed', { what: 'the end of its time' });
    expect((await unary(client, 'hello')).toString()).to.equal('hello');
  });

  it('tells of its first failure at once, and of the instance that failed', async () => {
    const { client } = await join(greeting);
    await unary(client, 'hello');
    await rejectionOf(unary(client, 'fail'));
    const failed = async () =>
      (await reports(0)).flatMap(({ cells }) => cells).find((cell) => cell.failed > 0);
    const cell = await until(failed, { what: 'a report', timeoutMs: 900 });
    expect(cell).to.include({ callee: 'inventory', method: 'test.Echo/Unary', endpoint: echo.address });
  });

  it('uses a probe permit once, and tells what it came to', async () => {
    const events: string[] = [];
    const { mesh, client } = await join(greeting);
    mesh.on('circuit', ({ from, to }) => events.push(`${from} → ${to}`));
    await unary(client, 'hello');
    direct(await fake.stream(0), open({ state: 'half-open', circuitEpoch: 2, permits: [513] }));
    await until(() => mesh.circuit('inventory').state === 'half-open', { what: 'the directive' });
    const calls = await Promise.allSettled(Array.from({ length: 20 }, () => unary(client, 'hello')));
    expect(calls.filter(({ status }) => status === 'fulfilled')).to.have.length(1);
    expect(echo.calls.count).to.equal(2);
    const told = async () => (await reports(0)).flatMap(({ probes }) => probes)[0];
    expect(await until(told, { what: 'the result' })).to.deep.include({
      circuit: 'inventory|p',
      permit: 513,
      ok: true,
    });
    expect(events).to.deep.equal(['closed → half-open']);
  });

  it('says nothing of instances to a control plane of 1.1', async () => {
    const { client } = await join((stream) => {
      stream.welcome({ protocol: { major: 1, minor: 1 } });
      stream.endpoints('inventory', [echo.address]);
      stream.delta({ upserts: [policy] });
    });
    await unary(client, 'hello');
    const first = async () => (await reports(0)).flatMap(({ cells }) => cells)[0];
    expect(await until(first, { what: 'a report' })).to.include({ ok: 1, endpoint: '' });
  });

  it('declares how many calls it can have in flight, and what it can do', async () => {
    await join(greeting);
    const hello = (await fake.stream(0)).of('hello')[0]?.hello;
    expect(hello).to.include({ concurrency: 10_000 });
    expect(hello?.capabilities).to.include('circuit.cluster');
    expect(hello?.protocol).to.include({ major: 1, minor: 2 });
  });
});
