/**
 * `switchgear:///…` in grpc-js: calls wait for the first answer, follow every further one, and end in words that say what to do.
 */
import * as grpc from '@grpc/grpc-js';
import { expect } from 'chai';
import { HealthImplementation, protoPath } from 'grpc-health-check';
import { connect, type Mesh, MeshError } from '../../sdk/index.js';
import { EchoClient, type EchoServer, echoService, startEcho, unary } from '../support/echo.js';
import { type FakeControlPlane, type FakeStream, fakeControlPlane } from '../support/fake-control-plane.js';
import { keptLogger } from '../support/logs.js';
import { rejectionOf } from '../support/targets.js';
import { until } from '../support/until.js';

describe('switchgear:///', () => {
  let fake: FakeControlPlane;
  let stream: FakeStream;
  let echo: EchoServer;
  let mesh: Mesh;
  const clients: grpc.Client[] = [];

  beforeEach(async () => {
    fake = await fakeControlPlane();
    echo = await startEcho();
    fake.onStream = (opened) => {
      stream = opened;
      opened.welcome();
      opened.delta();
    };
    mesh = await connect({
      service: 'checkout',
      controlPlane: fake.address,
      snapshot: false,
      logger: keptLogger(),
    });
  });

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await mesh.close();
    fake.stop();
    echo.stop();
  });

  const clientOf = (options: Partial<grpc.ClientOptions> = {}) => {
    const client = mesh.client(EchoClient, 'inventory', { options });
    clients.push(client);
    return client;
  };

  it('makes calls wait for the first answer, and the name a callee', async () => {
    const call = unary(clientOf(), 'early', { deadline: Date.now() + 10_000 });
    await until(() => stream.of('subscribe').length > 0, { what: 'the subscription' });
    expect(stream.of('subscribe')[0]?.subscribe.callees).to.deep.equal(['inventory']);
    stream.endpoints('inventory', [echo.address]);
    expect(await call).to.equal('early');
  });

  it('lets no call wait beyond its deadline', async () => {
    const error = (await rejectionOf(
      unary(clientOf(), 'x', { deadline: Date.now() + 50 }),
    )) as grpc.ServiceError;
    expect(error.code).to.equal(grpc.status.DEADLINE_EXCEEDED);
    const cancelled = rejectionOf(
      new Promise((_resolve, reject) => {
        const client = clientOf() as unknown as {
          Unary(b: Buffer, f: (error: unknown) => void): grpc.ClientUnaryCall;
        };
        client.Unary(Buffer.from('x'), reject).cancel();
      }),
    );
    expect(await cancelled).to.have.property('code', grpc.status.CANCELLED);
  });

  it('ends calls that wait when the mesh closes', async () => {
    const call = rejectionOf(unary(clientOf(), 'x'));
    await until(() => stream.of('subscribe').length > 0, { what: 'the subscription' });
    await mesh.close();
    expect(((await call) as grpc.ServiceError).details).to.match(/^\[mesh_closed\] inventory/);
  });

  it('says what to do where there is no instance, and does not blame the callee', async () => {
    stream.endpoints('inventory', []);
    const client = clientOf();
    for (let i = 0; i < 3; i++) {
      const error = (await rejectionOf(unary(client, 'x'))) as grpc.ServiceError;
      expect(error.code).to.equal(grpc.status.UNAVAILABLE);
      expect(error.details).to.equal(
        '[no_instances] inventory: no instance is registered; start one that calls mesh.register({ port }), and see `switchgear get services`',
      );
      expect(error.metadata.get('switchgear-reject')).to.deep.equal(['no_instances']);
    }
  });

  it('follows instances that come and go, again and again', async () => {
    const client = clientOf();
    for (let round = 0; round < 3; round++) {
      stream.endpoints('inventory', [echo.address]);
      await until(() => mesh.status().instances.inventory === 1, { what: 'the instance' });
      expect(await unary(client, 'there')).to.equal('there');
      stream.endpoints('inventory', []);
      await until(() => mesh.status().instances.inventory === 0, { what: 'its end' });
      expect(((await rejectionOf(unary(client, 'x'))) as grpc.ServiceError).details).to.match(
        /^\[no_instances\]/,
      );
    }
  });

  it('moves a call under way to nowhere: it ends where it began', async () => {
    const other = await startEcho();
    stream.endpoints('inventory', [echo.address]);
    const client = clientOf() as unknown as { Chat(): grpc.ClientDuplexStream<Buffer, Buffer> };
    const chat = client.Chat();
    const heard: string[] = [];
    chat.on('data', (part: Buffer) => heard.push(part.toString()));
    chat.write(Buffer.from('a'));
    await until(() => heard.length === 1, { what: 'the first answer' });
    stream.endpoints('inventory', [other.address]);
    await until(async () => (await unary(client as unknown as grpc.Client, 'x')) && other.calls.count > 0, {
      what: 'a call to the other instance',
    });
    chat.write(Buffer.from('b'));
    await until(() => heard.length === 2, { what: 'the second answer' });
    chat.end();
    other.stop();
  });

  it('goes on with the last known when the control plane is gone, and when the mesh is', async () => {
    stream.endpoints('inventory', [echo.address]);
    const client = clientOf();
    await unary(client, 'x');
    fake.stop();
    await until(() => !mesh.status().connected, { what: 'the loss' });
    expect(await unary(client, 'still')).to.equal('still');
    const bare = new EchoClient('switchgear:///inventory', grpc.credentials.createInsecure());
    clients.push(bare);
    expect(await unary(bare, 'bare')).to.equal('bare');
    await mesh.close();
    expect(await unary(bare, 'bare')).to.equal('bare');
  });

  it('means the only mesh there is where a channel names none, and says so if it can not know', async () => {
    stream.endpoints('inventory', [echo.address]);
    const bare = new EchoClient('switchgear:///inventory', grpc.credentials.createInsecure());
    clients.push(bare);
    expect(await unary(bare, 'x')).to.equal('x');
    const second = await connect({
      service: 'other',
      controlPlane: fake.address,
      snapshot: false,
      logger: keptLogger(),
    });
    try {
      const lost = new EchoClient('switchgear:///inventory', grpc.credentials.createInsecure());
      clients.push(lost);
      expect(((await rejectionOf(unary(lost, 'x'))) as grpc.ServiceError).details).to.match(/names no mesh/);
    } finally {
      await second.close();
    }
  });

  it('reaches instances on IPv6, by name, and each address once', async () => {
    const server = new grpc.Server();
    let calls = 0;
    server.addService(echoService as unknown as grpc.ServiceDefinition, {
      Unary(call: grpc.ServerUnaryCall<Buffer, Buffer>, callback: grpc.sendUnaryData<Buffer>) {
        calls++;
        callback(null, call.request);
      },
    });
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('[::1]:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    stream.endpoints('inventory', [
      `[::1]:${port}`,
      `[::1]:${port}`,
      `localhost:${echo.port}`,
      'nonsense',
      '[::1]:99999',
    ]);
    const client = clientOf();
    await until(async () => (await unary(client, 'x')) && calls > 0 && echo.calls.count > 0, {
      what: 'calls at both',
    });
    server.forceShutdown();
  });

  it('leaves a service config of the application its say', async () => {
    const other = await startEcho();
    stream.endpoints('inventory', [echo.address, other.address]);
    const client = clientOf({
      'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ pick_first: {} }] }),
    });
    for (let i = 0; i < 10; i++) await unary(client, 'x');
    expect([echo.calls.count, other.calls.count].sort()).to.deep.equal([0, 10]);
    other.stop();
  });

  it('puts the interceptors of the application outside of the policies', async () => {
    stream.endpoints('inventory', [echo.address]);
    const seen: string[] = [];
    const interceptor: grpc.Interceptor = (options, nextCall) => {
      seen.push('interceptor');
      return new grpc.InterceptingCall(nextCall(options));
    };
    await unary(clientOf({ interceptors: [interceptor] }), 'x');
    await unary(clientOf({ interceptor_providers: [() => interceptor] }), 'x');
    expect(seen).to.deep.equal(['interceptor', 'interceptor']);
    await until(() => stream.of('report').some(({ report }) => report.cells.some(({ ok }) => ok === 2)), {
      what: 'two counted calls',
    });
  });

  it('serves the standard health service', async () => {
    const loader = await import('@grpc/proto-loader');
    const { grpc: loaded } = grpc.loadPackageDefinition(loader.loadSync(protoPath)) as unknown as {
      grpc: { health: { v1: { Health: grpc.ServiceClientConstructor } } };
    };
    const server = new grpc.Server();
    new HealthImplementation({ '': 'SERVING', 'shop.v1.Inventory': 'NOT_SERVING' }).addToServer(server);
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      ),
    );
    stream.endpoints('inventory', [`127.0.0.1:${port}`]);
    const health = mesh.client(loaded.health.v1.Health, 'inventory');
    clients.push(health);
    const check = (service: string) =>
      new Promise((resolve, reject) => {
        health.check?.({ service }, (error: Error | null, answer: unknown) =>
          error ? reject(error) : resolve(answer),
        );
      });
    expect(await check('')).to.deep.include({ status: 1 });
    expect(await check('shop.v1.Inventory')).to.deep.include({ status: 2 });
    expect(await rejectionOf(check('unknown'))).to.have.property('code', grpc.status.NOT_FOUND);
    server.forceShutdown();
  });

  it('refuses what is no client class, and a name no service has', () => {
    class Foreign {}
    expect(() => mesh.client(Foreign as never, 'inventory')).to.throw(
      MeshError,
      /another copy of @grpc\/grpc-js/,
    );
    for (const name of ['*', '', 'a b', undefined])
      expect(() => mesh.client(EchoClient, name as never)).to.throw(MeshError, /the callee is/);
    expect(() => mesh.interceptor('*')).to.throw(MeshError, /the callee is "\*"/);
  });
});
