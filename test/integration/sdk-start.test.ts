/**
 * Starting, losing and finding the control plane again: a service never fails because that is away, is protected by what it
 * knows, and catches up.
 */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { type ConnectionEvent, type ConnectOptions, connect, type Mesh, MeshError } from '../../sdk/index.js';
import { EchoClient, type EchoServer, startEcho, unary } from '../support/echo.js';
import { fakeControlPlane, wirePolicy } from '../support/fake-control-plane.js';
import { type KeptLogger, keptLogger } from '../support/logs.js';
import { policy, startRest } from '../support/rest.js';
import { rejectionOf, settled } from '../support/targets.js';
import { until } from '../support/until.js';

const tripping = { match: { to: 'inventory' }, spec: { circuit: { minimumCalls: 2, openFor: '60s' } } };

describe('a service', () => {
  let dir: string;
  let echo: EchoServer;
  let meshes: Mesh[];
  let logger: KeptLogger;
  const closing: (() => unknown)[] = [];

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'switchgear-start-'));
    echo = await startEcho();
    meshes = [];
    logger = keptLogger();
  });

  afterEach(async () => {
    await Promise.all(meshes.map((mesh) => mesh.close()));
    for (const close of closing.splice(0).reverse()) await close();
    echo.stop();
    await rm(dir, { recursive: true, force: true });
  });

  const started = async (options: ConnectOptions) => {
    const mesh = await connect({
      service: 'checkout',
      callees: ['inventory'],
      snapshot: false,
      logger,
      ...options,
    });
    meshes.push(mesh);
    return mesh;
  };
  const fails = (mesh: Mesh) =>
    rejectionOf(
      mesh.guard('inventory', () => {
        throw new Error('down');
      }),
    );

  it('starts without a control plane, unprotected and with a warning, and catches up', async () => {
    const running = await startRest();
    const address = running.plane.grpcAddress;
    await running.close();
    const mesh = await started({ controlPlane: address });
    expect(mesh.status()).to.include({ connected: false, stale: true, revision: 0, dataset: '' });
    expect(logger.of('warn').at(-1)?.message).to.match(/starting unprotected/);
    expect(await mesh.guard('inventory', () => 'works')).to.equal('works');
    const events: ConnectionEvent[] = [];
    mesh.on('connection', (event) => events.push(event));
    const back = await startRest({ grpc: address });
    closing.push(() => back.close());
    const { body } = await back.put('/v1/policies/p', policy('p', tripping));
    await until(() => mesh.circuit('inventory').revision === body.revision, {
      timeoutMs: 15_000,
      what: 'the policy',
    });
    expect(mesh.status()).to.include({ connected: true, stale: false });
    expect(events[0]).to.include({ connected: true, controlPlane: address });
  }).timeout(30_000);

  it('goes on, protected, when the control plane goes away, and converges when it is back', async () => {
    const store = `embedded:${join(dir, 'store')}`;
    const first = await startRest({ store });
    const address = first.plane.grpcAddress;
    await first.put('/v1/policies/p', policy('p', tripping));
    const inventory = await started({ service: 'inventory', controlPlane: address, callees: [] });
    await inventory.register({ port: echo.port });
    const mesh = await started({ controlPlane: address });
    const other = await started({ controlPlane: address });
    const client = mesh.client(EchoClient, 'inventory');
    closing.push(() => client.close());
    expect(await unary(client, 'before')).to.equal('before');
    const events: ConnectionEvent[] = [];
    mesh.on('connection', (event) => events.push(event));
    await first.close();
    await until(() => !mesh.status().connected, { what: 'the loss' });
    expect(mesh.status().stale).to.equal(true);
    await settled();
    expect(events[0]).to.include({ connected: false });
    expect(await unary(client, 'meanwhile')).to.equal('meanwhile');
    for (let i = 0; i < 2; i++) await rejectionOf(unary(client, 'fail'));
    expect(mesh.circuit('inventory').state).to.equal('open');
    const second = await startRest({ store, grpc: address });
    closing.push(() => second.close());
    const { body } = await second.put('/v1/policies/p', policy('p', { ...tripping, priority: 3 }));
    await until(() => [mesh, other].every((one) => one.circuit('inventory').revision === body.revision), {
      timeoutMs: 15_000,
      what: 'the new policy',
    });
    expect(mesh.status().digest).to.equal(other.status().digest);
    expect(mesh.circuit('inventory').state).to.equal('open');
  }).timeout(40_000);

  it('starts from its snapshot when the control plane is away: policies, circuits, endpoints', async () => {
    const snapshot = join(dir, 'checkout.json');
    const running = await startRest();
    const address = running.plane.grpcAddress;
    const { body } = await running.put('/v1/policies/p', policy('p', tripping));
    const inventory = await started({ service: 'inventory', controlPlane: address, callees: [] });
    await inventory.register({ port: echo.port });
    const before = await started({ controlPlane: address, snapshot });
    await until(() => before.status().instances.inventory === 1, { what: 'the instance' });
    for (let i = 0; i < 2; i++) await fails(before);
    expect(before.circuit('inventory').state).to.equal('open');
    await before.close();
    await running.close();

    const mesh = await started({ controlPlane: address, snapshot });
    expect(mesh.status().snapshot).to.include({ path: snapshot, restored: true });
    expect(mesh.status()).to.include({ connected: false, stale: true, policies: 1, revision: body.revision });
    expect(logger.of('warn').at(-1)?.message).to.match(/starting under the last one known/);
    expect(await rejectionOf(mesh.guard('inventory', () => 'x'))).to.include({
      code: 'circuit_open',
      revision: body.revision,
    });
    expect(mesh.circuit('inventory').retryAfterMs).to.be.within(1, 72_000);
    expect(mesh.status().instances).to.deep.equal({ inventory: 1 });
  }).timeout(30_000);

  it('finds the last known instances by its snapshot', async () => {
    const snapshot = join(dir, 'checkout.json');
    const fake = await fakeControlPlane();
    fake.onStream = (stream) => {
      stream.welcome();
      stream.delta();
      stream.endpoints('inventory', [echo.address]);
    };
    const before = await started({ controlPlane: fake.address, snapshot });
    await until(() => before.status().instances.inventory === 1, { what: 'the instance' });
    await before.close();
    fake.stop();
    const mesh = await started({ controlPlane: fake.address, snapshot });
    const client = mesh.client(EchoClient, 'inventory');
    closing.push(() => client.close());
    expect(await unary(client, 'hello')).to.equal('hello');
  });

  it('starts without a snapshot that is cut in half, and writes a good one', async () => {
    const snapshot = join(dir, 'checkout.json');
    const running = await startRest();
    closing.push(() => running.close());
    await running.put('/v1/policies/p', policy('p', tripping));
    const before = await started({ controlPlane: running.plane.grpcAddress, snapshot });
    await before.close();
    const whole = await readFile(snapshot);
    await writeFile(snapshot, whole.subarray(0, whole.length / 2));
    const mesh = await started({ controlPlane: running.plane.grpcAddress, snapshot });
    expect(logger.of('warn')[0]?.fields.file).to.equal(snapshot);
    expect(mesh.status().snapshot?.restored).to.equal(false);
    expect(mesh.status().policies).to.equal(1);
    await mesh.close();
    expect(logger.of('warn')).to.have.length(1);
    const again = await started({ controlPlane: running.plane.grpcAddress, snapshot });
    expect(again.status().snapshot?.restored).to.equal(true);
    // While it is open it may be in the middle of a write, beside the file.
    await again.close();
    expect(await readdir(dir)).to.deep.equal(['checkout.json']);
  });

  it('shares its snapshot with a second instance', async () => {
    const snapshot = join(dir, 'checkout.json');
    const running = await startRest();
    await running.put('/v1/policies/p', policy('p', tripping));
    const options = { controlPlane: running.plane.grpcAddress, snapshot };
    const two = await Promise.all([started(options), started(options)]);
    await running.put('/v1/policies/q', policy('q', tripping));
    await until(() => two.every((mesh) => mesh.status().policies === 2), { what: 'both' });
    await Promise.all(two.map((mesh) => mesh.close()));
    await running.close();
    const mesh = await started(options);
    expect(mesh.status()).to.include({ policies: 2 });
  });

  it('takes another control plane for what it is, whatever its snapshot says', async () => {
    const snapshot = join(dir, 'checkout.json');
    const first = await startRest();
    for (let i = 0; i < 5; i++) await first.put(`/v1/policies/old-${i}`, policy(`old-${i}`, tripping));
    const before = await started({ controlPlane: first.plane.grpcAddress, snapshot });
    await before.close();
    await first.close();
    const second = await startRest();
    closing.push(() => second.close());
    await second.put('/v1/policies/new', policy('new', tripping));
    const mesh = await started({ controlPlane: second.plane.grpcAddress, snapshot });
    expect(mesh.status()).to.include({ stale: false, policies: 1 });
    expect(mesh.circuit('inventory').policy).to.equal('new');
  });

  it('resolves at the first complete state, without waiting for the second', async () => {
    const fake = await fakeControlPlane();
    closing.push(() => fake.stop());
    let resolved = false;
    const connecting = started({ controlPlane: fake.address }).then((mesh) => {
      resolved = true;
      return mesh;
    });
    const stream = await fake.stream(0);
    stream.welcome();
    await until(() => stream.of('report').length > 0, { what: 'the first report' });
    expect(resolved).to.equal(false);
    stream.delta({ upserts: [wirePolicy('p', 1)] });
    const mesh = await connecting;
    expect(mesh.status().stale).to.equal(false);
    await until(() => stream.of('ack').length > 0, { what: 'the acknowledgement' });
    expect(stream.of('ack')[0]?.ack).to.deep.equal({ nonce: 1, applied: ['p'], rejected: [] });
  });

  it('says what it holds when it comes back, and is told only what is new', async () => {
    const fake = await fakeControlPlane();
    closing.push(() => fake.stop());
    fake.onStream = (stream) => {
      stream.welcome();
      if (fake.streams.length === 1) stream.delta({ revision: 7, upserts: [wirePolicy('p', 7)] });
    };
    const mesh = await started({ controlPlane: fake.address });
    await mesh.guard('payments', () => 'learnt');
    await until(() => fake.streams[0]?.of('subscribe').length === 1, { what: 'the new name' });
    expect(fake.streams[0]?.of('subscribe')[0]?.subscribe.callees).to.deep.equal(['payments']);
    fake.streams[0]?.fail(grpc.status.UNAVAILABLE, 'restarting');
    const second = await fake.stream(1);
    const hello = second.of('hello')[0]?.hello;
    expect(hello).to.deep.include({ dataset: 'd1', revision: 7, callees: ['inventory', 'payments'] });
    expect(hello?.hashes).to.deep.equal([{ name: 'p', revision: 7, hash: wirePolicy('p', 7).hash }]);
    expect(mesh.status().stale).to.equal(true);
    second.delta({ revision: 8, complete: false });
    await until(() => !mesh.status().stale, { what: 'level' });
    expect(mesh.status()).to.include({ revision: 8, policies: 1 });
    expect(hello?.boot).to.equal(fake.streams[0]?.of('hello')[0]?.hello.boot);
  });

  it('moves on from a draining replica, registered all the while', async () => {
    const [a, b] = [await fakeControlPlane(), await fakeControlPlane()];
    for (const fake of [a, b]) {
      closing.push(() => fake.stop());
      fake.onStream = (stream) => {
        stream.welcome();
        stream.delta();
        void until(() => stream.of('lease')[0], { what: 'the lease' }).then(({ lease: { requestId } }) =>
          stream.say({ message: 'lease', lease: { requestId, ttlMs: 60_000, error: '', code: '' } }),
        );
      };
    }
    const mesh = await started({ controlPlane: `${a.address},${b.address}` });
    await mesh.register({ port: 1234, address: 'host' });
    const [from, to] = mesh.status().controlPlane === a.address ? [a, b] : [b, a];
    from.streams[0]?.say({ message: 'drain', drain: { afterMs: 100 } });
    await until(() => mesh.status().controlPlane === to.address, { what: 'the other replica' });
    await until(() => mesh.status().registered === 'host:1234', { what: 'the registration there' });
    expect(mesh.status()).to.include({ connected: true });
    await until(() => from.streams[0]?.ended, { what: 'the end of the old stream' });
  });

  it('tells people, not the application, that its token is refused', async () => {
    const running = await startRest({ tokens: [{ role: 'agent', name: 'checkout', token: 'right' }] });
    closing.push(() => running.close());
    const mesh = await started({ controlPlane: running.plane.grpcAddress, token: 'wrong' });
    expect(mesh.status().connected).to.equal(false);
    expect(await mesh.guard('inventory', () => 'works')).to.equal('works');
    expect(logger.of('error')[0]?.message).to.match(/valid token/);
    const good = await started({ controlPlane: running.plane.grpcAddress, token: 'right' });
    expect(good.status().connected).to.equal(true);
  });

  it('connects over TLS', async () => {
    const tls = (name: string) => new URL(`../support/tls/${name}`, import.meta.url).pathname;
    const running = await startRest({ tls: { cert: tls('cert.pem'), key: tls('key.pem') } });
    closing.push(() => running.close());
    const controlPlane = running.plane.grpcAddress;
    const mesh = await started({ controlPlane, tls: { ca: tls('cert.pem'), serverName: 'localhost' } });
    expect(mesh.status().connected).to.equal(true);
    const wrong = await started({ controlPlane, tls: { ca: tls('cert.pem'), serverName: 'elsewhere.test' } });
    expect(wrong.status().connected).to.equal(false);
    const missing = await rejectionOf(started({ controlPlane, tls: { ca: '/nowhere.pem' } }));
    expect(missing).to.be.instanceOf(MeshError).with.property('code', 'invalid_configuration');
    expect((missing as MeshError).message).to.match(/tls\.ca: \/nowhere\.pem can't be read/);
  });

  it('may have several meshes, which know nothing of each other', async () => {
    const planes = await Promise.all([startRest(), startRest()]);
    for (const plane of planes) closing.push(() => plane.close());
    for (const [i, plane] of planes.entries())
      await plane.put(`/v1/policies/p${i}`, policy(`p${i}`, tripping));
    const other = await startEcho();
    closing.push(() => other.stop());
    const callers = (await Promise.all(
      planes.map(({ plane }) => started({ controlPlane: plane.grpcAddress })),
    )) as [Mesh, Mesh];
    const callees = await Promise.all(
      planes.map(({ plane }) =>
        started({ service: 'inventory', callees: [], controlPlane: plane.grpcAddress }),
      ),
    );
    await Promise.all(callees.map((mesh, i) => mesh.register({ port: i === 0 ? echo.port : other.port })));
    await until(() => callers.every((mesh) => mesh.status().instances.inventory === 1), {
      what: 'the instances',
    });
    const clients = callers.map((mesh) => mesh.client(EchoClient, 'inventory'));
    for (const client of clients) closing.push(() => client.close());
    for (const client of clients) await unary(client, 'x');
    expect([echo.calls.count, other.calls.count]).to.deep.equal([1, 1]);
    for (let i = 0; i < 2; i++) await fails(callers[0]);
    expect(callers.map((mesh) => mesh.circuit('inventory').state)).to.deep.equal(['open', 'closed']);
    expect(callers.map((mesh) => mesh.circuit('inventory').policy)).to.deep.equal(['p0', 'p1']);
    await callers[0].close();
    expect(await unary(clients[1] as grpc.Client, 'x')).to.equal('x');
  });

  it('is not hurt by what its listeners do', async () => {
    const fake = await fakeControlPlane();
    closing.push(() => fake.stop());
    fake.onStream = (stream) => {
      stream.welcome();
      stream.delta({ upserts: [wirePolicy('p', 1, tripping)] });
    };
    const mesh = await started({ controlPlane: fake.address });
    const states: string[] = [];
    mesh.on('circuit', () => {
      throw new Error('a bad listener');
    });
    mesh.on('circuit', async () => mesh.guard('inventory', () => 'again'));
    const leave = mesh.on('circuit', ({ from, to }) => states.push(`${from} → ${to}`));
    for (let i = 0; i < 2; i++) await fails(mesh);
    await settled();
    expect(states).to.deep.equal(['closed → open']);
    expect(mesh.circuit('inventory').state).to.equal('open');
    expect(logger.of('error').map(({ fields }) => fields.error)[0]).to.equal('a bad listener');
    leave();
  });
});
